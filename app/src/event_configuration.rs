//! The section `events` of the configuration: who is told what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use reprieve_application::use_cases::RelaySettings;
use reprieve_application::{Backoff, SinkName};
use reprieve_events::{EventType, Format, Messages, UnknownEventType};
use reprieve_outbound::{AllowedHost, AllowedHosts};
use reprieve_worker::PacePerSecond;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::worker_configuration::{LONGEST, SECONDS_PER_DAY, between, days, seconds};

/// The section `events`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawEvents {
    source: String,
    lease_in_seconds: f64,
    first_retry_in_seconds: f64,
    longest_retry_in_seconds: f64,
    patience_in_days: f64,
    pace_per_second: u32,
    hurry_after_in_seconds: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_private_hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sinks: Vec<RawSink>,
}

/// One sink. Which of the members there may be depends on its type.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSink {
    name: String,
    r#type: RawSinkType,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_in_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<Hidden>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Hidden>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<RawFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, Hidden>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_plaintext: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routing_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_window_in_seconds: Option<f64>,
}

/// What may be a secret, or have one in it, and is never shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
struct Hidden(SecretString);

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawSinkType {
    Webhook,
    Amqp,
    Nats,
    Stdout,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawFormat {
    CloudEvents,
    Connector,
}

/// Who is told what happened, valid as far as can be said without making a sink of it.
#[derive(Debug, Clone)]
pub(crate) struct EventConfiguration {
    pub(crate) source: String,
    pub(crate) settings: RelaySettings,
    pub(crate) pace: PacePerSecond,
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) sinks: Vec<SinkConfiguration>,
}

/// One sink.
#[derive(Debug, Clone)]
pub(crate) struct SinkConfiguration {
    pub(crate) name: SinkName,
    pub(crate) messages: Messages,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: Option<usize>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) target: SinkTarget,
}

/// Where a sink is.
#[derive(Debug, Clone)]
pub(crate) enum SinkTarget {
    Webhook {
        url: SecretString,
        secret: Option<SecretString>,
        headers: BTreeMap<String, SecretString>,
        allow_plaintext: bool,
    },
    Amqp {
        url: SecretString,
        exchange: String,
        routing_key: Option<String>,
        allow_plaintext: bool,
    },
    Nats {
        urls: Vec<SecretString>,
        subject_prefix: String,
        stream: Option<String>,
        duplicate_window: Duration,
        allow_plaintext: bool,
    },
    Stdout,
}

/// How long a sink may take for a message, if nothing else is said.
const TIMEOUT: f64 = 10.0;

/// How long a stream that is made knows the ids of messages, if nothing else is said: an hour.
const DUPLICATE_WINDOW: f64 = 3600.0;

/// How many events a second a sink is told of that have just happened, if nothing else is said: more than any deployment has
/// in the long run, and few enough to leave a machine on which everything runs to the steps.
const PACE_PER_SECOND: u32 = 1000;

/// From which age on events are told as fast as possible, if nothing else is said: five minutes.
const HURRY_AFTER: f64 = 300.0;

/// The most events that may be on their way to one sink.
const MOST_AT_ONCE: u32 = 10_000;

impl Default for RawEvents {
    fn default() -> Self {
        let RelaySettings { lease, backoff } = RelaySettings::default();
        Self {
            source: "urn:reprieve".to_owned(),
            lease_in_seconds: lease.as_secs_f64(),
            first_retry_in_seconds: backoff.first.as_secs_f64(),
            longest_retry_in_seconds: backoff.longest.as_secs_f64(),
            patience_in_days: backoff.patience.as_secs_f64() / SECONDS_PER_DAY,
            pace_per_second: PACE_PER_SECOND,
            hurry_after_in_seconds: HURRY_AFTER,
            allowed_private_hosts: Vec::new(),
            sinks: Vec::new(),
        }
    }
}

