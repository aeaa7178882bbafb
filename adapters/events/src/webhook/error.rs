//! Why there can be no webhook with these options.

use std::error::Error;

use reprieve_application::{Coded, ErrorCode};
use reprieve_outbound::TlsError;

use super::InvalidWebhookHeader;

/// Why there can be no webhook with these options.
#[derive(Debug, thiserror::Error)]
pub enum WebhookSinkError {
    /// Whoever listens on the way would learn who is deleted.
    #[error(
        "http:// is for receivers on this machine only, because anybody on the way could read it: use https://"
    )]
    PlainHttp,
    /// Nobody has said that this is intended.
    #[error(
        "{host} is this machine or in a private network: name it among the allowed hosts if that is intended"
    )]
    PrivateTarget {
        /// The host of the URL.
        host: String,
    },
    /// Anybody could tell the receiver anything.
    #[error("CloudEvents are signed: a secret is missing")]
    SecretMissing,
    /// A header field that cannot be sent.
    #[error(transparent)]
    Header(#[from] InvalidWebhookHeader),
    /// It is not known whom to trust.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There can be no client on this machine.
    #[error("no HTTP client can be made")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

impl Coded for WebhookSinkError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::PlainHttp | Self::PrivateTarget { .. } | Self::SecretMissing | Self::Header(_) => {
                ErrorCode::ConfigurationInvalid
            }
            Self::Tls(error) => error.code(),
            Self::Client(_) => ErrorCode::SystemFailed,
        }
    }
}
