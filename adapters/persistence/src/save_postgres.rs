//! A step on PostgreSQL: one statement, so one round trip, which writes all three tables or nothing.
//!
//! The audit entry and the event are selected *from* the row that was written: where the guard finds no row, they do
//! not come to exist.

use reprieve_application::StoreError;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};

use crate::error::store_error;
use crate::write::{Write, initiate_process, step_process};

macro_rules! with_audit_entry_and_event {
    ($write_process:expr) => {
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

const INITIATE: &str = with_audit_entry_and_event!(initiate_process!());
const STEP: &str = with_audit_entry_and_event!(step_process!());

pub(crate) async fn save(connection: &DatabaseConnection, write: Write) -> Result<(), StoreError> {
    let statement = write.into_statement(DbBackend::Postgres, INITIATE, STEP);
    match connection.query_one_raw(statement).await.map_err(store_error)? {
        Some(_) => Ok(()),
        None => Err(StoreError::Conflict),
    }
}
