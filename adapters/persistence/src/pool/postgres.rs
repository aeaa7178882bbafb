//! A PostgreSQL server: how to reach it, through what, and when its connections are not to be trusted any more.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPool, PgPoolOptions};
use sea_orm::sqlx::{
    self, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, RawSql, Row as _,
};
use sea_orm::{DbErr, RuntimeErr, Statement, Value};
use tokio::sync::Mutex;

use super::hosts::{Facts, Promotion, Routed};
use super::{Engine, Pool};
use crate::database::Reserve;
use crate::error::{Meaning, meaning};
use crate::postgres_url::{HostAndPort, PostgresUrl};
use crate::{ConnectionOptions, Database, DatabaseError, Pooler};

/// How much longer than for a lock a statement may take: a server that does not answer by then is not there.
const ANSWER: Duration = Duration::from_secs(1);
/// A connection that was not used for this long is asked whether it is still there …
const IDLE: Duration = Duration::from_secs(1);
/// … and has this long to answer.
const PING_LIMIT: Duration = Duration::from_millis(500);
/// Connections are given up together no more often than this, so that a server that stays read-only is not flooded with
/// new ones.
const BETWEEN_EVICTIONS: Duration = Duration::from_millis(500);
/// Connections that are kept open are looked after this often …
const REOPENED_AFTER: Duration = Duration::from_secs(1);
/// … and a server that gives none in this time is asked again later.
const REOPENED_WITHIN: Duration = Duration::from_millis(200);
/// A transaction of ours has no pauses. One that has lost its program ends by itself, and its locks with it.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(30);

/// A setting of no meaning that only a server knows which we have given it to: a pooler in between either refuses it or
/// keeps it to itself.
const MARK: &str = "reprieve.reached_directly";

/// A server, or several of which one is the primary.
pub(crate) struct Server {
    url: PostgresUrl,
    through: Through,
    lock_timeout: Duration,
    started: Instant,
    /// Connections that are older, in microseconds since `started`, are not used again.
    evicted_before: AtomicU64,
    routed: Option<Mutex<Routed>>,
    /// The place in the list of the host that is asked.
    current: AtomicUsize,
    /// Something has failed since the primary was found.
    doubts: AtomicU64,
    /// When a connection last failed or was given up, in microseconds since `started`: another server may answer since.
    failed_at: AtomicU64,
    /// Whether the newest connection, or the newest refusal, was of a server that cannot be written to.
    is_read_only: AtomicBool,
}

/// What stands between this program and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Through {
    Nothing,
    /// A pooler that gives each connection a server connection of its own.
    Session,
    /// A pooler that gives each transaction a server connection, so that nothing may be left behind on one.
    Transaction,
}

/// How statements are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Prepared,
    /// With the values in the text, as nothing can be prepared.
    Text,
}

