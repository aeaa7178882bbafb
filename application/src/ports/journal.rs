//! What a deployment remembers outside its database.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use reprieve_domain::audit::{JournalEntry, KeyedHash, PauseChange, Remembered, RememberedHold};
use reprieve_domain::{DeletionProcessId, Timestamp};

use crate::{Coded, ErrorCode};

/// Why a journal cannot be used. Nothing irreversible is done without it.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The configuration does not say where it is.
    #[error("no journal is named: set journal.url to a database outside of this one")]
    NotNamed,
    /// The database knows a journal, and there is none.
    #[error(
        "the journal {journal} is missing or empty, but the database knows one; bring it back, or begin a new one with \
         `reprieve journal adopt`"
    )]
    Missing {
        /// Where it should be.
        journal: String,
    },
    /// It is the journal of another database, or was written with another audit key.
    #[error(
        "the journal {journal} is not the one that the database knows; name that one in journal.url, or take this one with \
         `reprieve journal adopt`"
    )]
    Foreign {
        /// Where it is.
        journal: String,
    },
    /// A newer version of this program has written it.
    #[error("the journal {journal} was written by a newer version of this program")]
    Newer {
        /// Where it is.
        journal: String,
    },
    /// It was not reached, or failed.
    #[error("the journal {journal} cannot be used")]
    Unavailable {
        /// Where it is.
        journal: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Coded for JournalError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotNamed => ErrorCode::JournalNotNamed,
            Self::Missing { .. } => ErrorCode::JournalMissing,
            Self::Foreign { .. } => ErrorCode::JournalForeign,
            Self::Newer { .. } | Self::Unavailable { .. } => ErrorCode::JournalUnavailable,
        }
    }
}

/// A part of a journal, in the order in which it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalPage {
    /// The processes that it has entries of, each once.
    pub processes: Vec<DeletionProcessId>,
    /// The entries that cannot be read or are not sealed with the audit key, by their places.
    pub damaged: Vec<i64>,
    /// The place of the last entry; none at the end.
    pub last: Option<i64>,
}

/// How much a journal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalFigures {
    /// How many entries.
    pub entries: u64,
    /// Of how many processes.
    pub processes: u64,
    /// The place of the newest entry; 0 if there is none. Places only grow.
    pub newest: i64,
}

/// What a journal has of the holds of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RememberedHolds {
    /// The last revision of each hold.
    pub holds: Vec<RememberedHold>,
    /// Whether there are others that cannot be read or are not sealed.
    pub is_damaged: bool,
}

/// What a journal has of pausing deletions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RememberedPause {
    /// The newest setting.
    pub newest: Option<PauseChange>,
    /// Whether something that was written after it cannot be read or is not sealed.
    pub is_damaged: bool,
}

/// Keeps the journal, outside the database.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait Journal: Send + Sync {
    /// Where it is, without secrets.
    fn place(&self) -> String;

    /// The id by which it and its database know each other; none if there is no journal, which is not made.
    ///
    /// # Errors
    /// If it was begun with another audit key, or cannot be used.
    async fn id(&self) -> Result<Option<String>, JournalError>;

    /// Begins it with this id, and returns the id that it has: another one, if another program was faster.
    ///
    /// # Errors
    /// If it was begun with another audit key, or cannot be used.
    async fn begin(&self, id: &str) -> Result<String, JournalError>;

    /// Appends entries, sealed and durably before it returns. An entry that is there already is not there twice.
    ///
    /// # Errors
    /// If it cannot be written.
    async fn append(&self, entries: &[JournalEntry]) -> Result<(), JournalError>;

    /// What it has of these processes. One that it has nothing of is not in the answer.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn remembered(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Remembered>, JournalError>;

    /// Appends holds, sealed and durably before it returns. A revision that is there already is not there twice.
    ///
    /// # Errors
    /// If it cannot be written.
    async fn append_holds(&self, holds: &[RememberedHold]) -> Result<(), JournalError>;

    /// What it has of the holds of these identities. One that it has nothing of is not in the answer.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn holds(
        &self,
        identities: &[KeyedHash],
    ) -> Result<HashMap<KeyedHash, RememberedHolds>, JournalError>;

    /// Appends a setting of the switch that stops deletions, sealed and durably before it returns. One that is there already is
    /// not there twice.
    ///
    /// # Errors
    /// If it cannot be written.
    async fn append_pause(&self, change: &PauseChange) -> Result<(), JournalError>;

    /// What it has of that switch.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn pause(&self) -> Result<RememberedPause, JournalError>;

    /// At most `limit` entries behind the place `after`.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn page(&self, after: i64, limit: u32) -> Result<JournalPage, JournalError>;

    /// How much it has.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn figures(&self) -> Result<JournalFigures, JournalError>;

    /// The place of the newest entry; 0 if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn newest(&self) -> Result<i64, JournalError>;

    /// Removes the entries of at most `limit` processes that were closed before this instant, of holds that ended before it, and of
    /// pauses that were followed by another setting; returns how many processes.
    ///
    /// # Errors
    /// If it cannot be written.
    async fn forget_closed_before(&self, instant: Timestamp, limit: u32) -> Result<u64, JournalError>;
}
