//! The port `Journal`: a database of its own, a SQLite file or one on PostgreSQL. Here are its tables and what it has of
//! processes; holds and pauses have files of their own.

mod holds;
mod pauses;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{
    Journal, JournalError, JournalFigures, JournalPage, RememberedHolds, RememberedPause,
};
use reprieve_domain::audit::{
    AuditKey, JournalDates, JournalEntry, JournalKind, KeyedHash, PauseChange, Remembered, RememberedHold,
};
use reprieve_domain::{DeletionProcessId, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Value};
use tokio::sync::OnceCell;

use crate::deletion_processes::{numbered, placeholders};
use crate::erasure_tasks::execute;
use crate::error::store_error;
use crate::mapping::Row;
use crate::pool::{Pool, Transaction, end};
use crate::{ConnectionOptions, Database, DatabaseUrl};

/// The version of the tables. A journal that has a greater one is left alone.
const VERSION: i64 = 3;

/// Any number that nothing else locks.
const LOCK: &str = "SELECT pg_advisory_xact_lock(3118329668400742)";

/// The journal in the database at this URL, which is connected to when it is first used.
#[derive(Debug)]
pub struct JournalDatabase {
    url: DatabaseUrl,
    options: ConnectionOptions,
    audit_key: AuditKey,
    connected: OnceCell<Database>,
}

/// In both dialects: `$KEY` is a number that grows, `$NUMBER` and `$BYTES` are types.
const TABLES: [&str; 7] = [
    "CREATE TABLE IF NOT EXISTS journal (\
     one $NUMBER NOT NULL PRIMARY KEY CHECK (one = 1), version $NUMBER NOT NULL, id text NOT NULL, seal $BYTES NOT NULL\
     )$STRICT",
    "CREATE TABLE IF NOT EXISTS journal_entries (\
     position $KEY, process_id text NOT NULL, identity_hash $BYTES NOT NULL, kind text NOT NULL, branch $NUMBER NOT NULL, \
     revision $NUMBER NOT NULL, entry_hash $BYTES NOT NULL, status text NOT NULL, created_at $NUMBER NOT NULL, \
     grace_period_ends_at $NUMBER NOT NULL, suspended_until $NUMBER, cancelled_at $NUMBER, deletion_started_at $NUMBER, \
     deletion_completed_at $NUMBER, closed_at $NUMBER, seal $BYTES NOT NULL UNIQUE\
     )$STRICT",
    "CREATE TABLE IF NOT EXISTS journal_holds (\
     identity_hash $BYTES NOT NULL, code text NOT NULL, revision $NUMBER NOT NULL, placed_at $NUMBER NOT NULL, \
     ends_at $NUMBER NOT NULL, is_silent $NUMBER NOT NULL, seal $BYTES NOT NULL UNIQUE, \
     PRIMARY KEY (identity_hash, code, revision)\
     )$STRICT",
    "CREATE TABLE IF NOT EXISTS journal_pauses (\
     position $KEY, changed_at $NUMBER NOT NULL, is_paused $NUMBER NOT NULL, reason text, seal $BYTES NOT NULL UNIQUE\
     )$STRICT",
    "CREATE INDEX IF NOT EXISTS journal_entries_of_process ON journal_entries (process_id, branch, revision)",
    "CREATE INDEX IF NOT EXISTS journal_entries_of_closed ON journal_entries (closed_at) WHERE closed_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS journal_entries_of_identity ON journal_entries (identity_hash)",
];

const COLUMNS: &str = "process_id, identity_hash, kind, branch, revision, entry_hash, status, created_at, \
                       grace_period_ends_at, suspended_until, cancelled_at, deletion_started_at, deletion_completed_at, \
                       closed_at, seal";

const NUMBER_OF_COLUMNS: usize = 15;

/// How many entries, or processes, a statement is about.
const AT_ONCE: usize = 200;

/// Closed so long ago by the newest entry of the process.
const CLOSED: &str = "\
SELECT DISTINCT process_id FROM journal_entries AS entry WHERE closed_at < $1 AND NOT EXISTS (\
    SELECT 1 FROM journal_entries AS newer WHERE newer.process_id = entry.process_id AND (\
        newer.branch > entry.branch OR newer.branch = entry.branch AND newer.revision > entry.revision)) LIMIT $2";

