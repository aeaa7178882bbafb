//! A connection of the test's own: looks at the tables and changes them behind the store's back.

use sea_orm::sqlx::error::ErrorKind;
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, RuntimeErr, Statement, TryGetable,
    Value,
};

const KEPT: [&str; 6] =
    ["deletion_processes", "closed_processes", "audit_entries", "erasure_tasks", "outbox", "own_identity"];

/// One connection, so that what one statement sets is still set in the next.
pub(crate) struct Sql(DatabaseConnection);

impl Sql {
    pub(crate) async fn connect(url: &str) -> Self {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let connection = sea_orm::Database::connect(options).await.unwrap();
        Self(connection)
    }

    pub(crate) async fn close(self) {
        self.0.close().await.unwrap();
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.0.get_database_backend() == DbBackend::Sqlite
    }

    /// Runs statements that may differ in their words.
    pub(crate) async fn run_either(&self, sqlite: &str, postgres: &str) {
        self.0.execute_unprepared(if self.is_sqlite() { sqlite } else { postgres }).await.unwrap();
    }

    /// Runs statements.
    pub(crate) async fn run(&self, sql: &str) {
        self.run_either(sql, sql).await;
    }

    /// Runs a statement with parameters `$1`, `$2`, …
    pub(crate) async fn change(&self, sql: &str, values: impl IntoIterator<Item = Value>) {
        assert!(self.change_if_allowed(sql, values).await, "{sql}");
    }

    /// The same, unless a constraint is against it; tells whether it was done.
    pub(crate) async fn change_if_allowed(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> bool {
        let statement = Statement::from_sql_and_values(self.0.get_database_backend(), sql, values);
        match self.0.execute_raw(statement).await {
            Ok(_) => true,
            Err(DbErr::Exec(RuntimeErr::SqlxError(error)))
                if error.as_database_error().is_some_and(|error| error.kind() != ErrorKind::Other) =>
            {
                false
            }
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    /// The only column of every row.
    pub(crate) async fn column<T: TryGetable>(&self, sql: &str) -> Vec<T> {
        let statement = Statement::from_string(self.0.get_database_backend(), sql);
        let rows = self.0.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// The only column of the only row.
    pub(crate) async fn value<T: TryGetable>(&self, sql: &str) -> T {
        let mut values = self.column(sql).await;
        assert_eq!(values.len(), 1, "{sql}");
        values.remove(0)
    }

    /// From now on a hand can change what the database would ignore, as it can where it may change the schema as well.
    pub(crate) async fn drop_triggers(&self) {
        let triggers: Vec<String> = self
            .column(if self.is_sqlite() {
                "SELECT 'DROP TRIGGER ' || name FROM sqlite_master WHERE type = 'trigger'"
            } else {
                "SELECT 'DROP TRIGGER ' || tgname || ' ON ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal"
            })
            .await;
        for drop in triggers {
            self.run(&drop).await;
        }
    }

    /// Keeps what the tables hold now, for [`Self::put_back`].
    pub(crate) async fn keep(&self) {
        self.drop_triggers().await;
        for table in KEPT {
            self.run(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await;
        }
        // What follows need not outlive a power failure.
        self.run_either("PRAGMA synchronous = OFF", "SET synchronous_commit = off").await;
    }

    pub(crate) async fn put_back(&self) {
        for table in KEPT {
            self.run(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}")).await;
        }
    }

    pub(crate) async fn tables(&self) -> Vec<String> {
        self.column(if self.is_sqlite() {
            // What SQLite keeps for itself comes and goes with the tables.
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
        } else {
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        })
        .await
    }

    /// Every row of every table, as text: two of these are equal if nothing was written in between.
    pub(crate) async fn everything(&self) -> Vec<String> {
        let mut everything = Vec::new();
        for table in self.tables().await {
            let row = if self.is_sqlite() {
                let columns = format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')");
                self.column::<String>(&columns).await.join(" || ', ' || ")
            } else {
                "shown::text".to_owned()
            };
            let rows = format!("SELECT '{table}: ' || {row} AS shown FROM {table} AS shown ORDER BY 1");
            everything.extend(self.column::<String>(&rows).await);
        }
        everything
    }
}
