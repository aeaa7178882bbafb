//! The section `journal` of the configuration: what is remembered outside the database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reprieve_application::KEEP_JOURNAL;
use reprieve_persistence::DatabaseUrl;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::worker_configuration::{SECONDS_PER_DAY, beside, days};

/// The section `journal`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(crate) struct RawJournal {
    /// A PostgreSQL URL may contain a password.
    url: Option<SecretString>,
    keep_in_days: Option<f64>,
}

/// What is remembered outside the database, valid in every part.
#[derive(Debug, Clone)]
pub(crate) struct JournalConfiguration {
    pub(crate) place: JournalPlace,
    /// How long, after a process was closed.
    pub(crate) keep: Duration,
}

/// Where the journal is.
#[derive(Debug, Clone)]
pub(crate) enum JournalPlace {
    /// Where the configuration says.
    Named(DatabaseUrl),
    /// In this folder, under a name that follows from the database.
    Beside { folder: PathBuf, database: PathBuf },
    /// Nowhere: it is to be named first.
    Unnamed,
}

/// Validates the section; an error names its key. `state` is the folder for what programs remember, and the journal is kept
/// at least as long as audit trails.
pub(crate) fn validate(
    raw: &RawJournal,
    database: &DatabaseUrl,
    state: Option<&Path>,
    audit_trails: Duration,
) -> Result<JournalConfiguration, String> {
    let place = match (&raw.url, database.file()) {
        (Some(url), _) => {
            let url = url.expose_secret().parse().map_err(|error| format!("key journal.url: {error}"))?;
            if url == *database {
                return Err(
                    "key journal.url: is the database itself, which the journal is to be outside of".into()
                );
            }
            JournalPlace::Named(url)
        }
        (None, Some(file)) => JournalPlace::Beside {
            folder: state.map_or_else(|| beside(file, "journal"), Path::to_owned),
            database: file.to_owned(),
        },
        (None, None) => JournalPlace::Unnamed,
    };
    let keep = match raw.keep_in_days {
        None => KEEP_JOURNAL.max(audit_trails),
        Some(configured) => {
            let keep = days("journal.keep_in_days", configured)?;
            if keep < audit_trails {
                return Err(
                    "key journal.keep_in_days: must be at least housekeeping.audit_trails_in_days".to_owned()
                );
            }
            keep
        }
    };
    Ok(JournalConfiguration { place, keep })
}

impl JournalConfiguration {
    /// For people to look at, without secrets.
    pub(crate) fn shown(&self) -> serde_json::Value {
        let keep_in_days = self.keep.as_secs_f64() / SECONDS_PER_DAY;
        match &self.place {
            JournalPlace::Named(url) => {
                serde_json::json!({"url": url.to_string(), "keep_in_days": keep_in_days})
            }
            JournalPlace::Beside { .. } | JournalPlace::Unnamed => {
                serde_json::json!({"keep_in_days": keep_in_days})
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn validated(section: &str, database: &str) -> Result<JournalConfiguration, String> {
        let raw: RawJournal = toml::from_str(section).unwrap();
        let database: DatabaseUrl = database.parse().unwrap();
        validate(&raw, &database, Some(Path::new("/state/reprieve")), 731 * DAY)
    }

    #[test]
    fn an_embedded_database_has_a_journal_in_another_folder() {
        let configuration = validated("", "sqlite:/data/reprieve.db").unwrap();
        let JournalPlace::Beside { folder, .. } = &configuration.place else { panic!("{configuration:?}") };
        assert_eq!((folder.as_path(), configuration.keep), (Path::new("/state/reprieve"), 800 * DAY));
    }

    #[test]
    fn on_postgres_it_has_to_be_named() {
        let database = "postgres://reprieve@db.example/reprieve";
        assert!(matches!(validated("", database).unwrap().place, JournalPlace::Unnamed));
        let named = "url = 'postgres://reprieve:secret@elsewhere.example/journal'";
        let configuration = validated(named, database).unwrap();
        assert!(matches!(configuration.place, JournalPlace::Named(_)));
        assert!(!configuration.shown().to_string().contains("secret"), "{}", configuration.shown());
    }

    #[test]
    fn a_mistake_is_named_by_its_key() {
        for (section, start) in [
            ("url = 'mysql://x'", "key journal.url: "),
            ("url = 'sqlite:/data/reprieve.db'", "key journal.url: is the database itself"),
            ("keep_in_days = nan", "key journal.keep_in_days: "),
            ("keep_in_days = 730", "key journal.keep_in_days: must be at least"),
        ] {
            let error = validated(section, "sqlite:/data/reprieve.db").unwrap_err();
            assert!(error.starts_with(start), "{section}: {error}");
        }
    }
}
