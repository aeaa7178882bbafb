//! When to kill something.

use std::time::Duration;

use crate::Random;

/// Random moments within about the time that a command takes, whatever that is on this machine at this time: the range
/// grows with every command that did not come to its end, and shrinks with every one that did.
pub struct Moments {
    random: Random,
    longest_micros: u64,
}

impl Moments {
    /// Within a few milliseconds at first.
    #[must_use]
    pub fn new() -> Self {
        Self { random: Random::new(), longest_micros: 20_000 }
    }

    /// The next one, counted from the start of the command.
    pub fn draw(&mut self) -> Duration {
        Duration::from_micros(self.random.below(self.longest_micros))
    }

    /// What became of the last one.
    pub fn learn(&mut self, ended: bool) {
        self.longest_micros = self.longest_micros * if ended { 85 } else { 110 } / 100;
    }

    /// For what else is left to chance.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }
}

impl Default for Moments {
    fn default() -> Self {
        Self::new()
    }
}
