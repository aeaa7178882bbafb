//! `initiateIdentityDeletionProcess`: (no process) → Active.

use std::sync::Arc;

use reprieve_domain::{DeletionProcess, Identity, InitiateError, InvalidGracePeriod};

use crate::decide::decide_on;
use crate::ports::{Clock, Identities, Ids, Loaded, RandomSourceFailed, Version};
use crate::{Caller, Coded, ErrorCode, GracePeriodSettings, Recording, StoreError};

/// Asks for the calling identity to be deleted.
pub struct InitiateIdentityDeletionProcess {
    identities: Arc<dyn Identities>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    grace_period: GracePeriodSettings,
}

/// Why no process was created.
#[derive(Debug, thiserror::Error)]
pub enum InitiateIdentityDeletionProcessError {
    /// There is an open process, or the calendar ends too early.
    #[error(transparent)]
    Refused(#[from] InitiateError),
    /// The length asked for is none.
    #[error(transparent)]
    InvalidLength(#[from] InvalidGracePeriod),
    /// No id could be drawn.
    #[error(transparent)]
    Random(#[from] RandomSourceFailed),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl InitiateIdentityDeletionProcess {
    /// With its ports and settings.
    #[must_use]
    pub fn new(
        identities: Arc<dyn Identities>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        grace_period: GracePeriodSettings,
    ) -> Self {
        Self { identities, clock, ids, grace_period }
    }

    /// Creates an Active process whose grace period lasts `length_in_days` (fractions allowed), or as long as the
    /// deployment's default, and returns it.
    ///
    /// # Errors
    /// If the identity has an open process, if the length is not within the deployment's bounds, or if the store fails.
    pub async fn execute(
        &self,
        caller: &Caller,
        length_in_days: Option<f64>,
    ) -> Result<DeletionProcess, InitiateIdentityDeletionProcessError> {
        self.execute_recorded(caller, length_in_days, None).await
    }

    /// The same; for a request that may come again, its answer is stored with the step.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and [`StoreError::AlreadyAnswered`].
    pub async fn execute_recorded(
        &self,
        caller: &Caller,
        length_in_days: Option<f64>,
        recording: Option<&Recording<'_>>,
    ) -> Result<DeletionProcess, InitiateIdentityDeletionProcessError> {
        let length = self.grace_period.length(length_in_days)?;
        // Hardly anybody who asks has asked before, and the store knows: reading first would nearly double the time.
        let assumed = Loaded { value: Identity::new(caller.address.clone()), version: Version::EMPTY };
        let step = decide_on(assumed, self.identities.as_ref(), recording, |identity| {
            let id = self.ids.deletion_process_id()?;
            Ok::<_, InitiateIdentityDeletionProcessError>(identity.initiate(
                id,
                caller.device.clone(),
                length,
                self.clock.now(),
            )?)
        })
        .await?;
        Ok(step.into_process())
    }
}

impl Coded for InitiateIdentityDeletionProcessError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(InitiateError::AlreadyOpen { .. }) => {
                ErrorCode::ActiveIdentityDeletionProcessAlreadyExists
            }
            Self::Refused(InitiateError::BeyondCalendar) | Self::InvalidLength(_) => {
                ErrorCode::InvalidPropertyValue
            }
            Self::Random(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{MockIdentities, MockIds};
    use crate::use_cases::test_data::{DAY, active, at, caller, clock_at, deleting, loaded};
    use reprieve_domain::Status;

    fn use_case(identities: MockIdentities) -> InitiateIdentityDeletionProcess {
        let mut ids = MockIds::new();
        ids.expect_deletion_process_id().returning(|| Ok("IDP0123456789abcdefg".parse().unwrap()));
        let settings = GracePeriodSettings::from_days(14.0, 1.0, 365.0).unwrap();
        InitiateIdentityDeletionProcess::new(Arc::new(identities), clock_at(0), Arc::new(ids), settings)
    }

    fn nobody() -> Loaded<Identity> {
        Loaded { value: Identity::new(caller().address), version: Version::EMPTY }
    }

    #[tokio::test]
    async fn the_default_or_the_length_asked_for_decides_the_deadline() {
        for (days, end) in [(None, 14 * DAY), (Some(1.5), DAY + DAY / 2)] {
            let mut identities = MockIdentities::new();
            identities.expect_load().never();
            identities
                .expect_save()
                .withf(|step, version, _| {
                    step.process().status() == Status::Active && *version == Version::EMPTY
                })
                .once()
                .returning(|_, _, _| Ok(()));
            let process = use_case(identities).execute(&caller(), days).await.unwrap();
            assert_eq!(process.grace_period_ends_at(), at(end));
            assert_eq!(process.created_by_device(), &caller().device);
        }
    }

    #[tokio::test]
    async fn a_bad_length_does_not_even_load() {
        for days in [f64::NAN, f64::INFINITY, -1.0, 0.0, 0.999, 365.001, 1e300] {
            let mut identities = MockIdentities::new();
            identities.expect_load().never();
            identities.expect_save().never();
            let error = use_case(identities).execute(&caller(), Some(days)).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidPropertyValue);
        }
    }

    #[tokio::test]
    async fn with_an_open_process_nothing_is_saved_and_the_refusal_names_its_status() {
        for (open, status) in [(active(), "Active"), (deleting(), "Deleting")] {
            let mut identities = MockIdentities::new();
            identities.expect_save().once().returning(|_, _, _| Err(StoreError::OpenProcessExists));
            identities.expect_load().once().returning(move |_| Ok(loaded(open.clone())));
            let error = use_case(identities).execute(&caller(), None).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::ActiveIdentityDeletionProcessAlreadyExists);
            assert!(error.to_string().contains(status), "{error}");
        }
    }

    #[tokio::test]
    async fn a_process_that_is_cancelled_at_the_same_time_is_not_in_the_way() {
        let mut identities = MockIdentities::new();
        let mut outcomes = vec![Ok(()), Err(StoreError::OpenProcessExists)];
        identities.expect_save().times(2).returning(move |_, _, _| outcomes.pop().unwrap());
        identities.expect_load().once().returning(|_| Ok(nobody()));
        use_case(identities).execute(&caller(), None).await.unwrap();
    }

    #[tokio::test]
    async fn an_open_process_that_never_shows_ends_in_the_same_refusal() {
        let mut identities = MockIdentities::new();
        identities.expect_save().returning(|_, _, _| Err(StoreError::OpenProcessExists));
        identities.expect_load().returning(|_| Ok(nobody()));
        let error = use_case(identities).execute(&caller(), None).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::ActiveIdentityDeletionProcessAlreadyExists);
    }
}
