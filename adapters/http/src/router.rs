//! The routes, and what stands around all of them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header};
use axum::response::Html;
use axum::routing::get;

use axum::{Router, middleware};
use tower::util::option_layer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::authentication::API_KEY_HEADER;
use crate::context::context;
use crate::idempotency::IDEMPOTENCY_KEY;
use crate::limits::concurrent_requests;
use crate::{Service, admin, connector, consumer, docs, holds, operations};

/// The OpenAPI 3.1 document of the service.
#[must_use]
pub fn document() -> OpenApi {
    routes().into_openapi()
}

/// Routes whose requests count as work; the others must be answered whatever the load.
fn work() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(crate::openapi::document())
        .merge(consumer::routes())
        .merge(connector::routes())
        .merge(admin::routes())
        .merge(holds::routes())
}

fn routes() -> OpenApiRouter<Arc<Service>> {
    work().merge(operations::routes())
}

/// The whole service.
pub(crate) fn router(service: &Arc<Service>) -> Router {
    let document = document();
    // One text for all who read it.
    let page = Bytes::from(docs::page(&document));
    let json = Bytes::from(crate::refusal::json(&document));
    let documentation = Router::new()
        .route("/openapi.json", get(|| async { ([(header::CONTENT_TYPE, "application/json")], json) }))
        .route("/docs", get(|| async { Html(page) }));
    let limited = middleware::from_fn_with_state(service.clone(), concurrent_requests);
    let (work, _) = work().split_for_parts();
    let (operations, _) = if service.settings.operations_apart {
        operations::health_routes().split_for_parts()
    } else {
        operations::routes().split_for_parts()
    };
    in_context(
        work.layer(limited).merge(operations).with_state(service.clone()).merge(documentation),
        service,
    )
}

/// Health and metrics alone.
pub(crate) fn operations_router(service: &Arc<Service>) -> Router {
    let (operations, _) = operations::routes().split_for_parts();
    in_context(operations.with_state(service.clone()), service)
}

fn in_context(router: Router, service: &Arc<Service>) -> Router {
    router
        // Each call of `layer` puts every request and every answer into further boxes. The first is the outermost.
        .layer((
            middleware::from_fn_with_state(service.clone(), context),
            option_layer(cors(&service.settings.allowed_origins)),
            DefaultBodyLimit::max(service.settings.body_bytes),
        ))
}

/// Off, that is without any header that would let a page of another origin read an answer, unless origins are named.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    // A list by itself would panic at a wildcard.
    let is_allowed = move |origin: &HeaderValue, _: &Parts| origins.contains(origin);
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_allowed))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, API_KEY_HEADER, IDEMPOTENCY_KEY]);
    Some(layer)
}
