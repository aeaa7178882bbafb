//! `getIdentityDeletionProcess`: one of the caller's processes, by id.

use std::sync::Arc;

use reprieve_domain::{DeletionProcess, DeletionProcessId, InvalidId};

use crate::ports::DeletionProcesses;
use crate::{Caller, Coded, ErrorCode, StoreError};

/// Reads one process of the calling identity.
pub struct GetIdentityDeletionProcess {
    processes: Arc<dyn DeletionProcesses>,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum GetIdentityDeletionProcessError {
    /// The id is malformed.
    #[error(transparent)]
    InvalidId(#[from] InvalidId),
    /// There is no such process, or it is somebody else's.
    #[error("the identity has no deletion process {id}")]
    NotFound {
        /// The id that was asked for.
        id: DeletionProcessId,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl GetIdentityDeletionProcess {
    /// With its port.
    #[must_use]
    pub fn new(processes: Arc<dyn DeletionProcesses>) -> Self {
        Self { processes }
    }

    /// The process with this id.
    ///
    /// # Errors
    /// If the id is malformed, if the calling identity has no such process, or if the store fails.
    pub async fn execute(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<DeletionProcess, GetIdentityDeletionProcessError> {
        let id: DeletionProcessId = id.parse()?;
        self.processes
            .find(&caller.address, &id)
            .await?
            .ok_or(GetIdentityDeletionProcessError::NotFound { id })
    }
}

impl Coded for GetIdentityDeletionProcessError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidId(_) => ErrorCode::InvalidPropertyValue,
            Self::NotFound { .. } => ErrorCode::RecordNotFound,
            Self::Store(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockDeletionProcesses;
    use crate::use_cases::test_data::{active, caller};

    #[tokio::test]
    async fn it_asks_for_its_own_processes_only() {
        let mut processes = MockDeletionProcesses::new();
        processes
            .expect_find()
            .withf(|owner, id| *owner == caller().address && id == active().id())
            .once()
            .returning(|_, _| Ok(Some(active())));
        let use_case = GetIdentityDeletionProcess::new(Arc::new(processes));
        assert_eq!(use_case.execute(&caller(), active().id().as_str()).await.unwrap(), active());
    }

    #[tokio::test]
    async fn an_unknown_id_is_not_found_and_a_malformed_one_is_not_looked_for() {
        for (id, calls, code) in [
            ("IDPzzzzzzzzzzzzzzzzz", 1, ErrorCode::RecordNotFound),
            ("IDP", 0, ErrorCode::InvalidPropertyValue),
            ("", 0, ErrorCode::InvalidPropertyValue),
        ] {
            let mut processes = MockDeletionProcesses::new();
            processes.expect_find().times(calls).returning(|_, _| Ok(None));
            let use_case = GetIdentityDeletionProcess::new(Arc::new(processes));
            assert_eq!(use_case.execute(&caller(), id).await.unwrap_err().code(), code);
        }
    }
}
