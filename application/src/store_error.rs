//! What can go wrong between a use case and whatever stores its data.

use std::error::Error;

use reprieve_domain::Timestamp;
use reprieve_domain::audit::{Fault, FaultKind};

use crate::ports::{JournalError, LedgerError, Pause};
use crate::{Coded, ErrorCode};

/// Why something could not be loaded or saved. That nothing was found is no error: ports say so with an `Option`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// What was loaded is no longer what is stored: nothing was saved; load and decide again.
    #[error("somebody else changed the deletion process at the same time")]
    Conflict,
    /// The identity got an open process in the meantime: nothing was saved.
    #[error("the identity has an open deletion process")]
    OpenProcessExists,
    /// The lease was over and somebody else has claimed the work since: nothing was saved.
    #[error("somebody else has taken the work over")]
    LeaseLost,
    /// The request was answered in the meantime: nothing was saved; the answer is there to be read.
    #[error("the request was answered already")]
    AlreadyAnswered,
    /// The tables are not those of this version.
    #[error("the database is not migrated to this version")]
    NotMigrated,
    /// The tables are those of a newer version.
    #[error("the database was written by a newer version of this program")]
    Newer,
    /// What is stored is nothing this program can have written.
    #[error("the database is corrupt: table {table}, key {key}, column {column}: {problem}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The key of the row.
        key: String,
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// What is stored of a process does not follow from its audit trail: it is quarantined, and nothing irreversible is
    /// done about it.
    #[error("the deletion process is quarantined: {0}")]
    Quarantined(Fault),
    /// Deletions are paused: nothing was saved.
    #[error("{}", paused(.0))]
    Paused(Pause),
    /// The clock of this machine and that of the database differ by more than is tolerated: nothing was saved.
    #[error(
        "the clocks disagree: this machine shows {machine}, the database {database}; nothing is begun until one is set right"
    )]
    ClocksDisagree {
        /// What the clock of this machine shows.
        machine: Timestamp,
        /// What the clock of the database shows.
        database: Timestamp,
    },
    /// The clock is so far ahead of the last instant that was noted that it may be wrong: nothing was saved.
    #[error(
        "the clock shows {now}, but the last instant that has certainly passed is {}; if the clock is right, `reprieve clock confirm` says so",
        .noted.map_or_else(|| "not known".to_owned(), |noted| noted.to_string())
    )]
    ClockAhead {
        /// What the deciding clock shows.
        now: Timestamp,
        /// What was noted, if it can be trusted.
        noted: Option<Timestamp>,
    },
    /// The clock is behind an instant that was noted as passed: nothing was saved.
    #[error("the clock shows {now}, but {noted} has passed; nothing is begun until it is set right")]
    ClockBehind {
        /// What the deciding clock shows.
        now: Timestamp,
        /// What was noted.
        noted: Timestamp,
    },
    /// The journal cannot be used, which nothing irreversible is done without.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The erasure ledger of an older version cannot be taken over.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store refuses to be written to: nothing was saved.
    #[error("the database is read-only")]
    ReadOnly(#[source] Box<dyn Error + Send + Sync>),
    /// There is no room left: nothing was saved.
    #[error("the disk of the database is full")]
    Full(#[source] Box<dyn Error + Send + Sync>),
    /// The database file is no database, or a damaged one.
    #[error("the database is damaged, or not a database")]
    Damaged(#[source] Box<dyn Error + Send + Sync>),
    /// The store was not reached, did not answer in time, or failed. Whether a step was saved is unknown if the
    /// connection broke while it was; asking again shows it, and never does it twice.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

/// The reason is left out: errors are logged.
fn paused(pause: &Pause) -> String {
    match pause {
        Pause::Ordered { since, .. } => {
            format!("deletions are paused since {since}; `reprieve deletions show` says why")
        }
        Pause::Lost { since, .. } => format!(
            "deletions are paused since {since} as the journal has it, which the database lacks; `reprieve deletions resume` \
             has them go on"
        ),
        Pause::Unverified => {
            "deletions count as paused, because what is stored of pausing them was changed; \
                              `reprieve deletions resume` has them go on"
                .to_owned()
        }
    }
}

impl Coded for StoreError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Conflict | Self::LeaseLost | Self::AlreadyAnswered => ErrorCode::DatabaseConflict,
            Self::NotMigrated => ErrorCode::DatabaseNotMigrated,
            Self::Newer => ErrorCode::DatabaseNewer,
            Self::OpenProcessExists => ErrorCode::ActiveIdentityDeletionProcessAlreadyExists,
            Self::Corrupt { .. } | Self::Damaged(_) => ErrorCode::DatabaseCorrupt,
            Self::Quarantined(Fault { kind: FaultKind::OlderThanJournal, .. }) => {
                ErrorCode::DatabaseOlderThanJournal
            }
            Self::Quarantined(Fault { kind: FaultKind::JournalDamaged, .. }) => ErrorCode::JournalCorrupt,
            Self::Quarantined(_) => ErrorCode::AuditTrailBroken,
            Self::Paused(_) => ErrorCode::DeletionsPaused,
            Self::ClocksDisagree { .. } => ErrorCode::ClocksDisagree,
            Self::ClockAhead { .. } => ErrorCode::ClockAhead,
            Self::ClockBehind { .. } => ErrorCode::ClockBehind,
            Self::Journal(error) => error.code(),
            Self::Ledger(error) => error.code(),
            Self::ReadOnly(_) => ErrorCode::DatabaseReadOnly,
            Self::Full(_) => ErrorCode::DatabaseFull,
            Self::Unavailable(_) => ErrorCode::DatabaseUnavailable,
        }
    }
}
