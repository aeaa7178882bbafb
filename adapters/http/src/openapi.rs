//! The OpenAPI document. Routes and data are documented where they are defined; here is what all of them share: how to
//! authenticate, and how each can be refused.

use std::collections::BTreeMap;

use reprieve_application::ErrorCode;
use serde_json::json;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, OpenApi as _};

use crate::refusal::{ErrorEnvelope, status};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Reprieve",
        description = "Reversible identity deletion: an identity asks to be deleted, and can cancel until its grace period ends. \
            Every failure has a stable code."
    ),
    components(schemas(ErrorEnvelope<'static>)),
    tags(
        (name = "Identities", description = "As enmeshed's Backbone: each identity acts on its own processes, with a bearer token."),
        (name = "Connector", description = "As enmeshed's Connector: the own identity, on behalf of whoever has an API key with the scope core."),
        (name = "Admin", description = "For whoever runs the service, with an API key that has the scope admin. Read only."),
        (name = "Operators", description = "For operators with an API key that has the scope operate: suspending deletions."),
        (name = "Operations", description = "For whatever keeps the service running.")
    )
)]
struct Document;

/// The document before the routes are added.
pub(crate) fn document() -> OpenApi {
    let mut document = Document::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(
        "bearer",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .description(Some("A token of the issuer, or one that the identity has signed itself."))
                .build(),
        ),
    );
    components.add_security_scheme(
        "apiKey",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
            "X-API-KEY",
            "A key of the service's configuration.",
        ))),
    );
    document
}

/// How any request can fail.
const ANY: [ErrorCode; 15] = [
    ErrorCode::PayloadTooLarge,
    ErrorCode::TooManyRequests,
    ErrorCode::Overloaded,
    ErrorCode::TimedOut,
    ErrorCode::DatabaseConflict,
    ErrorCode::DatabaseCorrupt,
    ErrorCode::DatabaseFull,
    ErrorCode::DatabaseNewer,
    ErrorCode::DatabaseNotMigrated,
    ErrorCode::DatabaseReadOnly,
    ErrorCode::DatabaseUnavailable,
    ErrorCode::IssuerUnavailable,
    ErrorCode::RouteDoesNotExist,
    ErrorCode::MethodNotAllowed,
    ErrorCode::SystemFailed,
];

/// How a request of the Connector's routes can be refused.
pub(crate) struct ConnectorRefusals;

/// How a request of the identities' routes can be refused.
pub(crate) struct ConsumerRefusals;

/// How a request of the admin's routes can be refused.
pub(crate) struct AdminRefusals;

/// How a request for metrics can be refused.
pub(crate) struct OperationsRefusals;

impl IntoResponses for OperationsRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses([ErrorCode::TooManyRequests, ErrorCode::Overloaded, ErrorCode::RouteDoesNotExist])
    }
}

impl IntoResponses for ConnectorRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&[
            ErrorCode::NoActiveIdentityDeletionProcess,
            ErrorCode::ActiveIdentityDeletionProcessAlreadyExists,
            ErrorCode::GracePeriodHasAlreadyExpired,
            ErrorCode::InvalidPropertyValue,
            ErrorCode::InvalidJsonInPayload,
            ErrorCode::IdempotencyKeyInvalid,
            ErrorCode::IdempotencyKeyReused,
            ErrorCode::ClockBehind,
            ErrorCode::ClocksDisagree,
            ErrorCode::ConnectorUnauthorized,
            ErrorCode::ConnectorForbidden,
        ])
    }
}

impl IntoResponses for ConsumerRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&[
            ErrorCode::OnlyOneActiveDeletionProcessAllowed,
            ErrorCode::DeletionProcessIsNotInRequiredStatus,
            ErrorCode::GracePeriodHasAlreadyExpired,
            ErrorCode::PlatformInvalidId,
            ErrorCode::PlatformInvalidPropertyValue,
            ErrorCode::PlatformRecordNotFound,
            ErrorCode::PlatformUnauthorized,
            ErrorCode::PlatformForbidden,
            ErrorCode::ClockBehind,
            ErrorCode::ClocksDisagree,
            ErrorCode::IdempotencyKeyInvalid,
            ErrorCode::IdempotencyKeyReused,
        ])
    }
}

impl IntoResponses for AdminRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&[
            ErrorCode::PlatformInvalidId,
            ErrorCode::PlatformInvalidPropertyValue,
            ErrorCode::PlatformRecordNotFound,
            ErrorCode::PlatformUnauthorized,
            ErrorCode::PlatformForbidden,
        ])
    }
}

/// One response a status, with an example for every code that comes with it.
fn refusals(codes: &[ErrorCode]) -> BTreeMap<String, RefOr<Response>> {
    responses(codes.iter().copied().chain(ANY))
}

fn responses(codes: impl IntoIterator<Item = ErrorCode>) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes {
        by_status.entry(status(code).as_str().to_owned()).or_default().push(code);
    }
    let response = |codes: Vec<ErrorCode>| {
        let mut content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error")));
        for code in &codes {
            let example = json!({"error": {
                "id": "ERRq7fGh2KpZ0aXc93Lm", "code": code.as_str(), "message": "…", "docs": "",
                "time": "2026-12-07T20:03:07.123456Z", "data": null,
            }});
            content = content
                .examples_from_iter([(code.as_str(), ExampleBuilder::new().value(Some(example)).build())]);
        }
        let listed: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        ResponseBuilder::new()
            .description(listed.join(", "))
            .content("application/json", content.build())
            .build()
    };
    by_status.into_iter().map(|(status, codes)| (status, response(codes).into())).collect()
}
