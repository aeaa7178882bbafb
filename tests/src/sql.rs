//! A connection beside the binary's own, to look at what is stored and to tamper with it.

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::runtime::Runtime;

/// A connection that blocks. It is closed when it is dropped, so that SQLite leaves no file behind.
pub struct Sql {
    runtime: Runtime,
    connection: Option<Database>,
}

enum Database {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Sql {
    /// Opens a database that is there already: `sqlite:<path>` or `postgres://…`.
    #[must_use]
    pub fn open(url: &str) -> Self {
        Self::try_open(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// The same, for a server that may refuse.
    ///
    /// # Errors
    /// What the database says.
    pub fn try_open(url: &str) -> Result<Self, sqlx::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let database = runtime.block_on(async {
            match url.strip_prefix("sqlite:") {
                Some(path) => {
                    let options = SqliteConnectOptions::new().filename(path);
                    SqliteConnection::connect_with(&options).await.map(Database::Sqlite)
                }
                None => PgConnection::connect(url).await.map(Database::Postgres),
            }
        });
        Ok(Self { runtime, connection: Some(database?) })
    }

    /// Whether it is PostgreSQL.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.connection, Some(Database::Postgres(_)))
    }

    /// Runs a statement; returns how many rows it wrote.
    pub fn execute(&mut self, sql: &str) -> u64 {
        self.try_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The same, or what the database has against it.
    ///
    /// # Errors
    /// The words of the database.
    pub fn try_execute(&mut self, sql: &str) -> Result<u64, String> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let written = self.runtime.block_on(async {
            match self.connection.as_mut().unwrap() {
                Database::Sqlite(connection) => {
                    connection.execute(query).await.map(|result| result.rows_affected())
                }
                Database::Postgres(connection) => {
                    connection.execute(query).await.map(|result| result.rows_affected())
                }
            }
        });
        written.map_err(|error| error.to_string())
    }

    /// The first column of every row, which must be a text.
    pub fn texts(&mut self, sql: &str) -> Vec<String> {
        let query = AssertSqlSafe(sql.to_owned());
        let rows = self.runtime.block_on(async {
            match self.connection.as_mut().unwrap() {
                Database::Sqlite(connection) => sqlx::query_scalar(query).fetch_all(connection).await,
                Database::Postgres(connection) => sqlx::query_scalar(query).fetch_all(connection).await,
            }
        });
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The one text that a statement finds.
    pub fn text(&mut self, sql: &str) -> String {
        let texts = self.texts(sql);
        assert_eq!(texts.len(), 1, "{sql}: {texts:?}");
        texts.into_iter().next().unwrap()
    }

    /// How many rows there are of what follows `FROM`.
    pub fn count(&mut self, from: &str) -> u64 {
        self.text(&format!("SELECT CAST(count(*) AS TEXT) FROM {from}")).parse().unwrap()
    }

    /// From now on a hand can change what the database would ignore, as it can where it may change the schema as well; and
    /// rows that are put back bring back what went with them.
    pub fn drop_triggers(&mut self) {
        let triggers = self.texts(if self.is_postgres() {
            "SELECT 'DROP TRIGGER ' || tgname || ' ON ' || tgrelid::regclass FROM pg_trigger \
             WHERE tgname LIKE 'unverified%' OR tgname = 'suspension_goes'"
        } else {
            "SELECT 'DROP TRIGGER ' || name FROM sqlite_master \
             WHERE type = 'trigger' AND (name LIKE 'unverified%' OR name = 'suspension_goes')"
        });
        for drop in triggers {
            self.execute(&drop);
        }
    }

    /// Every table.
    pub fn tables(&mut self) -> Vec<String> {
        if self.is_postgres() {
            self.texts("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        } else {
            self.texts(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1",
            )
        }
    }

    /// The columns of a table.
    pub fn columns(&mut self, table: &str) -> Vec<String> {
        let columns = if self.is_postgres() {
            self.texts(&format!(
                "SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}' ORDER BY 1"
            ))
        } else {
            self.texts(&format!("SELECT name FROM pragma_table_info('{table}') ORDER BY 1"))
        };
        assert!(!columns.is_empty(), "there is no table {table}");
        columns
    }

    /// Every row of a table, every column of it, as one text a row.
    pub fn rows(&mut self, table: &str) -> Vec<String> {
        let postgres = self.is_postgres();
        let as_text = |column: &String| {
            if postgres { format!("coalesce({column}::text, 'NULL')") } else { format!("quote({column})") }
        };
        let columns: Vec<String> = self.columns(table).iter().map(as_text).collect();
        self.texts(&format!("SELECT {} FROM {table} ORDER BY 1", columns.join(" || ' | ' || ")))
    }

    /// Everything that is stored, as text: the same text, the same content.
    pub fn dump(&mut self) -> String {
        let mut dump = String::new();
        for table in self.tables() {
            dump.push_str(&table);
            for row in self.rows(&table) {
                dump.push_str("\n  ");
                dump.push_str(&row);
            }
            dump.push('\n');
        }
        dump
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        // That the database went away first is no reason to fail.
        let _ = match self.connection.take() {
            Some(Database::Sqlite(connection)) => self.runtime.block_on(connection.close()),
            Some(Database::Postgres(connection)) => self.runtime.block_on(connection.close()),
            None => Ok(()),
        };
    }
}
