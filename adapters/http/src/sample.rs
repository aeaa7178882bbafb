//! Which lines about answers stand in the log: all of those that somebody is known to have asked for, and a sample of the others,
//! because everybody can ask for as many as they like.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota};

/// How many lines a second there are in the long run about those who are not known.
const LINES: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
/// How many there are at once.
const AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// A sample of what is not worth a line each.
pub(crate) struct Sample(DefaultDirectRateLimiter);

impl Sample {
    pub(crate) fn new() -> Self {
        Self(DefaultDirectRateLimiter::direct(Quota::per_second(LINES).allow_burst(AT_ONCE)))
    }

    /// Whether the next one has a line. The others are counted.
    pub(crate) fn has_line(&self) -> bool {
        let has_line = self.0.check().is_ok();
        if !has_line {
            metrics::counter!("reprieve_http_unlogged_answers_total").increment(1);
        }
        has_line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_few_have_a_line() {
        let sample = Sample::new();
        let lines = (0..100_000).filter(|_| sample.has_line()).count();
        // A machine that is busy for a minute adds some.
        assert!((100..1_000).contains(&lines), "{lines}");
    }
}
