//! Deletion processes, audit entries, outbox, own identity and deployment.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261124_000001_create_tables"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves them out, which async_trait makes part of the signature"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let strict = manager.get_database_backend() == DbBackend::Sqlite;
        for mut table in [deletion_processes(), audit_entries(), outbox(), own_identity(), deployment()] {
            if strict {
                // Otherwise SQLite stores whatever it is given, whatever the column says.
                table.extra("STRICT");
            }
            manager.create_table(table).await?;
        }
        // At most one open process per identity. "Not closed" rather than "Active or Deleting": a status that nobody
        // knows is found and reported, not overlooked.
        manager
            .create_index(
                Index::create()
                    .name("one_open_process_per_identity")
                    .table("deletion_processes")
                    .col("address")
                    .unique()
                    .and_where(Expr::cust("status NOT IN ('Cancelled', 'Deleted')"))
                    .to_owned(),
            )
            .await?;
        // What is due is a range of this index, whatever else there is.
        manager
            .create_index(
                Index::create()
                    .name("active_processes_by_deadline")
                    .table("deletion_processes")
                    .col("grace_period_ends_at")
                    .col("id")
                    .and_where(Expr::cust("status NOT IN ('Cancelled', 'Deleting', 'Deleted')"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("processes_of_identity")
                    .table("deletion_processes")
                    .col("address")
                    .col("created_at")
                    .col("id")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["deployment", "own_identity", "outbox", "audit_entries", "deletion_processes"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().take()
}

/// A whole number: a count, or an instant in microseconds of Unix time.
fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().take()
}

fn bytes(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().take()
}

fn deletion_processes() -> TableCreateStatement {
    Table::create()
        .table("deletion_processes")
        .col(text("id").not_null().primary_key())
        .col(text("address").not_null())
        .col(text("status").not_null())
        .col(number("created_at").not_null())
        .col(text("created_by_device").not_null())
        .col(number("grace_period_ends_at").not_null())
        .col(number("reminder1_sent_at"))
        .col(number("reminder2_sent_at"))
        .col(number("reminder3_sent_at"))
        .col(number("cancelled_at"))
        .col(text("cancelled_by_device"))
        .col(number("deletion_started_at"))
        .col(number("deletion_completed_at"))
        .col(text("erasures"))
        .col(number("revision").not_null())
        .col(bytes("audit_head").not_null())
        .col(bytes("audit_seal").not_null())
        .to_owned()
}

fn audit_entries() -> TableCreateStatement {
    Table::create()
        .table("audit_entries")
        .col(text("process_id").not_null())
        .col(number("sequence").not_null())
        .col(number("created_at").not_null())
        .col(text("old_status"))
        .col(text("new_status").not_null())
        .col(text("message_key").not_null())
        .col(text("additional_data").not_null())
        .col(bytes("identity_hash").not_null())
        .col(bytes("device_hash"))
        .col(bytes("hash").not_null())
        .primary_key(Index::create().col("process_id").col("sequence"))
        .to_owned()
}

fn outbox() -> TableCreateStatement {
    Table::create()
        .table("outbox")
        .col(number("position").not_null().auto_increment().primary_key())
        .col(text("process_id").not_null())
        .col(number("revision").not_null())
        .col(text("address").not_null())
        .col(text("event_type").not_null())
        .col(number("occurred_at").not_null())
        .col(text("data").not_null())
        .to_owned()
}

fn own_identity() -> TableCreateStatement {
    Table::create()
        .table("own_identity")
        .col(ColumnDef::new("id").integer().not_null().primary_key().check(Expr::cust("id = 1")))
        .col(text("address").not_null())
        .col(text("device").not_null())
        .col(bytes("secret_key").not_null())
        .col(bytes("public_key").not_null())
        .to_owned()
}

fn deployment() -> TableCreateStatement {
    Table::create()
        .table("deployment")
        .col(text("name").not_null().primary_key())
        .col(text("value").not_null())
        .to_owned()
}
