//! How the sinks are doing.

use std::sync::Arc;

use crate::StoreError;
use crate::ports::{EventDeliveries, SinkFigures};

/// Counts the events that wait for each sink, and those that wait for somebody to look after them.
pub struct GetSinkFigures {
    deliveries: Arc<dyn EventDeliveries>,
}

impl GetSinkFigures {
    /// With its port.
    #[must_use]
    pub fn new(deliveries: Arc<dyn EventDeliveries>) -> Self {
        Self { deliveries }
    }

    /// The figures right now, of every sink that was ever told anything.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self) -> Result<Vec<SinkFigures>, StoreError> {
        self.deliveries.figures().await
    }
}
