//! What whoever runs the service may see of any identity: its processes and its audit trail. Read only.

use std::sync::Arc;

use reprieve_domain::audit::SealedEntry;
use reprieve_domain::{Address, DeletionProcess, DeletionProcessId, InvalidAddress, InvalidId};

use crate::ports::{AuditTrail, DeletionProcesses};
use crate::{Coded, ErrorCode, StoreError};

/// Reads every process of an identity.
pub struct InspectIdentity {
    processes: Arc<dyn DeletionProcesses>,
}

/// Reads one process of an identity with its audit entries.
pub struct InspectDeletionProcess {
    processes: Arc<dyn DeletionProcesses>,
    audit_trail: Arc<dyn AuditTrail>,
}

/// Reads every audit entry of an identity.
pub struct InspectAuditLogs {
    audit_trail: Arc<dyn AuditTrail>,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The address is malformed.
    #[error(transparent)]
    InvalidAddress(#[from] InvalidAddress),
    /// The id is malformed.
    #[error(transparent)]
    InvalidId(#[from] InvalidId),
    /// The identity has no such process.
    #[error("the identity has no deletion process {id}")]
    NotFound {
        /// The id that was asked for.
        id: DeletionProcessId,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl InspectIdentity {
    /// With its port.
    #[must_use]
    pub fn new(processes: Arc<dyn DeletionProcesses>) -> Self {
        Self { processes }
    }

    /// Every process, oldest first. An identity that was never heard of has none.
    ///
    /// # Errors
    /// If the address is malformed, or if the store fails.
    pub async fn execute(&self, address: &str) -> Result<Vec<DeletionProcess>, InspectError> {
        let address: Address = address.parse()?;
        Ok(self.processes.list(&address).await?)
    }
}

impl InspectDeletionProcess {
    /// With its ports.
    #[must_use]
    pub fn new(processes: Arc<dyn DeletionProcesses>, audit_trail: Arc<dyn AuditTrail>) -> Self {
        Self { processes, audit_trail }
    }

    /// The process, and its audit entries, oldest first.
    ///
    /// # Errors
    /// If address or id are malformed, if the identity has no such process, or if the store fails.
    pub async fn execute(
        &self,
        address: &str,
        id: &str,
    ) -> Result<(DeletionProcess, Vec<SealedEntry>), InspectError> {
        let (address, id): (Address, DeletionProcessId) = (address.parse()?, id.parse()?);
        let found = self.processes.find(&address, &id).await?;
        let process = found.ok_or_else(|| InspectError::NotFound { id: id.clone() })?;
        let entries = self.audit_trail.entries(&address, Some(&id)).await?;
        Ok((process, entries))
    }
}

impl InspectAuditLogs {
    /// With its port.
    #[must_use]
    pub fn new(audit_trail: Arc<dyn AuditTrail>) -> Self {
        Self { audit_trail }
    }

    /// Every audit entry, oldest first, also after the identity is gone.
    ///
    /// # Errors
    /// If the address is malformed, or if the store fails.
    pub async fn execute(&self, address: &str) -> Result<Vec<SealedEntry>, InspectError> {
        let address: Address = address.parse()?;
        Ok(self.audit_trail.entries(&address, None).await?)
    }
}

impl Coded for InspectError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidAddress(_) | Self::InvalidId(_) => ErrorCode::InvalidPropertyValue,
            Self::NotFound { .. } => ErrorCode::RecordNotFound,
            Self::Store(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{MockAuditTrail, MockDeletionProcesses};
    use crate::use_cases::test_data::{active, caller};

    #[tokio::test]
    async fn a_process_is_shown_to_its_identity_only_and_malformed_input_asks_nothing() {
        let (address, id) = (caller().address.to_string(), active().id().to_string());
        for (address, id, finds, found, code) in [
            (address.as_str(), id.as_str(), 1, true, None),
            (&address, &id, 1, false, Some(ErrorCode::RecordNotFound)),
            ("nobody", &id, 0, true, Some(ErrorCode::InvalidPropertyValue)),
            (&address, "IDP", 0, true, Some(ErrorCode::InvalidPropertyValue)),
        ] {
            let mut processes = MockDeletionProcesses::new();
            processes
                .expect_find()
                .withf(|owner, id| *owner == caller().address && id == active().id())
                .times(finds)
                .returning(move |_, _| Ok(found.then(active)));
            let mut audit_trail = MockAuditTrail::new();
            audit_trail
                .expect_entries()
                .withf(|owner, id| *owner == caller().address && *id == Some(active().id()))
                .times(usize::from(code.is_none()))
                .returning(|_, _| Ok(Vec::new()));
            let use_case = InspectDeletionProcess::new(Arc::new(processes), Arc::new(audit_trail));
            let result = use_case.execute(address, id).await;
            assert_eq!(result.err().map(|error| error.code()), code);
        }
    }
}
