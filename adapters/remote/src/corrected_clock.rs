//! The clock of this machine, set right by the server's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use reprieve_application::ports::Clock;
use reprieve_domain::Timestamp;

/// A clock that can be told what time it is elsewhere.
pub(crate) struct CorrectedClock {
    clock: Arc<dyn Clock>,
    /// Microseconds by which the other clock is ahead.
    ahead: AtomicI64,
}

impl CorrectedClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, ahead: AtomicI64::new(0) }
    }

    /// From now on shows the time of a clock that showed `instant` just now.
    ///
    /// A server could name a time in the future, to have a token that still holds then. It gets tokens for itself only,
    /// so that it gains nothing it does not have.
    pub(crate) fn set(&self, instant: Timestamp) {
        self.ahead.store(instant.micros_since(self.clock.now()), Ordering::Relaxed);
    }
}

impl Clock for CorrectedClock {
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        now.checked_add_micros(self.ahead.load(Ordering::Relaxed)).unwrap_or(now)
    }
}
