//! A step on PostgreSQL: one statement, so one round trip, which writes all tables or nothing.

use reprieve_application::StoreError;
use sea_orm::{ConnectionTrait, DbBackend};

use crate::error::store_error;
use crate::pool::Pool;
use crate::write::Write;

pub(crate) async fn save(pool: &Pool, write: Write) -> Result<(), StoreError> {
    let not_written = write.not_written();
    if !write_all(pool, write).await? {
        return Err(not_written);
    }
    pool.note_stored();
    Ok(())
}

/// Whether it was written.
pub(crate) async fn write_all(connection: &impl ConnectionTrait, write: Write) -> Result<bool, StoreError> {
    let statement = write.into_statement(DbBackend::Postgres);
    Ok(connection.query_one_raw(statement).await.map_err(store_error)?.is_some())
}
