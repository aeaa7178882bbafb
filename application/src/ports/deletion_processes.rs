//! Queries: reading processes without deciding anything.

use async_trait::async_trait;
use reprieve_domain::{Address, DeletionProcess, DeletionProcessId, Timestamp};

use crate::StoreError;

/// A process whose grace period is over and whose deletion has not started: work, tied to one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RipeProcess {
    /// The identity.
    pub address: Address,
    /// The process.
    pub process_id: DeletionProcessId,
}

/// Reads deletion processes.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait DeletionProcesses: Send + Sync {
    /// The process with this id, if it belongs to this identity. One question asks for both, so that somebody else's
    /// process and none at all cannot be told apart.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn find(
        &self,
        owner: &Address,
        id: &DeletionProcessId,
    ) -> Result<Option<DeletionProcess>, StoreError>;

    /// Every process of this identity, oldest first.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn list(&self, owner: &Address) -> Result<Vec<DeletionProcess>, StoreError>;

    /// At most `limit` processes that are ripe at `now`, the longest overdue first. The cost depends on how many there
    /// are, not on how many are not due.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn ripe(&self, now: Timestamp, limit: u32) -> Result<Vec<RipeProcess>, StoreError>;
}
