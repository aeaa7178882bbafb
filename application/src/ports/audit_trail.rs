//! Reading the audit trail as it is stored.

use async_trait::async_trait;
use reprieve_domain::audit::{Chain, ErasureLedgerEntry, Fault, InvalidLedgerEntry, KeyedHash, SealedEntry};
use reprieve_domain::{Address, DeletionProcess, DeletionProcessId};

use crate::StoreError;

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

    /// What the erasure ledger says of a process whose deletion has started; nothing if it has not.
    fn ledger_entry(&self, process: &DeletionProcess) -> Option<ErasureLedgerEntry>;

    /// Whether an entry of the erasure ledger was written with the deployment's audit key.
    ///
    /// # Errors
    /// If it was not, or was changed since.
    fn verify_ledger_entry(&self, entry: &ErasureLedgerEntry) -> Result<(), InvalidLedgerEntry>;

    /// Verifies a chain with the deployment's audit key.
    ///
    /// # Errors
    /// The first entry that is not what was written.
    fn verify(&self, chain: &Chain) -> Result<(), Fault>;
}
