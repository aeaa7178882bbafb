//! The sections `http` and `telemetry` of the configuration: how the service listens, whom it lets in, what it tells.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use reprieve_domain::Timestamp;
use reprieve_http::authentication::{
    ApiKey, AuthenticationSettings, InvalidAuthenticationSettings, IssuerSettings, KeysLocation, Scope,
    SelfSignedSettings,
};
use reprieve_http::{Network, Settings};
use serde::{Deserialize, Serialize};

/// The section `http`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawHttp {
    listen: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_signed_tokens: Option<bool>,
    token_leeway_in_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    operations_listen: Option<SocketAddr>,
    trusted_proxies: Vec<String>,
    connections: usize,
    connections_per_peer: usize,
    concurrent_requests: usize,
    requests_per_peer: usize,
    requests_per_second: NonZeroU32,
    burst: NonZeroU32,
    identity_domains: Vec<String>,
    initiations_per_minute: NonZeroU32,
    initiations_at_once: NonZeroU32,
    body_limit_in_bytes: usize,
    header_timeout_in_seconds: f64,
    write_timeout_in_seconds: f64,
    request_timeout_in_seconds: f64,
    shutdown_timeout_in_seconds: f64,
    allowed_origins: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<RawIssuer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    api_keys: Vec<RawApiKey>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIssuer {
    name: String,
    audiences: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys_file: Option<PathBuf>,
    #[serde(default = "keys_trusted_for")]
    keys_trusted_for_in_minutes: u32,
}

fn keys_trusted_for() -> u32 {
    u32::try_from(IssuerSettings::KEYS_TRUSTED_FOR.as_secs() / 60).unwrap_or(u32::MAX)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApiKey {
    name: String,
    /// A digest tells nobody the key, so it is no secret.
    sha256: String,
    scopes: Vec<RawScope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawScope {
    Core,
    Admin,
    Operate,
}

/// The section `telemetry`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawTelemetry {
    /// How the service writes its log.
    pub(crate) log_format: LogFormat,
    /// Where traces are sent, such as `http://localhost:4318/v1/traces`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) otlp_endpoint: Option<String>,
}

/// How the service writes its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How the service listens and whom it lets in, valid in every part.
#[derive(Debug, Clone)]
pub(crate) struct HttpConfiguration {
    pub(crate) listen: SocketAddr,
    pub(crate) operations_listen: Option<SocketAddr>,
    pub(crate) settings: Settings,
    pub(crate) authentication: AuthenticationSettings,
    /// Nobody has said who may call, so everybody on this machine may.
    pub(crate) is_open: bool,
    /// Whether identities may sign tokens themselves, whose audience follows from the address that is listened on.
    pub(crate) audience_from_address: bool,
}

impl Default for RawHttp {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            self_signed_tokens: None,
            token_leeway_in_seconds: 30,
            operations_listen: None,
            trusted_proxies: Vec::new(),
            connections: settings.connections,
            connections_per_peer: settings.connections_per_peer,
            concurrent_requests: settings.concurrent_requests,
            requests_per_peer: settings.requests_per_peer,
            requests_per_second: settings.requests_per_second,
            burst: settings.burst,
            identity_domains: Vec::new(),
            initiations_per_minute: settings.initiations_per_minute,
            initiations_at_once: settings.initiations_at_once,
            body_limit_in_bytes: settings.body_bytes,
            header_timeout_in_seconds: settings.header_timeout.as_secs_f64(),
            write_timeout_in_seconds: settings.write_timeout.as_secs_f64(),
            request_timeout_in_seconds: settings.request_timeout.as_secs_f64(),
            shutdown_timeout_in_seconds: settings.shutdown_timeout.as_secs_f64(),
            allowed_origins: Vec::new(),
            issuer: None,
            api_keys: Vec::new(),
        }
    }
}

