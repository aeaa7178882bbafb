//! Tests that can go on for as long as one likes.

use std::fmt::Debug;
use std::str::FromStr;

/// The environment variable with how often to try; the scripts in `tests/campaigns` set it.
const ROUNDS: &str = "REPRIEVE_TEST_ROUNDS";

/// How often to try: in a campaign as often as it asks for, and else the usual number of times.
pub fn rounds<T: FromStr<Err: Debug>>(usual: T) -> T {
    std::env::var(ROUNDS).map_or(usual, |rounds| rounds.parse().unwrap())
}
