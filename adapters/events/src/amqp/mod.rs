//! A sink that is a broker which speaks AMQP 0-9-1, as `RabbitMQ` does.

mod decode;
mod encode;
mod handshake;
mod options;
mod session;
mod unconfirmed;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::ports::{EventSink, SendError};
use reprieve_application::{OutgoingEvent, SinkName};
use reprieve_domain::FailureCode;
use tokio::time::{Instant, timeout};

use self::encode::Publication;
use self::handshake::OpenError;
pub use self::options::{AmqpSinkError, AmqpSinkOptions};
use self::session::Session;
pub use self::url::InvalidAmqpUrl;
pub(crate) use self::url::is_on_this_machine;
use crate::link::{Connected, Link};
use crate::{Messages, failure};

/// The application that messages say they come from.
const APPLICATION: &str = "reprieve";
const LONGEST_EXCHANGE_NAME: usize = 127;
const LONGEST_ROUTING_KEY: usize = 255;

/// Hands events to a broker. What it has confirmed was taken by a queue, and stored if the queue is durable.
///
/// It connects when there is something to send. Neither a log nor an error ever contains the password or the address of an
/// identity.
pub struct AmqpSink {
    name: SinkName,
    exchange: Arc<str>,
    routing_key: Option<String>,
    timeout: Duration,
    concurrency: usize,
    messages: Messages,
    broker: Arc<url::Broker>,
    tls: Arc<rustls::ClientConfig>,
    link: Link<Session>,
}

impl Connected for Session {
    fn is_open(&self) -> bool {
        Self::is_open(self)
    }
}

impl AmqpSink {
    /// With these options. Nobody is asked whether they are right.
    ///
    /// # Errors
    /// If the broker would be told who is deleted without encryption over a network and that is not allowed, if nothing
    /// says where messages go, or if a text is too long or the certificates cannot be used.
    pub fn new(options: AmqpSinkOptions) -> Result<Self, AmqpSinkError> {
        let broker = url::Broker::parse(&options.url)?;
        if !broker.is_encrypted && !broker.is_on_this_machine && !options.allow_plaintext {
            return Err(AmqpSinkError::Plaintext);
        }
        let routing_key = options.routing_key.filter(|key| !key.is_empty());
        if options.exchange.is_empty() && routing_key.is_none() {
            return Err(AmqpSinkError::NoQueue);
        }
        if options.exchange.len() > LONGEST_EXCHANGE_NAME {
            return Err(AmqpSinkError::ExchangeName);
        }
        if routing_key.as_ref().is_some_and(|key| key.len() > LONGEST_ROUTING_KEY) {
            return Err(AmqpSinkError::RoutingKey);
        }
        let tls = reprieve_outbound::tls_configuration(options.certificate_authorities.as_deref())?;
        Ok(Self {
            name: options.name,
            exchange: options.exchange.into(),
            routing_key,
            timeout: options.timeout,
            concurrency: options.concurrency.max(1),
            messages: options.messages,
            broker: Arc::new(broker),
            tls: Arc::new(tls),
            link: Link::new(),
        })
    }

    /// One message after the other: the next one only once the broker has the one before it.
    async fn deliver(&self, event: &OutgoingEvent) -> Result<(), SendError> {
        let seconds = event.event.occurred_at.unix_micros().div_euclid(1_000_000);
        for message in self.messages.about(event) {
            let publication = Publication {
                exchange: &self.exchange,
                routing_key: self.routing_key.as_deref().unwrap_or(message.event_type.name()),
                content_type: message.content_type,
                message_id: &message.id,
                // Nothing happened before 1970.
                seconds: u64::try_from(seconds).unwrap_or_default(),
                message_type: message.event_type.name(),
                application: APPLICATION,
                body: &message.body,
            };
            self.session().await.map_err(SendError::Unreachable)?.publish(&publication).await?;
        }
        Ok(())
    }

    async fn session(&self) -> Result<Arc<Session>, FailureCode> {
        let open = || {
            let (broker, tls) = (Arc::clone(&self.broker), Arc::clone(&self.tls));
            let (name, exchange) = (self.name.clone(), Arc::clone(&self.exchange));
            let longest = self.timeout;
            async move {
                let connection_name = format!("{APPLICATION} {name}");
                let opening = handshake::open(&broker, &tls, &connection_name, &exchange);
                let Ok(opened) = timeout(longest, opening).await else {
                    return Err(FailureCode::timed_out());
                };
                let opened = opened.map_err(|error| {
                    // The code alone is kept, so that what is behind it is logged here.
                    tracing::info!(sink = %name, error = &error as &dyn std::error::Error, "no connection to the broker");
                    why(&error)
                })?;
                let exchange = &*exchange;
                if opened.has_declared {
                    tracing::info!(sink = %name, exchange, "connected to the broker, and declared the exchange");
                } else {
                    tracing::info!(sink = %name, exchange, "connected to the broker, where the exchange is");
                }
                Ok(Session::start(opened, name))
            }
        };
        self.link.get(open).await
    }
}

fn why(error: &OpenError) -> FailureCode {
    match error {
        OpenError::Unreachable(_) => FailureCode::unreachable(),
        OpenError::Broken(_) => failure::connection_lost(),
        OpenError::Closed { code, .. } => failure::amqp(*code),
        OpenError::Malformed(_) | OpenError::Unexpected => FailureCode::unexpected_answer(),
        OpenError::TooLong => failure::too_long(),
    }
}

#[async_trait]
impl EventSink for AmqpSink {
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
        let began = Instant::now();
        if let Ok(sent) = timeout(self.timeout, self.deliver(event)).await {
            return sent;
        }
        if let Some(session) = self.link.current() {
            session.give_up_if_silent_since(began);
        }
        Err(SendError::Unreachable(FailureCode::timed_out()))
    }

    async fn reach(&self) -> Result<(), FailureCode> {
        let name = format!("{APPLICATION} {}", self.name);
        match timeout(self.timeout, handshake::log_in_only(&self.broker, &self.tls, &name)).await {
            Ok(reached) => reached.map_err(|error| {
                tracing::info!(sink = %self.name, error = &error as &dyn std::error::Error, "no connection to the broker");
                why(&error)
            }),
            Err(_) => Err(FailureCode::timed_out()),
        }
    }
}

impl fmt::Debug for AmqpSink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AmqpSink").field("name", &self.name).finish_non_exhaustive()
    }
}
