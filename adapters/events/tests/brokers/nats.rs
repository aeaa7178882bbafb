//! What a stream has when an event was sent, and what is not taken.

use std::time::Duration;

use reprieve_application::ports::EventSink as _;
use reprieve_events::{NatsCredentials, NatsSink, NatsSinkOptions, NatsStream};
use reprieve_tests::TestNats;
use serde_json::Value;

use crate::support::{event, event_of_two, messages, refused, send_all, unreachable};

pub(crate) fn options(url: impl Into<String>, nats: &TestNats) -> NatsSinkOptions {
    NatsSinkOptions {
        name: "stream".parse().unwrap(),
        urls: vec![url.into().into()],
        credentials: NatsCredentials::None,
        subject_prefix: nats.prefix().to_owned(),
        stream: None,
        timeout: Duration::from_secs(20),
        concurrency: 2048,
        messages: messages(),
        allow_plaintext: false,
        certificate_authorities: None,
    }
}

/// Which creates the stream.
fn creating(nats: &TestNats) -> NatsSink {
    let stream = NatsStream { name: nats.prefix().to_owned(), duplicate_window: Duration::from_mins(10) };
    NatsSink::new(NatsSinkOptions { stream: Some(stream), ..options(nats.url(), nats) }).unwrap()
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn a_message_arrives_with_all_that_is_said_of_it() {
    let nats = TestNats::new().await;
    nats.create().await;
    let sink = NatsSink::new(options(nats.url(), &nats)).unwrap();
    let event = event(7);
    assert!(sink.wants(&event));
    sink.send(&event).await.unwrap();

    let stored = nats.messages().await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].subject, format!("{}.reprieve.identityDeletionStarted", nats.prefix()));
    assert_eq!(stored[0].message_id.as_deref(), Some(event.id.as_str()));
    assert_eq!(stored[0].content_type.as_deref(), Some("application/cloudevents+json"));
    let body: Value = serde_json::from_slice(&stored[0].body).unwrap();
    assert_eq!(body["id"], event.id);
    assert_eq!(body["data"]["address"], event.event.address.as_str());
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn reaching_a_server_creates_no_stream() {
    let nats = TestNats::new().await;
    creating(&nats).reach().await.unwrap();
    assert!(nats.configuration().await.is_none());
    let nobody = NatsSink::new(options("nats://127.0.0.1:1", &nats)).unwrap();
    assert_eq!(nobody.reach().await.unwrap_err().as_str(), "unreachable");
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn messages_of_one_event_and_events_of_one_sender_keep_their_order() {
    let nats = TestNats::new().await;
    nats.create().await;
    let sink = NatsSink::new(options(nats.url(), &nats)).unwrap();
    for number in 0..50 {
        sink.send(&event_of_two(number)).await.unwrap();
    }
    let ids: Vec<_> = nats.messages().await.into_iter().map(|message| message.message_id.unwrap()).collect();
    let sent = (0..50).map(|number| event(number).id).flat_map(|id| [format!("{id}-status"), id]);
    assert_eq!(ids, sent.collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn a_message_that_is_sent_again_is_stored_once() {
    let nats = TestNats::new().await;
    let sink = creating(&nats);
    for _ in 0..2 {
        assert!(send_all(&sink, 0..100).await.iter().all(Result::is_ok));
    }
    // Nor does it matter who sends it again.
    creating(&nats).send(&event(1)).await.unwrap();
    assert_eq!(nats.count().await, 100);
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn a_stream_that_is_not_there_is_created() {
    let nats = TestNats::new().await;
    let sink = creating(&nats);
    assert_eq!(nats.configuration().await, None);
    sink.send(&event(1)).await.unwrap();
    let configuration = nats.configuration().await.unwrap();
    assert_eq!(configuration.subjects, [format!("{}.>", nats.prefix())]);
    assert_eq!(configuration.storage, async_nats::jetstream::stream::StorageType::File);
    assert_eq!(configuration.duplicate_window, Duration::from_mins(10));
    assert_eq!(nats.count().await, 1);
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn a_stream_that_is_there_is_taken_as_it_is() {
    let nats = TestNats::new().await;
    nats.create_for("reprieve.*").await;
    let before = nats.configuration().await;
    let sink = creating(&nats);
    sink.send(&event(1)).await.unwrap();
    assert_eq!(nats.configuration().await, before);
    // It does not take the first of the two messages, so the second one is not sent.
    assert_eq!(sink.send(&event_of_two(2)).await, refused("noStream"));
    assert_eq!(nats.count().await, 1);
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn what_no_stream_takes_is_refused() {
    let nats = TestNats::new().await;
    let sink = NatsSink::new(options(nats.url(), &nats)).unwrap();
    assert!(send_all(&sink, 0..100).await.iter().all(|sent| *sent == refused("noStream")));
    nats.create().await;
    sink.send(&event(1)).await.unwrap();
    nats.delete().await;
    assert_eq!(sink.send(&event(2)).await, refused("noStream"));
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn a_stream_that_is_full_takes_nothing_more() {
    let nats = TestNats::new().await;
    nats.create_full_with(10).await;
    let sink = NatsSink::new(options(nats.url(), &nats)).unwrap();
    let sent = send_all(&sink, 0..100).await;
    assert_eq!(sent.iter().filter(|sent| sent.is_ok()).count(), 10, "{sent:?}");
    assert!(sent.iter().all(|sent| sent.is_ok() || *sent == unreachable("nats10077")), "{sent:?}");
}

#[tokio::test]
#[ignore = "needs NATS: tests/run"]
async fn a_stream_that_cannot_be_created_is_said_to_be_so() {
    let nats = TestNats::new().await;
    nats.create().await;
    // Another stream has its subjects.
    let stream =
        NatsStream { name: format!("{}-2", nats.prefix()), duplicate_window: Duration::from_mins(1) };
    let options = NatsSinkOptions { stream: Some(stream), ..options(nats.url(), &nats) };
    assert_eq!(NatsSink::new(options).unwrap().send(&event(1)).await, unreachable("nats10065"));
    assert_eq!(nats.count().await, 0);
}
