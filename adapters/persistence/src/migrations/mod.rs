//! The tables, one file a change. A file is never edited once it was released.

use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait};

mod m20261124_000001_create_tables;
mod m20261124_000002_serve;
mod m20261124_000003_keep_the_promise;
mod m20261128_000004_tell_the_world;
mod m20261128_000005_order_of_events;
mod m20261129_000006_erasure_tasks_and_waivers;
mod m20261129_000007_clocks;
mod m20261129_000008_quarantine;
mod m20261129_000009_journal;
mod m20261129_000010_pause;
mod m20261129_000011_limit;
mod m20261129_000012_holds;

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261124_000001_create_tables::Migration),
            Box::new(m20261124_000002_serve::Migration),
            Box::new(m20261124_000003_keep_the_promise::Migration),
            Box::new(m20261128_000004_tell_the_world::Migration),
            Box::new(m20261128_000005_order_of_events::Migration),
            Box::new(m20261129_000006_erasure_tasks_and_waivers::Migration),
            Box::new(m20261129_000007_clocks::Migration),
            Box::new(m20261129_000008_quarantine::Migration),
            Box::new(m20261129_000009_journal::Migration),
            Box::new(m20261129_000010_pause::Migration),
            Box::new(m20261129_000011_limit::Migration),
            Box::new(m20261129_000012_holds::Migration),
        ]
    }
}

#[cfg(test)]
mod tests {
    use reprieve_tests::TestDatabase;
    use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, QueryResult, Statement};
    use sea_orm_migration::MigratorTrait;

    use super::Migrator;
    use crate::{ConnectionOptions, Database};

    /// Every table with its columns, and every index.
    async fn schema(connection: &DatabaseConnection) -> Vec<String> {
        let backend = connection.get_database_backend();
        let sql = if backend == DbBackend::Sqlite {
            "SELECT coalesce(sql, name) FROM sqlite_master WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        } else {
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
             UNION ALL
             SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable)
             FROM information_schema.columns WHERE table_schema = 'public'"
        };
        let rows = connection.query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
        // SQLite keeps the words as they were written.
        let words = |row: &QueryResult| {
            row.try_get_by_index::<String>(0).unwrap().replace('"', "").replace('\n', " ")
        };
        let mut schema: Vec<_> = rows.iter().map(words).collect();
        schema.sort();
        schema
    }

    async fn goes_up_and_down(database: TestDatabase) {
        let options = ConnectionOptions::default();
        let connection =
            Database::connect(&database.url().parse().unwrap(), &options).await.unwrap().writer.unwatched();
        Migrator::install(&connection).await.unwrap();
        let mut before = vec![schema(&connection).await];
        for _ in Migrator::migrations() {
            Migrator::up(&connection, Some(1)).await.unwrap();
            before.push(schema(&connection).await);
        }
        let complete = before.pop().unwrap();
        for expected in before.iter().rev() {
            Migrator::down(&connection, Some(1)).await.unwrap();
            assert_eq!(schema(&connection).await, *expected);
        }
        Migrator::up(&connection, None).await.unwrap();
        assert_eq!(schema(&connection).await, complete);
    }

    #[tokio::test]
    async fn every_migration_is_undone_by_its_way_down_on_sqlite() {
        goes_up_and_down(TestDatabase::sqlite()).await;
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: tests/run"]
    async fn every_migration_is_undone_by_its_way_down_on_postgres() {
        goes_up_and_down(TestDatabase::postgres().await).await;
    }
}
