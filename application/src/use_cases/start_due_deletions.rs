//! Active → Deleting, for everything whose grace period is over.

use std::num::NonZeroU32;
use std::sync::Arc;

use reprieve_domain::Timestamp;

use super::sweep::{BATCH, Sweep, Swept};
use crate::ports::{AuditTrail, Clock, ClockGuard, DeletionsSwitch, DueProcesses, Holds, Identities};
use crate::{Erasers, StoreError};

/// Starts the deletion of every ripe process.
///
/// That a process was found ripe is a reason to ask, not to act: the domain decides on what is stored while nobody else
/// can change it, and the deadline is in the condition of the statement that writes. A cancellation that committed first
/// wins.
pub struct StartDueDeletions {
    sweep: Sweep,
    switch: Arc<dyn DeletionsSwitch>,
    clock: Arc<dyn Clock>,
    clocks: Arc<dyn ClockGuard>,
    erasers: Erasers,
    most_per_hour: Option<NonZeroU32>,
}

/// The ports of [`StartDueDeletions`], which has too many to tell apart by position.
pub struct StartDueDeletionsPorts {
    /// What is due.
    pub processes: Arc<dyn DueProcesses>,
    /// The audit trail.
    pub audit_trail: Arc<dyn AuditTrail>,
    /// The processes.
    pub identities: Arc<dyn Identities>,
    /// What suspends deletions.
    pub holds: Arc<dyn Holds>,
    /// Whether deletions are paused.
    pub switch: Arc<dyn DeletionsSwitch>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether the clocks are believed.
    pub clocks: Arc<dyn ClockGuard>,
}

impl StartDueDeletions {
    /// The time over which starts are limited, in microseconds: 60 minutes.
    const HOUR: i64 = 3600 * 1_000_000;

    /// With its ports, and how many deletions start within an hour at most, if there is a limit; each of the erasers must acknowledge before a process that starts now is complete.
    #[must_use]
    pub fn new(ports: StartDueDeletionsPorts, erasers: Erasers, most_per_hour: Option<NonZeroU32>) -> Self {
        let StartDueDeletionsPorts { processes, audit_trail, identities, holds, switch, clock, clocks } =
            ports;
        Self {
            sweep: Sweep { processes, audit_trail, identities, holds: Some(holds) },
            switch,
            clock,
            clocks,
            erasers,
            most_per_hour,
        }
    }

    /// One pass over what is ripe now, the earliest end first, as far as the limit allows. Instances that come at the same
    /// time may exceed it by a batch each.
    ///
    /// # Errors
    /// If deletions are paused, if the clocks are not believed, or if the store fails as a whole; what was started until
    /// then stays started.
    pub async fn execute(&self) -> Result<Swept, StoreError> {
        self.switch.ensure_not_paused().await?;
        self.clocks.check().await?;
        let ends_by = self.clock.now();
        let names = self.erasers.names();
        let mut swept = Swept::default();
        let mut after = None;
        loop {
            let limit = self.left_in_this_hour().await?;
            if limit == 0 {
                swept.over_limit = self.sweep.processes.count_ripe(ends_by).await?;
                return Ok(swept);
            }
            let found = self.sweep.processes.find_ripe(ends_by, after, limit).await?;
            let stepped = self.sweep.step(&mut swept, found, |identity| {
                // One that lacks a hold, because it was asked for at the same moment, is suspended instead.
                if let Some(suspended) = identity.suspend(self.clock.now()) {
                    return Some(suspended);
                }
                let process = identity.open_process()?;
                identity.start_deletion(process.id(), names.clone(), self.clock.now()).ok()
            });
            after = stepped.await?;
            if after.is_none() {
                return Ok(swept);
            }
        }
    }

    /// The beginning of the time over which starts are counted.
    pub(super) fn an_hour_before(now: Timestamp) -> Timestamp {
        now.checked_add_micros(-Self::HOUR).unwrap_or(now)
    }

