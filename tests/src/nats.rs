//! Streams that nobody else uses and that go away with the test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use async_nats::jetstream::stream::{Config, DiscardPolicy, Stream};
use async_nats::jetstream::{self, Context};

/// The environment variable with the `nats://` URL of a server that lets us in and has `JetStream`; `tests/run` sets it.
pub const NATS_URL: &str = "REPRIEVE_TEST_NATS_URL";

/// A part of the server of the tests: the prefix of subjects and the name of the stream are others in each test.
pub struct TestNats {
    url: String,
    jetstream: Context,
    prefix: String,
}

/// A message that is stored in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsMessage {
    /// What it was sent under.
    pub subject: String,
    /// The header `Nats-Msg-Id`.
    pub message_id: Option<String>,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl TestNats {
    /// On the server that [`NATS_URL`] names.
    pub async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var(NATS_URL).unwrap_or_else(|_| panic!("{NATS_URL} is not set: use tests/run"));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("reprieve-test-{}-{number}", std::process::id());
        let jetstream = jetstream::new(async_nats::connect(&url).await.unwrap());
        Self { url, jetstream, prefix }
    }

    /// The URL for whoever uses it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `HOST:PORT` of the server.
    #[must_use]
    pub fn address(&self) -> &str {
        let authority = self.url.split("://").nth(1).unwrap().trim_end_matches('/');
        authority.rsplit('@').next().unwrap()
    }

    /// The URL with another `HOST:PORT`.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        self.url.replacen(self.address(), &address.to_string(), 1)
    }

    /// What the test's subjects begin with, and the name of its stream.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Creates the stream, for all subjects.
    pub async fn create(&self) {
        self.create_as(Config::default()).await;
    }

    /// Creates the stream; it refuses what is more than this.
    pub async fn create_full_with(&self, most: i64) {
        let limits = Config { max_messages: most, discard: DiscardPolicy::New, ..Config::default() };
        self.create_as(limits).await;
    }

    /// Creates the stream, for these subjects behind the prefix only.
    pub async fn create_for(&self, subjects: &str) {
        let subjects = vec![format!("{}.{subjects}", self.prefix)];
        self.create_as(Config { subjects, ..Config::default() }).await;
    }

    async fn create_as(&self, mut configuration: Config) {
        configuration.name.clone_from(&self.prefix);
        if configuration.subjects.is_empty() {
            configuration.subjects = vec![format!("{}.>", self.prefix)];
        }
        self.jetstream.create_stream(configuration).await.unwrap();
    }

    /// How the stream is configured, if it is there.
    pub async fn configuration(&self) -> Option<Config> {
        self.stream().await.map(|stream| stream.cached_info().config.clone())
    }

    async fn stream(&self) -> Option<Stream> {
        self.jetstream.get_stream(&self.prefix).await.ok()
    }

    /// All that the stream has, in its order.
    pub async fn messages(&self) -> Vec<NatsMessage> {
        let stream = self.stream().await.unwrap();
        let state = &stream.cached_info().state;
        let mut messages = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            let header = |name: &str| message.headers.get(name).map(ToString::to_string);
            messages.push(NatsMessage {
                subject: message.subject.to_string(),
                message_id: header("Nats-Msg-Id"),
                content_type: header("Content-Type"),
                body: message.payload.to_vec(),
            });
        }
        messages
    }

    /// How many messages the stream has.
    pub async fn count(&self) -> u64 {
        self.stream().await.unwrap().cached_info().state.messages
    }

    /// Deletes the stream.
    pub async fn delete(&self) {
        self.jetstream.delete_stream(&self.prefix).await.unwrap();
    }
}

impl Drop for TestNats {
    fn drop(&mut self) {
        let (url, stream) = (self.url.clone(), self.prefix.clone());
        // The test's own runtime may be the one that is blocked here.
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let jetstream = jetstream::new(async_nats::connect(&url).await?);
                // Not every test has one.
                if jetstream.get_stream(&stream).await.is_ok() {
                    jetstream.delete_stream(&stream).await?;
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            })
        });
        if !matches!(deleted.join(), Ok(Ok(()))) && !std::thread::panicking() {
            eprintln!("the stream {} was left behind", self.prefix);
        }
    }
}
