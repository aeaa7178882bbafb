//! What can be asked of reversible identity deletion, and what is needed to answer.
//!
//! A use case is a struct with one `execute`: it loads an identity, asks the domain once and saves the step. The rules
//! are in `reprieve-domain`; how things are stored, shown or transported is in the adapters, behind the [`ports`].
//! [`ErrorCode`] is the one table of stable error codes. The [`facade`] is what somebody asks on behalf of the own
//! identity without caring where the answer comes from.

pub mod facade;
pub mod ports;
pub mod use_cases;

mod api_key;
mod backoff;
mod caller;
mod decide;
mod erasers;
mod error_code;
mod failure;
mod finding;
mod grace_period_settings;
mod idempotency;
mod identity_token;
mod journal;
mod operator_note;
mod outgoing_event;
mod own_identity;
mod pass_summary;
mod pause_reason;
mod receipt;
mod reminder_settings;
mod store_error;
mod trace_context;

pub use api_key::ApiKey;
pub use backoff::Backoff;
pub use caller::Caller;
pub use erasers::{EraserTwice, Erasers};
pub use error_code::{Coded, ErrorCode};
pub use failure::Failure;
pub use finding::{Area, Finding, Severity};
pub use grace_period_settings::{GracePeriodSettings, InvalidGracePeriodSettings};
pub use idempotency::{Answer, AnsweredRequest, Fingerprint, IdempotencyKey, IdempotentRequest, Recording};
pub use identity_token::{IdentityToken, IdentityTokenClaims};
pub use journal::{
    JournaledAuditTrail, JournaledHolds, JournaledSwitch, Journaling, KEEP_JOURNAL, NoJournal,
};
pub use operator_note::{InvalidOperatorNote, OperatorNote};
pub use outgoing_event::{InvalidSinkName, OutgoingEvent, SinkName};
pub use own_identity::{KeyPair, OwnIdentity, SecretKey};
pub use pass_summary::{PassSummary, SinkPass};
pub use pause_reason::{InvalidPauseReason, PauseReason};
pub use receipt::{Receipt, SettledErasure};
pub use reminder_settings::{InvalidReminderSettings, ReminderSettings};
pub use store_error::StoreError;
pub use trace_context::TraceContext;
