//! Serves the use cases over HTTP, for many identities.
//!
//! Three interfaces, each with the paths, data and error codes that existing clients know: enmeshed's Connector for the
//! own identity, the part of enmeshed's Backbone that identities use, and the part that its administrators use. What is
//! here and nowhere else: who may call, how a request becomes a call of a use case, and how its outcome becomes an
//! answer. Nothing is decided here.

mod admin;
pub mod authentication;
mod callers;
mod connector;
mod consumer;
mod context;
mod data;
mod docs;
mod finish;
mod holds;
mod idempotency;
mod limits;
mod metrics;
mod openapi;
mod operations;
mod peer;
mod permits;
mod refusal;
mod router;
mod sample;
mod server;
mod service;
mod settings;
#[cfg(test)]
mod test_data;
mod trace;

pub use metrics::Metrics;
pub use peer::{InvalidNetwork, Network};
pub use router::document;
pub use server::{Ended, serve, serve_operations};
pub use service::{Cancelling, Service, UseCases};
pub use settings::Settings;

/// What reads headers, for the fuzz targets. Not part of the interface.
#[doc(hidden)]
pub mod headers {
    pub use crate::context::{request_id, trace_id};
    pub use crate::idempotency::parse_key as idempotency_key;
}
