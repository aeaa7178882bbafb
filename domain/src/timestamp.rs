//! Instants: UTC, whole microseconds, the same in memory, in every database and in JSON.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::text::serde_as_text;

/// An instant in UTC with microsecond precision, between the years 1 and 9999.
///
/// Anything finer than a microsecond is cut off on the way in, so that no two layers can disagree about which side
/// of a deadline an instant is on.
///
/// ```
/// # use reprieve_domain::Timestamp;
/// let instant: Timestamp = "2026-12-07T20:03:07.5Z".parse()?;
/// assert_eq!(instant.to_string(), "2026-12-07T20:03:07.500000Z");
/// # Ok::<(), reprieve_domain::InvalidTimestamp>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(DateTime<Utc>);

/// A text or number that is no instant between the years 1 and 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an instant is an RFC 3339 date and time between the years 1 and 9999")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// 0001-01-01T00:00:00Z, in microseconds of Unix time.
    const FIRST: i64 = -62_135_596_800_000_000;
    /// 9999-12-31T23:59:59.999999Z, in microseconds of Unix time.
    const LAST: i64 = 253_402_300_799_999_999;

    /// The instant that is `micros` microseconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// Outside the years 1 to 9999, which RFC 3339 cannot write.
    pub fn from_unix_micros(micros: i64) -> Result<Self, InvalidTimestamp> {
        if !(Self::FIRST..=Self::LAST).contains(&micros) {
            return Err(InvalidTimestamp);
        }
        DateTime::from_timestamp_micros(micros).map(Self).ok_or(InvalidTimestamp)
    }

    /// Microseconds since 1970-01-01T00:00:00Z, negative before.
    #[must_use]
    pub fn unix_micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// The same instant for code that speaks chrono.
    #[must_use]
    pub fn to_datetime(self) -> DateTime<Utc> {
        self.0
    }

    /// The instant `micros` microseconds later, or nothing beyond the year 9999.
    #[must_use]
    pub fn checked_add_micros(self, micros: i64) -> Option<Self> {
        Self::from_unix_micros(self.unix_micros().checked_add(micros)?).ok()
    }

    /// Microseconds from `earlier` to `self`; negative if `earlier` is later.
    #[must_use]
    pub fn micros_since(self, earlier: Self) -> i64 {
        // Both lie between the years 1 and 9999, so the difference fits.
        self.unix_micros() - earlier.unix_micros()
    }
}

impl TryFrom<DateTime<Utc>> for Timestamp {
    type Error = InvalidTimestamp;

    /// Cuts off what is finer than a microsecond.
    fn try_from(instant: DateTime<Utc>) -> Result<Self, Self::Error> {
        Self::from_unix_micros(instant.timestamp_micros())
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text).map_err(|_| InvalidTimestamp)?.to_utc().try_into()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

serde_as_text!(Timestamp);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn shorter_and_longer_fractions_are_read_and_six_digits_written() {
        assert_eq!(at("2026-12-07T20:03:07Z").to_string(), "2026-12-07T20:03:07.000000Z");
        assert_eq!(at("2026-12-07T20:03:07.123Z").to_string(), "2026-12-07T20:03:07.123000Z");
        assert_eq!(at("2026-12-07T20:03:07.1234569Z").to_string(), "2026-12-07T20:03:07.123456Z");
        assert_eq!(at("2026-12-07T22:03:07.123456+02:00").to_string(), "2026-12-07T20:03:07.123456Z");
    }

    #[test]
    fn the_range_ends_with_the_years_1_and_9999() {
        assert_eq!(Timestamp::from_unix_micros(Timestamp::FIRST).unwrap(), at("0001-01-01T00:00:00Z"));
        assert_eq!(Timestamp::from_unix_micros(Timestamp::LAST).unwrap(), at("9999-12-31T23:59:59.999999Z"));
        for micros in [Timestamp::FIRST - 1, Timestamp::LAST + 1, i64::MIN, i64::MAX] {
            assert_eq!(Timestamp::from_unix_micros(micros), Err(InvalidTimestamp));
        }
        assert_eq!(at("9999-12-31T23:59:59.999999Z").checked_add_micros(1), None);
        assert_eq!(at("2026-01-01T00:00:00Z").checked_add_micros(i64::MAX), None);
    }

    #[test]
    fn a_leap_second_is_the_start_of_the_next_minute() {
        assert_eq!(at("2016-12-31T23:59:60Z"), at("2017-01-01T00:00:00Z"));
    }

    proptest! {
        #[test]
        fn printing_and_parsing_gives_the_same_instant(micros in Timestamp::FIRST..=Timestamp::LAST) {
            let instant = Timestamp::from_unix_micros(micros).unwrap();
            prop_assert_eq!(instant.unix_micros(), micros);
            prop_assert_eq!(instant.to_string().parse::<Timestamp>().unwrap(), instant);
        }

        #[test]
        fn text_order_is_time_order(a in Timestamp::FIRST..=Timestamp::LAST, b in Timestamp::FIRST..=Timestamp::LAST) {
            let (a, b) = (Timestamp::from_unix_micros(a).unwrap(), Timestamp::from_unix_micros(b).unwrap());
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn no_text_makes_parsing_panic(text in ".*") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
