//! Everybody who is told, and what has arrived there.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::sync::Mutex;

use async_nats::jetstream;
use futures_util::StreamExt as _;
use lapin::options::{BasicGetOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use reprieve_tests::{Answer, Asked, EraserService, Moments, PrivateNats, PrivateRabbitMq, Sandbox};
use serde_json::Value;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const EXCHANGE: &str = "events";
const QUEUE: &str = "everything";

pub(crate) struct Sinks {
    webhook: EraserService,
    output: PathBuf,
    rabbit: String,
    nats: String,
}

/// Every message, of each identity in its order: id, and whose it is.
pub(crate) struct Expected(Vec<(String, Vec<String>)>);

/// Whether the signature is right, by somebody else's reckoning.
fn is_signed(asked: &Asked) -> bool {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, asked.header(name).unwrap().parse().unwrap());
    }
    standardwebhooks::Webhook::new(SECRET).unwrap().verify(&asked.content, &headers).is_ok()
}

async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

impl Sinks {
    pub(crate) fn start(sandbox: &Sandbox, rabbit: &PrivateRabbitMq, nats: &PrivateNats) -> Self {
        let moments = Mutex::new(Moments::new());
        let webhook = EraserService::start(move |asked: &Asked| {
            assert!(is_signed(asked), "{asked:?}");
            let mut moments = moments.lock().unwrap();
            match moments.below(300) {
                0 => Answer::Failed,
                1 => Answer::HangUp,
                _ => Answer::Erased(0),
            }
        });
        let sinks =
            Self { webhook, output: sandbox.home().join("output"), rabbit: rabbit.url(), nats: nats.url() };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (connection, channel) = channel(&sinks.rabbit).await;
            let (exchange, queue) = (
                ExchangeDeclareOptions { durable: true, ..Default::default() },
                QueueDeclareOptions { durable: true, ..Default::default() },
            );
            let none = FieldTable::default;
            channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, exchange, none()).await.unwrap();
            channel.queue_declare(QUEUE.into(), queue, none()).await.unwrap();
            let bind = QueueBindOptions::default();
            channel.queue_bind(QUEUE.into(), EXCHANGE.into(), "#".into(), bind, none()).await.unwrap();
            connection.close(200, "".into()).await.unwrap();
        });
        sinks
    }

    /// Whoever is killed is followed soon.
    pub(crate) fn toml(&self) -> String {
        let Self { webhook, rabbit, nats, .. } = self;
        format!(
            "[workers]\noutbox_every_in_seconds = 0.02\n\
             [events]\nlease_in_seconds = 1.2\nfirst_retry_in_seconds = 0.05\nlongest_retry_in_seconds = 0.4\n\
             allowed_private_hosts = ['127.0.0.1']\n\
             [[events.sinks]]\nname = 'webhook'\ntype = 'webhook'\nurl = 'http://{}/'\nsecret = '{SECRET}'\n\
             [[events.sinks]]\nname = 'rabbit'\ntype = 'amqp'\nurl = '{rabbit}'\nexchange = '{EXCHANGE}'\n\
             [[events.sinks]]\nname = 'nats'\ntype = 'nats'\nurl = '{nats}'\nsubject_prefix = 'told'\n\
             stream = 'TOLD'\n\
             [[events.sinks]]\nname = 'output'\ntype = 'stdout'\n",
            webhook.address()
        )
    }

    /// What goes to the standard output of one goes behind that of the one before.
    pub(crate) fn standard_output(&self) -> File {
        OpenOptions::new().create(true).append(true).open(&self.output).unwrap()
    }

    /// What has arrived where, in its order.
    pub(crate) async fn arrived(
        &self,
        rabbit: &PrivateRabbitMq,
        nats: &PrivateNats,
    ) -> BTreeMap<&'static str, Vec<Value>> {
        let accepted = self.webhook.asked().into_iter().filter(|(_, answer)| *answer == Answer::Erased(0));
        let webhook = accepted.map(|(asked, _)| asked.body).collect();
        let output = std::fs::read_to_string(&self.output).unwrap();
        // Whoever is killed while it writes leaves half a line.
        let output = output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        BTreeMap::from([
            ("webhook", webhook),
            ("output", output),
            ("rabbit", from_rabbit(&rabbit.url()).await),
            ("nats", from_nats(&nats.url()).await),
        ])
    }
}

async fn from_rabbit(url: &str) -> Vec<Value> {
    let (_connection, channel) = channel(url).await;
    let mut arrived = Vec::new();
    let get = || channel.basic_get(QUEUE.into(), BasicGetOptions { no_ack: true });
    while let Some(message) = get().await.unwrap() {
        arrived.push(serde_json::from_slice(&message.delivery.data).unwrap());
    }
    arrived
}

async fn from_nats(url: &str) -> Vec<Value> {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    let mut stream = context.get_stream("TOLD").await.unwrap();
    let count = stream.info().await.unwrap().state.messages;
    // Of what has to be acknowledged, only some is handed out at once.
    let ack_policy = jetstream::consumer::AckPolicy::None;
    let options = jetstream::consumer::pull::Config { ack_policy, ..Default::default() };
    let consumer = stream.create_consumer(options).await.unwrap();
    let messages = consumer.messages().await.unwrap();
    let all = messages.take(usize::try_from(count).unwrap());
    all.map(|message| serde_json::from_slice(&message.unwrap().payload).unwrap()).collect().await
}

impl Expected {
    pub(crate) fn read(sandbox: &Sandbox) -> Self {
        let rows = "SELECT address || ' ' || event_id FROM outbox ORDER BY position";
        let mut by_identity: Vec<(String, Vec<String>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for row in sandbox.sql().texts(rows) {
            let (address, id) = row.split_once(' ').unwrap();
            let place = *places.entry(address.to_owned()).or_insert_with(|| {
                by_identity.push((address.to_owned(), Vec::new()));
                by_identity.len() - 1
            });
            by_identity[place].1.extend([format!("{id}-status"), id.to_owned()]);
        }
        Self(by_identity)
    }

    /// Each is told of twice.
    pub(crate) fn events(&self) -> usize {
        self.0.iter().map(|(_, ids)| ids.len()).sum::<usize>() / 2
    }

    pub(crate) fn check(&self, sink: &str, arrived: &[Value]) {
        let mut seen: HashMap<&str, &Value> = HashMap::new();
        let mut first: HashMap<&str, Vec<String>> = HashMap::new();
        for message in arrived {
            let id = message["id"].as_str().unwrap();
            if let Some(before) = seen.insert(id, message) {
                assert_eq!(before, message, "{sink}: {id} has changed");
                continue;
            }
            let data = &message["data"];
            let address = data["address"].as_str().or(data["eventTargetAddress"].as_str()).unwrap();
            first.entry(address).or_default().push(id.to_owned());
        }
        for (address, ids) in &self.0 {
            assert_eq!(first.remove(address.as_str()).as_ref(), Some(ids), "{sink}: {address}");
        }
        assert!(first.is_empty(), "{sink}: nobody knows {first:?}");
        let again = arrived.len() - seen.len();
        println!("{sink}: {} messages, {again} of them again", arrived.len());
    }
}
