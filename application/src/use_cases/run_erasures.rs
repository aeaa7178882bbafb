//! Deleting → Deleted: asking the erasers until each has acknowledged, and removing what is left.

mod perform;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use reprieve_domain::{DeletionProcess, Timestamp};

use self::perform::Outcome;
use crate::backoff::{Backoff, after};
use crate::ports::{
    AuditTrail, Clock, DeletionsSwitch, ErasureTask, ErasureTasks, Holds, Identities, Ids, Loaded,
    RandomSourceFailed, ReceiptSigner, Settlement,
};
use crate::{Coded, Erasers, ErrorCode, StoreError};

/// How erasers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasureSettings {
    /// How long a task is one worker's alone. Longer than any eraser may take to answer.
    pub lease: Duration,
    /// How many tasks a worker has at once.
    pub concurrency: u32,
    /// When an eraser that works on it is asked again, if it has no wish.
    pub poll_interval: Duration,
    /// When one that failed is asked again.
    pub backoff: Backoff,
}

impl Default for ErasureSettings {
    /// Two minutes, 16 tasks, ten seconds.
    fn default() -> Self {
        Self {
            lease: Duration::from_mins(2),
            concurrency: 16,
            poll_interval: Duration::from_secs(10),
            backoff: Backoff::default(),
        }
    }
}

/// Does the work that deletions consist of.
///
/// A process is Deleting, durably, before any of its tasks exist. With a [`JournaledAuditTrail`](crate::JournaledAuditTrail),
/// it is in the journal before any eraser is asked.
/// What an eraser acknowledges is stored together with the audit entry that says so, by whoever holds the task's lease.
pub struct RunErasures {
    tasks: Arc<dyn ErasureTasks>,
    switch: Arc<dyn DeletionsSwitch>,
    holds: Arc<dyn Holds>,
    identities: Arc<dyn Identities>,
    audit_trail: Arc<dyn AuditTrail>,
    signer: Arc<dyn ReceiptSigner>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    erasers: Erasers,
    settings: ErasureSettings,
}

/// What a pass did.
#[derive(Debug, Default)]
pub struct ErasuresRun {
    /// How often an eraser acknowledged.
    pub acknowledged: u64,
    /// How often an eraser said that it works on it.
    pub working: u64,
    /// How often an eraser failed.
    pub failed: u64,
    /// How many of those will not be asked again by themselves.
    pub stuck: u64,
    /// How many identities are deleted now.
    pub completed: u64,
    /// How many tasks somebody else has taken over.
    pub left_alone: u64,
    /// How many tasks could not be done for other reasons. They come again after a while, at the latest when their lease is
    /// over.
    pub broken: u64,
    /// Why the first of them could not.
    pub first_failure: Option<StoreError>,
}

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunErasuresError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no randomness to be had.
    #[error(transparent)]
    Random(#[from] RandomSourceFailed),
}

impl Coded for RunErasuresError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Random(error) => error.code(),
        }
    }
}

/// The ports and settings of [`RunErasures`], which has too many to tell apart by position.
pub struct RunErasuresPorts {
    /// The tasks.
    pub tasks: Arc<dyn ErasureTasks>,
    /// Whether deletions are paused.
    pub switch: Arc<dyn DeletionsSwitch>,
    /// What suspends deletions.
    pub holds: Arc<dyn Holds>,
    /// The processes.
    pub identities: Arc<dyn Identities>,
    /// The audit trail.
    pub audit_trail: Arc<dyn AuditTrail>,
    /// Who signs receipts.
    pub signer: Arc<dyn ReceiptSigner>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, so that not all come back at once.
    pub ids: Arc<dyn Ids>,
}

/// What goes on during a pass.
enum Event {
    Claimed(Result<Claimed, RunErasuresError>),
    Performed(Result<Outcome, StoreError>),
}

/// Tasks that were claimed.
#[derive(Default)]
struct Claimed {
    /// How many there are, whatever is to be said of them.
    tasks: usize,
    /// Those that can be performed, with their process as it is now.
    prepared: Vec<(ErasureTask, Loaded<DeletionProcess>)>,
    left_alone: u64,
    broken: Vec<StoreError>,
}

impl RunErasures {
    /// With its ports.
    #[must_use]
    pub fn new(ports: RunErasuresPorts, erasers: Erasers, settings: ErasureSettings) -> Self {
        let RunErasuresPorts { tasks, switch, holds, identities, audit_trail, signer, clock, ids } = ports;
        Self { tasks, switch, holds, identities, audit_trail, signer, clock, ids, erasers, settings }
    }

