//! One row a deletion process, open or closed.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deletion_processes")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) status: String,
    pub(crate) created_at: i64,
    pub(crate) created_by_device: String,
    pub(crate) grace_period_ends_at: i64,
    pub(crate) reminder1_sent_at: Option<i64>,
    pub(crate) reminder2_sent_at: Option<i64>,
    pub(crate) reminder3_sent_at: Option<i64>,
    pub(crate) cancelled_at: Option<i64>,
    pub(crate) cancelled_by_device: Option<String>,
    pub(crate) deletion_started_at: Option<i64>,
    pub(crate) deletion_completed_at: Option<i64>,
    /// A JSON array, see `mapping`.
    pub(crate) erasures: Option<String>,
    /// How many audit entries the process has, which is also its version.
    pub(crate) revision: i64,
    /// The hash of the newest audit entry.
    pub(crate) audit_head: Vec<u8>,
    /// The seal over the two columns before.
    pub(crate) audit_seal: Vec<u8>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
