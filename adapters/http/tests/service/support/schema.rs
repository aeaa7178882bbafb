//! Holds a JSON value against a schema of the OpenAPI document. Stricter than JSON Schema in two ways: a member that is
//! not documented is a violation, and so is a keyword that is not known here.

use reprieve_domain::Timestamp;
use serde_json::{Map, Value};

/// What only describes.
const ANNOTATIONS: [&str; 4] = ["deprecated", "description", "example", "examples"];

/// Checks `value` against `schema`, whose references lead into `document`.
pub(crate) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    valid(document, schema, value)?;
    match undocumented(document, schema, value) {
        Some(path) => Err(format!("{path} is not documented")),
        None => Ok(()),
    }
}

/// The schema that a reference leads to, or the schema itself.
pub(crate) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(reference) = schema.get("$ref") else { return schema };
    let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
    document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

fn valid(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    for (keyword, rule) in resolve(document, schema).as_object().unwrap() {
        valid_by(document, keyword, rule, value).map_err(|violation| format!("{violation} in {value}"))?;
    }
    Ok(())
}

fn valid_by(document: &Value, keyword: &str, rule: &Value, value: &Value) -> Result<(), String> {
    let holds = match keyword {
        "type" => each(rule).any(|name| is_of_type(name, value)),
        "enum" => list(rule).contains(value),
        "pattern" => value.as_str().is_none_or(|text| matches(rule.as_str().unwrap(), text)),
        "format" => value.as_str().is_none_or(|text| has_format(rule, text)),
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
        "required" => members(value)
            .is_none_or(|members| list(rule).iter().all(|name| members.contains_key(name.as_str().unwrap()))),
        "oneOf" => list(rule).iter().filter(|schema| valid(document, schema, value).is_ok()).count() == 1,
        "allOf" => return list(rule).iter().try_for_each(|schema| valid(document, schema, value)),
        "items" => {
            return value.as_array().into_iter().flatten().try_for_each(|item| valid(document, rule, item));
        }
        "properties" => {
            let schemas = rule.as_object().unwrap();
            return members(value).into_iter().flatten().try_for_each(|(name, value)| {
                match schemas.get(name) {
                    Some(schema) => valid(document, schema, value),
                    None => Ok(()),
                }
            });
        }
        "additionalProperties" => {
            return members(value)
                .into_iter()
                .flatten()
                .try_for_each(|(_, value)| valid(document, rule, value));
        }
        "propertyNames" => {
            let mut names = members(value).into_iter().flatten().map(|(name, _)| Value::from(name.as_str()));
            return names.try_for_each(|name| valid(document, rule, &name));
        }
        annotation if ANNOTATIONS.contains(&annotation) => true,
        unknown => panic!("the keyword {unknown} is not known here"),
    };
    if holds { Ok(()) } else { Err(format!("{keyword} {rule} does not hold")) }
}

fn is_of_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        unknown => panic!("the type {unknown} is not known here"),
    }
}

fn has_format(name: &Value, text: &str) -> bool {
    match name.as_str().unwrap() {
        // As this service writes them, which is one of the ways that RFC 3339 allows.
        "date-time" => text.parse::<Timestamp>().is_ok_and(|instant| instant.to_string() == text),
        unknown => panic!("the format {unknown} of texts is not known here"),
    }
}

/// The one form of pattern that the document uses: `^IDP[A-Za-z0-9]{17}$`.
fn matches(pattern: &str, text: &str) -> bool {
    let (prefix, rest) = pattern.strip_prefix('^').unwrap().split_once("[A-Za-z0-9]{").unwrap();
    let length: usize = rest.strip_suffix("}$").unwrap().parse().unwrap();
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == length && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Where the first member is that no schema knows.
fn undocumented(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    match value {
        Value::Array(items) => {
            let schema = resolve(document, schema).get("items")?;
            items.iter().find_map(|item| undocumented(document, schema, item))
        }
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let found = match member(document, schema, name) {
                Some(schema) => undocumented(document, schema, value)?,
                None => String::new(),
            };
            Some(format!("/{name}{found}"))
        }),
        _ => None,
    }
}

/// The schema of a member of an object.
fn member<'a>(document: &'a Value, schema: &'a Value, name: &str) -> Option<&'a Value> {
    let schema = resolve(document, schema);
    let parts = schema.get("allOf").map_or(&[][..], list);
    schema
        .get("properties")
        .and_then(|properties| properties.get(name))
        .or_else(|| schema.get("additionalProperties"))
        .or_else(|| parts.iter().find_map(|part| member(document, part, name)))
}

fn members(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// The values of a list, or the one value.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}