    /// One pass: until nothing is due. What fails is due later and is not waited for.
    ///
    /// # Errors
    /// If deletions are paused, or if the store or the journal fails as a whole. What was acknowledged until then stays acknowledged; what was claimed
    /// and not tried is given back.
    pub async fn execute(&self) -> Result<ErasuresRun, RunErasuresError> {
        let mut run = ErasuresRun::default();
        // What becomes due meanwhile is for the next pass, or one would never end while erasers fail.
        let started_at = self.clock.now();
        let (mut may_be_due, mut is_claiming, mut at_work) = (true, false, 0);
        let mut failure = None;
        // Claiming is one of them: each may hold a connection that another one waits for, so all must go on at all times.
        let mut running: FuturesUnordered<BoxFuture<'_, Event>> = FuturesUnordered::new();
        loop {
            let free = self.settings.concurrency.saturating_sub(at_work);
            // Not one at a time: a claim costs as much for one as for many. So all that are ready come first.
            let ready = running.next().now_or_never();
            if ready.as_ref().is_none_or(Option::is_none) && may_be_due && !is_claiming && free > 0 {
                (may_be_due, is_claiming) = (false, true);
                running.push(Box::pin(async move { Event::Claimed(self.claim(started_at, free).await) }));
            }
            let event = match ready {
                Some(Some(event)) => Some(event),
                Some(None) | None => running.next().await,
            };
            match event {
                Some(Event::Claimed(claimed)) => {
                    is_claiming = false;
                    let Claimed { tasks, prepared, left_alone, broken } = match claimed {
                        Ok(claimed) => claimed,
                        Err(error) => {
                            // What runs comes to its end, and nothing more is begun.
                            failure = Some(error);
                            continue;
                        }
                    };
                    may_be_due |= failure.is_none() && tasks > 0;
                    run.left_alone += left_alone;
                    for error in broken {
                        run.broken(error);
                    }
                    for (task, process) in prepared {
                        at_work += 1;
                        running.push(Box::pin(async move {
                            Event::Performed(self.perform(task, process, started_at).await)
                        }));
                    }
                }
                Some(Event::Performed(outcome)) => {
                    at_work -= 1;
                    // It may have made its process due to be finished. One that has lost its task to that may have kept it from
                    // being claimed until now.
                    may_be_due |= failure.is_none()
                        && matches!(outcome, Ok(Outcome::Acknowledged) | Err(StoreError::LeaseLost));
                    if let Err(StoreError::Paused(pause)) = outcome {
                        run.left_alone += 1;
                        may_be_due = false;
                        failure.get_or_insert(StoreError::Paused(pause).into());
                        continue;
                    }
                    run.count(outcome);
                }
                None => return failure.map_or(Ok(run), Err),
            }
        }
    }

    /// Claims tasks, and verifies their processes.
    async fn claim(&self, due_at: Timestamp, limit: u32) -> Result<Claimed, RunErasuresError> {
        self.switch.ensure_not_paused().await?;
        let lease_ends_at = after(self.clock.now(), self.settings.lease);
        let tasks = self.tasks.claim(due_at, lease_ends_at, limit).await?;
        let mut claimed = Claimed { tasks: tasks.len(), ..Claimed::default() };
        let (tasks, broken): (Vec<_>, Vec<_>) = tasks.into_iter().partition(Result::is_ok);
        claimed.broken.extend(broken.into_iter().filter_map(Result::err));
        let tasks: Vec<ErasureTask> = tasks.into_iter().filter_map(Result::ok).collect();
        let ids: Vec<_> = tasks.iter().map(|task| task.process_id.clone()).collect();
        let verified = match self.audit_trail.verified(&ids).await {
            Ok(verified) => verified,
            Err(error) => {
                for task in &tasks {
                    self.give_back(task).await;
                }
                return Err(error.into());
            }
        };
        for task in tasks {
            match verified.get(&task.process_id) {
                // Someone has made this row who would have another identity erased than the one that asked.
                Some(Ok(process)) if task.address != *process.value.address() => {
                    claimed.broken.push(StoreError::Corrupt {
                        table: "erasure_tasks",
                        key: task.process_id.to_string(),
                        column: "address".to_owned(),
                        problem: "is not that of the process".to_owned(),
                    });
                }
                Some(Ok(process)) => claimed.prepared.push((task, process.clone())),
                // Another worker has finished it since it was claimed.
                None => claimed.left_alone += 1,
                // What does not verify stays so for longer than a lease.
                Some(Err(fault)) => claimed.broken.push(StoreError::Quarantined(fault.clone())),
            }
        }
        Ok(claimed)
    }

    /// What was not even tried does not wait for the end of the lease, but as long as after a first failure.
    async fn give_back(&self, task: &ErasureTask) {
        let now = self.clock.now();
        let chance = self.ids.random_bytes().map_or(0, |bytes| bytes[0]);
        let again_at = after(now, self.settings.backoff.delay(1, chance));
        match self.tasks.settle(task, Settlement::GivenBack { again_at }, now).await {
            Ok(()) | Err(StoreError::LeaseLost) => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    process = %task.process_id,
                    "a task was not given back: it comes again when the lease is over"
                );
            }
        }
    }
}

impl ErasuresRun {
    fn count(&mut self, outcome: Result<Outcome, StoreError>) {
        match outcome {
            Ok(Outcome::Acknowledged) => self.acknowledged += 1,
            Ok(Outcome::Working) => self.working += 1,
            Ok(Outcome::Failed { is_stuck }) => {
                self.failed += 1;
                self.stuck += u64::from(is_stuck);
            }
            Ok(Outcome::Completed) => self.completed += 1,
            Ok(Outcome::Waiting) => {}
            Err(StoreError::LeaseLost) => self.left_alone += 1,
            Err(error) => self.broken(error),
        }
    }

    fn broken(&mut self, error: StoreError) {
        tracing::error!(error = &error as &dyn std::error::Error, "a task was passed over");
        self.broken += 1;
        self.first_failure.get_or_insert(error);
    }
}
