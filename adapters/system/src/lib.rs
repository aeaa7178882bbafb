//! What the operating system provides: the time, randomness, and a folder to keep a key in; and signing with keys.
//!
//! The only crate that may read the clock or draw random numbers.

mod audit_key_file;
mod clock;
mod ids;
mod token_signer;

pub use audit_key_file::{AuditKeyFile, AuditKeyFileError, parse_audit_key};
pub use clock::SystemClock;
pub use ids::SystemIds;
pub use token_signer::JwtSigner;
