//! What a worker does, one action that nobody can look into after the other, and what the store makes of it.

use reprieve_domain::{DeletionProcess, FailureCode, Identity, Status, Step};

use crate::erasure::{Erasing, FINISH, Mistake, NOW, loaded};
use crate::erasure_state::{Claim, Place, Reply, State, Worker};
use crate::store::{Guards, Loaded, Refusal, at, eraser};

/// What came of a task, as the port has it.
enum Settlement<'a> {
    Acknowledged(&'a Loaded, Step),
    Failed(&'a Loaded, Step),
    Later,
}

enum SettleError {
    LeaseLost,
    Conflict,
}

fn process(loaded: &Loaded) -> &DeletionProcess {
    loaded.open.as_ref().unwrap().0.as_ref()
}

impl Erasing {
    /// The eraser acts, and the worker has its answer, in memory.
    pub(crate) fn ask(&self, state: &mut State, worker: usize, reply: Reply) {
        let Worker::Ready(claim, loaded) = state.workers[worker].clone() else { return };
        let is_recorded = state.ledger_has_it && state.row().is_some_and(|row| row.tells("DeletionStarted"));
        state.was_asked_too_early |= !is_recorded;
        state.was_asked_after_close |= state.closed.is_some();
        let asked = &mut state.erasers[claim.task];
        match reply {
            Reply::Erased if self.has(Mistake::AcknowledgedBeforeErasing) => {}
            Reply::Erased => asked.has_data = false,
            Reply::Lost => {
                asked.has_data = false;
                state.luck.failures -= 1;
            }
            Reply::Failed => state.luck.failures -= 1,
            Reply::Working => state.luck.delays -= 1,
            Reply::Lie => {
                asked.has_lied = true;
                state.luck.lies -= 1;
            }
        }
        state.workers[worker] = Worker::Answered(claim, loaded, reply);
    }

    pub(crate) fn work(&self, state: &mut State, worker: usize) {
        let next = match state.workers[worker].clone() {
            Worker::Idle => Worker::Idle,
            Worker::Claimed(claim) => match loaded(state) {
                Some(loaded) => Worker::Loaded(claim, loaded),
                None => Worker::Idle,
            },
            Worker::Loaded(claim, loaded) => {
                if claim.is_in_ledger || self.has(Mistake::LedgerAfterErasing) && claim.task != FINISH {
                    Worker::Ready(claim, loaded)
                } else {
                    state.ledger_has_it = true;
                    Worker::Appended(claim, loaded)
                }
            }
            Worker::Appended(claim, loaded) => {
                state.is_in_ledger = true;
                Worker::Ready(claim, loaded)
            }
            Worker::Ready(claim, loaded) => self.finish(state, claim, &loaded),
            Worker::Answered(claim, loaded, reply) => self.store_answer(state, claim, &loaded, reply),
            Worker::Again(claim, reply) => match loaded(state) {
                Some(loaded) => Worker::Answered(claim, loaded, reply),
                None => Worker::Idle,
            },
            Worker::Completed(claim) => {
                self.close(state, claim);
                Worker::Idle
            }
            Worker::Promised(number) => {
                state.erasers[number].has_data = false;
                Worker::Idle
            }
        };
        state.workers[worker] = next;
    }

    fn store_answer(&self, state: &mut State, claim: Claim, loaded: &Loaded, reply: Reply) -> Worker {
        let name = eraser(claim.task);
        let is_acknowledged = matches!(reply, Reply::Erased | Reply::Lie);
        // Another worker that has the task now may have recorded it, and have finished the process since.
        let Ok(identity) = Identity::with_open_process(process(loaded).clone()) else { return Worker::Idle };
        let id = process(loaded).id();
        let settlement = if is_acknowledged {
            let Ok(step) = identity.record_erasure(id, &name, 1, at(NOW)) else { return Worker::Idle };
            Settlement::Acknowledged(loaded, step)
        } else if reply == Reply::Working && claim.is_patient {
            Settlement::Later
        } else {
            let code = FailureCode::unreachable();
            let step = if claim.is_patient {
                identity.record_erasure_failure(id, &name, code, at(NOW))
            } else {
                identity.record_stuck_erasure(id, &name, code, at(NOW))
            };
            let Ok(step) = step else { return Worker::Idle };
            Settlement::Failed(loaded, step)
        };
        match self.settle(state, claim, &settlement) {
            Err(SettleError::Conflict) => Worker::Again(claim, reply),
            Ok(()) if is_acknowledged && self.has(Mistake::AcknowledgedBeforeErasing) => {
                Worker::Promised(claim.task)
            }
            Ok(()) | Err(SettleError::LeaseLost) => Worker::Idle,
        }
    }

    /// As `ErasureTasks::settle` documents it: the step and what becomes of the task, if the claim still holds.
    fn settle(&self, state: &mut State, claim: Claim, result: &Settlement<'_>) -> Result<(), SettleError> {
        let holds = state.tasks[claim.task].is_some_and(|task| task.fence == claim.fence);
        if !holds && !self.has(Mistake::FenceNotChecked) {
            return Err(SettleError::LeaseLost);
        }
        if let Settlement::Acknowledged(loaded, step) | Settlement::Failed(loaded, step) = result
            && state.store.save(&loaded.decided(step.clone()), Guards::ALL) == Err(Refusal::Conflict)
        {
            return Err(SettleError::Conflict);
        }
        state.stored_without_lease |= !holds;
        if matches!(result, Settlement::Acknowledged(..)) {
            state.tasks[claim.task] = None;
            if let Some(finish) = &mut state.tasks[FINISH] {
                finish.place = Place::Due;
                // Whoever has it has looked already, and must not put it to sleep now.
                finish.fence += u8::from(!self.has(Mistake::AcknowledgementLeavesFenceOfFinish));
            }
        } else if let Some(task) = &mut state.tasks[claim.task] {
            task.is_unfinished = true;
            task.place = match result {
                Settlement::Failed(..) if !claim.is_patient => Place::Stuck,
                Settlement::Later if claim.task == FINISH => Place::Waiting,
                _ => Place::Due,
            };
        }
        Ok(())
    }

    fn finish(&self, state: &mut State, claim: Claim, loaded: &Loaded) -> Worker {
        if process(loaded).status() == Status::Deleting {
            let identity = loaded.identity();
            let Ok(step) = identity.complete(process(loaded).id(), at(NOW)) else {
                if self.has(Mistake::ClosedWithoutAcknowledgements) {
                    return Worker::Completed(claim);
                }
                let _ = self.settle(state, claim, &Settlement::Later);
                return Worker::Idle;
            };
            return match state.store.save(&loaded.decided(step), Guards::ALL) {
                Ok(()) => Worker::Completed(claim),
                // It comes again when the lease is over.
                Err(_) => Worker::Idle,
            };
        }
        Worker::Completed(claim)
    }

    /// As `ErasureTasks::close` documents it; what belongs to a process that was begun since stays.
    fn close(&self, state: &mut State, claim: Claim) {
        let holds = state.tasks[FINISH].is_some_and(|task| task.fence == claim.fence);
        let is_deleted = state.status() == Some(Status::Deleted);
        if !holds && !self.has(Mistake::FenceNotChecked)
            || !is_deleted && !self.has(Mistake::ClosedWithoutAcknowledgements)
        {
            return;
        }
        state.stored_without_lease |= !holds;
        state.closed = state.row().cloned();
        state.has_receipt = true;
        state.tasks = [None; 3];
        let removes_newcomer = self.has(Mistake::CloseRemovesNewcomer);
        state.store.rows.retain(|row| row.process.number() != 0 && !removes_newcomer);
        state.has_own_rows = !state.store.rows.is_empty();
    }
}
