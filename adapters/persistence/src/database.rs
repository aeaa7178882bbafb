//! A database, before it is known to be one of ours.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reprieve_application::{Coded, ErrorCode, StoreError};
use reprieve_domain::audit::AuditKey;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, IsolationLevel, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;

use crate::clocks::Clocks;
use crate::connection::{ConnectionOptions, connect};
use crate::error::{Meaning, meaning, store_error};
use crate::migrations::Migrator;
use crate::pool::Pool;
use crate::{DatabaseUrl, Store};

/// A connection to a database that may be empty, older or newer than this program.
#[derive(Debug, Clone)]
pub struct Database {
    pub(crate) writer: Pool,
    pub(crate) reader: Pool,
    pub(crate) shares_one_pool: bool,
    pub(crate) reserve: Option<Reserve>,
}

/// Connections that are kept for what has to be served whatever else is asked. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reserve {
    pub(crate) reader: Pool,
    pub(crate) writer: Pool,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The file cannot be made or is no file.
    #[error("cannot use {path} as a database: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A newer version of this program has migrated it.
    #[error(
        "the database was written by a newer version of this program: it has the migration {migration}, which this version does not know"
    )]
    Newer {
        /// The first migration that is not known.
        migration: String,
    },
    /// It has no tables, or those of an older version.
    #[error("the database is not migrated to this version: run `reprieve database migrate`")]
    NotMigrated,
    /// It was written with another audit key.
    #[error("the audit key is not the one this database was written with")]
    AuditKeyMismatch,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for DatabaseError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::ReadOnlyFilesystem => ErrorCode::DatabaseReadOnly,
                io::ErrorKind::StorageFull => ErrorCode::DatabaseFull,
                _ => ErrorCode::DatabaseUnavailable,
            },
            Self::Newer { .. } => ErrorCode::DatabaseNewer,
            Self::NotMigrated => ErrorCode::DatabaseNotMigrated,
            Self::AuditKeyMismatch => ErrorCode::AuditKeyMismatch,
            Self::Store(error) => error.code(),
        }
    }
}

/// A lock that every migrating process takes in PostgreSQL: "reprieve" in ASCII.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(8243118329668400741)";

impl Database {
    /// Connects. A SQLite file that is not there is created, empty and readable by its owner only.
    ///
    /// # Errors
    /// If the file cannot be made, is no database, or the server is not reached in time.
    pub async fn connect(url: &DatabaseUrl, options: &ConnectionOptions) -> Result<Self, DatabaseError> {
        connect(url, options).await
    }

    /// Brings the tables to this version, in one transaction, one process at a time; returns the migrations that were
    /// applied.
    ///
    /// # Errors
    /// If a newer version of this program has migrated the database, or if it fails.
    pub async fn migrate(&self) -> Result<Vec<String>, DatabaseError> {
        if self.pending().await?.is_empty() {
            return Ok(Vec::new());
        }
        let migrated = tokio::time::timeout(MIGRATION_LIMIT, self.migrate_unwatched()).await;
        migrated.unwrap_or_else(|_| Err(StoreError::Unavailable(TooLong.into()).into()))
    }

    /// The library that migrates takes its own kind of connection. It is closed afterwards, whatever became of it.
    async fn migrate_unwatched(&self) -> Result<Vec<String>, DatabaseError> {
        let transaction = begin_to_migrate(&self.writer).await?;
        if transaction.get_database_backend() == DbBackend::Postgres {
            transaction.execute_unprepared(MIGRATION_LOCK).await.map_err(store_error)?;
        }
        // Asked again under the lock: another process may just have done it.
        let pending = pending(&transaction).await?;
        if !pending.is_empty() {
            Migrator::up(&transaction, None).await.map_err(store_error)?;
        }
        transaction.commit().await.map_err(store_error)?;
        Ok(pending)
    }

    /// The migrations that are not applied yet, oldest first.
    ///
    /// # Errors
    /// If a newer version of this program has migrated the database, or if it fails.
    pub async fn pending(&self) -> Result<Vec<String>, DatabaseError> {
        pending(&self.writer).await
    }

