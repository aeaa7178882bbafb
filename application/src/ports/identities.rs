//! The aggregate: loading an identity to decide, and storing what was decided.

use async_trait::async_trait;
use reprieve_domain::audit::ChainHead;
use reprieve_domain::{Address, Identity, Step};

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

    /// Stores process, audit entry and event of a step, all together or nothing, durably before it returns; and only
    /// if the process is still in the version that was loaded and the step's
    /// [deadline](reprieve_domain::Deadline) holds of what is stored. If the step answers a request that may come again,
    /// the answer is stored with it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if one of the two does not hold, [`StoreError::OpenProcessExists`] if the step would
    /// make a second open process, [`StoreError::AlreadyAnswered`] if the request was answered before; in all three
    /// cases, as in any other error but a broken connection, nothing is stored.
    async fn save<'a>(
        &self,
        step: &Step,
        version: Version,
        answered: Option<&'a AnsweredRequest>,
    ) -> Result<(), StoreError>;
}
