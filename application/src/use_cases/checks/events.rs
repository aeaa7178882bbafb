//! Whether sinks take their events.

use std::sync::Arc;

use super::some_of;
use crate::ports::EventDeliveries;
use crate::{Area, ErrorCode, Failure, Finding, StoreError};

/// Looks for events that wait for an operator.
pub struct CheckEvents {
    deliveries: Arc<dyn EventDeliveries>,
}

impl CheckEvents {
    /// With its port.
    #[must_use]
    pub fn new(deliveries: Arc<dyn EventDeliveries>) -> Self {
        Self { deliveries }
    }

    /// What was found: nothing, if no event is parked.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self) -> Result<Option<Finding>, StoreError> {
        let figures = self.deliveries.figures().await?;
        let parked: Vec<String> = figures
            .iter()
            .filter(|sink| sink.parked > 0)
            .map(|sink| format!("{} ({})", sink.sink, sink.parked))
            .collect();
        Ok((!parked.is_empty()).then(|| {
            let message = format!("events are parked for {}", some_of(&parked));
            Finding::failed(Area::Events, Failure::new(ErrorCode::EventsParked, message))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{MockEventDeliveries, SinkFigures};

    #[tokio::test]
    async fn only_sinks_with_parked_events_are_named() {
        let mut deliveries = MockEventDeliveries::new();
        deliveries.expect_figures().returning(|| {
            let of = |sink: &str, parked| SinkFigures {
                sink: sink.parse().unwrap(),
                waiting: 5,
                retrying: 5,
                parked,
            };
            Ok(vec![of("crm", 0), of("bus", 2)])
        });
        let finding = CheckEvents::new(Arc::new(deliveries)).execute().await.unwrap().unwrap();
        assert_eq!(finding.message, "events are parked for bus (2)");
        assert_eq!(finding.code, Some(ErrorCode::EventsParked));
    }
}
