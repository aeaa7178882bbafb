//! `holds`: what suspends the deletion of identities. `suspensions`: until when a process is suspended by them, which may be
//! over; nothing of a process that never was. No column of the processes, because older versions read all that there are.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261129_000012_holds"
    }
}

/// Whatever removes a process, older versions included, removes its suspension.
const SUSPENSION_GOES: [&str; 2] = [
    "CREATE TRIGGER suspension_goes AFTER DELETE ON deletion_processes \
     BEGIN DELETE FROM suspensions WHERE process_id = OLD.id; END",
    "CREATE OR REPLACE FUNCTION suspension_goes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     DELETE FROM suspensions WHERE process_id = OLD.id; RETURN NULL; END $$; \
     CREATE TRIGGER suspension_goes AFTER DELETE ON deletion_processes FOR EACH ROW \
     EXECUTE FUNCTION suspension_goes()",
];

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves them out, which async_trait makes part of the signature"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        for mut table in [holds(), suspensions()] {
            if is_sqlite {
                table.extra("STRICT");
            }
            manager.create_table(table).await?;
        }
        let [sqlite, postgres] = SUSPENSION_GOES;
        let trigger = if is_sqlite { sqlite } else { postgres };
        for sql in [
            trigger,
            "CREATE INDEX suspensions_by_end ON suspensions (suspended_until, process_id) WHERE is_active = 1",
            "CREATE INDEX holds_to_journal ON holds (address) WHERE is_journaled = 0",
        ] {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop_trigger = if manager.get_database_backend() == DbBackend::Sqlite {
            "DROP TRIGGER suspension_goes"
        } else {
            "DROP TRIGGER suspension_goes ON deletion_processes; DROP FUNCTION suspension_goes()"
        };
        manager.get_connection().execute_unprepared(drop_trigger).await?;
        for table in ["suspensions", "holds"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// Instants are microseconds of Unix time.
fn holds() -> TableCreateStatement {
    let number = |name: &'static str| ColumnDef::new(name).big_integer().not_null().take();
    let text = |name: &'static str| ColumnDef::new(name).text().not_null().take();
    Table::create()
        .table("holds")
        .col(text("address"))
        .col(text("code"))
        .col(number("revision"))
        .col(number("placed_at"))
        .col(number("ends_at"))
        .col(number("is_silent"))
        .col(ColumnDef::new("note").text())
        .col(ColumnDef::new("seal").blob().not_null())
        .col(number("is_journaled").default(0))
        .primary_key(Index::create().col("address").col("code"))
        .to_owned()
}

fn suspensions() -> TableCreateStatement {
    Table::create()
        .table("suspensions")
        .col(ColumnDef::new("process_id").text().not_null().primary_key())
        .col(ColumnDef::new("suspended_until").big_integer())
        .col(ColumnDef::new("shown_until").big_integer())
        .col(ColumnDef::new("is_active").big_integer().not_null())
        .to_owned()
}
