//! How patient the workers are.

use std::time::Duration;

use reprieve_domain::Timestamp;

/// When an eraser that failed is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure. Each further one doubles it.
    pub first: Duration,
    /// Never longer than this.
    pub longest: Duration,
    /// An eraser that has failed for so long is asked again only when somebody says so.
    pub patience: Duration,
}

impl Default for Backoff {
    /// Ten seconds, six hours, three days.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(10),
            longest: Duration::from_hours(6),
            patience: Duration::from_hours(72),
        }
    }
}

impl Backoff {
    /// How long to wait after so many failures: between half of the time and all of it, by `chance`, so that not
    /// everything that failed together comes back together.
    #[must_use]
    pub fn delay(&self, failures: u32, chance: u8) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let longest = self.first.saturating_mul(doubled).min(self.longest);
        longest / 2 + longest / 2 * u32::from(chance) / u32::from(u8::MAX)
    }
}

/// The instant so long after another; the same one, if the calendar ends before.
pub(crate) fn after(instant: Timestamp, duration: Duration) -> Timestamp {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    instant.checked_add_micros(micros).unwrap_or(instant)
}

/// The instant so long before another; the same one, if the calendar begins after.
pub(crate) fn before(instant: Timestamp, duration: Duration) -> Timestamp {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    instant.checked_add_micros(-micros).unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_longest_and_is_never_less_than_half_of_it() {
        let backoff =
            Backoff { first: Duration::from_secs(10), longest: Duration::from_mins(1), ..Backoff::default() };
        for (failures, seconds) in [(0, 10), (1, 10), (2, 20), (3, 40), (4, 60), (1000, 60), (u32::MAX, 60)] {
            assert_eq!(backoff.delay(failures, u8::MAX), Duration::from_secs(seconds), "{failures}");
            assert_eq!(backoff.delay(failures, 0), Duration::from_secs(seconds) / 2, "{failures}");
        }
    }
}
