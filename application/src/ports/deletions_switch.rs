//! The switch that stops deletions.

use async_trait::async_trait;
use reprieve_domain::Timestamp;

use crate::{PauseReason, StoreError};

/// That no deletion starts, no eraser is asked and no process is completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pause {
    /// An operator has ordered it.
    Ordered {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: PauseReason,
    },
    /// An operator has ordered it, as the journal has it, and the database lacks it: it was put back to an earlier state.
    Lost {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: PauseReason,
    },
    /// What is stored of the switch is not what was written, so that it may have been ordered.
    Unverified,
}

/// Keeps whether deletions are paused, sealed, for all instances. Whatever starts a deletion, claims a task, or completes or
/// closes a process asks it within the same transaction, and fails with [`StoreError::Paused`].
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait DeletionsSwitch: Send + Sync {
    /// The pause that is in force, if there is one.
    ///
    /// # Errors
    /// If the store fails.
    async fn pause_in_force(&self) -> Result<Option<Pause>, StoreError>;

    /// Sets the switch from `now` on: paused for this reason, or resumed. Returns whether anything was changed: what goes on
    /// is not resumed. Once it is stored, whatever was begun before has come to its end or stores nothing.
    ///
    /// # Errors
    /// If the store fails; then nothing is changed.
    async fn set(&self, setting: &SwitchSetting, now: Timestamp) -> Result<bool, StoreError>;
}

impl dyn DeletionsSwitch {
    /// # Errors
    /// [`StoreError::Paused`], and if the store fails.
    pub(crate) async fn ensure_not_paused(&self) -> Result<(), StoreError> {
        self.pause_in_force().await?.map_or(Ok(()), |pause| Err(StoreError::Paused(pause)))
    }
}

/// What the switch is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwitchSetting {
    /// Deletions are paused, also if they were before, for another reason.
    Paused(PauseReason),
    /// They go on.
    Resumed(Option<PauseReason>),
}
