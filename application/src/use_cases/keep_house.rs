//! Forgetting what has been kept for long enough.

use std::sync::Arc;
use std::time::Duration;

use super::AnswerOnce;
use crate::backoff::before;
use crate::ports::{AnsweredRequests, Clock, ClockGuard, Housekeeping};
use crate::{SinkName, StoreError};

/// How many are forgotten in one go, so that nothing is held up for long.
const BATCH: u32 = 1000;

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Cancelled processes, from their cancellation on.
    pub cancelled_processes: Duration,
    /// Audit trails and receipts of deleted identities, from the deletion on.
    pub audit_trails: Duration,
    /// Events that no sink waits for, and what is known of sinks that are not configured any more.
    pub events: Duration,
}

impl Default for Retention {
    /// 30 and 731 days, as in enmeshed, and 7 days.
    fn default() -> Self {
        let days = |days: u64| Duration::from_hours(24 * days);
        Self { cancelled_processes: days(30), audit_trails: days(731), events: days(7) }
    }
}

/// Forgets what has been kept for long enough.
pub struct KeepHouse {
    housekeeping: Arc<dyn Housekeeping>,
    answered: Arc<dyn AnsweredRequests>,
    clock: Arc<dyn Clock>,
    clocks: Arc<dyn ClockGuard>,
    retention: Retention,
    sinks: Vec<SinkName>,
}

/// How much was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Cancelled processes.
    pub cancelled_processes: u64,
    /// Processes whose audit trail was forgotten.
    pub audit_trails: u64,
    /// Events.
    pub events: u64,
    /// Sinks that are not configured any more.
    pub sinks: u64,
    /// Answers that no repetition of a request can ask for any more.
    pub answers: u64,
}

impl KeepHouse {
    /// With its ports, and the sinks that are configured.
    #[must_use]
    pub fn new(
        housekeeping: Arc<dyn Housekeeping>,
        answered: Arc<dyn AnsweredRequests>,
        clock: Arc<dyn Clock>,
        clocks: Arc<dyn ClockGuard>,
        retention: Retention,
        sinks: Vec<SinkName>,
    ) -> Self {
        Self { housekeeping, answered, clock, clocks, retention, sinks }
    }

    /// Forgets all of it, in batches.
    ///
    /// # Errors
    /// If the clocks are not believed, or if the store fails; what was forgotten until then stays forgotten.
    pub async fn execute(&self) -> Result<Forgotten, StoreError> {
        self.clocks.check().await?;
        let now = self.clock.now();
        let house = &self.housekeeping;
        let Retention { cancelled_processes, audit_trails, events } = self.retention;
        let (cancelled, trails, events) =
            (before(now, cancelled_processes), before(now, audit_trails), before(now, events));
        let answers = AnswerOnce::forgotten_before(now);
        Ok(Forgotten {
            cancelled_processes: all(|| house.cancelled_processes(cancelled, BATCH)).await?,
            // The sinks first: events may be kept for them alone.
            sinks: house.sinks(&self.sinks, events).await?,
            events: all(|| house.events(&self.sinks, events, BATCH)).await?,
            // After the events, whose trails stay.
            audit_trails: all(|| house.audit_trails(trails, BATCH)).await?,
            answers: all(|| self.answered.forget_before(answers, BATCH)).await?,
        })
    }
}

/// Goes on until a batch is not full.
async fn all<F: Future<Output = Result<u64, StoreError>>>(batch: impl Fn() -> F) -> Result<u64, StoreError> {
    let mut forgotten = 0;
    loop {
        let count = batch().await?;
        forgotten += count;
        if count < u64::from(BATCH) {
            return Ok(forgotten);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{MockAnsweredRequests, MockHousekeeping};
    use crate::use_cases::test_data::{DAY, at, clock_at, sound_clocks};

    #[tokio::test]
    async fn it_goes_on_until_nothing_old_is_left() {
        let mut house = MockHousekeeping::new();
        let mut batches = vec![7, 1000, 1000];
        house
            .expect_cancelled_processes()
            .withf(|instant, _| *instant == at(770 * DAY))
            .times(3)
            .returning(move |_, _| Ok(batches.pop().unwrap()));
        house.expect_audit_trails().withf(|instant, _| *instant == at(69 * DAY)).returning(|_, _| Ok(2));
        let sinks: Vec<SinkName> = vec!["mail".parse().unwrap()];
        let known = sinks.clone();
        house
            .expect_sinks()
            .withf(move |sinks, instant| sinks == known && *instant == at(793 * DAY))
            .returning(|_, _| Ok(5));
        house.expect_events().withf(|_, instant, _| *instant == at(793 * DAY)).returning(|_, _, _| Ok(3));
        let mut answered = MockAnsweredRequests::new();
        answered.expect_forget_before().withf(|instant, _| *instant == at(799 * DAY)).returning(|_, _| Ok(4));
        let use_case = KeepHouse::new(
            Arc::new(house),
            Arc::new(answered),
            clock_at(800 * DAY),
            sound_clocks(),
            Retention::default(),
            sinks,
        );
        let forgotten =
            Forgotten { cancelled_processes: 2007, audit_trails: 2, events: 3, sinks: 5, answers: 4 };
        assert_eq!(use_case.execute().await.unwrap(), forgotten);
    }
}
