//! How to connect.

use std::str::FromStr;
use std::time::Duration;

use crate::url::Kind;
use crate::{Database, DatabaseError, DatabaseUrl};

/// How to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// The most connections to hold: to PostgreSQL in all, to SQLite for reading (there is always exactly one for
    /// writing). One makes SQLite read and write over a single connection, which is quicker for a single command.
    pub max_connections: u32,
    /// How many of them are kept for [`Store::reserved`](crate::Store::reserved), and open from the start on; none, where
    /// one command asks after the other. On SQLite they are further ones, and what is written through it comes first.
    pub reserved_connections: u32,
    /// How long to wait for a connection, or for a lock that another writer holds, before giving up.
    pub acquire_timeout: Duration,
    /// What stands between this program and a PostgreSQL server.
    pub pooler: Pooler,
}

impl Default for ConnectionOptions {
    /// Ten connections, none of them kept, five seconds, and finding out what stands in between.
    fn default() -> Self {
        Self {
            max_connections: 10,
            reserved_connections: 0,
            acquire_timeout: Duration::from_secs(5),
            pooler: Pooler::Detect,
        }
    }
}

/// What stands between this program and a PostgreSQL server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooler {
    /// It is found out, which takes one more connection at the start. A pooler that is found is taken for one that gives
    /// each transaction another server connection, which is right for all.
    #[default]
    Detect,
    /// Nothing.
    None,
    /// A pooler that gives each connection a server connection of its own for as long as it lasts.
    Session,
    /// A pooler that gives each transaction a server connection.
    Transaction,
}

/// A text that names no kind of pooler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be detect, none, session or transaction")]
pub struct InvalidPooler;

impl FromStr for Pooler {
    type Err = InvalidPooler;

    fn from_str(text: &str) -> Result<Self, InvalidPooler> {
        match text {
            "detect" => Ok(Self::Detect),
            "none" => Ok(Self::None),
            "session" => Ok(Self::Session),
            "transaction" => Ok(Self::Transaction),
            _ => Err(InvalidPooler),
        }
    }
}

pub(crate) async fn connect(
    url: &DatabaseUrl,
    options: &ConnectionOptions,
) -> Result<Database, DatabaseError> {
    match url.kind() {
        Kind::Sqlite { path, read_only } => crate::pool::sqlite::connect(path, *read_only, options).await,
        #[cfg(feature = "postgres")]
        Kind::Postgres(url) => crate::pool::postgres::connect(url, options).await,
    }
}

#[cfg(test)]
mod tests {
    use reprieve_tests::TestDatabase;
    use sea_orm::{ConnectionTrait, DbBackend, Statement, TryGetable};

    use super::*;
    use crate::pool::Pool;

    async fn pragma<T: TryGetable>(connection: &Pool, name: &str) -> T {
        let statement = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {name}"));
        connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    #[tokio::test]
    async fn sqlite_acknowledges_a_commit_only_when_it_is_durable() {
        const FULL: i32 = 2;
        for max_connections in [1, 10] {
            let database = TestDatabase::sqlite();
            let acquire_timeout = Duration::from_secs(7);
            let options = ConnectionOptions { max_connections, acquire_timeout, ..Default::default() };
            let Database { writer, reader, .. } =
                connect(&database.url().parse().unwrap(), &options).await.unwrap();
            for connection in [&writer, &reader] {
                assert_eq!(pragma::<String>(connection, "journal_mode").await, "wal");
                assert_eq!(pragma::<i32>(connection, "synchronous").await, FULL);
                assert_eq!(pragma::<i32>(connection, "busy_timeout").await, 7_000);
            }
        }
    }
}
