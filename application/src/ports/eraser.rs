//! Erasing one kind of data of one identity.

use async_trait::async_trait;
use std::time::Duration;

use reprieve_domain::{Address, DeletionProcessId, EraserName, FailureCode};

/// What an eraser is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EraseRequest {
    /// Whose data is to be erased.
    pub address: Address,
    /// The process in which it is. Not a reason to answer from memory: what was erased once may have come back with a
    /// backup.
    pub process_id: DeletionProcessId,
    /// Where to ask how far the eraser is, if it said so in an earlier answer.
    pub poll: Option<String>,
}

/// What an eraser answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EraseAnswer {
    /// The data is gone, and durably so.
    Erased {
        /// How many things were erased.
        count: u64,
    },
    /// It is being erased.
    Working {
        /// Where to ask how far it is; none if the question is to be the same.
        poll: Option<String>,
        /// When to ask, if the eraser has a wish.
        ask_in: Option<Duration>,
    },
    /// It was not erased, or nobody knows.
    Failed(FailureCode),
}

/// What an eraser would erase, as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasePlan {
    /// So many things.
    Count(u64),
    /// It cannot say in advance.
    Unknown,
    /// It was asked and failed to say.
    Failed(FailureCode),
}

/// Erases one kind of data of one identity. It must come to the same end however often it is asked, because a crash may
/// come between its answer and our knowing it.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait Eraser: Send + Sync {
    /// What it is called, in configuration and audit trail.
    fn name(&self) -> &EraserName;

    /// Erases. Once the data is acknowledged to be gone it is not asked again in this process.
    async fn erase(&self, request: &EraseRequest) -> EraseAnswer;

    /// Says what it would erase, and erases nothing.
    async fn plan(&self, address: &Address) -> ErasePlan;

    /// Whether it is there, as far as can be told without asking it anything.
    ///
    /// # Errors
    /// If it is not.
    async fn reach(&self) -> Result<(), FailureCode> {
        Ok(())
    }
}
