//! Doing without the acknowledgement of an eraser that will never give one: an operator answers for that.

use std::sync::Arc;

use reprieve_domain::{DeletionProcessId, EraserName, WaiveErasureError as Refusal, WaiverCode};

use crate::decide::{Reason, decide};
use crate::ports::{Clock, ErasureTasks, Identities, Waiver};
use crate::{Coded, ErrorCode, OperatorNote, StoreError};

/// Waives one erasure of a deletion that is under way.
pub struct WaiveErasure {
    tasks: Arc<dyn ErasureTasks>,
    identities: Arc<dyn Identities>,
    clock: Arc<dyn Clock>,
}

/// Why it was not waived.
#[derive(Debug, thiserror::Error)]
pub enum WaiveErasureError {
    /// Nothing of this process is under way.
    #[error("no deletion with this id is under way")]
    NotFound,
    /// The process does not allow it.
    #[error(transparent)]
    Refused(Refusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for WaiveErasureError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound | Self::Refused(Refusal::NoOpenProcess | Refusal::UnknownEraser { .. }) => {
                ErrorCode::RecordNotFound
            }
            Self::Refused(Refusal::NotDeleting { .. }) => ErrorCode::DeletionProcessIsNotInRequiredStatus,
            Self::Refused(Refusal::AlreadyAcknowledged { .. } | Refusal::AlreadyWaived { .. }) => {
                ErrorCode::ErasureNotPending
            }
            Self::Store(error) => error.code(),
        }
    }
}

impl WaiveErasure {
    /// With its ports.
    #[must_use]
    pub fn new(tasks: Arc<dyn ErasureTasks>, identities: Arc<dyn Identities>, clock: Arc<dyn Clock>) -> Self {
        Self { tasks, identities, clock }
    }

    /// Waives the erasure by this eraser. The code is audited and stands in the receipt; the note goes with the identity.
    ///
    /// # Errors
    /// If the process is not being deleted, has no such eraser, or waits for nothing from it, or if the store fails.
    pub async fn execute(
        &self,
        process: &DeletionProcessId,
        eraser: &EraserName,
        code: &WaiverCode,
        note: Option<&OperatorNote>,
    ) -> Result<Waiver, WaiveErasureError> {
        // A process that is being deleted has at least the task that finishes it.
        let task = self.tasks.list(Some(process), 1).await?.pop().ok_or(WaiveErasureError::NotFound)?;
        let waiver = Waiver {
            process_id: process.clone(),
            address: task.address,
            eraser: eraser.clone(),
            waived_at: self.clock.now(),
            code: code.clone(),
            note: note.cloned(),
        };
        let step = decide(self.identities.as_ref(), &waiver.address, Reason::Waiver(&waiver), |identity| {
            identity
                .waive_erasure(process, eraser, code.clone(), waiver.waived_at)
                .map_err(WaiveErasureError::Refused)
        });
        step.await.map(|_| waiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Alongside, MockErasureTasks, MockIdentities, TaskStatus};
    use crate::use_cases::test_data::{ENDS_AT, active, at, clock_at, deleting_with, loaded, version};
    use reprieve_domain::{DeletionProcess, TaskKind};

    fn eraser(name: &str) -> EraserName {
        name.parse().unwrap()
    }

    fn deleting() -> DeletionProcess {
        let identity = loaded(deleting_with(&["files", "mail"])).value;
        let acknowledged = identity.record_erasure(active().id(), &eraser("mail"), 3, at(ENDS_AT));
        acknowledged.unwrap().into_process()
    }

    fn use_case(conflicts: usize, may_store: bool, process: Option<DeletionProcess>) -> WaiveErasure {
        let mut tasks = MockErasureTasks::new();
        let is_under_way = process.is_some();
        tasks.expect_list().returning(move |id, _| {
            let task = TaskStatus {
                process_id: id.unwrap().clone(),
                address: active().address().clone(),
                kind: TaskKind::Finish,
                failures: 0,
                unfinished_since: None,
                stuck_since: None,
                due_at: None,
            };
            Ok(is_under_way.then_some(task).into_iter().collect())
        });
        let mut identities = MockIdentities::new();
        identities.expect_load().returning(move |_| Ok(loaded(process.clone().unwrap())));
        let mut conflicts_left = conflicts;
        identities.expect_save().times(if may_store { conflicts + 1 } else { 0 }).returning(
            move |step, stored, alongside| {
                let Alongside::Waiver(waiver) = alongside else { panic!("{alongside:?}") };
                assert_eq!((stored, step.audit_entry().created_at), (version(), waiver.waived_at));
                if conflicts_left == 0 {
                    return Ok(());
                }
                conflicts_left -= 1;
                Err(StoreError::Conflict)
            },
        );
        WaiveErasure::new(Arc::new(tasks), Arc::new(identities), clock_at(ENDS_AT + 1))
    }

    #[tokio::test]
    async fn a_waiver_is_decided_anew_when_another_step_came_first() {
        let (id, code, note) = (active().id().clone(), "retired".parse().unwrap(), "gone".parse().unwrap());
        for conflicts in [0, 1, 9] {
            let use_case = use_case(conflicts, true, Some(deleting()));
            let waiver = use_case.execute(&id, &eraser("files"), &code, Some(&note)).await.unwrap();
            assert_eq!((waiver.waived_at, waiver.note.as_ref()), (at(ENDS_AT + 1), Some(&note)));
        }
    }

    #[tokio::test]
    async fn what_waits_for_nothing_is_refused_and_nothing_is_stored() {
        let (id, other) = (active().id().clone(), "IDPzzzzzzzzzzzzzzzzz".parse().unwrap());
        let code = "retired".parse().unwrap();
        for (id, name, process, expected) in [
            (&id, "mail", Some(deleting()), ErrorCode::ErasureNotPending),
            (&id, "other", Some(deleting()), ErrorCode::RecordNotFound),
            (&other, "files", Some(deleting()), ErrorCode::RecordNotFound),
            (&id, "files", None, ErrorCode::RecordNotFound),
            (&id, "files", Some(active()), ErrorCode::DeletionProcessIsNotInRequiredStatus),
        ] {
            let error =
                use_case(0, false, process).execute(id, &eraser(name), &code, None).await.unwrap_err();
            assert_eq!(error.code(), expected, "{name}");
        }
    }
}
