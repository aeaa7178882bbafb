//! Headers of requests: what is taken over from one can stand in a log and in an answer.

#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use reprieve_http::headers::{idempotency_key, request_id, trace_id};

fuzz_target!(|bytes: &[u8]| {
    if let Some(key) = std::str::from_utf8(bytes).ok().and_then(idempotency_key) {
        assert!((1..=255).contains(&key.len()));
        assert!(key.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let headers: HeaderMap = ["x-request-id", "traceparent"]
        .map(|name| (name.parse().unwrap(), value.clone()))
        .into_iter()
        .collect();
    if let Some(id) = request_id(&headers) {
        assert!(
            (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
        );
    }
    if let Some(id) = trace_id(&headers) {
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
});
