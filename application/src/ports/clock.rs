//! What time it is.

use async_trait::async_trait;
use reprieve_domain::{Moment, Timestamp};

use crate::StoreError;

/// The one source of the current time.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait Clock: Send + Sync {
    /// The current instant, whole microseconds, by the clock that decides.
    fn now(&self) -> Timestamp;

    /// The same, and what those clocks show that disagree with it.
    fn moment(&self) -> Moment {
        self.now().into()
    }
}

/// A clock that stands still.
impl Clock for Timestamp {
    fn now(&self) -> Timestamp {
        *self
    }
}

/// Compares the clocks of a deployment.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ClockGuard: Send + Sync {
    /// Compares them before a pass that does something irreversible because of the time. Where nothing speaks against it,
    /// the present is noted as an instant that has certainly passed, with which later passes are compared.
    ///
    /// # Errors
    /// [`StoreError::ClocksDisagree`], [`StoreError::ClockAhead`], and whatever else the store reports.
    async fn check(&self) -> Result<(), StoreError>;

    /// What all the clocks show.
    ///
    /// # Errors
    /// If the store fails.
    async fn compare(&self) -> Result<ClockReadings, StoreError>;

    /// Notes what an operator says the present is, even if something later was noted.
    ///
    /// # Errors
    /// If the store fails.
    async fn confirm(&self, instant: Timestamp) -> Result<(), StoreError>;
}

/// What the clocks of a deployment show, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockReadings {
    /// The clock that decides: the database server's, or this machine's where the database has none.
    pub deciding: Timestamp,
    /// The clock of this machine.
    pub machine: Timestamp,
    /// The newest instant that a pass or an operator has noted as certainly passed; none if it cannot be trusted.
    pub noted: Option<Timestamp>,
    /// Why nothing irreversible is done at the moment, if something keeps it.
    pub doubt: Option<ClockDoubt>,
}

/// Why the clocks are not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockDoubt {
    /// The clock of this machine is not that of the database.
    Disagree,
    /// The deciding clock is further ahead of what was noted than any pause explains, or what was noted cannot be trusted.
    Ahead,
    /// The deciding clock is behind what was noted.
    Behind,
}
