//! How fast events are sent, beside a publisher that does nothing else.

use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use reprieve_application::ports::EventSink as _;
use reprieve_tests::TestAmqp;

use crate::amqp::sink_to_queue;
use crate::support::{event, messages};

const EVENTS: u64 = 100_000;
const AT_ONCE: usize = 2048;

fn report(what: &str, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
    let rate = EVENTS as f64 / seconds;
    println!("{what}: {EVENTS} in {seconds:.2} s, {rate:.0} a second");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: cargo test --release -p reprieve-events --test brokers -- --ignored --nocapture amqp_throughput"]
async fn amqp_throughput() {
    let amqp = TestAmqp::new().await;
    let messages = messages();
    for round in 0..2 {
        let queue = amqp.queue(&format!("bare-{round}")).await;
        let connection = Connection::connect(amqp.url(), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let start = Instant::now();
        stream::iter(0..EVENTS)
            .for_each_concurrent(AT_ONCE, |number| {
                let (channel, queue, messages) = (&channel, &queue, &messages);
                async move {
                    let event = event(number);
                    let message = messages.about(&event).next().unwrap();
                    let properties = BasicProperties::default()
                        .with_delivery_mode(2)
                        .with_content_type(message.content_type.into())
                        .with_message_id(message.id.into());
                    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
                    let published = channel.basic_publish(
                        "".into(),
                        queue.as_str().into(),
                        options,
                        &message.body,
                        properties,
                    );
                    assert!(published.await.unwrap().await.unwrap().is_ack());
                }
            })
            .await;
        report("bare publisher", start);
        connection.close(200, "".into()).await.unwrap();

        let queue = amqp.queue(&format!("sink-{round}")).await;
        let sink = sink_to_queue(amqp.url(), &queue);
        let start = Instant::now();
        stream::iter(0..EVENTS)
            .for_each_concurrent(AT_ONCE, |number| {
                let sink = &sink;
                async move { sink.send(&event(number)).await.unwrap() }
            })
            .await;
        report("sink", start);
    }
}
