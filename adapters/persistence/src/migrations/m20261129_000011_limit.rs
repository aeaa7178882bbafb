//! An index of the audit entries that say when deletions started, so that those of the last hour can be counted.

use sea_orm_migration::prelude::*;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261129_000011_limit"
    }
}

const STARTS_BY_INSTANT: &str = "CREATE INDEX deletion_starts_by_instant ON audit_entries (created_at) WHERE message_key = 'DeletionStarted'";

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves them out, which async_trait makes part of the signature"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(STARTS_BY_INSTANT).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX deletion_starts_by_instant").await.map(drop)
    }
}
