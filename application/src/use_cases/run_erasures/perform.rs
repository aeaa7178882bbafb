//! What is done about one task.

use reprieve_domain::{DeletionProcess, EraserName, Erasure, FailureCode, State, Step, Timestamp};

use super::RunErasures;
use crate::backoff::after;
use crate::ports::{EraseAnswer, EraseRequest, ErasureTask, Loaded, TaskKind, TaskResult};
use crate::{Receipt, StoreError};

/// How often a result is stored anew if another eraser of the same process was faster.
const ATTEMPTS: usize = 100;

/// What became of a task.
pub(super) enum Outcome {
    Acknowledged,
    Working,
    Failed { is_stuck: bool },
    Completed,
    Waiting,
}

impl RunErasures {
    pub(super) async fn perform(
        &self,
        task: ErasureTask,
        process: Loaded<DeletionProcess>,
        pass_started_at: Timestamp,
    ) -> Result<Outcome, StoreError> {
        match &task.kind {
            TaskKind::Erase(eraser) => self.erase(&task, eraser, process, pass_started_at).await,
            TaskKind::Finish => match self.finish(&task, process).await {
                // Nothing else steps a process that is complete, so somebody else has the task now.
                Err(StoreError::Conflict) => Err(StoreError::LeaseLost),
                Err(error) if !matches!(error, StoreError::LeaseLost | StoreError::Corrupt { .. }) => {
                    self.give_back(&task).await;
                    Err(error)
                }
                other => other,
            },
        }
    }

    async fn erase(
        &self,
        task: &ErasureTask,
        name: &EraserName,
        process: Loaded<DeletionProcess>,
        pass_started_at: Timestamp,
    ) -> Result<Outcome, StoreError> {
        if !is_pending(&process.value, name) {
            self.tasks.settle(task, TaskResult::Acknowledged(None), pass_started_at).await?;
            return Ok(Outcome::Acknowledged);
        }
        let ErasureTask { address, process_id, poll, .. } = task.clone();
        let answer = match self.erasers.get(name) {
            Some(eraser) => eraser.erase(&EraseRequest { address, process_id, poll }).await,
            // It was when the deletion started. Somebody has to bring it back: without it nothing is erased.
            None => EraseAnswer::Failed(FailureCode::not_configured()),
        };
        let now = self.clock.now();
        let since = task.unfinished_since.unwrap_or(now);
        let is_patient = now < after(since, self.settings.backoff.patience);
        let failure = match answer {
            EraseAnswer::Erased { count } => {
                // Finishing the process is due in this pass, too.
                self.store(task, process, pass_started_at, |process| {
                    let step = process.record_erasure(name, count, now).ok()?;
                    Some((step, Stored::Acknowledged))
                })
                .await?;
                return Ok(Outcome::Acknowledged);
            }
            EraseAnswer::Working { poll, ask_in } if is_patient => {
                let at = Some(after(now, ask_in.unwrap_or(self.settings.poll_interval)));
                self.tasks.settle(task, TaskResult::Later { at, since, poll }, now).await?;
                return Ok(Outcome::Working);
            }
            EraseAnswer::Working { .. } => FailureCode::still_working(),
            EraseAnswer::Failed(failure) => failure,
        };
        tracing::warn!(process = %task.process_id, eraser = %name, %failure, is_stuck = !is_patient, "an eraser failed");
        let chance = self.ids.random_bytes().map_or(0, |bytes| bytes[0]);
        let delay = self.settings.backoff.delay(task.failures.saturating_add(1), chance);
        let again_at = is_patient.then(|| after(now, delay));
        self.store(task, process, now, |process| {
            let failure = failure.clone();
            let step = if is_patient {
                process.record_erasure_failure(name, failure, now)
            } else {
                process.record_stuck_erasure(name, failure, now)
            };
            Some((step.ok()?, Stored::Failed { since, again_at }))
        })
        .await?;
        Ok(Outcome::Failed { is_stuck: !is_patient })
    }

    /// Stores what came of a task. Other erasers of the same process may be faster; then it is decided anew on what is
    /// stored, in which this eraser is pending still, because the task is ours alone.
    async fn store(
        &self,
        task: &ErasureTask,
        mut process: Loaded<DeletionProcess>,
        now: Timestamp,
        decide: impl Fn(&DeletionProcess) -> Option<(Step, Stored)>,
    ) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let decided = decide(&process.value);
            let version = process.version;
            let result = match &decided {
                None => TaskResult::Acknowledged(None),
                Some((step, Stored::Acknowledged)) => TaskResult::Acknowledged(Some((step, version))),
                Some((step, Stored::Failed { since, again_at })) => {
                    TaskResult::Failed { step, version, since: *since, again_at: *again_at }
                }
            };
            match self.tasks.settle(task, result, now).await {
                Err(StoreError::Conflict) => {
                    process = self.tasks.process(task).await?.ok_or(StoreError::LeaseLost)?;
                }
                other => return other,
            }
        }
        Err(StoreError::Conflict)
    }

    /// Completes the process if every eraser has acknowledged, and removes what is left.
    async fn finish(
        &self,
        task: &ErasureTask,
        mut process: Loaded<DeletionProcess>,
    ) -> Result<Outcome, StoreError> {
        let now = self.clock.now();
        if let State::Deleting(_) = process.value.state() {
            let Ok(step) = process.value.complete(now) else {
                // The next acknowledgement makes it due again.
                let later = TaskResult::Later { at: None, since: now, poll: None };
                self.tasks.settle(task, later, now).await?;
                return Ok(Outcome::Waiting);
            };
            self.identities.save(&step, process.version, None).await?;
            process = self.tasks.process(task).await?.ok_or(StoreError::LeaseLost)?;
        }
        let identity_hash = self.audit_trail.identity_hash(process.value.address());
        let Some(receipt) = Receipt::of(&process.value, identity_hash, process.version) else {
            return Err(StoreError::Conflict);
        };
        self.tasks.close(task, &receipt, &self.signer.sign(&receipt)).await?;
        Ok(Outcome::Completed)
    }
}

/// How a step about a task is stored.
enum Stored {
    Acknowledged,
    Failed { since: Timestamp, again_at: Option<Timestamp> },
}

fn is_pending(process: &DeletionProcess, eraser: &EraserName) -> bool {
    match process.state() {
        State::Deleting(deleting) => deleting
            .erasures()
            .any(|(name, erasure)| name == eraser && matches!(erasure, Erasure::Pending { .. })),
        State::Active(_) | State::Cancelled(_) | State::Deleted(_) => false,
    }
}
