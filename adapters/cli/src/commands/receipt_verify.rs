//! `reprieve receipt verify`

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::input::read_text;
use crate::{Failure, Host, Output, printable};

/// The largest receipt that is read, in bytes. One with hundreds of erasers is smaller.
const MAX_RECEIPT: usize = 64 * 1024;

pub(super) fn run(
    host: &dyn Host,
    output: &mut Output<'_>,
    file: &Path,
    public_key: Option<&Path>,
) -> Result<(), Failure> {
    let signed = read_text(file, MAX_RECEIPT)?;
    let receipt = host.verify_receipt(&signed, public_key)?;
    let text = format!("{}Receipt verified\n", lines(&receipt));
    output.result(&json!({"verified": true, "receipt": receipt}), &text)
}

/// One line a member, and one an element of a list. Whoever signed it may be anybody: nothing in it moves the cursor.
fn lines(receipt: &Value) -> String {
    let Value::Object(members) = receipt else { return format!("{}\n", printable::value(&inline(receipt))) };
    let mut text = String::new();
    for (name, value) in members {
        let label = capitalized(&label(name));
        let (first, rest) = match value {
            Value::Array(elements) if !elements.is_empty() => (
                format!("{label}:"),
                elements.iter().map(|element| format!("  {}", inline(element))).collect(),
            ),
            value => (format!("{label}: {}", inline(value)), vec![]),
        };
        for line in std::iter::once(first).chain(rest) {
            text.push_str(&printable::value(&line));
            text.push('\n');
        }
    }
    text
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) if elements.is_empty() => "none".to_owned(),
        Value::Object(members) => inline_members(members),
        other => other.to_string(),
    }
}

fn inline_members(members: &Map<String, Value>) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{}: {text}", label(name)),
            other => format!("{}: {other}", label(name)),
        })
        .collect();
    members.join("; ")
}

/// `acknowledgedAt` in words.
fn label(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters
        .next()
        .map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test_host::{RECEIPT, run};
    use reprieve_application::ErrorCode;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    async fn verify(content: &str, options: &[&str]) -> Result<String, Failure> {
        let file = file(content);
        run(&[&["receipt", "verify", file.path().to_str().unwrap()], options].concat()).await
    }

    #[tokio::test]
    async fn what_a_genuine_receipt_says_is_shown() {
        assert_eq!(
            verify("genuine\n", &[]).await.unwrap(),
            "Process id: IDP0123456789abcdefg\n\
             Deletion completed at: 2026-12-07T20:03:07.500000Z\n\
             Erasures:\n\
             \u{20} eraser: mail; count: 12\n\
             \u{20} eraser: documents; count: 0\n\
             Audit head: length: 5; hash: 0a0b\n\
             Receipt verified\n"
        );
        let out = verify("genuine", &["--output", "json"]).await.unwrap();
        let receipt: Value = serde_json::from_str(RECEIPT).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&out).unwrap(),
            json!({"verified": true, "receipt": receipt})
        );
    }

    #[tokio::test]
    async fn a_receipt_is_checked_against_the_key_that_is_named() {
        let failure = verify("genuine", &["--public-key", "other"]).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::ReceiptInvalid);
    }

    #[tokio::test]
    async fn a_forged_or_too_large_receipt_is_refused() {
        assert_eq!(verify("forged", &[]).await.unwrap_err().code, ErrorCode::ReceiptInvalid);
        let failure = verify(&"a".repeat(MAX_RECEIPT + 1), &[]).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::InvalidPropertyValue);
        let failure = run(&["receipt", "verify", "/no/such/file"]).await.unwrap_err();
        assert!(failure.message.starts_with("/no/such/file cannot be read: "), "{}", failure.message);
    }

    #[test]
    fn nothing_in_a_receipt_reaches_the_terminal_as_a_control_character() {
        for receipt in [
            json!({"a\u{1b}[2J": "b\nReceipt verified", "list": [{"c\r": "d\u{9b}"}, "\u{7}"]}),
            json!("\u{1b}"),
        ] {
            let text = lines(&receipt);
            assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()), "{text:?}");
            assert!(!text.lines().any(|line| line == "Receipt verified"), "{text}");
        }
        assert_eq!(lines(&json!({"erasures": [], "note": null})), "Erasures: none\nNote: null\n");
    }
}
