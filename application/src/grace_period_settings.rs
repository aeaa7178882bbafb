//! What a deployment says about grace periods.

use reprieve_domain::{GracePeriod, GracePeriodBounds, InvalidGracePeriod, InvalidGracePeriodBounds};

/// The bounds of a grace period and its length where none is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GracePeriodSettings {
    bounds: GracePeriodBounds,
    default: GracePeriod,
}

/// Settings that contradict each other.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidGracePeriodSettings {
    /// The bounds.
    #[error(transparent)]
    Bounds(#[from] InvalidGracePeriodBounds),
    /// The default is no length within the bounds.
    #[error("the default is not valid: {0}")]
    Default(#[from] InvalidGracePeriod),
}

impl GracePeriodSettings {
    /// Lengths in days.
    ///
    /// # Errors
    /// If a length is none, the bounds are reversed, or the default lies outside them.
    pub fn from_days(default: f64, minimum: f64, maximum: f64) -> Result<Self, InvalidGracePeriodSettings> {
        let bounds = GracePeriodBounds::from_days(minimum, maximum)?;
        Ok(Self { bounds, default: GracePeriod::from_days(default, &bounds)? })
    }

    /// The length asked for, or the default.
    ///
    /// # Errors
    /// If the length asked for is none or lies outside the bounds.
    pub fn length(&self, days: Option<f64>) -> Result<GracePeriod, InvalidGracePeriod> {
        days.map_or(Ok(self.default), |days| GracePeriod::from_days(days, &self.bounds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_must_lie_within_the_bounds() {
        assert!(GracePeriodSettings::from_days(14.0, 1.0, 365.0).is_ok());
        assert!(GracePeriodSettings::from_days(0.5, 1.0, 365.0).is_err());
        assert!(GracePeriodSettings::from_days(14.0, 20.0, 10.0).is_err());
        assert!(GracePeriodSettings::from_days(f64::NAN, 1.0, 2.0).is_err());
    }
}
