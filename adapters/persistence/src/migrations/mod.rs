//! The tables, one file a change. A file is never edited once it was released.

use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait};

mod m20261124_000001_create_tables;
mod m20261124_000002_serve;
mod m20261124_000003_keep_the_promise;

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261124_000001_create_tables::Migration),
            Box::new(m20261124_000002_serve::Migration),
            Box::new(m20261124_000003_keep_the_promise::Migration),
        ]
    }
}
