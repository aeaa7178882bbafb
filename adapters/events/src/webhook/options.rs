//! What has to be known of a service that is told of events.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use reprieve_application::SinkName;
use reprieve_outbound::{AllowedHosts, SigningSecret};
use secrecy::SecretString;

use super::WebhookUrl;
use crate::Messages;

/// What has to be known of a service that is told of events.
#[derive(Debug, Clone)]
pub struct WebhookSinkOptions {
    /// What it is called.
    pub name: SinkName,
    /// Where it is.
    pub url: WebhookUrl,
    /// Proves to it who tells it. Only the Connector's format does without.
    pub secret: Option<SigningSecret>,
    /// How long one message may take, from looking up the name to the head of the answer. An event is at most two messages.
    pub timeout: Duration,
    /// How many events may be on their way to it at once.
    pub concurrency: NonZeroUsize,
    /// Which messages it is sent.
    pub messages: Messages,
    /// A file with the certificates of the authorities to trust, instead of the public ones.
    pub certificate_authorities: Option<PathBuf>,
    /// Whether the URL may be `http://` on another machine, for networks that encrypt by themselves.
    pub allow_plaintext: bool,
    /// Who may be called although he is on this machine or in a private network.
    pub allowed_hosts: AllowedHosts,
    /// Further header fields, the same in each request: an API key, for instance.
    pub headers: BTreeMap<String, SecretString>,
}

impl WebhookSinkOptions {
    /// How many events may be on their way at once, unless said otherwise.
    pub const DEFAULT_CONCURRENCY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);
}
