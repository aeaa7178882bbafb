//! Tells others what happened.
//!
//! An [`OutgoingEvent`](reprieve_application::OutgoingEvent) becomes one or two [`Message`]s, one for each [`EventType`]
//! that it is told under, and a sink delivers them. Which event a sink is told of when, and what happens when it does not
//! take it, is decided by the use case `RelayEvents`, not here.

mod data;
mod event_type;
mod json;
mod message;
mod schemas;
mod stdout;
mod webhook;

pub use event_type::{EventType, UnknownEventType};
pub use message::{Format, Message, Messages};
pub use schemas::{schema, schemas};
pub use stdout::StdoutSink;
pub use webhook::{
    InvalidWebhookHeader, InvalidWebhookUrl, WebhookSink, WebhookSinkError, WebhookSinkOptions, WebhookUrl,
};
