//! The work that a deletion consists of: who has it, until when, and what came of it.

use async_trait::async_trait;
use reprieve_domain::{Address, DeletionProcessId, EraserName, TaskKind, Timestamp, WaiverCode};

use crate::{OperatorNote, Receipt, StoreError};

/// A task that was claimed: until the lease is over it is the claimant's. Whoever claims it later gets another fence, and
/// with the old one nothing can be stored any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureTask {
    /// The process.
    pub process_id: DeletionProcessId,
    /// The identity.
    pub address: Address,
    /// What is to be done.
    pub kind: TaskKind,
    /// Which claim this is.
    pub fence: i64,
    /// How often it has failed since it was last made to start anew.
    pub failures: u32,
    /// When it was tried first without coming to an end.
    pub unfinished_since: Option<Timestamp>,
    /// Where to ask how far the eraser is, if it said so.
    pub poll: Option<String>,
}

/// What a step says of the task that it comes from; stored with it by [`Identities::save`](super::Identities::save).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskOutcome {
    /// The eraser acknowledged: the task is gone, and the process is due to be finished.
    Acknowledged,
    /// The eraser failed.
    Failed {
        /// When the task was tried first without coming to an end.
        since: Timestamp,
        /// When it is tried again; none if it needs an operator first.
        again_at: Option<Timestamp>,
    },
}

/// What came of a task about which there is no step to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// That the eraser has acknowledged is known already.
    Known,
    /// Not done yet, and nothing wrong with that.
    Later {
        /// When to go on; none if something else will make it due.
        at: Option<Timestamp>,
        /// When the task was tried first without coming to an end.
        since: Timestamp,
        /// Where to ask how far the eraser is.
        poll: Option<String>,
    },
    /// Not even tried: what is known of the task stays as it was, and it can be claimed again.
    GivenBack {
        /// When it is tried again.
        again_at: Timestamp,
    },
}

/// A task, for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    /// The process.
    pub process_id: DeletionProcessId,
    /// The identity.
    pub address: Address,
    /// What is to be done.
    pub kind: TaskKind,
    /// How often it has failed since it was last made to start anew.
    pub failures: u32,
    /// When it was tried first without coming to an end.
    pub unfinished_since: Option<Timestamp>,
    /// Since when it waits for somebody to look after it.
    pub stuck_since: Option<Timestamp>,
    /// When it is tried next, or when the lease of whoever has it is over; none while it waits for something else.
    pub due_at: Option<Timestamp>,
}

/// A process that was found not to verify, for people to look at. Plain values, because it may be of anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The process.
    pub process_id: String,
    /// The place in its chain, from 1.
    pub sequence: i64,
    /// What is wrong there: a [`FaultKind::reason`](reprieve_domain::audit::FaultKind::reason).
    pub reason: String,
    /// When that was found.
    pub found_at: Timestamp,
}

/// An erasure that was waived, for people to look at, while the deletion is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The process.
    pub process_id: DeletionProcessId,
    /// The identity.
    pub address: Address,
    /// The eraser that is not asked any more.
    pub eraser: EraserName,
    /// When it was waived.
    pub waived_at: Timestamp,
    /// Why.
    pub code: WaiverCode,
    /// What the operator wrote.
    pub note: Option<OperatorNote>,
}

/// What became of the tasks that were to be tried at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetriedTasks {
    /// How many are due now.
    pub due: u64,
    /// How many were left alone because a worker performs them at that moment.
    pub being_performed: u64,
}

/// Hands out the tasks of deletions. They come to be with the step that starts the deletion.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ErasureTasks: Send + Sync {
    /// Claims at most `limit` tasks that are due at `now`, the longest due first, until `lease_ends_at`. A task whose row
    /// is corrupt is reported in its place, and comes again when the lease is over.
    ///
    /// # Errors
    /// [`StoreError::Paused`] while deletions are paused, and if the store fails.
    async fn claim(
        &self,
        now: Timestamp,
        lease_ends_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<Result<ErasureTask, StoreError>>, StoreError>;

    /// Stores what came of a claimed task without a step, at `now`, if the claim still holds.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if another worker has claimed the task since; then, as when the store fails, nothing is
    /// stored.
    async fn settle(
        &self,
        task: &ErasureTask,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Ends a deletion that is complete, if the claim still holds: keeps the receipt and the heads of the identity's audit
    /// trails, and removes everything else that is stored of the identity, the task included, but nothing that came to be
    /// since the deletion was complete: somebody who asks again then is somebody new.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if somebody else has claimed the task since, [`StoreError::Conflict`] if the process is
    /// not Deleted, [`StoreError::Paused`] while deletions are paused; then, as when the store fails, nothing is removed.
    async fn close(&self, task: &ErasureTask, receipt: &Receipt, signed: &str) -> Result<(), StoreError>;

    /// Makes the erasures of a process due at `now`, all or the one of an eraser, except those that a worker performs at
    /// that moment: two would do so otherwise. A stuck one starts anew; one that waits keeps its failures and since when
    /// it has been tried.
    ///
    /// # Errors
    /// If the store fails.
    async fn retry<'a>(
        &self,
        process: &DeletionProcessId,
        eraser: Option<&'a EraserName>,
        now: Timestamp,
    ) -> Result<RetriedTasks, StoreError>;

    /// At most `limit` waivers of one process, or of all, that are under way.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn waivers<'a>(
        &self,
        process: Option<&'a DeletionProcessId>,
        limit: u32,
    ) -> Result<Vec<Waiver>, StoreError>;

    /// At most `limit` processes that are quarantined, or the one that is asked for.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn quarantined<'a>(
        &self,
        process: Option<&'a DeletionProcessId>,
        limit: u32,
    ) -> Result<Vec<Quarantined>, StoreError>;

    /// At most `limit` tasks of one process, or of all, those that wait for somebody first.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn list<'a>(
        &self,
        process: Option<&'a DeletionProcessId>,
        limit: u32,
    ) -> Result<Vec<TaskStatus>, StoreError>;
}
