//! The routes of enmeshed's Backbone for identities: each acts on its own processes, with a bearer token.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use reprieve_application::{Answer, Caller, ErrorCode, IdempotentRequest, Recording};
use reprieve_domain::{DeletionProcess, DeletionProcessId};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Service;
use crate::callers::{CancellingIdentity, Identity};
use crate::data::{BackboneProcess, Envelope};
use crate::idempotency::{idempotent_request, respond};
use crate::limits::is_timely;
use crate::metrics::outcome;
use crate::openapi::ConsumerRefusals;
use crate::refusal::Refusal;
use crate::server::Origin;

/// The routes and their documentation.
pub(crate) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(initiate, list)).routes(routes!(get)).routes(routes!(cancel))
}

/// What the body of an initiation may say.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct InitiateBody {
    /// How long it can be cancelled, in days; fractions are allowed. The deployment's default and bounds apply.
    #[schema(example = 14)]
    length_of_grace_period_in_days: Option<f64>,
}

/// A body that says nothing.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct EmptyBody {}

/// Ask for the calling identity to be deleted
///
/// Creates an Active process. Until its grace period ends it can be cancelled.
#[utoipa::path(
    post, path = "/api/v2/Identities/Self/DeletionProcesses", tag = "Identities", operation_id = "initiate",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Names this request: the same key and request get the same answer for 24 hours.", example = "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"")),
    request_body(content = Option<InitiateBody>, description = "May be left out."),
    responses((status = 201, description = "The new process", body = Envelope<BackboneProcess>), ConsumerRefusals),
)]
async fn initiate(
    Identity(caller): Identity,
    State(service): State<Arc<Service>>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    may_initiate(&service, &caller, &origin)?;
    let days = read::<InitiateBody>(&body)?.length_of_grace_period_in_days;
    let content = [b"initiate".as_slice(), &days.map(f64::to_be_bytes).unwrap_or_default()];
    let address = &caller.address;
    let request = idempotent_request(&service, &headers, address.as_str(), address, &content)?;
    let recording = request.as_ref().map(|request| Recording { request, answer: &created });
    let operation = async {
        let result = service.use_cases.initiate.execute_recorded(&caller, days, recording.as_ref()).await;
        outcome("initiate", result).map_err(refused)
    };
    respond(&service.use_cases.answer_once, &service, request.as_ref(), operation, &created).await
}

/// Show every process of the calling identity
///
/// Oldest first, cancelled ones included.
#[utoipa::path(
    get, path = "/api/v2/Identities/Self/DeletionProcesses", tag = "Identities", operation_id = "list",
    security(("bearer" = [])),
    responses((status = 200, description = "The processes", body = Envelope<Vec<BackboneProcess>>), ConsumerRefusals),
)]
async fn list(
    Identity(caller): Identity,
    State(service): State<Arc<Service>>,
) -> Result<Json<Envelope<Vec<BackboneProcess>>>, Refusal> {
    let result = service.use_cases.list.execute(&caller).await;
    let processes = outcome("list", result).map_err(refused)?;
    Ok(Json(Envelope { result: processes.iter().map(BackboneProcess::from).collect() }))
}

/// Show one process of the calling identity
#[utoipa::path(
    get, path = "/api/v2/Identities/Self/DeletionProcesses/{id}", tag = "Identities", operation_id = "get",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`IDP` and 17 letters and digits", example = "IDP0aB1cD2eF3gH4iJ5k")),
    responses((status = 200, description = "The process", body = Envelope<BackboneProcess>), ConsumerRefusals),
)]
async fn get(
    Identity(caller): Identity,
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
) -> Result<Json<Envelope<BackboneProcess>>, Refusal> {
    check_id(&id)?;
    let result = service.use_cases.get.execute(&caller, &id).await;
    let process = outcome("get", result).map_err(refused)?;
    Ok(Json(Envelope { result: (&process).into() }))
}

