//! Active → Active, with a reminder, for everything that a reminder is due for.

use std::sync::Arc;

use reprieve_domain::Reminder;

use super::sweep::{Sweep, Swept};
use crate::ports::{AuditTrail, Clock, ClockGuard, Due, DueProcesses, Identities};
use crate::reminder_settings::Window;
use crate::{ReminderSettings, StoreError};

/// Reminds everybody whose deletion is near and who was not reminded yet: of several reminders that are due, only the
/// most urgent, and none whose time had come before the deletion was asked for.
pub struct SendReminders {
    sweep: Sweep,
    clock: Arc<dyn Clock>,
    clocks: Arc<dyn ClockGuard>,
    settings: ReminderSettings,
}

impl SendReminders {
    /// With its ports.
    #[must_use]
    pub fn new(
        processes: Arc<dyn DueProcesses>,
        audit_trail: Arc<dyn AuditTrail>,
        identities: Arc<dyn Identities>,
        clock: Arc<dyn Clock>,
        clocks: Arc<dyn ClockGuard>,
        settings: ReminderSettings,
    ) -> Self {
        Self { sweep: Sweep { processes, audit_trail, identities, holds: None }, clock, clocks, settings }
    }

    /// One pass over what is due now.
    ///
    /// # Errors
    /// If the clocks are not believed, or if the store fails as a whole; what was sent until then stays sent.
    pub async fn execute(&self) -> Result<Swept, StoreError> {
        self.clocks.check().await?;
        let mut swept = Swept::default();
        for Window { reminder, ends_after, ends_by, wait } in self.settings.windows(self.clock.now()) {
            // Who got this reminder, or a more urgent one, is not due.
            let less_urgent = Reminder::ALL.into_iter().filter(|sent| *sent < reminder).map(Some);
            let ranges = std::iter::once(None).chain(less_urgent).map(|reminded| Due {
                reminded,
                ends_after: Some(ends_after),
                ends_by,
                // If its time had come when the deletion was asked for, the confirmation has just said the same.
                longer_than: Some(wait),
            });
            self.sweep
                .run(&mut swept, ranges, |identity| {
                    let process = identity.open_process()?;
                    identity.remind(process.id(), reminder, self.clock.now()).ok()
                })
                .await?;
        }
        Ok(swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Found, MockDueProcesses, MockIdentities};
    use crate::use_cases::test_data::{DAY, active, at, clock_at, sound_clocks, trail_of};
    use reprieve_domain::Reminder::{First, Second, Third};
    use std::sync::Mutex;
    use std::time::Duration;

    #[tokio::test]
    async fn only_who_was_not_reminded_as_urgently_is_asked_for() {
        let mut processes = MockDueProcesses::new();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let days = |days: u64| Some(Duration::from_hours(24 * days));
        let seen = asked.clone();
        processes.expect_find_due().times(3).returning(move |due, _, _| {
            seen.lock().unwrap().push((due.reminded, due.ends_after, due.ends_by, due.longer_than));
            Ok(Found::default())
        });
        let settings = ReminderSettings::from_days(&[12.0, 10.0]).unwrap();
        let (trail, identities) = (Arc::new(trail_of(active())), Arc::new(MockIdentities::new()));
        let use_case =
            SendReminders::new(Arc::new(processes), trail, identities, clock_at(0), sound_clocks(), settings);
        use_case.execute().await.unwrap();
        assert_eq!(
            *asked.lock().unwrap(),
            [
                (None, Some(at(10 * DAY)), at(12 * DAY), days(12)),
                (None, Some(at(0)), at(10 * DAY), days(10)),
                (Some(Reminder::First), Some(at(0)), at(10 * DAY), days(10)),
            ]
        );
    }

    #[tokio::test]
    async fn the_step_is_the_reminder_of_the_window() {
        let mut processes = MockDueProcesses::new();
        let found = || Found { processes: vec![active().id().clone()], ..Found::default() };
        processes.expect_find_due().times(6).returning(move |_, _, _| Ok(found()));
        let mut identities = MockIdentities::new();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let seen = sent.clone();
        identities.expect_save_all().times(6).returning(move |steps| {
            for (step, _) in steps {
                seen.lock().unwrap().extend(step.process().reminders().most_urgent());
            }
            Ok(steps.iter().map(|_| Ok(true)).collect())
        });
        let settings = ReminderSettings::default();
        let use_case = SendReminders::new(
            Arc::new(processes),
            Arc::new(trail_of(active())),
            Arc::new(identities),
            clock_at(3 * DAY),
            sound_clocks(),
            settings,
        );
        assert_eq!(use_case.execute().await.unwrap().stepped, 6);
        assert_eq!(*sent.lock().unwrap(), [First, Second, Second, Third, Third, Third]);
    }
}
