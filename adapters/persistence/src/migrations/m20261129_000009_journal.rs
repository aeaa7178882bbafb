//! `unjournaled_steps`: what the journal has not got yet, written by a trigger, so that the steps of older versions are in it as
//! well. `forgotten_processes`: what was forgotten, and the journal does not know yet. `older_processes`: what the database was
//! found to lack. `journal_adoptions`: that operators have replaced the journal.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261129_000009_journal"
    }
}

/// Each with its name and its event.
const TRIGGERS: [(&str, &str); 2] =
    [("first_step_to_journal", "INSERT"), ("step_to_journal", "UPDATE OF revision")];

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves them out, which async_trait makes part of the signature"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        let connection = manager.get_connection();
        for mut table in
            [steps(), processes("forgotten_processes"), processes("older_processes"), adoptions()]
        {
            if is_sqlite {
                table.extra("STRICT");
            }
            manager.create_table(table).await?;
        }
        let all = "INSERT INTO unjournaled_steps (process_id, revision) SELECT id, revision FROM deletion_processes";
        connection.execute_unprepared(all).await?;
        if !is_sqlite {
            let function = "CREATE OR REPLACE FUNCTION step_to_journal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                            INSERT INTO unjournaled_steps (process_id, revision) VALUES (NEW.id, NEW.revision) \
                            ON CONFLICT DO NOTHING; RETURN NULL; END $$";
            connection.execute_unprepared(function).await?;
        }
        for (name, event) in TRIGGERS {
            let body = if is_sqlite {
                "BEGIN INSERT OR IGNORE INTO unjournaled_steps (process_id, revision) \
                 VALUES (NEW.id, NEW.revision); END"
            } else {
                "FOR EACH ROW EXECUTE FUNCTION step_to_journal()"
            };
            let sql = format!("CREATE TRIGGER {name} AFTER {event} ON deletion_processes {body}");
            connection.execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let is_sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        for (name, _) in TRIGGERS {
            let of = if is_sqlite { "" } else { " ON deletion_processes" };
            connection.execute_unprepared(&format!("DROP TRIGGER {name}{of}")).await?;
        }
        if !is_sqlite {
            connection.execute_unprepared("DROP FUNCTION step_to_journal()").await?;
        }
        for table in ["journal_adoptions", "older_processes", "forgotten_processes", "unjournaled_steps"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// A row for each step, so that noting one never loses another that is taken meanwhile.
fn steps() -> TableCreateStatement {
    Table::create()
        .table("unjournaled_steps")
        .col(ColumnDef::new("process_id").text().not_null())
        .col(ColumnDef::new("revision").big_integer().not_null())
        .primary_key(Index::create().col("process_id").col("revision"))
        .to_owned()
}

fn processes(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).col(ColumnDef::new("process_id").text().not_null().primary_key()).to_owned()
}

/// A chain: each hash is over all the others of the row and the hash of the row before.
fn adoptions() -> TableCreateStatement {
    Table::create()
        .table("journal_adoptions")
        .col(ColumnDef::new("sequence").big_integer().not_null().primary_key())
        .col(ColumnDef::new("known").text())
        .col(ColumnDef::new("adopted").text().not_null())
        .col(ColumnDef::new("adopted_at").big_integer().not_null())
        .col(ColumnDef::new("hash").blob().not_null())
        .to_owned()
}
