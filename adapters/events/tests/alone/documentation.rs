//! The documented list of events is the one there is.

use reprieve_events::{EventType, schema};
use serde_json::Value;

const PAGE: &str = include_str!("../../../../docs/events.md");

/// The cells of the rows that name a type.
fn rows() -> Vec<Vec<&'static str>> {
    let names = |line: &str| line.starts_with("| `transport.") || line.starts_with("| `reprieve.");
    let cells = |line: &'static str| line.trim_matches('|').split(" | ").map(str::trim).collect();
    PAGE.lines().filter(|line| names(line)).map(cells).collect()
}

/// What stands between backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_type_is_documented_in_its_place_with_its_members_and_no_other_is() {
    let documented: Vec<_> = rows()
        .iter()
        .map(|row| {
            let link = row[3].strip_prefix("[schema](../adapters/events/schemas/").unwrap();
            (code(row[0])[0], code(row[2]), link.strip_suffix(".json)").unwrap())
        })
        .collect();
    let schemas = EventType::ALL.map(|event_type| serde_json::from_str::<Value>(schema(event_type)).unwrap());
    let known: Vec<_> = EventType::ALL
        .iter()
        .zip(&schemas)
        .map(|(event_type, schema)| {
            let members = schema["properties"]["data"]["properties"].as_object().unwrap();
            (event_type.name(), members.keys().map(String::as_str).collect::<Vec<_>>(), event_type.name())
        })
        .collect();
    assert_eq!(documented, known);
}

#[test]
fn every_attribute_is_documented_and_the_example_is_a_message() {
    let schema: Value = serde_json::from_str(schema(EventType::ToBeDeleted)).unwrap();
    for attribute in schema["properties"].as_object().unwrap().keys() {
        assert!(
            PAGE.contains(&format!("`{attribute}`")) || PAGE.contains(&format!("\"{attribute}\"")),
            "{attribute}"
        );
    }
    let example = PAGE.split("```json").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let example: Value = serde_json::from_str(example).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    assert!(validator.is_valid(&example));
}
