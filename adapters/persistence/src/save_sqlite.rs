//! A step on SQLite: one transaction, which takes the write lock at its start, and in it statements that are handed over
//! together, because the thread that a connection has costs more per visit than per statement.

use reprieve_application::StoreError;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend};

use crate::answered_requests;
use crate::database::begin_to_write;
use crate::error::store_error;
use crate::write::Write;

pub(crate) async fn save(connection: &DatabaseConnection, write: Write) -> Result<(), StoreError> {
    let transaction = begin_to_write(connection).await?;
    match write_all(&transaction, write).await {
        Ok(()) => transaction.commit().await.map_err(store_error),
        Err(error) => {
            // If this fails as well, the connection is closed and the transaction with it.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

pub(crate) async fn write_all(transaction: &DatabaseTransaction, mut write: Write) -> Result<(), StoreError> {
    // By itself: SQLite does not say which key it was that was taken.
    if let Some(answered) = write.answered.take() {
        answered_requests::insert(transaction, answered).await?;
    }
    let not_written = write.not_written();
    let written =
        transaction.execute_raw(write.into_statement(DbBackend::Sqlite)).await.map_err(store_error)?;
    if written.rows_affected() > 0 { Ok(()) } else { Err(not_written) }
}