    /// Whether the database was written with an audit key, so that only that key will do. It must be migrated.
    ///
    /// # Errors
    /// If it fails.
    pub async fn has_audit_key(&self) -> Result<bool, DatabaseError> {
        Ok(crate::store::stored_fingerprint(&self.writer).await?.is_some())
    }

    /// The store in this database, for a deployment with this audit key. The first key a database sees is the one it
    /// keeps to. The clocks say what time it is, and how far they may be apart.
    ///
    /// # Errors
    /// If the database is not migrated to this version, was written with another audit key, or fails.
    pub async fn into_store(self, audit_key: AuditKey, clocks: Clocks) -> Result<Store, DatabaseError> {
        if !self.pending().await?.is_empty() {
            return Err(DatabaseError::NotMigrated);
        }
        Store::open(self, audit_key, clocks).await
    }

    /// The same to look at, with nothing written: neither the key to a database that has seen none, nor what time it is.
    ///
    /// # Errors
    /// If the database is not migrated to this version, was written with another audit key, or fails.
    pub async fn look(self, audit_key: AuditKey, clocks: Clocks) -> Result<Store, DatabaseError> {
        if !self.pending().await?.is_empty() {
            return Err(DatabaseError::NotMigrated);
        }
        Store::look(self, audit_key, clocks).await
    }

    /// Closes the connections; SQLite then folds its write-ahead log into the file.
    pub async fn close(self) {
        if let Some(reserve) = self.reserve {
            reserve.reader.close().await;
            reserve.writer.close().await;
        }
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// Changing a large table takes a while; waiting for a server that is gone must come to an end.
const MIGRATION_LIMIT: Duration = Duration::from_hours(1);

#[derive(Debug, thiserror::Error)]
#[error("migrating the database did not come to an end within an hour")]
struct TooLong;

async fn begin_to_migrate(pool: &Pool) -> Result<DatabaseTransaction, StoreError> {
    let is_postgres = pool.get_database_backend() == DbBackend::Postgres;
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        // What another process has migrated is to be seen once its lock is waited for.
        isolation_level: is_postgres.then_some(IsolationLevel::ReadCommitted),
        ..TransactionOptions::default()
    };
    let transaction = pool.unwatched().begin_with_options(options).await.map_err(store_error)?;
    if pool.is_shared_with_others() {
        // Behind a pooler others may have left statements behind that are called what ours will be.
        transaction.execute_unprepared("DEALLOCATE ALL").await.map_err(store_error)?;
    }
    Ok(transaction)
}

pub(crate) async fn pending(connection: &impl ConnectionTrait) -> Result<Vec<String>, DatabaseError> {
    let known: Vec<String> =
        Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let applied = applied(connection).await?;
    let newer = applied.iter().filter(|migration| !known.contains(migration)).min();
    if let Some(migration) = newer {
        return Err(DatabaseError::Newer { migration: migration.clone() });
    }
    Ok(known.into_iter().filter(|migration| !applied.contains(migration)).collect())
}

async fn applied(connection: &impl ConnectionTrait) -> Result<HashSet<String>, DatabaseError> {
    // Asking for a table that may not be there is an error in both databases, and in PostgreSQL one that ends the
    // transaction, so the catalogue is asked first.
    let backend = connection.get_database_backend();
    let exists = match backend {
        // Not to_regclass: it remembers that there was no such table while the lock is waited for.
        DbBackend::Postgres => {
            "SELECT 1 AS one FROM pg_class WHERE relname = 'seaql_migrations' AND pg_table_is_visible(oid)"
        }
        _ => "SELECT 1 AS one FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'",
    };
    let statement = |sql: &str| sea_orm::Statement::from_string(backend, sql);
    if connection.query_one_raw(statement(exists)).await.map_err(store_error)?.is_none() {
        return Ok(HashSet::new());
    }
    let rows = match connection.query_all_raw(statement("SELECT version FROM seaql_migrations")).await {
        Ok(rows) => rows,
        Err(error) if meaning(&error) == Meaning::NoSuchTable => return Ok(HashSet::new()),
        Err(error) => return Err(store_error(error).into()),
    };
    rows.iter().map(|row| row.try_get("", "version").map_err(|error| store_error(error).into())).collect()
}
