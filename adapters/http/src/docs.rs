//! The documentation as a page: written once from the OpenAPI document, without scripts and without the internet.

use std::fmt::Write as _;

use serde_json::Value;
use utoipa::openapi::OpenApi;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1a1a1a;background:#fff}code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f4f4;padding:.7rem;\
overflow:auto}summary{cursor:pointer;padding:.4rem 0}details{border-top:1px solid #ddd}b{display:inline-block;min-width:4.5rem}\
td,th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0}p{margin:.4rem 0}@media(prefers-color-scheme:dark){\
body{color:#eee;background:#161616}pre{background:#222}details{border-color:#444}a{color:#8ab4f8}}";

/// The page.
pub(crate) fn page(document: &OpenApi) -> String {
    let document = serde_json::to_value(document).unwrap_or_default();
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write_page(&mut page, &document);
    page
}

fn write_page(page: &mut String, document: &Value) -> std::fmt::Result {
    let info = at(document, "/info");
    write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title} {version}</h1><p>{description}</p>\
         <p>For programs: <a href=/openapi.json>openapi.json</a></p>",
        title = text(at(info, "/title")),
        version = text(at(info, "/version")),
        description = text(at(info, "/description")),
    )?;
    for tag in at(document, "/tags").as_array().into_iter().flatten() {
        write!(page, "<h2>{}</h2><p>{}</p>", text(at(tag, "/name")), text(at(tag, "/description")))?;
        for (path, item) in at(document, "/paths").as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if at(operation, "/tags/0") == at(tag, "/name") {
                    write_operation(page, method, path, operation)?;
                }
            }
        }
    }
    write!(page, "<h2>Data</h2>")?;
    for (name, schema) in at(document, "/components/schemas").as_object().into_iter().flatten() {
        let schema = escaped(&serde_json::to_string_pretty(schema).unwrap_or_default());
        write!(
            page,
            "<details id=\"{0}\"><summary><code>{0}</code></summary><pre>{schema}</pre></details>",
            escaped(name)
        )?;
    }
    Ok(())
}

fn write_operation(page: &mut String, method: &str, path: &str, operation: &Value) -> std::fmt::Result {
    write!(
        page,
        "<details><summary><b>{}</b><code>{}</code> {}</summary><p>{}</p>",
        escaped(&method.to_uppercase()),
        escaped(path),
        text(at(operation, "/summary")),
        text(at(operation, "/description")),
    )?;
    if let Some(parameters) = at(operation, "/parameters").as_array() {
        write!(page, "<table><tr><th>parameter<th>in<th>")?;
        for parameter in parameters {
            write!(
                page,
                "<tr><td><code>{}</code><td>{}<td>{}",
                text(at(parameter, "/name")),
                text(at(parameter, "/in")),
                text(at(parameter, "/description")),
            )?;
        }
        write!(page, "</table>")?;
    }
    write!(page, "<table><tr><th>status<th>")?;
    for (status, response) in at(operation, "/responses").as_object().into_iter().flatten() {
        write!(page, "<tr><td>{}<td>{}", escaped(status), text(at(response, "/description")))?;
        if let Some(reference) = at(response, "/content/application~1json/schema/$ref").as_str() {
            let name = escaped(reference.rsplit('/').next().unwrap_or_default());
            write!(page, " (<a href=\"#{name}\">{name}</a>)")?;
        }
    }
    write!(page, "</table></details>")
}

/// The value at a JSON pointer, or null.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// A text of the document, with its code spans.
fn text(value: &Value) -> String {
    let parts = value.as_str().unwrap_or_default().split('`').map(escaped).enumerate();
    parts
        .map(|(position, part)| if position % 2 == 1 { format!("<code>{part}</code>") } else { part })
        .collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_shows_every_route_and_loads_nothing() {
        let document = crate::document();
        let page = super::page(&document);
        for path in document.paths.paths.keys() {
            assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
        }
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    }
}
