//! The audit trail: what was done to a process, by whom and when, in a form that cannot be altered unnoticed.
//!
//! A transition says what happened as an [`AuditEntry`]. An [`AuditKey`] turns it into a [`SealedEntry`], in which
//! identity and device are keyed hashes and which carries a keyed hash over its content and the hash of the entry
//! before it; the newest hash of a process, its [`ChainHead`], is sealed once more, so that cutting off the newest
//! entries shows as well. [`AuditKey::verify`] walks a chain and names the first entry that is not what was written, or
//! that tells of a step which the state before it did not allow. [`AuditKey::verify_process`] does so before anything
//! irreversible is done about a process, and gives a [`VerifiedProcess`] back.
//!
//! What it cannot show by itself is that a whole process or a whole database was put back to an earlier state, or that every
//! trace of a process was removed with it. A journal outside the database shows that: [`AuditKey::account`] says what it is
//! to keep, and [`recognise`] compares.

mod canonical;
mod chain;
mod clock_record;
mod doubted_process;
mod entry;
mod hold;
mod journal;
mod key;
mod ledger;
mod pause;
mod proof;
mod recognition;
mod stored_process;
mod stored_task;
mod verified_process;

pub use chain::{Chain, ChainHead, Fault, FaultKind, SealedEntry, StoredHead, Subject};
pub use clock_record::{ClockConfirmation, ClockRecord};
pub use doubted_process::DoubtedProcess;
pub use entry::{AuditEntry, AuditedAction};
pub use hold::RememberedHold;
pub use journal::{Account, JournalDates, JournalEntry, JournalKind};
pub use key::{AuditKey, InvalidAuditKey, InvalidKeyedHash, KeyedHash};
pub use ledger::{ErasureLedgerEntry, InvalidLedgerEntry};
pub use pause::{PauseChange, PauseRecord};
pub use proof::Proof;
pub use recognition::{Recognition, Remembered, Restoration, recognise, restoration};
pub use stored_process::{ClosedProcess, StoredErasures, StoredProcess};
pub use stored_task::StoredTask;
pub use verified_process::VerifiedProcess;
