//! The connections to a database, and the one way to use them.
//!
//! What lives here: taking a connection, running a statement or a transaction on it within a limit of time, and deciding
//! whether the connection may be used again. What does not: which statements those are.
//!
//! A connection goes back to the pool only if the last thing that was done with it came to an orderly end. After a commit
//! or a rollback that failed, a statement that was not answered in time, or a future that was dropped on the way, it is
//! unknown which transaction the connection is in; whatever was acknowledged on it could be lost. It is closed, which ends the
//! transaction for certain.

mod held;
#[cfg(feature = "postgres")]
pub(crate) mod hosts;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod sqlite;
mod transaction;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
#[cfg(feature = "postgres")]
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sqlx::SqlitePool;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    SqlxSqliteConnector, Statement,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::held::Held;
use self::sqlite::{DatabaseFiles, Moment};
pub(crate) use self::transaction::{Transaction, end};
use crate::error::{Meaning, meaning};

/// How much longer than the limit of one statement a statement may take that is about many rows.
const BULK: u32 = 10;

/// The connections to a database. Cheap to clone: the clones share them.
#[derive(Clone)]
pub(crate) struct Pool {
    engine: Engine,
    /// The longest that one statement may take once it has a connection.
    limit: Duration,
    /// Whether the last attempt to store something failed because of the store itself.
    refuses: Arc<AtomicBool>,
    /// The line in which those stand that let others go first: of them, only the one in front asks for a connection.
    line: Option<Arc<Semaphore>>,
}

#[derive(Clone)]
enum Engine {
    Sqlite {
        pool: SqlitePool,
        files: Arc<DatabaseFiles>,
        writes: bool,
    },
    #[cfg(feature = "postgres")]
    Postgres {
        pool: sea_orm::sqlx::PgPool,
        server: Arc<postgres::Server>,
        /// The place in the list of the host that it connects to.
        leads_to: Arc<AtomicUsize>,
    },
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("backend", &self.get_database_backend()).finish_non_exhaustive()
    }
}

