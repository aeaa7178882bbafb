//! The header `Idempotency-Key`, as the IETF's draft describes it
//! (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>).

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reprieve_application::use_cases::{AnswerOnce, Outcome};
use reprieve_application::{Answer, ErrorCode, Fingerprint, IdempotencyKey, IdempotentRequest};
use reprieve_domain::{Address, DeletionProcess};
use sha2::{Digest, Sha256};

use crate::Service;
use crate::refusal::Refusal;

/// The header.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in characters.
const MAX_LENGTH: usize = 255;

/// How to answer for the process that a step has led to.
pub(crate) type AnswerFor<'a> = &'a (dyn Fn(&DeletionProcess) -> Answer + Send + Sync);

/// The request as one that may come again, if it carries a key. `caller` keeps the keys of different callers apart;
/// `content` is everything that makes this request differ from another.
pub(crate) fn idempotent_request(
    service: &Service,
    headers: &HeaderMap,
    caller: &str,
    address: &Address,
    content: &[&[u8]],
) -> Result<Option<IdempotentRequest>, Refusal> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().and_then(parse_key).filter(|_| values.next().is_none());
    let key = key.ok_or_else(|| {
        let message =
            format!("an idempotency key is a string in double quotes, of 1 to {MAX_LENGTH} characters");
        Refusal::new(ErrorCode::IdempotencyKeyInvalid, message)
    })?;
    Ok(Some(IdempotentRequest {
        key: IdempotencyKey(digest(&[caller.as_bytes(), key.as_bytes()])),
        fingerprint: Fingerprint(digest(content)),
        address: address.clone(),
        received_at: service.clock.now(),
    }))
}

/// The key in a header: a string of RFC 9651 in double quotes or, since clients do that, without them.
#[must_use]
pub fn parse_key(value: &str) -> Option<String> {
    let value = value.trim_matches([' ', '\t']);
    let key = match value.strip_prefix('"') {
        None if value.contains(['"', '\\', ',', ';']) => return None,
        None => value.to_owned(),
        Some(rest) => {
            let (mut key, mut characters) = (String::new(), rest.chars());
            loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => match characters.next()? {
                        escaped @ ('"' | '\\') => key.push(escaped),
                        _ => return None,
                    },
                    other => key.push(other),
                }
            }
            // Parameters may follow, and none is defined.
            if !characters.as_str().is_empty() && !characters.as_str().starts_with(';') {
                return None;
            }
            key
        }
    };
    let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    (printable && (1..=MAX_LENGTH).contains(&key.len())).then_some(key)
}

/// A hash over fields, each with its length before it.
fn digest(fields: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().into()
}

/// Runs an operation, or answers as before if its request has come again.
pub(crate) async fn respond<F>(
    answer_once: &AnswerOnce,
    service: &Service,
    request: Option<&IdempotentRequest>,
    operation: F,
    answer: AnswerFor<'_>,
) -> Result<Response, Refusal>
where
    F: Future<Output = Result<DeletionProcess, Refusal>> + Send,
{
    let Some(request) = request else { return Ok(response(answer(&operation.await?))) };
    let outcome = async {
        match operation.await {
            Ok(process) => Outcome::Done(answer(&process)),
            // Nothing was done, so that nothing is lost if it is decided anew. What is refused costs its caller nothing: kept, it
            // would fill the database.
            Err(refusal) => {
                let has_line = !refusal.status().is_client_error() || service.sample.has_line();
                Outcome::Failed(refusal.answer(service, has_line))
            }
        }
    };
    Ok(response(answer_once.execute(request, outcome).await?))
}

fn response(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], answer.body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_read_with_and_without_quotes() {
        for (header, key) in [
            (r#""8e03978e-40d5-43e8-bc93-6894a57f9324""#, Some("8e03978e-40d5-43e8-bc93-6894a57f9324")),
            ("8e03978e", Some("8e03978e")),
            (r#" "a b\"\\" ;x=1"#, None),
            (r#""a b\"\\";x=1"#, Some(r#"a b"\"#)),
            ("", None),
            (r#""""#, None),
            (r#""open"#, None),
            (r#""a" b"#, None),
            (r#""a\b""#, None),
            ("a, b", None),
            ("\u{e9}", None),
        ] {
            assert_eq!(parse_key(header).as_deref(), key, "{header}");
        }
        assert!(parse_key(&"a".repeat(255)).is_some() && parse_key(&"a".repeat(256)).is_none());
    }

    proptest! {
        #[test]
        fn no_header_makes_parsing_panic(text in ".*") {
            let _ = parse_key(&text);
        }
    }
}