/// Validates the section; an error names its key.
pub(crate) fn validate(raw: &RawHttp) -> Result<HttpConfiguration, String> {
    let is_open = raw.issuer.is_none() && raw.api_keys.is_empty() && raw.self_signed_tokens != Some(true);
    if is_open && !raw.listen.ip().is_loopback() {
        return Err(format!(
            "key http.listen: without authentication the service listens on loopback only, not on {}; set \
             http.issuer, http.api_keys or http.self_signed_tokens",
            raw.listen
        ));
    }
    let public_url = raw.public_url.as_deref().map(public_url).transpose()?;
    // Without an issuer, what an identity says for itself is all there is.
    let self_signed = raw.self_signed_tokens.unwrap_or(raw.issuer.is_none());
    if self_signed && public_url.is_none() && !raw.listen.ip().is_loopback() {
        return Err(
            "key http.public_url: is not set, but tokens that identities sign must name it".to_owned()
        );
    }
    let audience_from_address = self_signed && public_url.is_none();
    let authentication = AuthenticationSettings {
        issuer: raw.issuer.as_ref().map(issuer).transpose()?,
        self_signed: self_signed.then(|| SelfSignedSettings { audiences: public_url.into_iter().collect() }),
        api_keys: raw.api_keys.iter().map(api_key).collect::<Result<_, _>>()?,
        leeway: Duration::from_secs(raw.token_leeway_in_seconds.into()),
    };
    check(&authentication, audience_from_address)?;
    for (key, value) in [
        ("connections", raw.connections),
        ("connections_per_peer", raw.connections_per_peer),
        ("concurrent_requests", raw.concurrent_requests),
        ("requests_per_peer", raw.requests_per_peer),
        ("body_limit_in_bytes", raw.body_limit_in_bytes),
    ] {
        // A semaphore of tokio holds no more than this.
        if !(1..=usize::MAX >> 3).contains(&value) {
            return Err(format!("key http.{key}: must be at least 1, and no more than fits"));
        }
    }
    let settings = Settings {
        connections: raw.connections,
        connections_per_peer: raw.connections_per_peer,
        concurrent_requests: raw.concurrent_requests,
        requests_per_peer: raw.requests_per_peer,
        trusted_proxies: raw.trusted_proxies.iter().map(|text| network(text)).collect::<Result<_, _>>()?,
        operations_apart: raw.operations_listen.is_some(),
        requests_per_second: raw.requests_per_second,
        burst: raw.burst,
        identity_domains: raw.identity_domains.iter().map(|text| domain(text)).collect::<Result<_, _>>()?,
        initiations_per_minute: raw.initiations_per_minute,
        initiations_at_once: raw.initiations_at_once,
        body_bytes: raw.body_limit_in_bytes,
        header_timeout: seconds("header_timeout_in_seconds", raw.header_timeout_in_seconds)?,
        write_timeout: seconds("write_timeout_in_seconds", raw.write_timeout_in_seconds)?,
        request_timeout: seconds("request_timeout_in_seconds", raw.request_timeout_in_seconds)?,
        shutdown_timeout: seconds("shutdown_timeout_in_seconds", raw.shutdown_timeout_in_seconds)?,
        allowed_origins: raw.allowed_origins.iter().map(|text| origin(text)).collect::<Result<_, _>>()?,
        open_hosts: Vec::new(),
    };
    Ok(HttpConfiguration {
        listen: raw.listen,
        operations_listen: raw.operations_listen,
        settings,
        authentication,
        is_open,
        audience_from_address,
    })
}

/// Validates the section; an error names its key.
pub(crate) fn validate_telemetry(raw: &RawTelemetry) -> Result<(), String> {
    match raw.otlp_endpoint.as_deref() {
        Some(url) if host_and_path(url).is_none() => {
            Err("key telemetry.otlp_endpoint: is not http://HOST/PATH or https://HOST/PATH".to_owned())
        }
        _ => Ok(()),
    }
}

/// What follows `http://` or `https://`, if it begins with a host.
fn host_and_path(url: &str) -> Option<&str> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme))?;
    let has_host = rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[');
    (has_host && rest.bytes().all(|byte| byte.is_ascii_graphic())).then_some(rest)
}

