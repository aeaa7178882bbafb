//! Forgetting what the journal has kept for long enough.

use std::sync::Arc;

use crate::StoreError;
use crate::journal::Journaling;
use crate::ports::ClockGuard;

/// How many processes are forgotten in one go.
const BATCH: u32 = 500;

/// Removes from the journal what is about processes that were closed long ago.
pub struct ForgetJournal {
    journaling: Journaling,
    clocks: Arc<dyn ClockGuard>,
}

impl ForgetJournal {
    /// With its ports.
    #[must_use]
    pub fn new(journaling: Journaling, clocks: Arc<dyn ClockGuard>) -> Self {
        Self { journaling, clocks }
    }

    /// Forgets all of it, in batches; returns how many processes.
    ///
    /// # Errors
    /// If the clocks are not believed, if the journal is not the one that the database knows or cannot be used, or if the
    /// store fails.
    pub async fn execute(&self) -> Result<u64, StoreError> {
        self.clocks.check().await?;
        self.journaling.attach().await?;
        let (instant, mut forgotten) = (self.journaling.kept_since(), 0);
        loop {
            let count = self.journaling.journal.forget_closed_before(instant, BATCH).await?;
            forgotten += count;
            if count < u64::from(BATCH) {
                return Ok(forgotten);
            }
        }
    }
}
