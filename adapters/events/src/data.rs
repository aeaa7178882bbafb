//! The data of events, by type. `docs/events.md` and the schemas describe them.

use reprieve_application::OutgoingEvent;
use reprieve_application::facade::ProcessData;
use reprieve_domain::EventKind;

use crate::json::Object;

/// Of `transport.identityDeletionProcessStatusChanged`: the process as the Connector shows it, and whose it is.
pub(crate) fn status_changed(event: &OutgoingEvent, process: &ProcessData) -> Object {
    Object::default()
        .text("eventTargetAddress", &event.event.address)
        .text("id", &process.id)
        .text("status", &process.status)
        .text("createdAt", &process.created_at)
        .text("createdByDevice", &process.created_by_device)
        .text_if_any("gracePeriodEndsAt", process.grace_period_ends_at.as_ref())
        .text_if_any("cancelledAt", process.cancelled_at.as_ref())
        .text_if_any("cancelledByDevice", process.cancelled_by_device.as_ref())
        .text_if_any("suspendedUntil", process.suspended_until.as_ref())
}

/// Of every other type: whose process it is, and what else is to be said.
pub(crate) fn identity(event: &OutgoingEvent) -> Object {
    let identity =
        Object::default().text("address", &event.event.address).text("processId", &event.event.process_id);
    match &event.event.kind {
        EventKind::IdentityToBeDeleted { grace_period_ends_at } => {
            identity.text("gracePeriodEndsAt", grace_period_ends_at)
        }
        EventKind::IdentityDeletionReminderDue { reminder, days_until_deletion, grace_period_ends_at } => {
            identity
                .text("gracePeriodEndsAt", grace_period_ends_at)
                .number("reminder", reminder.number().into())
                .number("daysUntilDeletion", *days_until_deletion)
        }
        EventKind::IdentityDeletionSuspensionChanged { suspended_until } => {
            identity.text_if_any("suspendedUntil", suspended_until.as_ref())
        }
        EventKind::IdentityErasureStuck { eraser, failures } => {
            identity.text("eraser", eraser).number("failures", *failures)
        }
        EventKind::IdentityErasureWaived { eraser, code } => {
            identity.text("eraser", eraser).text("code", code)
        }
        EventKind::IdentityDeletionProcessQuarantined { reason } => identity.text("reason", &reason.reason()),
        EventKind::IdentityDeletionCancelled
        | EventKind::IdentityDeletionStarted
        | EventKind::IdentityDeleted => identity,
    }
}
