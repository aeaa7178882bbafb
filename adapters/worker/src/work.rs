//! What a kind of work consists of.

use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::{Failure, PassSummary};
use tokio::sync::watch;

/// Work that recurs.
#[async_trait]
pub trait Work: Send + Sync {
    /// The label in metrics, logs and health checks.
    fn name(&self) -> &'static str;

    /// Whether a pass could do its work, as far as the configuration and the files that it names tell; makes nothing.
    ///
    /// # Errors
    /// If it could not.
    async fn check(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Does what is due now, and says when the next pass is. A recurring pass logs what it did, if it did anything.
    ///
    /// # Errors
    /// If the pass ended early.
    async fn pass(&self, mode: &Mode) -> Result<(PassSummary, Next), Failure>;
}

/// The occasion of a pass.
#[derive(Debug)]
pub enum Mode {
    /// A pass by itself, which does all there is.
    Once,
    /// One of many.
    Recurring {
        /// How long ago the last pass began, at most the interval.
        elapsed: Duration,
        /// Once it is true, the pass is to end as soon as what is under way has come to its end.
        shutdown: watch::Receiver<bool>,
    },
}

impl Mode {
    /// Whether the pass is one of many.
    #[must_use]
    pub fn is_recurring(&self) -> bool {
        matches!(self, Self::Recurring { .. })
    }
}

/// When the next pass begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Without a pause.
    AtOnce,
    /// As if something had just been committed.
    Soon,
    /// When something is committed, and after the interval at the latest.
    WhenWoken,
    /// After the interval, whatever is committed.
    AfterInterval,
}
