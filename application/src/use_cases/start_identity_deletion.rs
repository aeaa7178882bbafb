//! Active → Deleting, once the grace period is over.

use std::collections::BTreeSet;
use std::sync::Arc;

use reprieve_domain::{Address, DeletionProcess, DeletionProcessId, EraserName, StartDeletionError};

use crate::decide::{Reason, decide};
use crate::ports::{Clock, Identities};
use crate::{Coded, ErrorCode, StoreError};

/// A process whose grace period is over and whose deletion has not started: work, tied to one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RipeProcess {
    /// The identity.
    pub address: Address,
    /// The process.
    pub process_id: DeletionProcessId,
}

/// Starts the deletion of one ripe process.
///
/// That a process was found ripe is a reason to ask, not to act: the domain decides again on what is stored now, and
/// the store checks the deadline once more in the statement that writes.
pub struct StartIdentityDeletion {
    identities: Arc<dyn Identities>,
    clock: Arc<dyn Clock>,
}

/// Why the deletion did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartIdentityDeletionError {
    /// The process is not Active, is not the open one, or its grace period runs.
    #[error(transparent)]
    Refused(#[from] StartDeletionError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StartIdentityDeletion {
    /// With its ports.
    #[must_use]
    pub fn new(identities: Arc<dyn Identities>, clock: Arc<dyn Clock>) -> Self {
        Self { identities, clock }
    }

    /// Starts it; `erasers` are the ones that must acknowledge before the process is complete.
    ///
    /// # Errors
    /// If the process is not Active any more, if its grace period is not over, or if the store fails.
    pub async fn execute(
        &self,
        ripe: &RipeProcess,
        erasers: &BTreeSet<EraserName>,
    ) -> Result<DeletionProcess, StartIdentityDeletionError> {
        let step = decide(self.identities.as_ref(), &ripe.address, Reason::Asked, |identity| {
            Ok::<_, StartIdentityDeletionError>(identity.start_deletion(
                &ripe.process_id,
                erasers.clone(),
                self.clock.now(),
            )?)
        })
        .await?;
        Ok(step.into_process())
    }
}

impl Coded for StartIdentityDeletionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(StartDeletionError::NoOpenProcess | StartDeletionError::NotActive { .. }) => {
                ErrorCode::DeletionProcessIsNotInRequiredStatus
            }
            Self::Refused(StartDeletionError::GracePeriodHasNotYetExpired { .. }) => {
                ErrorCode::GracePeriodHasNotYetExpired
            }
            Self::Store(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Loaded, MockIdentities};
    use crate::use_cases::test_data::{ENDS_AT, active, caller, clock_at, loaded, version};
    use reprieve_domain::{Identity, Status};

    fn ripe() -> RipeProcess {
        RipeProcess { address: caller().address, process_id: active().id().clone() }
    }

    #[tokio::test]
    async fn a_ripe_process_starts() {
        let mut identities = MockIdentities::new();
        identities.expect_load().returning(|_| Ok(loaded(active())));
        identities.expect_save().once().returning(|_, _, _| Ok(()));
        let use_case = StartIdentityDeletion::new(Arc::new(identities), clock_at(ENDS_AT));
        let process = use_case.execute(&ripe(), &BTreeSet::new()).await.unwrap();
        assert_eq!(process.status(), Status::Deleting);
    }

    #[tokio::test]
    async fn a_process_cancelled_since_it_was_found_ripe_is_left_alone() {
        let mut identities = MockIdentities::new();
        let mut states =
            vec![Loaded { value: Identity::new(caller().address), version: version() }, loaded(active())];
        identities.expect_load().times(2).returning(move |_| Ok(states.pop().unwrap()));
        identities.expect_save().once().returning(|_, _, _| Err(StoreError::Conflict));
        let use_case = StartIdentityDeletion::new(Arc::new(identities), clock_at(ENDS_AT));
        let error = use_case.execute(&ripe(), &BTreeSet::new()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::DeletionProcessIsNotInRequiredStatus);
    }

    #[tokio::test]
    async fn a_microsecond_early_saves_nothing() {
        let mut identities = MockIdentities::new();
        identities.expect_load().returning(|_| Ok(loaded(active())));
        identities.expect_save().never();
        let use_case = StartIdentityDeletion::new(Arc::new(identities), clock_at(ENDS_AT - 1));
        let error = use_case.execute(&ripe(), &BTreeSet::new()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::GracePeriodHasNotYetExpired);
    }
}
