//! What whoever runs the service may see, with an API key that has the scope `admin`. Read only.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reprieve_application::ports::Page;
use reprieve_application::{Coded, ErrorCode};
use reprieve_domain::{DeletionProcess, DeletionProcessId, Timestamp};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Service;
use crate::callers::Admin;
use crate::data::{
    AuditLogEntry, AuditedProcess, BackboneProcess, Envelope, FiguresData, ListedProcess, ProcessPage,
    ProcessStatus,
};
use crate::metrics::outcome;
use crate::openapi::AdminRefusals;
use crate::refusal::Refusal;

/// The most processes on one page.
const MAX_LIMIT: u32 = 1000;
const DEFAULT_LIMIT: u32 = 100;

/// The routes and their documentation.
pub(crate) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(processes_of_identity))
        .routes(routes!(audit_logs))
        .routes(routes!(process))
        .routes(routes!(all_processes))
        .routes(routes!(figures))
}

/// Show every process of an identity
///
/// Oldest first. An identity that was never heard of has none.
#[utoipa::path(
    get, path = "/api/v1/Identities/{address}/DeletionProcesses", tag = "Admin", operation_id = "processesOfIdentity",
    security(("apiKey" = [])),
    params(("address" = String, Path, description = "A DID", example = "did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f77")),
    responses((status = 200, description = "The processes", body = Envelope<Vec<BackboneProcess>>), AdminRefusals),
)]
async fn processes_of_identity(
    _: Admin,
    State(service): State<Arc<Service>>,
    Path(address): Path<String>,
) -> Result<Json<Envelope<Vec<BackboneProcess>>>, Refusal> {
    let result = service.use_cases.inspect_identity.execute(&address).await;
    let processes = outcome("inspect_identity", result).map_err(refused)?;
    Ok(Json(Envelope { result: processes.iter().map(BackboneProcess::from).collect() }))
}

/// Show one process of an identity with its audit log
#[utoipa::path(
    get, path = "/api/v1/Identities/{address}/DeletionProcesses/{id}", tag = "Admin", operation_id = "processOfIdentity",
    security(("apiKey" = [])),
    params(
        ("address" = String, Path, description = "A DID", example = "did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f77"),
        ("id" = String, Path, description = "`IDP` and 17 letters and digits", example = "IDP0aB1cD2eF3gH4iJ5k"),
    ),
    responses((status = 200, description = "The process", body = Envelope<AuditedProcess>), AdminRefusals),
)]
async fn process(
    _: Admin,
    State(service): State<Arc<Service>>,
    Path((address, id)): Path<(String, String)>,
) -> Result<Json<Envelope<AuditedProcess>>, Refusal> {
    if let Err(error) = id.parse::<DeletionProcessId>() {
        return Err(Refusal::new(ErrorCode::PlatformInvalidId, error.to_string()));
    }
    let result = service.use_cases.inspect_process.execute(&address, &id).await;
    let (process, entries) = outcome("inspect_process", result).map_err(refused)?;
    Ok(Json(Envelope { result: AuditedProcess::new(&process, entries)? }))
}

/// Show the audit log of an identity
///
/// Oldest entry first, also after the identity is gone.
#[utoipa::path(
    get, path = "/api/v1/Identities/{address}/DeletionProcesses/AuditLogs", tag = "Admin", operation_id = "auditLogs",
    security(("apiKey" = [])),
    params(("address" = String, Path, description = "A DID", example = "did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f77")),
    responses((status = 200, description = "The entries", body = Envelope<Vec<AuditLogEntry>>), AdminRefusals),
)]
async fn audit_logs(
    _: Admin,
    State(service): State<Arc<Service>>,
    Path(address): Path<String>,
) -> Result<Json<Envelope<Vec<AuditLogEntry>>>, Refusal> {
    let result = service.use_cases.inspect_audit_logs.execute(&address).await;
    let entries = outcome("inspect_audit_logs", result).map_err(refused)?;
    let result = entries.into_iter().map(AuditLogEntry::try_from).collect::<Result<_, _>>()?;
    Ok(Json(Envelope { result }))
}

/// What the query over all processes may say.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AllQuery {
    status: Option<String>,
    ends_before: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

