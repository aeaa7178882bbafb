//! Holds: what suspends the deletion of an identity.

use std::collections::HashMap;

use async_trait::async_trait;
use reprieve_domain::{Address, DeletionProcessId, Hold, Step, Timestamp};

use super::Version;
use crate::{OperatorNote, StoreError};

/// A hold as it was placed, changed or released last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRecord {
    /// The identity.
    pub address: Address,
    /// The hold.
    pub hold: Hold,
    /// What the operator wrote beside it.
    pub note: Option<OperatorNote>,
    /// Grows with each change: its instant in microseconds of Unix time, or one more than the one before.
    pub revision: i64,
}

/// What is stored of the holds of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredHolds {
    /// Those that are sealed, one for each code, whether or not they are in force.
    pub records: Vec<HoldRecord>,
    /// Whether there are others: then the identity counts as held.
    pub is_damaged: bool,
}

/// Keeps holds. Those of an identity are forgotten with it.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait Holds: Send + Sync {
    /// What is stored of the holds of these identities. One that has none is not in the answer.
    ///
    /// # Errors
    /// If the store fails.
    async fn of(&self, addresses: &[Address]) -> Result<HashMap<Address, StoredHolds>, StoreError>;

    /// At most `limit` holds that are in force at `now`, of one identity or of all, in the order of addresses and codes.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn list<'a>(
        &self,
        address: Option<&'a Address>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<HoldRecord>, StoreError>;

    /// Until when the deletion of this process is suspended, as it is stored now.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn suspended_until(&self, process: &DeletionProcessId) -> Result<Option<Timestamp>, StoreError>;

    /// Stores a hold in the place of the revision that was loaded, or as the first one with its code, together with the step of the open process that goes with it, or nothing, durably before it returns. What
    /// was put off until the end of a suspension is due at `now`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the hold was changed since, if the process is not in the version that was loaded, or if
    /// there is an open process although there is no step; in these cases, as in any other error but a broken connection,
    /// nothing is stored.
    async fn save<'a>(
        &self,
        record: &HoldRecord,
        replaced: Option<i64>,
        step: Option<(&'a Step, Version)>,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Stores holds again that were lost, unless a later revision is stored.
    ///
    /// # Errors
    /// If the store fails; then nothing is stored.
    async fn restore(&self, records: &[HoldRecord]) -> Result<(), StoreError>;
}
