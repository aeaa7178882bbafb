//! The port `EventSink`: telling another service, by one POST a message.
//!
//! What it is sent, and which answers are understood, is written in `docs/events.md`.

mod error;
mod headers;
mod options;
mod resolver;
mod sink;
mod url;

#[cfg(test)]
mod tests;

pub use error::WebhookSinkError;
pub use headers::InvalidWebhookHeader;
pub use options::WebhookSinkOptions;
pub use sink::WebhookSink;
pub use url::{InvalidWebhookUrl, WebhookUrl};
