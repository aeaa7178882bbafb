//! What the tests and the benchmarks share: a database of their own, and the binary.
//!
//! It knows none of the crates it helps to test; only the binary `contender` does.

mod binary;
mod both;
mod contenders;
mod database;
mod namespace;
mod random;
mod sql;

pub use binary::{Files, Outcome, Sandbox, reprieve_binary};
pub use contenders::Contenders;
pub use database::{POSTGRES_URL, TestDatabase};
pub use namespace::{make_read_only, on_a_small_disk};
pub use random::Random;
pub use sql::Sql;
