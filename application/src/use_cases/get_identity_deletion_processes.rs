//! `getIdentityDeletionProcesses`: all of the caller's processes.

use std::sync::Arc;

use reprieve_domain::DeletionProcess;

use crate::ports::DeletionProcesses;
use crate::{Caller, StoreError};

/// Reads every process of the calling identity.
pub struct GetIdentityDeletionProcesses {
    processes: Arc<dyn DeletionProcesses>,
}

impl GetIdentityDeletionProcesses {
    /// With its port.
    #[must_use]
    pub fn new(processes: Arc<dyn DeletionProcesses>) -> Self {
        Self { processes }
    }

    /// Every process, oldest first, cancelled ones included.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self, caller: &Caller) -> Result<Vec<DeletionProcess>, StoreError> {
        self.processes.list(&caller.address).await
    }
}
