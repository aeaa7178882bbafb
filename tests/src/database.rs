//! A database that nobody else uses and that goes away with the test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

/// The environment variable with the `postgres://` URL of a role that may create databases; `tests/run` sets it.
pub const POSTGRES_URL: &str = "REPRIEVE_TEST_POSTGRES_URL";

/// The environment variable with `HOST:PORT` of a pooler in front of that server, for `tests/campaigns/poolers`.
pub const POOLER: &str = "REPRIEVE_TEST_POOLER";

/// An empty database: a SQLite file that does not exist yet, or a new database on the PostgreSQL server of the tests.
pub struct TestDatabase {
    url: String,
    kind: Kind,
}

enum Kind {
    Sqlite(TempDir),
    Postgres {
        server: String,
        name: String,
    },
    /// Of a server that goes away with the test.
    Elsewhere,
}

/// Where the copy of a SQLite database is, in its folder.
const COPY: &str = "copy.db";

impl TestDatabase {
    /// A SQLite file that does not exist yet, in a folder of its own.
    #[must_use]
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("reprieve.db").display());
        Self { url, kind: Kind::Sqlite(folder) }
    }

    /// A new database on the server that [`POSTGRES_URL`] names.
    pub async fn postgres() -> Self {
        let server = std::env::var(POSTGRES_URL)
            .unwrap_or_else(|_| panic!("{POSTGRES_URL} is not set: use tests/run"));
        Self::postgres_on(&server).await
    }

    /// A new database on the server with this URL.
    pub async fn postgres_on(server: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = server.to_owned();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("reprieve_test_{}_{number}", std::process::id());
        let mut connection = PgConnection::connect(&server).await.unwrap();
        // A run that was killed may have left one of this name behind.
        for statement in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"),
        ] {
            connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.unwrap();
        }
        connection.close().await.unwrap();
        Self { url: with_database(&server, &name), kind: Kind::Postgres { server, name } }
    }

    /// The same database on another PostgreSQL server, which has followed this one.
    #[must_use]
    pub fn on_server(&self, server: &str) -> Self {
        let Kind::Postgres { name, .. } = &self.kind else { panic!("{} is followed by none", self.url) };
        Self { url: with_database(server, name), kind: Kind::Elsewhere }
    }

    /// Copies it, for [`Self::put_back`]: a file that something else has to make, which is returned, or a database beside
    /// this one, to which nothing may be connected.
    pub async fn copy(&self) -> Option<PathBuf> {
        let Kind::Postgres { server, name } = &self.kind else {
            return self.folder().map(|folder| folder.join(COPY));
        };
        run_on(server, &format!("CREATE DATABASE {name}_copy TEMPLATE {name}")).await;
        None
    }

    /// Puts it back to the copy. Nothing may be connected to a SQLite database.
    pub async fn put_back(&self) {
        match &self.kind {
            Kind::Postgres { server, name } => {
                run_on(server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
                run_on(server, &format!("CREATE DATABASE {name} TEMPLATE {name}_copy")).await;
            }
            Kind::Sqlite(folder) => {
                for end in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(folder.path().join(format!("reprieve.db{end}")));
                }
                std::fs::copy(folder.path().join(COPY), folder.path().join("reprieve.db")).unwrap();
            }
            Kind::Elsewhere => panic!("{} has no copy", self.url),
        }
    }

    /// The URL for whoever uses it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL for the program that is tested: through the pooler that [`POOLER`] names, if there is one. Whoever prepares
    /// and looks at the database does so directly.
    #[must_use]
    pub fn reached_url(&self) -> String {
        match (&self.kind, std::env::var(POOLER)) {
            (Kind::Postgres { server, name }, Ok(pooler)) => {
                let user = server.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
                format!("postgres://{}@{pooler}/{name}", user.map_or("postgres", |(user, _)| user))
            }
            _ => self.url.clone(),
        }
    }

    /// The folder of a SQLite database, which holds nothing else.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Sqlite(folder) => Some(folder.path()),
            Kind::Postgres { .. } | Kind::Elsewhere => None,
        }
    }
}

/// A connection that was closed may be there for a moment still.
async fn run_on(server: &str, sql: &str) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    for attempt in 0.. {
        match connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await {
            Ok(_) => break,
            Err(error) => assert!(attempt < 50, "{sql}: {error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    connection.close().await.unwrap();
}

/// The same server, another database; parameters are kept.
fn with_database(server: &str, name: &str) -> String {
    let (base, parameters) = server.split_once('?').unwrap_or((server, ""));
    let authority_end = base.find("://").map_or(0, |at| at + 3);
    let path = base[authority_end..].find('/').map_or(base.len(), |at| authority_end + at);
    let separator = if parameters.is_empty() { "" } else { "?" };
    format!("{}/{name}{separator}{parameters}", &base[..path])
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Kind::Postgres { server, name } = &self.kind else { return };
        let (server, name) = (server.clone(), name.clone());
        // The test's own runtime may be the one that is blocked here.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&server).await?;
                for name in [format!("{name}_copy"), name] {
                    let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) && !std::thread::panicking() {
            eprintln!("the test database {} was left behind", self.url);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn only_the_database_of_a_url_is_replaced() {
        for (server, url) in [
            ("postgres://a@b/c", "postgres://a@b/new"),
            ("postgres://a@b:1", "postgres://a@b:1/new"),
            ("postgres://b/c?host=/tmp&x=1", "postgres://b/new?host=/tmp&x=1"),
        ] {
            assert_eq!(with_database(server, "new"), url);
        }
    }
}
