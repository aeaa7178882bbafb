//! The record of erased identities that a restored backup does not undo.

use async_trait::async_trait;
use reprieve_domain::audit::ErasureLedgerEntry;

use crate::{Coded, ErrorCode};

/// The ledger cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It is not reached, or there is no room left.
    #[error("the erasure ledger {ledger} cannot be used")]
    Unavailable {
        /// Which one.
        ledger: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It has content that nobody with this audit key wrote.
    #[error("the erasure ledger {ledger} is damaged in line {line}: {problem}")]
    Corrupt {
        /// Which one.
        ledger: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
}

impl Coded for LedgerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable { .. } => ErrorCode::LedgerUnavailable,
            Self::Corrupt { .. } => ErrorCode::LedgerCorrupt,
        }
    }
}

/// Keeps the erasure ledger, outside the database.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ErasureLedger: Send + Sync {
    /// Appends entries, durably before it returns. An entry may be there twice: whoever crashes before he could note that
    /// it is there appends it again.
    ///
    /// # Errors
    /// If it cannot be written; then nothing may be erased.
    async fn append(&self, entries: &[ErasureLedgerEntry]) -> Result<(), LedgerError>;

    /// Every entry, in the order in which they were written.
    ///
    /// # Errors
    /// If it cannot be read, or an entry is damaged. A last line that a crash cut off is none: nothing was erased on its
    /// account.
    async fn entries(&self) -> Result<Vec<ErasureLedgerEntry>, LedgerError>;
}
