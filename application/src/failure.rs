//! What is told of an error outside the program.

use std::error::Error;

use crate::{Coded, ErrorCode};

/// A stable code and a message for people: all that is left of an error where it is shown, or of one that another
/// program told us about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The code.
    pub code: ErrorCode,
    /// The message: the error and, behind colons, its sources.
    pub message: String,
}

impl Failure {
    /// From a code and a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl<E: Coded> From<E> for Failure {
    /// The one place where a chain of errors becomes a message.
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Drivers like to repeat their source.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = Error::source(error);
        }
        Self { code: error.code(), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreError;

    #[test]
    fn a_message_has_every_source_once() {
        let failure = Failure::from(StoreError::Unavailable("connection refused".into()));
        assert_eq!(failure.message, "the database is not available: connection refused");
        assert_eq!(failure.code, ErrorCode::DatabaseUnavailable);
    }
}
