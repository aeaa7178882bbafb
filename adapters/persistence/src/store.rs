//! The store: a migrated database together with the deployment's audit key.

use std::sync::Arc;
use std::time::Instant;

use reprieve_application::StoreError;
use reprieve_domain::audit::AuditKey;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait, Set, Statement};
use tokio::sync::Mutex;

use crate::clocks::{Clocks, DecidingClock};
use crate::database::Reserve;
use crate::entities::deployment;
use crate::error::store_error;
use crate::pool::Pool;
use crate::wake_ups::WakeUps;
use crate::{ConnectionOptions, Database, DatabaseError, DatabaseUrl, JournalDatabase};

/// Implements the application's ports on a migrated database. Cheap to clone: the clones share their connections.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) writer: Pool,
    pub(crate) reader: Pool,
    pub(crate) audit_key: AuditKey,
    pub(crate) clock: Arc<DecidingClock>,
    /// Whether the two above are the same, as they are on PostgreSQL.
    pub(crate) shares_one_pool: bool,
    reserve: Option<Reserve>,
    /// When something was last stored to see whether it can be.
    pub(crate) proven: Arc<Mutex<Option<Instant>>>,
    pub(crate) wake_ups: Arc<WakeUps>,
}

/// The row of the table `deployment` that tells which audit key the database was written with.
const FINGERPRINT: &str = "audit_key_fingerprint";

impl Store {
    pub(crate) async fn open(
        database: Database,
        audit_key: AuditKey,
        clocks: Clocks,
    ) -> Result<Self, DatabaseError> {
        let stored = match stored_fingerprint(&database.writer).await? {
            Some(stored) => stored,
            None => remember(&database.writer, FINGERPRINT, &audit_key.fingerprint().to_string()).await?,
        };
        let store = Self::with_key(database, audit_key, clocks, &stored)?;
        store.begin_to_note().await?;
        Ok(store)
    }

    /// The same, but nothing is written: a database that has seen no key yet still has not, and nothing is noted.
    pub(crate) async fn look(
        database: Database,
        audit_key: AuditKey,
        clocks: Clocks,
    ) -> Result<Self, DatabaseError> {
        let stored = stored_fingerprint(&database.writer).await?;
        let stored = stored.unwrap_or_else(|| audit_key.fingerprint().to_string());
        Self::with_key(database, audit_key, clocks, &stored)
    }

    fn with_key(
        database: Database,
        audit_key: AuditKey,
        clocks: Clocks,
        stored: &str,
    ) -> Result<Self, DatabaseError> {
        if stored != audit_key.fingerprint().to_string() {
            return Err(DatabaseError::AuditKeyMismatch);
        }
        let Database { writer, reader, shares_one_pool, reserve } = database;
        let clock = Arc::new(DecidingClock::new(clocks, writer.clone()));
        let (proven, wake_ups) = (Arc::default(), Arc::default());
        Ok(Self { writer, reader, audit_key, clock, shares_one_pool, reserve, proven, wake_ups })
    }

    /// The same store over the connections that are kept for what has to be served whatever else is asked; over the same
    /// ones, where none are kept.
    #[must_use]
    pub fn reserved(&self) -> Self {
        let Some(Reserve { reader, writer }) = self.reserve.clone() else { return self.clone() };
        let clock = Arc::new(self.clock.over(writer.clone()));
        Self { writer, reader, clock, ..self.clone() }
    }

    /// Whether the journal is in the same PostgreSQL cluster, where one restore of its files takes both. What the cluster does
    /// not tell is not known to be the same.
    ///
    /// # Errors
    /// If the store or the journal fails.
    pub async fn shares_cluster_with(&self, journal: &JournalDatabase) -> Result<bool, StoreError> {
        let own = cluster(&self.reader).await?;
        Ok(own.is_some() && own == journal.cluster().await?)
    }

    /// What is remembered of the deployment under this name.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn remembered(&self, name: &str) -> Result<Option<String>, StoreError> {
        remembered(&self.writer, name).await
    }

    /// Remembers something of the deployment, for good, and returns what is remembered: something else, if somebody was
    /// faster.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn remember(&self, name: &str, value: &str) -> Result<String, StoreError> {
        remember(&self.writer, name, value).await
    }

    /// The journal at this URL, sealed with the key of this deployment.
    #[must_use]
    pub fn journal(&self, url: DatabaseUrl, options: ConnectionOptions) -> JournalDatabase {
        JournalDatabase::new(url, options, self.audit_key.clone())
    }

    /// A name for the journal of the database in this place, which no other deployment and no other place has.
    #[must_use]
    pub fn journal_name(&self, place: &str) -> String {
        self.audit_key.journal_name(place).to_string()
    }

    /// Closes the connections; SQLite then folds its write-ahead log into the file.
    pub async fn close(self) {
        let Self { writer, reader, shares_one_pool, reserve, .. } = self;
        Database { writer, reader, shares_one_pool, reserve }.close().await;
    }
}

/// By what a PostgreSQL cluster is known; none for SQLite.
pub(crate) async fn cluster(connection: &Pool) -> Result<Option<String>, StoreError> {
    let backend = connection.get_database_backend();
    if backend != DbBackend::Postgres {
        return Ok(None);
    }
    let sql = "SELECT CAST(system_identifier AS text) AS identifier FROM pg_control_system()";
    let row = connection.query_one_raw(Statement::from_string(backend, sql)).await.map_err(store_error)?;
    row.map(|row| row.try_get("", "identifier").map_err(store_error)).transpose()
}

pub(crate) async fn stored_fingerprint(connection: &Pool) -> Result<Option<String>, DatabaseError> {
    Ok(remembered(connection, FINGERPRINT).await?)
}

async fn remembered(connection: &Pool, name: &str) -> Result<Option<String>, StoreError> {
    let row = deployment::Entity::find_by_id(name).one(connection).await.map_err(store_error)?;
    Ok(row.map(|row| row.value))
}

/// Of several processes that remember something at the same time, one decides and all others read it.
async fn remember(connection: &Pool, name: &str, value: &str) -> Result<String, StoreError> {
    let row = deployment::ActiveModel { name: Set(name.to_owned()), value: Set(value.to_owned()) };
    deployment::Entity::insert(row)
        .on_conflict(OnConflict::column(deployment::Column::Name).do_nothing().to_owned())
        .exec_without_returning(connection)
        .await
        .map_err(store_error)?;
    remembered(connection, name).await?.ok_or(StoreError::NotMigrated)
}
