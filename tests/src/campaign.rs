//! Tests that can go on for as long as one likes.

use std::fmt::Debug;
use std::str::FromStr;

/// The environment variable with how often to try; the scripts in `tests/campaigns` set it.
const ROUNDS: &str = "REPRIEVE_TEST_ROUNDS";

/// How often to try: in a campaign as often as it asks for, but never less often than usual, because what has to be seen
/// once takes its number of tries.
#[must_use]
pub fn rounds<T: FromStr<Err: Debug> + Ord>(usual: T) -> T {
    match std::env::var(ROUNDS) {
        Ok(rounds) => usual.max(rounds.parse().unwrap()),
        Err(_) => usual,
    }
}
