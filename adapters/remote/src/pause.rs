//! Waiting.

use std::time::Duration;

use async_trait::async_trait;

/// Waits; in tests it only says how long.
#[async_trait]
pub(crate) trait Pause: Send + Sync {
    async fn pause(&self, length: Duration);
}

/// Waits by the runtime's timer.
pub(crate) struct Timer;

#[async_trait]
impl Pause for Timer {
    async fn pause(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}
