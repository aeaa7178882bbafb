//! Active → Deleting, for everything whose grace period is over.

use std::sync::Arc;

use reprieve_domain::Reminder;

use super::sweep::{Sweep, Swept};
use crate::ports::{AuditTrail, Clock, ClockGuard, Due, DueProcesses, Identities};
use crate::{Erasers, StoreError};

/// Starts the deletion of every ripe process.
///
/// That a process was found ripe is a reason to ask, not to act: the domain decides on what is stored while nobody else
/// can change it, and the deadline is in the condition of the statement that writes. A cancellation that committed first
/// wins.
pub struct StartDueDeletions {
    sweep: Sweep,
    clock: Arc<dyn Clock>,
    clocks: Arc<dyn ClockGuard>,
    erasers: Erasers,
}

impl StartDueDeletions {
    /// With its ports; each of the erasers must acknowledge before a process that starts now is complete.
    #[must_use]
    pub fn new(
        processes: Arc<dyn DueProcesses>,
        audit_trail: Arc<dyn AuditTrail>,
        identities: Arc<dyn Identities>,
        clock: Arc<dyn Clock>,
        clocks: Arc<dyn ClockGuard>,
        erasers: Erasers,
    ) -> Self {
        Self { sweep: Sweep { processes, audit_trail, identities }, clock, clocks, erasers }
    }

    /// One pass over what is ripe now.
    ///
    /// # Errors
    /// If the clocks are not believed, or if the store fails as a whole; what was started until then stays started.
    pub async fn execute(&self) -> Result<Swept, StoreError> {
        self.clocks.check().await?;
        let ends_by = self.clock.now();
        let reminded = std::iter::once(None).chain(Reminder::ALL.map(Some));
        let ranges = reminded.map(|reminded| Due { reminded, ends_after: None, ends_by, longer_than: None });
        let names = self.erasers.names();
        let mut swept = Swept::default();
        self.sweep
            .run(&mut swept, ranges, |identity| {
                let process = identity.open_process()?;
                identity.start_deletion(process.id(), names.clone(), self.clock.now()).ok()
            })
            .await?;
        Ok(swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Found, MockAuditTrail, MockDueProcesses, MockIdentities, Position};
    use crate::use_cases::test_data::{
        ENDS_AT, active, at, broken_trail, clock_at, sound_clocks, trail_of, version,
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
        let (processes, audit_trail) = (Arc::new(processes), Arc::new(audit_trail));
        let (identities, clock) = (Arc::new(identities), clock_at(now));
        StartDueDeletions::new(processes, audit_trail, identities, clock, sound_clocks(), Erasers::default())
    }

    #[tokio::test]
    async fn everything_ripe_is_asked_for_whatever_reminders_it_got_and_to_the_end() {
        let mut processes = MockDueProcesses::new();
        processes.expect_find_due().times(5).returning(move |due, after, _| {
            assert_eq!((due.ends_after, due.ends_by), (None, at(ENDS_AT)));
            let again = due.reminded == Some(Reminder::First) && after.is_none();
            Ok(Found { next: again.then(|| Position(1, "IDP".to_owned())), ..found() })
        });
        let mut identities = MockIdentities::new();
        identities.expect_save_all().times(5).returning(|steps| {
            assert!(
                steps.iter().all(|(step, saved)| {
                    step.process().status() == Status::Deleting && *saved == version()
                })
            );
            Ok(steps.iter().map(|_| Ok(true)).collect())
        });
        let use_case = use_case(processes, trail_of(active()), identities, ENDS_AT);
        assert_eq!(use_case.execute().await.unwrap().stepped, 5);
    }

    #[tokio::test]
    async fn what_is_not_ripe_when_it_is_decided_takes_no_step() {
        let mut processes = MockDueProcesses::new();
        processes.expect_find_due().times(4).returning(|_, _, _| Ok(found()));
        let mut identities = MockIdentities::new();
        identities.expect_save_all().never();
        let use_case = use_case(processes, trail_of(active()), identities, ENDS_AT - 1);
        let swept = use_case.execute().await.unwrap();
        assert_eq!((swept.stepped, swept.left_alone), (0, 4));
    }

    #[tokio::test]
    async fn what_does_not_verify_takes_no_step_however_ripe_it_looks() {
        let mut processes = MockDueProcesses::new();
        processes.expect_find_due().times(4).returning(|_, _, _| Ok(found()));
        let mut identities = MockIdentities::new();
        identities.expect_save_all().never();
        let use_case = use_case(processes, broken_trail(), identities, ENDS_AT);
        let swept = use_case.execute().await.unwrap();
        assert_eq!((swept.stepped, swept.failed), (0, 4));
        assert!(matches!(swept.first_failure, Some(StoreError::Quarantined(_))));
    }

    #[tokio::test]
    async fn a_process_that_fails_is_counted_and_its_reason_kept() {
        let mut processes = MockDueProcesses::new();
        processes
            .expect_find_due()
            .times(4)
            .returning(|_, _, _| Ok(Found { failed: vec![StoreError::Conflict], ..found() }));
        let mut identities = MockIdentities::new();
        let mut saved = vec![Ok(true), Err(StoreError::AlreadyAnswered), Ok(false), Ok(false)];
        identities.expect_save_all().times(4).returning(move |_| Ok(vec![saved.pop().unwrap()]));
        let use_case = use_case(processes, trail_of(active()), identities, ENDS_AT);
        let swept = use_case.execute().await.unwrap();
        assert_eq!((swept.stepped, swept.left_alone, swept.failed), (1, 2, 5));
        assert!(matches!(swept.first_failure, Some(StoreError::Conflict)));
    }
}
