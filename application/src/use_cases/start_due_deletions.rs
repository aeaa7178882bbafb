//! Active → Deleting, for everything whose grace period is over.

use std::sync::Arc;

use reprieve_domain::Reminder;

use super::sweep::{Swept, sweep};
use crate::ports::{Clock, Due, DueProcesses, Identities};
use crate::{Erasers, StoreError};

/// Starts the deletion of every ripe process.
///
/// That a process was found ripe is a reason to ask, not to act: the domain decides on what is stored while nobody else
/// can change it, and the deadline is in the condition of the statement that writes. A cancellation that committed first
/// wins.
pub struct StartDueDeletions {
    processes: Arc<dyn DueProcesses>,
    identities: Arc<dyn Identities>,
    clock: Arc<dyn Clock>,
    erasers: Erasers,
}

impl StartDueDeletions {
    /// With its ports; each of the erasers must acknowledge before a process that starts now is complete.
    #[must_use]
    pub fn new(
        processes: Arc<dyn DueProcesses>,
        identities: Arc<dyn Identities>,
        clock: Arc<dyn Clock>,
        erasers: Erasers,
    ) -> Self {
        Self { processes, identities, clock, erasers }
    }

    /// One pass over what is ripe now.
    ///
    /// # Errors
    /// If the store fails as a whole; what was started until then stays started.
    pub async fn execute(&self) -> Result<Swept, StoreError> {
        let ends_by = self.clock.now();
        let reminded = std::iter::once(None).chain(Reminder::ALL.map(Some));
        let ranges = reminded.map(|reminded| Due { reminded, ends_after: None, ends_by, longer_than: None });
        let names = self.erasers.names();
        sweep(self.processes.as_ref(), self.identities.as_ref(), ranges, |identity| {
            let process = identity.open_process()?;
            identity.start_deletion(process.id(), names.clone(), self.clock.now()).ok()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Found, MockDueProcesses, MockIdentities, Position};
    use crate::use_cases::test_data::{ENDS_AT, active, at, clock_at, loaded};
    use reprieve_domain::Status;

    fn found() -> Found {
        Found { identities: vec![loaded(active())], ..Found::default() }
    }

    fn use_case(processes: MockDueProcesses, identities: MockIdentities, now: i64) -> StartDueDeletions {
        StartDueDeletions::new(Arc::new(processes), Arc::new(identities), clock_at(now), Erasers::default())
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
            assert!(steps.iter().all(|(step, _)| step.process().status() == Status::Deleting));
            Ok(steps.iter().map(|_| Ok(true)).collect())
        });
        assert_eq!(use_case(processes, identities, ENDS_AT).execute().await.unwrap().stepped, 5);
    }

    #[tokio::test]
    async fn what_is_not_ripe_when_it_is_decided_takes_no_step() {
        let mut processes = MockDueProcesses::new();
        processes.expect_find_due().times(4).returning(|_, _, _| Ok(found()));
        let mut identities = MockIdentities::new();
        identities.expect_save_all().never();
        let swept = use_case(processes, identities, ENDS_AT - 1).execute().await.unwrap();
        assert_eq!((swept.stepped, swept.left_alone), (0, 4));
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
        let swept = use_case(processes, identities, ENDS_AT).execute().await.unwrap();
        assert_eq!((swept.stepped, swept.left_alone, swept.failed), (1, 2, 5));
        assert!(matches!(swept.first_failure, Some(StoreError::Conflict)));
    }
}
