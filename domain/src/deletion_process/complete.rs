//! Deleting → Deleted, once every erasure is acknowledged or waived.

use super::{Deleted, DeletionProcess, State};
use crate::audit::AuditedAction;
use crate::{Deadline, EraserName, EventKind, Status, Step, Timestamp};

/// Why a deletion is not complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompleteError {
    /// The identity has no such open process.
    #[error("the identity has no such open deletion process")]
    NoOpenProcess,
    /// The process is not Deleting.
    #[error("the deletion process has the status {status}")]
    NotDeleting {
        /// The status it has.
        status: Status,
    },
    /// A hold is in force.
    #[error("the deletion is suspended until {until}")]
    Suspended {
        /// Until when.
        until: Timestamp,
    },
    /// An eraser has neither acknowledged nor been waived.
    #[error("{count} erasers have not acknowledged, {first} among them")]
    ErasuresPending {
        /// The first of them by name.
        first: EraserName,
        /// How many there are.
        count: usize,
    },
}

impl DeletionProcess {
    /// Ends the deletion.
    ///
    /// # Errors
    /// While an eraser has neither acknowledged nor been waived, and in any state but Deleting.
    pub(crate) fn complete(&self, now: Timestamp) -> Result<Step, CompleteError> {
        match &self.state {
            State::Deleting(deleting) => {
                if let Some(held) = self.suspension.filter(|_| self.is_suspended(now)) {
                    return Err(CompleteError::Suspended { until: held.until });
                }
                let mut pending = deleting.erasures.iter().filter(|(_, erasure)| !erasure.is_settled());
                if let Some((first, _)) = pending.next() {
                    return Err(CompleteError::ErasuresPending {
                        first: first.clone(),
                        count: 1 + pending.count(),
                    });
                }
                Ok(self.step_to(
                    State::Deleted(Deleted {
                        started_at: deleting.started_at,
                        completed_at: now,
                        erasures: deleting.erasures.clone(),
                    }),
                    now,
                    None,
                    AuditedAction::DeletionCompleted,
                    Some(EventKind::IdentityDeleted),
                    Deadline::DoesNotMatter,
                ))
            }
            State::Active(_) | State::Cancelled(_) | State::Deleted(_) => {
                Err(CompleteError::NotDeleting { status: self.status() })
            }
        }
    }
}