/// Connects, and finds out what stands in between unless it is said.
pub(crate) async fn connect(
    url: &PostgresUrl,
    options: &ConnectionOptions,
) -> Result<Database, DatabaseError> {
    let pooler = url.pooler().unwrap_or(options.pooler);
    let mut server = Server {
        url: url.clone(),
        through: match pooler {
            Pooler::Detect | Pooler::None => Through::Nothing,
            Pooler::Session => Through::Session,
            Pooler::Transaction => Through::Transaction,
        },
        lock_timeout: options.acquire_timeout,
        started: Instant::now(),
        evicted_before: AtomicU64::new(0),
        routed: None,
        current: AtomicUsize::new(0),
        doubts: AtomicU64::new(0),
        failed_at: AtomicU64::new(0),
        is_read_only: AtomicBool::new(true),
    };
    if pooler == Pooler::Detect {
        let limit = options.acquire_timeout;
        let detected = tokio::time::timeout(limit, server.detect()).await;
        server.through = detected.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(connect_error)?;
    }
    let Some(first) = url.hosts().first() else {
        return Err(connect_error(sqlx::Error::PoolTimedOut));
    };
    let first = server.options(first).map_err(connect_error)?;
    if url.is_routed() {
        server.routed = Some(Mutex::new(Routed::default()));
        server.doubts.store(1, Ordering::Relaxed);
    }
    let server = Arc::new(server);
    let pool = |pool_options: PgPoolOptions| {
        let pool = pool_options.connect_lazy_with(first.clone());
        Pool::postgres(pool, Arc::clone(&server), options.acquire_timeout + ANSWER)
    };
    let kept = options.reserved_connections;
    let rest = options.max_connections.saturating_sub(kept).max(1);
    let connected = pool(pool_options(&server, options).max_connections(rest));
    // Lazily made, so that several hosts are asked before the first is taken; whether one is there is known now.
    connected.hold().await?;
    let reserve = if kept == 0 {
        None
    } else {
        // Open for as long as the server is there: once it has no connection left for others, it would not give them again.
        let kept_open =
            pool_options(&server, options).max_connections(kept).idle_timeout(None).max_lifetime(None);
        let reserve = pool(kept_open).beside(&connected);
        reserve.keep_open(kept).await?;
        Some(Reserve { reader: reserve.clone(), writer: reserve })
    };
    Ok(Database { reader: connected.clone(), writer: connected, shares_one_pool: true, reserve })
}

fn connect_error(error: sqlx::Error) -> DatabaseError {
    super::connection_error(error).into()
}

fn pool_options(server: &Arc<Server>, options: &ConnectionOptions) -> PgPoolOptions {
    let (opened, used) = (Arc::clone(server), Arc::clone(server));
    PgPoolOptions::new()
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let server = Arc::clone(&opened);
            Box::pin(async move { server.prepare(connection).await })
        })
        .before_acquire(move |connection, meta| {
            let server = Arc::clone(&used);
            Box::pin(async move {
                if server.is_evicted(meta.age) {
                    return Ok(false);
                }
                // Asking costs a round trip; a connection that was just used needs no asking.
                Ok(meta.idle_for < IDLE
                    || matches!(tokio::time::timeout(PING_LIMIT, connection.ping()).await, Ok(Ok(()))))
            })
        })
}

impl Pool {
    /// Whether what is notified reaches its listeners: over a connection that a pooler lends for a transaction, nothing can
    /// be listened to.
    pub(crate) fn can_notify(&self) -> bool {
        matches!(&self.engine, Engine::Postgres { server, .. } if server.mode() == Mode::Prepared)
    }

    /// Opens this many connections, and those again that are lost, for as long as the pool is there.
    async fn keep_open(&self, count: u32) -> Result<(), DbErr> {
        let mut opened = Vec::new();
        for _ in 0..count {
            opened.push(self.hold().await?);
        }
        drop(opened);
        let pool = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(REOPENED_AFTER).await;
                let Engine::Postgres { pool: open, .. } = &pool.engine else { return };
                if open.is_closed() {
                    return;
                }
                if open.size() < count {
                    // One that is idle would be given instead of a new one. It is missed for a moment only.
                    let _idle = open.try_acquire();
                    let _ = tokio::time::timeout(REOPENED_WITHIN, pool.hold()).await;
                }
            }
        });
        Ok(())
    }

    /// One more connection, which listens to these channels. A standby refuses that.
    pub(crate) async fn listen(
        &self,
        channels: impl IntoIterator<Item = &str>,
    ) -> Result<PgListener, sqlx::Error> {
        let Engine::Postgres { pool, server, leads_to } = &self.engine else {
            return Err(sqlx::Error::PoolClosed);
        };
        server.lead(pool, leads_to).await?;
        let own = PgPoolOptions::new().max_connections(1).acquire_timeout(server.lock_timeout + ANSWER);
        let options = pool.connect_options().as_ref().clone();
        let mut listener = PgListener::connect_with(&own.connect_lazy_with(options)).await?;
        listener.eager_reconnect(false);
        listener.listen_all(channels).await?;
        Ok(listener)
    }
}

