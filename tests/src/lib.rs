//! What the tests and the benchmarks share: a database of their own, and the binary.
//!
//! It knows none of the crates it helps to test.

mod binary;
mod both;
mod database;
mod sql;

pub use binary::{Files, Outcome, Sandbox, reprieve_binary};
pub use database::{POSTGRES_URL, TestDatabase};
pub use sql::Sql;
