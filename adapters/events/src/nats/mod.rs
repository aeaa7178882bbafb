//! A sink that is a stream of NATS `JetStream`.

mod options;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{self, Context, stream};
use async_nats::{Client, ConnectOptions, HeaderMap, header};
use async_trait::async_trait;
use reprieve_application::ports::{EventSink, SendError};
use reprieve_application::{OutgoingEvent, SinkName};
use reprieve_domain::FailureCode;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

pub use self::options::{NatsSinkError, NatsSinkOptions};
pub use self::url::InvalidNatsUrl;
use self::url::NatsServer;
use crate::link::{Connected, Link};
use crate::{Message, Messages, failure};

/// Messages with the same id within so long are one: an event that is told of again seldom takes longer to come again.
const DUPLICATES: Duration = Duration::from_mins(10);

/// Hands events to a stream. What it has acknowledged is stored, and what it was given before it drops.
///
/// It connects when there is something to send. A connection that is lost is never mended: what was on its way on it is
/// unknown, so that everybody learns it, and the next one makes another. Neither a log nor an error ever contains a password
/// or the address of an identity.
pub struct NatsSink {
    name: SinkName,
    subject_prefix: String,
    timeout: Duration,
    concurrency: usize,
    messages: Messages,
    opening: Arc<Opening>,
    link: Link<Open>,
}

/// What it takes to make a connection.
struct Opening {
    server: NatsServer,
    tls: rustls::ClientConfig,
    name: SinkName,
    stream: Option<String>,
    subject_prefix: String,
    timeout: Duration,
    concurrency: usize,
}

/// A connection.
struct Open {
    client: Client,
    context: Context,
}

impl Connected for Open {
    fn is_open(&self) -> bool {
        self.client.connection_state() == State::Connected
    }
}

impl NatsSink {
    /// With these options. Nobody is asked whether they are right.
    ///
    /// # Errors
    /// If the server would be told who is deleted without encryption over a network and that is not allowed, if a name is
    /// none, or if the certificates cannot be used.
    pub fn new(options: NatsSinkOptions) -> Result<Self, NatsSinkError> {
        let server = NatsServer::parse(&options.url)?;
        if !server.is_encrypted && !server.is_on_this_machine && !options.allow_plaintext {
            return Err(NatsSinkError::Plaintext);
        }
        if !is_subject(&options.subject_prefix) {
            return Err(NatsSinkError::SubjectPrefix);
        }
        if options.stream.as_deref().is_some_and(|name| !is_stream(name)) {
            return Err(NatsSinkError::StreamName);
        }
        let opening = Opening {
            server,
            tls: reprieve_outbound::tls_configuration(options.certificate_authorities.as_deref())?,
            name: options.name.clone(),
            stream: options.stream,
            subject_prefix: options.subject_prefix.clone(),
            timeout: options.timeout,
            concurrency: options.concurrency.get(),
        };
        Ok(Self {
            name: options.name,
            subject_prefix: options.subject_prefix,
            timeout: options.timeout,
            concurrency: options.concurrency.get(),
            messages: options.messages,
            opening: Arc::new(opening),
            link: Link::new(),
        })
    }

    /// One message after the other: the next one only once the stream has the one before it.
    async fn deliver(&self, event: &OutgoingEvent) -> Result<(), SendError> {
        for message in self.messages.about(event) {
            let opening = Arc::clone(&self.opening);
            let open = self.link.get(|| open(opening)).await.map_err(SendError::Unreachable)?;
            self.publish(&open.context, message).await.map_err(|error| why(&error))?;
        }
        Ok(())
    }

    async fn publish(&self, context: &Context, message: Message) -> Result<(), PublishError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_MESSAGE_ID, message.id.as_str());
        headers.insert("Content-Type", message.content_type);
        let subject = format!("{}.{}", self.subject_prefix, message.event_type.name());
        let acknowledgement = context.publish_with_headers(subject, headers, message.body.into()).await?;
        acknowledgement.await.map(drop)
    }
}

