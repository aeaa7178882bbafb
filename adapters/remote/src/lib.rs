//! A client for a Reprieve service: the same questions as with a local database, asked over HTTP.
//!
//! [`RemoteIdentityDeletion`] implements the application's facade. Each request carries a token that the own identity
//! signed for it. A request that changes something carries one idempotency key, however often it is sent, and if its
//! answer is lost the truth is read back, so that client and server cannot disagree about what was done.

mod answer;
mod connection;
mod corrected_clock;
mod dialogue;
mod error;
mod identity_deletion;
mod pause;
mod platform_codes;
mod process_dto;
mod question;
mod server_url;

#[cfg(test)]
mod tests;

pub use error::RemoteError;
pub use identity_deletion::{RemoteIdentityDeletion, RemoteOptions};
pub use server_url::{InvalidServerUrl, ServerUrl};
