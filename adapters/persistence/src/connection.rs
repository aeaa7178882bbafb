//! Opening connections, with the settings that the guarantees rest on.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, DatabaseConnection, DbErr};

use crate::error::{Meaning, meaning};
use crate::url::Kind;
use crate::{Database, DatabaseError, DatabaseUrl};

/// How to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// The most connections to hold: to PostgreSQL in all, to SQLite for reading (there is always exactly one for
    /// writing). One makes SQLite read and write over a single connection, which is quicker for a single command.
    pub max_connections: u32,
    /// How long to wait for a connection, or for a lock that another writer holds, before giving up.
    pub acquire_timeout: Duration,
}

impl Default for ConnectionOptions {
    /// Ten connections, five seconds.
    fn default() -> Self {
        Self { max_connections: 10, acquire_timeout: Duration::from_secs(5) }
    }
}

pub(crate) async fn connect(
    url: &DatabaseUrl,
    options: &ConnectionOptions,
) -> Result<Database, DatabaseError> {
    match url.kind() {
        Kind::Sqlite { path, read_only } => connect_sqlite(path, *read_only, options).await,
        #[cfg(feature = "postgres")]
        Kind::Postgres { url } => connect_postgres(url, options).await,
    }
}

/// SQLite allows one writer at a time; a pool of one queues them here, where waiting is fair, instead of in the
/// database, where it is not.
async fn connect_sqlite(
    path: &Path,
    read_only: bool,
    options: &ConnectionOptions,
) -> Result<Database, DatabaseError> {
    let made = if read_only { refuse_what_is_no_file(path) } else { create_private_file(path) };
    made.map_err(|source| DatabaseError::File { path: path.to_owned(), source })?;
    let pool = |size: u32, access: Access| {
        let (file, busy_timeout) = (path.to_owned(), options.acquire_timeout);
        let mut pool = ConnectOptions::new("sqlite:");
        pool.max_connections(size)
            .acquire_timeout(options.acquire_timeout)
            // A connection to a file does not go stale.
            .test_before_acquire(false)
            // Statements carry addresses, and logs must not.
            .sqlx_logging(false)
            .record_stmt_in_spans(false)
            .map_sqlx_sqlite_opts(move |_| sqlite_options(&file, access, busy_timeout));
        pool
    };
    let mut access = if read_only { Access::ReadOnly } else { Access::ReadWrite };
    let writer = match open_patiently(&pool(1, access), options.acquire_timeout).await {
        Err(error) if meaning(&error) == Meaning::CannotOpen => {
            match cannot_be_written(path) {
                None => return Err(error.into()),
                Some(source) if has_log(path) => {
                    return Err(DatabaseError::File { path: path.to_owned(), source });
                }
                Some(_) => access = Access::Immutable,
            }
            open_patiently(&pool(1, access), options.acquire_timeout).await?
        }
        opened => opened?,
    };
    let reader = if options.max_connections > 1 {
        let mut pool = pool(options.max_connections, access);
        sea_orm::Database::connect(pool.connect_lazy(true).clone()).await.map_err(DatabaseError::from)?
    } else {
        writer.clone()
    };
    Ok(Database { writer, reader, shares_one_pool: options.max_connections <= 1 })
}

/// What may be done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadWrite,
    ReadOnly,
    /// Read-only, and nobody else writes. To read a database with a write-ahead log, SQLite needs to create files
    /// beside it; where it cannot, it has to be told that it can do without, which holds if there is no log: whoever
    /// closes the database last folds the log into it.
    Immutable,
}

/// Why the file cannot be written, if it is there and cannot.
fn cannot_be_written(path: &Path) -> Option<io::Error> {
    OpenOptions::new().write(true).open(path).err().filter(|error| {
        matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
    })
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Path::new(&log).exists()
}

fn sqlite_options(path: &Path, access: Access, busy_timeout: Duration) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(access != Access::ReadWrite)
        .immutable(access == Access::Immutable)
        .create_if_missing(false)
        .busy_timeout(busy_timeout)
        // With a write-ahead log, FULL makes every commit durable before it is acknowledged; NORMAL would lose the
        // newest ones when the power fails.
        .synchronous(SqliteSynchronous::Full);
    // The mode is a property of the file, and asking for it writes.
    if access == Access::ReadWrite { options.journal_mode(SqliteJournalMode::Wal) } else { options }
}

/// Switching a new file to a write-ahead log needs it exclusively and does not wait for the lock by itself, so that
/// several first commands at the same time would fail.
async fn open_patiently(options: &ConnectOptions, patience: Duration) -> Result<DatabaseConnection, DbErr> {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        match sea_orm::Database::connect(options.clone()).await {
            Err(error) if meaning(&error) == Meaning::Busy && waited < patience => {
                tokio::time::sleep(PAUSE).await;
                waited += PAUSE;
            }
            other => return other,
        }
    }
}

/// Makes the file, and folders above it that are not there, for its owner only. SQLite gives the files it puts beside
/// it the same mode.
fn create_private_file(path: &Path) -> io::Result<()> {
    refuse_what_is_no_file(path)?;
    if path.is_file() {
        return Ok(());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

/// SQLite would put a journal beside a device, and wait for ever for whoever is to write into a pipe.
fn refuse_what_is_no_file(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => Err(io::Error::other("is not a regular file")),
        _ => Ok(()),
    }
}

#[cfg(feature = "postgres")]
async fn connect_postgres(url: &url::Url, options: &ConnectionOptions) -> Result<Database, DatabaseError> {
    // In milliseconds; zero would be for ever, which is how long PostgreSQL waits by itself.
    let lock_timeout = options.acquire_timeout.as_millis().clamp(1, i32::MAX.unsigned_abs().into());
    let mut pool = ConnectOptions::new(url.as_str());
    pool.max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .connect_timeout(options.acquire_timeout)
        // Asking whether a connection is alive costs a round trip; one that was just used needs no asking.
        .test_before_acquire_if_idle_for(Duration::from_secs(1))
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_postgres_opts(move |options| {
            options.application_name("reprieve").options([("lock_timeout", lock_timeout)])
        });
    let writer = sea_orm::Database::connect(pool).await.map_err(DatabaseError::from)?;
    Ok(Database { reader: writer.clone(), writer, shares_one_pool: true })
}

impl From<DbErr> for DatabaseError {
    fn from(error: DbErr) -> Self {
        Self::Store(crate::error::store_error(error))
    }
}

#[cfg(test)]
mod tests {
    use reprieve_tests::TestDatabase;
    use sea_orm::{ConnectionTrait, DbBackend, Statement, TryGetable};

    use super::*;

    async fn pragma<T: TryGetable>(connection: &DatabaseConnection, name: &str) -> T {
        let statement = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {name}"));
        connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    #[tokio::test]
    async fn sqlite_acknowledges_a_commit_only_when_it_is_durable() {
        const FULL: i32 = 2;
        for max_connections in [1, 10] {
            let database = TestDatabase::sqlite();
            let options = ConnectionOptions { max_connections, acquire_timeout: Duration::from_secs(7) };
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
