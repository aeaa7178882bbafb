//! What happens when nobody cancels: the tasks of deletions, what is kept of processes that are gone, and an index that
//! finds who is to be reminded.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261124_000003_keep_the_promise"
    }
}

/// Takes the place of `active_processes_by_deadline`: the same, one part for each reminder that was sent last. What is due
/// is a range in each, so that neither the deletions nor the reminders that are due have to be looked for among those that
/// are not. One index and not two, because every step writes it.
const BY_REMINDER_AND_DEADLINE: &str = "\
CREATE INDEX active_processes_by_reminder_and_deadline ON deletion_processes (
    (CASE WHEN reminder3_sent_at IS NOT NULL THEN 3 WHEN reminder2_sent_at IS NOT NULL THEN 2
        WHEN reminder1_sent_at IS NOT NULL THEN 1 ELSE 0 END),
    grace_period_ends_at, id
) WHERE status NOT IN ('Cancelled', 'Deleting', 'Deleted')";

const BY_DEADLINE: &str = "\
CREATE INDEX active_processes_by_deadline ON deletion_processes (grace_period_ends_at, id)
WHERE status NOT IN ('Cancelled', 'Deleting', 'Deleted')";

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves them out, which async_trait makes part of the signature"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let strict = manager.get_database_backend() == DbBackend::Sqlite;
        for mut table in [erasure_tasks(), closed_processes()] {
            if strict {
                table.extra("STRICT");
            }
            manager.create_table(table).await?;
        }
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
        let connection = manager.get_connection();
        connection.execute_unprepared("DROP INDEX active_processes_by_deadline").await?;
        connection.execute_unprepared(BY_REMINDER_AND_DEADLINE).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        connection.execute_unprepared("DROP INDEX active_processes_by_reminder_and_deadline").await?;
        connection.execute_unprepared(BY_DEADLINE).await?;
        connection.execute_unprepared("DROP INDEX answered_requests_of_identity").await?;
        for table in ["closed_processes", "erasure_tasks"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// Name, table, columns and condition.
const INDEXES: [(&str, &str, &[&str], Option<&str>); 5] = [
    // Whoever removes what is stored of an identity would read all of them.
    ("answered_requests_of_identity", "answered_requests", &["address"], None),
    ("due_erasure_tasks", "erasure_tasks", &["due_at", "process_id", "eraser"], Some("stuck_at IS NULL")),
    ("stuck_erasure_tasks", "erasure_tasks", &["process_id"], Some("stuck_at IS NOT NULL")),
    ("closed_processes_of_identity", "closed_processes", &["identity_hash"], None),
    ("closed_processes_by_age", "closed_processes", &["identity_deleted_at"], None),
];

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

fn erasure_tasks() -> TableCreateStatement {
    Table::create()
        .table("erasure_tasks")
        .col(text("process_id").not_null())
        .col(text("eraser").not_null())
        .col(text("address").not_null())
        .col(number("due_at").not_null())
        .col(number("fence").not_null())
        .col(number("failures").not_null())
        .col(number("unfinished_since"))
        .col(number("stuck_at"))
        .col(text("poll"))
        .col(number("in_ledger").not_null())
        .primary_key(Index::create().col("process_id").col("eraser"))
        .to_owned()
}

fn closed_processes() -> TableCreateStatement {
    Table::create()
        .table("closed_processes")
        .col(text("process_id").not_null().primary_key())
        .col(bytes("identity_hash").not_null())
        .col(text("status").not_null())
        .col(number("revision").not_null())
        .col(bytes("audit_head").not_null())
        .col(bytes("audit_seal").not_null())
        .col(number("identity_deleted_at"))
        .col(text("receipt"))
        .to_owned()
}
