//! Exchanges and queues that nobody else uses and that go away with the test.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use lapin::options::{
    BasicGetOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};

/// The environment variable with the `amqp://` URL of a user of `RabbitMQ` who may do anything; `tests/run` sets it.
pub const AMQP_URL: &str = "REPRIEVE_TEST_AMQP_URL";

/// A part of the broker of the tests: every name in it is another one in each test.
pub struct TestAmqp {
    url: String,
    connection: Connection,
    channel: Channel,
    prefix: String,
    used: Mutex<Vec<Used>>,
}

enum Used {
    Exchange(String),
    Queue(String),
}

/// A message that was taken from a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmqpMessage {
    /// Where it was sent to.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// The media type.
    pub content_type: Option<String>,
    /// 2 is for what a durable queue writes to disk.
    pub delivery_mode: Option<u8>,
    /// The id.
    pub message_id: Option<String>,
    /// Unix time.
    pub timestamp: Option<u64>,
    /// The type.
    pub message_type: Option<String>,
    /// The application that sent it.
    pub application: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl TestAmqp {
    /// On the broker that [`AMQP_URL`] names.
    pub async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var(AMQP_URL).unwrap_or_else(|_| panic!("{AMQP_URL} is not set: use tests/run"));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("reprieve-test-{}-{number}", std::process::id());
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { url, connection, channel, prefix, used: Mutex::default() }
    }

    /// The URL for whoever uses it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `HOST:PORT` of the broker.
    #[must_use]
    pub fn address(&self) -> &str {
        let authority = self.url.split("://").nth(1).unwrap().split('/').next().unwrap();
        authority.rsplit('@').next().unwrap()
    }

    /// The URL with another `HOST:PORT`.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        self.url.replacen(self.address(), &address.to_string(), 1)
    }

    /// The name of an exchange of the test's own, which is not there yet.
    #[must_use]
    pub fn exchange_name(&self, name: &str) -> String {
        let name = format!("{}-{name}", self.prefix);
        self.used.lock().unwrap().push(Used::Exchange(name.clone()));
        name
    }

    /// Declares an exchange. Returns its name.
    pub async fn exchange(&self, name: &str, kind: ExchangeKind) -> String {
        let name = self.exchange_name(name);
        let options = ExchangeDeclareOptions::default();
        let declared =
            self.channel.exchange_declare(name.as_str().into(), kind, options, FieldTable::default());
        declared.await.unwrap();
        name
    }

    /// Declares a durable queue. Returns its name.
    pub async fn queue(&self, name: &str) -> String {
        self.queue_with(name, FieldTable::default()).await
    }

    /// Declares a durable queue that refuses what is more than this. Returns its name.
    pub async fn full_queue(&self, name: &str, most: u32) -> String {
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongUInt(most));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        self.queue_with(name, arguments).await
    }

    async fn queue_with(&self, name: &str, arguments: FieldTable) -> String {
        let name = format!("{}-{name}", self.prefix);
        self.used.lock().unwrap().push(Used::Queue(name.clone()));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(name.as_str().into(), options, arguments).await.unwrap();
        name
    }

    /// Has a queue take what an exchange hands on under a routing key or a pattern of such.
    pub async fn bind(&self, queue: &str, exchange: &str, routing_key: &str) {
        let bound = self.channel.queue_bind(
            queue.into(),
            exchange.into(),
            routing_key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bound.await.unwrap();
    }

    /// Whether this exchange is there, with this type, durable, and stays when nobody uses it.
    pub async fn is_durable_exchange(&self, name: &str, kind: ExchangeKind) -> bool {
        // Declaring it again is refused, at the cost of the channel, if it is any other.
        let channel = self.connection.create_channel().await.unwrap();
        let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let there = channel.exchange_declare(name.into(), kind.clone(), passive, FieldTable::default());
        if there.await.is_err() {
            return false;
        }
        channel.exchange_declare(name.into(), kind, durable, FieldTable::default()).await.is_ok()
    }

    /// Deletes an exchange.
    pub async fn delete_exchange(&self, name: &str) {
        self.channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await.unwrap();
    }

    /// Takes the first message out of a queue.
    pub async fn take(&self, queue: &str) -> Option<AmqpMessage> {
        let taken = self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.unwrap()?;
        let delivery = taken.delivery;
        let properties = &delivery.properties;
        let text = |text: &Option<lapin::types::ShortString>| text.as_ref().map(ToString::to_string);
        Some(AmqpMessage {
            exchange: delivery.exchange.to_string(),
            routing_key: delivery.routing_key.to_string(),
            content_type: text(properties.content_type()),
            delivery_mode: *properties.delivery_mode(),
            message_id: text(properties.message_id()),
            timestamp: *properties.timestamp(),
            message_type: text(properties.kind()),
            application: text(properties.app_id()),
            body: delivery.data,
        })
    }

    /// Takes all messages out of a queue.
    pub async fn take_all(&self, queue: &str) -> Vec<AmqpMessage> {
        let mut messages = Vec::new();
        while let Some(message) = self.take(queue).await {
            messages.push(message);
        }
        messages
    }
}

impl Drop for TestAmqp {
    fn drop(&mut self) {
        let (url, used) = (self.url.clone(), std::mem::take(&mut *self.used.lock().unwrap()));
        // The test's own runtime may be the one that is blocked here.
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
                let channel = connection.create_channel().await?;
                for used in used {
                    match used {
                        Used::Exchange(name) => {
                            channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await?;
                        }
                        Used::Queue(name) => {
                            channel.queue_delete(name.into(), QueueDeleteOptions::default()).await?;
                        }
                    }
                }
                connection.close(200, "".into()).await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            })
        });
        if !matches!(deleted.join(), Ok(Ok(()))) && !std::thread::panicking() {
            eprintln!("exchanges and queues {}-… were left behind", self.prefix);
        }
    }
}
