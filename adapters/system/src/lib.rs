//! What the operating system provides: the time, randomness, and files to keep keys and the erasure ledger in; and
//! signing with keys.
//!
//! The only crate that may read the clock or draw random numbers.

mod audit_key_file;
mod clock;
mod folder;
mod ids;
mod jws;
mod ledger_file;
mod receipt_key_file;
mod receipt_signer;
mod secret_file;
mod token_signer;

pub use audit_key_file::{AuditKeyFile, AuditKeyFileError, parse_audit_key};
pub use clock::{ClockUnusable, SystemClock};
pub use ids::SystemIds;
pub use ledger_file::LedgerFile;
pub use receipt_key_file::{InvalidReceiptKey, ReceiptKeyFile, ReceiptKeyFileError, parse_receipt_key};
pub use receipt_signer::{JwsReceiptChecker, JwsReceiptSigner, ReceiptError, verify_receipt};
pub use token_signer::JwtSigner;
