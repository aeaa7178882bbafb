//! Tells others what happened.
//!
//! An [`OutgoingEvent`](reprieve_application::OutgoingEvent) becomes one or two [`Message`]s, one for each [`EventType`]
//! that it is told under, and a sink delivers them. Which event a sink is told of when, and what happens when it does not
//! take it, is decided by the use case `RelayEvents`, not here.

mod amqp;
mod data;
mod event_type;
mod failure;
mod json;
mod link;
mod message;
mod nats;
mod schemas;
mod stdout;
mod webhook;

pub use amqp::{AmqpSink, AmqpSinkError, AmqpSinkOptions, InvalidAmqpUrl};
pub use event_type::{EventType, UnknownEventType};
pub use message::{Format, Message, Messages};
pub use nats::{InvalidNatsUrl, NatsCredentials, NatsSink, NatsSinkError, NatsSinkOptions, NatsStream};
pub use schemas::{schema, schemas};
pub use stdout::StdoutSink;
pub use webhook::{
    InvalidWebhookHeader, InvalidWebhookUrl, WebhookSink, WebhookSinkError, WebhookSinkOptions, WebhookUrl,
};
