//! Header fields that a receiver wants besides ours.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

/// Those that are ours, or that say how a request is transported.
const RESERVED: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// Of the signature.
const RESERVED_PREFIX: &str = "webhook-";

/// A header field that cannot be sent. It does not say what its value is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWebhookHeader {
    /// The name is none.
    #[error("{0:?} is not the name of a header")]
    Name(String),
    /// It stands there twice; the case of letters makes no difference.
    #[error("there are two headers {0}")]
    Twice(String),
    /// It is ours.
    #[error("the header {0} cannot be set")]
    Reserved(String),
    /// The value contains something that cannot be sent.
    #[error("the value of the header {0} contains a line break or another control character")]
    Value(String),
}

/// Checks the fields, and marks their values as secret, which keeps them out of what libraries log.
pub(super) fn header_map(fields: &BTreeMap<String, SecretString>) -> Result<HeaderMap, InvalidWebhookHeader> {
    let mut headers = HeaderMap::new();
    for (text, value) in fields {
        let name =
            HeaderName::try_from(text.as_str()).map_err(|_| InvalidWebhookHeader::Name(text.clone()))?;
        if RESERVED.contains(&name.as_str()) || name.as_str().starts_with(RESERVED_PREFIX) {
            return Err(InvalidWebhookHeader::Reserved(text.clone()));
        }
        let mut value = HeaderValue::from_str(value.expose_secret())
            .map_err(|_| InvalidWebhookHeader::Value(text.clone()))?;
        value.set_sensitive(true);
        if headers.insert(name, value).is_some() {
            return Err(InvalidWebhookHeader::Twice(text.clone()));
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(fields: &[(&str, &str)]) -> Result<HeaderMap, InvalidWebhookHeader> {
        let owned = fields.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)));
        header_map(&owned.collect())
    }

    #[test]
    fn a_header_has_a_name_and_a_value_that_can_be_sent() {
        let headers = parse(&[("X-API-Key", "secret \u{e9}"), ("authorization", "Bearer secret")]).unwrap();
        assert_eq!(headers.len(), 2);
        assert!(headers.values().all(HeaderValue::is_sensitive));
        assert!(!format!("{headers:?}").contains("secret"), "{headers:?}");
        for (name, value, error) in [
            ("", "a", InvalidWebhookHeader::Name(String::new())),
            ("a b", "a", InvalidWebhookHeader::Name("a b".to_owned())),
            ("a:", "a", InvalidWebhookHeader::Name("a:".to_owned())),
            ("\u{e9}", "a", InvalidWebhookHeader::Name("\u{e9}".to_owned())),
            ("a", "hidden\r\nhost: b", InvalidWebhookHeader::Value("a".to_owned())),
            ("a", "hidden\0", InvalidWebhookHeader::Value("a".to_owned())),
        ] {
            assert_eq!(parse(&[(name, value)]), Err(error.clone()), "{name:?}");
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
        let twice = parse(&[("X-API-Key", "1"), ("x-api-key", "2")]);
        assert_eq!(twice, Err(InvalidWebhookHeader::Twice("x-api-key".to_owned())));
    }

    #[test]
    fn what_is_ours_cannot_be_set() {
        for name in ["webhook-id", "Webhook-Signature", "WEBHOOK-ANYTHING", "Content-Type", "HOST"] {
            let error = InvalidWebhookHeader::Reserved(name.to_owned());
            assert_eq!(parse(&[(name, "1")]), Err(error), "{name}");
        }
        for name in RESERVED {
            assert!(parse(&[(name, "1")]).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_checking_panic(name in "\\PC{0,10}|[a-z-]{1,10}", value in ".{0,10}") {
            let _ = parse(&[(&name, &value)]);
        }
    }
}
