//! Every answer is one that the OpenAPI document promises, and has the headers that every answer has.

use std::sync::LazyLock;

use serde_json::Value;

use super::{Reply, schema};

/// The document of the service.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(reprieve_http::document()).unwrap());

/// The documentation itself, which documents everything but itself.
const DOCUMENTATION: [&str; 2] = ["/docs", "/openapi.json"];

/// Checks an answer to a request of this method and path.
pub(crate) fn check(method: &str, path: &str, reply: &Reply) {
    let route = path.split('?').next().unwrap();
    if let Err(violation) = has_safe_headers(reply).and_then(|()| is_documented(method, route, reply)) {
        panic!("{method} {path}: {violation}\n{reply:#?}");
    }
}

fn has_safe_headers(reply: &Reply) -> Result<(), String> {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ] {
        if reply.header(name) != Some(value) {
            return Err(format!("{name} is not {value}"));
        }
    }
    match reply.header("x-request-id") {
        None | Some("") => Err("the answer has no x-request-id".to_owned()),
        Some(_) => Ok(()),
    }
}

fn is_documented(method: &str, route: &str, reply: &Reply) -> Result<(), String> {
    let Some(path) = documented_path(route) else {
        let is_known = DOCUMENTATION.contains(&route);
        return if is_known {
            Ok(())
        } else {
            is_failure(reply, 404, "error.connector.http.routeDoesNotExist")
        };
    };
    let operation = match method {
        // The same without its body.
        "HEAD" => return Ok(()),
        method => DOCUMENT["paths"][path].get(method.to_lowercase()),
    };
    let Some(operation) = operation else {
        // A browser's question before a request from another origin; no operation.
        if method == "OPTIONS" && reply.status == 200 && reply.body.is_empty() {
            return Ok(());
        }
        return is_failure(reply, 405, "error.connector.http.methodNotAllowed");
    };
    let challenge = if reply.status == 401 { scheme(operation) } else { None };
    if reply.header("www-authenticate") != challenge {
        return Err(format!("the challenge is not {challenge:?}"));
    }
    let response = &operation["responses"][reply.status.to_string()];
    let content_type = reply.header("content-type").unwrap_or_default().split(';').next().unwrap();
    let Some(content) = response["content"].get(content_type) else {
        return Err(format!("{} with {content_type} is not documented", reply.status));
    };
    let body = if content_type == "application/json" { reply.json() } else { reply.body.as_str().into() };
    schema::check(&DOCUMENT, &content["schema"], &body)?;
    match body.pointer("/error/code") {
        Some(code) => has_example(content, code),
        None => Ok(()),
    }
}

/// How a challenge calls what an operation asks for.
fn scheme(operation: &Value) -> Option<&'static str> {
    let security = operation["security"].as_array()?.first()?.as_object()?;
    [("bearer", "Bearer"), ("apiKey", "ApiKey")]
        .into_iter()
        .find_map(|(documented, scheme)| security.contains_key(documented).then_some(scheme))
}

fn has_example(content: &Value, code: &Value) -> Result<(), String> {
    let example = &content["examples"][code.as_str().unwrap()]["value"];
    if example["error"]["code"] == *code { Ok(()) } else { Err(format!("{code} has no example")) }
}

/// A failure that no operation is answered with.
fn is_failure(reply: &Reply, status: u16, code: &str) -> Result<(), String> {
    let is_empty = reply.body.is_empty() && reply.header("content-type") == Some("application/json");
    if reply.status != status || !(is_empty || reply.code() == code) {
        return Err(format!("it is not {status} {code}"));
    }
    if is_empty {
        Ok(())
    } else {
        schema::check(&DOCUMENT, &DOCUMENT["components"]["schemas"]["Error"], &reply.json())
    }
}

/// The path of the document that a request leads to; one without parameters goes before one with them.
pub(crate) fn documented_path(route: &str) -> Option<&'static str> {
    let paths = DOCUMENT["paths"].as_object().unwrap().keys();
    let parameters = |path: &&String| path.matches('{').count();
    paths.filter(|path| leads_to(route, path)).min_by_key(parameters).map(String::as_str)
}

fn leads_to(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(name)) if name == part || (name.starts_with('{') && !part.is_empty()) => {}
            _ => return false,
        }
    }
}
