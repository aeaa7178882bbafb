//! Reading the audit trail as it is stored.

use std::collections::BTreeMap;

use async_trait::async_trait;
use reprieve_domain::audit::{Chain, ErasureLedgerEntry, Fault, InvalidLedgerEntry, KeyedHash, SealedEntry};
use reprieve_domain::{Address, DeletionProcess, DeletionProcessId};

use super::Loaded;
use crate::{Receipt, StoreError};

/// A page of events that were compared with the entries they tell of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ComparedEvents {
    /// Where the next page begins; nothing at the end.
    pub next: Option<i64>,
    /// Those that are not what their entries say.
    pub faults: Vec<Fault>,
}

/// Reads and checks the audit trail, a bounded number of chains at a time.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// The chains of at most `limit` processes, in the order of their ids, after the process `after` or from the first
    /// one; each as it was at one moment. An empty answer is the end.
    ///
    /// # Errors
    /// If the store fails.
    async fn chains(&self, after: Option<String>, limit: u32) -> Result<Vec<Chain>, StoreError>;

    /// The entries of this identity, oldest first, also after the identity is gone; only those of one process if one is
    /// named.
    ///
    /// # Errors
    /// If the store fails.
    async fn entries<'a>(
        &self,
        owner: &Address,
        process: Option<&'a DeletionProcessId>,
    ) -> Result<Vec<SealedEntry>, StoreError>;

    /// What the trail says instead of this address.
    fn identity_hash(&self, address: &Address) -> KeyedHash;

    /// Whether an entry of the erasure ledger was written with the deployment's audit key.
    ///
    /// # Errors
    /// If it was not, or was changed since.
    fn verify_ledger_entry(&self, entry: &ErasureLedgerEntry) -> Result<(), InvalidLedgerEntry>;

    /// Verifies a chain with the deployment's audit key; returns what the receipt has to say if the identity was deleted
    /// with the process and its data is gone.
    ///
    /// # Errors
    /// The first entry that is not what was written, or that what is stored contradicts.
    fn verify(&self, chain: &Chain) -> Result<Option<Receipt>, Fault>;

    /// Loads these processes and verifies each and its chain, before anything irreversible is done about them: each as it
    /// is stored now, all with one query. Those that are not stored are not in the answer.
    ///
    /// The version is the head that was verified: a step that is decided on it is stored only if nothing has come in between.
    ///
    /// # Errors
    /// If the store fails. What is wrong with one process is in the answer and holds up no other.
    async fn verified(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Result<Loaded<DeletionProcess>, Fault>>, StoreError>;

    /// Compares at most `limit` events that are kept, behind the place `after` or from the first one, with the entries
    /// they tell of.
    ///
    /// # Errors
    /// If the store fails.
    async fn compared_events(&self, after: Option<i64>, limit: u32) -> Result<ComparedEvents, StoreError>;

    /// Looks for what contradicts itself elsewhere: several events of one entry, deliveries of another identity's events, an
    /// own identity whose address is another's.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn contradictions(&self) -> Result<Vec<Fault>, StoreError>;
}