/// Validates the section; an error names its key.
pub(crate) fn validate(raw: &RawEvents) -> Result<EventConfiguration, String> {
    if raw.source.is_empty() || raw.source.chars().any(|sign| sign.is_whitespace() || sign.is_control()) {
        return Err("key events.source: must be a URI reference".to_owned());
    }
    let settings = RelaySettings {
        lease: seconds("events.lease_in_seconds", raw.lease_in_seconds)?,
        backoff: Backoff {
            first: seconds("events.first_retry_in_seconds", raw.first_retry_in_seconds)?,
            longest: seconds("events.longest_retry_in_seconds", raw.longest_retry_in_seconds)?,
            patience: days("events.patience_in_days", raw.patience_in_days)?,
        },
    };
    if raw.pace_per_second == 0 {
        return Err("key events.pace_per_second: must be at least 1".to_owned());
    }
    let pace = PacePerSecond {
        events: raw.pace_per_second,
        hurry_after: between(raw.hurry_after_in_seconds, 0.0, LONGEST).ok_or_else(|| {
            format!("key events.hurry_after_in_seconds: must be between 0 and {LONGEST} seconds")
        })?,
    };
    let allowed_hosts = raw.allowed_private_hosts.iter().map(|host| {
        host.parse::<AllowedHost>()
            .map_err(|error| format!("key events.allowed_private_hosts: {host:?}: {error}"))
    });
    let allowed_hosts = allowed_hosts.collect::<Result<_, _>>()?;
    let mut names = BTreeSet::new();
    let mut sinks = Vec::with_capacity(raw.sinks.len());
    for raw_sink in &raw.sinks {
        let sink = sink(raw_sink, &raw.source, settings.lease).map_err(|(member, problem)| {
            format!("key events.sinks ({}), {member}: {problem}", raw_sink.name)
        })?;
        if !names.insert(sink.name.clone()) {
            return Err(format!(
                "key events.sinks ({}), name: there are two sinks with this name",
                sink.name
            ));
        }
        sinks.push(sink);
    }
    Ok(EventConfiguration { source: raw.source.clone(), settings, pace, allowed_hosts, sinks })
}

/// What is wrong with which member.
type Mistake = (&'static str, String);

fn sink(raw: &RawSink, source: &str, lease: Duration) -> Result<SinkConfiguration, Mistake> {
    foreign_members(raw)?;
    let name = raw.name.parse().map_err(|error| ("name", format!("{error}")))?;
    let types = raw.types.as_ref().map(|names| names.iter().map(|name| name.parse()).collect());
    let types: Option<BTreeSet<EventType>> =
        types.transpose().map_err(|error: UnknownEventType| ("types", error.to_string()))?;
    if types.as_ref().is_some_and(BTreeSet::is_empty) {
        return Err(("types", "is empty, so that it would never be told anything".to_owned()));
    }
    let format = match raw.format {
        None | Some(RawFormat::CloudEvents) => Format::CloudEvents,
        Some(RawFormat::Connector) => Format::Connector,
    };
    // An event is up to two messages, and has to be through in half of the lease.
    let longest = lease.as_secs_f64() / 4.0;
    let timeout = between(raw.timeout_in_seconds.unwrap_or(TIMEOUT.min(longest)), 0.001, longest)
        .ok_or_else(|| {
            (
                "timeout_in_seconds",
                "must be between 0.001 and a quarter of events.lease_in_seconds".to_owned(),
            )
        })?;
    if raw.concurrency.is_some_and(|concurrency| !(1..=MOST_AT_ONCE).contains(&concurrency)) {
        return Err(("concurrency", format!("must be between 1 and {MOST_AT_ONCE}")));
    }
    let url = || raw.url.clone().map(|url| url.0).ok_or_else(|| ("url", "is missing".to_owned()));
    let target = match raw.r#type {
        RawSinkType::Webhook => {
            if raw.secret.is_none() && format == Format::CloudEvents {
                return Err(("secret", "is missing".to_owned()));
            }
            SinkTarget::Webhook {
                url: url()?,
                secret: raw.secret.clone().map(|secret| secret.0),
                headers: raw
                    .headers
                    .clone()
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| (name, value.0))
                    .collect(),
                allow_plaintext: raw.allow_plaintext.unwrap_or(false),
            }
        }
        RawSinkType::Amqp => SinkTarget::Amqp {
            url: url()?,
            exchange: raw.exchange.clone().unwrap_or_default(),
            routing_key: raw.routing_key.clone(),
            allow_plaintext: raw.allow_plaintext.unwrap_or(false),
        },
        RawSinkType::Nats => SinkTarget::Nats {
            // Several servers of one cluster stand behind each other, as with NATS's own programs.
            urls: url()?.expose_secret().split(',').map(SecretString::from).collect(),
            duplicate_window: seconds(
                "duplicate_window_in_seconds",
                raw.duplicate_window_in_seconds.unwrap_or(DUPLICATE_WINDOW),
            )
            .map_err(|error| ("duplicate_window_in_seconds", error))?,
            subject_prefix: raw.subject_prefix.clone().unwrap_or_else(|| "events".to_owned()),
            stream: raw.stream.clone(),
            allow_plaintext: raw.allow_plaintext.unwrap_or(false),
        },
        RawSinkType::Stdout => SinkTarget::Stdout,
    };
    Ok(SinkConfiguration {
        name,
        messages: Messages::new(source, types, format),
        timeout,
        concurrency: raw.concurrency.and_then(|concurrency| usize::try_from(concurrency).ok()),
        ca_file: raw.ca_file.clone(),
        target,
    })
}

