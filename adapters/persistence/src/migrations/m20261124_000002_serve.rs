//! What the service needs: answers that are kept for requests that come again, and indexes for what operators ask.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261124_000002_serve"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves them out, which async_trait makes part of the signature"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut answered_requests = Table::create()
            .table("answered_requests")
            .col(ColumnDef::new("key").blob().not_null().primary_key())
            .col(ColumnDef::new("fingerprint").blob().not_null())
            .col(ColumnDef::new("address").text().not_null())
            .col(ColumnDef::new("received_at").big_integer().not_null())
            .col(ColumnDef::new("status").big_integer().not_null())
            .col(ColumnDef::new("body").text().not_null())
            .to_owned();
        if manager.get_database_backend() == DbBackend::Sqlite {
            answered_requests.extra("STRICT");
        }
        manager.create_table(answered_requests).await?;
        for (name, table, columns, condition) in INDEXES {
            let mut index = Index::create();
            index.name(name).table(table);
            for column in columns {
                index.col(*column);
            }
            if let Some(condition) = condition {
                index.and_where(Expr::cust(condition));
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, ..) in INDEXES.iter().filter(|(_, table, ..)| *table != "answered_requests") {
            manager.drop_index(Index::drop().name(*name).table(*table).to_owned()).await?;
        }
        manager.drop_table(Table::drop().table("answered_requests").to_owned()).await
    }
}

/// Name, table, columns and condition. What need not be in an index is left out, because every step writes them: Active
/// processes have one by deadline already, and the first entry of a process leads to the others.
const INDEXES: [(&str, &str, &[&str], Option<&str>); 3] = [
    ("answered_requests_by_age", "answered_requests", &["received_at"], None),
    (
        "other_processes_by_status",
        "deletion_processes",
        &["status", "grace_period_ends_at", "id"],
        Some("status IN ('Cancelled', 'Deleting', 'Deleted')"),
    ),
    ("audit_trails_of_identity", "audit_entries", &["identity_hash", "process_id"], Some("sequence = 1")),
];
