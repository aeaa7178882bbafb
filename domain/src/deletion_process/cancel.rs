//! Active → Cancelled, while the grace period runs.

use super::{Cancelled, DeletionProcess, State};
use crate::audit::{AuditedAction, FaultKind};
use crate::{Deadline, DeviceId, EventKind, Moment, Status, Step, Timestamp};

/// Why a deletion cannot be cancelled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CancelError {
    /// The identity has no open process.
    #[error("the identity has no active deletion process")]
    NoOpenProcess,
    /// The process is not Active.
    #[error("the identity has no active deletion process: its deletion process has the status {status}")]
    NotActive {
        /// The status it has.
        status: Status,
    },
    /// The grace period is over, whether or not the deletion has started.
    #[error("the grace period has ended at {ended_at}")]
    GracePeriodHasExpired {
        /// When it ended.
        ended_at: Timestamp,
    },
}

impl DeletionProcess {
    /// Cancels the deletion on behalf of a device of the identity.
    ///
    /// # Errors
    /// From the end of the grace period on, and in any state but Active.
    pub(crate) fn cancel(&self, by: DeviceId, at: impl Into<Moment>) -> Result<Step, CancelError> {
        let at = at.into();
        match &self.state {
            State::Active(_) if self.is_over(at.earliest()) => {
                Err(CancelError::GracePeriodHasExpired { ended_at: self.ends_at() })
            }
            State::Active(_) => Ok(self.cancelled(by, at, None, Deadline::IsAfter(at.earliest()))),
            State::Cancelled(_) | State::Deleting(_) | State::Deleted(_) => {
                Err(CancelError::NotActive { status: self.status() })
            }
        }
    }

    /// Cancels what does not verify: whether that is in time was decided by what is proven, not by what is stored.
    pub(crate) fn cancel_doubted(&self, by: DeviceId, at: Moment, fault: FaultKind) -> Step {
        self.cancelled(by, at, Some(fault), Deadline::DoesNotMatter)
    }

    fn cancelled(&self, by: DeviceId, at: Moment, fault: Option<FaultKind>, deadline: Deadline) -> Step {
        // The clocks may disagree about whether it is in time, but what is written down is.
        let last = self.ends_at().checked_add_micros(-1).unwrap_or(self.created_at);
        let now = at.now().min(last).max(self.created_at);
        self.step_to(
            State::Cancelled(Cancelled { at: now, by_device: by.clone() }),
            now,
            Some(by),
            AuditedAction::CancelledByOwner { fault },
            Some(EventKind::IdentityDeletionCancelled),
            deadline,
        )
    }
}
