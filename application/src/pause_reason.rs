//! Why an operator pauses or resumes deletions.

use std::fmt;
use std::str::FromStr;

use crate::operator_note::is_one_line;

const MAX_LENGTH: usize = 1000;

/// One line for operators. It is stored for good and shown to all that may ask how the service is, so it names no person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseReason(String);

/// A text that is not a reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a reason is one line of 1 to {MAX_LENGTH} characters")]
pub struct InvalidPauseReason;

impl PauseReason {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PauseReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl FromStr for PauseReason {
    type Err = InvalidPauseReason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_one_line(text) && !text.trim().is_empty() && text.chars().count() <= MAX_LENGTH {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPauseReason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        let longest = "\u{e9}".repeat(1000);
        for text in ["a", "the files of photos are being moved, ticket 4711", &longest] {
            assert_eq!(text.parse::<PauseReason>().unwrap().as_str(), text);
        }
        for text in ["", " ", "a\nb", "a\0", "\u{1b}[2J", "a\u{2028}b", &"a".repeat(1001)] {
            assert_eq!(text.parse::<PauseReason>(), Err(InvalidPauseReason), "{text:?}");
        }
    }
}
