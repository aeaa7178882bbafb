//! An answer of the server, and what it says.

use std::time::Duration;

use reprieve_application::facade::ProcessData;
use reprieve_domain::{DeletionProcessId, Timestamp};
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::RemoteError;
use crate::platform_codes::local_code;
use crate::process_dto::ProcessDto;

/// How much of a text of the server is shown.
const SHOWN: usize = 300;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// What time it is at the server.
    pub(crate) date: Option<Timestamp>,
    /// For how long it asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

#[derive(Deserialize)]
struct Success<T> {
    result: T,
}

#[derive(Deserialize)]
struct Envelope {
    error: Error,
}

#[derive(Deserialize)]
struct Error {
    code: String,
    #[serde(default)]
    message: String,
}

impl Answer {
    /// Whether the same question may be answered later: too many at once, or something on the way is broken. With 409
    /// a server says that it is still busy with an earlier request that had the same idempotency key.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(
            self.status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::CONFLICT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        )
    }

    /// Every process in it.
    pub(crate) fn processes(&self) -> Result<Vec<ProcessData>, RemoteError> {
        self.result::<Vec<ProcessDto>>()?.into_iter().map(read).collect()
    }

    /// The process in it.
    pub(crate) fn process(&self) -> Result<ProcessData, RemoteError> {
        read(self.result()?)
    }

    /// The process in it, which must be the one that was asked for.
    pub(crate) fn process_with(&self, id: &DeletionProcessId) -> Result<ProcessData, RemoteError> {
        let process = self.process()?;
        if process.id == *id { Ok(process) } else { Err(RemoteError::unexpected("another deletion process")) }
    }

    fn result<T: DeserializeOwned>(&self) -> Result<T, RemoteError> {
        if self.status.is_success() {
            return serde_json::from_slice(&self.body)
                .map(|success: Success<T>| success.result)
                .map_err(|error| RemoteError::unexpected(printable(&error.to_string())));
        }
        if self.status.is_redirection() {
            return Err(RemoteError::unexpected(format!(
                "{}, a redirection, which is not followed: is this the server's final URL?",
                self.said()
            )));
        }
        let refused = self.envelope().and_then(|error| {
            let code = local_code(&error.code)?;
            Some(RemoteError::Refused { code, message: printable(&error.message) })
        });
        Err(refused
            .filter(|_| self.status.is_client_error())
            .unwrap_or_else(|| RemoteError::unexpected(self.said())))
    }

    /// Status, code and message, for people.
    pub(crate) fn said(&self) -> String {
        let status = self.status.as_u16();
        match self.envelope() {
            Some(Error { code, message }) => format!(
                "status {status} with the code '{}' and the message '{}'",
                printable(&code),
                printable(&message)
            ),
            None => format!("status {status}"),
        }
    }

    fn envelope(&self) -> Option<Error> {
        serde_json::from_slice(&self.body).ok().map(|envelope: Envelope| envelope.error)
    }
}

fn read(dto: ProcessDto) -> Result<ProcessData, RemoteError> {
    dto.try_into().map_err(RemoteError::unexpected)
}

/// The beginning of a text that somebody else wrote, without anything that a terminal would obey.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for (position, character) in text.chars().enumerate() {
        if position == SHOWN {
            shown.push('…');
            break;
        }
        match character {
            '\'' | '"' | '\\' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reprieve_application::{Coded, ErrorCode};

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            date: None,
            retry_after: None,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_refusal_keeps_its_message() {
        let body = r#"{"error": {"id": "ERR0", "code": "error.platform.recordNotFound", "message": "it's gone",
            "docs": "", "time": "2026-12-07T20:03:07Z", "data": null}}"#;
        let error = answer(404, body).process().unwrap_err();
        assert_eq!((error.code(), error.to_string()), (ErrorCode::RecordNotFound, "it's gone".to_owned()));
    }

    #[test]
    fn a_code_that_is_no_refusal_is_unexpected_and_named() {
        for (status, body) in [
            (400, r#"{"error": {"code": "error.platform.quotaExceeded", "message": "enough"}}"#),
            (500, r#"{"error": {"code": "error.platform.recordNotFound", "message": "enough"}}"#),
        ] {
            let error = answer(status, body).process().unwrap_err();
            assert_eq!(error.code(), ErrorCode::ServerUnexpectedAnswer);
            let text = error.to_string();
            assert!(text.contains("error.platform.") && text.contains("'enough'"), "{text}");
        }
    }

    #[test]
    fn what_a_server_says_does_not_reach_the_terminal_as_a_command() {
        let body = r#"{"error": {"code": "error.platform.recordNotFound",
            "message": "\u001b]0;owned\u0007 \u202e \u0000 \u009b2J \r\n ü"}}"#;
        let message = answer(404, body).process().unwrap_err().to_string();
        assert_eq!(message, r"\u{1b}]0;owned\u{7} \u{202e} \0 \u{9b}2J \r\n ü");
        let long = format!(
            r#"{{"error": {{"code": "error.platform.recordNotFound", "message": "{}"}}}}"#,
            "x".repeat(9000)
        );
        let message = answer(404, &long).process().unwrap_err().to_string();
        assert_eq!(message.chars().count(), SHOWN + 1);
        let unknown = answer(200, "{\"result\": \"\u{9b}2J\"}").process().unwrap_err().to_string();
        assert!(!unknown.contains('\u{9b}'), "{unknown}");
    }

    proptest! {
        #[test]
        fn no_answer_makes_reading_it_panic(status in 100_u16..1000, body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            r#"\{"(result|error)": *[\[\]{}",:a-zA-Z0-9 ]{0,60}\}?"#.prop_map(String::into_bytes),
        ]) {
            let answer = Answer { status: StatusCode::from_u16(status).unwrap(), date: None, retry_after: None, body };
            prop_assert!(answer.process().is_err());
            let _ = (answer.processes(), answer.said(), answer.is_temporary());
        }
    }
}
