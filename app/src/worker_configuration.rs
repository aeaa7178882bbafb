//! The sections `reminders`, `deletions`, `erasure`, `ledger`, `receipts`, `housekeeping` and `workers` of the configuration: what
//! happens when nobody cancels.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reprieve_application::use_cases::{ErasureSettings, Retention};
use reprieve_application::{Backoff, ReminderSettings};
use reprieve_erasure::HttpEraserOptions;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// The section `reminders`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawReminders {
    days_before: Vec<f64>,
}

/// The section `deletions`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawDeletions {
    #[serde(skip_serializing_if = "Option::is_none")]
    most_per_hour: Option<u32>,
}

/// The section `erasure`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawErasure {
    lease_in_seconds: f64,
    concurrency: u32,
    poll_interval_in_seconds: f64,
    first_retry_in_seconds: f64,
    longest_retry_in_seconds: f64,
    patience_in_days: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    without_erasers: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    erasers: Vec<RawEraser>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEraser {
    name: String,
    url: String,
    #[serde(serialize_with = "hidden")]
    secret: SecretString,
    #[serde(default = "half_a_minute")]
    timeout_in_seconds: f64,
    /// Whether it can be asked what it would erase.
    #[serde(default)]
    plan: bool,
    /// Whether it may be called without encryption on another machine than this one.
    #[serde(default)]
    allow_plaintext: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
}

/// The section `ledger`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawLedger {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

/// The section `receipts`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawReceipts {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
}

/// The section `housekeeping`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "the unit belongs to the names that people type")]
pub(crate) struct RawHousekeeping {
    cancelled_processes_in_days: f64,
    audit_trails_in_days: f64,
    events_in_days: f64,
}

/// The section `workers`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawWorkers {
    enabled: bool,
    reminders_every_in_seconds: f64,
    deletions_every_in_seconds: f64,
    erasures_every_in_seconds: f64,
    outbox_every_in_seconds: f64,
    housekeeping_every_in_seconds: f64,
    journal_every_in_seconds: f64,
}

/// What happens when nobody cancels, valid in every part.
#[derive(Debug, Clone)]
pub(crate) struct WorkerConfiguration {
    pub(crate) reminders: ReminderSettings,
    /// How many deletions start within an hour at most; absent without a limit.
    pub(crate) most_per_hour: Option<NonZeroU32>,
    pub(crate) erasure: ErasureSettings,
    pub(crate) erasers: Vec<HttpEraserOptions>,
    /// Whether a deletion may start although there is no eraser, so that nothing is erased but what is stored here.
    pub(crate) without_erasers: bool,
    /// None if nobody has said where, and there is no place that goes without saying.
    pub(crate) ledger: Option<PathBuf>,
    /// As with the ledger.
    pub(crate) receipt_key: Option<PathBuf>,
    pub(crate) retention: Retention,
    /// Whether the service runs the workers beside itself.
    pub(crate) enabled: bool,
    pub(crate) intervals: Intervals,
}

/// How long each worker waits between two passes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intervals {
    pub(crate) reminders: Duration,
    pub(crate) deletions: Duration,
    pub(crate) erasures: Duration,
    pub(crate) outbox: Duration,
    pub(crate) housekeeping: Duration,
    pub(crate) journal: Duration,
}

/// All of these sections.
#[derive(Debug)]
pub(crate) struct RawWorkerSections<'a> {
    pub(crate) reminders: &'a RawReminders,
    pub(crate) deletions: &'a RawDeletions,
    pub(crate) erasure: &'a RawErasure,
    pub(crate) ledger: &'a mut RawLedger,
    pub(crate) receipts: &'a mut RawReceipts,
    pub(crate) housekeeping: &'a RawHousekeeping,
    pub(crate) workers: &'a RawWorkers,
}

pub(crate) const SECONDS_PER_DAY: f64 = 86_400.0;
/// A hundred years, in seconds.
pub(crate) const LONGEST: f64 = 36_500.0 * SECONDS_PER_DAY;

fn hidden<S: Serializer>(_: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("***")
}

fn half_a_minute() -> f64 {
    30.0
}

impl Default for RawReminders {
    fn default() -> Self {
        Self { days_before: vec![12.0, 10.0, 5.0] }
    }
}

impl Default for RawErasure {
    fn default() -> Self {
        let ErasureSettings { lease, concurrency, poll_interval, backoff } = ErasureSettings::default();
        Self {
            lease_in_seconds: lease.as_secs_f64(),
            concurrency,
            poll_interval_in_seconds: poll_interval.as_secs_f64(),
            first_retry_in_seconds: backoff.first.as_secs_f64(),
            longest_retry_in_seconds: backoff.longest.as_secs_f64(),
            patience_in_days: backoff.patience.as_secs_f64() / SECONDS_PER_DAY,
            without_erasers: None,
            erasers: Vec::new(),
        }
    }
}

