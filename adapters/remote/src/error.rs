//! Why a server could not be asked, or did not answer what was asked.

use std::error::Error;
use std::time::Duration;

use reprieve_application::ports::RandomSourceFailed;
use reprieve_application::use_cases::IssueIdentityTokenError;
use reprieve_application::{Coded, ErrorCode};
use reprieve_outbound::TlsError;

use crate::ServerUrl;

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The server said no.
    #[error("{message}")]
    Refused {
        /// The code that a local database would have led to.
        code: ErrorCode,
        /// What the server says.
        message: String,
    },
    /// There was no connection: nothing was sent.
    #[error("the server {server} cannot be reached")]
    Unreachable {
        /// The server.
        server: ServerUrl,
        /// What is in the way.
        source: reqwest::Error,
    },
    /// Something was sent, and no whole answer came back.
    #[error("the server did not answer")]
    Unanswered(#[source] reqwest::Error),
    /// The server cannot answer for the time being.
    #[error("the server cannot answer now: {said}{wait}", wait = asks_to_wait(*.wait))]
    Busy {
        /// What it says.
        said: String,
        /// For how long it asks to be left alone, if that is too long to wait here.
        wait: Option<Duration>,
    },
    /// The server does not take the token for a proof of who asks, or does not let this identity in.
    #[error("the server does not accept this identity: {said}")]
    Unauthorized {
        /// What it says.
        said: String,
    },
    /// The answer is none to the question.
    #[error("the server answered something unexpected: {what}")]
    Unexpected {
        /// What is unexpected about it.
        what: String,
    },
    /// No answer came to a change that was asked for, and what was read afterwards does not show it.
    #[error("this has not been done so far, {known}")]
    NotDone {
        /// What was read.
        known: &'static str,
        /// Why there was no answer.
        source: Box<RemoteError>,
    },
    /// No answer came to a change that was asked for, and it could not be read afterwards either.
    #[error("whether this is done is not known, `reprieve identityDeletion list` will tell")]
    InDoubt(#[source] Box<RemoteError>),
    /// There is no token to ask with.
    #[error(transparent)]
    Token(#[from] IssueIdentityTokenError),
    /// No idempotency key could be drawn.
    #[error(transparent)]
    Random(#[from] RandomSourceFailed),
    /// It is not known whom to trust.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There can be no client on this machine.
    #[error("no HTTP client can be made")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

fn asks_to_wait(length: Option<Duration>) -> String {
    length.map(|length| format!("; it asks to wait {} s", length.as_secs())).unwrap_or_default()
}

impl RemoteError {
    pub(crate) fn unexpected(what: impl Into<String>) -> Self {
        Self::Unexpected { what: what.into() }
    }
}

impl Coded for RemoteError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Unreachable { .. } | Self::Unanswered(_) | Self::Busy { .. } => {
                ErrorCode::ServerUnavailable
            }
            Self::Unauthorized { .. } => ErrorCode::ServerUnauthorized,
            Self::Unexpected { .. } => ErrorCode::ServerUnexpectedAnswer,
            // That it is refused now may be because it has been done.
            Self::InDoubt(source) if matches!(**source, Self::Refused { .. }) => ErrorCode::ServerUnavailable,
            Self::NotDone { source, .. } | Self::InDoubt(source) => source.code(),
            Self::Token(error) => error.code(),
            Self::Random(error) => error.code(),
            Self::Tls(error) => error.code(),
            Self::Client(_) => ErrorCode::SystemFailed,
        }
    }
}
