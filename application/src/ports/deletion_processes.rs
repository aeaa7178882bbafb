//! Queries: reading processes without deciding anything.

use async_trait::async_trait;
use reprieve_domain::{Address, DeletionProcess, DeletionProcessId, Status, Timestamp};

use crate::StoreError;

/// Which processes of all identities to show: in the order of their deadlines and ids, neither of which ever changes, so
/// that turning pages neither misses a process nor shows one twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Only processes with this status.
    pub status: Option<Status>,
    /// Only processes whose grace period ends, or ended, before this instant.
    pub ends_before: Option<Timestamp>,
    /// Only processes after this one: its deadline and id.
    pub after: Option<(Timestamp, DeletionProcessId)>,
    /// At most so many.
    pub limit: u32,
}

/// How many processes need something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Active or Deleting.
    pub open: u64,
    /// Deleting.
    pub deleting: u64,
    /// Erasures that have failed for so long that somebody has to look after them.
    pub stuck: u64,
    /// Processes that were found not to verify.
    pub quarantined: u64,
    /// Ripe: Active, and the grace period over.
    pub due: u64,
    /// Ripe for longer than it should take to start their deletion.
    pub overdue: u64,
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

    /// One page of the processes of all identities.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn page(&self, page: &Page) -> Result<Vec<DeletionProcess>, StoreError>;

    /// Addresses with anything stored about them, in their order, at most `limit` behind `after` or from the first one.
    /// Plain texts, because whatever is stored counts.
    ///
    /// # Errors
    /// If the store fails.
    async fn addresses(&self, after: Option<String>, limit: u32) -> Result<Vec<String>, StoreError>;

    /// Counts the processes that are open, that are ripe at `now`, and that were ripe at `overdue_since` already, and the
    /// erasures that are stuck and the processes that are quarantined.
    ///
    /// # Errors
    /// If the store fails.
    async fn figures(&self, now: Timestamp, overdue_since: Timestamp) -> Result<Figures, StoreError>;
}
