//! Telling somebody of an event.

use async_trait::async_trait;
use reprieve_domain::FailureCode;

use crate::{OutgoingEvent, SinkName};

/// Why an event was not delivered. If nobody knows whether it was, it was not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// This event was not taken; another one may well be.
    #[error("the event was refused: {0}")]
    Refused(FailureCode),
    /// Nothing can be delivered now.
    #[error("the sink is not there: {0}")]
    Unreachable(FailureCode),
}

/// Somebody who wants to be told of events.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait EventSink: Send + Sync {
    /// What it is called, for good.
    fn name(&self) -> &SinkName;

    /// Whether it is to be told of this event at all.
    fn wants(&self, event: &OutgoingEvent) -> bool;

    /// How many events may be on their way to it at once.
    fn concurrency(&self) -> usize;

    /// Delivers an event: when this returns, the sink has it, durably. Comes to an end in less than half of the lease that
    /// is configured. No two events of one identity are on their way at once.
    ///
    /// # Errors
    /// If it was not delivered, or nobody knows.
    async fn send(&self, event: &OutgoingEvent) -> Result<(), SendError>;

    /// Whether it is there and lets us in, as far as can be told without sending anything or making anything there.
    ///
    /// # Errors
    /// If it is not.
    async fn reach(&self) -> Result<(), FailureCode> {
        Ok(())
    }
}
