//! What operators ask about events that could not be delivered, and the one thing they can do about them.

use std::sync::Arc;

use crate::ports::{Clock, EventDeliveries, ParkedEvent, Redelivery};
use crate::{Coded, ErrorCode, SinkName, StoreError};

/// Shows events that wait for somebody to look after them.
pub struct ShowParkedEvents {
    deliveries: Arc<dyn EventDeliveries>,
}

/// Has events delivered at once that are parked or wait to be tried again.
pub struct RedeliverEvents {
    deliveries: Arc<dyn EventDeliveries>,
    clock: Arc<dyn Clock>,
}

/// Why nothing is delivered again.
#[derive(Debug, thiserror::Error)]
pub enum RedeliverEventsError {
    /// The event is unknown, or no sink waits for it that has refused it or is failing.
    #[error("no event with this id is parked or waits to be sent again")]
    NotWaiting,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for RedeliverEventsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotWaiting => ErrorCode::RecordNotFound,
            Self::Store(error) => error.code(),
        }
    }
}

impl ShowParkedEvents {
    /// With its port.
    #[must_use]
    pub fn new(deliveries: Arc<dyn EventDeliveries>) -> Self {
        Self { deliveries }
    }

    /// At most `limit` events, of one sink or of all, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self, sink: Option<&SinkName>, limit: u32) -> Result<Vec<ParkedEvent>, StoreError> {
        self.deliveries.parked(sink, limit).await
    }
}

impl RedeliverEvents {
    /// With its ports.
    #[must_use]
    pub fn new(deliveries: Arc<dyn EventDeliveries>, clock: Arc<dyn Clock>) -> Self {
        Self { deliveries, clock }
    }

    /// Has events sent by the next pass that are parked or wait to be tried again, to one sink or to all: the one with this
    /// id, or all there are. Failing sinks are tried as well, before their time.
    ///
    /// # Errors
    /// If the one with this id waits for none, or if the store fails.
    pub async fn execute(
        &self,
        sink: Option<&SinkName>,
        event_id: Option<&str>,
    ) -> Result<Redelivery, RedeliverEventsError> {
        // A step that changes the status is told of by two messages; whoever has the id of the other one means the same.
        let event_id = event_id.map(|id| id.strip_suffix("-status").unwrap_or(id));
        let redelivery = self.deliveries.redeliver(sink, event_id, self.clock.now()).await?;
        if event_id.is_some() && redelivery == Redelivery::default() {
            return Err(RedeliverEventsError::NotWaiting);
        }
        Ok(redelivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockEventDeliveries;
    use crate::use_cases::test_data::{at, clock_at};

    #[tokio::test]
    async fn an_event_that_waits_for_nothing_is_refused_but_that_there_are_none_at_all_is_not() {
        for (event_id, events, sinks, is_refused) in [
            (Some("EVT1"), 2, 0, false),
            (Some("EVT1-status"), 1, 1, false),
            (Some("EVT1"), 0, 1, false),
            (Some("EVT1"), 0, 0, true),
            (None, 3, 0, false),
            (None, 0, 0, false),
        ] {
            let redelivery = Redelivery { events, sinks };
            let sink: SinkName = "hook".parse().unwrap();
            let mut deliveries = MockEventDeliveries::new();
            deliveries
                .expect_redeliver()
                .withf(move |name, id, now| {
                    name.map(SinkName::as_str) == Some("hook")
                        && *id == event_id.map(|_| "EVT1")
                        && *now == at(5)
                })
                .times(1)
                .returning(move |_, _, _| Ok(redelivery));
            let use_case = RedeliverEvents::new(Arc::new(deliveries), clock_at(5));
            let result = use_case.execute(Some(&sink), event_id).await;
            let expected = if is_refused { Err(ErrorCode::RecordNotFound) } else { Ok(redelivery) };
            assert_eq!(result.map_err(|error| error.code()), expected);
        }
    }
}
