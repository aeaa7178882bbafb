//! A sink that is a stream of NATS.

mod connection;
mod options;
mod servers;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};
use async_trait::async_trait;
use reprieve_application::ports::{EventSink, SendError};
use reprieve_application::{OutgoingEvent, SinkName};
use reprieve_domain::FailureCode;
use secrecy::ExposeSecret as _;
use tokio::time::{Instant, timeout};

use self::connection::Connection;
pub use self::options::{NatsSinkError, NatsSinkOptions, NatsStream};
use self::options::{is_stream_name, is_subject_prefix};
use self::servers::Server;
pub use self::servers::{InvalidNatsUrl, NatsCredentials};
use crate::Messages;
use crate::link::Link;

/// Hands events to a stream of NATS. What it has acknowledged is stored, once for each id.
///
/// It connects when there is something to send. Neither a log nor an error ever contains a password, a token or the address
/// of an identity.
pub struct NatsSink {
    target: Arc<Target>,
    messages: Messages,
    timeout: Duration,
    link: Link<Connection>,
}

/// Where events go.
struct Target {
    name: SinkName,
    servers: Vec<ServerAddr>,
    credentials: NatsCredentials,
    must_encrypt: bool,
    tls: rustls::ClientConfig,
    subject_prefix: String,
    stream: Option<NatsStream>,
    concurrency: usize,
}

impl NatsSink {
    /// With these options. Nobody is asked whether they are right.
    ///
    /// # Errors
    /// If nothing says where the servers are, if it is not clear who we are to them, if a name or a prefix is none, or if
    /// the certificates cannot be used.
    pub fn new(options: NatsSinkOptions) -> Result<Self, NatsSinkError> {
        let servers: Vec<Server> = options.urls.iter().map(Server::parse).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(InvalidNatsUrl.into());
        }
        if !is_subject_prefix(&options.subject_prefix) {
            return Err(NatsSinkError::SubjectPrefix);
        }
        if options.stream.as_ref().is_some_and(|stream| !is_stream_name(&stream.name)) {
            return Err(NatsSinkError::StreamName);
        }
        let target = Target {
            name: options.name,
            must_encrypt: !options.allow_plaintext && servers.iter().any(|server| !server.is_on_this_machine),
            credentials: credentials(options.credentials, &servers)?,
            servers: servers.into_iter().map(|server| server.address).collect(),
            tls: reprieve_outbound::tls_configuration(options.certificate_authorities.as_deref())?,
            subject_prefix: options.subject_prefix,
            stream: options.stream,
            concurrency: options.concurrency.max(1),
        };
        Ok(Self {
            target: Arc::new(target),
            messages: options.messages,
            timeout: options.timeout,
            link: Link::new(),
        })
    }

    /// One message after the other: the next one only once a stream has the one before it.
    async fn deliver(&self, event: &OutgoingEvent) -> Result<(), SendError> {
        for message in self.messages.about(event) {
            let connection = self.connection().await.map_err(SendError::Unreachable)?;
            let subject = format!("{}.{}", self.target.subject_prefix, message.event_type);
            connection.publish(subject, message).await?;
        }
        Ok(())
    }

    async fn connection(&self) -> Result<Arc<Connection>, FailureCode> {
        let open = || {
            let (target, longest) = (Arc::clone(&self.target), self.timeout);
            async move {
                match timeout(longest, target.open(longest)).await {
                    Ok(opened) => opened,
                    Err(_) => Err(FailureCode::timed_out()),
                }
            }
        };
        self.link.get(open).await
    }
}

impl Target {
    async fn open(&self, timeout: Duration) -> Result<Connection, FailureCode> {
        let stream = self.stream.as_ref().map(|stream| (stream, format!("{}.>", self.subject_prefix)));
        self.open_with(stream, timeout).await
    }

    /// Connects, and creates the stream if one is named that is not there.
    async fn open_with(
        &self,
        stream: Option<(&NatsStream, String)>,
        timeout: Duration,
    ) -> Result<Connection, FailureCode> {
        let options = ConnectOptions::new()
            .name(format!("reprieve {}", self.name))
            .tls_client_config(self.tls.clone())
            .require_tls(self.must_encrypt);
        let options = match &self.credentials {
            NatsCredentials::None => options,
            NatsCredentials::Password { user, password } => {
                options.user_and_password(user.clone(), password.expose_secret().to_owned())
            }
            NatsCredentials::Token(token) => options.token(token.expose_secret().to_owned()),
        };
        let opened = connection::open(&self.servers, options, stream, timeout, self.concurrency).await;
        match &opened {
            Ok(_) => tracing::info!(sink = %self.name, "connected to NATS"),
            // The code alone is kept, so that what is behind it is logged here.
            Err(error) => {
                tracing::info!(sink = %self.name, error = error as &dyn std::error::Error, "no connection to NATS");
            }
        }
        opened.map_err(|error| error.failure())
    }
}

/// Who we are, which may be said once: by the options, or by the URLs.
fn credentials(configured: NatsCredentials, servers: &[Server]) -> Result<NatsCredentials, NatsSinkError> {
    let mut said = servers.iter().map(|server| &server.credentials).filter(|said| !said.is_none());
    let Some(first) = said.next() else { return Ok(configured) };
    if configured.is_none() && said.all(|other| other.is(first)) {
        Ok(first.clone())
    } else {
        Err(NatsSinkError::Credentials)
    }
}

#[async_trait]
impl EventSink for NatsSink {
    fn name(&self) -> &SinkName {
        &self.target.name
    }

    fn wants(&self, event: &OutgoingEvent) -> bool {
        self.messages.are_any_about(event)
    }

    fn concurrency(&self) -> usize {
        self.target.concurrency
    }

    async fn send(&self, event: &OutgoingEvent) -> Result<(), SendError> {
        let began = Instant::now();
        if let Ok(sent) = timeout(self.timeout, self.deliver(event)).await {
            return sent;
        }
        if let Some(connection) = self.link.current() {
            connection.give_up_if_silent_since(began);
        }
        Err(SendError::Unreachable(FailureCode::timed_out()))
    }

    /// The stream is neither looked for nor created.
    async fn reach(&self) -> Result<(), FailureCode> {
        let reaching = self.target.open_with(None, self.timeout);
        timeout(self.timeout, reaching).await.unwrap_or_else(|_| Err(FailureCode::timed_out())).map(drop)
    }
}

impl fmt::Debug for NatsSink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NatsSink").field("name", &self.target.name).finish_non_exhaustive()
    }
}
