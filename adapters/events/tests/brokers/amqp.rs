//! What a broker has when an event was sent, and what it does not take.

use std::time::Duration;

use lapin::ExchangeKind;
use reprieve_application::ports::EventSink as _;
use reprieve_events::{AmqpSink, AmqpSinkOptions};
use reprieve_tests::TestAmqp;
use serde_json::Value;

use crate::support::{
    SECONDS, event, event_of_two, messages, refused, send_all, send_until_taken, unreachable,
};

pub(crate) fn options(url: impl Into<String>, exchange: &str, routing_key: Option<&str>) -> AmqpSinkOptions {
    AmqpSinkOptions {
        name: "broker".parse().unwrap(),
        url: url.into().into(),
        exchange: exchange.to_owned(),
        routing_key: routing_key.map(str::to_owned),
        timeout: Duration::from_secs(20),
        concurrency: 2048,
        messages: messages(),
        allow_plaintext: false,
        certificate_authorities: None,
    }
}

/// Which sends to a queue through the default exchange.
pub(crate) fn sink_to_queue(url: impl Into<String>, queue: &str) -> AmqpSink {
    AmqpSink::new(options(url, "", Some(queue))).unwrap()
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn a_message_arrives_with_all_that_is_said_of_it() {
    let amqp = TestAmqp::new().await;
    let exchange = amqp.exchange("events", ExchangeKind::Topic).await;
    let queue = amqp.queue("events").await;
    amqp.bind(&queue, &exchange, "#").await;
    let sink = AmqpSink::new(options(amqp.url(), &exchange, None)).unwrap();
    let event = event(7);
    assert!(sink.wants(&event));
    sink.send(&event).await.unwrap();

    let message = amqp.take(&queue).await.unwrap();
    assert_eq!(message.exchange, exchange);
    assert_eq!(message.routing_key, "reprieve.identityDeletionStarted");
    assert_eq!(message.content_type.as_deref(), Some("application/cloudevents+json"));
    assert_eq!(message.delivery_mode, Some(2));
    assert_eq!(message.message_id.as_deref(), Some(event.id.as_str()));
    assert_eq!(message.timestamp, u64::try_from(SECONDS).ok());
    assert_eq!(message.message_type.as_deref(), Some("reprieve.identityDeletionStarted"));
    assert_eq!(message.application.as_deref(), Some("reprieve"));
    let body: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(body["id"], event.id);
    assert_eq!(body["data"]["address"], event.event.address.as_str());
    assert_eq!(amqp.take(&queue).await, None);
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn a_long_message_arrives_whole() {
    let amqp = TestAmqp::new().await;
    let queue = amqp.queue("events").await;
    let source = "s".repeat(300_000);
    let messages = reprieve_events::Messages::new(&source, None, reprieve_events::Format::CloudEvents);
    let sink = AmqpSink::new(AmqpSinkOptions { messages, ..options(amqp.url(), "", Some(&queue)) }).unwrap();
    sink.send(&event(1)).await.unwrap();
    let body: Value = serde_json::from_slice(&amqp.take(&queue).await.unwrap().body).unwrap();
    assert_eq!(body["source"], source);
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn messages_of_one_event_and_events_of_one_sender_keep_their_order() {
    let amqp = TestAmqp::new().await;
    let queue = amqp.queue("events").await;
    let sink = sink_to_queue(amqp.url(), &queue);
    for number in 0..50 {
        sink.send(&event_of_two(number)).await.unwrap();
    }
    let taken = amqp.take_all(&queue).await;
    let ids: Vec<String> = taken.into_iter().map(|message| message.message_id.unwrap()).collect();
    let sent = (0..50).map(|number| event(number).id).flat_map(|id| [format!("{id}-status"), id]);
    assert_eq!(ids, sent.collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn an_exchange_that_is_not_there_is_declared_durable() {
    let amqp = TestAmqp::new().await;
    let exchange = amqp.exchange_name("events");
    let sink = AmqpSink::new(options(amqp.url(), &exchange, None)).unwrap();
    assert!(!amqp.is_durable_exchange(&exchange, ExchangeKind::Topic).await);
    // Nobody has bound a queue to it yet.
    assert_eq!(sink.send(&event(1)).await, refused("unroutable"));
    assert!(amqp.is_durable_exchange(&exchange, ExchangeKind::Topic).await);
    let queue = amqp.queue("events").await;
    amqp.bind(&queue, &exchange, "reprieve.*").await;
    sink.send(&event(1)).await.unwrap();
    assert_eq!(amqp.take_all(&queue).await.len(), 1);
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn reaching_a_broker_declares_nothing_and_tells_who_is_not_let_in() {
    let amqp = TestAmqp::new().await;
    let exchange = amqp.exchange_name("events");
    let sink = AmqpSink::new(options(amqp.url(), &exchange, None)).unwrap();
    sink.reach().await.unwrap();
    assert!(!amqp.is_durable_exchange(&exchange, ExchangeKind::Topic).await);
    let stranger = format!("amqp://nobody:wrong@{}", amqp.address());
    let refused = AmqpSink::new(options(stranger, &exchange, None)).unwrap().reach().await;
    assert_eq!(refused.unwrap_err().as_str(), "amqp403");
    let nobody = AmqpSink::new(options("amqp://127.0.0.1:1", &exchange, None)).unwrap();
    assert_eq!(nobody.reach().await.unwrap_err().as_str(), "unreachable");
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn an_exchange_that_is_there_is_taken_as_it_is() {
    let amqp = TestAmqp::new().await;
    let exchange = amqp.exchange("events", ExchangeKind::Fanout).await;
    let queue = amqp.queue("events").await;
    amqp.bind(&queue, &exchange, "").await;
    let sink = AmqpSink::new(options(amqp.url(), &exchange, Some("a.key"))).unwrap();
    sink.send(&event(1)).await.unwrap();
    assert_eq!(amqp.take(&queue).await.unwrap().routing_key, "a.key");
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn an_exchange_that_goes_away_is_declared_again() {
    let amqp = TestAmqp::new().await;
    let exchange = amqp.exchange("events", ExchangeKind::Topic).await;
    let sink = AmqpSink::new(options(amqp.url(), &exchange, None)).unwrap();
    assert_eq!(sink.send(&event(1)).await, refused("unroutable"));
    amqp.delete_exchange(&exchange).await;
    assert_eq!(sink.send(&event(1)).await, unreachable("amqp404"));
    assert_eq!(sink.send(&event(1)).await, refused("unroutable"));
    assert!(amqp.is_durable_exchange(&exchange, ExchangeKind::Topic).await);
}

/// A broker confirms what it hands to nobody. Which message that was has to be known however many are on their way.
#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn what_reaches_no_queue_is_refused_and_nothing_else_is() {
    let amqp = TestAmqp::new().await;
    let exchange = amqp.exchange("events", ExchangeKind::Topic).await;
    let queue = amqp.queue("events").await;
    amqp.bind(&queue, &exchange, "transport.*").await;
    let sink = AmqpSink::new(options(amqp.url(), &exchange, None)).unwrap();
    let both = (0..3000).map(|number| {
        let sink = &sink;
        async move {
            // Of the two messages of an event, the one that nobody wants is the second.
            let event = if number % 3 == 0 { event(number) } else { event_of_two(number) };
            (number, sink.send(&event).await)
        }
    });
    let results = futures_util::future::join_all(both).await;
    for (number, result) in results {
        assert_eq!(result, refused("unroutable"), "{number}");
    }
    assert_eq!(amqp.take_all(&queue).await.len(), 2000);

    amqp.bind(&queue, &exchange, "reprieve.*").await;
    let results = send_all(&sink, 0..3000).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(amqp.take_all(&queue).await.len(), 3000);
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn a_queue_that_is_full_refuses() {
    let amqp = TestAmqp::new().await;
    let queue = amqp.full_queue("events", 10).await;
    let sink = sink_to_queue(amqp.url(), &queue);
    let results = send_all(&sink, 0..500).await;
    let taken = amqp.take_all(&queue).await;
    let ids: Vec<_> = taken.iter().map(|message| message.message_id.as_deref().unwrap()).collect();
    for (number, result) in (0..).zip(&results) {
        let id = event(number).id;
        assert_eq!(result.is_ok(), ids.contains(&id.as_str()), "{number}");
        assert!(result.is_ok() || *result == refused("nacked"), "{result:?}");
    }
    assert!((10..500).contains(&taken.len()), "{}", taken.len());
    send_until_taken(&sink, &event(1)).await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn whoever_is_not_let_in_learns_that() {
    let amqp = TestAmqp::new().await;
    let queue = amqp.queue("events").await;
    let with_user = |user: &str| format!("amqp://{user}@{}", amqp.address());
    for (url, code) in [
        (with_user("guest:wrong"), "amqp403"),
        (with_user("nobody-of-this-name:secret"), "amqp403"),
        (format!("{}/no-such-virtual-host", with_user("guest:guest")), "amqp530"),
    ] {
        let sink = sink_to_queue(url, &queue);
        assert_eq!(sink.send(&event(1)).await, unreachable(code));
    }
}
