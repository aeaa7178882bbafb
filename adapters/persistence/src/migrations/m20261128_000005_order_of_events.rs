//! The order of an identity's events no longer comes from the outbox's positions, which a server may hand out in any order:
//! `deletion_processes`, `closed_processes` and `outbox` get a logical time, and an identity's processes a number.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261128_000005_order_of_events"
    }
}

const COLUMNS: [(&str, &str); 4] = [
    ("outbox", "logical_time"),
    ("deletion_processes", "logical_time"),
    ("deletion_processes", "number"),
    ("closed_processes", "logical_time"),
];

/// Events without a place keep the order that they had: a position is less than any instant.
const EXISTING_EVENTS: &str = "UPDATE outbox SET logical_time = position WHERE sequence IS NULL";

const EXISTING_PROCESSES: &str = "\
UPDATE deletion_processes SET number = numbered.number FROM (
    SELECT id, row_number() OVER (PARTITION BY address ORDER BY created_at, id) AS number FROM deletion_processes
) AS numbered WHERE deletion_processes.id = numbered.id";

/// An older version of the program that still runs writes events without a logical time, and processes without a number.
const UP: [&str; 4] = [
    "DROP INDEX events_without_sequence",
    "CREATE INDEX events_without_sequence ON outbox ((coalesce(logical_time, occurred_at)), position) \
     WHERE sequence IS NULL",
    "DROP INDEX processes_of_identity",
    "CREATE UNIQUE INDEX processes_of_identity ON deletion_processes (address, number)",
];

const DOWN: [&str; 4] = [
    "DROP INDEX events_without_sequence",
    "CREATE INDEX events_without_sequence ON outbox (position) WHERE sequence IS NULL",
    "DROP INDEX processes_of_identity",
    "CREATE INDEX processes_of_identity ON deletion_processes (address, created_at, id)",
];

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves them out, which async_trait makes part of the signature"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        // A STRICT table knows fewer names.
        let number = if manager.get_database_backend() == DbBackend::Sqlite { "INTEGER" } else { "bigint" };
        for (table, column) in COLUMNS {
            let add = format!("ALTER TABLE {table} ADD COLUMN {column} {number}");
            connection.execute_unprepared(&add).await?;
        }
        for statement in [EXISTING_EVENTS, EXISTING_PROCESSES].into_iter().chain(UP) {
            connection.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        for statement in DOWN {
            connection.execute_unprepared(statement).await?;
        }
        for (table, column) in COLUMNS.iter().rev() {
            connection.execute_unprepared(&format!("ALTER TABLE {table} DROP COLUMN {column}")).await?;
        }
        Ok(())
    }
}
