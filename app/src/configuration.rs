//! The configuration: defaults, a TOML file, environment variables and options, in that order.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use figment::error::Kind;
use figment::providers::{Env, Serialized};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use reprieve_application::{ErrorCode, GracePeriodSettings};
use reprieve_cli::{ConfigurationInForce, Failure, GlobalOptions};
use reprieve_domain::Address;
use reprieve_domain::audit::AuditKey;
use reprieve_persistence::{Clocks, ConnectionOptions, DatabaseUrl, Pooler};
use reprieve_remote::RemoteOptions;
use reprieve_system::{SystemClock, parse_audit_key};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::event_configuration::{self, EventConfiguration, RawEvents};
use crate::http_configuration::{self, HttpConfiguration, RawHttp, RawTelemetry};
use crate::journal_configuration::{self, JournalConfiguration, RawJournal};
use crate::server_configuration::RawServer;
use crate::worker_configuration::{
    self, RawDeletions, RawErasure, RawHousekeeping, RawLedger, RawReceipts, RawReminders, RawWorkerSections,
    RawWorkers, WorkerConfiguration, beside, between,
};

/// What can be configured. Every member is optional in a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct Raw {
    clock: RawClock,
    database: RawDatabase,
    grace_period: RawGracePeriod,
    identity: RawIdentity,
    audit: RawAudit,
    #[serde(default)]
    server: RawServer,
    #[serde(default)]
    http: RawHttp,
    #[serde(default)]
    telemetry: RawTelemetry,
    #[serde(default)]
    reminders: RawReminders,
    #[serde(default)]
    deletions: RawDeletions,
    #[serde(default)]
    erasure: RawErasure,
    #[serde(default)]
    ledger: RawLedger,
    #[serde(default)]
    journal: RawJournal,
    #[serde(default)]
    receipts: RawReceipts,
    #[serde(default)]
    events: RawEvents,
    #[serde(default)]
    housekeeping: RawHousekeeping,
    #[serde(default)]
    workers: RawWorkers,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawDatabase {
    /// A PostgreSQL URL may contain a password.
    url: Option<SecretString>,
    timeout_in_seconds: f64,
    connections: u32,
    pooler: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[expect(clippy::struct_field_names, reason = "the unit belongs to the names that people type")]
struct RawGracePeriod {
    default_in_days: f64,
    minimum_in_days: f64,
    maximum_in_days: f64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawClock {
    tolerance_in_seconds: f64,
    greatest_gap_in_hours: f64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawIdentity {
    domain: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawAudit {
    key: Option<SecretString>,
    key_file: Option<PathBuf>,
}

/// What is the case where nothing else is said.
#[derive(Serialize)]
struct Defaults {
    clock: RawClock,
    database: DefaultDatabase,
    grace_period: RawGracePeriod,
    identity: RawIdentity,
    audit: DefaultAudit,
}

#[derive(Serialize)]
struct DefaultDatabase {
    timeout_in_seconds: f64,
    connections: u32,
    pooler: &'static str,
}

#[derive(Serialize)]
struct DefaultAudit {}

/// The configuration in force, valid in every part.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    pub(crate) database: DatabaseUrl,
    pub(crate) timeout: Duration,
    /// The most connections that the service holds to the database.
    pub(crate) connections: u32,
    pooler: Pooler,
    pub(crate) grace_period: GracePeriodSettings,
    pub(crate) identity_domain: String,
    pub(crate) audit_key: AuditKeySource,
    /// The clock of this machine, and how far clocks may be apart.
    pub(crate) clocks: Clocks,
    /// The service to ask instead of the database.
    pub(crate) server: Option<RemoteOptions>,
    pub(crate) http: HttpConfiguration,
    pub(crate) telemetry: RawTelemetry,
    pub(crate) workers: WorkerConfiguration,
    pub(crate) journal: JournalConfiguration,
    pub(crate) events: EventConfiguration,
    shown: ConfigurationInForce,
    file: Option<ReadFile>,
}

/// The file that was read.
#[derive(Debug, Clone)]
struct ReadFile {
    path: PathBuf,
    has_secrets: bool,
}

/// Where the audit key comes from.
#[derive(Debug, Clone)]
pub(crate) enum AuditKeySource {
    Configured(AuditKey),
    File(PathBuf),
}

impl Configuration {
    /// How to connect to the database, with so many connections.
    pub(crate) fn connection_options(&self, max_connections: u32) -> ConnectionOptions {
        ConnectionOptions {
            max_connections,
            reserved_connections: 0,
            acquire_timeout: self.timeout,
            pooler: self.pooler,
        }
    }

    /// How to connect for the service: some connections are kept for cancellations.
    pub(crate) fn service_connection_options(&self) -> ConnectionOptions {
        let reserved_connections = (self.connections / 5).max(1);
        ConnectionOptions { reserved_connections, ..self.connection_options(self.connections) }
    }

    /// Where it comes from, for people.
    pub(crate) fn origin(&self) -> String {
        match &self.file {
            Some(file) => format!("it is valid: {}", file.path.display()),
            None => "it is valid, without a file".to_owned(),
        }
    }

    /// The file that was read, if it has secrets.
    pub(crate) fn file_with_secrets(&self) -> Option<&Path> {
        self.file.as_ref().filter(|file| file.has_secrets).map(|file| file.path.as_path())
    }

    /// The configuration with secrets hidden.
    pub(crate) fn in_force(&self) -> ConfigurationInForce {
        self.shown.clone()
    }
}

/// Reads and validates the configuration. Nothing is opened before all of it is known to be valid.
pub(crate) fn load(options: &GlobalOptions) -> Result<Configuration, Failure> {
    let defaults = Defaults {
        clock: RawClock { tolerance_in_seconds: 5.0, greatest_gap_in_hours: 48.0 },
        database: DefaultDatabase { timeout_in_seconds: 5.0, connections: 10, pooler: "detect" },
        grace_period: RawGracePeriod { default_in_days: 14.0, minimum_in_days: 1.0, maximum_in_days: 365.0 },
        identity: RawIdentity { domain: "localhost".to_owned() },
        audit: DefaultAudit {},
    };
    let mut figment = Figment::from(Serialized::defaults(defaults));
    let mut read = None;
    if let Some(path) = configuration_file(options)? {
        let file = ConfigurationFile::read(path.clone())?;
        read = Some(ReadFile { path, has_secrets: file.content.iter().any(is_secret) });
        figment = figment.merge(file);
    }
    figment = figment.merge(environment()?);
    if let Some(url) = options.database_url.as_ref().filter(|url| !url.is_empty()) {
        figment = figment.merge(Serialized::default("database.url", url));
    }
    if let Some(url) = &options.server {
        figment = figment.merge(Serialized::default("server.url", url));
    }
    let raw: Raw = figment.extract().map_err(|errors| invalid(describe(errors)))?;
    Ok(Configuration { file: read, ..validate(raw)? })
}

/// Whether a member is a secret, or has one in it.
fn is_secret((name, value): (&String, &toml::Value)) -> bool {
    match value {
        toml::Value::String(text) => {
            let has_password = text.split_once("://").is_some_and(|(_, rest)| {
                let before_path = rest.split('/').next().unwrap_or_default();
                before_path.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
            });
            matches!(name.as_str(), "key" | "secret") || has_password || text.contains("password=")
        }
        toml::Value::Array(members) => members.iter().any(|member| is_secret((name, member))),
        // Programs are let in by headers.
        toml::Value::Table(members) => name == "headers" || members.iter().any(is_secret),
        _ => false,
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::ConfigurationInvalid, message)
}

const PREFIX: &str = "REPRIEVE__";

/// The variables that configure something. One that is empty sets nothing.
fn environment() -> Result<Env, Failure> {
    let mut empty = Vec::new();
    for (name, value) in env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))) {
        let Some(start) = name.get(..PREFIX.len()).filter(|start| start.eq_ignore_ascii_case(PREFIX)) else {
            continue;
        };
        let rest = name.get(start.len()..).unwrap_or_default();
        // figment overlooks a name with an empty part, and with it a slip of the hand.
        if rest.split("__").any(str::is_empty) {
            return Err(invalid(format!("environment variable {name}: is not known")));
        }
        if value.is_empty() {
            empty.push(rest.to_lowercase());
        }
    }
    let is_set = move |name: &figment::value::UncasedStr| !empty.contains(&name.as_str().to_lowercase());
    Ok(Env::prefixed(PREFIX).filter(is_set).split("__"))
}

