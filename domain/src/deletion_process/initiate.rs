//! (no process) → Active.

use super::{Active, DeletionProcess, Reminders, State};
use crate::audit::AuditedAction;
use crate::{Address, Deadline, DeletionProcessId, DeviceId, EventKind, Step, Suspension, Timestamp};

impl DeletionProcess {
    /// For the aggregate root only: it alone knows whether there is an open process already.
    pub(crate) fn initiate(
        id: DeletionProcessId,
        address: Address,
        by: DeviceId,
        now: Timestamp,
        grace_period_ends_at: Timestamp,
        suspension: Option<Suspension>,
    ) -> Step {
        let process = Self {
            id,
            address,
            created_at: now,
            created_by_device: by.clone(),
            grace_period_ends_at,
            suspension,
            reminders: Reminders::default(),
            state: State::Active(Active {}),
        };
        process.stepped(
            None,
            now,
            Some(by),
            AuditedAction::StartedByOwner { grace_period_ends_at, suspension },
            Some(EventKind::IdentityToBeDeleted { grace_period_ends_at }),
            Deadline::DoesNotMatter,
        )
    }
}
