//! `cancelIdentityDeletionProcess`: Active → Cancelled, within the grace period.

use std::sync::Arc;

use reprieve_domain::{CancelError, DeletionProcess};

use crate::decide::{cancel_doubted, decide, may_be_doubted};
use crate::ports::{Clock, Identities};
use crate::{Caller, Coded, ErrorCode, Recording, StoreError};

/// Cancels the calling identity's deletion.
pub struct CancelIdentityDeletionProcess {
    identities: Arc<dyn Identities>,
    clock: Arc<dyn Clock>,
}

/// Why it was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelIdentityDeletionProcessError {
    /// It cannot be cancelled.
    #[error(transparent)]
    Refused(#[from] CancelError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CancelIdentityDeletionProcess {
    /// With its ports.
    #[must_use]
    pub fn new(identities: Arc<dyn Identities>, clock: Arc<dyn Clock>) -> Self {
        Self { identities, clock }
    }

    /// Cancels, on behalf of the calling device, and returns the cancelled process.
    ///
    /// # Errors
    /// If the identity has no Active process, if its grace period is over, or if the store fails.
    pub async fn execute(
        &self,
        caller: &Caller,
    ) -> Result<DeletionProcess, CancelIdentityDeletionProcessError> {
        self.execute_recorded(caller, None).await
    }

    /// The same; for a request that may come again, its answer is stored with the step.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and [`StoreError::AlreadyAnswered`].
    pub async fn execute_recorded(
        &self,
        caller: &Caller,
        recording: Option<&Recording<'_>>,
    ) -> Result<DeletionProcess, CancelIdentityDeletionProcessError> {
        let step = decide(self.identities.as_ref(), &caller.address, recording, |identity| {
            Ok::<_, CancelIdentityDeletionProcessError>(
                identity.cancel(caller.device.clone(), self.clock.moment())?,
            )
        })
        .await;
        let step = match step {
            Err(refused) if refused.may_be_doubted() => {
                let now = || self.clock.moment();
                cancel_doubted(refused, self.identities.as_ref(), caller, None, recording, now).await
            }
            decided => decided,
        };
        Ok(step?.into_process())
    }
}

impl CancelIdentityDeletionProcessError {
    /// Whether it was refused because of what is stored of a process.
    fn may_be_doubted(&self) -> bool {
        match self {
            Self::Refused(refused) => *refused != CancelError::NoOpenProcess,
            Self::Store(error) => may_be_doubted(error),
        }
    }
}

impl Coded for CancelIdentityDeletionProcessError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(CancelError::NoOpenProcess | CancelError::NotActive { .. }) => {
                ErrorCode::NoActiveIdentityDeletionProcess
            }
            Self::Refused(CancelError::GracePeriodHasExpired { .. }) => {
                ErrorCode::GracePeriodHasAlreadyExpired
            }
            Self::Store(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Alongside, Loaded, MockIdentities};
    use crate::use_cases::test_data::{ENDS_AT, active, at, caller, clock_at, deleting, loaded, version};
    use reprieve_domain::{Identity, Status};

    #[tokio::test]
    async fn a_timely_cancel_saves_the_step_in_the_version_it_was_decided_on() {
        let mut identities = MockIdentities::new();
        identities.expect_load_doubted().returning(|_| Ok(None));
        identities.expect_load().returning(|_| Ok(loaded(active())));
        identities
            .expect_save()
            .withf(|step, saved, alongside| {
                step.process().status() == Status::Cancelled
                    && *saved == version()
                    && *alongside == Alongside::Nothing
            })
            .once()
            .returning(|_, _, _| Ok(()));
        let use_case = CancelIdentityDeletionProcess::new(Arc::new(identities), clock_at(ENDS_AT - 1));
        let process = use_case.execute(&caller()).await.unwrap();
        assert_eq!(process.status(), Status::Cancelled);
    }

    #[tokio::test]
    async fn a_late_cancel_saves_nothing() {
        let mut identities = MockIdentities::new();
        identities.expect_load_doubted().returning(|_| Ok(None));
        identities.expect_load().returning(|_| Ok(loaded(active())));
        identities.expect_save().never();
        let use_case = CancelIdentityDeletionProcess::new(Arc::new(identities), clock_at(ENDS_AT));
        let error = use_case.execute(&caller()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::GracePeriodHasAlreadyExpired);
        assert!(error.to_string().contains(&at(ENDS_AT).to_string()), "{error}");
    }

    #[tokio::test]
    async fn without_an_active_process_nothing_is_saved() {
        let address = caller().address;
        let none = Loaded { value: Identity::new(address), version: version() };
        for (identity, told) in [(none, "no active"), (loaded(deleting()), "Deleting")] {
            let mut identities = MockIdentities::new();
            identities.expect_load_doubted().returning(|_| Ok(None));
            identities.expect_load().returning(move |_| Ok(identity.clone()));
            identities.expect_save().never();
            let use_case = CancelIdentityDeletionProcess::new(Arc::new(identities), clock_at(1));
            let error = use_case.execute(&caller()).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::NoActiveIdentityDeletionProcess);
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    #[tokio::test]
    async fn whoever_loses_a_race_decides_again_on_what_the_winner_left() {
        let mut identities = MockIdentities::new();
        identities.expect_load_doubted().returning(|_| Ok(None));
        let mut states = vec![deleting(), active()];
        identities.expect_load().times(2).returning(move |_| Ok(loaded(states.pop().unwrap())));
        identities.expect_save().once().returning(|_, _, _| Err(StoreError::Conflict));
        let use_case = CancelIdentityDeletionProcess::new(Arc::new(identities), clock_at(1));
        let error = use_case.execute(&caller()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::NoActiveIdentityDeletionProcess);
    }

    #[tokio::test]
    async fn the_clock_is_read_again_when_it_decides_again() {
        let mut identities = MockIdentities::new();
        identities.expect_load_doubted().returning(|_| Ok(None));
        identities.expect_load().times(2).returning(|_| Ok(loaded(active())));
        identities.expect_save().once().returning(|_, _, _| Err(StoreError::Conflict));
        let mut clock = crate::ports::MockClock::new();
        let mut times = vec![at(ENDS_AT), at(ENDS_AT - 1)];
        clock.expect_moment().returning(move || times.pop().unwrap().into());
        let use_case = CancelIdentityDeletionProcess::new(Arc::new(identities), Arc::new(clock));
        let error = use_case.execute(&caller()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::GracePeriodHasAlreadyExpired);
    }

    #[tokio::test]
    async fn conflicts_without_end_end_in_an_error() {
        let mut identities = MockIdentities::new();
        identities.expect_load_doubted().returning(|_| Ok(None));
        identities.expect_load().returning(|_| Ok(loaded(active())));
        identities.expect_save().returning(|_, _, _| Err(StoreError::Conflict));
        let use_case = CancelIdentityDeletionProcess::new(Arc::new(identities), clock_at(1));
        let error = use_case.execute(&caller()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::DatabaseConflict);
    }

    #[tokio::test]
    async fn a_failing_store_is_not_asked_twice() {
        let mut identities = MockIdentities::new();
        identities.expect_load_doubted().returning(|_| Ok(None));
        identities.expect_load().returning(|_| Ok(loaded(active())));
        identities.expect_save().once().returning(|_, _, _| Err(StoreError::Unavailable("gone".into())));
        let use_case = CancelIdentityDeletionProcess::new(Arc::new(identities), clock_at(1));
        let error = use_case.execute(&caller()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::DatabaseUnavailable);
    }
}