/// A TOML file. figment's own reader quotes the line with a mistake, and with it a secret that may stand there.
struct ConfigurationFile {
    path: PathBuf,
    content: toml::Table,
}

impl ConfigurationFile {
    fn read(path: PathBuf) -> Result<Self, Failure> {
        let text = fs::read_to_string(&path)
            .map_err(|error| invalid(format!("{} cannot be read: {error}", path.display())))?;
        let content = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            invalid(format!("{} is not TOML: {} in line {line}", path.display(), error.message()))
        })?;
        Ok(Self { path, content })
    }
}

impl Provider for ConfigurationFile {
    fn metadata(&self) -> Metadata {
        Metadata::from("TOML file", self.path.as_path())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Serialized::defaults(&self.content).data()
    }
}

/// The file that was named, or the one in the usual place if it is there.
fn configuration_file(options: &GlobalOptions) -> Result<Option<PathBuf>, Failure> {
    if let Some(named) = options.config.as_ref().filter(|named| !named.as_os_str().is_empty()) {
        let problem = match fs::metadata(named) {
            Ok(found) if found.is_file() => return Ok(Some(named.clone())),
            Ok(found) if found.is_dir() => "is a folder, not a configuration file".to_owned(),
            Ok(_) => "is not a file".to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(invalid(format!("there is no configuration file {}", named.display())));
            }
            Err(error) => format!("cannot be read: {error}"),
        };
        return Err(invalid(format!("{} {problem}", named.display())));
    }
    let usual = base_folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("reprieve/reprieve.toml"));
    // Whatever else is there is a mistake, which reading it tells.
    Ok(usual.filter(|file| file.symlink_metadata().is_ok()))
}

