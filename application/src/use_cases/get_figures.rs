//! How many processes need something.

use std::sync::Arc;

use crate::StoreError;
use crate::ports::{Clock, DeletionProcesses, Figures};

/// Counts the processes that are open, due and overdue.
pub struct GetFigures {
    processes: Arc<dyn DeletionProcesses>,
    clock: Arc<dyn Clock>,
}

impl GetFigures {
    /// How long a process may be due before it counts as overdue, in microseconds: one hour.
    pub const OVERDUE_AFTER: i64 = 3600 * 1_000_000;

    /// With its ports.
    #[must_use]
    pub fn new(processes: Arc<dyn DeletionProcesses>, clock: Arc<dyn Clock>) -> Self {
        Self { processes, clock }
    }

    /// The figures right now.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self) -> Result<Figures, StoreError> {
        let now = self.clock.now();
        let overdue_since = now.checked_add_micros(-Self::OVERDUE_AFTER).unwrap_or(now);
        self.processes.figures(now, overdue_since).await
    }
}
