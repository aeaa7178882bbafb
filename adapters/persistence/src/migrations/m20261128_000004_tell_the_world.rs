//! What is told of events: to whom, how far each has got, and what was set aside.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261128_000004_tell_the_world"
    }
}

/// The columns that the outbox gets.
const OUTBOX: [(&str, &str); 5] = [
    ("event_id", "text"),
    ("process", "text"),
    ("trace_parent", "text"),
    ("trace_state", "text"),
    ("sequence", "bigint"),
];

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves them out, which async_trait makes part of the signature"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let is_sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        for (column, of_type) in OUTBOX {
            // A STRICT table knows fewer names.
            let of_type = if is_sqlite && of_type == "bigint" { "INTEGER" } else { of_type };
            let add = format!("ALTER TABLE outbox ADD COLUMN {column} {of_type}");
            connection.execute_unprepared(&add).await?;
        }
        // Events from before have no other name.
        connection.execute_unprepared("UPDATE outbox SET event_id = process_id || 'r' || revision").await?;
        for mut table in [event_sequence(), event_sinks(), event_retries()] {
            if is_sqlite {
                table.extra("STRICT");
            }
            manager.create_table(table).await?;
        }
        connection.execute_unprepared("INSERT INTO event_sequence (id, last) VALUES (1, 0)").await?;
        for index in INDEXES {
            connection.execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        for index in ["events_by_sequence", "events_without_sequence"] {
            connection.execute_unprepared(&format!("DROP INDEX {index}")).await?;
        }
        for table in ["event_retries", "event_sinks", "event_sequence"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for (column, _) in OUTBOX.iter().rev() {
            connection.execute_unprepared(&format!("ALTER TABLE outbox DROP COLUMN {column}")).await?;
        }
        Ok(())
    }
}

const INDEXES: [&str; 5] = [
    "CREATE UNIQUE INDEX events_by_sequence ON outbox (sequence) WHERE sequence IS NOT NULL",
    "CREATE INDEX events_without_sequence ON outbox (position) WHERE sequence IS NULL",
    "CREATE INDEX event_retries_of_identity ON event_retries (sink, address, sequence) WHERE parked_at IS NULL",
    "CREATE INDEX due_event_retries ON event_retries (sink, due_at, sequence) WHERE parked_at IS NULL",
    "CREATE INDEX event_retries_by_sequence ON event_retries (sequence)",
];

fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().take()
}

/// A whole number: a count, a place, or an instant in microseconds of Unix time.
fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().take()
}

/// The last place that an event was given.
fn event_sequence() -> TableCreateStatement {
    Table::create()
        .table("event_sequence")
        .col(ColumnDef::new("id").integer().not_null().primary_key().check(Expr::cust("id = 1")))
        .col(number("last").not_null())
        .to_owned()
}

fn event_sinks() -> TableCreateStatement {
    Table::create()
        .table("event_sinks")
        .col(text("name").not_null().primary_key())
        .col(number("settled_to").not_null())
        .col(number("fence").not_null())
        .col(number("lease_ends_at").not_null())
        .col(number("due_at").not_null())
        .col(number("failures").not_null())
        .col(number("failing_since"))
        .col(number("seen_at").not_null())
        .to_owned()
}

fn event_retries() -> TableCreateStatement {
    Table::create()
        .table("event_retries")
        .col(text("sink").not_null())
        .col(number("sequence").not_null())
        .col(text("address").not_null())
        .col(number("attempts").not_null())
        .col(number("failing_since"))
        .col(number("due_at").not_null())
        .col(number("parked_at"))
        .col(text("failure"))
        .primary_key(Index::create().col("sink").col("sequence"))
        .to_owned()
}
