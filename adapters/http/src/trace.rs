//! Spans as parts of the traces that clients have begun, and what of a trace the events of a request carry on.

use axum::http::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector};
use reprieve_application::TraceContext;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACE_PARENT: &str = "traceparent";
const TRACE_STATE: &str = "tracestate";

/// The longest state that is carried on, in characters: as much as everybody has to.
const LONGEST_STATE: usize = 512;
/// The most entries that a state may have.
const MOST_ENTRIES: usize = 32;
/// The longest key and the longest value of an entry, in characters.
const LONGEST_PART: usize = 256;

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

/// Makes a span a child of the span that the request names. Says whether a tracer listens; without one nothing is done.
pub(crate) fn follow(span: &Span, headers: &HeaderMap) -> bool {
    let parent =
        opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)));
    span.set_parent(parent).is_ok()
}

/// Two header fields that are being written.
#[derive(Default)]
struct Fields {
    parent: Option<String>,
    state: Option<String>,
}

impl Injector for Fields {
    fn set(&mut self, key: &str, value: String) {
        match key {
            TRACE_PARENT => self.parent = Some(value),
            TRACE_STATE => self.state = Some(value),
            // Another way to say the same, which events have no room for.
            _ => {}
        }
    }
}

/// What others follow who come after the span of a tracer. From now on its name and its kind are fixed.
pub(crate) fn of_span(span: &Span) -> Option<TraceContext> {
    let mut fields = Fields::default();
    let context = span.context();
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut fields);
    });
    let parent = fields.parent.filter(|parent| trace_of(parent).is_some())?;
    Some(TraceContext { parent, state: fields.state.filter(|state| is_state(state)) })
}

/// What the client of a request says of its trace, as it says it, if that is what the W3C recommendation *Trace Context*
/// allows (<https://www.w3.org/TR/trace-context-1/>). A state that it does not allow is left out.
pub(crate) fn of_client(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all(TRACE_PARENT).iter();
    let parent = parents.next()?.to_str().ok().filter(|_| parents.next().is_none())?;
    // Of versions to come nobody knows what else they say.
    let is_known =
        parent.starts_with("00-") && parent.len() == "00--".len() + 32 + "-".len() + 16 + "00".len();
    (is_known && trace_of(parent).is_some())
        .then(|| TraceContext { parent: parent.to_owned(), state: state(headers) })
}

fn state(headers: &HeaderMap) -> Option<String> {
    let mut state = String::new();
    for value in headers.get_all(TRACE_STATE) {
        if !state.is_empty() {
            state.push(',');
        }
        state.push_str(value.to_str().ok()?);
        if state.len() > LONGEST_STATE {
            return None;
        }
    }
    is_state(&state).then_some(state)
}

/// The trace in the value of a header `traceparent` of any version.
pub(crate) fn trace_of(parent: &str) -> Option<&str> {
    let mut parts = parent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| {
        text.len() == length
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let well_formed = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    (well_formed && !zero(trace) && !zero(span)).then_some(trace)
}

/// Whether it is a list of entries `key=value`, and not an empty one.
fn is_state(state: &str) -> bool {
    let entries =
        || state.split(',').map(|entry| entry.trim_matches([' ', '\t'])).filter(|entry| !entry.is_empty());
    state.len() <= LONGEST_STATE && (1..=MOST_ENTRIES).contains(&entries().count()) && entries().all(is_entry)
}

fn is_entry(entry: &str) -> bool {
    let of_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let of_value = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    entry.split_once('=').is_some_and(|(key, value)| {
        key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && key.len() <= LONGEST_PART
            && key.bytes().all(of_key)
            && (1..=LONGEST_PART).contains(&value.len())
            && value.bytes().all(of_value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(fields: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn carried(parent: &str, states: &[&str]) -> Option<TraceContext> {
        let states = states.iter().map(|state| (TRACE_STATE, state.as_bytes()));
        of_client(&headers(
            &[(TRACE_PARENT, parent.as_bytes())].into_iter().chain(states).collect::<Vec<_>>(),
        ))
    }

    #[test]
    fn a_parent_of_this_version_is_carried_on_as_it_is() {
        for parent in [PARENT, &PARENT.replace("-01", "-00"), &PARENT.replace("-01", "-ff")] {
            assert_eq!(carried(parent, &[]), Some(TraceContext { parent: parent.to_owned(), state: None }));
        }
        for parent in [
            "",
            "00",
            &PARENT[1..],
            &PARENT.replace("00-4", "01-4"),
            &PARENT.replace("00-4", "ff-4"),
            &PARENT.to_uppercase(),
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &format!("{PARENT}-"),
            &format!("{PARENT}-01"),
            &format!(" {PARENT}"),
            &PARENT.replace("-01", "-1"),
            &PARENT.replace("4bf9", "4bfg"),
        ] {
            assert_eq!(carried(parent, &["a=b"]), None, "{parent}");
        }
        assert_eq!(of_client(&headers(&[])), None);
        assert_eq!(of_client(&headers(&[(TRACE_STATE, b"a=b")])), None);
        let twice = [(TRACE_PARENT, PARENT.as_bytes()), (TRACE_PARENT, PARENT.as_bytes())];
        assert_eq!(of_client(&headers(&twice)), None);
    }

    #[test]
    fn a_state_is_carried_on_if_it_is_one_and_the_parent_all_the_same() {
        let most = ["a=b"; MOST_ENTRIES].join(",");
        let longest = format!("{}={}", "k".repeat(255), "v".repeat(256));
        for states in [
            &["rojo=00f067aa0ba902b7"][..],
            &["congo=t61rcWkgMzE,rojo=00f0 67!~"],
            &["a@b-c_d*e/f=v , ,\tg=h"],
            &["0tenant@vendor=v"],
            &["a=b", "c=d"],
            &[&most],
            &[&longest],
        ] {
            assert_eq!(carried(PARENT, states).unwrap().state, Some(states.join(",")), "{states:?}");
        }
        let more = ["a=b"; MOST_ENTRIES + 1].join(",");
        let halves = format!("a={}", "v".repeat(255));
        for states in [
            &[][..],
            &[""],
            &[" , "],
            &["a"],
            &["a="],
            &["=b"],
            &["A=b"],
            &["_a=b"],
            &["a b=c"],
            &["a=b=c"],
            &["a=b,c"],
            &["a=\u{e9}"],
            &["a=b\tc"],
            &[&more],
            &[&format!("a={}", "v".repeat(257))],
            &[&format!("{}=v", "k".repeat(257))],
            &[&halves, &halves],
        ] {
            assert_eq!(carried(PARENT, states).unwrap().state, None, "{states:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_carried_on_can_stand_in_a_header(parent in "(00|ff)?-?[0-9a-f-]{0,60}.?", state in ".{0,600}") {
            let fields = [(TRACE_PARENT, parent.as_bytes()), (TRACE_STATE, state.as_bytes())];
            let fields = fields.iter().filter(|(_, value)| HeaderValue::from_bytes(value).is_ok());
            if let Some(trace) = of_client(&headers(&fields.copied().collect::<Vec<_>>())) {
                prop_assert_eq!(trace.parent.len(), PARENT.len());
                let state = trace.state.unwrap_or_default();
                prop_assert!(state.len() <= LONGEST_STATE && state.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)));
            }
        }
    }
}
