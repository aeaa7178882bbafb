//! Of `erasure_tasks`: until when a worker has one, which sets it apart from one that waits. And `erasure_waivers`: what
//! an operator wrote of an erasure that the deletion does not wait for any more, until the identity is gone.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261129_000006_erasure_tasks_and_waivers"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves them out, which async_trait makes part of the signature"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        // A STRICT table knows fewer names. An older version that still runs leaves the column alone.
        let number = if is_sqlite { "INTEGER" } else { "bigint" };
        let add = format!("ALTER TABLE erasure_tasks ADD COLUMN lease_ends_at {number}");
        manager.get_connection().execute_unprepared(&add).await?;
        let mut table = erasure_waivers();
        if is_sqlite {
            table.extra("STRICT");
        }
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("erasure_waivers").to_owned()).await?;
        let drop = "ALTER TABLE erasure_tasks DROP COLUMN lease_ends_at";
        manager.get_connection().execute_unprepared(drop).await?;
        Ok(())
    }
}

fn erasure_waivers() -> TableCreateStatement {
    let text = |name: &'static str| ColumnDef::new(name).text().take();
    Table::create()
        .table("erasure_waivers")
        .col(text("process_id").not_null())
        .col(text("eraser").not_null())
        .col(text("address").not_null())
        // Microseconds of Unix time.
        .col(ColumnDef::new("waived_at").big_integer().not_null())
        .col(text("code").not_null())
        .col(text("note"))
        .primary_key(Index::create().col("process_id").col("eraser"))
        .to_owned()
}