/// A folder of the XDG base directory specification.
fn base_folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |value: std::ffi::OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    env::var_os(variable)
        .and_then(absolute)
        .or_else(|| env::var_os("HOME").and_then(absolute).map(|home| home.join(below_home)))
}

/// Names the key, where it was set, and what is wrong with it.
fn describe(errors: figment::Error) -> String {
    let mut messages = Vec::new();
    for error in errors {
        let mut message = String::new();
        let path = &error.path;
        let problem = match &error.kind {
            // The path ends with it.
            Kind::UnknownField(_, known) => format!("is not known here; known are {}", known.join(", ")),
            // The value may be the secret itself.
            Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
                format!("is not {}", in_words(expected))
            }
            other => other.to_string(),
        };
        if !path.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(message, "key {}: ", path.join("."));
        }
        message.push_str(&problem);
        if let Some(metadata) = &error.metadata {
            match &metadata.source {
                Some(source) => {
                    let _ = write!(message, " (in {source})");
                }
                None => {
                    let _ = write!(message, " (in {})", metadata.name);
                }
            }
        }
        messages.push(message);
    }
    messages.join("; ")
}

/// What serde expected, for people who do not know Rust.
fn in_words(expected: &str) -> &str {
    match expected {
        "f64" => "a number",
        "path string" => "a string",
        other => other,
    }
}

struct DatabaseSettings {
    timeout: Duration,
    pooler: Pooler,
}

fn database_url(database: &RawDatabase, data_folder: Option<&Path>) -> Result<DatabaseUrl, Failure> {
    if let Some(url) = &database.url {
        return url.expose_secret().parse().map_err(|error| invalid(format!("key database.url: {error}")));
    }
    let folder = data_folder.ok_or_else(|| {
        invalid("key database.url: is not set, and without HOME there is no default; use --database-url")
    })?;
    Ok(DatabaseUrl::sqlite_file(folder.join("reprieve.db")))
}

fn validate_database(database: &RawDatabase) -> Result<DatabaseSettings, Failure> {
    let timeout = Duration::try_from_secs_f64(database.timeout_in_seconds)
        .ok()
        .filter(|timeout| (Duration::from_millis(1)..=Duration::from_hours(1)).contains(timeout))
        .ok_or_else(|| invalid("key database.timeout_in_seconds: must be between 0.001 and 3600"))?;
    if !(1..=1000).contains(&database.connections) {
        return Err(invalid("key database.connections: must be between 1 and 1000"));
    }
    let pooler: Pooler =
        database.pooler.parse().map_err(|error| invalid(format!("key database.pooler: {error}")))?;
    Ok(DatabaseSettings { timeout, pooler })
}

fn validate_clock(clock: &RawClock) -> Result<Clocks, Failure> {
    let hours = 3600.0;
    let tolerance = between(clock.tolerance_in_seconds, 0.1, 300.0)
        .ok_or_else(|| invalid("key clock.tolerance_in_seconds: must be between 0.1 and 300"))?;
    let greatest_gap = between(clock.greatest_gap_in_hours * hours, hours, 8760.0 * hours)
        .ok_or_else(|| invalid("key clock.greatest_gap_in_hours: must be between 1 and 8760"))?;
    Ok(Clocks::compared(Arc::new(SystemClock), tolerance, greatest_gap))
}

