//! Active → Deleting, once the grace period is over.

use std::collections::BTreeSet;
use std::sync::Arc;

use reprieve_domain::{
    Address, DeletionProcess, DeletionProcessId, EraserName, Identity, StartDeletionError,
};

use crate::decide::ATTEMPTS;
use crate::ports::{Alongside, AuditTrail, Clock, Identities, Loaded};
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
    audit_trail: Arc<dyn AuditTrail>,
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
    pub fn new(
        audit_trail: Arc<dyn AuditTrail>,
        identities: Arc<dyn Identities>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { audit_trail, identities, clock }
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
        let RipeProcess { address, process_id } = ripe;
        for _ in 0..ATTEMPTS {
            let mut verified = self.audit_trail.verified(std::slice::from_ref(process_id)).await?;
            let verified = verified.remove(process_id).transpose().map_err(StoreError::Quarantined)?;
            let loaded = verified.filter(|process| process.value.address() == address);
            let Loaded { value: process, version } = loaded.ok_or(StartDeletionError::NoOpenProcess)?;
            let status = process.status();
            let identity =
                Identity::with_open_process(process).map_err(|_| StartDeletionError::NotActive { status })?;
            let step = identity.start_deletion(process_id, erasers.clone(), self.clock.now())?;
            match self.identities.save(&step, version, Alongside::Nothing).await {
                Err(StoreError::Conflict) => {}
                saved => return saved.map(|()| step.into_process()).map_err(Into::into),
            }
        }
        Err(StoreError::Conflict.into())
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
    use crate::ports::{MockAuditTrail, MockIdentities};
    use crate::use_cases::test_data::{
        ENDS_AT, active, broken_trail, caller, cancelled, clock_at, trail_of, version,
    };
    use reprieve_domain::Status;

    fn ripe() -> RipeProcess {
        RipeProcess { address: caller().address, process_id: active().id().clone() }
    }

    fn use_case(trail: MockAuditTrail, identities: MockIdentities, now: i64) -> StartIdentityDeletion {
        StartIdentityDeletion::new(Arc::new(trail), Arc::new(identities), clock_at(now))
    }

    #[tokio::test]
    async fn a_ripe_process_starts() {
        let mut identities = MockIdentities::new();
        identities.expect_save().once().returning(|_, _, _| Ok(()));
        let use_case = use_case(trail_of(active()), identities, ENDS_AT);
        let process = use_case.execute(&ripe(), &BTreeSet::new()).await.unwrap();
        assert_eq!(process.status(), Status::Deleting);
    }

    #[tokio::test]
    async fn a_process_cancelled_since_it_was_found_ripe_is_left_alone() {
        let mut trail = MockAuditTrail::new();
        let mut states = vec![cancelled(), active()];
        trail.expect_verified().times(2).returning(move |ids| {
            let value = states.pop().unwrap();
            Ok([(ids[0].clone(), Ok(Loaded { value, version: version() }))].into())
        });
        let mut identities = MockIdentities::new();
        identities.expect_save().once().returning(|_, _, _| Err(StoreError::Conflict));
        let error =
            use_case(trail, identities, ENDS_AT).execute(&ripe(), &BTreeSet::new()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::DeletionProcessIsNotInRequiredStatus);
    }

    #[tokio::test]
    async fn a_microsecond_early_or_without_a_sound_trail_nothing_is_saved() {
        for (trail, now, expected) in [
            (trail_of(active()), ENDS_AT - 1, ErrorCode::GracePeriodHasNotYetExpired),
            (broken_trail(), ENDS_AT, ErrorCode::AuditTrailBroken),
        ] {
            let mut identities = MockIdentities::new();
            identities.expect_save().never();
            let error =
                use_case(trail, identities, now).execute(&ripe(), &BTreeSet::new()).await.unwrap_err();
            assert_eq!(error.code(), expected);
        }
    }
}
