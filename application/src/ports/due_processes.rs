//! Stepping many processes at once: what is due, and only that.

use async_trait::async_trait;
use reprieve_domain::{DeletionProcessId, Identity, Reminder, Step, Timestamp};

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
}

/// How far a pass has come among what is due: the deadline in microseconds of Unix time, and the id. Not the types of the
/// domain, because a pass goes on behind a row that is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub i64, pub String);

/// Decides on one identity what is to be done; nothing, if what made it due is no longer so.
pub type Decide<'a> = dyn Fn(&Identity) -> Option<Step> + Send + Sync + 'a;

/// What became of one batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// The processes that took a step.
    pub stepped: Vec<DeletionProcessId>,
    /// Processes that somebody else changed in the meantime, or that need nothing any more.
    pub left_alone: u64,
    /// Processes that could not be stepped, each with the reason. They held up nobody else.
    pub failed: Vec<StoreError>,
    /// Where the next batch goes on; none if nothing more is due.
    pub next: Option<Position>,
}

/// Steps processes that are due.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait DueProcesses: Send + Sync {
    /// Takes at most `limit` processes that are due, behind `after`, those with the earliest deadline first; asks `decide`
    /// of each, on the state that is stored and while nobody else can change it, and stores the step as
    /// [`Identities::save`](super::Identities::save) does. A process that somebody else works on is passed over. One that
    /// fails holds up no other.
    ///
    /// # Errors
    /// If the store fails as a whole. What was stored in earlier batches stays stored.
    async fn step<'a>(
        &self,
        due: Due,
        after: Option<Position>,
        limit: u32,
        decide: &'a Decide<'a>,
    ) -> Result<Batch, StoreError>;
}
