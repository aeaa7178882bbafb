//! Who calls: extractors that let nobody else through.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use reprieve_application::{Caller, ErrorCode};

use crate::Service;
use crate::authentication::{ApiKeyRefused, Scope, TokenRefused};
use crate::refusal::Refusal;

/// An identity with a valid bearer token.
pub(crate) struct Identity(pub(crate) Caller);

/// The same for a cancellation. If it comes too often, that decides only if there is nothing to be cancelled.
pub(crate) struct CancellingIdentity(pub(crate) Caller, pub(crate) Option<Refusal>);

/// Somebody with an API key that has the scope `core`; acts for the own identity.
pub(crate) struct Core(pub(crate) String);

/// The same for a cancellation, as above.
pub(crate) struct CancellingCore(pub(crate) String, pub(crate) Option<Refusal>);

/// Somebody with an API key that has the scope `admin`.
pub(crate) struct Admin;

/// An operator with an API key that has the scope `operate`.
pub(crate) struct Operator;

impl FromRequestParts<Arc<Service>> for Identity {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Refusal> {
        let caller = identity(parts, service).await?;
        service.rate_limit.check(&caller.address.to_string())?;
        Ok(Self(caller))
    }
}

impl FromRequestParts<Arc<Service>> for CancellingIdentity {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Refusal> {
        let caller = identity(parts, service).await?;
        let too_often = service.rate_limit.check(&caller.address.to_string()).err();
        Ok(Self(caller, too_often))
    }
}

impl FromRequestParts<Arc<Service>> for CancellingCore {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Refusal> {
        let name = authenticated(parts, service, Scope::Core)?;
        let too_often = service.rate_limit.check(&service.own.address.to_string()).err();
        Ok(Self(name, too_often))
    }
}

impl FromRequestParts<Arc<Service>> for Core {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Refusal> {
        let name = authenticated(parts, service, Scope::Core)?;
        service.rate_limit.check(&service.own.address.to_string())?;
        Ok(Self(name))
    }
}

impl FromRequestParts<Arc<Service>> for Admin {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Refusal> {
        let name = authenticated(parts, service, Scope::Admin).map_err(Refusal::for_backbone)?;
        // An operator is no identity, but may not wear the service out either.
        service.rate_limit.check(&format!("api key {name}"))?;
        Ok(Self)
    }
}

impl FromRequestParts<Arc<Service>> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Refusal> {
        let name = authenticated(parts, service, Scope::Operate).map_err(Refusal::for_backbone)?;
        service.rate_limit.check(&format!("api key {name}"))?;
        Ok(Self)
    }
}

/// The identity whose token it is.
async fn identity(parts: &Parts, service: &Service) -> Result<Caller, Refusal> {
    service.authentication.identity(&parts.headers).await.map_err(|refused| {
        // Which of its checks a token fails helps the operator, and would help a forger.
        tracing::debug!(reason = %refused, "token refused");
        if refused == TokenRefused::IssuerUnavailable {
            return Refusal::new(ErrorCode::IssuerUnavailable, refused.to_string()).after(60);
        }
        let message = "a valid bearer token is needed";
        Refusal::new(ErrorCode::PlatformUnauthorized, message).challenging("Bearer")
    })
}

/// The value of a header that must not be there twice: of two, nobody can say which one a proxy has looked at.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The name of the API key.
fn authenticated(parts: &Parts, service: &Service, scope: Scope) -> Result<String, Refusal> {
    if !service.settings.open_hosts.is_empty() {
        return from_this_machine(parts, service).map(|()| "open".to_owned());
    }
    match service.authentication.api_key(&parts.headers, scope) {
        Ok(key) => Ok(key.name.clone()),
        Err(ApiKeyRefused::Unknown) => {
            let message = "a valid API key is needed, in the header X-API-KEY";
            // Not a registered scheme: there is none for a key in a header of its own, and a 401 has to name one.
            Err(Refusal::new(ErrorCode::ConnectorUnauthorized, message).challenging("ApiKey"))
        }
        Err(ApiKeyRefused::LacksScope) => {
            let scope = match scope {
                Scope::Core => "core",
                Scope::Admin => "admin",
                Scope::Operate => "operate",
            };
            Err(Refusal::new(ErrorCode::ConnectorForbidden, format!("the API key lacks the scope {scope}")))
        }
    }
}

/// Without authentication the service listens on loopback only. A web page that is open on the same machine could still
/// reach it: browsers say where a page comes from, and which host it has asked for.
fn from_this_machine(parts: &Parts, service: &Service) -> Result<(), Refusal> {
    let named = host(parts).is_some_and(|host| service.settings.open_hosts.iter().any(|open| open == host));
    if named && !parts.headers.contains_key(header::ORIGIN) {
        return Ok(());
    }
    let message = "no authentication is configured, so only programs on this machine may call";
    Err(Refusal::new(ErrorCode::ConnectorForbidden, message))
}

/// The host that a request names: in a header or, over HTTP/2, in its target.
fn host(parts: &Parts) -> Option<&str> {
    if parts.headers.contains_key(header::HOST) {
        only(&parts.headers, &header::HOST)?.to_str().ok()
    } else {
        parts.uri.authority().map(Authority::as_str)
    }
}
