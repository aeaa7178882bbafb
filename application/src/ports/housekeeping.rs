//! Forgetting what has been kept for long enough.

use async_trait::async_trait;
use reprieve_domain::Timestamp;

use crate::{SinkName, StoreError};

/// What became of processes that were old enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Batch {
    /// How many were forgotten.
    pub forgotten: u64,
    /// How many do not verify.
    pub quarantined: u64,
}

/// Forgets, at most `limit` at a time.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait Housekeeping: Send + Sync {
    /// Verifies again what is quarantined, and releases what was put right or is gone. Returns how many processes are left.
    ///
    /// # Errors
    /// If the store fails.
    async fn review_quarantine(&self) -> Result<u64, StoreError>;

    /// Forgets processes that were cancelled before `instant`; their audit trails stay. What does not verify is quarantined
    /// and stays, and is not found again until it is released.
    ///
    /// # Errors
    /// If the store fails.
    async fn cancelled_processes(&self, instant: Timestamp, limit: u32) -> Result<Batch, StoreError>;

    /// Forgets the audit trails and receipts of processes whose identity was deleted before `instant`. What does not verify
    /// is quarantined and stays.
    ///
    /// # Errors
    /// If the store fails.
    async fn audit_trails(&self, instant: Timestamp, limit: u32) -> Result<Batch, StoreError>;

    /// Forgets events that occurred before `instant` and that no sink waits for: none of these, which may not have been told
    /// anything yet, and none that was ever told anything. Returns how many there were.
    ///
    /// # Errors
    /// If the store fails.
    async fn events(&self, known: &[SinkName], instant: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Forgets sinks that are not among these and that nobody has told anything since before `instant`, so that no event is
    /// kept for them any more. Returns how many there were.
    ///
    /// # Errors
    /// If the store fails.
    async fn sinks(&self, known: &[SinkName], instant: Timestamp) -> Result<u64, StoreError>;
}
