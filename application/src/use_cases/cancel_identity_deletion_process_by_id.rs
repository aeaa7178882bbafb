//! Active → Cancelled for one process named by its id, as a Backbone offers it.

use std::sync::Arc;

use reprieve_domain::{CancelError, DeletionProcess, DeletionProcessId, InvalidId, Status};

use crate::decide::{cancel_doubted, decide, may_be_doubted};
use crate::ports::{Clock, DeletionProcesses, Identities};
use crate::{Caller, Coded, ErrorCode, Recording, StoreError};

/// Cancels one process of the calling identity.
pub struct CancelIdentityDeletionProcessById {
    identities: Arc<dyn Identities>,
    processes: Arc<dyn DeletionProcesses>,
    clock: Arc<dyn Clock>,
}

/// Why it was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelIdentityDeletionProcessByIdError {
    /// The id is malformed.
    #[error(transparent)]
    InvalidId(#[from] InvalidId),
    /// There is no such process, or it is somebody else's.
    #[error("the identity has no deletion process {id}")]
    NotFound {
        /// The id that was asked for.
        id: DeletionProcessId,
    },
    /// The process is not Active.
    #[error("the deletion process has the status {status}")]
    NotActive {
        /// The status it has.
        status: Status,
    },
    /// It cannot be cancelled.
    #[error(transparent)]
    Refused(CancelError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

use CancelIdentityDeletionProcessByIdError as Error;

impl CancelIdentityDeletionProcessById {
    /// With its ports.
    #[must_use]
    pub fn new(
        identities: Arc<dyn Identities>,
        processes: Arc<dyn DeletionProcesses>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { identities, processes, clock }
    }

    /// Cancels the process with this id, on behalf of the calling device, and returns it. For a request that may come
    /// again, its answer is stored with the step.
    ///
    /// # Errors
    /// If the id is malformed, if the calling identity has no such process, if it is not Active, if its grace period is
    /// over, or if the store fails.
    pub async fn execute(
        &self,
        caller: &Caller,
        id: &str,
        recording: Option<&Recording<'_>>,
    ) -> Result<DeletionProcess, Error> {
        let id: DeletionProcessId = id.parse()?;
        let decided = decide(self.identities.as_ref(), &caller.address, recording, |identity| {
            if identity.open_process().is_none_or(|open| *open.id() != id) {
                return Err(Error::NotFound { id: id.clone() });
            }
            Ok(identity.cancel(caller.device.clone(), self.clock.moment())?)
        })
        .await;
        let decided = match decided {
            Err(refused) if refused.may_be_doubted() => {
                let now = || self.clock.moment();
                cancel_doubted(refused, self.identities.as_ref(), caller, Some(&id), recording, now).await
            }
            decided => decided,
        };
        match decided {
            // It is not the open one, but it may be one of those before it.
            Err(Error::NotFound { id }) => match self.processes.find(&caller.address, &id).await? {
                Some(process) => Err(Error::NotActive { status: process.status() }),
                None => Err(Error::NotFound { id }),
            },
            other => Ok(other?.into_process()),
        }
    }
}

impl Error {
    /// Whether it was refused because of what is stored of a process.
    fn may_be_doubted(&self) -> bool {
        match self {
            Self::NotActive { .. } | Self::Refused(_) => true,
            Self::InvalidId(_) | Self::NotFound { .. } => false,
            Self::Store(error) => may_be_doubted(error),
        }
    }
}

impl From<CancelError> for Error {
    fn from(refused: CancelError) -> Self {
        match refused {
            CancelError::NotActive { status } => Self::NotActive { status },
            other => Self::Refused(other),
        }
    }
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidId(_) => ErrorCode::InvalidPropertyValue,
            Self::NotFound { .. } => ErrorCode::RecordNotFound,
            Self::NotActive { .. } => ErrorCode::DeletionProcessIsNotInRequiredStatus,
            Self::Refused(CancelError::GracePeriodHasExpired { .. }) => {
                ErrorCode::GracePeriodHasAlreadyExpired
            }
            Self::Refused(CancelError::NoOpenProcess | CancelError::NotActive { .. }) => {
                ErrorCode::NoActiveIdentityDeletionProcess
            }
            Self::Store(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Loaded, MockDeletionProcesses, MockIdentities};
    use crate::use_cases::test_data::{
        ENDS_AT, active, caller, cancelled, clock_at, deleting, loaded, version,
    };
    use reprieve_domain::Identity;

    const OTHER: &str = "IDPzzzzzzzzzzzzzzzzz";

    fn use_case(
        open: Option<DeletionProcess>,
        found: Option<DeletionProcess>,
        saves: usize,
        now: i64,
    ) -> CancelIdentityDeletionProcessById {
        let mut identities = MockIdentities::new();
        identities.expect_load_doubted().returning(|_| Ok(None));
        identities.expect_load().returning(move |_| {
            Ok(open.clone().map_or_else(
                || Loaded { value: Identity::new(caller().address), version: version() },
                loaded,
            ))
        });
        identities.expect_save().times(saves).returning(|_, _, _| Ok(()));
        let mut processes = MockDeletionProcesses::new();
        processes
            .expect_find()
            .withf(|owner, _| *owner == caller().address)
            .returning(move |_, _| Ok(found.clone()));
        CancelIdentityDeletionProcessById::new(Arc::new(identities), Arc::new(processes), clock_at(now))
    }

    #[tokio::test]
    async fn the_active_process_is_cancelled_by_its_id() {
        let id = active().id().to_string();
        let process = use_case(Some(active()), None, 1, 1).execute(&caller(), &id, None).await.unwrap();
        assert_eq!(process.status(), Status::Cancelled);
    }

    #[tokio::test]
    async fn whatever_else_is_named_is_left_alone_and_said_why() {
        let id = active().id().to_string();
        for (open, found, asked, now, code) in [
            (Some(active()), None, "IDP", 1, ErrorCode::InvalidPropertyValue),
            (Some(active()), None, OTHER, 1, ErrorCode::RecordNotFound),
            (None, None, id.as_str(), 1, ErrorCode::RecordNotFound),
            (None, Some(cancelled()), id.as_str(), 1, ErrorCode::DeletionProcessIsNotInRequiredStatus),
            (Some(deleting()), None, id.as_str(), 1, ErrorCode::DeletionProcessIsNotInRequiredStatus),
            (Some(active()), None, id.as_str(), ENDS_AT, ErrorCode::GracePeriodHasAlreadyExpired),
        ] {
            let error = use_case(open, found, 0, now).execute(&caller(), asked, None).await.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
        }
    }
}
