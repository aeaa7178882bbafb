//! How long a person can change their mind, and between which bounds a deployment lets them choose.

use std::fmt;

use crate::Timestamp;

const MICROS_PER_DAY: f64 = 86_400_000_000.0;

/// The length of a grace period: a whole, positive number of microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GracePeriod {
    micros: i64,
}

/// The shortest and the longest grace period a deployment allows, both included.
///
/// The lower bound protects the owner of an identity: whoever steals a session must not be able to ask for a
/// deletion that is over before the owner can see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GracePeriodBounds {
    minimum: GracePeriod,
    maximum: GracePeriod,
}

/// A length that is no grace period here.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidGracePeriod {
    /// NaN or an infinity.
    #[error("the length of the grace period must be a finite number of days")]
    NotFinite,
    /// Zero, negative, or less than a microsecond.
    #[error("the length of the grace period must be greater than zero")]
    NotPositive,
    /// Outside what the deployment allows, bounds in days.
    #[error("the length of the grace period must be between {minimum} and {maximum} days")]
    OutOfBounds {
        /// The shortest allowed length in days.
        minimum: f64,
        /// The longest allowed length in days.
        maximum: f64,
    },
    /// Longer than the calendar, which ends with the year 9999.
    #[error("the length of the grace period goes beyond the calendar")]
    BeyondCalendar,
}

/// Bounds that contain no length.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidGracePeriodBounds {
    /// One of the bounds is no length by itself.
    #[error("a bound is not valid: {0}")]
    Bound(#[from] InvalidGracePeriod),
    /// The lower bound lies above the upper one.
    #[error("the minimum is longer than the maximum")]
    Reversed,
}

impl GracePeriod {
    /// A length in days, fractions allowed, rounded to the nearest microsecond.
    ///
    /// # Errors
    /// NaN, infinities, nothing positive, and lengths outside `bounds`.
    pub fn from_days(days: f64, bounds: &GracePeriodBounds) -> Result<Self, InvalidGracePeriod> {
        let length = Self::unbounded(days)?;
        if length < bounds.minimum || length > bounds.maximum {
            return Err(InvalidGracePeriod::OutOfBounds {
                minimum: bounds.minimum.days(),
                maximum: bounds.maximum.days(),
            });
        }
        Ok(length)
    }

    fn unbounded(days: f64) -> Result<Self, InvalidGracePeriod> {
        /// Ten thousand years of 366 days: longer than the calendar, and far below what an `i64` of microseconds holds.
        const BEYOND_CALENDAR: f64 = 3_660_000.0;
        if !days.is_finite() {
            return Err(InvalidGracePeriod::NotFinite);
        }
        if days > BEYOND_CALENDAR {
            return Err(InvalidGracePeriod::BeyondCalendar);
        }
        let micros = (days * MICROS_PER_DAY).round();
        if micros < 1.0 {
            return Err(InvalidGracePeriod::NotPositive);
        }
        #[expect(clippy::cast_possible_truncation, reason = "between 1 and 3.2e17, checked above")]
        Ok(Self { micros: micros as i64 })
    }

    /// The length in microseconds.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.micros
    }

    /// The length of a grace period that was promised already, which no bounds can change any more; none if it would end
    /// before it begins.
    #[must_use]
    pub fn between(created_at: Timestamp, ends_at: Timestamp) -> Option<Self> {
        let micros = ends_at.micros_since(created_at);
        (micros > 0).then_some(Self { micros })
    }

    /// The length in days.
    #[must_use]
    pub fn days(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "for people; comparisons use whole microseconds")]
        let micros = self.micros as f64;
        micros / MICROS_PER_DAY
    }
}

impl fmt::Display for GracePeriod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} days", self.days())
    }
}

impl GracePeriodBounds {
    /// Bounds in days.
    ///
    /// # Errors
    /// A bound that is no length, or a minimum above the maximum.
    pub fn from_days(minimum: f64, maximum: f64) -> Result<Self, InvalidGracePeriodBounds> {
        let (minimum, maximum) = (GracePeriod::unbounded(minimum)?, GracePeriod::unbounded(maximum)?);
        if minimum > maximum {
            return Err(InvalidGracePeriodBounds::Reversed);
        }
        Ok(Self { minimum, maximum })
    }

    /// The shortest allowed grace period.
    #[must_use]
    pub fn minimum(&self) -> GracePeriod {
        self.minimum
    }

    /// The longest allowed grace period.
    #[must_use]
    pub fn maximum(&self) -> GracePeriod {
        self.maximum
    }
}

impl Default for GracePeriodBounds {
    /// One day to 365 days.
    fn default() -> Self {
        const DAY: i64 = 86_400_000_000;
        Self { minimum: GracePeriod { micros: DAY }, maximum: GracePeriod { micros: 365 * DAY } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wide() -> GracePeriodBounds {
        GracePeriodBounds::from_days(1.0 / MICROS_PER_DAY, 3_650_000.0).unwrap()
    }

    #[test]
    fn what_is_no_number_of_days_is_refused() {
        for days in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(GracePeriod::from_days(days, &wide()), Err(InvalidGracePeriod::NotFinite));
        }
        for days in [0.0, -0.0, -1.0, f64::MIN, f64::MIN_POSITIVE, 1e-12] {
            assert_eq!(GracePeriod::from_days(days, &wide()), Err(InvalidGracePeriod::NotPositive));
        }
        for days in [f64::MAX, 1e18, 3_660_001.0] {
            assert_eq!(GracePeriod::from_days(days, &wide()), Err(InvalidGracePeriod::BeyondCalendar));
        }
    }

    #[test]
    fn both_bounds_are_allowed_and_a_microsecond_beyond_is_not() {
        let bounds = GracePeriodBounds::default();
        let microsecond = 1.0 / MICROS_PER_DAY;
        assert_eq!(GracePeriod::from_days(1.0, &bounds).unwrap().micros(), 86_400_000_000);
        assert_eq!(GracePeriod::from_days(365.0, &bounds).unwrap().micros(), 365 * 86_400_000_000);
        for days in [1.0 - microsecond, 365.0 + microsecond] {
            let error = GracePeriod::from_days(days, &bounds).unwrap_err();
            assert_eq!(error, InvalidGracePeriod::OutOfBounds { minimum: 1.0, maximum: 365.0 });
        }
    }

    #[test]
    fn fractions_of_a_day_are_exact_to_the_microsecond() {
        assert_eq!(GracePeriod::from_days(1.5, &wide()).unwrap().micros(), 129_600_000_000);
        assert_eq!(GracePeriod::from_days(1.0 / MICROS_PER_DAY, &wide()).unwrap().micros(), 1);
    }

    #[test]
    fn bounds_that_contain_nothing_are_refused() {
        assert_eq!(GracePeriodBounds::from_days(2.0, 1.0), Err(InvalidGracePeriodBounds::Reversed));
        assert!(GracePeriodBounds::from_days(0.0, 1.0).is_err());
        assert!(GracePeriodBounds::from_days(1.0, f64::NAN).is_err());
    }

    proptest! {
        #[test]
        fn no_number_makes_it_panic_and_what_is_accepted_lies_in_bounds(days in any::<f64>()) {
            let bounds = GracePeriodBounds::default();
            if let Ok(length) = GracePeriod::from_days(days, &bounds) {
                prop_assert!(bounds.minimum() <= length && length <= bounds.maximum());
            }
        }
    }
}
