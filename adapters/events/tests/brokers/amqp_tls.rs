//! Encrypted connections.

use std::path::PathBuf;

use reprieve_application::ports::EventSink as _;
use reprieve_events::{AmqpSink, AmqpSinkOptions};
use reprieve_tests::TestAmqp;

use crate::amqp::options;
use crate::encrypted::encrypted;
use crate::support::{event, unreachable};

#[tokio::test]
#[ignore = "needs RabbitMQ: tests/run"]
async fn a_broker_shows_a_certificate_of_an_authority_that_is_trusted() {
    let amqp = TestAmqp::new().await;
    let queue = amqp.queue("events").await;
    let (port, _folder, authority) = encrypted(amqp.address(), "localhost").await;
    let sink = |url: String, authority: Option<PathBuf>| {
        let options = options(url, "", Some(&queue));
        AmqpSink::new(AmqpSinkOptions { certificate_authorities: authority, ..options }).unwrap()
    };
    let url = |host: &str| format!("amqps://guest:guest@{host}:{port}");
    let trusting = sink(url("localhost"), Some(authority.clone()));
    trusting.send(&event(1)).await.unwrap();
    assert_eq!(amqp.take_all(&queue).await.len(), 1);

    for (url, authority) in [
        // Nobody vouches for it, and it is another one's.
        (url("localhost"), None),
        (url("127.0.0.1"), Some(authority)),
    ] {
        assert_eq!(sink(url, authority).send(&event(2)).await, unreachable("unreachable"));
    }
    assert_eq!(amqp.take_all(&queue).await, []);
}
