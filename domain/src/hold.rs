//! Holds: an operator suspends the deletion of an identity until an instant, for a reason that has a code.
//!
//! An identity has at most one hold for each code; placing it again renews or shortens it. What holds mean for the open
//! deletion process is its [`Suspension`]. Whether and where holds are stored is not known here.

use crate::erasure::{InvalidName, check_name};
use crate::text::checked_text;
use crate::{Step, Timestamp};

const DAY: i64 = 86_400_000_000;

/// For how long a hold can be placed, in microseconds: a year, which may be a leap year.
const LONGEST: i64 = 366 * DAY;

/// How much time the owner has left at least, in microseconds, if a hold that outlasts the promised date goes.
const LEFT: i64 = 7 * DAY;

/// Why an identity is held, as a code such as `legal` or `dispute`: 1 to 64 letters, digits and `.-_`. It goes into the audit
/// trail, which outlives the identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HoldCode(String);

impl HoldCode {
    fn check(text: &str) -> Result<(), InvalidName> {
        check_name(text)
    }
}

checked_text!(HoldCode, InvalidName);

/// That the deletion of an identity is suspended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Why.
    pub code: HoldCode,
    /// Since when.
    pub placed_at: Timestamp,
    /// The first instant at which it is not in force any more.
    pub ends_at: Timestamp,
    /// Whether the owner does not see it.
    pub is_silent: bool,
}

impl Hold {
    /// Whether it is in force at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        now < self.ends_at
    }
}

/// Until when the deletion of a process is suspended: the end of the latest hold, or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspension {
    /// The first instant at which it is not suspended any more.
    pub until: Timestamp,
    /// That of the holds that the owner sees; none if all are silent.
    pub shown_until: Option<Timestamp>,
}

/// Why a hold cannot be placed or released.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    /// It would be over already.
    #[error("the end of a hold must be in the future, and {ends_at} is not")]
    EndsInPast {
        /// When it would end.
        ends_at: Timestamp,
    },
    /// It would last for more than a year.
    #[error("a hold lasts a year at most, and can be renewed; {ends_at} is later")]
    EndsTooLate {
        /// When it would end.
        ends_at: Timestamp,
    },
    /// No hold with this code is in force.
    #[error("the identity is not held with the code {code}")]
    NotHeld {
        /// The code.
        code: HoldCode,
    },
}

/// A hold that is placed, changed or released, and the step of the open process that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a change that is not stored did not happen"]
pub struct HoldChange {
    /// The hold as it is from now on.
    pub hold: Hold,
    /// None without an open process.
    pub step: Option<Step>,
}

/// Places a hold, or changes the end of the one that there is.
pub(crate) fn placed(
    holds: &[Hold],
    code: HoldCode,
    ends_at: Timestamp,
    is_silent: bool,
    now: Timestamp,
) -> Result<Hold, HoldError> {
    if ends_at <= now {
        return Err(HoldError::EndsInPast { ends_at });
    }
    if ends_at.micros_since(now) > LONGEST {
        return Err(HoldError::EndsTooLate { ends_at });
    }
    let placed_at = in_force(holds, &code, now).map_or(now, |hold| hold.placed_at);
    Ok(Hold { code, placed_at, ends_at, is_silent })
}

/// Releases the hold with this code.
pub(crate) fn released(holds: &[Hold], code: HoldCode, now: Timestamp) -> Result<Hold, HoldError> {
    match in_force(holds, &code, now) {
        Some(hold) => Ok(Hold { ends_at: now, ..hold.clone() }),
        None => Err(HoldError::NotHeld { code }),
    }
}

fn in_force<'a>(holds: &'a [Hold], code: &HoldCode, now: Timestamp) -> Option<&'a Hold> {
    holds.iter().find(|hold| hold.code == *code && hold.is_in_force(now))
}

impl Suspension {
    /// What holds mean for a process; none if none is in force.
    #[must_use]
    pub fn by(holds: &[Hold], now: Timestamp) -> Option<Self> {
        let in_force = || holds.iter().filter(|hold| hold.is_in_force(now));
        let until = in_force().map(|hold| hold.ends_at).max()?;
        let shown_until = in_force().filter(|hold| !hold.is_silent).map(|hold| hold.ends_at).max();
        Some(Self { until, shown_until })
    }

