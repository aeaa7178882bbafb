//! What has to be known of a server of NATS, and why it may not be enough.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use reprieve_application::{Coded, ErrorCode, SinkName};
use reprieve_outbound::TlsError;
use secrecy::SecretString;

use super::InvalidNatsUrl;
use crate::Messages;

/// What has to be known of a server of NATS.
#[derive(Debug, Clone)]
pub struct NatsSinkOptions {
    /// What the sink is called.
    pub name: SinkName,
    /// Where the server is, and who we are to it: `tls://[USER:PASSWORD@]HOST[:PORT]`, `tls://TOKEN@HOST[:PORT]`, or
    /// `nats://…` without encryption.
    pub url: SecretString,
    /// What the subject of every message begins with; a full stop and the name of the event's type follow.
    pub subject_prefix: String,
    /// The stream that is made if it is not there, for all subjects that begin so. Without it, there must be one.
    pub stream: Option<String>,
    /// How long it may take until an event is delivered, connecting included.
    pub timeout: Duration,
    /// How many events may be on their way at once.
    pub concurrency: NonZeroUsize,
    /// What is sent.
    pub messages: Messages,
    /// Whether the URL may be `nats://` on another machine, for networks that encrypt by themselves.
    pub allow_plaintext: bool,
    /// A file with the certificates of the authorities to trust, instead of the public ones.
    pub certificate_authorities: Option<PathBuf>,
}

impl NatsSinkOptions {
    /// How many events may be on their way at once, unless said otherwise.
    pub const DEFAULT_CONCURRENCY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);
}

/// Why there can be no sink with these options.
#[derive(Debug, thiserror::Error)]
pub enum NatsSinkError {
    /// The URL is none.
    #[error(transparent)]
    Url(#[from] InvalidNatsUrl),
    /// Whoever listens on the way would learn who is deleted, and our password.
    #[error(
        "nats:// is for servers on this machine only, because anybody on the way could read it: use tls://"
    )]
    Plaintext,
    /// No subject can begin so.
    #[error("a subject has no spaces, no wildcards, and nothing empty between full stops")]
    SubjectPrefix,
    /// No stream can be called so.
    #[error("the name of a stream has no spaces, no wildcards, no full stops and no slashes")]
    StreamName,
    /// The certificates of authorities cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Coded for NatsSinkError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Url(_) | Self::Plaintext | Self::SubjectPrefix | Self::StreamName => {
                ErrorCode::ConfigurationInvalid
            }
            Self::Tls(error) => error.code(),
        }
    }
}