/// A member that means nothing for this type of sink is a mistake that would otherwise go unnoticed.
fn foreign_members(raw: &RawSink) -> Result<(), Mistake> {
    use RawSinkType::{Amqp, Nats, Stdout, Webhook};
    let of = raw.r#type;
    let is_remote = of != Stdout;
    for (member, is_set, belongs) in [
        ("timeout_in_seconds", raw.timeout_in_seconds.is_some(), is_remote),
        ("concurrency", raw.concurrency.is_some(), is_remote),
        ("url", raw.url.is_some(), is_remote),
        ("ca_file", raw.ca_file.is_some(), is_remote),
        ("secret", raw.secret.is_some(), of == Webhook),
        ("format", raw.format.is_some(), of == Webhook),
        ("headers", raw.headers.is_some(), of == Webhook),
        ("allow_plaintext", raw.allow_plaintext.is_some(), is_remote),
        ("exchange", raw.exchange.is_some(), of == Amqp),
        ("routing_key", raw.routing_key.is_some(), of == Amqp),
        ("subject_prefix", raw.subject_prefix.is_some(), of == Nats),
        ("stream", raw.stream.is_some(), of == Nats),
        ("duplicate_window_in_seconds", raw.duplicate_window_in_seconds.is_some(), of == Nats),
    ] {
        if is_set && !belongs {
            return Err((member, "means nothing for a sink of this type".to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use reprieve_application::use_cases::Pace;

    use super::*;

    fn validated(text: &str) -> Result<EventConfiguration, String> {
        validate(&toml::from_str(text).unwrap())
    }

    const WEBHOOK: &str = "[[sinks]]\nname = 'crm'\ntype = 'webhook'\nurl = 'https://crm.example'\n\
                           secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'\n";
    const AMQP: &str = "[[sinks]]\nname = 'bus'\ntype = 'amqp'\nurl = 'amqps://u:hidden@rabbit.example'\n";
    const STDOUT: &str = "[[sinks]]\nname = 'log'\ntype = 'stdout'\n";

    #[test]
    fn the_defaults_are_those_of_the_use_case_and_without_sinks() {
        let configuration = validated("").unwrap();
        assert_eq!(configuration.settings, RelaySettings::default());
        assert!(configuration.sinks.is_empty());
    }

    #[test]
    fn the_pace_is_kept_whatever_the_pause_between_passes() {
        let of = |text: &str, pause| validated(text).unwrap().pace.after(Duration::from_millis(pause));
        let hurry_after = Duration::from_mins(5);
        assert_eq!(of("", 500), Pace { at_once: 500, hurry_after });
        assert_eq!(of("", 60_000), Pace { at_once: 60_000, hurry_after });
        assert_eq!(of("pace_per_second = 3", 1), Pace { at_once: 1, hurry_after });
        let hurries = Pace { at_once: 500, hurry_after: Duration::ZERO };
        assert_eq!(of("hurry_after_in_seconds = 0", 500), hurries);
        for (wrong, key) in
            [("pace_per_second = 0", "pace_per_second"), ("hurry_after_in_seconds = -1", "hurry_after")]
        {
            assert!(validated(wrong).unwrap_err().contains(&format!("key events.{key}")));
        }
    }

    #[test]
    fn sinks_are_read_and_their_secrets_are_not_shown() {
        let text =
            format!("{WEBHOOK}headers = {{ 'X-API-KEY' = 'hidden' }}\n{AMQP}exchange = 'events'\n{STDOUT}");
        let configuration = validated(&text).unwrap();
        let names: Vec<&str> = configuration.sinks.iter().map(|sink| sink.name.as_str()).collect();
        assert_eq!(names, ["crm", "bus", "log"]);
        assert_eq!(configuration.sinks[0].timeout, Duration::from_secs(10));
        let raw: RawEvents = toml::from_str(&text).unwrap();
        let shown = serde_json::to_string(&raw).unwrap();
        assert!(shown.contains("X-API-KEY") && shown.contains("events"), "{shown}");
        for shown in [shown, format!("{configuration:?} {raw:?}")] {
            assert!(!shown.contains("hidden") && !shown.contains("MfKQ9r8"), "{shown}");
        }
    }

    #[test]
    fn the_time_out_fits_into_the_lease() {
        assert_eq!(
            validated(&format!("lease_in_seconds = 8\n{AMQP}")).unwrap().sinks[0].timeout,
            Duration::from_secs(2)
        );
        assert!(validated(&format!("lease_in_seconds = 8\n{AMQP}timeout_in_seconds = 2")).is_ok());
    }

    #[test]
    fn a_mistake_is_named_by_its_key() {
        for (text, start) in [
            ("source = ''", "key events.source: "),
            ("source = 'a b'", "key events.source: "),
            ("lease_in_seconds = 0", "key events.lease_in_seconds: "),
            ("first_retry_in_seconds = nan", "key events.first_retry_in_seconds: "),
            ("patience_in_days = -1", "key events.patience_in_days: "),
            ("allowed_private_hosts = ['*.example']", "key events.allowed_private_hosts: \"*.example\": "),
            (&STDOUT.replace("log", "my log"), "key events.sinks (my log), name: "),
            (&STDOUT.repeat(2), "key events.sinks (log), name: "),
            (&format!("{STDOUT}types = ['identityDeleted']"), "key events.sinks (log), types: "),
            (&format!("{STDOUT}types = []"), "key events.sinks (log), types: "),
            (&format!("{STDOUT}url = 'x'"), "key events.sinks (log), url: "),
            (&format!("{STDOUT}concurrency = 1"), "key events.sinks (log), concurrency: "),
            (&format!("{AMQP}secret = 'x'"), "key events.sinks (bus), secret: "),
            (&format!("{AMQP}stream = 'x'"), "key events.sinks (bus), stream: "),
            (&format!("{AMQP}timeout_in_seconds = 15.1"), "key events.sinks (bus), timeout_in_seconds: "),
            (&format!("{AMQP}concurrency = 0"), "key events.sinks (bus), concurrency: "),
            (&WEBHOOK.replace("url", "exchange"), "key events.sinks (crm), exchange: "),
            (&WEBHOOK.replace("secret", "#"), "key events.sinks (crm), secret: "),
            (&AMQP.replace("url", "#"), "key events.sinks (bus), url: "),
        ] {
            let error = validated(text).unwrap_err();
            assert!(error.starts_with(start), "{text}: {error}");
            assert!(!error.contains("hidden") && !error.contains("MfKQ9r8"), "{error}");
        }
    }
}
