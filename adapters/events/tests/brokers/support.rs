//! Events, and what is the same with every broker.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reprieve_application::OutgoingEvent;
use reprieve_application::facade::ProcessData;
use reprieve_application::ports::{EventSink, SendError};
use reprieve_domain::{Event, EventKind, FailureCode, Status, Timestamp};
use reprieve_events::{Format, Messages};
use tokio::time::{Instant, sleep, timeout};

/// In whole seconds, as AMQP has it.
pub(crate) const SECONDS: i64 = 1_796_673_840;

/// Longer than anything takes that is not stuck.
const PATIENCE: Duration = Duration::from_mins(1);

/// An event that is told of under one type.
pub(crate) fn event(number: u64) -> OutgoingEvent {
    OutgoingEvent {
        id: format!("EVT{number:017}"),
        sequence: i64::try_from(number).unwrap(),
        event: Event {
            process_id: "IDP0123456789abcdefg".parse().unwrap(),
            address: format!("did:web:example.org:users:{number}").parse().unwrap(),
            occurred_at: Timestamp::from_unix_micros(SECONDS * 1_000_000 + 999_999).unwrap(),
            kind: EventKind::IdentityDeletionStarted,
        },
        process: None,
        trace: None,
    }
}

/// An event that is told of under two types.
pub(crate) fn event_of_two(number: u64) -> OutgoingEvent {
    let event = event(number);
    let process = ProcessData {
        id: event.event.process_id.clone(),
        status: Status::Deleting,
        created_at: event.event.occurred_at,
        created_by_device: "DVC0123456789abcdefg".parse().unwrap(),
        grace_period_ends_at: Some(event.event.occurred_at),
        cancelled_at: None,
        cancelled_by_device: None,
        suspended_until: None,
    };
    OutgoingEvent { process: Some(process), ..event }
}

pub(crate) fn messages() -> Messages {
    Messages::new("https://reprieve.example", None, Format::CloudEvents)
}

pub(crate) fn refused(code: &str) -> Result<(), SendError> {
    Err(SendError::Refused(code.parse().unwrap()))
}

pub(crate) fn unreachable(code: &str) -> Result<(), SendError> {
    Err(SendError::Unreachable(code.parse().unwrap()))
}

pub(crate) fn timed_out() -> Result<(), SendError> {
    Err(SendError::Unreachable(FailureCode::timed_out()))
}

/// Sends them side by side.
pub(crate) async fn send_all(
    sink: &dyn EventSink,
    numbers: impl IntoIterator<Item = u64>,
) -> Vec<Result<(), SendError>> {
    let sending = numbers.into_iter().map(|number| async move { sink.send(&event(number)).await });
    timeout(PATIENCE, join_all(sending)).await.unwrap()
}

/// Sends an event until it is taken.
pub(crate) async fn send_until_taken(sink: &dyn EventSink, event: &OutgoingEvent) {
    let sending = async {
        while let Err(error) = sink.send(event).await {
            assert!(matches!(error, SendError::Unreachable(_)), "{error}");
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, sending).await.unwrap();
}

/// Sends so many events, each until it is taken, while something else happens again and again.
pub(crate) async fn send_while(sink: Arc<dyn EventSink>, count: u64, mut disturb: impl FnMut()) {
    let sending: Vec<_> = (0..count)
        .map(|number| {
            let sink = Arc::clone(&sink);
            tokio::spawn(async move { send_until_taken(&*sink, &event(number)).await })
        })
        .collect();
    let mut sent = Box::pin(join_all(sending));
    loop {
        tokio::select! {
            results = &mut sent => {
                assert!(results.iter().all(Result::is_ok));
                return;
            }
            () = sleep(Duration::from_millis(53)) => disturb(),
        }
    }
}

/// How long it takes.
pub(crate) async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let output = timeout(PATIENCE, future).await.unwrap();
    (output, start.elapsed())
}
