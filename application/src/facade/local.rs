//! The use cases answer.

use std::sync::Arc;

use async_trait::async_trait;
use reprieve_domain::Timestamp;

use super::{IdentityData, IdentityDeletionFacade, ProcessData};
use crate::ports::{Clock, DeletedOwnIdentity, DeletionProcesses, Identities, Ids, OwnIdentities};
use crate::use_cases::{
    CancelIdentityDeletionProcess, GetActiveIdentityDeletionProcess, GetIdentity, GetIdentityDeletionProcess,
    GetIdentityDeletionProcesses, InitiateIdentityDeletionProcess,
};
use crate::{Caller, Failure, GracePeriodSettings};

/// Answers from a store, through the use cases.
pub struct LocalIdentityDeletion {
    caller: Caller,
    clock: Arc<dyn Clock>,
    own_identities: Arc<dyn OwnIdentities>,
    get_identity: GetIdentity,
    initiate: InitiateIdentityDeletionProcess,
    cancel: CancelIdentityDeletionProcess,
    get_active: GetActiveIdentityDeletionProcess,
    get: GetIdentityDeletionProcess,
    list: GetIdentityDeletionProcesses,
}

impl LocalIdentityDeletion {
    /// On behalf of `caller`, with the ports and settings of the use cases.
    #[must_use]
    pub fn new<S: Identities + DeletionProcesses + OwnIdentities + 'static>(
        caller: Caller,
        store: Arc<S>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        grace_period: GracePeriodSettings,
    ) -> Self {
        Self {
            caller,
            get_identity: GetIdentity::new(store.clone()),
            initiate: InitiateIdentityDeletionProcess::new(store.clone(), clock.clone(), ids, grace_period),
            cancel: CancelIdentityDeletionProcess::new(store.clone(), clock.clone()),
            get_active: GetActiveIdentityDeletionProcess::new(store.clone()),
            get: GetIdentityDeletionProcess::new(store.clone()),
            list: GetIdentityDeletionProcesses::new(store.clone()),
            own_identities: store,
            clock,
        }
    }
}

#[async_trait]
impl IdentityDeletionFacade for LocalIdentityDeletion {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn identity(&self) -> Result<IdentityData, Failure> {
        let identity = self.get_identity.execute(&self.caller).await?;
        Ok(IdentityData::new(&identity, self.caller.device.clone()))
    }

    async fn deleted_before(&self) -> Result<Option<DeletedOwnIdentity>, Failure> {
        Ok(self.own_identities.deleted().await?)
    }

    async fn deletion_was_shown(&self, deleted: &DeletedOwnIdentity) {
        if let Err(error) = self.own_identities.deletion_was_shown(&deleted.process_id).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "that the deletion was shown is not stored: it will be shown again");
        }
    }

    async fn initiate(&self, length_in_days: Option<f64>) -> Result<ProcessData, Failure> {
        Ok(ProcessData::from(&self.initiate.execute(&self.caller, length_in_days).await?))
    }

    async fn cancel(&self) -> Result<ProcessData, Failure> {
        Ok(ProcessData::from(&self.cancel.execute(&self.caller).await?))
    }

    async fn active(&self) -> Result<ProcessData, Failure> {
        Ok(ProcessData::from(&self.get_active.execute(&self.caller).await?))
    }

    async fn process(&self, id: &str) -> Result<ProcessData, Failure> {
        Ok(ProcessData::from(&self.get.execute(&self.caller, id).await?))
    }

    async fn processes(&self) -> Result<Vec<ProcessData>, Failure> {
        Ok(self.list.execute(&self.caller).await?.iter().map(ProcessData::from).collect())
    }
}
