//! A connection to one of the servers. When it breaks, the library makes it again by itself.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::header::HeaderMap;
use async_nats::jetstream::context::{
    ContextBuilder, CreateStreamError, CreateStreamErrorKind, PublishError, PublishErrorKind,
};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use reprieve_application::ports::SendError;
use reprieve_domain::FailureCode;
use tokio::sync::watch;
use tokio::time::Instant;

use super::options::NatsStream;
use crate::link::Connected;
use crate::{Message, failure};

/// How often the library looks whether the server is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("no server lets us in")]
    Connect(#[from] ConnectError),
    #[error("the stream cannot be created")]
    Stream(#[from] CreateStreamError),
}

impl OpenError {
    pub(super) fn failure(&self) -> FailureCode {
        match self {
            Self::Connect(error) => match error.kind() {
                ConnectErrorKind::TimedOut => FailureCode::timed_out(),
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                    failure::access_refused()
                }
                _ => FailureCode::unreachable(),
            },
            Self::Stream(error) => match error.kind() {
                CreateStreamErrorKind::JetStream(error) => failure::nats(error.error_code().0),
                CreateStreamErrorKind::TimedOut => FailureCode::timed_out(),
                _ => failure::no_stream(),
            },
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    client: Client,
    jetstream: Context,
    /// How often it broke off.
    losses: watch::Sender<u64>,
    life: Mutex<Life>,
}

#[derive(Debug)]
struct Life {
    is_open: bool,
    /// When a message was last acknowledged or refused.
    last_answer: Option<Instant>,
}

impl Connected for Connection {
    fn is_open(&self) -> bool {
        self.life.lock().unwrap_or_else(PoisonError::into_inner).is_open
    }
}

/// Connects to one of the servers, and creates the stream if one is named that is not there.
pub(super) async fn open(
    servers: &[ServerAddr],
    options: ConnectOptions,
    stream: Option<(&NatsStream, String)>,
    timeout: Duration,
    in_flight: usize,
) -> Result<Connection, OpenError> {
    let losses = watch::Sender::new(0);
    let options = options
        .connection_timeout(timeout)
        .ping_interval(PING_INTERVAL)
        // Others that a server names were not configured.
        .ignore_discovered_servers()
        .event_callback({
            let losses = losses.clone();
            move |event| {
                if matches!(event, Event::Disconnected) {
                    losses.send_modify(|losses| *losses += 1);
                }
                std::future::ready(())
            }
        });
    let client = options.connect(servers).await?;
    let jetstream = ContextBuilder::new()
        .timeout(timeout)
        .ack_timeout(timeout)
        // What timed out counts until nobody can answer it any more.
        .max_ack_inflight(in_flight.saturating_mul(2))
        .build(client.clone());
    if let Some((stream, subjects)) = stream {
        let configuration = Config {
            name: stream.name.clone(),
            subjects: vec![subjects],
            storage: StorageType::File,
            duplicate_window: stream.duplicate_window,
            ..Config::default()
        };
        jetstream.get_or_create_stream(configuration).await?;
    }
    let life = Mutex::new(Life { is_open: true, last_answer: None });
    Ok(Connection { client, jetstream, losses, life })
}

impl Connection {
    /// Sends a message, and waits until a stream has it.
    pub(super) async fn publish(&self, subject: String, message: Message) -> Result<(), SendError> {
        let mut losses = self.losses.subscribe();
        // While there is no connection, the library would keep the message until there is.
        if self.client.connection_state() != State::Connected {
            return Err(SendError::Unreachable(failure::connection_lost()));
        }
        let mut headers = HeaderMap::new();
        headers.insert("Content-Type", message.content_type);
        let message = PublishMessage::build()
            .headers(headers)
            // A stream that knows the id already does not store the message again.
            .message_id(message.id)
            .payload(message.body.into());
        let answered = async { self.jetstream.send_publish(subject, message).await?.await };
        let answer = tokio::select! {
            answer = answered => answer,
            // What was on its way may have arrived; that it has is never going to be said.
            _ = losses.changed() => return Err(SendError::Unreachable(failure::connection_lost())),
        };
        let answer = answer.map(|_| ()).map_err(|error| why(&error));
        if !matches!(answer, Err(SendError::Unreachable(_))) {
            let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
            life.last_answer = Some(Instant::now());
        }
        answer
    }

    /// Has another connection opened if nothing was answered since then: this one is not worth waiting for.
    pub(super) fn give_up_if_silent_since(&self, since: Instant) {
        let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        if life.last_answer.is_none_or(|answer| answer < since) {
            life.is_open = false;
        }
    }
}

/// What the server answered, if that is what is wrong.
fn answered<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a jetstream::Error> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

fn why(error: &PublishError) -> SendError {
    /// So does a stream say that is full.
    const UNAVAILABLE: usize = 503;
    match error.kind() {
        PublishErrorKind::StreamNotFound => SendError::Refused(failure::no_stream()),
        PublishErrorKind::MaxPayloadExceeded => SendError::Refused(failure::too_long()),
        PublishErrorKind::TimedOut => SendError::Unreachable(FailureCode::timed_out()),
        PublishErrorKind::BrokenPipe | PublishErrorKind::MaxAckPending => {
            SendError::Unreachable(failure::connection_lost())
        }
        _ => match answered(error) {
            Some(error) if error.code() == UNAVAILABLE => {
                SendError::Unreachable(failure::nats(error.error_code().0))
            }
            Some(error) => SendError::Refused(failure::nats(error.error_code().0)),
            None => SendError::Unreachable(FailureCode::unexpected_answer()),
        },
    }
}
