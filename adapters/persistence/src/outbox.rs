//! Events as rows of the outbox, written in the transaction of the step they tell of.

use reprieve_application::StoreError;
use reprieve_domain::{Event, Step};

/// The columns of an event that are decided here; the rest is in the step.
pub(crate) struct OutboxRow {
    pub(crate) address: String,
    pub(crate) event_type: &'static str,
    pub(crate) occurred_at: i64,
    pub(crate) data: String,
}

pub(crate) fn outbox_row(step: &Step) -> Result<Option<OutboxRow>, StoreError> {
    step.event().map(row).transpose()
}

fn row(event: &Event) -> Result<OutboxRow, StoreError> {
    Ok(OutboxRow {
        address: event.address.to_string(),
        event_type: event.kind.name(),
        occurred_at: event.occurred_at.unix_micros(),
        data: serde_json::to_string(event).map_err(|error| StoreError::Unavailable(error.into()))?,
    })
}