impl Server {
    pub(super) fn mode(&self) -> Mode {
        match self.through {
            Through::Nothing | Through::Session => Mode::Prepared,
            Through::Transaction => Mode::Text,
        }
    }

    /// The beginning of a transaction. What a pooler does not let us set for a connection is set for the transaction.
    pub(super) fn begin(&self) -> String {
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
        match self.mode() {
            Mode::Prepared => begin.to_owned(),
            Mode::Text => format!("{begin}; SET LOCAL lock_timeout = {}", self.lock_timeout()),
        }
    }

    /// The statement as a text with its values in it. By itself it is a transaction: several statements in one text are.
    pub(super) fn as_text(&self, mut statement: Statement, in_transaction: bool) -> Result<RawSql, DbErr> {
        for value in statement.values.iter_mut().flat_map(|values| values.0.iter_mut()) {
            match value {
                Value::Bytes(Some(bytes)) => *value = in_hexadecimal(bytes).into(),
                // The server refuses it as a value, and reads something else in a text.
                Value::String(Some(text)) if text.contains('\0') => {
                    return Err(DbErr::Query(RuntimeErr::Internal(
                        "a text has a zero byte in it".to_owned(),
                    )));
                }
                _ => {}
            }
        }
        let text = if in_transaction {
            statement.to_string()
        } else {
            format!(
                "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}; {statement}",
                self.lock_timeout()
            )
        };
        Ok(sqlx::raw_sql(AssertSqlSafe(text)))
    }

    /// In milliseconds; zero would be for ever, which is how long PostgreSQL waits by itself.
    fn lock_timeout(&self) -> u128 {
        self.lock_timeout.as_millis().clamp(1, i32::MAX.unsigned_abs().into())
    }

