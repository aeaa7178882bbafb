//! Active → Cancelled, because it had been cancelled before the database was put back to an earlier state.

use super::{Cancelled, DeletionProcess, State};
use crate::audit::AuditedAction;
use crate::{CancelError, Deadline, DeviceId, EventKind, Step, Timestamp};

impl DeletionProcess {
    /// Cancels again. It was in time when the owner cancelled, and the grace period may be over by now; the device is not
    /// remembered, so that another one stands in for it.
    ///
    /// # Errors
    /// If it was not in time, and in any state but Active.
    pub(crate) fn restore_cancellation(
        &self,
        cancelled_at: Timestamp,
        stand_in: DeviceId,
        now: Timestamp,
    ) -> Result<Step, CancelError> {
        match &self.state {
            State::Active(_) if self.is_over(cancelled_at) => {
                Err(CancelError::GracePeriodHasExpired { ended_at: self.ends_at() })
            }
            State::Active(_) => Ok(self.step_to(
                State::Cancelled(Cancelled { at: cancelled_at, by_device: stand_in.clone() }),
                now,
                Some(stand_in),
                AuditedAction::CancellationRestored { cancelled_at },
                Some(EventKind::IdentityDeletionCancelled),
                Deadline::DoesNotMatter,
            )),
            State::Cancelled(_) | State::Deleting(_) | State::Deleted(_) => {
                Err(CancelError::NotActive { status: self.status() })
            }
        }
    }
}
