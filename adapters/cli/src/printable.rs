//! What a terminal or a reader of lines may be given.
//!
//! Names, notes and messages come from databases, servers and files, and can hold anything: characters that move the cursor, erase
//! what stands above, reverse the direction of writing, or begin a line that looks like one of ours. What lives here: making them
//! visible. What does not: which values are put into a line, which each command says.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

/// How a character is written that is not shown as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    /// As in Rust: `\u{1b}`.
    Text,
    /// As in JSON: `\u001b`. Outside of strings a document has no such character but line breaks.
    Json,
}

/// Lines of text: line breaks stay, and so do the colours that this program uses.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, Escape::Text, |character| character == '\n')
}

/// A JSON document, or several, one a line.
#[must_use]
pub fn documents(json: &str) -> Cow<'_, str> {
    escape(json, Escape::Json, |character| character == '\n')
}

/// A value within a line of text, which it neither ends nor colours.
#[must_use]
pub fn value(value: &(impl Display + ?Sized)) -> String {
    value.to_string().chars().fold(String::new(), |mut shown, character| {
        push(&mut shown, character, Escape::Text);
        shown
    })
}

fn escape(text: &str, how: Escape, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|character| is_hidden(character) && !is_kept(character)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let kept = match character {
            character if is_kept(character) => character.len_utf8(),
            '\u{1b}' if how == Escape::Text => colour(rest),
            _ => 0,
        };
        if kept == 0 {
            push(&mut shown, character, how);
        }
        let (taken, left) = rest.split_at(if kept == 0 { character.len_utf8() } else { kept });
        if kept > 0 {
            shown.push_str(taken);
        }
        rest = left;
    }
    Cow::Owned(shown)
}

fn push(shown: &mut String, character: char, how: Escape) {
    // Writing to a String cannot fail.
    let _ = match how {
        _ if !is_hidden(character) => {
            shown.push(character);
            Ok(())
        }
        Escape::Text => write!(shown, "{}", character.escape_unicode()),
        // All of them are in the first plane.
        Escape::Json => write!(shown, "\\u{:04x}", u32::from(character)),
    };
}

/// The length of the sequence that sets a colour of the foreground, bold, dim or italic, or takes that away; 0 if there is none. A
/// background, or text that is not shown, is no business of ours.
fn colour(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else { return 0 };
    let Some(end) = parameters.find(|character: char| !character.is_ascii_digit()) else { return 0 };
    let (number, rest) = parameters.split_at(end);
    let is_ours = matches!(number, "" | "0" | "1" | "2" | "3" | "31" | "32" | "33" | "34" | "35" | "36");
    if is_ours && rest.starts_with('m') { "\u{1b}[".len() + end + 1 } else { 0 }
}

/// Control characters, line and paragraph separators, and what changes the direction of writing.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2K\u{1b}[8m\r\u{9b}1A\u{202e}\u{2028}\u{7f}\u{feff}b";

    #[test]
    fn nothing_moves_the_cursor_hides_or_turns_around_what_is_written() {
        let shown = lines(HOSTILE);
        assert_eq!(shown, "a\\u{1b}[2K\\u{1b}[8m\\u{d}\\u{9b}1A\\u{202e}\\u{2028}\\u{7f}\\u{feff}b");
        assert_eq!(value(HOSTILE), shown);
    }

    #[test]
    fn a_document_is_the_same_document() {
        let document = serde_json::json!({"a": HOSTILE, "b": ["ä", "\n"]});
        for text in [document.to_string(), format!("{document:#}\n")] {
            let shown = documents(&text);
            assert!(!shown.chars().any(|character| is_hidden(character) && character != '\n'), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), document);
        }
    }

    #[test]
    fn lines_and_colours_stay_but_not_within_a_value() {
        let text = "\u{1b}[33mActive\u{1b}[0m\nä €\n\u{1b}[m";
        assert!(matches!(lines(text), Cow::Owned(shown) if shown == text));
        assert!(matches!(lines("ä\n"), Cow::Borrowed("ä\n")));
        assert_eq!(value("\u{1b}[33m\n"), "\\u{1b}[33m\\u{a}");
        for unknown in ["\u{1b}", "\u{1b}[", "\u{1b}[3", "\u{1b}[1;8m", "\u{1b}[40m", "\u{1b}[3x"] {
            assert!(!lines(unknown).contains('\u{1b}'), "{unknown:?}");
        }
    }
}
