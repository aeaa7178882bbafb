//! Events as rows of the outbox, written in the transaction of the step they tell of, and read when others are told.

use std::fmt::Write as _;

use reprieve_application::facade::ProcessData;
use reprieve_application::{OutgoingEvent, StoreError, TraceContext};
use reprieve_domain::audit::SealedEntry;
use reprieve_domain::{DeviceId, Event, Status, Step, Timestamp};
use serde::{Deserialize, Serialize};

use crate::mapping::Row;

/// The columns of an event that are decided here; the rest is in the step.
pub(crate) struct OutboxRow {
    pub(crate) address: String,
    pub(crate) event_type: &'static str,
    pub(crate) occurred_at: i64,
    pub(crate) data: String,
    pub(crate) event_id: String,
    pub(crate) process: Option<String>,
    pub(crate) trace_parent: Option<String>,
    pub(crate) trace_state: Option<String>,
}

/// The column `process`: what is not in the event anyway.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredProcess {
    pub(crate) status: Status,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by_device: DeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grace_period_ends_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cancelled_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cancelled_by_device: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suspended_until: Option<Timestamp>,
}

pub(crate) fn outbox_row(step: &Step, sealed: &SealedEntry) -> Result<Option<OutboxRow>, StoreError> {
    let Some(event) = step.event() else { return Ok(None) };
    let entry = step.audit_entry();
    let process = (entry.old_status != Some(entry.new_status)).then(|| process_to_json(step)).transpose()?;
    let (trace_parent, trace_state) =
        TraceContext::current().map_or((None, None), |trace| (Some(trace.parent), trace.state));
    Ok(Some(OutboxRow {
        address: event.address.to_string(),
        event_type: event.kind.name(),
        occurred_at: event.occurred_at.unix_micros(),
        data: to_json(event)?,
        event_id: event_id(sealed),
        process,
        trace_parent,
        trace_state,
    }))
}

/// From the hash of the audit entry, which says what was done, and after what: the same step has the same id, and another
/// one has another, also where a backup was restored and a process has taken the same number of steps once more.
pub(crate) fn event_id(sealed: &SealedEntry) -> String {
    let hash = &sealed.hash;
    hash.iter().take(16).fold(String::with_capacity(32), |mut id, byte| {
        // Writing to a String cannot fail.
        let _ = write!(id, "{byte:02x}");
        id
    })
}

fn process_to_json(step: &Step) -> Result<String, StoreError> {
    let ProcessData {
        id: _,
        status,
        created_at,
        created_by_device,
        grace_period_ends_at,
        cancelled_at,
        cancelled_by_device,
        suspended_until,
    } = step.process().into();
    to_json(&StoredProcess {
        status,
        created_at,
        created_by_device,
        grace_period_ends_at,
        cancelled_at,
        cancelled_by_device,
        suspended_until,
    })
}

fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unavailable(error.into()))
}

/// The id of an event. An older version of this program that still runs writes none when the tables have been migrated; its
/// events have the id that the migration gave to those that were there.
pub(crate) const EVENT_ID: &str = "coalesce(outbox.event_id, outbox.process_id || 'r' || outbox.revision)";

/// What events are sequenced by: within one identity, each step's is greater than that of the step before. The first columns
/// of the index `events_without_sequence`, word for word. An older version of this program writes none.
pub(crate) const LOGICAL_TIME: &str = "coalesce(logical_time, occurred_at)";

/// The columns that [`event_from_row`] reads; the id is [`EVENT_ID`].
pub(crate) const COLUMNS: &str = "outbox.sequence, outbox.process_id, outbox.revision, outbox.address, $EVENT_ID AS event_id, outbox.data, outbox.process, \
    outbox.trace_parent, outbox.trace_state";

pub(crate) fn event_from_row(row: &Row<'_>) -> Result<OutgoingEvent, StoreError> {
    let event: Event = from_json(row, "data", &row.get::<String>("data")?)?;
    if event.address.as_str() != row.get::<String>("address")? {
        return Err(row.corrupt("address", "is not that of the event"));
    }
    let process = match row.get::<Option<String>>("process")? {
        None => None,
        Some(json) => {
            let stored: StoredProcess = from_json(row, "process", &json)?;
            Some(ProcessData {
                id: event.process_id.clone(),
                status: stored.status,
                created_at: stored.created_at,
                created_by_device: stored.created_by_device,
                grace_period_ends_at: stored.grace_period_ends_at,
                cancelled_at: stored.cancelled_at,
                cancelled_by_device: stored.cancelled_by_device,
                suspended_until: stored.suspended_until,
            })
        }
    };
    let trace_state: Option<String> = row.get("trace_state")?;
    let trace = row.get::<Option<String>>("trace_parent")?;
    Ok(OutgoingEvent {
        id: row.get("event_id")?,
        sequence: row.get("sequence")?,
        event,
        process,
        trace: trace.map(|parent| TraceContext { parent, state: trace_state }),
    })
}

fn from_json<'a, T: Deserialize<'a>>(row: &Row<'_>, column: &str, json: &'a str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| row.corrupt(column, error))
}
