//! The port `Backups`, of a SQLite file that others may be writing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{AuditTrail, BackupError, Backups, UnfinishedBackup};
use reprieve_domain::audit::AuditKey;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::clocks::Clocks;
use crate::error::store_error;
use crate::pool::sqlite;
use crate::{ConnectionOptions, Database, DatabaseError, Store};

/// What SQLite keeps beside a database: a file of such a name would be taken for a part of it.
const BESIDE: [&str; 3] = ["-journal", "-shm", "-wal"];

/// Copies a SQLite database.
#[derive(Debug, Clone)]
pub struct SqliteBackups {
    database: Database,
    file: PathBuf,
    audit_key: Option<AuditKey>,
    clocks: Clocks,
    options: ConnectionOptions,
}

impl SqliteBackups {
    /// Of the database in this file. Its copies are verified with the audit key, if there is one.
    #[must_use]
    pub fn new(
        database: Database,
        file: PathBuf,
        audit_key: Option<AuditKey>,
        clocks: Clocks,
        options: ConnectionOptions,
    ) -> Self {
        Self { database, file, audit_key, clocks, options }
    }
}

#[async_trait]
impl Backups for SqliteBackups {
    async fn copy(&self, file: &Path) -> Result<Box<dyn UnfinishedBackup>, BackupError> {
        let name = std::path::absolute(file).map_err(|source| failed(file, source))?;
        refuse_existing(&name, &self.file)?;
        let copy = Unnamed::create(&name)?;
        let path = copy.path.to_str().ok_or_else(|| failed(file, io::ErrorKind::InvalidFilename.into()))?;
        let into = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO $1", [path.into()]);
        // It reads what was committed when it began, and is in nobody's way.
        self.database.writer.unwatched().execute_raw(into).await.map_err(|error| {
            match store_error(error) {
                StoreError::Full(_) => failed(file, io::ErrorKind::StorageFull.into()),
                other => other.into(),
            }
        })?;
        // SQLite leaves it to the operating system when a copy reaches the disk.
        File::open(&copy.path).and_then(|file| file.sync_all()).map_err(|source| failed(file, source))?;
        let options = ConnectionOptions { max_connections: 1, ..self.options.clone() };
        let opened = sqlite::connect(&copy.path, true, &options).await.map_err(of_database)?;
        let checked = self.checked(&opened).await;
        match checked {
            Ok(store) => Ok(Box::new(Copied { copy, opened, store, name })),
            Err(error) => {
                opened.close().await;
                Err(error)
            }
        }
    }
}

impl SqliteBackups {
    /// Whether the copy is sound, and the store in it if its audit trail can be verified.
    async fn checked(&self, copy: &Database) -> Result<Option<Store>, BackupError> {
        let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check(1)");
        let row = copy.writer.query_one_raw(check).await.map_err(store_error)?;
        let found = row.map(|row| row.try_get_by_index::<String>(0)).transpose().map_err(store_error)?;
        match found.as_deref() {
            Some("ok") => {}
            other => return Err(BackupError::Damaged(other.unwrap_or("nothing was checked").to_owned())),
        }
        let is_of_this_version = match copy.pending().await {
            Ok(pending) => pending.is_empty(),
            Err(DatabaseError::Newer { .. }) => false,
            Err(other) => return Err(of_database(other)),
        };
        match &self.audit_key {
            Some(key) if is_of_this_version && copy.has_audit_key().await.map_err(of_database)? => Ok(Some(
                Store::open(copy.clone(), key.clone(), self.clocks.clone()).await.map_err(of_database)?,
            )),
            _ => Ok(None),
        }
    }
}

/// A file that is removed unless it gets its name.
struct Unnamed {
    path: PathBuf,
}

impl Unnamed {
    fn create(name: &Path) -> Result<Self, BackupError> {
        let file_name =
            name.file_name().ok_or_else(|| failed(name, io::ErrorKind::InvalidFilename.into()))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(file_name);
        hidden.push(format!(".{}.partial", std::process::id()));
        let path = name.with_file_name(hidden);
        // The copy is as confidential as the database.
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        created.map_err(|source| failed(name, source))?;
        Ok(Self { path })
    }

    /// A link and not a renaming, which would overwrite what has come to exist meanwhile.
    fn name(&self, name: &Path) -> Result<(), BackupError> {
        match fs::hard_link(&self.path, name) {
            Ok(()) => fs::remove_file(&self.path).map_err(|source| failed(name, source))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BackupError::FileExists(name.to_owned()));
            }
            // Not every file system has links.
            Err(_) if name.symlink_metadata().is_err() => {
                fs::rename(&self.path, name).map_err(|source| failed(name, source))?;
            }
            Err(source) => return Err(failed(name, source)),
        }
        let folder = name.parent().unwrap_or(Path::new("/"));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| failed(name, source))
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        // Gone if it has its name.
        let _ = fs::remove_file(&self.path);
    }
}

struct Copied {
    copy: Unnamed,
    opened: Database,
    store: Option<Store>,
    name: PathBuf,
}

#[async_trait]
impl UnfinishedBackup for Copied {
    fn audit_trail(&self) -> Option<Arc<dyn AuditTrail>> {
        self.store.clone().map(|store| Arc::new(store) as Arc<dyn AuditTrail>)
    }

    async fn finish(self: Box<Self>) -> Result<u64, BackupError> {
        let Self { copy, opened, store: _, name } = *self;
        opened.close().await;
        let bytes = fs::metadata(&copy.path).map_err(|source| failed(&name, source))?.len();
        copy.name(&name)?;
        Ok(bytes)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// A file that is there, or beside which there is what SQLite would read into it; or a name of the database's own.
fn refuse_existing(name: &Path, database: &Path) -> Result<(), BackupError> {
    let own = BESIDE.iter().map(|suffix| with_suffix(database, suffix));
    let is_own = own.into_iter().any(|own| {
        let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
        own.file_name() == name.file_name()
            && std::path::absolute(&own).is_ok_and(|own| folder(&own) == folder(name))
    });
    let beside = BESIDE.iter().map(|suffix| with_suffix(name, suffix));
    let existing =
        std::iter::once(name.to_owned()).chain(beside).find(|path| path.symlink_metadata().is_ok());
    match existing {
        Some(existing) => Err(BackupError::FileExists(existing)),
        None if is_own => Err(BackupError::FileExists(name.to_owned())),
        None => Ok(()),
    }
}

fn failed(path: &Path, source: io::Error) -> BackupError {
    BackupError::File { path: path.to_owned(), source }
}

fn of_database(error: DatabaseError) -> BackupError {
    match error {
        DatabaseError::Store(error) => error.into(),
        DatabaseError::File { path, source } => BackupError::File { path, source },
        DatabaseError::AuditKeyMismatch => BackupError::AuditKeyMismatch,
        other => StoreError::Unavailable(other.into()).into(),
    }
}
