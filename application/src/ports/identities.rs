//! The aggregate: loading an identity to decide, and storing what was decided.

use async_trait::async_trait;
use reprieve_domain::audit::{ChainHead, DoubtedProcess};
use reprieve_domain::{Address, Identity, Step, Timestamp};

use super::{ErasureTask, TaskOutcome, Waiver};
use crate::{AnsweredRequest, StoreError};

/// Which state was loaded: where the audit chain of the open process ended. Every step adds an entry to that chain and
/// nothing else does, so a chain that has not grown is a process that has not changed.
pub type Version = ChainHead;

/// Something that was loaded, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<T> {
    /// What was loaded.
    pub value: T,
    /// Which version of it.
    pub version: Version,
}

/// What is stored together with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alongside<'a> {
    /// Nothing else.
    Nothing,
    /// The answer to the request that the step answers, which may come again.
    Answer(&'a AnsweredRequest),
    /// What came of the task that led to the step, at this instant.
    Task(&'a ErasureTask, &'a TaskOutcome, Timestamp),
    /// What the operator says who waives an erasure. The task of the eraser is gone, and a worker that performs it has lost it.
    Waiver(&'a Waiver),
}

/// A step, and the version that it was decided on.
pub type Decided = (Step, Version);

/// Loads identities and stores their steps.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait Identities: Send + Sync {
    /// The identity with this address and its open process. An identity is not registered anywhere: one that was never
    /// heard of has no open process.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn load(&self, address: &Address) -> Result<Loaded<Identity>, StoreError>;

    /// The open process of this identity if it does not verify, so that its owner can cancel it all the same. Only asked once
    /// what [`load`](Self::load) gives was refused.
    ///
    /// # Errors
    /// If the store fails.
    async fn load_doubted(&self, address: &Address) -> Result<Option<DoubtedProcess>, StoreError>;

    /// Stores process, audit entry, event and new tasks of a step, and what is stored `alongside`, all together or
    /// nothing, durably before it returns; and only if the process is still in the version that was loaded and the step's
    /// [deadline](reprieve_domain::Deadline) holds of what is stored.
    ///
    /// A step that names a fault puts all of the row to what the step says of the process, behind the newest entry that there
    /// is, and removes the tasks that it may have.
    ///
    /// When an eraser acknowledges or is waived, the task that finishes the process is due; a worker that has claimed that one before
    /// has lost it, or it would put it off again although the last acknowledgement has come since it looked.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if one of the two does not hold, [`StoreError::OpenProcessExists`] if the step would
    /// make a second open process, [`StoreError::AlreadyAnswered`] if the request was answered before,
    /// [`StoreError::LeaseLost`] if another worker has claimed the task since; in all these cases, as in any other error
    /// but a broken connection, nothing is stored.
    async fn save<'a>(
        &self,
        step: &Step,
        version: Version,
        alongside: Alongside<'a>,
    ) -> Result<(), StoreError>;

    /// Stores the steps of many identities, each as [`save`](Self::save) does, with as few transactions as possible.
    /// Returns for each, in their order, whether it was stored: it is not if its process is no longer what the step was
    /// decided on, or is in use by another worker. One that fails holds up no other.
    ///
    /// # Errors
    /// If the store fails as a whole; then nothing of it is stored.
    async fn save_all(&self, steps: &[Decided]) -> Result<Vec<Result<bool, StoreError>>, StoreError>;
}