impl Default for RawHousekeeping {
    fn default() -> Self {
        let Retention { cancelled_processes, audit_trails, events } = Retention::default();
        let days = |duration: Duration| duration.as_secs_f64() / SECONDS_PER_DAY;
        Self {
            cancelled_processes_in_days: days(cancelled_processes),
            audit_trails_in_days: days(audit_trails),
            events_in_days: days(events),
        }
    }
}

impl Default for RawWorkers {
    fn default() -> Self {
        Self {
            enabled: true,
            reminders_every_in_seconds: 600.0,
            deletions_every_in_seconds: 60.0,
            erasures_every_in_seconds: 10.0,
            outbox_every_in_seconds: 0.5,
            housekeeping_every_in_seconds: 3600.0,
            journal_every_in_seconds: 1.0,
        }
    }
}

/// Validates the sections; an error names its key. `beside` says where a file is whose place is not configured, and
/// `is_embedded` whether the database is a file of the own identity, where nobody else's data are elsewhere.
pub(crate) fn validate(
    raw: RawWorkerSections<'_>,
    is_embedded: bool,
    beside: impl Fn(&str) -> Option<PathBuf>,
) -> Result<WorkerConfiguration, String> {
    let RawWorkerSections { reminders, deletions, erasure, ledger, receipts, housekeeping, workers } = raw;
    let reminders = ReminderSettings::from_days(&reminders.days_before)
        .map_err(|error| format!("key reminders.days_before: {error}"))?;
    let most_per_hour = deletions.most_per_hour.map(|most| {
        NonZeroU32::new(most).ok_or(
            "key deletions.most_per_hour: must be at least 1; `reprieve deletions pause` stops all deletions",
        )
    });
    let most_per_hour = most_per_hour.transpose()?;
    if !(1..=1000).contains(&erasure.concurrency) {
        return Err("key erasure.concurrency: must be between 1 and 1000".to_owned());
    }
    let settings = ErasureSettings {
        lease: seconds("erasure.lease_in_seconds", erasure.lease_in_seconds)?,
        concurrency: erasure.concurrency,
        poll_interval: seconds("erasure.poll_interval_in_seconds", erasure.poll_interval_in_seconds)?,
        backoff: Backoff {
            first: seconds("erasure.first_retry_in_seconds", erasure.first_retry_in_seconds)?,
            longest: seconds("erasure.longest_retry_in_seconds", erasure.longest_retry_in_seconds)?,
            patience: days("erasure.patience_in_days", erasure.patience_in_days)?,
        },
    };
    let erasers: Vec<HttpEraserOptions> =
        erasure.erasers.iter().map(|raw| eraser(raw, settings.lease)).collect::<Result<_, _>>()?;
    let retention = Retention {
        cancelled_processes: days(
            "housekeeping.cancelled_processes_in_days",
            housekeeping.cancelled_processes_in_days,
        )?,
        audit_trails: days("housekeeping.audit_trails_in_days", housekeeping.audit_trails_in_days)?,
        events: days("housekeeping.events_in_days", housekeeping.events_in_days)?,
    };
    let file = |configured: &mut Option<PathBuf>, name: &str| {
        *configured = configured.take().or_else(|| beside(name));
        configured.clone()
    };
    let every = |name: &str, value| seconds(&format!("workers.{name}_every_in_seconds"), value);
    Ok(WorkerConfiguration {
        reminders,
        most_per_hour,
        erasure: settings,
        erasers,
        without_erasers: erasure.without_erasers.unwrap_or(is_embedded),
        ledger: file(&mut ledger.file, "erasure-ledger"),
        receipt_key: file(&mut receipts.key_file, "receipt-key"),
        retention,
        enabled: workers.enabled,
        intervals: Intervals {
            reminders: every("reminders", workers.reminders_every_in_seconds)?,
            deletions: every("deletions", workers.deletions_every_in_seconds)?,
            erasures: every("erasures", workers.erasures_every_in_seconds)?,
            outbox: every("outbox", workers.outbox_every_in_seconds)?,
            housekeeping: every("housekeeping", workers.housekeeping_every_in_seconds)?,
            journal: every("journal", workers.journal_every_in_seconds)?,
        },
    })
}

/// A file that belongs to a SQLite database: beside it, under its name.
pub(crate) fn beside(database: &Path, name: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".");
    path.push(name);
    path.into()
}

pub(crate) fn seconds(key: &str, value: f64) -> Result<Duration, String> {
    between(value, 0.001, LONGEST)
        .ok_or_else(|| format!("key {key}: must be between 0.001 and {LONGEST} seconds"))
}

pub(crate) fn days(key: &str, value: f64) -> Result<Duration, String> {
    between(value * SECONDS_PER_DAY, 0.0, LONGEST)
        .ok_or_else(|| format!("key {key}: must be between 0 and {} days", LONGEST / SECONDS_PER_DAY))
}

