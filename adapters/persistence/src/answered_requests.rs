//! The port `AnsweredRequests`: answers for requests that come again.

use async_trait::async_trait;
use reprieve_application::ports::AnsweredRequests;
use reprieve_application::{AnsweredRequest, IdempotencyKey, StoreError};
use reprieve_domain::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait};

use crate::Store;
use crate::entities::answered_request::{Column, Entity, Model};
use crate::error::store_error;
use crate::mapping::{answered_from_row, answered_to_row};

#[async_trait]
impl AnsweredRequests for Store {
    async fn find(&self, key: &IdempotencyKey) -> Result<Option<AnsweredRequest>, StoreError> {
        let statement = Entity::find().filter(Column::Key.eq(key.0.to_vec())).into_query();
        let row = self.reader.query_one(&statement).await.map_err(store_error)?;
        row.as_ref().map(answered_from_row).transpose()
    }

    async fn keep(&self, answered: &AnsweredRequest) -> Result<(), StoreError> {
        insert(&self.writer, answered_to_row(answered)).await
    }

    async fn forget(&self, key: &IdempotencyKey, instant: Timestamp) -> Result<(), StoreError> {
        Entity::delete_many()
            .filter(Column::Key.eq(key.0.to_vec()))
            .filter(Column::ReceivedAt.lt(instant.unix_micros()))
            .exec(&self.writer)
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn forget_before(&self, instant: Timestamp, limit: u32) -> Result<u64, StoreError> {
        // Neither database limits a deletion by itself.
        let oldest = Query::select()
            .column(Column::Key)
            .from(Entity)
            .and_where(Expr::col(Column::ReceivedAt).lt(instant.unix_micros()))
            .limit(u64::from(limit))
            .take();
        let deleted = Entity::delete_many()
            .filter(Column::Key.in_subquery(oldest))
            .exec(&self.writer)
            .await
            .map_err(store_error)?;
        Ok(deleted.rows_affected)
    }
}

/// Keeps an answer unless there is one for its key.
pub(crate) async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<(), StoreError> {
    let inserted = Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::column(Column::Key).do_nothing().to_owned())
        .exec_without_returning(connection)
        .await
        .map_err(store_error)?;
    if inserted == 1 { Ok(()) } else { Err(StoreError::AlreadyAnswered) }
}