    /// How many may start now, at most a batch.
    async fn left_in_this_hour(&self) -> Result<u32, StoreError> {
        let Some(most) = self.most_per_hour else { return Ok(BATCH) };
        let now = self.clock.now();
        let started = self.sweep.processes.count_started_after(Self::an_hour_before(now)).await?;
        Ok(u32::try_from(started).map_or(0, |started| most.get().saturating_sub(started)).min(BATCH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{
        Found, MockAuditTrail, MockDeletionsSwitch, MockDueProcesses, MockIdentities, Pause, Position,
    };
    use crate::use_cases::test_data::{
        ENDS_AT, active, at, broken_trail, clock_at, no_holds, sound_clocks, trail_of, version,
    };
    use reprieve_domain::Status;

    fn found() -> Found {
        Found { processes: vec![active().id().clone()], ..Found::default() }
    }

    fn use_case(
        processes: MockDueProcesses,
        audit_trail: MockAuditTrail,
        identities: MockIdentities,
        now: i64,
    ) -> StartDueDeletions {
        use_case_with(processes, audit_trail, identities, now, None)
    }

    fn use_case_with(
        processes: MockDueProcesses,
        audit_trail: MockAuditTrail,
        identities: MockIdentities,
        now: i64,
        pause: Option<Pause>,
    ) -> StartDueDeletions {
        let mut switch = MockDeletionsSwitch::new();
        switch.expect_pause_in_force().returning(move || Ok(pause.clone()));
        let ports = StartDueDeletionsPorts {
            processes: Arc::new(processes),
            audit_trail: Arc::new(audit_trail),
            identities: Arc::new(identities),
            holds: no_holds(),
            switch: Arc::new(switch),
            clock: clock_at(now),
            clocks: sound_clocks(),
        };
        StartDueDeletions::new(ports, Erasers::default(), None)
    }

    #[tokio::test]
    async fn everything_ripe_is_asked_for_to_the_end() {
        let mut processes = MockDueProcesses::new();
        processes.expect_find_ripe().times(2).returning(move |ends_by, after, limit| {
            assert_eq!((ends_by, limit), (at(ENDS_AT), BATCH));
            Ok(Found { next: after.is_none().then(|| Position(1, "IDP".to_owned())), ..found() })
        });
        let mut identities = MockIdentities::new();
        identities.expect_save_all().times(2).returning(|steps| {
            assert!(
                steps.iter().all(|(step, saved)| {
                    step.process().status() == Status::Deleting && *saved == version()
                })
            );
            Ok(steps.iter().map(|_| Ok(true)).collect())
        });
        let use_case = use_case(processes, trail_of(active()), identities, ENDS_AT);
        let swept = use_case.execute().await.unwrap();
        assert_eq!((swept.stepped, swept.over_limit), (2, 0));
    }

    /// Of what was started by any instance, before each batch.
    #[tokio::test]
    async fn no_more_start_than_are_left_in_this_hour_and_the_rest_is_counted() {
        for (started, limits, over_limit) in [
            (vec![0, 100, 150], vec![BATCH, 50], 7),
            (vec![149, 150], vec![1], 7),
            (vec![150], vec![], 7),
            (vec![1000], vec![], 7),
            (vec![u64::MAX], vec![], 7),
            // There are no more than that.
            (vec![0], vec![BATCH], 0),
        ] {
            let mut processes = MockDueProcesses::new();
            let (mut counts, mut expected) = (started.into_iter(), limits.clone().into_iter());
            processes.expect_count_started_after().returning(move |instant| {
                assert_eq!(instant, at(ENDS_AT - 3_600_000_000));
                Ok(counts.next().unwrap())
            });
            processes.expect_find_ripe().times(limits.len()).returning(move |_, _, limit| {
                assert_eq!(Some(limit), expected.next());
                Ok(Found { next: (over_limit > 0).then(|| Position(1, "IDP".to_owned())), ..found() })
            });
            processes.expect_count_ripe().returning(|_| Ok(7));
            let mut identities = MockIdentities::new();
            identities.expect_save_all().returning(|steps| Ok(steps.iter().map(|_| Ok(true)).collect()));
            let limit = NonZeroU32::new(150);
            let use_case = use_case_with(processes, trail_of(active()), identities, ENDS_AT, None);
            let use_case = StartDueDeletions { most_per_hour: limit, ..use_case };
            let swept = use_case.execute().await.unwrap();
            assert_eq!((swept.stepped, swept.over_limit), (limits.len() as u64, over_limit));
        }
    }

    #[tokio::test]
    async fn nothing_is_looked_for_while_deletions_are_paused() {
        let pause = Some(Pause::Unverified);
        let (processes, identities) = (MockDueProcesses::new(), MockIdentities::new());
        let use_case = use_case_with(processes, MockAuditTrail::new(), identities, ENDS_AT, pause);
        assert!(matches!(use_case.execute().await, Err(StoreError::Paused(Pause::Unverified))));
    }

    #[tokio::test]
    async fn what_is_not_ripe_when_it_is_decided_takes_no_step() {
        let mut processes = MockDueProcesses::new();
        processes.expect_find_ripe().once().returning(|_, _, _| Ok(found()));
        let mut identities = MockIdentities::new();
        identities.expect_save_all().never();
        let use_case = use_case(processes, trail_of(active()), identities, ENDS_AT - 1);
        let swept = use_case.execute().await.unwrap();
        assert_eq!((swept.stepped, swept.left_alone), (0, 1));
    }

    #[tokio::test]
    async fn what_does_not_verify_takes_no_step_however_ripe_it_looks() {
        let mut processes = MockDueProcesses::new();
        processes.expect_find_ripe().once().returning(|_, _, _| Ok(found()));
        let mut identities = MockIdentities::new();
        identities.expect_save_all().never();
        let use_case = use_case(processes, broken_trail(), identities, ENDS_AT);
        let swept = use_case.execute().await.unwrap();
        assert_eq!((swept.stepped, swept.failed), (0, 1));
        assert!(matches!(swept.first_failure, Some(StoreError::Quarantined(_))));
    }

    #[tokio::test]
    async fn a_process_that_fails_is_counted_and_its_reason_kept() {
        let mut processes = MockDueProcesses::new();
        processes
            .expect_find_ripe()
            .once()
            .returning(|_, _, _| Ok(Found { failed: vec![StoreError::Conflict], ..found() }));
        let mut identities = MockIdentities::new();
        identities
            .expect_save_all()
            .once()
            .returning(|_| Ok(vec![Ok(false), Ok(false), Err(StoreError::AlreadyAnswered), Ok(true)]));
        let use_case = use_case(processes, trail_of(active()), identities, ENDS_AT);
        let swept = use_case.execute().await.unwrap();
        assert_eq!((swept.stepped, swept.left_alone, swept.failed), (1, 2, 2));
        assert!(matches!(swept.first_failure, Some(StoreError::Conflict)));
    }
}