/// Connects, and makes the stream if one is named that is not there.
async fn open(opening: Arc<Opening>) -> Result<Open, FailureCode> {
    let NatsServer { url, user, password, token, .. } = &opening.server;
    let mut options = ConnectOptions::new()
        .name(format!("reprieve {}", opening.name))
        .connection_timeout(opening.timeout)
        .require_tls(opening.server.is_encrypted)
        .tls_client_config(opening.tls.clone())
        .ignore_discovered_servers()
        // One that is mended would answer for what the lost one was sent.
        .max_reconnects(Some(1))
        .client_capacity(2 * opening.concurrency);
    if let (Some(user), Some(password)) = (user, password) {
        options =
            options.user_and_password(user.expose_secret().to_owned(), password.expose_secret().to_owned());
    }
    if let Some(token) = token {
        options = options.token(token.expose_secret().to_owned());
    }
    let connecting = options.connect(url.clone());
    let client = match timeout(opening.timeout, connecting).await {
        Err(_) => return Err(FailureCode::timed_out()),
        Ok(Err(error)) => {
            // The code alone is kept, so that what is behind it is logged here.
            tracing::info!(sink = %opening.name, error = &error as &dyn std::error::Error, "no connection to the server");
            return Err(match error.kind() {
                async_nats::ConnectErrorKind::TimedOut => FailureCode::timed_out(),
                async_nats::ConnectErrorKind::Authentication
                | async_nats::ConnectErrorKind::AuthorizationViolation => failure::access_refused(),
                _ => FailureCode::unreachable(),
            });
        }
        Ok(Ok(client)) => client,
    };
    let mut context = jetstream::ContextBuilder::new()
        .timeout(opening.timeout)
        .ack_timeout(opening.timeout)
        .max_ack_inflight(2 * opening.concurrency)
        .build(client.clone());
    context.set_timeout(opening.timeout);
    if let Some(name) = &opening.stream {
        let wanted = stream::Config {
            name: name.clone(),
            subjects: vec![format!("{}.>", opening.subject_prefix)],
            storage: stream::StorageType::File,
            duplicate_window: DUPLICATES,
            ..stream::Config::default()
        };
        // One that is there stays as it is.
        if let Err(error) = context.get_or_create_stream(wanted).await {
            tracing::info!(sink = %opening.name, stream = name, error = &error as &dyn std::error::Error, "no stream");
            return Err(failure::no_stream());
        }
    }
    tracing::info!(sink = %opening.name, "connected to the server");
    Ok(Open { client, context })
}

fn why(error: &PublishError) -> SendError {
    match error.kind() {
        PublishErrorKind::StreamNotFound => SendError::Refused(failure::no_stream()),
        PublishErrorKind::MaxPayloadExceeded => SendError::Refused(failure::too_long()),
        PublishErrorKind::WrongLastMessageId | PublishErrorKind::WrongLastSequence => {
            SendError::Refused(FailureCode::unexpected_answer())
        }
        PublishErrorKind::TimedOut => SendError::Unreachable(FailureCode::timed_out()),
        PublishErrorKind::BrokenPipe | PublishErrorKind::MaxAckPending => {
            SendError::Unreachable(failure::connection_lost())
        }
        // What the server says is behind it: a stream that is full, for instance.
        PublishErrorKind::Other => match refused_by_server(error) {
            Some(code) => SendError::Refused(failure::nats(code)),
            None => SendError::Unreachable(failure::connection_lost()),
        },
    }
}

fn refused_by_server(error: &PublishError) -> Option<u64> {
    let source = std::error::Error::source(error)?;
    Some(source.downcast_ref::<jetstream::Error>()?.error_code().0)
}

/// Whether this is what a subject may begin with: no wildcards, nothing empty between full stops.
fn is_subject(text: &str) -> bool {
    let allowed = |sign: char| !sign.is_whitespace() && !sign.is_control() && !matches!(sign, '*' | '>');
    text.len() <= 200 && text.split('.').all(|part| !part.is_empty() && part.chars().all(allowed))
}

fn is_stream(text: &str) -> bool {
    is_subject(text) && !text.contains(['.', '/', '\\'])
}

#[async_trait]
impl EventSink for NatsSink {
    fn name(&self) -> &SinkName {
        &self.name
    }

    fn wants(&self, event: &OutgoingEvent) -> bool {
        self.messages.are_any_about(event)
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    async fn send(&self, event: &OutgoingEvent) -> Result<(), SendError> {
        let sent = timeout(self.timeout, self.deliver(event)).await;
        sent.unwrap_or_else(|_| Err(SendError::Unreachable(FailureCode::timed_out())))
    }
}

impl fmt::Debug for NatsSink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NatsSink").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_no_wildcards_and_no_empty_parts_and_a_stream_no_parts() {
        for (text, subject, stream) in [
            ("events", true, true),
            ("a.b-c.D_1", true, false),
            ("\u{e9}v\u{e9}nements", true, true),
            ("", false, false),
            (".a", false, false),
            ("a.", false, false),
            ("a..b", false, false),
            ("a.*", false, false),
            ("a.>", false, false),
            ("a b", false, false),
            ("a/b", true, false),
            ("a\r\nb", false, false),
        ] {
            assert_eq!((is_subject(text), is_stream(text)), (subject, stream), "{text:?}");
        }
    }
}
