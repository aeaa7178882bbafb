//! A step on PostgreSQL: one statement, so one round trip, which writes all three tables or nothing.
//!
//! The audit entry and the event are selected *from* the row that was written: where the guard finds no row, they do
//! not come to exist.

use reprieve_application::StoreError;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};

use crate::error::store_error;
use crate::identities::Write;

/// Parameters $1 to $14 are the audit entry and the event, the same in both statements.
macro_rules! with_audit_entry_and_event {
    ($write_process:literal) => {
        concat!(
            "WITH process AS (",
            $write_process,
            " RETURNING id), audit AS (INSERT INTO audit_entries (process_id, sequence, created_at, old_status, \
             new_status, message_key, additional_data, identity_hash, device_hash, hash) \
             SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM process), event AS (INSERT INTO outbox (process_id, \
             revision, address, event_type, occurred_at, data) \
             SELECT id, $2, $11, $12, $13, $14 FROM process WHERE $12 IS NOT NULL) \
             SELECT id FROM process"
        )
    };
}

const INITIATE: &str = with_audit_entry_and_event!(
    "INSERT INTO deletion_processes (id, revision, address, status, created_at, created_by_device, \
     grace_period_ends_at, audit_head, audit_seal) VALUES ($1, $2, $15, $16, $17, $18, $19, $20, $21)"
);

const STEP: &str = with_audit_entry_and_event!(
    "UPDATE deletion_processes SET revision = $2, status = $15, reminder1_sent_at = $16, reminder2_sent_at = $17, \
     reminder3_sent_at = $18, cancelled_at = $19, cancelled_by_device = $20, deletion_started_at = $21, \
     deletion_completed_at = $22, erasures = $23, audit_head = $24, audit_seal = $25 \
     WHERE id = $1 AND revision = $26 AND grace_period_ends_at > $27 AND grace_period_ends_at <= $28"
);

pub(crate) async fn save(connection: &DatabaseConnection, write: Write) -> Result<(), StoreError> {
    let Write { process, audit_entry: entry, event, expected_revision, deadline: (after, not_after) } = write;
    let (address, event_type, occurred_at, data) = match event {
        Some(event) => (
            Some(event.address),
            Some(event.event_type.to_owned()),
            Some(event.occurred_at),
            Some(event.data),
        ),
        None => (None, None, None, None),
    };
    let mut values: Vec<Value> = vec![
        process.id.into(),
        process.revision.into(),
        entry.created_at.into(),
        entry.old_status.into(),
        entry.new_status.into(),
        entry.message_key.into(),
        entry.additional_data.into(),
        entry.identity_hash.into(),
        entry.device_hash.into(),
        entry.hash.into(),
        address.into(),
        event_type.into(),
        occurred_at.into(),
        data.into(),
    ];
    let sql = match expected_revision {
        None => {
            values.extend([
                process.address.into(),
                process.status.into(),
                process.created_at.into(),
                process.created_by_device.into(),
                process.grace_period_ends_at.into(),
                process.audit_head.into(),
                process.audit_seal.into(),
            ]);
            INITIATE
        }
        Some(expected) => {
            values.extend([
                process.status.into(),
                process.reminder1_sent_at.into(),
                process.reminder2_sent_at.into(),
                process.reminder3_sent_at.into(),
                process.cancelled_at.into(),
                process.cancelled_by_device.into(),
                process.deletion_started_at.into(),
                process.deletion_completed_at.into(),
                process.erasures.into(),
                process.audit_head.into(),
                process.audit_seal.into(),
                expected.into(),
                after.into(),
                not_after.into(),
            ]);
            STEP
        }
    };
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    match connection.query_one_raw(statement).await.map_err(store_error)? {
        Some(_) => Ok(()),
        None => Err(StoreError::Conflict),
    }
}
