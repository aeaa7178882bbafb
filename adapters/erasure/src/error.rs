//! Why there can be no eraser with these options.

use std::error::Error;
use std::path::PathBuf;

use reprieve_application::{Coded, ErrorCode};

/// Why there can be no eraser with these options.
#[derive(Debug, thiserror::Error)]
pub enum HttpEraserError {
    /// Whoever listens on the way would learn who is deleted.
    #[error(
        "http:// is for erasers on this machine only, because anybody on the way could read it: use https://"
    )]
    PlainHttp,
    /// The file with the certificates of authorities holds none.
    #[error("the certificates in {} cannot be used", .file.display())]
    CertificateAuthorities {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// There can be no client on this machine.
    #[error("no HTTP client can be made")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

impl Coded for HttpEraserError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::PlainHttp | Self::CertificateAuthorities { .. } => ErrorCode::ConfigurationInvalid,
            Self::Client(_) => ErrorCode::SystemFailed,
        }
    }
}
