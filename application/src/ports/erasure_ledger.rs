//! The record of erased identities that older versions kept where a restored backup does not undo it.

use async_trait::async_trait;
use reprieve_domain::audit::ErasureLedgerEntry;

use crate::{Coded, ErrorCode};

/// The ledger cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the erasure ledger {ledger} cannot be used")]
pub struct LedgerError {
    /// Which one.
    pub ledger: String,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// What is in a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LedgerContent {
    /// Every entry, in the order in which they were written, with its line from 1. Whether it is sealed is for who holds
    /// the audit key to say.
    pub entries: Vec<(usize, ErasureLedgerEntry)>,
    /// The lines that are no entry. What others wrote holds up none of the rest.
    pub damaged: Vec<usize>,
}

impl Coded for LedgerError {
    fn code(&self) -> ErrorCode {
        ErrorCode::LedgerUnavailable
    }
}

/// The erasure ledger that an older version has kept outside the database.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ErasureLedger: Send + Sync {
    /// How long it is, in bytes; none if there is none.
    ///
    /// # Errors
    /// If that cannot be found out.
    async fn length(&self) -> Result<Option<u64>, LedgerError>;

    /// Everything that is in it, where an entry may be twice. A last line that a crash cut off is none: nothing was erased
    /// on its account.
    ///
    /// # Errors
    /// If it cannot be read, or is not there: an empty ledger and one that was not brought along must not look the same.
    async fn content(&self) -> Result<LedgerContent, LedgerError>;
}
