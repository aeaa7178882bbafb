//! The data of events, by type. `docs/events.md` and the schemas describe them.

use reprieve_application::OutgoingEvent;
use reprieve_application::facade::ProcessData;
use reprieve_domain::EventKind;
use serde_json::Value;

use crate::json::{number, object, text};

/// Of `transport.identityDeletionProcessStatusChanged`: the process as the Connector shows it, and whose it is.
pub(crate) fn status_changed(event: &OutgoingEvent, process: &ProcessData) -> Value {
    object([
        ("eventTargetAddress", text(&event.event.address)),
        ("id", text(&process.id)),
        ("status", text(process.status)),
        ("createdAt", text(process.created_at)),
        ("createdByDevice", text(&process.created_by_device)),
        ("gracePeriodEndsAt", process.grace_period_ends_at.and_then(text)),
        ("cancelledAt", process.cancelled_at.and_then(text)),
        ("cancelledByDevice", process.cancelled_by_device.as_ref().and_then(text)),
    ])
}

/// Of every other type: whose process it is, and what else is to be said.
pub(crate) fn identity(event: &OutgoingEvent) -> Value {
    let address = ("address", text(&event.event.address));
    let process = ("processId", text(&event.event.process_id));
    match &event.event.kind {
        EventKind::IdentityToBeDeleted { grace_period_ends_at } => {
            object([address, process, ("gracePeriodEndsAt", text(grace_period_ends_at))])
        }
        EventKind::IdentityDeletionReminderDue { reminder, days_until_deletion, grace_period_ends_at } => {
            object([
                address,
                process,
                ("gracePeriodEndsAt", text(grace_period_ends_at)),
                ("reminder", number(reminder.number().into())),
                ("daysUntilDeletion", number(*days_until_deletion)),
            ])
        }
        EventKind::IdentityErasureStuck { eraser, failures } => {
            object([address, process, ("eraser", text(eraser)), ("failures", number(*failures))])
        }
        EventKind::IdentityDeletionCancelled
        | EventKind::IdentityDeletionStarted
        | EventKind::IdentityDeleted => object([address, process]),
    }
}
