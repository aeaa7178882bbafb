//! What operators do, with an API key that has the scope `operate`: they suspend the deletion of an identity.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use reprieve_application::use_cases::NewHold;
use reprieve_application::{Coded, ErrorCode};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Service;
use crate::callers::Operator;
use crate::consumer::read;
use crate::data::{Envelope, HeldData, HoldData};
use crate::metrics::outcome;
use crate::openapi::AdminRefusals;
use crate::refusal::Refusal;

/// The routes and their documentation.
pub(crate) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(all_holds)).routes(routes!(place, release))
}

/// A hold to be placed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlaceHoldBody {
    /// The first instant at which it is not in force any more, at most a year from now (RFC 3339).
    #[schema(format = DateTime, example = "2026-12-24T12:00:00.000000Z")]
    until: String,
    /// One line for other operators. It is removed with the identity.
    note: Option<String>,
    /// Whether the identity does not see it.
    #[serde(default)]
    silent: bool,
}

/// What the query over holds may say.
#[derive(Debug, Deserialize)]
struct HoldsQuery {
    address: Option<String>,
}

/// Show the holds that are in force
///
/// At most 1000, in the order of addresses and codes.
#[utoipa::path(
    get, path = "/api/v1/Holds", tag = "Operators", operation_id = "holds",
    security(("apiKey" = [])),
    params(("address" = Option<String>, Query, description = "Only those of this identity", example = "did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f77")),
    responses((status = 200, description = "The holds", body = Envelope<Vec<HoldData>>), AdminRefusals),
)]
async fn all_holds(
    _: Operator,
    State(service): State<Arc<Service>>,
    query: Result<Query<HoldsQuery>, QueryRejection>,
) -> Result<Json<Envelope<Vec<HoldData>>>, Refusal> {
    let Query(HoldsQuery { address }) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    let address = address.map(|address| parse("address", &address)).transpose()?;
    let result = service.use_cases.holds.list(address.as_ref()).await;
    let holds = outcome("list_holds", result).map_err(refused)?;
    Ok(Json(Envelope { result: holds.into_iter().map(HoldData::from).collect() }))
}

/// Suspend the deletion of an identity until an instant
///
/// A hold with the same code is changed. What the identity asks for until then begins suspended.
#[utoipa::path(
    put, path = "/api/v1/Identities/{address}/Holds/{code}", tag = "Operators", operation_id = "placeHold",
    security(("apiKey" = [])),
    params(
        ("address" = String, Path, description = "A DID", example = "did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f77"),
        ("code" = String, Path, description = "Why: 1 to 64 letters, digits and `.-_`", example = "legal"),
    ),
    request_body(content = PlaceHoldBody),
    responses((status = 200, description = "The hold", body = Envelope<HeldData>), AdminRefusals),
)]
async fn place(
    _: Operator,
    State(service): State<Arc<Service>>,
    Path((address, code)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Envelope<HeldData>>, Refusal> {
    let PlaceHoldBody { until, note, silent } = read(&body)?;
    let new = NewHold {
        address: parse("address", &address)?,
        code: parse("code", &code)?,
        ends_at: parse("until", &until)?,
        is_silent: silent,
        note: note.map(|note| parse("note", &note)).transpose()?,
    };
    let result = service.use_cases.holds.place(&new).await;
    let held = outcome("place_hold", result).map_err(refused)?;
    Ok(Json(Envelope { result: held.into() }))
}

/// End a hold now
///
/// Past the promised date of a deletion, seven days are left to cancel it.
#[utoipa::path(
    delete, path = "/api/v1/Identities/{address}/Holds/{code}", tag = "Operators", operation_id = "releaseHold",
    security(("apiKey" = [])),
    params(
        ("address" = String, Path, description = "A DID", example = "did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f77"),
        ("code" = String, Path, description = "The code of the hold", example = "legal"),
    ),
    responses((status = 200, description = "The hold as it has ended", body = Envelope<HeldData>), AdminRefusals),
)]
async fn release(
    _: Operator,
    State(service): State<Arc<Service>>,
    Path((address, code)): Path<(String, String)>,
) -> Result<Json<Envelope<HeldData>>, Refusal> {
    let (address, code) = (parse("address", &address)?, parse("code", &code)?);
    let result = service.use_cases.holds.release(&address, &code, None).await;
    let held = outcome("release_hold", result).map_err(refused)?;
    Ok(Json(Envelope { result: held.into() }))
}

fn refused(error: impl Coded) -> Refusal {
    Refusal::from(error).for_backbone()
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::PlatformInvalidPropertyValue, message)
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|error| invalid(format!("{name}: {error}")))
}
