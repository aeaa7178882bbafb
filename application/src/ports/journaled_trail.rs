//! The database, as its journal sees it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use reprieve_domain::audit::{Account, Fault, PauseChange, RememberedHold};
use reprieve_domain::{DeletionProcessId, Timestamp};

use crate::StoreError;

/// What a database knows of its journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownJournal {
    /// Its id; none if the database has no journal yet.
    pub id: Option<String>,
    /// Up to which place it was compared with the database.
    pub position: i64,
    /// Behind which process the journal is still to be compared with everything that is stored; none if it was.
    pub refill_after: Option<String>,
    /// How long the erasure ledger of older versions was when it was taken over.
    pub ledger_length: Option<u64>,
    /// When the newest setting of the switch was made that the journal has, in microseconds of Unix time.
    pub pause_changed_at: Option<i64>,
}

/// That an operator has replaced the journal of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// The id of the journal that was known before.
    pub known: Option<String>,
    /// The id of the journal that was adopted.
    pub adopted: String,
    /// When.
    pub adopted_at: Timestamp,
}

/// The audit trail as its journal sees it, and what the database knows of the journal.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait JournaledTrail: Send + Sync {
    /// What the database knows of its journal.
    ///
    /// # Errors
    /// If the store fails.
    async fn known_journal(&self) -> Result<KnownJournal, StoreError>;

    /// Remembers the journal with this id, with which everything that is stored is still to be compared, unless one is
    /// known; returns the one that is known then.
    ///
    /// # Errors
    /// If the store fails.
    async fn remember_journal(&self, id: &str) -> Result<String, StoreError>;

    /// Remembers this journal instead of the one that is known, with an entry in the chain of adoptions. Everything that is
    /// stored is still to be compared with it.
    ///
    /// # Errors
    /// If the store fails.
    async fn adopt_journal(&self, id: &str, at: Timestamp) -> Result<(), StoreError>;

    /// Every adoption, oldest first; an error if one was changed or removed.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn adoptions(&self) -> Result<Vec<Adoption>, StoreError>;

    /// Notes up to which place the journal was compared.
    ///
    /// # Errors
    /// If the store fails.
    async fn note_position(&self, position: i64) -> Result<(), StoreError>;

    /// Notes behind which process the journal is still to be compared with what is stored.
    ///
    /// # Errors
    /// If the store fails.
    async fn note_refill(&self, after: Option<String>) -> Result<(), StoreError>;

    /// Notes how long the erasure ledger was when it was taken over.
    ///
    /// # Errors
    /// If the store fails.
    async fn note_ledger(&self, length: u64) -> Result<(), StoreError>;

    /// What is stored of these processes, of each as it is now. One of which nothing is stored is not in the answer.
    ///
    /// # Errors
    /// If the store fails. What is wrong with one process is in the answer and holds up no other.
    async fn accounts(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Result<Account, Fault>>, StoreError>;

    /// At most `limit` processes with steps that are not noted as journaled, in the order of their ids, after this one or
    /// from the first.
    ///
    /// # Errors
    /// If the store fails.
    async fn unjournaled(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<DeletionProcessId>, StoreError>;

    /// How many steps that were taken before this instant are not noted as journaled, counted up to `limit`.
    ///
    /// # Errors
    /// If the store fails.
    async fn count_unjournaled_before(&self, instant: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// At most `limit` processes of which anything is stored, in the order of their ids, after this one or from the first.
    ///
    /// # Errors
    /// If the store fails.
    async fn processes_after(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<DeletionProcessId>, StoreError>;

    /// Notes that the journal has these processes up to these revisions.
    ///
    /// # Errors
    /// If the store fails.
    async fn note_journaled(&self, processes: &[(DeletionProcessId, i64)]) -> Result<(), StoreError>;

    /// At most `limit` holds that are not noted as journaled.
    ///
    /// # Errors
    /// If the store fails. Holds that are not sealed are left out.
    async fn unjournaled_holds(&self, limit: u32) -> Result<Vec<RememberedHold>, StoreError>;

    /// Notes that the journal has these holds.
    ///
    /// # Errors
    /// If the store fails.
    async fn note_holds_journaled(&self, holds: &[RememberedHold]) -> Result<(), StoreError>;

    /// How the switch that stops deletions is set; none if it was never set, or if what is stored of it does not verify.
    ///
    /// # Errors
    /// If the store fails.
    async fn pause_setting(&self) -> Result<Option<PauseChange>, StoreError>;

    /// Notes that the journal has the setting that was made at this instant, in microseconds of Unix time.
    ///
    /// # Errors
    /// If the store fails.
    async fn note_pause_journaled(&self, changed_at: i64) -> Result<(), StoreError>;

    /// Stores a setting again that was lost, unless a later one is stored, or what is stored does not verify.
    ///
    /// # Errors
    /// If the store fails; then nothing is stored.
    async fn restore_pause(&self, change: &PauseChange) -> Result<(), StoreError>;

    /// At most `limit` processes that were forgotten, and not yet in the journal.
    ///
    /// # Errors
    /// If the store fails.
    async fn forgotten(&self, limit: u32) -> Result<Vec<DeletionProcessId>, StoreError>;

    /// Notes that the journal knows that these processes were forgotten.
    ///
    /// # Errors
    /// If the store fails.
    async fn note_forgotten(&self, processes: &[DeletionProcessId]) -> Result<(), StoreError>;

    /// Quarantines processes that the journal does not bear out, each with an event unless the same is known of it. Of a
    /// process that is not stored the owner is unknown, so that there is no event.
    ///
    /// # Errors
    /// If the store fails.
    async fn quarantine(&self, faults: &[Fault]) -> Result<(), StoreError>;

    /// At most `limit` processes of which the database lacks what the journal has, in the order of their ids, after this one
    /// or from the first.
    ///
    /// # Errors
    /// If the store fails.
    async fn older(&self, after: Option<String>, limit: u32) -> Result<Vec<DeletionProcessId>, StoreError>;

    /// At most `limit` processes that were quarantined because the database lacks what the journal has, or because what the
    /// journal has cannot be read, in the order of their ids, after this one or from the first.
    ///
    /// # Errors
    /// If the store fails.
    async fn doubted(&self, after: Option<String>, limit: u32) -> Result<Vec<DeletionProcessId>, StoreError>;

    /// Notes that the journal bears out these processes.
    ///
    /// # Errors
    /// If the store fails.
    async fn note_current(&self, processes: &[DeletionProcessId]) -> Result<(), StoreError>;
}