/// Cancel a deletion
///
/// Possible while the process is Active and its grace period has not ended.
#[utoipa::path(
    put, path = "/api/v2/Identities/Self/DeletionProcesses/{id}/Cancel", tag = "Identities", operation_id = "cancel",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "`IDP` and 17 letters and digits", example = "IDP0aB1cD2eF3gH4iJ5k"),
        ("Idempotency-Key" = Option<String>, Header, description = "Names this request: the same key and request get the same answer for 24 hours.", example = "\"8e03978e-40d5-43e8-bc93-6894a57f9324\""),
    ),
    request_body(content = Option<EmptyBody>, description = "May be left out."),
    responses((status = 200, description = "The cancelled process", body = Envelope<BackboneProcess>), ConsumerRefusals),
)]
async fn cancel(
    CancellingIdentity(caller, too_often): CancellingIdentity,
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    read::<EmptyBody>(&body)?;
    check_id(&id)?;
    let address = &caller.address;
    let content = [b"cancel".as_slice(), id.as_bytes()];
    let request = idempotent_request(&service, &headers, address.as_str(), address, &content)?;
    let recording = request.as_ref().map(cancelling);
    let operation = async {
        is_timely(&service, &caller, too_often).await?;
        let result =
            service.use_cases.cancelling.cancel_by_id.execute(&caller, &id, recording.as_ref()).await;
        outcome("cancel", result).map_err(refused)
    };
    respond(&service.use_cases.cancelling.answer_once, &service, request.as_ref(), operation, &shown).await
}

/// Whether identities of this host may ask to be deleted, and others of the peer have not just done so. Addresses are free, so
/// that what one identity may do limits nobody. Looking back and cancelling is open to whoever has something to cancel.
fn may_initiate(service: &Service, caller: &Caller, origin: &Origin) -> Result<(), Refusal> {
    let domains = &service.settings.identity_domains;
    let domain = domain_of(caller.address.as_str());
    if !domains.is_empty() && !domains.iter().any(|known| domain == Some(known)) {
        let message = "identities of this domain cannot ask to be deleted here";
        return Err(Refusal::new(ErrorCode::PlatformForbidden, message));
    }
    service.initiations.check(&origin.peer)
}

/// The host in an address of the methods that have one.
fn domain_of(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("did:e:").or_else(|| address.strip_prefix("did:web:"))?;
    rest.split(':').next()
}

fn created(process: &DeletionProcess) -> Answer {
    Envelope::answer(StatusCode::CREATED.as_u16(), BackboneProcess::from(process))
}

fn shown(process: &DeletionProcess) -> Answer {
    Envelope::answer(StatusCode::OK.as_u16(), BackboneProcess::from(process))
}

fn cancelling(request: &IdempotentRequest) -> Recording<'_> {
    Recording { request, answer: &shown }
}

fn refused(error: impl reprieve_application::Coded) -> Refusal {
    Refusal::from(error).for_backbone()
}

/// A Backbone tells a malformed id from any other malformed input.
fn check_id(id: &str) -> Result<(), Refusal> {
    match id.parse::<DeletionProcessId>() {
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::new(ErrorCode::PlatformInvalidId, error.to_string())),
    }
}

/// A JSON object, or nothing.
pub(crate) fn read<'a, T: Default + Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    let object = serde_json::from_slice::<&serde_json::value::RawValue>(body)
        .ok()
        .filter(|value| value.get().starts_with('{'))
        .and_then(|value| serde_json::from_str(value.get()).ok());
    object.ok_or_else(|| {
        let message = "the body must be a JSON object with members of the documented types";
        Refusal::new(ErrorCode::PlatformInvalidPropertyValue, message)
    })
}

#[cfg(test)]
mod tests {
    use super::domain_of;

    #[test]
    fn the_domain_of_an_address_is_the_host_in_it() {
        for (address, domain) in [
            ("did:e:localhost:dids:a1f2faf7a66ed4261a3981", Some("localhost")),
            ("did:web:example.org:users:42", Some("example.org")),
            ("did:web:example.org", Some("example.org")),
            ("did:key:z6Mk", None),
        ] {
            assert_eq!(domain_of(address), domain, "{address}");
        }
    }
}
