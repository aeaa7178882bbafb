//! The messages about every event there can be: what is in them, held against the schemas, against another reader of
//! `CloudEvents`, and against what a consumer relies on.

mod cloud_events;
mod contents;
mod events;
mod schemas;

use proptest::test_runner::Config;
use reprieve_application::OutgoingEvent;
use reprieve_events::{EventType, Format, Message, Messages};
use serde_json::Value;

/// Where the events come from, in all tests.
const SOURCE: &str = "https://reprieve.example/eu";

fn config() -> Config {
    Config { failure_persistence: None, ..Config::default() }
}

/// Every message about an event.
fn messages(event: &OutgoingEvent, format: Format) -> Vec<Message> {
    Messages::new(SOURCE, None, format).about(event).collect()
}

fn body(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap()
}

/// The schema of a type.
fn schema_of(event_type: EventType) -> Value {
    serde_json::from_str(reprieve_events::schema(event_type)).unwrap()
}
