//! Why there can be no eraser with these options.

use std::error::Error;

use reprieve_application::{Coded, ErrorCode};
use reprieve_outbound::TlsError;

/// Why there can be no eraser with these options.
#[derive(Debug, thiserror::Error)]
pub enum HttpEraserError {
    /// Whoever listens on the way would learn who is deleted.
    #[error(
        "http:// is for erasers on this machine only, because anybody on the way could read it: use https://"
    )]
    PlainHttp,
    /// It is not known whom to trust.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There can be no client on this machine.
    #[error("no HTTP client can be made")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

impl Coded for HttpEraserError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::PlainHttp => ErrorCode::ConfigurationInvalid,
            Self::Tls(error) => error.code(),
            Self::Client(_) => ErrorCode::SystemFailed,
        }
    }
}
