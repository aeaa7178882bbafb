//! What is done about one task.

use reprieve_domain::{
    CompleteError, DeletionProcess, DeletionProcessId, EraserName, Erasure, FailureCode, Identity,
    RecordErasureError, State, Step, TaskKind, Timestamp,
};

use super::RunErasures;
use crate::backoff::after;
use crate::decide::{Reason, decide_on};
use crate::ports::{Alongside, EraseAnswer, EraseRequest, ErasureTask, Loaded, Settlement, TaskOutcome};
use crate::{Receipt, StoreError};

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
                // Nothing else steps a process that is complete, so another worker has the task now.
                Err(StoreError::Conflict) => Err(StoreError::LeaseLost),
                Err(error)
                    if !matches!(
                        error,
                        StoreError::LeaseLost | StoreError::Corrupt { .. } | StoreError::Quarantined(_)
                    ) =>
                {
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
        Loaded { value: process, version }: Loaded<DeletionProcess>,
        pass_started_at: Timestamp,
    ) -> Result<Outcome, StoreError> {
        match pending(&process, name) {
            Some(true) => {}
            Some(false) => {
                self.tasks.settle(task, Settlement::Known, pass_started_at).await?;
                return Ok(Outcome::Acknowledged);
            }
            None => return Err(made_up(task)),
        }
        let Ok(identity) = Identity::with_open_process(process) else { return Err(made_up(task)) };
        let loaded = Loaded { value: identity, version };
        let ErasureTask { address, process_id, poll, .. } = task.clone();
        // As late as possible.
        // What was claimed before a pause or a hold waits for its end.
        match self.may_ask(&process_id).await {
            Ok(None) => {}
            Ok(Some(until)) => return self.put_off(task, until).await,
            Err(error) => {
                self.give_back(task).await;
                return Err(error);
            }
        }
        let answer = match self.erasers.get(name) {
            Some(eraser) => eraser.erase(&EraseRequest { address, process_id, poll }).await,
            // It was when the deletion started. An operator has to bring it back: without it nothing is erased.
            None => EraseAnswer::Failed(FailureCode::not_configured()),
        };
        let now = self.clock.now();
        let since = task.unfinished_since.unwrap_or(now);
        let is_patient = now < after(since, self.settings.backoff.patience);
        let failure = match answer {
            EraseAnswer::Erased { count } => {
                // Finishing the process is due in this pass, too.
                let outcome = (TaskOutcome::Acknowledged, pass_started_at);
                return self
                    .record(task, loaded, outcome, |identity| {
                        identity.record_erasure(&task.process_id, name, count, now)
                    })
                    .await
                    .map(|()| Outcome::Acknowledged);
            }
            EraseAnswer::Working { poll, ask_in } if is_patient => {
                let at = Some(after(now, ask_in.unwrap_or(self.settings.poll_interval)));
                self.tasks.settle(task, Settlement::Later { at, since, poll }, now).await?;
                return Ok(Outcome::Working);
            }
            EraseAnswer::Working { .. } => FailureCode::still_working(),
            EraseAnswer::Failed(failure) => failure,
        };
        tracing::warn!(process = %task.process_id, eraser = %name, %failure, is_stuck = !is_patient, "an eraser failed");
        let chance = self.ids.random_bytes().map_or(0, |bytes| bytes[0]);
        let delay = self.settings.backoff.delay(task.failures.saturating_add(1), chance);
        let again_at = is_patient.then(|| after(now, delay));
        let outcome = (TaskOutcome::Failed { since, again_at }, now);
        self.record(task, loaded, outcome, |identity| {
            let failure = failure.clone();
            if is_patient {
                identity.record_erasure_failure(&task.process_id, name, failure, now)
            } else {
                identity.record_stuck_erasure(&task.process_id, name, failure, now)
            }
        })
        .await?;
        Ok(Outcome::Failed { is_stuck: !is_patient })
    }

    /// Takes the step that says what came of a task. Other erasers of the same process may be faster; then it is decided
    /// anew on what is stored, in which this eraser is pending still, because the task is this worker's alone.
    async fn record(
        &self,
        task: &ErasureTask,
        identity: Loaded<Identity>,
        (outcome, now): (TaskOutcome, Timestamp),
        step: impl Fn(&Identity) -> Result<Step, RecordErasureError> + Send + Sync,
    ) -> Result<(), StoreError> {
        let reason = Reason::Task(task, &outcome, now);
        let recorded = decide_on(identity, self.identities.as_ref(), reason, |identity| {
            step(identity).map_err(NotRecorded::Refused)
        });
        match recorded.await {
            Ok(_) => Ok(()),
            Err(NotRecorded::Store(error)) => Err(error),
            // The worker that has the task now has recorded it, and may have finished the process since.
            Err(NotRecorded::Refused(
                RecordErasureError::AlreadyAcknowledged { .. } | RecordErasureError::NoOpenProcess,
            )) => Err(StoreError::LeaseLost),
            Err(NotRecorded::Refused(_)) => Err(made_up(task)),
        }
    }

    /// Until when the deletion is suspended, if it is.
    async fn may_ask(&self, process: &DeletionProcessId) -> Result<Option<Timestamp>, StoreError> {
        self.switch.ensure_not_paused().await?;
        let until = self.holds.suspended_until(process).await?;
        Ok(until.filter(|until| self.clock.now() < *until))
    }

    /// Patience stands still meanwhile.
    async fn put_off(&self, task: &ErasureTask, until: Timestamp) -> Result<Outcome, StoreError> {
        let now = self.clock.now();
        let held = until.micros_since(now);
        let since = task.unfinished_since.map(|since| since.checked_add_micros(held).unwrap_or(until));
        let later =
            Settlement::Later { at: Some(until), since: since.unwrap_or(until), poll: task.poll.clone() };
        self.tasks.settle(task, later, now).await?;
        Ok(Outcome::Waiting)
    }

    /// Completes the process if every eraser has acknowledged, and removes what is left.
    async fn finish(
        &self,
        task: &ErasureTask,
        mut process: Loaded<DeletionProcess>,
    ) -> Result<Outcome, StoreError> {
        let now = self.clock.now();
        if let Ok(identity) = Identity::with_open_process(process.value.clone()) {
            match identity.complete(&task.process_id, now) {
                // Only in the version that was verified; a conflict is decided anew when the task is claimed again.
                Ok(step) => self.identities.save(&step, process.version, Alongside::Nothing).await?,
                Err(CompleteError::Suspended { until }) => return self.put_off(task, until).await,
                // The next acknowledgement makes it due again.
                Err(CompleteError::ErasuresPending { .. }) => {
                    let later = Settlement::Later { at: None, since: now, poll: None };
                    self.tasks.settle(task, later, now).await?;
                    return Ok(Outcome::Waiting);
                }
                Err(CompleteError::NotDeleting { .. } | CompleteError::NoOpenProcess) => {
                    return Err(made_up(task));
                }
            }
            let mut verified = self.audit_trail.verified(std::slice::from_ref(&task.process_id)).await?;
            let completed = verified.remove(&task.process_id).ok_or(StoreError::LeaseLost)?;
            process = completed.map_err(StoreError::Quarantined)?;
        }
        let identity_hash = self.audit_trail.identity_hash(process.value.address());
        let Some(receipt) = Receipt::of(&process.value, identity_hash, process.version) else {
            return Err(StoreError::Conflict);
        };
        self.tasks.close(task, &receipt, &self.signer.sign(&receipt)).await?;
        Ok(Outcome::Completed)
    }
}

/// Why no step was taken.
enum NotRecorded {
    Refused(RecordErasureError),
    Store(StoreError),
}

impl From<StoreError> for NotRecorded {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Whether the eraser has yet to acknowledge; none if the deletion has not started, or has no such eraser.
fn pending(process: &DeletionProcess, eraser: &EraserName) -> Option<bool> {
    let is_pending = |(_, erasure): (_, &Erasure)| matches!(erasure, Erasure::Pending { .. });
    match process.state() {
        State::Deleting(deleting) => deleting.erasures().find(|(name, _)| *name == eraser).map(is_pending),
        State::Deleted(deleted) => deleted.erasures().find(|(name, _)| *name == eraser).map(is_pending),
        State::Active(_) | State::Cancelled(_) => None,
    }
}

/// No step of the process has made such a task.
fn made_up(task: &ErasureTask) -> StoreError {
    StoreError::Corrupt {
        table: "erasure_tasks",
        key: task.process_id.to_string(),
        column: "process_id".to_owned(),
        problem: "the deletion process has no such task".to_owned(),
    }
}
