//! What every request gets on its way in and out: a name, a span, an envelope for its failure, and safe headers.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{Gauge, SharedString};
use reprieve_application::ErrorCode;
use tracing::Instrument;
use tracing::field::Empty;

use crate::refusal::Refusal;
use crate::{Service, trace};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// Where clients expect the codes of a Connector; everywhere else they are those of a Backbone.
const CONNECTOR: &str = "/api/core/";

/// Headers that keep browsers from doing more with an answer than showing it.
const SAFE: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
];

/// The longest request id that is taken over from a client, in characters.
const MAX_REQUEST_ID: usize = 128;

/// Names the request, measures it, logs how it ended, and puts a failure into its envelope.
pub(crate) async fn context(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers()).unwrap_or_else(|| service.name("REQ"));
    let trace_id = trace_id(request.headers());
    let method = request.method().clone();
    // The route, not the path: a path may contain an address.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!(
        "request",
        otel.name = Empty,
        otel.kind = Empty,
        method = method.as_str(),
        route,
        request_id,
        trace_id,
        status = Empty,
    );
    // What only a tracer wants to know would otherwise stand in every line of the log.
    let is_traced = trace::follow(&span, request.headers());
    let of_span = if is_traced {
        span.record("otel.name", format!("{method} {route}")).record("otel.kind", "server");
        trace::of_span(&span)
    } else {
        None
    };
    let of_request = of_span.or_else(|| trace::of_client(request.headers()));
    let in_flight = InFlight::begin();
    let handling = next.run(request).instrument(span.clone());
    let mut response = match of_request {
        None => handling.await,
        Some(trace) => trace.scope(handling).await,
    };
    drop(in_flight);
    span.in_scope(|| {
        let status = status_of(&response);
        let has_line = !is_for_anybody(&route, status) || service.sample.has_line();
        response = in_envelope(&service, &route, std::mem::take(&mut response), has_line);
        if is_traced {
            span.record("status", response.status().as_u16());
        }
        if has_line {
            tracing::info!(status = response.status().as_u16(), elapsed = ?started.elapsed(), "answered");
        }
    });
    let status = response.status().as_str().to_owned();
    let route = SharedString::from(route);
    let labels = [("method", known_method(&method).into()), ("route", route), ("status", status.into())];
    metrics::counter!("reprieve_http_requests_total", &labels).increment(1);
    metrics::histogram!("reprieve_http_request_duration_seconds", &labels[..2]).record(started.elapsed());
    let headers = response.headers_mut();
    // Both consist of visible ASCII.
    headers.extend(HeaderValue::from_str(&request_id).ok().map(|value| (REQUEST_ID, value)));
    headers.extend(trace_id.and_then(|id| HeaderValue::from_str(&id).ok()).map(|value| (TRACE_ID, value)));
    for (name, value) in SAFE {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Counts a request for as long as it is worked on, which ends as well when its client leaves.
struct InFlight(Gauge);

impl InFlight {
    fn begin() -> Self {
        let gauge = metrics::gauge!("reprieve_http_requests_in_flight");
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Anybody can send any method; not everybody may invent a new label.
fn known_method(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    known.into_iter().find(|known| method == known).unwrap_or("other")
}

/// The id a client gave its request, if it can stand in a header and in a log.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    ((1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(safe)).then(|| id.to_owned())
}

/// The trace that the request is part of, by the header `traceparent` (<https://www.w3.org/TR/trace-context/>).
#[must_use]
pub fn trace_id(headers: &HeaderMap) -> Option<String> {
    trace::trace_of(headers.get("traceparent")?.to_str().ok()?).map(str::to_owned)
}

/// The status with which it is going to be sent.
fn status_of(response: &Response) -> StatusCode {
    response.extensions().get::<Refusal>().map_or(response.status(), Refusal::status)
}

/// Whether anybody gets such an answer: what needs no credentials, and what is refused.
fn is_for_anybody(route: &str, status: StatusCode) -> bool {
    status.is_client_error() || !route.starts_with("/api/") && status.is_success()
}

/// Writes the body of a failure, those of the framework included.
fn in_envelope(service: &Service, route: &str, mut response: Response, has_line: bool) -> Response {
    let status = response.status();
    let refusal = match response.extensions_mut().remove::<Refusal>() {
        Some(refusal) => refusal,
        None if is_bare_failure(&response) => {
            Refusal::new(code_of(status), status.canonical_reason().unwrap_or("refused"))
        }
        None => return response,
    };
    // What is refused around the routes is refused alike for all of them.
    let refusal = if route.starts_with(CONNECTOR) { refusal } else { refusal.for_backbone() };
    let answer = refusal.answer(service, has_line);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.status_mut() = refusal.status();
    *response.body_mut() = Body::from(answer.body);
    response
}

/// Whether it is a failure that nobody has put into words for a client yet.
fn is_bare_failure(response: &Response) -> bool {
    let is_json =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json");
    !is_json && (response.status().is_client_error() || response.status().is_server_error())
}

/// What the framework means by a status.
fn code_of(status: StatusCode) -> ErrorCode {
    match status {
        StatusCode::NOT_FOUND => ErrorCode::RouteDoesNotExist,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::PayloadTooLarge,
        status if status.is_client_error() => ErrorCode::InvalidPropertyValue,
        _ => ErrorCode::SystemFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )])
    }

    #[test]
    fn a_request_id_is_taken_over_if_it_is_safe() {
        assert_eq!(request_id(&headers("x-request-id", "a-1.2")).as_deref(), Some("a-1.2"));
        for id in ["", "a b", "a\"b", "\u{e9}", &"a".repeat(129)] {
            assert_eq!(request_id(&headers("x-request-id", id)), None, "{id}");
        }
    }

    #[test]
    fn the_trace_of_a_well_formed_parent_is_followed() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        assert_eq!(trace_id(&headers("traceparent", &parent)).as_deref(), Some(trace));
        for parent in
            ["", "00", &parent[1..], &parent.replace("00-", "ff-"), &parent.replace(trace, &"0".repeat(32))]
        {
            assert_eq!(trace_id(&headers("traceparent", parent)), None, "{parent}");
        }
    }
}
