//! `getActiveIdentityDeletionProcess`.

use std::sync::Arc;

use reprieve_domain::{DeletionProcess, Status};

use crate::ports::Identities;
use crate::{Caller, Coded, ErrorCode, StoreError};

/// Reads the calling identity's Active process.
pub struct GetActiveIdentityDeletionProcess {
    identities: Arc<dyn Identities>,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum GetActiveIdentityDeletionProcessError {
    /// The identity has no Active process.
    #[error("the identity has no active deletion process")]
    NoneActive,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl GetActiveIdentityDeletionProcess {
    /// With its port.
    #[must_use]
    pub fn new(identities: Arc<dyn Identities>) -> Self {
        Self { identities }
    }

    /// The Active process.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn execute(
        &self,
        caller: &Caller,
    ) -> Result<DeletionProcess, GetActiveIdentityDeletionProcessError> {
        let identity = self.identities.load(&caller.address).await?.value;
        identity
            .into_open_process()
            .filter(|process| process.status() == Status::Active)
            .ok_or(GetActiveIdentityDeletionProcessError::NoneActive)
    }
}

impl Coded for GetActiveIdentityDeletionProcessError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoneActive => ErrorCode::NoActiveIdentityDeletionProcess,
            Self::Store(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockIdentities;
    use crate::use_cases::test_data::{active, caller, deleting, loaded};

    #[tokio::test]
    async fn an_active_process_is_returned_and_one_in_deletion_is_not_active() {
        for (process, expected) in [(active(), Ok(active())), (deleting(), Err(()))] {
            let mut identities = MockIdentities::new();
            identities.expect_load().returning(move |_| Ok(loaded(process.clone())));
            let result = GetActiveIdentityDeletionProcess::new(Arc::new(identities)).execute(&caller()).await;
            match expected {
                Ok(process) => assert_eq!(result.unwrap(), process),
                Err(()) => {
                    assert_eq!(result.unwrap_err().code(), ErrorCode::NoActiveIdentityDeletionProcess);
                }
            }
        }
    }
}
