//! The OpenAPI document: committed as it is, well-formed, and complete. That answers are as it says, every test checks.

use std::collections::BTreeSet;

use reprieve_application::ErrorCode;
use serde_json::Value;

use crate::support::schema::{self, resolve};
use crate::support::{DOCUMENT, Deployment};

/// Set to write the document anew instead of comparing it.
const UPDATE: &str = "UPDATE_OPENAPI";

#[test]
fn the_committed_document_is_the_one_of_the_service() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let document = format!("{}\n", serde_json::to_string_pretty(&*DOCUMENT).unwrap());
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, &document).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let first = committed.lines().zip(document.lines()).position(|(left, right)| left != right);
    assert!(
        committed == document,
        "docs/openapi.json is out of date, first in line {:?}: run the tests with {UPDATE}=1 and commit it",
        first.map(|line| line + 1)
    );
}

#[tokio::test]
async fn the_document_and_a_page_for_people_are_served_and_load_nothing() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let document = server.get("/openapi.json").await;
    assert_eq!((document.status, document.header("content-type")), (200, Some("application/json")));
    assert_eq!(document.json(), *DOCUMENT);

    let page = server.get("/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for path in DOCUMENT["paths"].as_object().unwrap().keys() {
        assert!(page.body.contains(&format!("<code>{path}</code>")), "{path}");
    }
    for loading in
        ["<script", "<link", "<img", "<iframe", "<object", "<base", " src=", "url(", "@import", "//"]
    {
        assert!(!page.body.contains(loading), "{loading}");
    }
    for target in page.body.split("href=").skip(1).map(|rest| rest.split(['>', ' ']).next().unwrap()) {
        let target = target.trim_matches('"');
        let is_here = target.strip_prefix('#').is_some_and(|id| page.body.contains(&format!("id=\"{id}\"")));
        assert!(is_here || target == "/openapi.json", "{target}");
    }
}

#[test]
fn every_code_that_a_request_can_meet_has_an_example_under_its_status_and_no_other_has() {
    let page = include_str!("../../../../docs/error-codes.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let expected: BTreeSet<(String, String)> = rows
        .filter_map(|(code, rest)| Some((rest.split(" | ").nth(1)?.to_owned(), code.to_owned())))
        .filter(|(status, code)| status != "–" && !NEVER.map(ErrorCode::as_str).contains(&code.as_str()))
        .collect();
    let mut documented = BTreeSet::new();
    for (_, _, operation) in operations() {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for content in response["content"].as_object().unwrap().values() {
                let examples = content.get("examples").and_then(Value::as_object).into_iter().flatten();
                documented.extend(examples.map(|(code, _)| (status.clone(), code.clone())));
            }
        }
    }
    assert_eq!(documented, expected);
}

/// Codes with a status that no request is answered with.
const NEVER: [ErrorCode; 2] = [
    // Only a Backbone's routes ask for a process by its id.
    ErrorCode::RecordNotFound,
    // Nobody starts a deletion by a request.
    ErrorCode::GracePeriodHasNotYetExpired,
];

#[test]
fn the_document_is_well_formed() {
    assert_eq!(DOCUMENT["openapi"], "3.1.0");
    assert_eq!(DOCUMENT["info"]["title"], "Reprieve");
    assert_eq!(DOCUMENT["info"]["version"], env!("CARGO_PKG_VERSION"));
    let tags: Vec<&Value> = list(&DOCUMENT["tags"]).iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations() {
        let name = format!("{method} {path}");
        assert!(path.starts_with('/'), "{name}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{name}");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name}");
        assert!(list(&operation["tags"]).iter().all(|tag| tags.contains(&tag)), "{name}");
        for requirement in list(&operation["security"]) {
            for scheme in requirement.as_object().unwrap().keys() {
                assert!(DOCUMENT["components"]["securitySchemes"][scheme]["type"].is_string(), "{name}");
            }
        }
        let parameters = operation.get("parameters").map_or(&[][..], list);
        let mut names = BTreeSet::new();
        for parameter in parameters {
            let (place, parameter_name) =
                (parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap());
            assert!(["path", "query", "header"].contains(&place), "{name} {parameter_name}");
            assert!(names.insert((place, parameter_name)), "{name} {parameter_name}");
            assert!(parameter["schema"].is_object(), "{name} {parameter_name}");
            assert_eq!(parameter["required"], place == "path", "{name} {parameter_name}");
        }
        let in_path = path.split(['{', '}']).skip(1).step_by(2).map(|name| ("path", name));
        let declared: BTreeSet<_> = names.iter().copied().filter(|(place, _)| *place == "path").collect();
        assert_eq!(declared, in_path.collect(), "{name}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!((200..600).contains(&status.parse::<u16>().unwrap()), "{name}");
            assert!(response["description"].is_string(), "{name} {status}");
            assert!(!response["content"].as_object().unwrap().is_empty(), "{name} {status}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let mut references = 0;
    visit(&DOCUMENT, &mut |value| {
        if value.get("$ref").is_some() {
            assert!(resolve(&DOCUMENT, value).is_object(), "{value}");
            references += 1;
        }
    });
    assert!(references > 100, "{references}");
}

#[test]
fn every_example_is_valid() {
    let mut checked = 0;
    visit(&DOCUMENT, &mut |value| {
        let Some(members) = value.as_object() else { return };
        // A parameter or a content has its schema beside its examples; a schema has its example inside.
        let schema = members.get("schema").unwrap_or(value);
        let several = members.get("examples").and_then(Value::as_object).into_iter().flatten();
        let examples = several.map(|(_, example)| &example["value"]).chain(members.get("example"));
        for example in examples.filter(|_| members.contains_key("schema") || members.contains_key("type")) {
            schema::check(&DOCUMENT, schema, example).unwrap_or_else(|error| panic!("{error}: {value}"));
            checked += 1;
        }
    });
    assert!(checked > 100, "{checked}");
}

/// Path, method and operation.
fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    DOCUMENT["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(|(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// Every value of the document, the outer ones first.
fn visit(value: &Value, look: &mut dyn FnMut(&Value)) {
    look(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, look)),
        Value::Object(members) => members.values().for_each(|member| visit(member, look)),
        _ => {}
    }
}
