//! Deleting → Deleting, with one more thing known of one eraser.

use super::{Deleting, DeletionProcess, State};
use crate::audit::AuditedAction;
use crate::{Deadline, EraserName, Erasure, EventKind, FailureCode, Status, Step, Timestamp};

/// Why the result of an eraser cannot be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordErasureError {
    /// The identity has no such open process.
    #[error("the identity has no such open deletion process")]
    NoOpenProcess,
    /// The process is not Deleting.
    #[error("the deletion process has the status {status}")]
    NotDeleting {
        /// The status it has.
        status: Status,
    },
    /// The eraser was not in force when the deletion started.
    #[error("the deletion process has no eraser {eraser}")]
    UnknownEraser {
        /// The eraser.
        eraser: EraserName,
    },
    /// The eraser has acknowledged; what it says afterwards changes nothing.
    #[error("the eraser {eraser} has acknowledged at {at}")]
    AlreadyAcknowledged {
        /// The eraser.
        eraser: EraserName,
        /// When it acknowledged.
        at: Timestamp,
    },
    /// The erasure was waived; what the eraser says afterwards changes nothing.
    #[error("the erasure of {eraser} was waived at {at}")]
    AlreadyWaived {
        /// The eraser.
        eraser: EraserName,
        /// When it was waived.
        at: Timestamp,
    },
}

impl DeletionProcess {
    /// Records that an eraser has acknowledged: its data is gone, `count` things in all.
    ///
    /// # Errors
    /// For an eraser that is not the process's, or is settled, and in any state but Deleting.
    pub(crate) fn record_erasure(
        &self,
        eraser: &EraserName,
        count: u64,
        now: Timestamp,
    ) -> Result<Step, RecordErasureError> {
        let action = AuditedAction::DataDeleted { eraser: eraser.clone(), count };
        self.with_erasure(eraser, now, action, |_| (Erasure::Acknowledged { at: now, count }, None))
    }

    /// Records that an eraser has failed. It stays pending and will be asked again.
    ///
    /// # Errors
    /// For an eraser that is not the process's, or is settled, and in any state but Deleting.
    pub(crate) fn record_erasure_failure(
        &self,
        eraser: &EraserName,
        failure: FailureCode,
        now: Timestamp,
    ) -> Result<Step, RecordErasureError> {
        let action = AuditedAction::ErrorDuringDeletion { eraser: eraser.clone(), failure };
        self.with_erasure(eraser, now, action, |failures| {
            (Erasure::Pending { failures: failures.saturating_add(1) }, None)
        })
    }

    /// Records that an eraser has failed, and for so long that it will not be asked again by itself: somebody has to
    /// look after it, and is told. It stays pending: the process cannot complete without it.
    ///
    /// # Errors
    /// For an eraser that is not the process's, or is settled, and in any state but Deleting.
    pub(crate) fn record_stuck_erasure(
        &self,
        eraser: &EraserName,
        failure: FailureCode,
        now: Timestamp,
    ) -> Result<Step, RecordErasureError> {
        let action = AuditedAction::ErrorDuringDeletion { eraser: eraser.clone(), failure };
        self.with_erasure(eraser, now, action, |failures| {
            let failures = failures.saturating_add(1);
            let event = EventKind::IdentityErasureStuck { eraser: eraser.clone(), failures };
            (Erasure::Pending { failures }, Some(event))
        })
    }

    fn with_erasure(
        &self,
        eraser: &EraserName,
        now: Timestamp,
        action: AuditedAction,
        after: impl FnOnce(u32) -> (Erasure, Option<EventKind>),
    ) -> Result<Step, RecordErasureError> {
        match &self.state {
            State::Deleting(deleting) => {
                let failures = match deleting.erasures.get(eraser) {
                    None => return Err(RecordErasureError::UnknownEraser { eraser: eraser.clone() }),
                    Some(Erasure::Acknowledged { at, .. }) => {
                        return Err(RecordErasureError::AlreadyAcknowledged {
                            eraser: eraser.clone(),
                            at: *at,
                        });
                    }
                    Some(Erasure::Waived { at, .. }) => {
                        return Err(RecordErasureError::AlreadyWaived { eraser: eraser.clone(), at: *at });
                    }
                    Some(Erasure::Pending { failures }) => *failures,
                };
                let mut erasures = deleting.erasures.clone();
                let (erasure, event) = after(failures);
                erasures.insert(eraser.clone(), erasure);
                Ok(self.step_to(
                    State::Deleting(Deleting { started_at: deleting.started_at, erasures }),
                    now,
                    None,
                    action,
                    event,
                    Deadline::DoesNotMatter,
                ))
            }
            State::Active(_) | State::Cancelled(_) | State::Deleted(_) => {
                Err(RecordErasureError::NotDeleting { status: self.status() })
            }
        }
    }
}
