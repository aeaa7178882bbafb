//! Of `erasure_tasks`: until when a worker has one, so that it can be told from one that waits.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261129_000006_erasure_tasks"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves them out, which async_trait makes part of the signature"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // A STRICT table knows fewer names. An older version that still runs leaves the column alone.
        let number = if manager.get_database_backend() == DbBackend::Sqlite { "INTEGER" } else { "bigint" };
        let add = format!("ALTER TABLE erasure_tasks ADD COLUMN lease_ends_at {number}");
        manager.get_connection().execute_unprepared(&add).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = "ALTER TABLE erasure_tasks DROP COLUMN lease_ends_at";
        manager.get_connection().execute_unprepared(drop).await?;
        Ok(())
    }
}
