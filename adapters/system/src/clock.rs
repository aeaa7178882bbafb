//! The port `Clock`.

use std::time::{SystemTime, UNIX_EPOCH};

use reprieve_application::ports::Clock;
use reprieve_application::{Coded, ErrorCode};
use reprieve_domain::Timestamp;

/// The clock of the operating system, cut to whole microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// 9999-12-31T23:59:59.999999Z.
const END_OF_CALENDAR: i64 = 253_402_300_799_999_999;

/// 2020-01-01T00:00:00Z. This program is younger.
const FIRST_USABLE: i64 = 1_577_836_800_000_000;

/// 9000-01-01T00:00:00Z. What is reckoned from the present, such as a grace period, stays within the calendar.
const FIRST_UNUSABLE: i64 = 221_845_392_000_000_000;

/// The clock of this machine shows a time that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clock of this machine shows {shown}, which cannot be; it must be set before anything is done")]
pub struct ClockUnusable {
    shown: Timestamp,
}

impl Coded for ClockUnusable {
    fn code(&self) -> ErrorCode {
        ErrorCode::ClockUnusable
    }
}

impl SystemClock {
    /// Whether the clock can be right. Libraries that read it by themselves panic before 1970 or after 9999, and what is
    /// decided by a wrong clock is decided for good.
    ///
    /// # Errors
    /// Before 2020 or after 8999.
    pub fn check() -> Result<(), ClockUnusable> {
        let shown = SystemClock.now();
        if (FIRST_USABLE..FIRST_UNUSABLE).contains(&shown.unix_micros()) {
            Ok(())
        } else {
            Err(ClockUnusable { shown })
        }
    }
}

impl Clock for SystemClock {
    /// A clock that was set beyond the calendar reads as its end, and one before 1970 as its beginning.
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the one implementation of the clock")]
        timestamp(SystemTime::now())
    }
}

/// Not chrono's own clock, which panics before 1970.
fn timestamp(time: SystemTime) -> Timestamp {
    let micros = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX).min(END_OF_CALENDAR));
    Timestamp::from_unix_micros(micros).unwrap_or_else(|_| unreachable!("it is within the calendar"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn time_passes() {
        let (first, second) = (SystemClock.now(), SystemClock.now());
        assert!(first <= second && second.micros_since(first) < 60_000_000);
        assert!(first > "2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(SystemClock::check(), Ok(()));
    }

    #[test]
    fn any_time_can_be_read() {
        let year = Duration::from_hours(24 * 365);
        for (time, read) in [
            (UNIX_EPOCH - Duration::from_nanos(1), "1970-01-01T00:00:00Z"),
            (UNIX_EPOCH - 2000 * year, "1970-01-01T00:00:00Z"),
            (UNIX_EPOCH + Duration::from_nanos(1_999), "1970-01-01T00:00:00.000001Z"),
            (UNIX_EPOCH + Duration::from_secs(253_402_300_799), "9999-12-31T23:59:59Z"),
            (UNIX_EPOCH + Duration::from_secs(253_402_300_800), "9999-12-31T23:59:59.999999Z"),
            (UNIX_EPOCH + 100_000_000 * year, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(timestamp(time), read.parse().unwrap());
        }
        for (micros, text) in
            [(FIRST_USABLE, "2020-01-01T00:00:00Z"), (FIRST_UNUSABLE, "9000-01-01T00:00:00Z")]
        {
            assert_eq!(Timestamp::from_unix_micros(micros).unwrap(), text.parse().unwrap());
        }
    }
}
