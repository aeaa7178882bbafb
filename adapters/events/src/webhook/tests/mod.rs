//! Against real servers on this machine.

mod answers;
mod garbage;
mod logs;
mod requests;
mod service;
mod targets;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reprieve_application::facade::ProcessData;
use reprieve_application::ports::{Clock, EventSink as _, SendError};
use reprieve_application::{OutgoingEvent, TraceContext};
use reprieve_domain::{Event, EventKind, FailureCode, Status, Timestamp};
use reprieve_outbound::{AllowedHost, AllowedHosts};

use super::{WebhookSink, WebhookSinkOptions};
use crate::{EventType, Format, Messages};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ADDRESS: &str = "did:web:example.org:users:ada";
const PROCESS: &str = "IDP0123456789abcdefg";
const ID: &str = "0123456789abcdefghij";
const SOURCE: &str = "https://reprieve.example";

/// The published verifier compares with the real time.
struct RealClock;

impl Clock for RealClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the published verifier of signatures reads the real clock"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_unix_micros(since.as_micros().try_into().unwrap()).unwrap()
    }
}

fn hosts(texts: &[&str]) -> AllowedHosts {
    texts.iter().map(|text| text.parse::<AllowedHost>().unwrap()).collect()
}

/// All types of events.
fn messages(format: Format) -> Messages {
    Messages::new(SOURCE, None, format)
}

/// Everything that is sent goes to this machine.
fn options(url: &str) -> WebhookSinkOptions {
    WebhookSinkOptions {
        name: "crm".parse().unwrap(),
        url: url.parse().unwrap(),
        secret: Some(SECRET.parse().unwrap()),
        timeout: Duration::from_secs(20),
        concurrency: WebhookSinkOptions::DEFAULT_CONCURRENCY,
        messages: messages(Format::CloudEvents),
        certificate_authorities: None,
        allow_plaintext: false,
        allowed_hosts: hosts(&["127.0.0.1", "::1"]),
        headers: BTreeMap::new(),
    }
}

fn sink_with(options: WebhookSinkOptions) -> WebhookSink {
    WebhookSink::new(options, Arc::new(RealClock)).unwrap()
}

fn sink(url: &str) -> WebhookSink {
    sink_with(options(url))
}

/// Tells it of one event, which comes to an end soon.
async fn tell(sink: &WebhookSink) -> Result<(), SendError> {
    tokio::time::timeout(Duration::from_secs(15), sink.send(&deleted())).await.unwrap()
}

/// One message is sent about it.
fn deleted() -> OutgoingEvent {
    OutgoingEvent {
        id: ID.to_owned(),
        sequence: 42,
        event: Event {
            process_id: PROCESS.parse().unwrap(),
            address: ADDRESS.parse().unwrap(),
            occurred_at: "2026-12-07T20:03:07.5Z".parse().unwrap(),
            kind: EventKind::IdentityDeleted,
        },
        process: None,
        trace: None,
    }
}

/// Two messages are sent about it: of the status first, then of the identity.
fn to_be_deleted() -> OutgoingEvent {
    let end: Timestamp = "2026-12-21T20:03:07.5Z".parse().unwrap();
    let mut event = deleted();
    event.event.kind = EventKind::IdentityToBeDeleted { grace_period_ends_at: end };
    event.process = Some(ProcessData {
        id: PROCESS.parse().unwrap(),
        status: Status::Active,
        created_at: event.event.occurred_at,
        created_by_device: "DVC0123456789abcdefg".parse().unwrap(),
        grace_period_ends_at: Some(end),
        cancelled_at: None,
        cancelled_by_device: None,
        suspended_until: None,
    });
    event.trace = Some(TraceContext {
        parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        state: None,
    });
    event
}

fn refused(code: FailureCode) -> Result<(), SendError> {
    Err(SendError::Refused(code))
}

fn unreachable() -> Result<(), SendError> {
    Err(SendError::Unreachable(FailureCode::unreachable()))
}

fn private() -> Result<(), SendError> {
    Err(SendError::Unreachable(FailureCode::private_target()))
}
