//! One moment by the clocks of a deployment.

use crate::Timestamp;

/// What the clocks of a deployment show at one moment.
///
/// One of them decides. While another one disagrees with it, a cancellation counts if it is in time by either, because a
/// clock that is wrong must not take anybody's second thoughts away.
///
/// ```
/// # use reprieve_domain::{Moment, Timestamp};
/// let now: Timestamp = "2026-12-07T20:03:07Z".parse()?;
/// let slow: Timestamp = "2026-12-07T19:00:00Z".parse()?;
/// let moment = Moment::from(now).or(slow);
/// assert_eq!((moment.now(), moment.earliest(), moment.latest()), (now, slow, now));
/// # Ok::<(), reprieve_domain::InvalidTimestamp>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    now: Timestamp,
    earliest: Timestamp,
    latest: Timestamp,
}

impl Moment {
    /// The same moment, by one more clock, which disagrees.
    #[must_use]
    pub fn or(self, shown: Timestamp) -> Self {
        Self { earliest: self.earliest.min(shown), latest: self.latest.max(shown), ..self }
    }

    /// By the clock that decides.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// By whichever is the slowest.
    #[must_use]
    pub fn earliest(&self) -> Timestamp {
        self.earliest
    }

    /// By whichever is the fastest.
    #[must_use]
    pub fn latest(&self) -> Timestamp {
        self.latest
    }
}

impl From<Timestamp> for Moment {
    /// By one clock, with which no other one disagrees.
    fn from(now: Timestamp) -> Self {
        Self { now, earliest: now, latest: now }
    }
}
