//! What has to be known of NATS, and why it may not be enough.

use std::path::PathBuf;
use std::time::Duration;

use reprieve_application::{Coded, ErrorCode, SinkName};
use reprieve_outbound::TlsError;
use secrecy::SecretString;

use super::servers::{InvalidNatsUrl, NatsCredentials};
use crate::Messages;

/// What has to be known of the servers of NATS.
#[derive(Debug, Clone)]
pub struct NatsSinkOptions {
    /// What the sink is called.
    pub name: SinkName,
    /// The servers of one cluster, any of which will do: `tls://[USER:PASSWORD@|TOKEN@]HOST[:PORT]`, or `nats://…`, which
    /// is encrypted if the server wants it or is on another machine.
    pub urls: Vec<SecretString>,
    /// Who we are to them, unless the URLs say so.
    pub credentials: NatsCredentials,
    /// What subjects begin with; behind it comes a full stop and the name of the event's type.
    pub subject_prefix: String,
    /// The stream that is created if it is not there. Without it, some stream that takes the subjects has to be there.
    pub stream: Option<NatsStream>,
    /// How long it may take until an event is delivered, connecting included.
    pub timeout: Duration,
    /// How many events may be on their way at once.
    pub concurrency: usize,
    /// What is sent.
    pub messages: Messages,
    /// Whether the connection to another machine may be unencrypted, for networks that encrypt by themselves.
    pub allow_plaintext: bool,
    /// A file with the certificates of the authorities to trust, instead of the public ones.
    pub certificate_authorities: Option<PathBuf>,
}

/// A stream that takes all subjects with the prefix, and stores in files. One that is there is taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsStream {
    /// What it is called.
    pub name: String,
    /// For how long it knows the ids of messages, so that one that is sent again is stored once.
    pub duplicate_window: Duration,
}

impl NatsSinkOptions {
    /// How many events may be on their way at once, unless said otherwise.
    pub const DEFAULT_CONCURRENCY: usize = 256;
}

/// Why there can be no sink with these options.
#[derive(Debug, thiserror::Error)]
pub enum NatsSinkError {
    /// There is no URL, or one that is none.
    #[error(transparent)]
    Url(#[from] InvalidNatsUrl),
    /// It is not clear who we are.
    #[error("the URLs of servers say differently, or beside other credentials, who we are: say it once")]
    Credentials,
    /// Subjects cannot begin like this.
    #[error("a prefix of subjects is 1 to 128 letters, digits and `-_`, and full stops between them")]
    SubjectPrefix,
    /// A stream cannot be called so.
    #[error("the name of a stream is 1 to 64 letters, digits and `-_`")]
    StreamName,
    /// The certificates of authorities cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Coded for NatsSinkError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Url(_) | Self::Credentials | Self::SubjectPrefix | Self::StreamName => {
                ErrorCode::ConfigurationInvalid
            }
            Self::Tls(error) => error.code(),
        }
    }
}

/// Neither wildcards nor the subjects that begin with `$`, which the servers have for themselves.
fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.bytes().all(allowed)
}

pub(super) fn is_subject_prefix(text: &str) -> bool {
    text.len() <= 128 && text.split('.').all(is_word)
}

pub(super) fn is_stream_name(text: &str) -> bool {
    text.len() <= 64 && is_word(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_have_for_themselves_is_no_prefix() {
        for text in ["reprieve", "a.b-c_1", &"a".repeat(128)] {
            assert!(is_subject_prefix(text), "{text}");
        }
        for text in
            ["", ".", "a.", ".a", "a..b", "*", "a.>", "$JS", "a b", "\u{e9}", "a\r\n", &"a".repeat(129)]
        {
            assert!(!is_subject_prefix(text), "{text}");
        }
    }

    #[test]
    fn a_stream_has_no_full_stop() {
        assert!(is_stream_name("REPRIEVE_1-a"));
        for text in ["", "a.b", "a/b", "a b", "*", &"a".repeat(65)] {
            assert!(!is_stream_name(text), "{text}");
        }
    }
}
