//! What a consumer relies on, whatever the format.

use std::collections::BTreeSet;

use proptest::prelude::*;
use reprieve_events::{EventType, Format, Messages};
use serde_json::{Value, json};

use super::events::event;
use super::{SOURCE, body, config, messages};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_message_is_the_same_however_often_it_is_made_and_its_id_no_other_messages(
        events in prop::collection::vec(event(), 1..5),
    ) {
        let mut ids = BTreeSet::new();
        for (number, mut event) in events.into_iter().enumerate() {
            // No two events have the same id.
            event.id = format!("{}{number}", event.id);
            for format in [Format::CloudEvents, Format::Connector] {
                prop_assert_eq!(messages(&event, format), messages(&event, format));
            }
            let [cloud_events, connector] = [Format::CloudEvents, Format::Connector].map(|format| {
                messages(&event, format).into_iter().map(|message| message.id).collect::<Vec<_>>()
            });
            prop_assert_eq!(&cloud_events, &connector);
            for id in cloud_events {
                prop_assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{id}");
                prop_assert!(ids.insert(id));
            }
        }
    }

    #[test]
    fn a_step_that_changes_the_status_is_told_of_twice_and_any_other_once(event in event()) {
        let types: Vec<EventType> =
            messages(&event, Format::CloudEvents).iter().map(|message| message.event_type).collect();
        let status_changed = event.process.is_some().then_some(EventType::StatusChanged);
        prop_assert_eq!(types.len(), 1 + usize::from(status_changed.is_some()));
        prop_assert_eq!(types.iter().find(|event_type| **event_type == EventType::StatusChanged), status_changed.as_ref());
        let own = format!("reprieve.i{}", &event.event.kind.name()[1..]);
        prop_assert_eq!(types.last().unwrap().name(), own);
    }

    #[test]
    fn only_types_that_are_wanted_are_sent(event in event(), wanted in prop::collection::btree_set(
        prop::sample::select(&EventType::ALL), 0..=7,
    )) {
        let some = Messages::new(SOURCE, Some(wanted.clone()), Format::CloudEvents);
        let all = messages(&event, Format::CloudEvents);
        let expected: Vec<_> = all.into_iter().filter(|message| wanted.contains(&message.event_type)).collect();
        prop_assert_eq!(some.about(&event).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_connectors_form_is_the_name_and_the_same_data_and_nothing_else(event in event()) {
        let cloud_events = messages(&event, Format::CloudEvents);
        for (message, cloud_event) in messages(&event, Format::Connector).iter().zip(&cloud_events) {
            prop_assert_eq!(message.content_type, "application/json");
            let data = &body(cloud_event)["data"];
            let expected = json!({"trigger": message.event_type.name(), "data": data});
            prop_assert_eq!(body(message), expected.clone());
            // In this order, too.
            let Value::Object(members) = body(message) else { panic!("no object") };
            prop_assert_eq!(members.keys().collect::<Vec<_>>(), ["trigger", "data"]);
        }
    }

    #[test]
    fn later_events_have_greater_sequences_as_texts_too(one in event(), other in event()) {
        let sequence = |event| body(&messages(event, Format::CloudEvents)[0])["sequence"].as_str().unwrap().to_owned();
        prop_assert_eq!(sequence(&one).cmp(&sequence(&other)), one.sequence.cmp(&other.sequence));
    }
}

#[test]
fn a_type_is_found_by_its_name_and_by_no_other() {
    for event_type in EventType::ALL {
        assert_eq!(event_type.name().parse(), Ok(event_type));
        assert_eq!(event_type.to_string(), event_type.name());
    }
    let unknown = "reprieve.IdentityDeleted".parse::<EventType>().unwrap_err();
    assert!(unknown.to_string().contains("reprieve.identityDeleted"), "{unknown}");
}
