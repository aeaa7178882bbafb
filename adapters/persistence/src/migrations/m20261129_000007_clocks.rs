//! `deciding_clock`: the clock that decides, on PostgreSQL. `clock_record`: the newest instant that has certainly passed.
//! `clock_confirmations`: what operators said the present was.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261129_000007_clocks"
    }
}

/// In microseconds of Unix time. The planner puts its body where it is called, so that it costs no call.
const DECIDING_CLOCK: &str = "CREATE OR REPLACE FUNCTION deciding_clock() RETURNS bigint LANGUAGE sql VOLATILE \
                              AS 'SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)'";

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves them out, which async_trait makes part of the signature"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        if !is_sqlite {
            manager.get_connection().execute_unprepared(DECIDING_CLOCK).await?;
        }
        for mut table in [clock_record(), clock_confirmations()] {
            if is_sqlite {
                table.extra("STRICT");
            }
            manager.create_table(table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("clock_confirmations").to_owned()).await?;
        manager.drop_table(Table::drop().table("clock_record").to_owned()).await?;
        if manager.get_database_backend() != DbBackend::Sqlite {
            manager.get_connection().execute_unprepared("DROP FUNCTION deciding_clock()").await?;
        }
        Ok(())
    }
}

/// One row. Instants are microseconds of Unix time.
fn clock_record() -> TableCreateStatement {
    let number = |name: &'static str| ColumnDef::new(name).big_integer().take();
    Table::create()
        .table("clock_record")
        .col(number("id").not_null().primary_key().check(Expr::col("id").eq(1)))
        .col(number("noted").not_null())
        .col(number("doubted_since"))
        .col(number("doubted_until"))
        .col(number("confirmations").not_null())
        .col(ColumnDef::new("confirmed").blob().not_null())
        .col(ColumnDef::new("seal").blob().not_null())
        .to_owned()
}

fn clock_confirmations() -> TableCreateStatement {
    let number = |name: &'static str| ColumnDef::new(name).big_integer().take();
    Table::create()
        .table("clock_confirmations")
        .col(number("sequence").not_null().primary_key())
        .col(number("clock").not_null())
        .col(number("noted_before"))
        .col(number("noted").not_null())
        .to_owned()
}
