//! What the clocks of the model show, and what the statement that writes a step makes of it.

use reprieve_domain::{Deadline, Moment, Status, Step, Timestamp};

/// An instant of the model is an hour, because nothing but its order matters.
const TICK: i64 = 3_600_000_000;
/// By how many ticks two clocks may differ.
pub(crate) const TOLERANCE: i64 = 1;
/// How long a grace period lasts, in ticks: the shortest with an instant inside that is not its first.
pub(crate) const GRACE_PERIOD: i64 = 2;
/// The first instant of every model: late enough for clocks that are behind.
pub(crate) const FIRST: i64 = 100;

pub(crate) fn at(tick: i64) -> Timestamp {
    Timestamp::from_unix_micros(tick * TICK).unwrap()
}

/// What one instance knows of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Clock {
    /// How far the clock of its machine is from the one that decides.
    pub(crate) offset: i64,
    /// How far what it takes for the deciding clock is from it.
    pub(crate) error: i64,
}

impl Clock {
    pub(crate) fn is_right(self) -> bool {
        self.offset.abs() <= TOLERANCE
    }

    /// Whether an end lies ahead by the clock that decides, or by its own if the two disagree.
    pub(crate) fn is_before(self, ends_at: Timestamp, deciding: i64) -> bool {
        ends_at > at(deciding) || !self.is_right() && ends_at > at(deciding + self.offset)
    }

    /// As the port promises it.
    pub(crate) fn moment(self, deciding: i64) -> Moment {
        let moment = Moment::from(at(deciding + self.error));
        if self.is_right() { moment } else { moment.or(at(deciding + self.offset)) }
    }
}

/// Why a step is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untimely {
    Deadline,
    Clocks,
}

/// What the statement asks of the clocks, beyond what the domain has decided by: the one place to change when it asks
/// something else. `deciding` is the clock of the store while it writes.
pub(crate) fn guard(step: &Step, ends_at: Timestamp, writer: Clock, deciding: i64) -> Result<(), Untimely> {
    let entry = step.audit_entry();
    let needs_agreement = entry.old_status.is_none()
        || entry.old_status == Some(Status::Active) && entry.new_status != Status::Cancelled;
    if needs_agreement && !writer.is_right() {
        return Err(Untimely::Clocks);
    }
    let is_in_time = match step.deadline() {
        Deadline::IsAfter(now) if needs_agreement => ends_at > now && ends_at > at(deciding),
        // In time by one clock is in time, if the two disagree.
        Deadline::IsAfter(now) => ends_at > now && writer.is_before(ends_at, deciding),
        Deadline::IsReachedAt(now) => ends_at <= now && ends_at <= at(deciding),
        Deadline::DoesNotMatter => true,
    };
    if is_in_time { Ok(()) } else { Err(Untimely::Deadline) }
}
