//! The schemas say of every message exactly what is in it.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use reprieve_events::{EventType, Format, schemas};
use serde_json::{Value, json};

use super::events::event;
use super::{body, config, messages, schema_of};

/// Formats are checked as well, which a validator does only on demand.
fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::meta::validate(schema).unwrap();
    jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap()
}

/// The same schema, but for members that it does not name: these are forbidden.
fn strict(event_type: EventType) -> Value {
    let mut schema = schema_of(event_type);
    schema["additionalProperties"] = json!(false);
    schema["properties"]["data"]["additionalProperties"] = json!(false);
    schema
}

fn by_type(schema: impl Fn(EventType) -> Value) -> BTreeMap<EventType, Validator> {
    EventType::ALL.map(|event_type| (event_type, validator(&schema(event_type)))).into()
}

fn names(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_message_has_the_members_that_its_schema_names_and_no_other() {
    let (schemas, strict) = (by_type(schema_of), by_type(strict));
    proptest!(config(), |(event in event())| {
        for message in messages(&event, Format::CloudEvents) {
            let body = body(&message);
            for validator in [&schemas[&message.event_type], &strict[&message.event_type]] {
                let errors: Vec<_> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
                prop_assert!(errors.is_empty(), "{errors:?}: {body}");
            }
        }
    });
}

/// Otherwise a schema could name what is never sent.
#[test]
fn every_member_that_a_schema_names_is_in_some_message() {
    let mut seen: BTreeMap<EventType, [BTreeSet<String>; 2]> = BTreeMap::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..2000 {
        let event = event().new_tree(&mut runner).unwrap().current();
        for message in messages(&event, Format::CloudEvents) {
            let body = body(&message);
            let [envelope, data] = seen.entry(message.event_type).or_default();
            envelope.extend(names(&body));
            data.extend(names(&body["data"]));
        }
    }
    for event_type in EventType::ALL {
        let properties = &schema_of(event_type)["properties"];
        let named = [names(properties), names(&properties["data"]["properties"])];
        assert_eq!(seen[&event_type], named, "{event_type}");
    }
}

/// What a consumer is told of a message must not hold for just anything.
#[test]
fn a_message_that_lacks_a_member_or_has_another_in_its_place_is_seen() {
    let schemas = by_type(schema_of);
    proptest!(config(), |(event in event())| {
        for message in messages(&event, Format::CloudEvents) {
            let (genuine, schema) = (body(&message), &schemas[&message.event_type]);
            for path in ["", "/data"] {
                for name in names(genuine.pointer(path).unwrap()) {
                    for other in [json!(null), json!(-1), json!(""), json!("\u{e9} \n"), json!([]), json!({})] {
                        let mut changed = genuine.clone();
                        changed.pointer_mut(path).unwrap()[&name] = other.clone();
                        prop_assert!(!schema.is_valid(&changed), "{path}/{name}: {other}");
                    }
                    let mut shorter = genuine.clone();
                    shorter.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(&name);
                    // Without its parent, a state is of no use.
                    let is_optional = if path.is_empty() {
                        name == "tracestate" || name == "traceparent" && genuine.get("tracestate").is_none()
                    } else {
                        name == "suspendedUntil"
                    };
                    prop_assert_eq!(schema.is_valid(&shorter), is_optional, "{}/{}", path, name);
                }
            }
        }
    });
}

#[test]
fn there_is_a_date_of_deletion_unless_it_is_cancelled_and_somebody_who_cancelled_only_then() {
    let schema = validator(&schema_of(EventType::StatusChanged));
    let instant = json!("2026-12-07T20:03:07.123456Z");
    let members = [
        ("gracePeriodEndsAt", instant.clone()),
        ("cancelledAt", instant.clone()),
        ("cancelledByDevice", json!("DVC0123456789abcdefg")),
    ];
    for status in ["Active", "Cancelled", "Deleting", "Deleted", "Approved", ""] {
        for present in 0..8_u8 {
            let mut message = json!({
                "specversion": "1.0", "id": "a-status", "source": "/", "subject": "IDP0123456789abcdefg",
                "type": EventType::StatusChanged.name(), "time": instant, "datacontenttype": "application/json",
                "sequence": "0000000000000000001",
                "data": {
                    "eventTargetAddress": "did:web:example.org", "id": "IDP0123456789abcdefg", "status": status,
                    "createdAt": instant, "createdByDevice": "DVC0123456789abcdefg",
                },
            });
            for (bit, (name, value)) in members.iter().enumerate() {
                if present & (1 << bit) != 0 {
                    message["data"][name] = value.clone();
                }
            }
            let expected = match status {
                "Cancelled" => present == 0b110,
                "Active" | "Deleting" | "Deleted" => present == 0b001,
                _ => false,
            };
            assert_eq!(schema.is_valid(&message), expected, "{message}");
        }
    }
}

/// They are published one by one, so none may rely on another; what they have in common is the same nevertheless.
#[test]
fn the_envelope_is_the_same_in_every_schema_but_for_the_type_and_the_form_of_the_id() {
    let envelope = |event_type: EventType| {
        let mut schema = schema_of(event_type);
        assert_eq!(schema["title"], event_type.name());
        assert_eq!(schema["properties"]["type"]["const"], event_type.name());
        assert!(!reprieve_events::schema(event_type).contains("$ref"), "{event_type}");
        for name in ["title", "description", "/type", "/data", "/id"] {
            let place = if let Some(name) = name.strip_prefix('/') {
                &mut schema["properties"][name]
            } else {
                &mut schema[name]
            };
            assert!(!place.take().is_null(), "{event_type}: {name}");
        }
        schema
    };
    let expected = envelope(EventType::StatusChanged);
    for event_type in EventType::ALL {
        assert_eq!(envelope(event_type), expected, "{event_type}");
    }
}

#[test]
fn all_schemas_together_are_one_document() {
    let all: Value = serde_json::from_str(&schemas()).unwrap();
    let members: Vec<(&str, Value)> =
        all.as_object().unwrap().iter().map(|(name, schema)| (name.as_str(), schema.clone())).collect();
    assert_eq!(members, EventType::ALL.map(|event_type| (event_type.name(), schema_of(event_type))));
}
