//! The data of events, by type. `docs/events.md` and the schemas describe them.

use reprieve_application::OutgoingEvent;
use reprieve_application::facade::ProcessData;
use reprieve_domain::{Address, DeletionProcessId, DeviceId, EventKind, Status, Timestamp};
use serde::Serialize;

/// Of `transport.identityDeletionProcessStatusChanged`: the process as the Connector shows it, and whose it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusChangedJson<'a> {
    event_target_address: &'a Address,
    id: &'a DeletionProcessId,
    status: Status,
    created_at: Timestamp,
    created_by_device: &'a DeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_period_ends_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_by_device: Option<&'a DeviceId>,
}

/// Of every other type: whose process it is, and what else is to be said.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct IdentityJson<'a> {
    address: &'a Address,
    process_id: &'a DeletionProcessId,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_period_ends_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reminder: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    days_until_deletion: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eraser: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failures: Option<u32>,
}

/// The data of one type of event.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct EventData<'a>(Data<'a>);

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Data<'a> {
    StatusChanged(StatusChangedJson<'a>),
    Identity(IdentityJson<'a>),
}

impl<'a> EventData<'a> {
    pub(crate) fn status_changed(event: &'a OutgoingEvent, process: &'a ProcessData) -> Self {
        Self(Data::StatusChanged(StatusChangedJson {
            event_target_address: &event.event.address,
            id: &process.id,
            status: process.status,
            created_at: process.created_at,
            created_by_device: &process.created_by_device,
            grace_period_ends_at: process.grace_period_ends_at,
            cancelled_at: process.cancelled_at,
            cancelled_by_device: process.cancelled_by_device.as_ref(),
        }))
    }

    pub(crate) fn identity(event: &'a OutgoingEvent) -> Self {
        let mut data = IdentityJson {
            address: &event.event.address,
            process_id: &event.event.process_id,
            grace_period_ends_at: None,
            reminder: None,
            days_until_deletion: None,
            eraser: None,
            failures: None,
        };
        match &event.event.kind {
            EventKind::IdentityToBeDeleted { grace_period_ends_at } => {
                data.grace_period_ends_at = Some(*grace_period_ends_at);
            }
            EventKind::IdentityDeletionReminderDue {
                reminder,
                days_until_deletion,
                grace_period_ends_at,
            } => {
                data.reminder = Some(reminder.number());
                data.days_until_deletion = Some(*days_until_deletion);
                data.grace_period_ends_at = Some(*grace_period_ends_at);
            }
            EventKind::IdentityErasureStuck { eraser, failures } => {
                data.eraser = Some(eraser.as_str());
                data.failures = Some(*failures);
            }
            EventKind::IdentityDeletionCancelled
            | EventKind::IdentityDeletionStarted
            | EventKind::IdentityDeleted => {}
        }
        Self(Data::Identity(data))
    }
}