impl Pool {
    /// One that `writes` has one connection, whose log is watched.
    pub(crate) fn sqlite(pool: SqlitePool, files: Arc<DatabaseFiles>, writes: bool, limit: Duration) -> Self {
        Self::new(Engine::Sqlite { pool, files, writes }, limit)
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn postgres(
        pool: sea_orm::sqlx::PgPool,
        server: Arc<postgres::Server>,
        limit: Duration,
    ) -> Self {
        Self::new(Engine::Postgres { pool, server, leads_to: Arc::default() }, limit)
    }

    fn new(engine: Engine, limit: Duration) -> Self {
        Self { engine, limit, refuses: Arc::new(AtomicBool::new(false)), line: None }
    }

    /// The same connections for those that stand in a line.
    pub(crate) fn in_turn(self) -> Self {
        Self { line: Some(Arc::new(Semaphore::new(1))), ..self }
    }

    /// The same, which knows of the store what another one knows: whether it refuses to be written to is true of both.
    pub(crate) fn beside(self, other: &Self) -> Self {
        Self { refuses: Arc::clone(&other.refuses), ..self }
    }

    /// The same connections, for a statement about many rows.
    pub(crate) fn in_bulk(&self) -> Self {
        Self { limit: self.limit * BULK, ..self.clone() }
    }

    /// Begins a transaction that may write from its start: on SQLite it takes the lock at once, because one that reads
    /// first and writes later is refused whenever another one wrote in between. On PostgreSQL it is READ COMMITTED,
    /// whatever the server's default: each step says itself under which conditions it holds.
    ///
    /// # Errors
    /// If no connection is free in time, or the database refuses.
    pub(crate) async fn begin(&self) -> Result<Transaction, DbErr> {
        let held = self.hold().await?;
        Transaction::begin(held, self.clone()).await
    }

    /// The same as the types of sea-orm, for migrations and tests. What is done through it is not watched.
    pub(crate) fn unwatched(&self) -> DatabaseConnection {
        match &self.engine {
            Engine::Sqlite { pool, .. } => SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.clone()),
            #[cfg(feature = "postgres")]
            Engine::Postgres { pool, .. } => {
                sea_orm::SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone())
            }
        }
    }

    /// Whether what is prepared on a connection may meet what others have prepared.
    pub(crate) fn is_shared_with_others(&self) -> bool {
        match &self.engine {
            Engine::Sqlite { .. } => false,
            #[cfg(feature = "postgres")]
            Engine::Postgres { server, .. } => server.mode() == postgres::Mode::Text,
        }
    }

    /// Whether nothing has happened since that would have led to another server.
    pub(crate) fn is_trusted_since(&self, instant: std::time::Instant) -> bool {
        match &self.engine {
            // The file is the same for as long as it is open.
            Engine::Sqlite { .. } => instant <= std::time::Instant::now(),
            #[cfg(feature = "postgres")]
            Engine::Postgres { server, .. } => server.is_trusted_since(instant),
        }
    }

    /// A statement that is made once there is a connection, because it says what time it is then; only its first row.
    pub(crate) async fn query_at_once(
        &self,
        statement: impl FnOnce() -> Statement + Send,
    ) -> Result<Option<QueryResult>, DbErr> {
        let mut held = self.hold().await?;
        let done = self.within_limit(held.query(statement())).await;
        Ok(self.settle(held, done).await?.into_iter().next())
    }

    /// How many connections are open, and how many of them are idle.
    pub(crate) fn size(&self) -> (u32, usize) {
        match &self.engine {
            Engine::Sqlite { pool, .. } => (pool.size(), pool.num_idle()),
            #[cfg(feature = "postgres")]
            Engine::Postgres { pool, .. } => (pool.size(), pool.num_idle()),
        }
    }

    pub(crate) async fn close(&self) {
        match &self.engine {
            Engine::Sqlite { pool, .. } => pool.close().await,
            #[cfg(feature = "postgres")]
            Engine::Postgres { pool, .. } => pool.close().await,
        }
    }

    /// Whether the last attempt to store something failed because of the store itself: a full disk, a read-only server.
    pub(crate) fn refuses_to_store(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }

    /// Takes a connection.
    async fn hold(&self) -> Result<Held, DbErr> {
        let turn = self.take_turn().await?;
        let held = match &self.engine {
            Engine::Sqlite { pool, files, writes } => {
                // Before: a connection may have to be opened, which would find another file, or begin another log.
                files.check()?;
                if let Err(error) = files.check_log(Moment::Before) {
                    if pool.num_idle() > 0
                        && let Ok(connection) = pool.acquire().await
                    {
                        self.save_lost_log(&mut Held::sqlite(connection, None), files).await;
                    }
                    return Err(error);
                }
                pool.acquire().await.map(|connection| Held::sqlite(connection, writes.then_some(files)))
            }
            #[cfg(feature = "postgres")]
            Engine::Postgres { pool, server, leads_to } => {
                if let Err(error) = server.lead(pool, leads_to).await {
                    return Err(connection_error(error));
                }
                pool.acquire().await.map(|connection| Held::postgres(connection, server))
            }
        };
        held.map(|held| held.having(turn)).map_err(|error| {
            let error = connection_error(error);
            self.learn_from(&error);
            error
        })
    }

    /// Waits in line, if there is one.
    async fn take_turn(&self) -> Result<Option<OwnedSemaphorePermit>, DbErr> {
        let (Some(line), Engine::Sqlite { pool, .. }) = (&self.line, &self.engine) else { return Ok(None) };
        let waited = tokio::time::timeout(pool.options().get_acquire_timeout(), line.clone().acquire_owned());
        match waited.await {
            Ok(Ok(turn)) => Ok(Some(turn)),
            Ok(Err(_)) | Err(_) => Err(connection_error(sea_orm::sqlx::Error::PoolTimedOut)),
        }
    }

    /// Gives a connection back on which one statement was run, which was a transaction of its own.
    async fn settle<T>(&self, mut held: Held, done: Result<T, DbErr>) -> Result<T, DbErr> {
        held.settle(&done);
        if done.is_ok() {
            self.check_files(&mut held, Moment::Used).await?;
        }
        drop(held);
        self.observe(done).await
    }

    /// What it comes to, or an error if that takes too long.
    async fn within_limit<T>(&self, run: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        tokio::time::timeout(self.limit, run).await.unwrap_or_else(|_| Err(unanswered(self.limit)))
    }

    /// Learns from an error what it says of the other connections.
    async fn observe<T>(&self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        if let Err(error) = &result {
            self.learn_from(error);
            if is_contention(error) {
                pause().await;
            }
        }
        result
    }

    fn learn_from(&self, error: &DbErr) {
        if matches!(meaning(error), Meaning::Full | Meaning::ReadOnly | Meaning::DiskFails) {
            self.refuses.store(true, Ordering::Relaxed);
        }
        #[cfg(feature = "postgres")]
        if let Engine::Postgres { server, .. } = &self.engine {
            server.learn_from(error);
        }
    }

    /// Something was stored.
    pub(crate) fn note_stored(&self) {
        // Read first: a step must not fight with others for the line of the cache.
        if self.refuses.load(Ordering::Relaxed) {
            self.refuses.store(false, Ordering::Relaxed);
        }
    }

    /// After a connection was used, or something was stored through it.
    ///
    /// # Errors
    /// If the files that it uses are not those that a restart would find.
    async fn check_files(&self, held: &mut Held, moment: Moment) -> Result<(), DbErr> {
        match &self.engine {
            Engine::Sqlite { files, writes, .. } => {
                files.check()?;
                if !writes {
                    return Ok(());
                }
                let log = files.check_log(moment);
                if log.is_err() {
                    self.save_lost_log(held, files).await;
                }
                log
            }
            #[cfg(feature = "postgres")]
            Engine::Postgres { .. } => Ok(()),
        }
    }

    /// What was acknowledged may be in a log that only the open connections still find: it is written into the database,
    /// unless another program has begun another log, with which it would be mixed up.
    async fn save_lost_log(&self, held: &mut Held, files: &DatabaseFiles) {
        if files.has_lost_its_log() {
            let saved = self.within_limit(held.execute_text("PRAGMA wal_checkpoint".to_owned())).await;
            held.is_sound(saved.is_ok());
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        match &self.engine {
            Engine::Sqlite { .. } => DbBackend::Sqlite,
            #[cfg(feature = "postgres")]
            Engine::Postgres { .. } => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut held = self.hold().await?;
        let done = self.within_limit(held.execute(statement)).await;
        self.settle(held, done).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut held = self.hold().await?;
        let done = self.within_limit(held.execute_text(sql.to_owned())).await;
        self.settle(held, done).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    // To the last row, also where one is asked for: a statement that writes is committed when it ends, and only then can
    // it fail.
    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut held = self.hold().await?;
        let done = self.within_limit(held.query(statement)).await;
        self.settle(held, done).await
    }
}

fn connection_error(error: sea_orm::sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

fn unanswered(limit: Duration) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(format!(
        "the database did not answer within {} seconds; whether it did what it was asked is unknown",
        limit.as_secs_f64()
    )))
}

/// Transactions were in each other's way, and the database ended this one.
fn is_contention(error: &DbErr) -> bool {
    meaning(error) == Meaning::Contention
}

/// A short time that is another one each time, so that those who were in each other's way do not meet again.
async fn pause() {
    use std::hash::{BuildHasher, RandomState};
    /// Microseconds.
    const LONGEST: u64 = 20_000;
    let random = RandomState::new().hash_one(LONGEST) % LONGEST;
    tokio::time::sleep(Duration::from_micros(1_000 + random)).await;
}
