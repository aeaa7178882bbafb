//! What has to be known of a broker, and why it may not be enough.

use std::path::PathBuf;
use std::time::Duration;

use reprieve_application::{Coded, ErrorCode, SinkName};
use reprieve_outbound::TlsError;
use secrecy::SecretString;

use super::url::InvalidAmqpUrl;
use crate::Messages;

/// What has to be known of a broker that speaks AMQP 0-9-1.
#[derive(Debug, Clone)]
pub struct AmqpSinkOptions {
    /// What the sink is called.
    pub name: SinkName,
    /// Where the broker is, and who we are to it: `amqps://[USER[:PASSWORD]@]HOST[:PORT][/VIRTUAL-HOST]`, or `amqp://…`
    /// without encryption.
    pub url: SecretString,
    /// The exchange that is sent to. If it is not there, it is declared as a durable one of the type `topic`. The empty
    /// text is the default exchange, which hands each message to the queue that the routing key names.
    pub exchange: String,
    /// The routing key of every message. Without it, it is the name of the event's type.
    pub routing_key: Option<String>,
    /// How long it may take until an event is delivered, connecting included.
    pub timeout: Duration,
    /// How many events may be on their way at once.
    pub concurrency: usize,
    /// What is sent.
    pub messages: Messages,
    /// Whether the URL may be `amqp://` on another machine, for networks that encrypt by themselves.
    pub allow_plaintext: bool,
    /// A file with the certificates of the authorities to trust, instead of the public ones.
    pub certificate_authorities: Option<PathBuf>,
}

/// Why there can be no sink with these options.
#[derive(Debug, thiserror::Error)]
pub enum AmqpSinkError {
    /// The URL is none.
    #[error(transparent)]
    Url(#[from] InvalidAmqpUrl),
    /// Whoever listens on the way would learn who is deleted, and our password.
    #[error(
        "amqp:// is for brokers on this machine only, because anybody on the way could read it: use amqps://"
    )]
    Plaintext,
    /// Nothing would say which queue is meant.
    #[error("the default exchange needs a routing key: the name of a queue")]
    NoQueue,
    /// The exchange cannot be called so.
    #[error("the name of an exchange has at most 127 bytes")]
    ExchangeName,
    /// There can be no such routing key.
    #[error("a routing key has at most 255 bytes")]
    RoutingKey,
    /// The certificates of authorities cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Coded for AmqpSinkError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Url(_) | Self::Plaintext | Self::NoQueue | Self::ExchangeName | Self::RoutingKey => {
                ErrorCode::ConfigurationInvalid
            }
            Self::Tls(error) => error.code(),
        }
    }
}
