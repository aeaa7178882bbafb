//! Active → Deleting, once the grace period is over.

use std::collections::BTreeSet;

use super::{Deleting, DeletionProcess, State};
use crate::audit::AuditedAction;
use crate::{Deadline, EraserName, Erasure, EventKind, NewTask, Status, Step, TaskKind, Timestamp};

/// Why a deletion cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartDeletionError {
    /// The identity has no such open process.
    #[error("the identity has no such open deletion process")]
    NoOpenProcess,
    /// The process is not Active.
    #[error("the deletion process has the status {status}")]
    NotActive {
        /// The status it has.
        status: Status,
    },
    /// The grace period runs.
    #[error("the grace period ends at {ends_at}")]
    GracePeriodHasNotYetExpired {
        /// When it ends.
        ends_at: Timestamp,
    },
}

impl DeletionProcess {
    /// Starts erasing; `erasers` are the ones in force now, and each must acknowledge before the process is complete.
    ///
    /// # Errors
    /// Before the end of the grace period, and in any state but Active.
    pub(crate) fn start_deletion(
        &self,
        erasers: BTreeSet<EraserName>,
        now: Timestamp,
    ) -> Result<Step, StartDeletionError> {
        match &self.state {
            State::Active(_) if !self.is_over(now) => {
                Err(StartDeletionError::GracePeriodHasNotYetExpired { ends_at: self.ends_at() })
            }
            State::Active(_) => {
                let mut tasks: Vec<NewTask> = erasers
                    .iter()
                    .map(|eraser| NewTask { kind: TaskKind::Erase(eraser.clone()), due_at: Some(now) })
                    .collect();
                // The last acknowledgement makes it due.
                let finish_at = tasks.is_empty().then_some(now);
                tasks.push(NewTask { kind: TaskKind::Finish, due_at: finish_at });
                let pending = |eraser: &EraserName| (eraser.clone(), Erasure::Pending { failures: 0 });
                let erasures = erasers.iter().map(pending).collect();
                let step = self.step_to(
                    State::Deleting(Deleting { started_at: now, erasures }),
                    now,
                    None,
                    AuditedAction::DeletionStarted { erasers: Some(erasers) },
                    Some(EventKind::IdentityDeletionStarted),
                    Deadline::IsReachedAt(now),
                );
                Ok(step.with_tasks(tasks))
            }
            State::Cancelled(_) | State::Deleting(_) | State::Deleted(_) => {
                Err(StartDeletionError::NotActive { status: self.status() })
            }
        }
    }
}
