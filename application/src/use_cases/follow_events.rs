//! Looking on while events happen.

use std::sync::Arc;

use crate::StoreError;
use crate::ports::{EventDeliveries, WaitingEvent};

/// How many events are read in one go.
const AT_ONCE: u32 = 100;

/// Reads events as they happen, each once. That takes nothing away from any sink.
pub struct FollowEvents {
    deliveries: Arc<dyn EventDeliveries>,
    /// Up to this place everything was read; none before it is known from where on.
    read_to: Option<i64>,
}

impl FollowEvents {
    /// With its port: from the first event that is kept, or from the first that happens after this is executed.
    #[must_use]
    pub fn new(deliveries: Arc<dyn EventDeliveries>, from_beginning: bool) -> Self {
        Self { deliveries, read_to: from_beginning.then_some(0) }
    }

    /// The next events, in their order; none if none has happened since.
    ///
    /// # Errors
    /// If the store fails; then the next events are the same.
    pub async fn execute(&mut self) -> Result<Vec<WaitingEvent>, StoreError> {
        let after = match self.read_to {
            Some(after) => after,
            None => self.deliveries.end().await?,
        };
        self.read_to = Some(after);
        let events = self.deliveries.since(after, AT_ONCE).await?;
        self.read_to = Some(events.last().map_or(after, |event| event.sequence));
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockEventDeliveries;
    use mockall::Sequence;

    fn waiting(sequence: i64) -> WaitingEvent {
        // What is wrong with a row does not keep anybody from the next.
        let event = Err(StoreError::Conflict);
        let address = "did:web:example.org".to_owned();
        WaitingEvent { sequence, address, event, attempts: 0, failing_since: None, is_behind: false }
    }

    /// Each step: behind which place is asked, and the places of what is there; none if the store fails.
    fn deliveries(steps: &[(i64, Option<&'static [i64]>)]) -> MockEventDeliveries {
        let (mut deliveries, mut order) = (MockEventDeliveries::new(), Sequence::new());
        for (after, there) in steps.iter().copied() {
            deliveries
                .expect_since()
                .withf(move |asked, _| *asked == after)
                .times(1)
                .in_sequence(&mut order)
                .returning(move |_, _| {
                    let there = there.ok_or(StoreError::Unavailable("gone".into()))?;
                    Ok(there.iter().copied().map(waiting).collect())
                });
        }
        deliveries
    }

    async fn read(use_case: &mut FollowEvents) -> Option<Vec<i64>> {
        Some(use_case.execute().await.ok()?.iter().map(|event| event.sequence).collect())
    }

    #[tokio::test]
    async fn what_was_there_before_is_read_only_from_the_beginning_on() {
        let mut mock = deliveries(&[(7, Some(&[])), (7, Some(&[8])), (8, Some(&[]))]);
        mock.expect_end().times(1).returning(|| Ok(7));
        let mut use_case = FollowEvents::new(Arc::new(mock), false);
        for expected in [&[][..], &[8], &[]] {
            assert_eq!(read(&mut use_case).await.as_deref(), Some(expected));
        }
        let mut mock = deliveries(&[(0, Some(&[3, 7])), (7, Some(&[8]))]);
        mock.expect_end().never();
        let mut use_case = FollowEvents::new(Arc::new(mock), true);
        for expected in [&[3, 7][..], &[8]] {
            assert_eq!(read(&mut use_case).await.as_deref(), Some(expected));
        }
    }

    #[tokio::test]
    async fn nothing_is_left_out_if_the_store_fails_in_between() {
        let mut mock = deliveries(&[(7, None), (7, Some(&[8])), (8, None), (8, Some(&[9]))]);
        mock.expect_end().times(1).returning(|| Ok(7));
        let mut use_case = FollowEvents::new(Arc::new(mock), false);
        for expected in [None, Some(vec![8]), None, Some(vec![9])] {
            assert_eq!(read(&mut use_case).await, expected);
        }
    }
}
