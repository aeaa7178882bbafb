//! What is true of reversible identity deletion.
//!
//! A person asks for their [`Identity`] to be deleted. A grace period runs; until it ends they can cancel, from then
//! on they cannot, and their data is erased. This crate holds the rules: the state machine of a
//! [`DeletionProcess`], the aggregate that allows at most one open process, addresses and ids, the length of a grace
//! period, and the tamper-evident [`audit`] trail.
//!
//! It does no I/O, reads no clock and draws no random numbers: instants and new ids come in as values. Every
//! transition borrows the state it starts from and returns a [`Step`], which is the new state together with what
//! happened (an audit entry and, where the world should know, an event), or an error that carries facts. Storing a
//! step, and making sure that no other step was stored meanwhile, is the caller's part; [`Step::deadline`] and the
//! state that was loaded say under which condition the step may be stored.
//!
//! ```
//! use reprieve_domain::{Address, DeletionProcessId, DeviceId, GracePeriod, GracePeriodBounds, Identity, Timestamp};
//!
//! let address: Address = "did:web:example.org:users:ada".parse()?;
//! let device: DeviceId = "DVC0123456789abcdefg".parse()?;
//! let asked_at: Timestamp = "2026-11-23T20:03:07.123456Z".parse()?;
//! let bounds = GracePeriodBounds::default();
//!
//! let identity = Identity::new(address.clone());
//! let id: DeletionProcessId = "IDP0123456789abcdefg".parse()?;
//! let step = identity.initiate(id, device.clone(), GracePeriod::from_days(14.0, &bounds)?, asked_at)?;
//! assert_eq!(step.process().grace_period_ends_at().to_string(), "2026-12-07T20:03:07.123456Z");
//!
//! // Second thoughts, one microsecond before it is too late.
//! let identity = Identity::with_open_process(step.into_process())?;
//! let second_thoughts_at: Timestamp = "2026-12-07T20:03:07.123455Z".parse()?;
//! let step = identity.cancel(device, second_thoughts_at)?;
//! assert_eq!(step.process().status().to_string(), "Cancelled");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod audit;

mod address;
mod deletion_process;
mod erasure;
mod event;
mod grace_period;
mod hold;
mod id;
mod identity;
mod moment;
mod step;
mod text;
mod timestamp;

pub use address::{Address, InvalidAddress};
pub use deletion_process::{
    Active, CancelError, Cancelled, CompleteError, Deleted, Deleting, DeletionProcess, DeletionProcessRecord,
    InvalidRecord, RecordErasureError, RemindError, Reminder, Reminders, StartDeletionError, State, Status,
    UnknownStatus, WaiveErasureError,
};
pub use erasure::{EraserName, Erasure, ErasureRecord, FailureCode, InvalidName, WaiverCode};
pub use event::{Event, EventKind};
pub use grace_period::{GracePeriod, GracePeriodBounds, InvalidGracePeriod, InvalidGracePeriodBounds};
pub use hold::{Hold, HoldChange, HoldCode, HoldError, Suspension};
pub use id::{DeletionProcessId, DeviceId, InvalidId};
pub use identity::{Identity, IdentityStatus, InitiateError, NotOpen};
pub use moment::Moment;
pub use step::{Deadline, NewTask, Step, TaskKind};
pub use timestamp::{InvalidTimestamp, Timestamp};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
