//! For whoever, or whatever, keeps the service running.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use reprieve_application::Coded;
use reprieve_application::ports::Pause;
use reprieve_domain::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Service;
use crate::finish::finish;
use crate::limits::origin;
use crate::openapi::OperationsRefusals;
use crate::permits::Kept;
use crate::refusal::Refusal;

/// The routes and their documentation.
pub(crate) fn routes() -> OpenApiRouter<Arc<Service>> {
    health_routes().routes(routes!(metrics))
}

/// Those that a client of the service may ask as well.
pub(crate) fn health_routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HealthData {
    /// `up` or `down`
    #[schema(example = "up")]
    status: &'static str,
    /// The error code of what is wrong, if anything is.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The workers that cannot do their work at the moment. Cancellations are served all the same.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<Vec<WorkerData>>,
    /// The pause of deletions that is in force. Everything else goes on.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<PauseData>,
    /// How many deletions are left to later passes because `deletions.most_per_hour` is reached.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    over_limit: Option<u64>,
}

/// A pause of deletions. One that does not verify has neither instant nor reason.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PauseData {
    /// Since when.
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// What the operator gave as the reason.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Pause> for PauseData {
    fn from(pause: Pause) -> Self {
        match pause {
            Pause::Ordered { since, reason } | Pause::Lost { since, reason } => {
                Self { since: Some(since), reason: Some(reason.to_string()) }
            }
            Pause::Unverified => Self { since: None, reason: None },
        }
    }
}

/// A worker that cannot do its work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkerData {
    /// The kind of work.
    #[schema(example = "erasures")]
    worker: &'static str,
    /// The error code; the log has the message.
    #[schema(example = "error.reprieve.journal.unavailable")]
    code: &'static str,
}

/// Whether the program runs
#[utoipa::path(
    get, path = "/health/live", tag = "Operations", operation_id = "live", security(),
    responses((status = 200, description = "It runs", body = HealthData)),
)]
async fn live() -> Json<HealthData> {
    Json(HealthData { status: "up", code: None, workers: None, paused: None, over_limit: None })
}

/// Whether requests can be answered
///
/// The database is reached, migrated to this version, and can be written to.
#[utoipa::path(
    get, path = "/health/ready", tag = "Operations", operation_id = "ready", security(),
    responses(
        (status = 200, description = "They can", body = HealthData),
        (status = 503, description = "They cannot", body = HealthData),
    ),
)]
async fn ready(State(service): State<Arc<Service>>) -> (StatusCode, Json<HealthData>) {
    let limit = service.settings.request_timeout;
    let checked = service.clone();
    let check = finish(async move { checked.use_cases.health.execute().await });
    match tokio::time::timeout(limit, check).await {
        Ok(Some(health)) => match health.store {
            Ok(()) => {
                let problems = (service.workers)().into_iter();
                let workers: Vec<_> =
                    problems.map(|(worker, code)| WorkerData { worker, code: code.as_str() }).collect();
                let workers = (!workers.is_empty()).then_some(workers);
                let paused = health.pause.map(PauseData::from);
                let over_limit = Some((service.over_limit)()).filter(|count| *count > 0);
                let data = HealthData { status: "up", code: None, workers, paused, over_limit };
                (StatusCode::OK, Json(data))
            }
            Err(error) => {
                tracing::warn!(%error, "not ready");
                down(error.code().as_str())
            }
        },
        Ok(None) | Err(_) => down(reprieve_application::ErrorCode::TimedOut.as_str()),
    }
}

fn down(code: &'static str) -> (StatusCode, Json<HealthData>) {
    let data = HealthData { status: "down", code: Some(code), workers: None, paused: None, over_limit: None };
    (StatusCode::SERVICE_UNAVAILABLE, Json(data))
}

/// What was measured, for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "Operations", operation_id = "metrics", security(),
    responses(
        (status = 200, description = "The metrics", content_type = "text/plain", body = String),
        OperationsRefusals,
    ),
)]
async fn metrics(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<impl IntoResponse, Refusal> {
    // Whoever does not read them keeps them in memory.
    let permit = service.permits.metrics(&origin(request.extensions())?).await?;
    let (limit, metrics) = (service.settings.request_timeout, service.metrics.clone());
    let count = finish(async move { service.metrics.count(&service).await });
    // If they are not counted in time, the figures stay what they were and everything else is told all the same.
    if tokio::time::timeout(limit, count).await.is_err() {
        tracing::warn!("the figures were not counted in time");
    }
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((Extension(Kept::new(permit)), headers, metrics.render()))
}