    /// What is set when a connection is opened, where a server takes it.
    fn settings(&self) -> [(&'static str, String); 4] {
        let idle = (self.lock_timeout + IDLE_IN_TRANSACTION).as_millis().min(i32::MAX.unsigned_abs().into());
        [
            ("lock_timeout", self.lock_timeout().to_string()),
            // Steps say in their conditions what they rest on, and rest on seeing what others have committed.
            ("default_transaction_isolation", "read committed".to_owned()),
            ("idle_in_transaction_session_timeout", idle.to_string()),
            (MARK, "on".to_owned()),
        ]
    }

    pub(super) fn options(&self, host: &HostAndPort) -> Result<PgConnectOptions, sqlx::Error> {
        let options = self
            .url
            .options(host)?
            // Only floating-point numbers need it, and poolers refuse it.
            .extra_float_digits(None)
            // Statements carry addresses, and logs must not.
            .disable_statement_logging();
        Ok(match self.through {
            Through::Nothing => options.options(self.settings()),
            Through::Session => options,
            Through::Transaction => options.statement_cache_capacity(0),
        })
    }

    pub(super) fn url(&self) -> &PostgresUrl {
        &self.url
    }

    /// Finds out what stands in between, from the first host that answers.
    async fn detect(&self) -> Result<Through, sqlx::Error> {
        let hosts = self.url.hosts();
        // So that each is asked before the whole takes too long.
        let share = self.lock_timeout / u32::try_from(hosts.len()).unwrap_or(u32::MAX).max(1);
        let limit = self.url.connect_timeout().or((hosts.len() > 1).then_some(ANSWER));
        let limit = limit.map_or(share, |limit| limit.min(share));
        let mut last = sqlx::Error::PoolTimedOut;
        for host in hosts {
            let asked = Facts::of(self, host);
            let answer = tokio::time::timeout(limit, asked).await;
            match answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                Ok(facts) if facts.is_marked => return Ok(Through::Nothing),
                Ok(_) => return Ok(Through::Transaction),
                // A server takes every setting in this form; a pooler says so where it does not.
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("08P01") => {
                    return Ok(Through::Transaction);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// What has to be said on a new connection, and whether it leads where it should.
    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.through == Through::Session {
            for (name, value) in self.settings() {
                let set = format!("SET {name} = '{value}'");
                sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut *connection).await?;
            }
        }
        if self.through == Through::Transaction && self.routed.is_none() {
            return Ok(());
        }
        let facts = Facts::ask(connection).await?;
        if self.through == Through::Nothing && !facts.is_marked {
            return Err(sqlx::Error::Configuration(
                "a pooler has come between this program and the server since it was started".into(),
            ));
        }
        let accepted = if self.routed.is_none() {
            self.follow(facts.is_read_only)
        } else if facts.suit(self.url.target()) {
            Ok(())
        } else {
            self.doubts.fetch_add(1, Ordering::Relaxed);
            Err(sqlx::Error::Configuration("the server is not the one that is asked for".into()))
        };
        if accepted.is_err() {
            // The pool closes it, for which the driver waits over TLS until the server sends something, or hangs up.
            let end = connection.execute("SELECT pg_terminate_backend(pg_backend_pid())");
            let _ = tokio::time::timeout(PING_LIMIT, end).await;
        }
        accepted
    }

    /// Learns from a new connection where the one address leads now. Once it leads to a server that can be written to, what
    /// was opened before leads elsewhere, and each of those connections would have somebody refused.
    ///
    /// # Errors
    /// If the server cannot be written to and the one before could: the connection may have been on its way before that one,
    /// and another one is opened, which is taken as it is.
    fn follow(&self, is_read_only: bool) -> Result<(), sqlx::Error> {
        match (self.is_read_only.swap(is_read_only, Ordering::Relaxed), is_read_only) {
            (true, false) => {
                self.evict_at_once();
                Ok(())
            }
            (false, true) => Err(sqlx::Error::Configuration(
                "the server cannot be written to, and is asked once more".into(),
            )),
            (true, true) | (false, false) => Ok(()),
        }
    }

    /// Has a pool connect to the host that is to be asked.
    pub(super) async fn lead(
        self: &Arc<Self>,
        pool: &PgPool,
        leads_to: &AtomicUsize,
    ) -> Result<(), sqlx::Error> {
        self.find_primary().await?;
        let current = self.current.load(Ordering::Relaxed);
        if leads_to.load(Ordering::Relaxed) != current
            && let Some(host) = self.url.hosts().get(current)
        {
            pool.set_connect_options(self.options(host)?);
            leads_to.store(current, Ordering::Relaxed);
        }
        Ok(())
    }

    /// With several hosts, finds the one that is to be asked, if there is reason to believe that it is another one.
    async fn find_primary(self: &Arc<Self>) -> Result<(), sqlx::Error> {
        let Some(routed) = &self.routed else { return Ok(()) };
        if self.doubts.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let asked_at = Instant::now();
        let mut routed = routed.lock().await;
        // Another request may have found it meanwhile. What was doubted until now is answered by asking now.
        let doubts = self.doubts.load(Ordering::Relaxed);
        if doubts == 0 {
            return Ok(());
        }
        let before = routed.current();
        let current = routed.find(self, asked_at).await?;
        self.current.store(current, Ordering::Relaxed);
        if before.is_some_and(|before| before != current)
            && let Some(host) = self.url.hosts().get(current)
        {
            tracing::warn!(host = %host, "another host of the database is asked from now on");
            self.evict();
        }
        // What was doubted while it was looked for is still to be looked at.
        let _ = self.doubts.compare_exchange(doubts, 0, Ordering::Relaxed, Ordering::Relaxed);
        Ok(())
    }

    /// Learns from an error of one connection what it says of all.
    pub(super) fn learn_from(&self, error: &DbErr) {
        match meaning(error) {
            // It could be written to until now: what is open leads to the same server.
            Meaning::ReadOnly if !self.is_read_only.swap(true, Ordering::Relaxed) => self.evict_at_once(),
            Meaning::ReadOnly | Meaning::ShutDown => self.evict(),
            // The server is gone, or was for a moment: the others are as dead as this one.
            Meaning::Other if is_cut(error) => self.evict(),
            Meaning::Other if is_broken(error) => {}
            _ => return,
        }
        self.failed_at.store(self.since_start(Instant::now()), Ordering::Relaxed);
        self.doubts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_trusted_since(&self, instant: Instant) -> bool {
        let failed_at =
            self.failed_at.load(Ordering::Relaxed).max(self.evicted_before.load(Ordering::Relaxed));
        self.since_start(instant) >= failed_at
    }

    /// Gives up all connections that are open, unless that was done a moment ago.
    fn evict(&self) {
        let before = self.evicted_before.load(Ordering::Relaxed);
        let between = u64::try_from(BETWEEN_EVICTIONS.as_micros()).unwrap_or(u64::MAX);
        if before == 0 || self.since_start(Instant::now()).saturating_sub(before) >= between {
            self.evict_at_once();
        }
    }

    fn evict_at_once(&self) {
        self.evicted_before.fetch_max(self.since_start(Instant::now()), Ordering::Relaxed);
    }

    fn is_evicted(&self, age: Duration) -> bool {
        let opened = Instant::now().checked_sub(age).unwrap_or(self.started);
        self.since_start(opened) < self.evicted_before.load(Ordering::Relaxed)
    }

    /// In microseconds.
    fn since_start(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX)
    }
}

/// Bytes as PostgreSQL reads them. In this form the backslash is escaped, which it is not where bytes are written as bytes: a
/// server that is set not to conform to the standard would read something else.
fn in_hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("\\x"), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The connection is closed, or was never made.
fn is_cut(error: &DbErr) -> bool {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    matches!(error.as_ref(), sqlx::Error::Io(_))
}

/// The connection failed, and not what was asked on it.
fn is_broken(error: &DbErr) -> bool {
    let (DbErr::Conn(error) | DbErr::Exec(error) | DbErr::Query(error)) = error else { return false };
    match error {
        RuntimeErr::SqlxError(error) => !matches!(error.as_ref(), sqlx::Error::Database(_)),
        RuntimeErr::Internal(_) => true,
    }
}

impl Facts {
    /// Of a server, over a connection that is made for the purpose.
    pub(super) async fn of(server: &Server, host: &HostAndPort) -> Result<Self, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&server.options(host)?).await?;
        let mut facts = Self::ask(&mut connection).await;
        if let Ok(facts) = &mut facts
            && server.url.hosts().len() > 1
            && !facts.is_standby
        {
            facts.promotion = Self::promotion(&mut connection).await;
        }
        // A server that is in trouble may not answer; the connection is gone in any case.
        let _ = tokio::time::timeout(PING_LIMIT, connection.close()).await;
        facts
    }

    /// Over this connection, in a text, as nothing may be prepared before it is known what stands in between.
    async fn ask(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let sql = format!(
            "SELECT coalesce(current_setting('{MARK}', true), '') = 'on' AS is_marked, \
             current_setting('transaction_read_only') = 'on' AS is_read_only, \
             pg_is_in_recovery() AS is_standby"
        );
        let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await?;
        Ok(Self {
            is_marked: row.try_get("is_marked")?,
            is_read_only: row.try_get("is_read_only")?,
            is_standby: row.try_get("is_standby")?,
            promotion: None,
        })
    }

    /// The cluster that a primary is of and the timeline that it writes, if it tells: services that are like PostgreSQL may
    /// not.
    async fn promotion(connection: &mut PgConnection) -> Option<Promotion> {
        let sql = "SELECT system_identifier AS cluster, left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline \
                   FROM pg_control_system()";
        let row = sqlx::raw_sql(sql).fetch_one(connection).await.ok()?;
        let timeline: String = row.try_get("timeline").ok()?;
        let timeline = u32::from_str_radix(&timeline, 16).ok()?;
        Some(Promotion { cluster: row.try_get("cluster").ok()?, timeline })
    }
}

#[cfg(test)]
mod tests;
