//! Requests with an idempotency key: the same request gets the same answer, however often it comes.

use std::sync::Arc;

use reprieve_domain::Timestamp;

use crate::ports::{AnsweredRequests, Clock};
use crate::{Answer, AnsweredRequest, Coded, ErrorCode, IdempotentRequest, StoreError};

/// Answers a request that may come again.
///
/// A step and the answer to it are stored together, so a request whose answer was lost finds it, also after a crash and
/// on another instance. Of several that arrive at the same time one takes the step, and all get its answer.
pub struct AnswerOnce {
    answered: Arc<dyn AnsweredRequests>,
    clock: Arc<dyn Clock>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A step was taken, and its answer stored with it.
    Done(Answer),
    /// It was refused: a repetition gets the same refusal, whatever has changed meanwhile.
    Refused(Answer),
    /// It failed in a way that trying again may mend.
    Failed(Answer),
}

/// Why a request was not even tried.
#[derive(Debug, thiserror::Error)]
pub enum AnswerOnceError {
    /// The key belongs to another request.
    #[error("the idempotency key was used for another request")]
    KeyOfAnotherRequest,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AnswerOnce {
    /// How long an answer is kept, in microseconds: 24 hours.
    pub const RETENTION: i64 = 24 * 3600 * 1_000_000;

    /// With its ports.
    #[must_use]
    pub fn new(answered: Arc<dyn AnsweredRequests>, clock: Arc<dyn Clock>) -> Self {
        Self { answered, clock }
    }

    /// The instant before which answers are forgotten.
    pub(crate) fn forgotten_before(now: Timestamp) -> Timestamp {
        now.checked_add_micros(-Self::RETENTION).unwrap_or(now)
    }

    /// The answer that the request has got already, or the one that `operation` gives it now. The operation must store
    /// the answer with its step, by way of a [`Recording`](crate::Recording) of the same request.
    ///
    /// # Errors
    /// If the key was used for another request, or if the store fails.
    pub async fn execute<F>(
        &self,
        request: &IdempotentRequest,
        operation: F,
    ) -> Result<Answer, AnswerOnceError>
    where
        F: Future<Output = Outcome> + Send,
    {
        if let Some(answer) = self.answer_to(request).await? {
            return Ok(answer);
        }
        match operation.await {
            Outcome::Done(answer) => Ok(answer),
            // It may have been refused, or have failed, because the same request was faster.
            Outcome::Failed(answer) => Ok(self.answer_to(request).await?.unwrap_or(answer)),
            Outcome::Refused(answer) => {
                let answered = AnsweredRequest { request: request.clone(), answer };
                match self.answered.keep(&answered).await {
                    Ok(()) => Ok(answered.answer),
                    Err(StoreError::AlreadyAnswered) => {
                        Ok(self.answer_to(request).await?.unwrap_or(answered.answer))
                    }
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    async fn answer_to(&self, request: &IdempotentRequest) -> Result<Option<Answer>, AnswerOnceError> {
        let Some(answered) = self.answered.find(&request.key).await? else { return Ok(None) };
        let horizon = Self::forgotten_before(self.clock.now());
        if answered.request.received_at < horizon {
            // Its time is over, but nobody has cleaned up yet; it must not be in the way of a new one.
            self.answered.forget(&request.key, horizon).await?;
            return Ok(None);
        }
        if answered.request.fingerprint != request.fingerprint {
            return Err(AnswerOnceError::KeyOfAnotherRequest);
        }
        Ok(Some(answered.answer))
    }
}

impl Coded for AnswerOnceError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::KeyOfAnotherRequest => ErrorCode::IdempotencyKeyReused,
            Self::Store(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockAnsweredRequests;
    use crate::use_cases::test_data::{at, caller, clock_at};
    use crate::{Fingerprint, IdempotencyKey};

    fn request(fingerprint: u8) -> IdempotentRequest {
        IdempotentRequest {
            key: IdempotencyKey([1; 32]),
            fingerprint: Fingerprint([fingerprint; 32]),
            address: caller().address,
            received_at: at(0),
        }
    }

    fn answer(body: &str) -> Answer {
        Answer { status: 200, body: body.to_owned() }
    }

    fn answered(body: &str) -> AnsweredRequest {
        AnsweredRequest { request: request(2), answer: answer(body) }
    }

    fn never() -> impl Future<Output = Outcome> {
        std::future::poll_fn(|_| panic!("the operation was run again"))
    }

    async fn execute(
        answered: MockAnsweredRequests,
        now: i64,
        operation: impl Future<Output = Outcome> + Send,
    ) -> Result<Answer, AnswerOnceError> {
        AnswerOnce::new(Arc::new(answered), clock_at(now)).execute(&request(2), operation).await
    }

    #[tokio::test]
    async fn a_repetition_gets_the_first_answer_and_runs_nothing() {
        let mut port = MockAnsweredRequests::new();
        port.expect_find().returning(|_| Ok(Some(answered("first"))));
        assert_eq!(execute(port, 1, never()).await.unwrap(), answer("first"));
    }

    #[tokio::test]
    async fn the_same_key_for_another_request_is_refused() {
        let mut port = MockAnsweredRequests::new();
        port.expect_find()
            .returning(|_| Ok(Some(AnsweredRequest { request: request(3), answer: answer("other") })));
        let error = execute(port, 1, never()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::IdempotencyKeyReused);
    }

    #[tokio::test]
    async fn a_refusal_is_kept_and_a_failure_is_not() {
        for (outcome, kept) in [
            (Outcome::Refused(answer("no")), 1),
            (Outcome::Failed(answer("no")), 0),
            (Outcome::Done(answer("no")), 0),
        ] {
            let mut port = MockAnsweredRequests::new();
            port.expect_find().returning(|_| Ok(None));
            port.expect_keep().times(kept).returning(|_| Ok(()));
            assert_eq!(execute(port, 1, async { outcome }).await.unwrap(), answer("no"));
        }
    }

    #[tokio::test]
    async fn whoever_loses_against_the_same_request_gets_the_winners_answer() {
        for outcome in [Outcome::Refused(answer("no")), Outcome::Failed(answer("no"))] {
            let mut port = MockAnsweredRequests::new();
            let mut found = vec![Some(answered("yes")), None];
            port.expect_find().times(2).returning(move |_| Ok(found.pop().unwrap()));
            port.expect_keep().returning(|_| Err(StoreError::AlreadyAnswered));
            assert_eq!(execute(port, 1, async { outcome }).await.unwrap(), answer("yes"));
        }
    }

    #[tokio::test]
    async fn after_24_hours_the_key_is_free_again() {
        for (now, expected) in [(AnswerOnce::RETENTION, "first"), (AnswerOnce::RETENTION + 1, "again")] {
            let mut port = MockAnsweredRequests::new();
            port.expect_find().returning(|_| Ok(Some(answered("first"))));
            port.expect_forget().returning(|_, _| Ok(()));
            let operation = async { Outcome::Done(answer("again")) };
            assert_eq!(execute(port, now, operation).await.unwrap(), answer(expected));
        }
    }
}
