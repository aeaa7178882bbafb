//! Failures: an error code, the status that goes with it, and the envelope it is sent in.

use std::error::Error;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reprieve_application::{Answer, Coded, ErrorCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Service;

/// Why a request was not answered as asked. It becomes an [`ErrorEnvelope`] on its way out, in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// For the client.
    pub(crate) message: String,
    /// For the log: the message with everything it was caused by.
    pub(crate) detail: String,
    /// After how many seconds it is worth trying again.
    pub(crate) retry_after: Option<u64>,
    /// How whoever calls has to say who it is: the scheme in `WWW-Authenticate` (RFC 9110, section 11.6.1).
    pub(crate) challenge: Option<&'static str>,
}

/// A failure, in the form that enmeshed's clients read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorEnvelope<'a> {
    error: ErrorBody<'a>,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody<'a> {
    /// Names this failure in the logs.
    #[schema(example = "ERRq7fGh2KpZ0aXc93Lm", pattern = "^ERR[A-Za-z0-9]{17}$")]
    id: &'a str,
    /// The stable code.
    #[schema(value_type = String)]
    code: &'a str,
    /// For people.
    message: &'a str,
    /// Always empty: the codes are documented with the service.
    docs: &'a str,
    /// When it happened.
    #[schema(example = "2026-12-07T20:03:07.123456Z", format = DateTime)]
    time: String,
    /// Always null; enmeshed's clients expect it.
    #[schema(value_type = Option<Object>)]
    data: (),
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, detail: message.clone(), message, retry_after: None, challenge: None }
    }

    /// The same, worth trying again after so many seconds.
    pub(crate) fn after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The same, with the scheme by which to authenticate.
    pub(crate) fn challenging(self, scheme: &'static str) -> Self {
        Self { challenge: Some(scheme), ..self }
    }

    /// The same under the code that clients of a Backbone know.
    pub(crate) fn for_backbone(self) -> Self {
        let code = match self.code {
            ErrorCode::ActiveIdentityDeletionProcessAlreadyExists => {
                ErrorCode::OnlyOneActiveDeletionProcessAllowed
            }
            ErrorCode::NoActiveIdentityDeletionProcess => ErrorCode::DeletionProcessIsNotInRequiredStatus,
            ErrorCode::RecordNotFound => ErrorCode::PlatformRecordNotFound,
            ErrorCode::InvalidPropertyValue => ErrorCode::PlatformInvalidPropertyValue,
            ErrorCode::ConnectorUnauthorized => ErrorCode::PlatformUnauthorized,
            ErrorCode::ConnectorForbidden => ErrorCode::PlatformForbidden,
            other => other,
        };
        Self { code, ..self }
    }

    /// The status that goes with the code.
    pub(crate) fn status(&self) -> StatusCode {
        status(self.code)
    }

    /// The envelope as it is sent. Its id names it in the log, if it has a line there.
    pub(crate) fn answer(&self, service: &Service, has_line: bool) -> Answer {
        let id = service.name("ERR");
        match self.status() {
            // Trying again may mend it; that is for the client.
            StatusCode::SERVICE_UNAVAILABLE => {
                tracing::warn!(error_id = id, code = %self.code, detail = self.detail, "failed");
            }
            status if status.is_server_error() => {
                tracing::error!(error_id = id, code = %self.code, detail = self.detail, "failed");
            }
            // What was wrong with a request may be personal.
            _ if has_line => tracing::info!(error_id = id, code = %self.code, "refused"),
            _ => {}
        }
        let envelope = ErrorEnvelope {
            error: ErrorBody {
                id: &id,
                code: self.code.as_str(),
                message: &self.message,
                docs: "",
                time: service.clock.now().to_string(),
                data: (),
            },
        };
        Answer { status: self.status().as_u16(), body: json(&envelope) }
    }
}

impl<E: Coded> From<E> for Refusal {
    fn from(error: E) -> Self {
        let code = error.code();
        let mut detail = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            detail.push_str(": ");
            detail.push_str(&error.to_string());
            source = Error::source(error);
        }
        // Trying again mends a lost connection, a lost race and a fail-over, and nothing else.
        let retry_after = (status(code) == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        Self { code, message: error.to_string(), detail, retry_after, challenge: None }
    }
}

impl IntoResponse for Refusal {
    /// A status and the refusal itself; the body is written where id and time are known.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(scheme) = self.challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The status of an answer with this code. docs/error-codes.md has the same table.
pub(crate) fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::NoActiveIdentityDeletionProcess
        | ErrorCode::ActiveIdentityDeletionProcessAlreadyExists
        | ErrorCode::InvalidPropertyValue
        | ErrorCode::PlatformInvalidId
        | ErrorCode::PlatformInvalidPropertyValue
        | ErrorCode::OnlyOneActiveDeletionProcessAllowed
        | ErrorCode::DeletionProcessIsNotInRequiredStatus
        | ErrorCode::GracePeriodHasAlreadyExpired
        | ErrorCode::GracePeriodHasNotYetExpired
        | ErrorCode::InvalidJsonInPayload
        | ErrorCode::IdempotencyKeyInvalid => StatusCode::BAD_REQUEST,
        ErrorCode::PlatformUnauthorized | ErrorCode::ConnectorUnauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::PlatformForbidden | ErrorCode::ConnectorForbidden => StatusCode::FORBIDDEN,
        ErrorCode::RecordNotFound | ErrorCode::PlatformRecordNotFound | ErrorCode::RouteDoesNotExist => {
            StatusCode::NOT_FOUND
        }
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Overloaded
        | ErrorCode::TimedOut
        | ErrorCode::ClockBehind
        | ErrorCode::ClocksDisagree
        | ErrorCode::DatabaseConflict
        | ErrorCode::DatabaseReadOnly
        | ErrorCode::DatabaseUnavailable
        | ErrorCode::IssuerUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A JSON document of something that always can be one.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn the_documentation_has_the_status_of_every_code() {
        let page = include_str!("../../../docs/error-codes.md");
        let documented: HashMap<&str, &str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
            .filter_map(|(code, rest)| Some((code, rest.split(" | ").nth(1)?)))
            .collect();
        for code in ErrorCode::ALL {
            let documented = documented[code.as_str()];
            // What only a command line meets has no status.
            assert!(documented == status(*code).as_str() || documented == "–", "{code}: {documented}");
        }
    }

    #[test]
    fn clients_of_a_backbone_get_no_code_of_the_runtime_or_the_connector() {
        for code in ErrorCode::ALL {
            let code = Refusal::new(*code, "").for_backbone().code;
            let route =
                [ErrorCode::RouteDoesNotExist, ErrorCode::MethodNotAllowed, ErrorCode::InvalidJsonInPayload];
            let text = code.as_str();
            assert!(
                route.contains(&code)
                    || !(text.starts_with("error.runtime") || text.starts_with("error.connector")),
                "{text}"
            );
        }
    }
}
