//! A step on SQLite: one transaction, which takes the write lock at its start, and in it statements that are handed over
//! together, because the thread that a connection has costs more per visit than per statement.

use reprieve_application::StoreError;
use sea_orm::{ConnectionTrait, DbBackend};

use crate::answered_requests;
use crate::error::store_error;
use crate::pool::{Pool, Transaction, end};
use crate::write::Write;

pub(crate) async fn save(connection: &Pool, write: Write) -> Result<(), StoreError> {
    let not_written = write.not_written();
    let transaction = connection.begin().await.map_err(store_error)?;
    let written = match write_all(&transaction, write).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(not_written),
        Err(error) => Err(error),
    };
    end(transaction, written).await
}

/// Whether it was written.
pub(crate) async fn write_all(transaction: &Transaction, mut write: Write) -> Result<bool, StoreError> {
    // By itself: SQLite does not say which key it was that was taken.
    if let Some(answered) = write.answered.take() {
        answered_requests::insert(transaction, answered).await?;
    }
    let written =
        transaction.execute_raw(write.into_statement(DbBackend::Sqlite)).await.map_err(store_error)?;
    Ok(written.rows_affected() > 0)
}
