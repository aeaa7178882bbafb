//! One row an audit entry. It outlives its process, so nothing ties it to the process's row.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entries")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) process_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) sequence: i64,
    pub(crate) created_at: i64,
    pub(crate) old_status: Option<String>,
    pub(crate) new_status: String,
    pub(crate) message_key: String,
    pub(crate) additional_data: String,
    pub(crate) identity_hash: Vec<u8>,
    pub(crate) device_hash: Option<Vec<u8>>,
    pub(crate) hash: Vec<u8>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
