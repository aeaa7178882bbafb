//! What a check of a deployment has found.

use crate::{ErrorCode, Failure};

/// One thing that was checked: what is the case, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub area: Area,
    /// How bad it is.
    pub severity: Severity,
    /// The error code of what is wrong, where it has one.
    pub code: Option<ErrorCode>,
    /// What is the case, in one sentence and without personal data.
    pub message: String,
    /// What to do about it; absent if there is nothing to be done.
    pub remedy: Option<String>,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Deletions stand still, or something is not safe.
    Warning,
    /// Cancellations cannot be served.
    Error,
}

/// What a finding is about, in the order in which findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// The configuration as a whole.
    Configuration,
    /// The database.
    Database,
    /// The audit key.
    AuditKey,
    /// The clocks.
    Clocks,
    /// The journal.
    Journal,
    /// Deletions that are under way or due.
    Deletions,
    /// The erasers.
    Erasers,
    /// The key that receipts are signed with.
    Receipts,
    /// The sinks of events.
    Events,
    /// The issuer of tokens.
    Authentication,
    /// The permissions of files.
    Files,
}

impl Severity {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Area {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Database => "database",
            Self::AuditKey => "auditKey",
            Self::Clocks => "clocks",
            Self::Journal => "journal",
            Self::Deletions => "deletions",
            Self::Erasers => "erasers",
            Self::Receipts => "receipts",
            Self::Events => "events",
            Self::Authentication => "authentication",
            Self::Files => "files",
        }
    }

    /// How bad it is if something is wrong here.
    fn severity(self) -> Severity {
        match self {
            Self::Configuration | Self::Database | Self::AuditKey | Self::Authentication => Severity::Error,
            Self::Clocks
            | Self::Journal
            | Self::Deletions
            | Self::Erasers
            | Self::Receipts
            | Self::Events
            | Self::Files => Severity::Warning,
        }
    }
}

impl Finding {
    /// That all is well.
    pub fn ok(area: Area, message: impl Into<String>) -> Self {
        Self { area, severity: Severity::Ok, code: None, message: message.into(), remedy: None }
    }

    /// That something is wrong, as bad as it is in this area.
    pub fn wrong(
        area: Area,
        code: Option<ErrorCode>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (message, remedy) = (message.into(), Some(remedy.into()));
        Self { area, severity: area.severity(), code, message, remedy }
    }

    /// That something failed, with what is to be done about failures of this kind.
    #[must_use]
    pub fn failed(area: Area, failure: Failure) -> Self {
        let Failure { code, message } = failure;
        Self::wrong(area, Some(code), message, remedy(code))
    }

    /// The same finding, but only a warning: cancellations are served all the same.
    #[must_use]
    pub fn as_warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }
}

/// What is to be done about a failure.
fn remedy(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::ConfigurationInvalid => "correct the configuration; `reprieve config show` shows it",
        ErrorCode::AuditKeyMismatch | ErrorCode::AuditKeyUnusable => {
            "put back the audit key that belongs to this database, from where it is kept safe"
        }
        ErrorCode::AuditTrailBroken => "run `reprieve audit verify`, which names what was changed",
        ErrorCode::ClockAhead => {
            "set the clock right, or say what time it is with `reprieve clock confirm INSTANT`"
        }
        ErrorCode::ClockBehind | ErrorCode::ClocksDisagree => {
            "set the clock right that is wrong; `reprieve clock show` shows all of them"
        }
        ErrorCode::DatabaseCorrupt => "restore a backup, then run `reprieve journal replay`",
        ErrorCode::DatabaseFull => "make room on the disk of the database",
        ErrorCode::DatabaseNewer => "run the newer version of this program",
        ErrorCode::DatabaseNotMigrated => "run `reprieve database migrate`",
        ErrorCode::DatabaseReadOnly => "make the database writable for the user of the service",
        ErrorCode::DatabaseUnavailable => {
            "make sure that the database runs, and that database.url and its user are right"
        }
        ErrorCode::DeletionsPaused => "have them go on with `reprieve deletions resume`, once they may",
        ErrorCode::ErasureStuck => "run `reprieve deletions show`, then `reprieve deletions retry`",
        ErrorCode::EventsParked => "run `reprieve events parked`, then `reprieve events redeliver`",
        ErrorCode::DatabaseOlderThanJournal => "run `reprieve journal replay --dry-run`, then without",
        ErrorCode::JournalMissing | ErrorCode::JournalForeign => {
            "name the right journal in journal.url; only if it is lost for good, `reprieve journal adopt`"
        }
        ErrorCode::JournalNotNamed => "set journal.url to a database outside of this one",
        ErrorCode::JournalCorrupt => "put back the journal, then run `reprieve journal status`",
        ErrorCode::JournalUnavailable => "make sure that the journal at journal.url can be read and written",
        ErrorCode::ReceiptKeyUnusable => {
            "put back the key for receipts, or name its file in receipts.key_file"
        }
        _ => "see docs/error-codes.md",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_cancellations_from_being_served_is_an_error_and_all_else_a_warning() {
        for (area, code, severity) in [
            (Area::Database, ErrorCode::DatabaseReadOnly, Severity::Error),
            (Area::AuditKey, ErrorCode::AuditKeyMismatch, Severity::Error),
            (Area::Journal, ErrorCode::JournalForeign, Severity::Warning),
            (Area::Clocks, ErrorCode::ClocksDisagree, Severity::Warning),
        ] {
            let finding = Finding::failed(area, Failure::new(code, "no"));
            assert_eq!((finding.severity, finding.code), (severity, Some(code)));
            assert!(finding.remedy.is_some());
        }
        assert_eq!(Finding::ok(Area::Files, "fine").severity, Severity::Ok);
        assert!(Severity::Ok < Severity::Warning && Severity::Warning < Severity::Error);
    }
}
