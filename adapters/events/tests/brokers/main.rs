//! Sinks and real brokers: `RabbitMQ` and NATS.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise, in helpers as well as in test functions"
)]

mod amqp;
mod amqp_broken;
mod amqp_tls;
mod encrypted;
mod nats;
mod nats_broken;
mod options;
mod support;
