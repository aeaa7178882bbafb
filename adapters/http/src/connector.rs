//! The routes of enmeshed's Connector: the own identity, on behalf of whoever has an API key.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use reprieve_application::{Answer, ErrorCode};
use reprieve_domain::DeletionProcess;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Service;
use crate::callers::{CancellingCore, Core};
use crate::data::{ConnectorProcess, Envelope};
use crate::idempotency::{idempotent_request, respond};
use crate::limits::is_timely;
use crate::metrics::outcome;
use crate::openapi::ConnectorRefusals;
use crate::refusal::Refusal;

/// The routes and their documentation.
pub(crate) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(initiate, get_active, cancel))
}

/// What the query of an initiation may say.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitiateQuery {
    length_of_grace_period_in_days: Option<String>,
}

/// Ask for the own identity to be deleted
///
/// Creates an Active process. Until its grace period ends it can be cancelled.
#[utoipa::path(
    post, path = "/api/core/v1/IdentityDeletionProcess", tag = "Connector", operation_id = "initiateOwn",
    security(("apiKey" = [])),
    params(
        ("lengthOfGracePeriodInDays" = Option<f64>, Query, description = "How long it can be cancelled, in days; fractions are allowed. The deployment's default and bounds apply.", example = 14),
        ("Idempotency-Key" = Option<String>, Header, description = "Names this request: the same key and request get the same answer for 24 hours.", example = "\"8e03978e-40d5-43e8-bc93-6894a57f9324\""),
    ),
    responses((status = 200, description = "The new process", body = Envelope<ConnectorProcess>), ConnectorRefusals),
)]
async fn initiate(
    Core(key): Core,
    State(service): State<Arc<Service>>,
    query: Result<Query<InitiateQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let invalid = |message: String| Refusal::new(ErrorCode::InvalidPropertyValue, message);
    let Query(query) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    check_json(&body)?;
    let length = query.length_of_grace_period_in_days.as_deref();
    let days = length
        .map(str::parse::<f64>)
        .transpose()
        .map_err(|_| invalid("lengthOfGracePeriodInDays must be a number of days".to_owned()))?;
    let own = &service.own;
    let content = [b"initiate".as_slice(), length.unwrap_or_default().as_bytes()];
    let request = idempotent_request(&service, &headers, &format!("core {key}"), &own.address, &content)?;
    let recording = request.as_ref().map(|request| recording(request));
    let operation = async {
        let result = service.use_cases.initiate.execute_recorded(own, days, recording.as_ref()).await;
        Ok(outcome("initiate", result)?)
    };
    respond(&service.use_cases.answer_once, &service, request.as_ref(), operation, &answer).await
}

/// Show the Active process of the own identity
#[utoipa::path(
    get, path = "/api/core/v1/IdentityDeletionProcess", tag = "Connector", operation_id = "getOwnActive",
    security(("apiKey" = [])),
    responses((status = 200, description = "The Active process", body = Envelope<ConnectorProcess>), ConnectorRefusals),
)]
async fn get_active(
    _: Core,
    State(service): State<Arc<Service>>,
) -> Result<Json<Envelope<ConnectorProcess>>, Refusal> {
    let result = service.use_cases.get_active.execute(&service.own).await;
    let process = outcome("get_active", result)?;
    Ok(Json(Envelope { result: (&process).into() }))
}

/// Cancel the deletion of the own identity
///
/// Possible until the grace period ends.
#[utoipa::path(
    delete, path = "/api/core/v1/IdentityDeletionProcess", tag = "Connector", operation_id = "cancelOwn",
    security(("apiKey" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Names this request: the same key and request get the same answer for 24 hours.", example = "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"")),
    responses((status = 200, description = "The cancelled process", body = Envelope<ConnectorProcess>), ConnectorRefusals),
)]
async fn cancel(
    CancellingCore(key, too_often): CancellingCore,
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    check_json(&body)?;
    let own = &service.own;
    let request = idempotent_request(&service, &headers, &format!("core {key}"), &own.address, &[b"cancel"])?;
    let recording = request.as_ref().map(|request| recording(request));
    let operation = async {
        is_timely(&service, own, too_often).await?;
        let result = service.use_cases.cancelling.cancel.execute_recorded(own, recording.as_ref()).await;
        Ok(outcome("cancel", result)?)
    };
    respond(&service.use_cases.cancelling.answer_once, &service, request.as_ref(), operation, &answer).await
}

fn answer(process: &DeletionProcess) -> Answer {
    Envelope::answer(StatusCode::OK.as_u16(), ConnectorProcess::from(process))
}

fn recording(request: &reprieve_application::IdempotentRequest) -> reprieve_application::Recording<'_> {
    reprieve_application::Recording { request, answer: &answer }
}

/// These requests need no body; one that is there must at least be JSON.
fn check_json(body: &[u8]) -> Result<(), Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        Ok(_) => Ok(()),
        Err(_) => Err(Refusal::new(ErrorCode::InvalidJsonInPayload, "the body is not valid JSON")),
    }
}
