//! Random numbers that can be drawn again.

use std::hash::{BuildHasher, RandomState};

/// The environment variable with the seed of an earlier run.
const SEED: &str = "REPRIEVE_TEST_SEED";

/// A small generator (`SplitMix64`). What it draws depends on its seed only, and the seed is printed.
pub struct Random(u64);

impl Random {
    /// With the seed that the environment names, or a new one.
    #[must_use]
    pub fn new() -> Self {
        let seed = match std::env::var(SEED) {
            Ok(seed) => seed.parse().unwrap(),
            // The standard library draws a new key for every hash map.
            Err(_) => RandomState::new().hash_one(0),
        };
        // Shown if the test fails.
        println!("{SEED}={seed}");
        Self(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}
