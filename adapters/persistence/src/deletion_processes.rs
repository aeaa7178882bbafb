//! The port `DeletionProcesses`: queries.

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{DeletionProcesses, RipeProcess};
use reprieve_domain::{Address, DeletionProcess, DeletionProcessId, Timestamp};
use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use crate::Store;
use crate::entities::deletion_process::{Column, Entity};
use crate::error::store_error;
use crate::mapping::{Row, process_from_row};

/// The condition of the index `active_processes_by_deadline`, word for word.
const ACTIVE: &str = "status NOT IN ('Cancelled', 'Deleting', 'Deleted')";

#[async_trait]
impl DeletionProcesses for Store {
    async fn find(
        &self,
        owner: &Address,
        id: &DeletionProcessId,
    ) -> Result<Option<DeletionProcess>, StoreError> {
        let statement = Entity::find()
            .filter(Column::Id.eq(id.as_str()))
            .filter(Column::Address.eq(owner.as_str()))
            .into_query();
        let row = self.reader.query_one(&statement).await.map_err(store_error)?;
        row.as_ref().map(|row| Ok(process_from_row(row)?.0)).transpose()
    }

    async fn list(&self, owner: &Address) -> Result<Vec<DeletionProcess>, StoreError> {
        let rows = self.reader.query_all(&of_identity(owner)).await.map_err(store_error)?;
        rows.iter().map(|row| Ok(process_from_row(row)?.0)).collect()
    }

    async fn ripe(&self, now: Timestamp, limit: u32) -> Result<Vec<RipeProcess>, StoreError> {
        let rows = self.reader.query_all(&ripe_at(now, limit)).await.map_err(store_error)?;
        rows.iter()
            .map(|row| {
                let row = Row::new(row, "deletion_processes", "id")?;
                Ok(RipeProcess { address: row.parse("address")?, process_id: row.parse("id")? })
            })
            .collect()
    }
}

pub(crate) fn of_identity(owner: &Address) -> SelectStatement {
    Entity::find()
        .filter(Column::Address.eq(owner.as_str()))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .into_query()
}

pub(crate) fn ripe_at(now: Timestamp, limit: u32) -> SelectStatement {
    Entity::find()
        .select_only()
        .columns([Column::Id, Column::Address])
        .filter(Expr::cust(ACTIVE))
        .filter(Column::GracePeriodEndsAt.lte(now.unix_micros()))
        .order_by_asc(Column::GracePeriodEndsAt)
        .order_by_asc(Column::Id)
        .limit(u64::from(limit))
        .into_query()
}
