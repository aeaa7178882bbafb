//! `reprieve events schema`

use reprieve_application::ErrorCode;
use serde_json::{Map, Value};

use crate::{Failure, Host, Output};

pub(super) fn run(host: &dyn Host, output: &mut Output<'_>, event_type: Option<&str>) -> Result<(), Failure> {
    let schemas = host.event_schemas();
    let json = if let Some(wanted) = event_type {
        let found = schemas.iter().find(|(name, _)| *name == wanted);
        let (name, schema) = found.ok_or_else(|| unknown(wanted, &schemas))?;
        read(name, schema)?
    } else {
        let mut members = Map::new();
        for (name, schema) in schemas {
            members.insert(name.to_owned(), read(name, schema)?);
        }
        Value::Object(members)
    };
    // A schema is for programs, so that both formats are the same.
    output.result(&json, &format!("{json:#}\n"))
}

fn read(name: &str, schema: &str) -> Result<Value, Failure> {
    serde_json::from_str(schema).map_err(|error| {
        Failure::new(ErrorCode::SystemFailed, format!("the schema of {name} is not JSON: {error}"))
    })
}

fn unknown(wanted: &str, schemas: &[(&str, &str)]) -> Failure {
    let names: Vec<&str> = schemas.iter().map(|(name, _)| *name).collect();
    let message = format!("there is no type of events {wanted:?}; there are {}", names.join(", "));
    Failure::new(ErrorCode::InvalidPropertyValue, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test_host::{SCHEMAS, run};
    use serde_json::json;

    #[tokio::test]
    async fn the_schema_of_a_type_is_shown_alone() {
        for format in ["text", "json"] {
            let out = run(&["events", "schema", "b.happened", "--output", format]).await.unwrap();
            assert_eq!(out, "{\n  \"title\": \"b\",\n  \"a\": 1\n}\n");
        }
    }

    #[tokio::test]
    async fn all_of_them_are_one_document() {
        for format in ["text", "json"] {
            let out = run(&["events", "schema", "--output", format]).await.unwrap();
            let json: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(json, json!({"a.happened": {"title": "a"}, "b.happened": {"title": "b", "a": 1}}));
            assert_eq!(json.as_object().unwrap().len(), SCHEMAS.len());
            assert!(out.starts_with("{\n  \"a.happened\": {\n"), "{out}");
        }
    }

    #[tokio::test]
    async fn a_type_that_is_none_is_refused_with_those_there_are() {
        for name in ["c.happened", "", "B.happened", "a\n"] {
            let failure = run(&["events", "schema", name]).await.unwrap_err();
            assert_eq!(failure.code, ErrorCode::InvalidPropertyValue);
            assert!(failure.message.ends_with("there are a.happened, b.happened"), "{}", failure.message);
        }
    }
}