impl JournalDatabase {
    /// The journal there, sealed with this key. Nothing is opened before it is used.
    #[must_use]
    pub fn new(url: DatabaseUrl, options: ConnectionOptions, audit_key: AuditKey) -> Self {
        Self { url, options, audit_key, connected: OnceCell::new() }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Closes the connections.
    pub async fn close(&self) {
        if let Some(database) = self.connected.get() {
            database.clone().close().await;
        }
    }

    fn unavailable(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> JournalError {
        JournalError::Unavailable { journal: self.place(), source: source.into() }
    }

    fn failed(&self) -> impl Fn(StoreError) -> JournalError {
        |error| self.unavailable(error)
    }

    /// By what the PostgreSQL cluster is known that it is in; none for SQLite.
    pub(crate) async fn cluster(&self) -> Result<Option<String>, StoreError> {
        if self.url.file().is_some() {
            return Ok(None);
        }
        crate::store::cluster(self.connect().await?).await
    }

    async fn connect(&self) -> Result<&Pool, JournalError> {
        let connect = || async { Database::connect(&self.url, &self.options).await };
        let connected = self.connected.get_or_try_init(connect).await;
        connected.map(|database| &database.writer).map_err(|error| self.unavailable(error))
    }

    /// The id that it was begun with; none if it was not.
    async fn id_through(
        &self,
        connection: &impl ConnectionTrait,
    ) -> Result<Option<(i64, String)>, JournalError> {
        let backend = connection.get_database_backend();
        // Asking for a table that is not there is an error in both databases, and in PostgreSQL one that ends the transaction.
        let exists = match backend {
            DbBackend::Postgres => {
                "SELECT 1 AS one FROM pg_class WHERE relname = 'journal' AND pg_table_is_visible(oid)"
            }
            _ => "SELECT 1 AS one FROM sqlite_master WHERE type = 'table' AND name = 'journal'",
        };
        let query = async |sql: &str| {
            let row = connection.query_one_raw(numbered(backend, sql.to_owned(), Vec::new())).await;
            row.map_err(|error| self.unavailable(store_error(error)))
        };
        if query(exists).await?.is_none() {
            return Ok(None);
        }
        let Some(row) = query("SELECT version, id, seal FROM journal").await? else { return Ok(None) };
        let row = Row::named(&row, "journal", "1");
        let read = || -> Result<_, StoreError> {
            Ok((row.get::<i64>("version")?, row.get::<String>("id")?, row.bytes::<32>("seal")?))
        };
        let (version, id, seal) = read().map_err(self.failed())?;
        if version > VERSION {
            return Err(JournalError::Newer { journal: self.place() });
        }
        if *self.audit_key.journal_id_seal(&id).as_bytes() != seal {
            return Err(JournalError::Foreign { journal: self.place() });
        }
        Ok(Some((version, id)))
    }

    async fn begin_in(&self, transaction: &Transaction, id: &str) -> Result<(), StoreError> {
        let is_postgres = transaction.get_database_backend() == DbBackend::Postgres;
        if is_postgres {
            execute(transaction, LOCK, Vec::new()).await?;
        }
        for table in TABLES {
            let types = if is_postgres {
                [
                    ("$KEY", "bigserial PRIMARY KEY"),
                    ("$NUMBER", "bigint"),
                    ("$BYTES", "bytea"),
                    ("$STRICT", ""),
                ]
            } else {
                // Places are never given twice, also if the newest is removed.
                [
                    ("$KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"),
                    ("$NUMBER", "INTEGER"),
                    ("$BYTES", "BLOB"),
                    ("$STRICT", " STRICT"),
                ]
            };
            let sql = types.iter().fold(table.to_owned(), |sql, (name, of_type)| sql.replace(name, of_type));
            transaction.execute_unprepared(&sql).await.map_err(store_error)?;
        }
        let seal = self.audit_key.journal_id_seal(id).as_bytes().to_vec();
        // One that an older version has begun stays the same one.
        let add = "INSERT INTO journal (one, version, id, seal) VALUES (1, $1, $2, $3) \
                   ON CONFLICT (one) DO UPDATE SET version = excluded.version WHERE journal.version < excluded.version";
        execute(transaction, add, vec![VERSION.into(), id.into(), seal.into()]).await.map(drop)
    }

    fn values_of(&self, entry: &JournalEntry) -> [Value; NUMBER_OF_COLUMNS] {
        let micros = |at: Option<Timestamp>| Value::from(at.map(Timestamp::unix_micros));
        let dates = &entry.dates;
        [
            entry.process_id.as_str().into(),
            entry.identity_hash.as_bytes().to_vec().into(),
            entry.kind.as_str().into(),
            entry.branch.into(),
            entry.revision.into(),
            entry.entry_hash.as_bytes().to_vec().into(),
            entry.status.as_str().into(),
            dates.created_at.unix_micros().into(),
            dates.grace_period_ends_at.unix_micros().into(),
            micros(dates.suspended_until),
            micros(dates.cancelled_at),
            micros(dates.deletion_started_at),
            micros(dates.deletion_completed_at),
            micros(entry.closed_at()),
            self.audit_key.journal_seal(entry).as_bytes().to_vec().into(),
        ]
    }

    /// A sound entry; none if it cannot be read or is not sealed.
    fn entry(&self, result: &QueryResult) -> Option<JournalEntry> {
        let row = Row::named(result, "journal_entries", "unknown");
        let read = || -> Result<_, StoreError> {
            let entry = JournalEntry {
                process_id: row.parse("process_id")?,
                identity_hash: row.bytes::<32>("identity_hash")?.into(),
                kind: JournalKind::named(&row.get::<String>("kind")?)
                    .ok_or_else(|| row.corrupt("kind", "is not known"))?,
                branch: row.get("branch")?,
                revision: row.get("revision")?,
                entry_hash: row.bytes::<32>("entry_hash")?.into(),
                status: row.parse("status")?,
                dates: JournalDates {
                    created_at: row.instant("created_at")?,
                    grace_period_ends_at: row.instant("grace_period_ends_at")?,
                    suspended_until: row.instant_if_there("suspended_until")?,
                    cancelled_at: row.instant_if_there("cancelled_at")?,
                    deletion_started_at: row.instant_if_there("deletion_started_at")?,
                    deletion_completed_at: row.instant_if_there("deletion_completed_at")?,
                },
            };
            Ok((entry, KeyedHash::from(row.bytes::<32>("seal")?)))
        };
        let (entry, seal) = read().ok()?;
        (self.audit_key.journal_seal(&entry) == seal).then_some(entry)
    }

    async fn rows(&self, sql: String, values: Vec<Value>) -> Result<Vec<QueryResult>, JournalError> {
        let pool = self.connect().await?;
        let rows = pool.query_all_raw(numbered(pool.get_database_backend(), sql, values)).await;
        rows.map_err(|error| self.unavailable(store_error(error)))
    }

    async fn append_in(&self, transaction: &Transaction, entries: &[JournalEntry]) -> Result<(), StoreError> {
        for some in entries.chunks(AT_ONCE) {
            let values: Vec<Value> = some.iter().flat_map(|entry| self.values_of(entry)).collect();
            let row = |number: usize| {
                let first = number * NUMBER_OF_COLUMNS;
                let placeholders: Vec<String> =
                    (1..=NUMBER_OF_COLUMNS).map(|column| format!("${}", first + column)).collect();
                format!("({})", placeholders.join(", "))
            };
            let rows: Vec<String> = (0..some.len()).map(row).collect();
            let sql = format!(
                "INSERT INTO journal_entries ({COLUMNS}) VALUES {} ON CONFLICT (seal) DO NOTHING",
                rows.join(", ")
            );
            execute(transaction, &sql, values).await?;
        }
        Ok(())
    }

    async fn forget_in(
        &self,
        transaction: &Transaction,
        instant: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let backend = transaction.get_database_backend();
        let closed =
            numbered(backend, CLOSED.to_owned(), vec![instant.unix_micros().into(), i64::from(limit).into()]);
        let rows = transaction.query_all_raw(closed).await.map_err(store_error)?;
        let id = |row| Row::named(row, "journal_entries", "unknown").get::<String>("process_id");
        let ids: Vec<String> = rows.iter().map(id).collect::<Result<_, _>>()?;
        for some in ids.chunks(AT_ONCE) {
            let sql =
                format!("DELETE FROM journal_entries WHERE process_id IN ({})", placeholders(some.len()));
            execute(transaction, &sql, some.iter().map(|id| id.as_str().into()).collect()).await?;
        }
        for over in [holds::FORGET, pauses::FORGET] {
            execute(transaction, over, vec![instant.unix_micros().into()]).await?;
        }
        Ok(ids.len() as u64)
    }
}

#[async_trait]
impl Journal for JournalDatabase {
    fn place(&self) -> String {
        self.url.to_string()
    }

    async fn id(&self) -> Result<Option<String>, JournalError> {
        if self.connected.get().is_none() && !self.url.is_there().map_err(|error| self.unavailable(error))? {
            return Ok(None);
        }
        let pool = self.connect().await?;
        match self.id_through(pool).await? {
            Some((version, id)) if version < VERSION => self.begin(&id).await.map(Some),
            found => Ok(found.map(|(_, id)| id)),
        }
    }

    async fn begin(&self, id: &str) -> Result<String, JournalError> {
        let pool = self.connect().await?;
        let transaction = pool.begin().await.map_err(|error| self.unavailable(store_error(error)))?;
        let begun = self.begin_in(&transaction, id).await;
        end(transaction, begun).await.map_err(self.failed())?;
        let begun = self.id_through(pool).await?.map(|(_, id)| id);
        begun.ok_or_else(|| JournalError::Missing { journal: self.place() })
    }

    async fn append(&self, entries: &[JournalEntry]) -> Result<(), JournalError> {
        if entries.is_empty() {
            return Ok(());
        }
        let pool = self.connect().await?;
        let transaction = pool.begin().await.map_err(|error| self.unavailable(store_error(error)))?;
        let appended = self.append_in(&transaction, entries).await;
        end(transaction, appended).await.map_err(self.failed())
    }

    async fn remembered(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Remembered>, JournalError> {
        let mut remembered: BTreeMap<DeletionProcessId, Remembered> = BTreeMap::new();
        for some in processes.chunks(AT_ONCE) {
            let ids = placeholders(some.len());
            let sql = format!(
                "SELECT {COLUMNS} FROM journal_entries WHERE process_id IN ({ids}) ORDER BY position"
            );
            let values = some.iter().map(|id| id.as_str().into()).collect();
            for result in &self.rows(sql, values).await? {
                let row = Row::named(result, "journal_entries", "unknown");
                let process: DeletionProcessId = row.parse("process_id").map_err(self.failed())?;
                let known = remembered.entry(process).or_default();
                match self.entry(result) {
                    // A decision was made in sight of what came before it.
                    Some(entry) => {
                        known.is_damaged &= entry.kind != JournalKind::Decision;
                        known.entries.push(entry);
                    }
                    None => known.is_damaged = true,
                }
            }
        }
        Ok(remembered)
    }

    async fn append_holds(&self, holds: &[RememberedHold]) -> Result<(), JournalError> {
        self.append_all_holds(holds).await
    }

    async fn holds(
        &self,
        identities: &[KeyedHash],
    ) -> Result<HashMap<KeyedHash, RememberedHolds>, JournalError> {
        self.holds_of(identities).await
    }

    async fn append_pause(&self, change: &PauseChange) -> Result<(), JournalError> {
        self.append_setting(change).await
    }

    async fn pause(&self) -> Result<RememberedPause, JournalError> {
        self.newest_setting().await
    }

    async fn page(&self, after: i64, limit: u32) -> Result<JournalPage, JournalError> {
        let sql = format!(
            "SELECT position, {COLUMNS} FROM journal_entries WHERE position > $1 ORDER BY position LIMIT $2"
        );
        let (mut page, mut processes) = (JournalPage::default(), BTreeSet::new());
        for result in &self.rows(sql, vec![after.into(), i64::from(limit).into()]).await? {
            let row = Row::named(result, "journal_entries", "unknown");
            let position: i64 = row.get("position").map_err(self.failed())?;
            page.last = Some(position);
            if self.entry(result).is_none() {
                page.damaged.push(position);
            }
            processes.extend(row.parse::<DeletionProcessId>("process_id").ok());
        }
        page.processes = processes.into_iter().collect();
        Ok(page)
    }

    async fn figures(&self) -> Result<JournalFigures, JournalError> {
        let sql = "SELECT count(*) AS entries, count(DISTINCT process_id) AS processes, \
                   coalesce(max(position), 0) AS newest FROM journal_entries";
        let rows = self.rows(sql.to_owned(), Vec::new()).await?;
        let Some(result) = rows.first() else { return Ok(JournalFigures::default()) };
        let row = Row::named(result, "journal_entries", "unknown");
        let number = |column| row.get::<i64>(column).map_err(self.failed());
        let count = |column| number(column).map(|count| u64::try_from(count).unwrap_or(0));
        Ok(JournalFigures {
            entries: count("entries")?,
            processes: count("processes")?,
            newest: number("newest")?,
        })
    }

    async fn newest(&self) -> Result<i64, JournalError> {
        let sql = "SELECT coalesce(max(position), 0) AS newest FROM journal_entries";
        let rows = self.rows(sql.to_owned(), Vec::new()).await?;
        let Some(result) = rows.first() else { return Ok(0) };
        Row::named(result, "journal_entries", "unknown").get("newest").map_err(self.failed())
    }

    async fn forget_closed_before(&self, instant: Timestamp, limit: u32) -> Result<u64, JournalError> {
        let pool = self.connect().await?;
        let transaction = pool.begin().await.map_err(|error| self.unavailable(store_error(error)))?;
        let forgotten = self.forget_in(&transaction, instant, limit).await;
        end(transaction, forgotten).await.map_err(self.failed())
    }
}
