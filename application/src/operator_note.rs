//! What an operator writes beside a waiver or a hold.

use std::str::FromStr;

const MAX_LENGTH: usize = 1000;

/// A free text of one line, which may name people: it is stored until the identity is gone, and goes nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorNote(String);

/// A text that is no note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a note is one line of 1 to {MAX_LENGTH} characters")]
pub struct InvalidOperatorNote;

impl OperatorNote {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OperatorNote {
    type Err = InvalidOperatorNote;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_one_line(text) && (1..=MAX_LENGTH).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidOperatorNote)
        }
    }
}

/// Whether nothing in it moves anything but the cursor.
pub(crate) fn is_one_line(text: &str) -> bool {
    !text.contains(|letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}'))
}

impl std::fmt::Debug for OperatorNote {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OperatorNote")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_line_and_does_not_get_into_a_log() {
        let longest = "\u{e9}".repeat(1000);
        for text in ["a", "Asked Ada on 1 December: the archive was scrapped.", &longest] {
            let note: OperatorNote = text.parse().unwrap();
            assert_eq!((note.as_str(), format!("{note:?}").as_str()), (text, "OperatorNote"));
        }
        for text in ["", "a\nb", "a\0", "\u{1b}[2J", "a\u{2028}b", &"a".repeat(1001)] {
            assert_eq!(text.parse::<OperatorNote>(), Err(InvalidOperatorNote), "{text:?}");
        }
    }
}
