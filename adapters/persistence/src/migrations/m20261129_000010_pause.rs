//! `pause_record`: whether deletions are paused. `pause_changes`: every pause and its end. And triggers, for as long as older
//! versions of this program still run beside this one: while deletions are paused, what starts a deletion, claims a task or
//! completes a process matches no row, without an error.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261129_000010_pause"
    }
}

const PAUSED: &str = "EXISTS (SELECT 1 FROM pause_record WHERE is_paused = 1)";

/// Each with its event, its table, and which rows are left as they are while deletions are paused.
const IGNORED: [(&str, &str, &str, &str); 2] = [
    (
        "steps_while_paused",
        "UPDATE OF status",
        "deletion_processes",
        "NEW.status IN ('Deleting', 'Deleted') AND NEW.status <> OLD.status",
    ),
    // What an acknowledgement makes due is earlier than a lease.
    (
        "claims_while_paused",
        "UPDATE OF fence",
        "erasure_tasks",
        "NEW.fence > OLD.fence AND NEW.due_at > OLD.due_at",
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
        for mut table in [pause_record(), pause_changes()] {
            if is_sqlite {
                table.extra("STRICT");
            }
            manager.create_table(table).await?;
        }
        for (name, event, table, condition) in IGNORED {
            let sql = if is_sqlite {
                format!(
                    "CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {condition} AND {PAUSED} \
                     BEGIN SELECT RAISE(IGNORE); END"
                )
            } else {
                // The condition of a trigger itself is cheaper, but cannot look into other tables.
                format!(
                    "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                     IF {PAUSED} THEN RETURN NULL; END IF; RETURN NEW; END $$; \
                     CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({condition}) \
                     EXECUTE FUNCTION {name}()"
                )
            };
            manager.get_connection().execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        for (name, _, table, _) in IGNORED {
            let sql = if is_sqlite {
                format!("DROP TRIGGER {name}")
            } else {
                format!("DROP TRIGGER {name} ON {table}; DROP FUNCTION {name}()")
            };
            manager.get_connection().execute_unprepared(&sql).await?;
        }
        for table in ["pause_changes", "pause_record"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// One row, or none for as long as nothing was ever paused. Instants are microseconds of Unix time.
fn pause_record() -> TableCreateStatement {
    let number = |name: &'static str| ColumnDef::new(name).big_integer().not_null().take();
    Table::create()
        .table("pause_record")
        .col(number("id").primary_key().check(Expr::col("id").eq(1)))
        .col(number("is_paused"))
        .col(number("changed_at"))
        .col(ColumnDef::new("reason").text())
        .col(number("changes"))
        .col(ColumnDef::new("head").blob().not_null())
        .col(ColumnDef::new("seal").blob().not_null())
        .to_owned()
}

fn pause_changes() -> TableCreateStatement {
    let number = |name: &'static str| ColumnDef::new(name).big_integer().not_null().take();
    Table::create()
        .table("pause_changes")
        .col(number("sequence").primary_key())
        .col(number("changed_at"))
        .col(number("is_paused"))
        .col(ColumnDef::new("reason").text())
        .to_owned()
}
