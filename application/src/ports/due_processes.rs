//! Which processes are due.

use std::time::Duration;

use async_trait::async_trait;
use reprieve_domain::{DeletionProcessId, Reminder, Timestamp};

use crate::StoreError;

/// Which Active processes are due: a range of deadlines among those with the same newest reminder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The most urgent reminder that was sent; none if no reminder was.
    pub reminded: Option<Reminder>,
    /// The grace period ends after this instant, if one is named.
    pub ends_after: Option<Timestamp>,
    /// The grace period ends, or ended, at this instant or before.
    pub ends_by: Timestamp,
    /// The grace period is longer than this, if a length is named.
    pub longer_than: Option<Duration>,
}

/// How far a pass has come among what is due: the deadline in microseconds of Unix time, and the id. Not the types of the
/// domain, because a pass goes on behind a row that is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub i64, pub String);

/// What was found of what is due.
#[derive(Debug, Default)]
pub struct Found {
    /// The processes, those with the earliest end first. Whether they are what they seem to be is yet to be
    /// [verified](super::AuditTrail::verified).
    pub processes: Vec<DeletionProcessId>,
    /// Rows that cannot be named, each with the reason.
    pub failed: Vec<StoreError>,
    /// Where the search goes on; none if nothing more is due.
    pub next: Option<Position>,
}

/// Finds processes that are due. Nothing is locked: a step is stored only if its process has not changed meanwhile.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait DueProcesses: Send + Sync {
    /// At most `limit` processes that are due, behind `after`, those with the earliest end first.
    ///
    /// # Errors
    /// If the store fails.
    async fn find_due(&self, due: Due, after: Option<Position>, limit: u32) -> Result<Found, StoreError>;

    /// At most `limit` processes that are Active and whose grace period ended at `ends_by` or before, whatever reminders were
    /// sent, behind `after`, those with the earliest end first.
    ///
    /// # Errors
    /// If the store fails.
    async fn find_ripe(
        &self,
        ends_by: Timestamp,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Found, StoreError>;

    /// How many of those there are.
    ///
    /// # Errors
    /// If the store fails.
    async fn count_ripe(&self, ends_by: Timestamp) -> Result<u64, StoreError>;

    /// How many deletions have started after this instant, whatever has become of them.
    ///
    /// # Errors
    /// If the store fails.
    async fn count_started_after(&self, instant: Timestamp) -> Result<u64, StoreError>;
}
