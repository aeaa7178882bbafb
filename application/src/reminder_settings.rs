//! When people are reminded of a coming deletion.

use std::time::Duration;

use reprieve_domain::{Reminder, Timestamp};

use crate::backoff::after;

/// How long before the end of the grace period each reminder is due; at most three, the earliest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReminderSettings(Vec<(Reminder, Duration)>);

/// The deadlines for which a reminder is the most urgent that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// The reminder.
    pub(crate) reminder: Reminder,
    /// The deadline lies after this instant.
    pub(crate) ends_after: Timestamp,
    /// It lies at this instant or before.
    pub(crate) ends_by: Timestamp,
    /// How long before the deadline the reminder is due.
    pub(crate) wait: Duration,
}

/// Not a schedule of reminders.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be at most three numbers of days greater than zero, the greatest first")]
pub struct InvalidReminderSettings;

impl ReminderSettings {
    /// Reminders so many days before the end; fractions are allowed.
    ///
    /// # Errors
    /// Unless there are at most three, all greater than zero, each smaller than the one before.
    pub fn from_days(days: &[f64]) -> Result<Self, InvalidReminderSettings> {
        let durations: Option<Vec<Duration>> = days
            .iter()
            .map(|days| Duration::try_from_secs_f64(days * 86_400.0).ok().filter(|wait| !wait.is_zero()))
            .collect();
        let durations = durations.ok_or(InvalidReminderSettings)?;
        if durations.len() > Reminder::ALL.len() || !durations.is_sorted_by(|one, next| one > next) {
            return Err(InvalidReminderSettings);
        }
        Ok(Self(Reminder::ALL.into_iter().zip(durations).collect()))
    }

    /// What is due at `now`.
    pub(crate) fn windows(&self, now: Timestamp) -> impl Iterator<Item = Window> {
        let nearer = self.0.iter().skip(1).map(move |(_, wait)| after(now, *wait)).chain([now]);
        self.0.iter().zip(nearer).map(move |((reminder, wait), ends_after)| Window {
            reminder: *reminder,
            ends_after,
            ends_by: after(now, *wait),
            wait: *wait,
        })
    }
}

impl Default for ReminderSettings {
    /// Twelve, ten and five days before the end, as in enmeshed.
    fn default() -> Self {
        const DAYS: [u64; 3] = [12, 10, 5];
        Self(Reminder::ALL.into_iter().zip(DAYS.map(|days| Duration::from_hours(24 * days))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::use_cases::test_data::{DAY, at};

    #[test]
    fn a_schedule_has_at_most_three_days_the_greatest_first() {
        assert_eq!(ReminderSettings::from_days(&[12.0, 10.0, 5.0]), Ok(ReminderSettings::default()));
        for days in [&[][..], &[0.5], &[3.0, 1.0]] {
            assert!(ReminderSettings::from_days(days).is_ok(), "{days:?}");
        }
        for days in [
            &[0.0][..],
            &[-1.0],
            &[f64::NAN],
            &[f64::INFINITY],
            &[1.0, 1.0],
            &[1.0, 2.0],
            &[4.0, 3.0, 2.0, 1.0],
        ] {
            assert_eq!(ReminderSettings::from_days(days), Err(InvalidReminderSettings), "{days:?}");
        }
    }

    #[test]
    fn the_windows_lie_side_by_side() {
        let settings = ReminderSettings::default();
        let windows: Vec<_> = settings
            .windows(at(0))
            .map(|window| (window.reminder, window.ends_after, window.ends_by))
            .collect();
        assert_eq!(
            windows,
            [
                (Reminder::First, at(10 * DAY), at(12 * DAY)),
                (Reminder::Second, at(5 * DAY), at(10 * DAY)),
                (Reminder::Third, at(0), at(5 * DAY)),
            ]
        );
        assert_eq!(ReminderSettings::from_days(&[]).unwrap().windows(at(0)).count(), 0);
    }
}
