//! How a command ends that did not succeed.

use std::error::Error;

use reprieve_application::{Coded, ErrorCode};

/// A stable code and a message for people.
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

    /// 1 for a refusal, 70 for what an operator has to look after (`EX_SOFTWARE` of sysexits.h).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.code.is_refusal() { 1 } else { 70 }
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
    use reprieve_application::StoreError;

    #[test]
    fn a_message_has_every_source_once() {
        let failure = Failure::from(StoreError::Unavailable("connection refused".into()));
        assert_eq!(failure.message, "the database is not available: connection refused");
        assert_eq!(failure.exit_code(), 70);
    }

    #[test]
    fn every_code_has_its_exit_code() {
        for code in ErrorCode::ALL {
            let failure = Failure::new(*code, "");
            assert_eq!(failure.exit_code(), if code.is_refusal() { 1 } else { 70 });
        }
        assert_eq!(Failure::new(ErrorCode::RecordNotFound, "").exit_code(), 1);
        assert_eq!(Failure::new(ErrorCode::DatabaseFull, "").exit_code(), 70);
    }
}