/// The settings are checked again where they are used, but then the database is open already.
fn check(settings: &AuthenticationSettings, audience_from_address: bool) -> Result<(), String> {
    let mut settings = settings.clone();
    if audience_from_address {
        // It will have an audience as soon as there is an address.
        settings.self_signed = None;
    }
    settings.check().map_err(|error| {
        let key = match &error {
            InvalidAuthenticationSettings::Issuer => "issuer.name",
            InvalidAuthenticationSettings::Audience => "issuer.audiences",
            InvalidAuthenticationSettings::Leeway => "token_leeway_in_seconds",
            InvalidAuthenticationSettings::InsecureKeysUrl | InvalidAuthenticationSettings::Client(_) => {
                "issuer.keys_url"
            }
            InvalidAuthenticationSettings::ApiKeyName(_) | InvalidAuthenticationSettings::SameApiKey(..) => {
                "api_keys"
            }
        };
        format!("key http.{key}: {error}")
    })
}

fn seconds(key: &str, value: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(value)
        .ok()
        .filter(|duration| (Duration::from_millis(1)..=Duration::from_hours(1)).contains(duration))
        .ok_or_else(|| format!("key http.{key}: must be between 0.001 and 3600"))
}

/// The URL under which clients know the service: without a path, so that it can be compared exactly.
fn public_url(text: &str) -> Result<String, String> {
    match host_and_path(text) {
        Some(host) if !host.contains(['/', '?', '#']) => Ok(text.to_owned()),
        _ => Err("key http.public_url: is not https://HOST".to_owned()),
    }
}

/// A host as it stands in an address; any other text would be equal to none.
fn domain(text: &str) -> Result<String, String> {
    let is_of_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.%".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_of_host) {
        return Ok(text.to_owned());
    }
    Err(format!("key http.identity_domains: {text:?} is not a host, such as example.org"))
}

fn network(text: &str) -> Result<Network, String> {
    text.parse().map_err(|error| format!("key http.trusted_proxies: {text:?} {error}"))
}

/// An origin as browsers send it; any other text would be equal to none.
fn origin(text: &str) -> Result<String, String> {
    let is_of_host =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:[]_".contains(&byte);
    match host_and_path(text) {
        Some(host) if host.bytes().all(is_of_host) => Ok(text.to_owned()),
        _ => Err("key http.allowed_origins: is not a list of https://HOST".to_owned()),
    }
}

const TRUSTED_FOR_AT_LEAST: Duration = Duration::from_mins(15);

fn issuer(raw: &RawIssuer) -> Result<IssuerSettings, String> {
    let keys = match (&raw.keys_url, &raw.keys_file) {
        (Some(url), None) => {
            KeysLocation::Url(url.parse().map_err(|error| format!("key http.issuer.keys_url: {error}"))?)
        }
        (None, Some(file)) => KeysLocation::File(file.clone()),
        _ => return Err("key http.issuer: set one of keys_url and keys_file".to_owned()),
    };
    let keys_trusted_for = Duration::from_mins(raw.keys_trusted_for_in_minutes.into());
    if keys_trusted_for < TRUSTED_FOR_AT_LEAST {
        // They are renewed every ten minutes, and a failure is to be survived.
        return Err("key http.issuer.keys_trusted_for_in_minutes: must be at least 15".to_owned());
    }
    Ok(IssuerSettings { issuer: raw.name.clone(), audiences: raw.audiences.clone(), keys, keys_trusted_for })
}

fn api_key(raw: &RawApiKey) -> Result<ApiKey, String> {
    let named =
        |member: &str, problem: String| format!("key http.api_keys ({}), {member}: {problem}", raw.name);
    let scopes: HashSet<Scope> = raw
        .scopes
        .iter()
        .map(|scope| match scope {
            RawScope::Core => Scope::Core,
            RawScope::Admin => Scope::Admin,
            RawScope::Operate => Scope::Operate,
        })
        .collect();
    if scopes.is_empty() {
        return Err(named("scopes", "opens nothing without one of core, admin and operate".to_owned()));
    }
    if raw.name.is_empty() {
        return Err(named("name", "is empty".to_owned()));
    }
    Ok(ApiKey {
        name: raw.name.clone(),
        digest: raw.sha256.parse().map_err(|error| named("sha256", format!("{error}")))?,
        scopes,
        expires_at: raw
            .expires_at
            .as_deref()
            .map(str::parse::<Timestamp>)
            .transpose()
            .map_err(|error| named("expires_at", error.to_string()))?,
    })
}
