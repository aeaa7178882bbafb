//! A step on PostgreSQL: one statement, so one round trip, which writes all tables or nothing.

use reprieve_application::StoreError;
use sea_orm::{ConnectionTrait, DbBackend};

use crate::error::store_error;
use crate::write::Write;

pub(crate) async fn save(connection: &impl ConnectionTrait, write: Write) -> Result<(), StoreError> {
    let not_written = write.not_written();
    let statement = write.into_statement(DbBackend::Postgres);
    match connection.query_one_raw(statement).await.map_err(store_error)? {
        Some(_) => Ok(()),
        None => Err(not_written),
    }
}