pub(crate) fn between(seconds: f64, least: f64, most: f64) -> Option<Duration> {
    (least..=most).contains(&seconds).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

fn eraser(raw: &RawEraser, lease: Duration) -> Result<HttpEraserOptions, String> {
    let named =
        |member: &str, problem: String| format!("key erasure.erasers ({}), {member}: {problem}", raw.name);
    let timeout = between(raw.timeout_in_seconds, 0.001, LONGEST)
        .filter(|timeout| *timeout < lease)
        .ok_or_else(|| {
            named(
                "timeout_in_seconds",
                "must be at least 0.001 and less than erasure.lease_in_seconds".to_owned(),
            )
        })?;
    let name = raw.name.parse().map_err(|error| named("name", format!("{error}")))?;
    Ok(HttpEraserOptions {
        name,
        url: raw.url.parse().map_err(|error| named("url", format!("{error}")))?,
        secret: raw.secret.expose_secret().parse().map_err(|error| named("secret", format!("{error}")))?,
        timeout,
        asks_plan: raw.plan,
        allow_plaintext: raw.allow_plaintext,
        certificate_authorities: raw.ca_file.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Sections {
        reminders: RawReminders,
        deletions: RawDeletions,
        erasure: RawErasure,
        ledger: RawLedger,
        receipts: RawReceipts,
        housekeeping: RawHousekeeping,
        workers: RawWorkers,
    }

    fn validated(text: &str) -> Result<WorkerConfiguration, String> {
        let mut sections: Sections = toml::from_str(text).unwrap();
        let raw = RawWorkerSections {
            reminders: &sections.reminders,
            deletions: &sections.deletions,
            erasure: &sections.erasure,
            ledger: &mut sections.ledger,
            receipts: &mut sections.receipts,
            housekeeping: &sections.housekeeping,
            workers: &sections.workers,
        };
        validate(raw, true, |name| Some(PathBuf::from("/data").join(name)))
    }

    const ERASER: &str = "[[erasure.erasers]]\nname = 'photos'\nurl = 'https://photos.example/erase'\n\
                          secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'\n";

    #[test]
    fn the_defaults_are_those_of_enmeshed_and_of_the_use_cases() {
        let configuration = validated("").unwrap();
        assert_eq!(configuration.reminders, ReminderSettings::default());
        assert_eq!((configuration.erasure, configuration.most_per_hour), (ErasureSettings::default(), None));
        assert_eq!(configuration.retention, Retention::default());
        assert_eq!(configuration.ledger, Some(PathBuf::from("/data/erasure-ledger")));
        assert_eq!(configuration.receipt_key, Some(PathBuf::from("/data/receipt-key")));
    }

    #[test]
    fn an_eraser_is_read_and_its_secret_is_not_shown() {
        let configuration = validated(&format!("{ERASER}timeout_in_seconds = 5\nplan = true")).unwrap();
        let [eraser] = configuration.erasers.as_slice() else { panic!("{:?}", configuration.erasers) };
        assert_eq!((eraser.timeout, eraser.asks_plan), (Duration::from_secs(5), true));
        let sections: Sections = toml::from_str(ERASER).unwrap();
        let shown = serde_json::to_string(&sections.erasure).unwrap();
        assert!(shown.contains("photos.example") && !shown.contains("MfKQ9r8"), "{shown}");
        assert!(!format!("{:?} {sections:?}", configuration.erasers).contains("MfKQ9r8"));
    }

    #[test]
    fn a_mistake_is_named_by_its_key() {
        for (text, start) in [
            ("reminders.days_before = [5, 12]", "key reminders.days_before: "),
            ("reminders.days_before = [nan]", "key reminders.days_before: "),
            ("deletions.most_per_hour = 0", "key deletions.most_per_hour: "),
            ("erasure.concurrency = 0", "key erasure.concurrency: "),
            ("erasure.lease_in_seconds = 0", "key erasure.lease_in_seconds: "),
            ("erasure.patience_in_days = -1", "key erasure.patience_in_days: "),
            ("erasure.patience_in_days = inf", "key erasure.patience_in_days: "),
            ("housekeeping.events_in_days = nan", "key housekeeping.events_in_days: "),
            ("workers.erasures_every_in_seconds = 0", "key workers.erasures_every_in_seconds: "),
            (
                &format!("{ERASER}timeout_in_seconds = 120"),
                "key erasure.erasers (photos), timeout_in_seconds: ",
            ),
            (&ERASER.replace("https://", "ftp://"), "key erasure.erasers (photos), url: "),
            (&ERASER.replace("whsec_", "secret_"), "key erasure.erasers (photos), secret: "),
            (&ERASER.replace("'photos'", "'my photos'"), "key erasure.erasers (my photos), name: "),
        ] {
            let error = validated(text).unwrap_err();
            assert!(error.starts_with(start), "{text}: {error}");
            assert!(!error.contains("MfKQ9r8"), "{error}");
        }
    }
}
