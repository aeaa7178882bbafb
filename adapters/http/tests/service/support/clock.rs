//! A clock that stands still until it is moved.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use reprieve_application::ports::Clock;
use reprieve_domain::Timestamp;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 24 * 3600 * SECOND;

/// When every test begins.
pub(crate) const START: &str = "2026-11-23T20:03:07.123456Z";

pub(crate) struct TestClock {
    now: AtomicI64,
    asked: AtomicUsize,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self { now: AtomicI64::new(start().unix_micros()), asked: AtomicUsize::new(0) }
    }

    /// Moves to so many microseconds after the start.
    pub(crate) fn set(&self, micros: i64) {
        self.now.store(after(micros).unix_micros(), Ordering::SeqCst);
    }

    /// How often somebody wanted to know.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Timestamp::from_unix_micros(self.now.load(Ordering::SeqCst)).unwrap()
    }
}

fn start() -> Timestamp {
    START.parse().unwrap()
}

/// The instant so many microseconds after the start.
pub(crate) fn after(micros: i64) -> Timestamp {
    start().checked_add_micros(micros).unwrap()
}
