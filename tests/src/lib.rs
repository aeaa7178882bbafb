//! What the tests and the benchmarks share: a database of their own, and the binary.
//!
//! It knows none of the crates it helps to test.

mod binary;
mod database;
mod performance;
mod server;

pub use binary::{Outcome, Sandbox, reprieve_binary};
pub use database::{POSTGRES_URL, TestDatabase};
pub use performance::{is_measuring, publish};
pub use server::postgres_server;