/// Show the processes of all identities, page by page
///
/// In the order of their deadlines.
#[utoipa::path(
    get, path = "/api/v1/DeletionProcesses", tag = "Admin", operation_id = "allProcesses",
    security(("apiKey" = [])),
    params(
        ("status" = Option<ProcessStatus>, Query, description = "Only processes with this status"),
        ("endsBefore" = Option<String>, Query, description = "Only processes whose grace period ends, or ended, before this instant (RFC 3339)", example = "2026-12-07T20:03:07Z"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "How many on a page: 1 to 1000, 100 unless said", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "The page", body = Envelope<ProcessPage>), AdminRefusals),
)]
async fn all_processes(
    _: Admin,
    State(service): State<Arc<Service>>,
    query: Result<Query<AllQuery>, QueryRejection>,
) -> Result<Json<Envelope<ProcessPage>>, Refusal> {
    let Query(query) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    let result = service.use_cases.list_all.execute(page(query)?).await;
    let (processes, is_more) = outcome("list_all", result).map_err(refused)?;
    let next_cursor = processes.last().filter(|_| is_more).map(cursor_after);
    let deletion_processes = processes.iter().map(ListedProcess::from).collect();
    Ok(Json(Envelope { result: ProcessPage { deletion_processes, next_cursor } }))
}

/// Count the processes that need something
#[utoipa::path(
    get, path = "/api/v1/DeletionProcesses/Figures", tag = "Admin", operation_id = "figures",
    security(("apiKey" = [])),
    responses((status = 200, description = "The figures", body = Envelope<FiguresData>), AdminRefusals),
)]
async fn figures(
    _: Admin,
    State(service): State<Arc<Service>>,
) -> Result<Json<Envelope<FiguresData>>, Refusal> {
    let result = service.use_cases.figures.execute().await;
    let figures = outcome("figures", result).map_err(refused)?;
    Ok(Json(Envelope { result: figures.into() }))
}

fn refused(error: impl Coded) -> Refusal {
    Refusal::from(error).for_backbone()
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::PlatformInvalidPropertyValue, message)
}

fn page(query: AllQuery) -> Result<Page, Refusal> {
    let AllQuery { status, ends_before, cursor, limit } = query;
    let limit = match limit {
        None => DEFAULT_LIMIT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| invalid(format!("limit must be a number from 1 to {MAX_LIMIT}")))?,
    };
    Ok(Page {
        status: status
            .map(|text| text.parse())
            .transpose()
            .map_err(|error| invalid(format!("status: {error}")))?,
        ends_before: ends_before
            .map(|text| text.parse())
            .transpose()
            .map_err(|error| invalid(format!("endsBefore: {error}")))?,
        after: cursor
            .map(|text| {
                read_cursor(&text).ok_or_else(|| invalid("cursor is not one that this service gave out"))
            })
            .transpose()?,
        limit,
    })
}

/// Where the next page begins. The text means nothing to anybody but this service.
fn cursor_after(process: &DeletionProcess) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {}", process.grace_period_ends_at().unix_micros(), process.id()))
}

fn read_cursor(text: &str) -> Option<(Timestamp, DeletionProcessId)> {
    let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (micros, id) = decoded.split_once(' ')?;
    Some((Timestamp::from_unix_micros(micros.parse().ok()?).ok()?, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_query_makes_reading_it_panic(
            status in prop::option::of(".*"), ends_before in prop::option::of(".*"),
            cursor in prop::option::of(".*"), limit in prop::option::of(".*"),
        ) {
            let _ = page(AllQuery { status, ends_before, cursor, limit });
        }
    }

    #[test]
    fn a_cursor_survives_being_given_out() {
        let process = crate::test_data::active();
        let expected = (process.grace_period_ends_at(), process.id().clone());
        assert_eq!(read_cursor(&cursor_after(&process)), Some(expected));
        for text in [
            "",
            "AA",
            "!",
            &URL_SAFE_NO_PAD.encode("1 IDP"),
            &URL_SAFE_NO_PAD.encode("x IDP0123456789abcdefg"),
        ] {
            assert_eq!(read_cursor(text), None);
        }
    }
}
