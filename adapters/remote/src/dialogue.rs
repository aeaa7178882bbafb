//! Asking until there is an answer, a bounded number of times.

use std::sync::Arc;
use std::time::Duration;

use reprieve_application::ports::Ids;
use reprieve_application::use_cases::IssueIdentityToken;
use reqwest::StatusCode;

use crate::RemoteError;
use crate::answer::Answer;
use crate::connection::Connection;
use crate::corrected_clock::CorrectedClock;
use crate::pause::Pause;
use crate::question::Question;

/// How often a question is asked before giving up.
pub(crate) const ATTEMPTS: u32 = 4;

/// How long to wait before it is asked again; then twice as long, and so on.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// A server that asks to be left alone for longer is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A server, and everything that is needed to ask it something.
pub(crate) struct Dialogue {
    pub(crate) connection: Connection,
    pub(crate) tokens: IssueIdentityToken,
    pub(crate) clock: Arc<CorrectedClock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) pause: Box<dyn Pause>,
}

/// What came of a question.
pub(crate) struct Asked {
    pub(crate) answer: Result<Answer, RemoteError>,
    /// Whether a request was sent to which no answer came: what was asked for may have been done by it.
    pub(crate) doubt: bool,
}

impl Dialogue {
    /// Asks, and asks again if the server was not reached, did not answer, or cannot answer now. What is to be changed is
    /// asked for under one idempotency key, so that the server can tell a repetition from a second wish.
    pub(crate) async fn ask(&self, question: Question<'_>) -> Asked {
        let mut doubt = false;
        let answer = match self.idempotency_key(question) {
            Ok(key) => self.repeat(question, key.as_deref(), &mut doubt).await,
            Err(error) => Err(error),
        };
        Asked { answer, doubt }
    }

    async fn repeat(
        &self,
        question: Question<'_>,
        key: Option<&str>,
        doubt: &mut bool,
    ) -> Result<Answer, RemoteError> {
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        loop {
            let (error, asks_to_wait) = match self.ask_once(question, key).await {
                Ok(answer) if answer.is_temporary() => {
                    // Only who counts requests says no before it looks at them.
                    *doubt |= answer.status != StatusCode::TOO_MANY_REQUESTS;
                    (RemoteError::Busy { said: answer.said(), wait: None }, answer.retry_after)
                }
                Err(error @ RemoteError::Unanswered(_)) => {
                    *doubt = true;
                    (error, None)
                }
                Err(error @ RemoteError::Unreachable { .. }) => (error, None),
                end => return end,
            };
            if attempt == ATTEMPTS {
                return Err(error);
            }
            let length = wait.max(asks_to_wait.unwrap_or_default());
            if length > LONGEST_WAIT {
                return Err(match error {
                    RemoteError::Busy { said, .. } => RemoteError::Busy { said, wait: asks_to_wait },
                    other => other,
                });
            }
            tracing::info!(attempt, %error, ?length, "asking the server again");
            self.pause.pause(length).await;
            attempt += 1;
            wait *= 2;
        }
    }

    /// Asks with a fresh token; with one more, made by the server's clock, if the server does not accept it.
    async fn ask_once(&self, question: Question<'_>, key: Option<&str>) -> Result<Answer, RemoteError> {
        let mut answer = self.ask_with_token(question, key).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            if let Some(date) = answer.date {
                self.clock.set(date);
            }
            answer = self.ask_with_token(question, key).await?;
        }
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(RemoteError::Unauthorized { said: answer.said() })
            }
            _ => Ok(answer),
        }
    }

    async fn ask_with_token(&self, question: Question<'_>, key: Option<&str>) -> Result<Answer, RemoteError> {
        let token = self.tokens.execute(&self.connection.server().to_string())?;
        self.connection.ask(question, &token, key).await
    }

    fn idempotency_key(&self, question: Question<'_>) -> Result<Option<String>, RemoteError> {
        if question.changes() { Ok(Some(uuid(self.ids.random_bytes()?))) } else { Ok(None) }
    }
}

/// A random UUID (RFC 9562, version 4), as servers expect an idempotency key to look.
fn uuid(random: [u8; 32]) -> String {
    let drawn = random.iter().take(16).fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
    let value = drawn & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let digits = |position: u32, count: u32| value >> (4 * position) & ((1 << (4 * count)) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        digits(24, 8),
        digits(20, 4),
        digits(16, 4),
        digits(12, 4),
        digits(0, 12)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_random_uuid() {
        assert_eq!(uuid([0; 32]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid([0xff; 32]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let counting: Vec<u8> = (0..32).collect();
        assert_eq!(uuid(counting.try_into().unwrap()), "00010203-0405-4607-8809-0a0b0c0d0e0f");
    }
}
