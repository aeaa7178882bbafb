//! Where answers are kept for requests that come again.

use async_trait::async_trait;
use reprieve_domain::Timestamp;

use crate::{AnsweredRequest, IdempotencyKey, StoreError};

/// Keeps the answers to requests with an idempotency key. The answer to a step is stored with the step, by
/// [`Identities::save`](super::Identities::save); here are those that nothing was stored with.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait AnsweredRequests: Send + Sync {
    /// The request with this key, if it was answered.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn find(&self, key: &IdempotencyKey) -> Result<Option<AnsweredRequest>, StoreError>;

    /// Keeps an answer, durably before it returns, unless there is one for this key already.
    ///
    /// # Errors
    /// [`StoreError::AlreadyAnswered`] if there is one; otherwise if the store fails.
    async fn keep(&self, answered: &AnsweredRequest) -> Result<(), StoreError>;

    /// Forgets the answer to the request with this key if it was received before `instant`.
    ///
    /// # Errors
    /// If the store fails.
    async fn forget(&self, key: &IdempotencyKey, instant: Timestamp) -> Result<(), StoreError>;

    /// Forgets at most `limit` answers to requests that were received before `instant`; returns how many there were.
    ///
    /// # Errors
    /// If the store fails.
    async fn forget_before(&self, instant: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
