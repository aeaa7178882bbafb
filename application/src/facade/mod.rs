//! What can be asked on behalf of the own identity, wherever the answer comes from.
//!
//! The use cases answer from a store that is at hand ([`LocalIdentityDeletion`]); a client of a service answers from
//! that service. Whoever asks cannot tell them apart, and gets data to show, not domain values to decide on: the
//! decision was made where the process is stored.

mod data;
mod local;

use async_trait::async_trait;
use reprieve_domain::Timestamp;

use crate::Failure;
use crate::ports::DeletedOwnIdentity;

pub use data::{IdentityData, ProcessData};
pub use local::LocalIdentityDeletion;

/// The own identity and its deletion. A failure has the same code, whoever answers.
#[async_trait]
pub trait IdentityDeletionFacade: Send + Sync {
    /// What time it is where deadlines are decided, as far as that is known here: to say what is left.
    fn now(&self) -> Timestamp;

    /// The own identity with its open process, be it Active or Deleting.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn identity(&self) -> Result<IdentityData, Failure>;

    /// That the own identity before this one was deleted, until [`Self::deletion_was_shown`]. A service does not know it.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn deleted_before(&self) -> Result<Option<DeletedOwnIdentity>, Failure> {
        Ok(None)
    }

    /// From now on, nothing is said of this deletion any more. If that cannot be stored, it is said once more.
    async fn deletion_was_shown(&self, _: &DeletedOwnIdentity) {}

    /// Creates an Active process whose grace period lasts `length_in_days` (fractions allowed), or as long as the
    /// deployment's default.
    ///
    /// # Errors
    /// If the identity has an open process, if the length is not within the deployment's bounds, or if it cannot be
    /// stored.
    async fn initiate(&self, length_in_days: Option<f64>) -> Result<ProcessData, Failure>;

    /// Cancels the Active process.
    ///
    /// # Errors
    /// If there is none, if its grace period is over, or if it cannot be stored.
    async fn cancel(&self) -> Result<ProcessData, Failure>;

    /// The Active process.
    ///
    /// # Errors
    /// If there is none, or if it cannot be read.
    async fn active(&self) -> Result<ProcessData, Failure>;

    /// The process with this id.
    ///
    /// # Errors
    /// If the id is malformed, if the identity has no such process, or if it cannot be read.
    async fn process(&self, id: &str) -> Result<ProcessData, Failure>;

    /// Every process, oldest first, cancelled ones included.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn processes(&self) -> Result<Vec<ProcessData>, Failure>;
}
