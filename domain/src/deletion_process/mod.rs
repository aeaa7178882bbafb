//! The state machine of one attempt to delete one identity.
//!
//! ```text
//!             initiate                  cancel  (now < end)
//! (no process) ─────▶ Active ─────────────────────────────────────────▶ Cancelled
//!                       │ ⟲ remind, suspend
//!                       │ start deletion  (now ≥ end)
//!                       ▼
//!                    Deleting ──── complete (every erasure settled) ─────▶ Deleted
//!                         ⟲ record erasure, record erasure failure, waive erasure, suspend
//! ```
//!
//! The end is the end of the grace period, or that of the suspension if that is later.
//!
//! One file a transition; each matches every state, so that a new state does not compile until every transition has
//! an answer for it.

mod cancel;
mod complete;
mod hold;
mod initiate;
mod record;
mod record_erasure;
mod remind;
mod reminder;
mod restore_cancellation;
mod start_deletion;
mod state;
mod status;
mod waive_erasure;

pub use cancel::CancelError;
pub use complete::CompleteError;
pub use record::{DeletionProcessRecord, InvalidRecord};
pub use record_erasure::RecordErasureError;
pub use remind::RemindError;
pub(crate) use remind::whole_days_until;
pub use reminder::{Reminder, Reminders};
pub use start_deletion::StartDeletionError;
pub use state::{Active, Cancelled, Deleted, Deleting, State};
pub use status::{Status, UnknownStatus};
pub use waive_erasure::WaiveErasureError;

use crate::audit::{AuditEntry, AuditedAction};
use crate::{Address, Deadline, DeletionProcessId, DeviceId, Event, EventKind, Step, Suspension, Timestamp};

/// One attempt to delete one identity.
///
/// Created by [`Identity::initiate`](crate::Identity::initiate) and by nothing else; [`DeletionProcess::restore`]
/// brings back one that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionProcess {
    id: DeletionProcessId,
    address: Address,
    created_at: Timestamp,
    created_by_device: DeviceId,
    grace_period_ends_at: Timestamp,
    suspension: Option<Suspension>,
    reminders: Reminders,
    state: State,
}

impl DeletionProcess {
    /// The id.
    #[must_use]
    pub fn id(&self) -> &DeletionProcessId {
        &self.id
    }

    /// The identity to be deleted.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// When the deletion was asked for: the first instant of the grace period.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// The device that asked for it.
    #[must_use]
    pub fn created_by_device(&self) -> &DeviceId {
        &self.created_by_device
    }

    /// The end of the grace period that was promised. Never changes, whatever becomes of the process.
    #[must_use]
    pub fn grace_period_ends_at(&self) -> Timestamp {
        self.grace_period_ends_at
    }

    /// Until when the deletion is suspended, if it ever was.
    #[must_use]
    pub fn suspension(&self) -> Option<Suspension> {
        self.suspension
    }

    /// The first instant at which it can no longer be cancelled: the end of the grace period, or that of the suspension if
    /// that is later.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        end(self.grace_period_ends_at, self.suspension)
    }

    /// Whether the deletion is suspended at `now`.
    #[must_use]
    pub fn is_suspended(&self, now: Timestamp) -> bool {
        self.suspension.is_some_and(|suspension| now < suspension.until)
    }

    /// Which reminders were sent, and when.
    #[must_use]
    pub fn reminders(&self) -> &Reminders {
        &self.reminders
    }

    /// The state, with what exists in that state only.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The state's name.
    #[must_use]
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// Whether the deletion may start at `now`: Active, and its end reached.
    #[must_use]
    pub fn is_ripe(&self, now: Timestamp) -> bool {
        self.status() == Status::Active && self.is_over(now)
    }

    /// The one place that knows which side of the end an instant is on: the time for cancelling is half-open, its end
    /// belongs to the deletion.
    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.ends_at()
    }

    /// The step from this process to `state`.
    fn step_to(
        &self,
        state: State,
        now: Timestamp,
        by: Option<DeviceId>,
        action: AuditedAction,
        event: Option<EventKind>,
        deadline: Deadline,
    ) -> Step {
        let process = Self { state, ..self.clone() };
        process.stepped(Some(self.status()), now, by, action, event, deadline)
    }

    /// The step that ends in this process.
    fn stepped(
        self,
        old_status: Option<Status>,
        now: Timestamp,
        by: Option<DeviceId>,
        action: AuditedAction,
        event: Option<EventKind>,
        deadline: Deadline,
    ) -> Step {
        let audit_entry = AuditEntry {
            process_id: self.id.clone(),
            address: self.address.clone(),
            device: by,
            created_at: now,
            old_status,
            new_status: self.status(),
            action,
        };
        let event = event.map(|kind| Event {
            process_id: self.id.clone(),
            address: self.address.clone(),
            occurred_at: now,
            kind,
        });
        Step::new(self, audit_entry, event, deadline)
    }
}

/// The later of both.
pub(crate) fn end(promised: Timestamp, suspension: Option<Suspension>) -> Timestamp {
    suspension.map_or(promised, |suspension| promised.max(suspension.until))
}

#[cfg(test)]
mod tests;
