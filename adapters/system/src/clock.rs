//! The port `Clock`.

use reprieve_application::ports::Clock;
use reprieve_domain::Timestamp;

/// The clock of the operating system, cut to whole microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// 9999-12-31T23:59:59.999999Z.
const END_OF_CALENDAR: i64 = 253_402_300_799_999_999;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the one implementation of the clock")]
        let now = chrono::Utc::now();
        // A clock that was set beyond the calendar reads as its end, where every grace period would be over and none
        // can be started. chrono's own panic for a clock before 1970 cannot be reached: it reads such a clock as well.
        Timestamp::try_from(now)
            .or_else(|_| Timestamp::from_unix_micros(END_OF_CALENDAR))
            .unwrap_or_else(|_| unreachable!("the end of the calendar is an instant"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes() {
        let (first, second) = (SystemClock.now(), SystemClock.now());
        assert!(first <= second && second.micros_since(first) < 60_000_000);
        assert!(first > "2026-01-01T00:00:00Z".parse().unwrap());
        assert!(Timestamp::from_unix_micros(END_OF_CALENDAR).is_ok());
    }
}