fn validate_audit(
    audit: &RawAudit,
    database: &DatabaseUrl,
    data_folder: Option<&Path>,
) -> Result<AuditKeySource, Failure> {
    Ok(match (&audit.key, &audit.key_file) {
        (Some(_), Some(_)) => {
            return Err(invalid("keys audit.key and audit.key_file: only one of the two can be set"));
        }
        (Some(key), None) => AuditKeySource::Configured(
            parse_audit_key(key.expose_secret())
                .map_err(|error| invalid(format!("key audit.key: {error}, as 64 hexadecimal digits")))?,
        ),
        (None, Some(file)) => AuditKeySource::File(file.clone()),
        (None, None) => AuditKeySource::File(match database.file() {
            Some(file) => beside(file, "audit-key"),
            None => data_folder
                .ok_or_else(|| invalid("key audit.key: is not set, and without HOME there is no default"))?
                .join("audit-key"),
        }),
    })
}

fn validate(raw: Raw) -> Result<Configuration, Failure> {
    let Raw { clock, database, grace_period, identity, audit, mut server, http, telemetry, .. } = raw;
    let Raw { reminders, deletions, erasure, mut ledger, journal, .. } = raw;
    let Raw { mut receipts, events, housekeeping, workers, .. } = raw;
    let data_folder = base_folder("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("reprieve"));
    let url = database_url(&database, data_folder.as_deref())?;
    let clocks = validate_clock(&clock)?;
    let DatabaseSettings { timeout, pooler } = validate_database(&database)?;
    let settings = GracePeriodSettings::from_days(
        grace_period.default_in_days,
        grace_period.minimum_in_days,
        grace_period.maximum_in_days,
    )
    .map_err(|error| invalid(format!("key grace_period: {error}")))?;
    Address::for_public_key(&identity.domain, &[])
        .map_err(|error| invalid(format!("key identity.domain: {error}")))?;
    let audit_key = validate_audit(&audit, &url, data_folder.as_deref())?;
    let remote = server.validate().map_err(invalid)?;
    let service = http_configuration::validate(&http).map_err(invalid)?;
    http_configuration::validate_telemetry(&telemetry).map_err(invalid)?;
    let in_its_place = |name: &str| match url.file() {
        Some(file) => Some(beside(file, name)),
        None => data_folder.as_ref().map(|folder| folder.join(name)),
    };
    let sections = RawWorkerSections {
        reminders: &reminders,
        deletions: &deletions,
        erasure: &erasure,
        ledger: &mut ledger,
        receipts: &mut receipts,
        housekeeping: &housekeeping,
        workers: &workers,
    };
    let in_force =
        worker_configuration::validate(sections, url.file().is_some(), in_its_place).map_err(invalid)?;
    let state_folder = base_folder("XDG_STATE_HOME", ".local/state").map(|folder| folder.join("reprieve"));
    let journal = journal_configuration::validate(
        &journal,
        &url,
        state_folder.as_deref(),
        in_force.retention.audit_trails,
    )
    .map_err(invalid)?;
    let outgoing = event_configuration::validate(&events).map_err(invalid)?;
    let audit = match &audit_key {
        AuditKeySource::Configured(_) => serde_json::json!({"key": "***"}),
        AuditKeySource::File(file) => serde_json::json!({"key_file": file.display().to_string()}),
    };
    let shown = show(&serde_json::json!({
        "clock": clock,
        "database": {
            "url": url.to_string(),
            "timeout_in_seconds": database.timeout_in_seconds,
            "connections": database.connections,
            "pooler": database.pooler,
        },
        "grace_period": grace_period,
        "identity": identity,
        "audit": audit,
        "server": server,
        "http": http,
        "telemetry": telemetry,
        "reminders": reminders,
        "deletions": deletions,
        "erasure": erasure,
        "ledger": ledger,
        "journal": journal.shown(),
        "receipts": receipts,
        "events": events,
        "housekeeping": housekeeping,
        "workers": workers,
    }))?;
    Ok(Configuration {
        database: url,
        timeout,
        connections: database.connections,
        pooler,
        grace_period: settings,
        identity_domain: identity.domain,
        audit_key,
        clocks,
        server: remote,
        http: service,
        telemetry,
        workers: in_force,
        journal,
        events: outgoing,
        shown,
        file: None,
    })
}

fn show(json: &serde_json::Value) -> Result<ConfigurationInForce, Failure> {
    let toml = toml::to_string(json).map_err(|error| invalid(error.to_string()))?;
    Ok(ConfigurationInForce { toml, json: json.clone() })
}
