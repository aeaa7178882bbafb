//! Forgetting what has been kept for long enough.

use std::sync::Arc;
use std::time::Duration;

use super::AnswerOnce;
use crate::backoff::before;
use crate::ports::{AnsweredRequests, Batch, Clock, ClockGuard, Housekeeping};
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
    /// Processes that are left alone, because they do not verify.
    pub quarantined: u64,
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
        let left = house.review_quarantine().await?;
        let of_processes = all(|| house.cancelled_processes(cancelled, BATCH)).await?;
        // The sinks first: events may be kept for them alone.
        let sinks = house.sinks(&self.sinks, events).await?;
        let events = all(|| forgotten(house.events(&self.sinks, events, BATCH))).await?.forgotten;
        // After the events, whose trails stay.
        let of_trails = all(|| house.audit_trails(trails, BATCH)).await?;
        Ok(Forgotten {
            cancelled_processes: of_processes.forgotten,
            sinks,
            events,
            audit_trails: of_trails.forgotten,
            answers: all(|| forgotten(self.answered.forget_before(answers, BATCH))).await?.forgotten,
            quarantined: left + of_processes.quarantined + of_trails.quarantined,
        })
    }
}

/// Goes on until a batch is not full.
async fn all<F: Future<Output = Result<Batch, StoreError>>>(
    batch: impl Fn() -> F,
) -> Result<Batch, StoreError> {
    let mut all = Batch::default();
    loop {
        let Batch { forgotten, quarantined } = batch().await?;
        all.forgotten += forgotten;
        all.quarantined += quarantined;
        if forgotten + quarantined < u64::from(BATCH) {
            return Ok(all);
        }
    }
}

/// Of what needs no verifying.
async fn forgotten(count: impl Future<Output = Result<u64, StoreError>>) -> Result<Batch, StoreError> {
    Ok(Batch { forgotten: count.await?, quarantined: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{MockAnsweredRequests, MockHousekeeping};
    use crate::use_cases::test_data::{DAY, at, clock_at, sound_clocks};

    #[tokio::test]
    async fn it_goes_on_until_nothing_old_is_left() {
        let mut house = MockHousekeeping::new();
        house.expect_review_quarantine().returning(|| Ok(1));
        // One that does not verify holds up nothing behind it.
        let mut batches = vec![(7, 0), (999, 1), (1000, 0)];
        house.expect_cancelled_processes().withf(|instant, _| *instant == at(770 * DAY)).times(3).returning(
            move |_, _| {
                let (forgotten, quarantined) = batches.pop().unwrap();
                Ok(Batch { forgotten, quarantined })
            },
        );
        house
            .expect_audit_trails()
            .withf(|instant, _| *instant == at(69 * DAY))
            .returning(|_, _| Ok(Batch { forgotten: 2, quarantined: 3 }));
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
        let forgotten = Forgotten {
            cancelled_processes: 2006,
            audit_trails: 2,
            events: 3,
            sinks: 5,
            answers: 4,
            quarantined: 5,
        };
        assert_eq!(use_case.execute().await.unwrap(), forgotten);
    }
}
