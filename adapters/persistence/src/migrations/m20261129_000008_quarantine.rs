//! `quarantined_processes`, what was found not to verify; and triggers, for as long as older versions of this program still
//! run beside this one. Those do not verify before they act: what leads to a deletion, and what forgets, is ignored unless
//! the statement is one of a version that does. It matches no row then, without an error.
//!
//! No table that older versions read gets a column. They ask for every column of some tables, with statements that stay
//! prepared: on SQLite their driver panics in the middle of a transaction, which then locks everybody out, and PostgreSQL
//! refuses the statement until the connection is closed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261129_000008_quarantine"
    }
}

/// Each with its event, its table, and when a row is left as it is.
const IGNORED: [(&str, &str, &str, &str); 6] = [
    // An older version sets these columns whatever the step is.
    (
        "unverified_steps",
        "UPDATE OF reminder1_sent_at",
        "deletion_processes",
        "NEW.status IN ('Deleting', 'Deleted') AND NEW.status <> OLD.status",
    ),
    // This version raises fences by two. Acknowledgements of erasers that were asked before, and what such an acknowledgement
    // wakes, are stored.
    (
        "unverified_claims",
        "UPDATE OF fence",
        "erasure_tasks",
        "NEW.fence = OLD.fence + 1 AND NEW.due_at > OLD.due_at",
    ),
    (
        "unverified_forgetting",
        "DELETE",
        "deletion_processes",
        "OLD.status = 'Cancelled' AND NOT EXISTS (SELECT 1 FROM processes_being_forgotten WHERE process_id = OLD.id)",
    ),
    (
        "unverified_closing",
        "INSERT",
        "closed_processes",
        "NEW.status = 'Cancelled' AND NEW.identity_deleted_at IS NULL \
         AND EXISTS (SELECT 1 FROM deletion_processes WHERE id = NEW.process_id) \
         AND NOT EXISTS (SELECT 1 FROM processes_being_forgotten WHERE process_id = NEW.process_id)",
    ),
    (
        "unverified_forgetting_of_entries",
        "DELETE",
        "audit_entries",
        "EXISTS (SELECT 1 FROM closed_processes WHERE process_id = OLD.process_id) \
         AND NOT EXISTS (SELECT 1 FROM processes_being_forgotten WHERE process_id = OLD.process_id)",
    ),
    (
        "unverified_forgetting_of_closed",
        "DELETE",
        "closed_processes",
        "NOT EXISTS (SELECT 1 FROM processes_being_forgotten WHERE process_id = OLD.process_id)",
    ),
];

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves them out, which async_trait makes part of the signature"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        let connection = manager.get_connection();
        for mut table in [quarantined_processes(), processes_being_forgotten()] {
            if is_sqlite {
                table.extra("STRICT");
            }
            manager.create_table(table).await?;
        }
        for (name, event, table, condition) in IGNORED {
            let sql = if is_sqlite {
                format!(
                    "CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {condition} \
                     BEGIN SELECT RAISE(IGNORE); END"
                )
            } else {
                let row = if event == "DELETE" { "OLD" } else { "NEW" };
                // A condition of the trigger itself is cheaper, but cannot look into other tables.
                let (when, body) = if condition.contains("SELECT") {
                    (String::new(), format!("IF {condition} THEN RETURN NULL; END IF; RETURN {row};"))
                } else {
                    (format!("WHEN ({condition})"), "RETURN NULL;".to_owned())
                };
                format!(
                    "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$; \
                     CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {when} EXECUTE FUNCTION {name}()"
                )
            };
            connection.execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let is_sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        for (name, _, table, _) in IGNORED {
            let sql = if is_sqlite {
                format!("DROP TRIGGER {name}")
            } else {
                format!("DROP TRIGGER {name} ON {table}; DROP FUNCTION {name}()")
            };
            connection.execute_unprepared(&sql).await?;
        }
        for table in ["quarantined_processes", "processes_being_forgotten"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn quarantined_processes() -> TableCreateStatement {
    Table::create()
        .table("quarantined_processes")
        .col(ColumnDef::new("process_id").text().not_null().primary_key())
        // The place in its chain, and `FaultKind::reason`.
        .col(ColumnDef::new("sequence").big_integer().not_null())
        .col(ColumnDef::new("reason").text().not_null())
        // Microseconds of Unix time.
        .col(ColumnDef::new("found_at").big_integer().not_null())
        .to_owned()
}

/// What this version has verified and forgets in this transaction, after which nothing is left here.
fn processes_being_forgotten() -> TableCreateStatement {
    Table::create()
        .table("processes_being_forgotten")
        .col(ColumnDef::new("process_id").text().not_null().primary_key())
        .to_owned()
}
