//! Forgetting answers whose time is over.

use std::sync::Arc;

use super::AnswerOnce;
use crate::StoreError;
use crate::ports::{AnsweredRequests, Clock};

/// How many are forgotten in one go, so that nothing is held up for long.
const BATCH: u32 = 1000;

/// Forgets the answers that no repetition can ask for any more.
pub struct ForgetAnsweredRequests {
    answered: Arc<dyn AnsweredRequests>,
    clock: Arc<dyn Clock>,
}

impl ForgetAnsweredRequests {
    /// With its ports.
    #[must_use]
    pub fn new(answered: Arc<dyn AnsweredRequests>, clock: Arc<dyn Clock>) -> Self {
        Self { answered, clock }
    }

    /// Forgets all that are older than [`AnswerOnce::RETENTION`], in batches; returns how many there were.
    ///
    /// # Errors
    /// If the store fails; what was forgotten until then stays forgotten.
    pub async fn execute(&self) -> Result<u64, StoreError> {
        let horizon = AnswerOnce::forgotten_before(self.clock.now());
        let mut forgotten = 0;
        loop {
            let batch = self.answered.forget_before(horizon, BATCH).await?;
            forgotten += batch;
            if batch < u64::from(BATCH) {
                return Ok(forgotten);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockAnsweredRequests;
    use crate::use_cases::test_data::{at, clock_at};

    #[tokio::test]
    async fn it_goes_on_until_nothing_old_is_left() {
        let mut port = MockAnsweredRequests::new();
        let mut batches = vec![7, 1000, 1000];
        port.expect_forget_before()
            .withf(|instant, _| *instant == at(0))
            .times(3)
            .returning(move |_, _| Ok(batches.pop().unwrap()));
        let use_case = ForgetAnsweredRequests::new(Arc::new(port), clock_at(AnswerOnce::RETENTION));
        assert_eq!(use_case.execute().await.unwrap(), 2007);
    }
}
