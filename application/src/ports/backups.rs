//! Copies of the database that a program may be using meanwhile.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::AuditTrail;
use crate::{Coded, ErrorCode, StoreError};

/// Why there is no backup. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file of this name is there, or one that SQLite would take for a part of the backup.
    #[error("{} is there already, and is not overwritten", .0.display())]
    FileExists(PathBuf),
    /// The file cannot be written.
    #[error("the backup {path} cannot be written: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The copy is not a sound database.
    #[error("the copy is damaged, and so may the database be: {0}")]
    Damaged(String),
    /// The audit key is not the one that the database was written with.
    #[error("the audit key is not the one this database was written with")]
    AuditKeyMismatch,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for BackupError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::FileExists(_) => ErrorCode::BackupFileExists,
            Self::File { .. } => ErrorCode::BackupFailed,
            Self::Damaged(_) => ErrorCode::DatabaseCorrupt,
            Self::AuditKeyMismatch => ErrorCode::AuditKeyMismatch,
            Self::Store(error) => error.code(),
        }
    }
}

/// Copies the database.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait Backups: Send + Sync {
    /// Writes everything that was committed before into a new file beside this one, and checks that it is a sound database.
    ///
    /// # Errors
    /// If the file is there already or cannot be written, or if the database fails.
    async fn copy(&self, file: &Path) -> Result<Box<dyn UnfinishedBackup>, BackupError>;
}

/// A copy that does not have its name yet. It is removed when it is dropped.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait UnfinishedBackup: Send {
    /// The audit trail in the copy; none if it has the tables of another version, or nothing was ever stored in it.
    fn audit_trail(&self) -> Option<Arc<dyn AuditTrail>>;

    /// Gives the copy its name, durably; returns its size in bytes.
    ///
    /// # Errors
    /// If a file of this name has come to exist, or the folder cannot be written.
    async fn finish(self: Box<Self>) -> Result<u64, BackupError>;
}