    /// What they mean for a process that is suspended like `self` now: if its end would come earlier than it was, there are
    /// some days left past the promised date, so that its owner can still cancel.
    pub(crate) fn changed(
        before: Option<Self>,
        holds: &[Hold],
        promised: Timestamp,
        now: Timestamp,
    ) -> Option<Self> {
        let after = Self::by(holds, now);
        let left = now.checked_add_micros(LEFT).unwrap_or(now);
        // Not more than there was, and nothing that does not outlast the promised date.
        let kept = |until: Timestamp| Some(until.min(left)).filter(|until| *until > promised);
        let until = after.map(|after| after.until).max(before.and_then(|before| kept(before.until)))?;
        let shown = before.and_then(|before| before.shown_until).and_then(kept);
        Some(Self { until, shown_until: after.and_then(|after| after.shown_until).max(shown) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_unix_micros(days * DAY).unwrap()
    }

    fn hold(code: &str, ends: i64, is_silent: bool) -> Hold {
        Hold { code: code.parse().unwrap(), placed_at: at(0), ends_at: at(ends), is_silent }
    }

    #[test]
    fn a_hold_ends_in_the_future_and_within_a_year() {
        let place = |ends_at| placed(&[], "legal".parse().unwrap(), ends_at, false, at(10));
        assert_eq!(place(at(10)), Err(HoldError::EndsInPast { ends_at: at(10) }));
        assert_eq!(place(at(377)), Err(HoldError::EndsTooLate { ends_at: at(377) }));
        assert_eq!(place(at(376)).unwrap().ends_at, at(376));
        assert!(place(at(10).checked_add_micros(1).unwrap()).is_ok());
    }

    #[test]
    fn a_hold_that_is_placed_again_is_the_same_hold_with_another_end() {
        let before = [hold("legal", 20, false)];
        let renewed = placed(&before, "legal".parse().unwrap(), at(30), true, at(10)).unwrap();
        assert_eq!(renewed, Hold { ends_at: at(30), is_silent: true, ..before[0].clone() });
        // One that is over is not renewed, but placed anew.
        assert_eq!(
            placed(&before, "legal".parse().unwrap(), at(30), false, at(20)).unwrap().placed_at,
            at(20)
        );
        let released_one = released(&before, "legal".parse().unwrap(), at(10)).unwrap();
        assert_eq!(released_one.ends_at, at(10));
        for (code, now) in [("dispute", 10), ("legal", 20)] {
            let code: HoldCode = code.parse().unwrap();
            assert_eq!(released(&before, code.clone(), at(now)), Err(HoldError::NotHeld { code }));
        }
    }

    #[test]
    fn the_latest_hold_counts_and_silent_ones_are_not_shown() {
        let holds = [hold("a", 20, false), hold("b", 30, true), hold("c", 5, false)];
        let suspension = Suspension::by(&holds, at(10)).unwrap();
        assert_eq!(suspension, Suspension { until: at(30), shown_until: Some(at(20)) });
        assert_eq!(Suspension::by(&holds, at(30)), None);
        assert_eq!(Suspension::by(&holds, at(20)).unwrap().shown_until, None);
    }

    #[test]
    fn what_ends_earlier_leaves_seven_days_past_the_promised_date() {
        let suspended = |until| Some(Suspension { until: at(until), shown_until: Some(at(until)) });
        let changed =
            |until, promised, now| Suspension::changed(suspended(until), &[], at(promised), at(now));
        // Long before the promised date, nothing has to be left.
        assert_eq!(changed(30, 20, 10), None);
        // Less than seven days before it, or behind it.
        assert_eq!(changed(30, 20, 15), suspended(22));
        assert_eq!(changed(40, 20, 25), suspended(32));
        // There were less.
        assert_eq!(changed(27, 20, 25), suspended(27));
        // It was over, and stays so.
        assert_eq!(changed(24, 20, 25), suspended(24));
        // Another hold lasts longer.
        let other = [hold("b", 35, true)];
        let left = Suspension::changed(suspended(40), &other, at(20), at(25));
        assert_eq!(left, Some(Suspension { until: at(35), shown_until: Some(at(32)) }));
    }

    proptest! {
        #[test]
        fn an_end_never_moves_nearer_than_seven_days(
            before in prop::option::of(0..100_i64), ends in prop::collection::vec((0..100_i64, any::<bool>()), 0..4),
            promised in 0..100_i64, now in 0..100_i64,
        ) {
            let holds: Vec<Hold> = ends.iter().map(|(ends, silent)| hold("a", *ends, *silent)).collect();
            let before = before.map(|until| Suspension { until: at(until), shown_until: None });
            let end = |suspension: Option<Suspension>| suspension.map_or(at(promised), |held| held.until.max(at(promised)));
            let after = Suspension::changed(before, &holds, at(promised), at(now));
            prop_assert!(end(after) >= end(before).min(at(now + 7)));
            for hold in holds.iter().filter(|hold| hold.is_in_force(at(now))) {
                prop_assert!(end(after) >= hold.ends_at);
            }
        }
    }
}
