//! Active → Deleting, for everything whose grace period is over.

use std::sync::Arc;

use reprieve_domain::Reminder;

use super::sweep::{Swept, sweep};
use crate::ports::{Clock, Due, DueProcesses};
use crate::{Erasers, StoreError};

/// Starts the deletion of every ripe process.
///
/// That a process was found ripe is a reason to ask, not to act: the domain decides on what is stored while nobody else
/// can change it, and the deadline is in the condition of the statement that writes. A cancellation that committed first
/// wins.
pub struct StartDueDeletions {
    processes: Arc<dyn DueProcesses>,
    clock: Arc<dyn Clock>,
    erasers: Erasers,
}

impl StartDueDeletions {
    /// With its ports; each of the erasers must acknowledge before a process that starts now is complete.
    #[must_use]
    pub fn new(processes: Arc<dyn DueProcesses>, clock: Arc<dyn Clock>, erasers: Erasers) -> Self {
        Self { processes, clock, erasers }
    }

    /// One pass over what is ripe now.
    ///
    /// # Errors
    /// If the store fails as a whole; what was started until then stays started.
    pub async fn execute(&self) -> Result<Swept, StoreError> {
        let ends_by = self.clock.now();
        let reminded = std::iter::once(None).chain(Reminder::ALL.map(Some));
        let ranges = reminded.map(|reminded| Due { reminded, ends_after: None, ends_by });
        let names = self.erasers.names();
        sweep(self.processes.as_ref(), ranges, &|identity| {
            let process = identity.open_process()?;
            identity.start_deletion(process.id(), names.clone(), self.clock.now()).ok()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Batch, MockDueProcesses, Position};
    use crate::use_cases::test_data::{ENDS_AT, active, at, clock_at, loaded};
    use reprieve_domain::Status;

    #[tokio::test]
    async fn everything_ripe_is_asked_for_whatever_reminders_it_got_and_to_the_end() {
        let mut processes = MockDueProcesses::new();
        let mut asked = Vec::new();
        processes.expect_step().times(5).returning(move |due, after, _, _| {
            assert_eq!((due.ends_after, due.ends_by), (None, at(ENDS_AT)));
            asked.push(due.reminded);
            let again = due.reminded == Some(Reminder::First) && after.is_none();
            let next = again.then(|| Position(1, "IDP".to_owned()));
            Ok(Batch { stepped: vec![active().id().clone()], next, ..Batch::default() })
        });
        let use_case = StartDueDeletions::new(Arc::new(processes), clock_at(ENDS_AT), Erasers::default());
        assert_eq!(use_case.execute().await.unwrap().stepped, 5);
    }

    #[tokio::test]
    async fn what_is_not_ripe_when_it_is_decided_takes_no_step() {
        for (now, steps) in [(ENDS_AT - 1, false), (ENDS_AT, true)] {
            let mut processes = MockDueProcesses::new();
            processes.expect_step().returning(move |_, _, _, decide| {
                let step = decide(&loaded(active()).value);
                assert_eq!(step.map(|step| step.process().status()), steps.then_some(Status::Deleting));
                Ok(Batch::default())
            });
            let use_case = StartDueDeletions::new(Arc::new(processes), clock_at(now), Erasers::default());
            use_case.execute().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_process_that_fails_is_counted_and_its_reason_kept() {
        let mut processes = MockDueProcesses::new();
        processes.expect_step().returning(|_, _, _, _| {
            Ok(Batch { failed: vec![StoreError::Conflict], left_alone: 1, ..Batch::default() })
        });
        let use_case = StartDueDeletions::new(Arc::new(processes), clock_at(ENDS_AT), Erasers::default());
        let swept = use_case.execute().await.unwrap();
        assert_eq!((swept.stepped, swept.left_alone, swept.failed), (0, 4, 4));
        assert!(matches!(swept.first_failure, Some(StoreError::Conflict)));
    }
}
