//! One row an event that other services are to be told. Process and revision name it uniquely, across retries too.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) position: i64,
    pub(crate) process_id: String,
    pub(crate) revision: i64,
    pub(crate) address: String,
    pub(crate) event_type: String,
    pub(crate) occurred_at: i64,
    pub(crate) data: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
