//! The reader of `CloudEvents` that the specification's authors publish reads every message, and finds in it what was put in.

use cloudevents::event::{ExtensionValue, SpecVersion};
use cloudevents::{AttributesReader as _, Data, Event};
use proptest::prelude::*;
use reprieve_events::Format;
use serde_json::Value;

use super::events::event;
use super::{SOURCE, body, config, messages};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn another_reader_finds_what_was_put_in(event in event()) {
        for message in messages(&event, Format::CloudEvents) {
            prop_assert_eq!(message.content_type, "application/cloudevents+json");
            let read: Event = serde_json::from_slice(&message.body).unwrap();
            prop_assert_eq!(read.specversion(), SpecVersion::V10);
            prop_assert_eq!(read.id(), &message.id);
            prop_assert_eq!(read.source(), SOURCE);
            prop_assert_eq!(read.ty(), message.event_type.name());
            prop_assert_eq!(read.subject(), Some(event.event.process_id.as_str()));
            prop_assert_eq!(read.time(), Some(&event.event.occurred_at.to_datetime()));
            prop_assert_eq!(read.datacontenttype(), Some("application/json"));
            prop_assert_eq!(read.dataschema(), None);
            prop_assert_eq!(read.data(), Some(&Data::Json(body(&message)["data"].clone())));
            let text = |name: &str| match read.extension(name) {
                None => None,
                Some(ExtensionValue::String(text)) => Some(text.as_str()),
                Some(other) => panic!("{name}: {other:?}"),
            };
            prop_assert_eq!(text("sequence").and_then(|text| text.parse().ok()), Some(event.sequence));
            let trace = event.trace.as_ref();
            prop_assert_eq!(text("traceparent"), trace.map(|trace| trace.parent.as_str()));
            prop_assert_eq!(text("tracestate"), trace.and_then(|trace| trace.state.as_deref()));
            let expected = 1 + trace.map_or(0, |trace| 1 + usize::from(trace.state.is_some()));
            prop_assert_eq!(read.iter_extensions().count(), expected);
        }
    }

    /// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>: lower-case letters and digits, and better not
    /// more than 20; every value is a text, and none is empty.
    #[test]
    fn every_attribute_has_a_name_and_a_value_that_the_specification_allows(event in event()) {
        for message in messages(&event, Format::CloudEvents) {
            let Value::Object(attributes) = body(&message) else { panic!("no object") };
            for (name, value) in attributes.iter().filter(|(name, _)| *name != "data") {
                let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
                prop_assert!((1..=20).contains(&name.len()) && name.bytes().all(legal), "{name}");
                let text = value.as_str().unwrap();
                prop_assert!(!text.is_empty() && !text.chars().any(char::is_control), "{name}: {text:?}");
            }
        }
    }
}
