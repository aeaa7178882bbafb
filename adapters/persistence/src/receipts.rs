//! The port `Receipts`.

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::Receipts;
use reprieve_domain::DeletionProcessId;
use sea_orm::ConnectionTrait;

use crate::Store;
use crate::error::store_error;
use crate::mapping::Row;

#[async_trait]
impl Receipts for Store {
    async fn find(&self, process: &DeletionProcessId) -> Result<Option<String>, StoreError> {
        let sql = "SELECT receipt FROM closed_processes WHERE process_id = $1".to_owned();
        let statement = self.statement(sql, vec![process.as_str().into()]);
        let row = self.reader.query_one_raw(statement).await.map_err(store_error)?;
        row.map_or(Ok(None), |row| Row::named(&row, "closed_processes", process.as_str()).get("receipt"))
    }
}
