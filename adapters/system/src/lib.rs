//! What the operating system provides: the time, randomness, and a folder to keep a key in.
//!
//! The only crate that may read the clock or draw random numbers.

mod audit_key_file;
mod clock;
mod ids;

pub use audit_key_file::{AuditKeyFile, AuditKeyFileError, parse_audit_key};
pub use clock::SystemClock;
pub use ids::SystemIds;
