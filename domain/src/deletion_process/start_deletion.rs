//! Active → Deleting, once the grace period is over.

use std::collections::BTreeSet;

use super::{Deleting, DeletionProcess, State};
use crate::audit::AuditedAction;
use crate::{Deadline, EraserName, Erasure, EventKind, Status, Step, Timestamp};

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
    pub fn start_deletion(
        &self,
        erasers: BTreeSet<EraserName>,
        now: Timestamp,
    ) -> Result<Step, StartDeletionError> {
        match &self.state {
            State::Active(_) if !self.grace_period_is_over(now) => {
                Err(StartDeletionError::GracePeriodHasNotYetExpired { ends_at: self.grace_period_ends_at })
            }
            State::Active(_) => {
                let erasures =
                    erasers.into_iter().map(|eraser| (eraser, Erasure::Pending { failures: 0 })).collect();
                Ok(self.step_to(
                    State::Deleting(Deleting { started_at: now, erasures }),
                    now,
                    None,
                    AuditedAction::DeletionStarted,
                    Some(EventKind::IdentityDeletionStarted),
                    Deadline::IsReachedAt(now),
                ))
            }
            State::Cancelled(_) | State::Deleting(_) | State::Deleted(_) => {
                Err(StartDeletionError::NotActive { status: self.status() })
            }
        }
    }
}
