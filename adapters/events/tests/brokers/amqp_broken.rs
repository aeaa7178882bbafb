//! Brokers that are not there, go away or do not answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reprieve_application::ports::EventSink as _;
use reprieve_events::{AmqpSink, AmqpSinkOptions, Format, Messages};
use reprieve_tests::{Proxy, TestAmqp};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::amqp::{options, sink_to_queue};
use crate::support::{event, send_all, send_until_taken, send_while, timed, timed_out, unreachable};

const SHORT: Duration = Duration::from_millis(500);
/// A busy machine may need longer than that; the sinks of other tests would wait for twenty seconds.
const AT_MOST: Duration = Duration::from_secs(15);

fn impatient(url: String, queue: &str) -> AmqpSink {
    AmqpSink::new(AmqpSinkOptions { timeout: SHORT, ..options(url, "", Some(queue)) }).unwrap()
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://{}", listener.local_addr().unwrap());
    drop(listener);
    let sink = sink_to_queue(url, "events");
    assert_eq!(sink.send(&event(1)).await, unreachable("unreachable"));
}

#[tokio::test]
async fn somebody_listens_and_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = impatient(format!("amqp://{}", listener.local_addr().unwrap()), "events");
    let (sent, took) = timed(sink.send(&event(1))).await;
    assert_eq!(sent, timed_out());
    assert!((SHORT..AT_MOST).contains(&took), "{took:?}");
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn many_events_at_once_make_one_connection() {
    let amqp = TestAmqp::new().await;
    let queue = amqp.queue("events").await;
    let proxy = Proxy::to(amqp.address()).await;
    let sink = sink_to_queue(amqp.url_at(proxy.address()), &queue);
    let results = send_all(&sink, 0..2000).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(proxy.connections(), 1);
    assert_eq!(amqp.take_all(&queue).await.len(), 2000);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: tests/run"]
async fn many_events_at_once_make_one_attempt_that_fails() {
    let amqp = TestAmqp::new().await;
    let proxy = Proxy::to(amqp.address()).await;
    proxy.close();
    let sink = Arc::new(sink_to_queue(amqp.url_at(proxy.address()), "events"));
    let sending = (0..2000).map(|number| {
        let sink = Arc::clone(&sink);
        tokio::spawn(async move { sink.send(&event(number)).await })
    });
    for sent in futures_util::future::join_all(sending).await {
        assert_eq!(sent.unwrap(), unreachable("connectionLost"));
    }
    // More would take longer than the time in which an attempt that failed is the answer.
    assert!(proxy.connections() <= 2, "{}", proxy.connections());
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn a_connection_that_is_cut_is_made_again() {
    let amqp = TestAmqp::new().await;
    let queue = amqp.queue("events").await;
    let proxy = Proxy::to(amqp.address()).await;
    let sink = sink_to_queue(amqp.url_at(proxy.address()), &queue);
    sink.send(&event(1)).await.unwrap();
    proxy.deafen();
    let (sent, ()) = tokio::join!(send_all(&sink, 2..1000), async {
        sleep(Duration::from_millis(100)).await;
        proxy.cut();
    });
    // The broker may well have them. Nobody knows.
    assert!(sent.iter().all(|sent| *sent == unreachable("connectionLost")), "{sent:?}");
    proxy.open();
    for number in 2..1000 {
        sink.send(&event(number)).await.unwrap();
    }
    assert_eq!(proxy.connections(), 2);
    let taken = amqp.take_all(&queue).await.into_iter().map(|message| message.message_id.unwrap());
    assert_eq!(taken.collect::<BTreeSet<_>>(), (1..1000).map(|number| event(number).id).collect());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: tests/run"]
async fn nothing_that_was_acknowledged_is_lost_however_often_the_connection_is() {
    let amqp = TestAmqp::new().await;
    let queue = amqp.queue("events").await;
    let proxy = Proxy::to(amqp.address()).await;
    let sink = Arc::new(sink_to_queue(amqp.url_at(proxy.address()), &queue));
    let mut cuts = 0;
    send_while(sink, 20_000, || {
        // In the end there is time for what is left. On a busy machine it may have been connected hardly ever until then.
        cuts += 1;
        if cuts < 40 || proxy.connections() < 3 {
            proxy.cut();
        }
    })
    .await;
    assert!(proxy.connections() > 2, "{}", proxy.connections());
    let taken = amqp.take_all(&queue).await.into_iter().map(|message| message.message_id.unwrap());
    assert_eq!(taken.collect::<BTreeSet<_>>(), (0..20_000).map(|number| event(number).id).collect());
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn a_connection_on_which_nothing_comes_any_more_is_given_up() {
    let amqp = TestAmqp::new().await;
    let queue = amqp.queue("events").await;
    let proxy = Proxy::to(amqp.address()).await;
    let sink = impatient(amqp.url_at(proxy.address()), &queue);
    sink.send(&event(1)).await.unwrap();
    proxy.silence();
    let (sent, took) = timed(send_all(&sink, 2..1000)).await;
    assert!(sent.iter().all(|sent| *sent == timed_out()), "{sent:?}");
    assert!((SHORT..AT_MOST).contains(&took), "{took:?}");
    proxy.open();
    send_until_taken(&sink, &event(2)).await;
    assert_eq!(proxy.connections(), 2);
}

/// So does one that is short of memory or disk: what is written stays on the way.
#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn a_broker_that_reads_nothing_holds_up_nobody() {
    let amqp = TestAmqp::new().await;
    let queue = amqp.queue("events").await;
    let proxy = Proxy::to(amqp.address()).await;
    let messages = Messages::new("s".repeat(300_000), None, Format::CloudEvents);
    let options = options(amqp.url_at(proxy.address()), "", Some(&queue));
    let sink = AmqpSink::new(AmqpSinkOptions { timeout: SHORT, messages, ..options }).unwrap();
    sink.send(&event(1)).await.unwrap();
    proxy.silence();
    // More than what fits in between.
    let (sent, took) = timed(send_all(&sink, 2..100)).await;
    assert!(sent.iter().all(|sent| *sent == timed_out()), "{sent:?}");
    assert!((SHORT..AT_MOST).contains(&took), "{took:?}");
    // What is written half is not worth more waiting either, and no farewell would be read.
    sleep(SHORT * 4).await;
    proxy.open();
    send_until_taken(&sink, &event(2)).await;
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn a_connection_that_nobody_needs_is_closed() {
    let amqp = TestAmqp::new().await;
    let queue = amqp.queue("events").await;
    let proxy = Proxy::to(amqp.address()).await;
    let sink = sink_to_queue(amqp.url_at(proxy.address()), &queue);
    sink.send(&event(1)).await.unwrap();
    assert_eq!(proxy.open_connections(), 1);
    drop(sink);
    timed(async {
        while proxy.open_connections() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
