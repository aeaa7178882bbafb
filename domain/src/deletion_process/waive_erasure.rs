//! Deleting → Deleting, with one eraser fewer to wait for.

use super::{Deleting, DeletionProcess, State};
use crate::audit::AuditedAction;
use crate::{Deadline, EraserName, Erasure, EventKind, Status, Step, Timestamp, WaiverCode};

/// Why an erasure cannot be waived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaiveErasureError {
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
    /// The eraser has acknowledged: there is nothing to waive.
    #[error("the eraser {eraser} has acknowledged at {at}")]
    AlreadyAcknowledged {
        /// The eraser.
        eraser: EraserName,
        /// When it acknowledged.
        at: Timestamp,
    },
    /// The erasure was waived before; the code that was given then stays.
    #[error("the erasure of {eraser} was waived at {at}")]
    AlreadyWaived {
        /// The eraser.
        eraser: EraserName,
        /// When it was waived.
        at: Timestamp,
    },
}

impl DeletionProcess {
    /// Records that an operator does without the acknowledgement of an eraser that will never give one.
    ///
    /// # Errors
    /// For an eraser that is not the process's, or is settled, and in any state but Deleting.
    pub fn waive_erasure(
        &self,
        eraser: &EraserName,
        code: WaiverCode,
        now: Timestamp,
    ) -> Result<Step, WaiveErasureError> {
        match &self.state {
            State::Deleting(deleting) => {
                match deleting.erasures.get(eraser) {
                    None => return Err(WaiveErasureError::UnknownEraser { eraser: eraser.clone() }),
                    Some(Erasure::Acknowledged { at, .. }) => {
                        return Err(WaiveErasureError::AlreadyAcknowledged {
                            eraser: eraser.clone(),
                            at: *at,
                        });
                    }
                    Some(Erasure::Waived { at, .. }) => {
                        return Err(WaiveErasureError::AlreadyWaived { eraser: eraser.clone(), at: *at });
                    }
                    Some(Erasure::Pending { .. }) => {}
                }
                let mut erasures = deleting.erasures.clone();
                erasures.insert(eraser.clone(), Erasure::Waived { at: now, code: code.clone() });
                Ok(self.step_to(
                    State::Deleting(Deleting { started_at: deleting.started_at, erasures }),
                    now,
                    None,
                    AuditedAction::DataDeletionWaivedBySupport { eraser: eraser.clone(), code: code.clone() },
                    Some(EventKind::IdentityErasureWaived { eraser: eraser.clone(), code }),
                    Deadline::DoesNotMatter,
                ))
            }
            State::Active(_) | State::Cancelled(_) | State::Deleted(_) => {
                Err(WaiveErasureError::NotDeleting { status: self.status() })
            }
        }
    }
}
