//! Where the own identity is kept.

use async_trait::async_trait;

use crate::{OwnIdentity, StoreError};

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
}
