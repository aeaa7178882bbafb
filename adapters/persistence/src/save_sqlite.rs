//! A step on SQLite: one transaction, which takes the write lock at its start, and in it three statements, which are
//! handed over together: the thread that a connection has costs more per visit than per statement.
//!
//! The audit entry and the event are selected *from* the row that was written, which its new head tells from what was
//! there before: where the guard finds no row, they do not come to exist.

use reprieve_application::StoreError;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};

use crate::database::begin_to_write;
use crate::error::store_error;
use crate::write::{Write, initiate_process, step_process};

macro_rules! with_audit_entry_and_event {
    ($write_process:expr) => {
        concat!(
            $write_process,
            "; INSERT INTO audit_entries (process_id, sequence, created_at, old_status, new_status, message_key, \
             additional_data, identity_hash, device_hash, hash) \
             SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM deletion_processes WHERE id = $1 AND audit_head = $10; \
             INSERT INTO outbox (process_id, revision, address, event_type, occurred_at, data) \
             SELECT id, $2, $11, $12, $13, $14 FROM deletion_processes \
             WHERE id = $1 AND audit_head = $10 AND $12 IS NOT NULL"
        )
    };
}

const INITIATE: &str = with_audit_entry_and_event!(initiate_process!());
const STEP: &str = with_audit_entry_and_event!(step_process!());

pub(crate) async fn save(connection: &DatabaseConnection, write: Write) -> Result<(), StoreError> {
    let statement = write.into_statement(DbBackend::Sqlite, INITIATE, STEP);
    let transaction = begin_to_write(connection).await?;
    let error = match transaction.execute_raw(statement).await {
        Ok(written) if written.rows_affected() > 0 => {
            return transaction.commit().await.map_err(store_error);
        }
        Ok(_) => StoreError::Conflict,
        Err(error) => store_error(error),
    };
    // If this fails as well, the connection is closed and the transaction with it.
    let _ = transaction.rollback().await;
    Err(error)
}
