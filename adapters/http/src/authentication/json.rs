//! JSON from strangers, read strictly.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Reads a JSON object. Members that are given twice are refused, so that nobody who reads the same text can see
/// another value; members that are not asked for are passed over.
pub(super) fn object<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(bytes).ok()?;
    // serde would fill the members of a struct from an array as well.
    if !text.trim_start().starts_with('{') {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// For a member that may be left out, but not be `null`.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Example {
        a: u8,
        #[serde(default, deserialize_with = "given")]
        b: Option<u8>,
    }

    #[test]
    fn an_object_is_read_and_what_is_not_asked_for_passed_over() {
        assert_eq!(object(br#" {"a": 1, "c": [null]} "#), Some(Example { a: 1, b: None }));
        assert_eq!(object(br#"{"b": 2, "a": 1}"#), Some(Example { a: 1, b: Some(2) }));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            &b""[..],
            b"{}",
            b"[1, 2]",
            b"1",
            br#"{"a": 1} x"#,
            br#"{"a": 1}{"a": 1}"#,
            br#"{"a": 1,}"#,
            br#"{"a": 1, "a": 1}"#,
            br#"{"a": 1, "\u0061": 1}"#,
            br#"{"a": 1, "b": null}"#,
            br#"{"a": null}"#,
            br#"{"a": "1"}"#,
            b"{\"a\": 1, \"c\": \"\xff\"}",
            b"\xef\xbb\xbf{\"a\": 1}",
            b"{\"a\": 1, \"c\": \"\0\"}",
        ] {
            assert_eq!(object::<Example>(text), None, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn depth_does_not_overflow_the_stack() {
        let deep = [br#"{"a": "#.repeat(5000), b"1".to_vec(), b"}".repeat(5000)].concat();
        assert!(object::<Example>(&deep).is_none());
        let _ = object::<IgnoredAny>(&deep);
    }
}
