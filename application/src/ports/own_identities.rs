//! Where the own identity is kept.

use async_trait::async_trait;

use reprieve_domain::DeletionProcessId;

use crate::{OwnIdentity, StoreError};

/// That an own identity was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedOwnIdentity {
    /// The process in which it was.
    pub process_id: DeletionProcessId,
    /// The signed receipt, while it is kept.
    pub receipt: Option<String>,
}

/// Keeps the one identity this installation acts for.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait OwnIdentities: Send + Sync {
    /// The own identity, if there is one yet.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn load(&self) -> Result<Option<OwnIdentity>, StoreError>;

    /// Keeps `identity` unless there is one already, durably before it returns; returns the one that is kept.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn keep(&self, identity: &OwnIdentity) -> Result<OwnIdentity, StoreError>;

    /// That the own identity before this one was deleted, until [`Self::deletion_was_shown`].
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn deleted(&self) -> Result<Option<DeletedOwnIdentity>, StoreError>;

    /// From now on, nothing is said of this deletion any more.
    ///
    /// # Errors
    /// If the store fails.
    async fn deletion_was_shown(&self, process: &DeletionProcessId) -> Result<(), StoreError>;
}
