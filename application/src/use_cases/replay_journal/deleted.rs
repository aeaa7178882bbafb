//! Deleting again what was deleted before.

use reprieve_domain::audit::JournalEntry;
use reprieve_domain::{Address, DeletionProcessId, Identity, StartDeletionError, Status, Timestamp};

use super::{CameBack, Remembrance, ReplayAction, ReplayJournal, ReplayJournalError};
use crate::StoreError;
use crate::use_cases::{RipeProcess, StartIdentityDeletion, StartIdentityDeletionError};

impl ReplayJournal {
    /// Compares an address from a place whose backup was taken at this instant.
    pub(super) async fn compare_elsewhere(
        &self,
        address: &Address,
        remembrance: &Remembrance,
        backup_taken_at: Timestamp,
        only_look: bool,
    ) -> Result<Option<CameBack>, ReplayJournalError> {
        let Some(deletion) = remembrance.deletion(&self.audit_trail.identity_hash(address)) else {
            return Ok(None);
        };
        if deletion.dates.deletion_started_at < Some(backup_taken_at) {
            return Ok(None);
        }
        self.delete_again(address, deletion, Some(backup_taken_at), only_look).await
    }

    /// Deletes an identity again whose deletion had started, unless it has asked for something since; nothing if there is
    /// nothing to be done.
    pub(super) async fn delete_again(
        &self,
        address: &Address,
        deletion: &JournalEntry,
        backup_taken_at: Option<Timestamp>,
        only_look: bool,
    ) -> Result<Option<CameBack>, ReplayJournalError> {
        let started_at = deletion.dates.deletion_started_at.ok_or(StoreError::Conflict)?;
        let processes = self.processes.list(address).await?;
        // Deleted and not yet removed: the deletion is still coming to its end.
        let is_ending = processes.iter().any(|process| process.status() == Status::Deleted);
        // An identity that has asked for something after its deletion came back by itself, and is a new one.
        let newer = processes.iter().rfind(|process| process.created_at() > started_at);
        let identity = self.identities.load(address).await?.value;
        let action = match (identity.open_process(), newer) {
            (Some(open), _) if open.status() == Status::Deleting => {
                if backup_taken_at.is_none() {
                    // As it should be.
                    return Ok(None);
                }
                ReplayAction::StillDeleting(open.id().clone())
            }
            // What was asked for since has a deadline of its own, which is kept.
            (Some(_), Some(_)) if backup_taken_at.is_none() => return Ok(None),
            (Some(open), _) if !open.is_ripe(self.clock.now()) => {
                ReplayAction::NewGracePeriodRuns(open.id().clone())
            }
            (_, Some(_)) => return Ok(None),
            (None, None) if is_ending => return Ok(None),
            _ if only_look => ReplayAction::Found,
            _ => ReplayAction::Started(self.delete(&identity, deletion).await?),
        };
        Ok(Some(CameBack { address: address.clone(), deleted_in: deletion.process_id.clone(), action }))
    }

    /// Starts the deletion of the open process, or of one with the dates of the one that the database does not have.
    async fn delete(
        &self,
        identity: &Identity,
        deletion: &JournalEntry,
    ) -> Result<DeletionProcessId, ReplayJournalError> {
        let address = identity.address().clone();
        let dates = deletion.dates;
        let process_id = match identity.open_process() {
            Some(process) => process.id().clone(),
            None => self.initiate_again(&address, dates.created_at, dates.grace_period_ends_at).await?,
        };
        let start =
            StartIdentityDeletion::new(self.audit_trail.clone(), self.identities.clone(), self.clock.clone());
        let ripe = RipeProcess { address, process_id };
        match start.execute(&ripe, &self.erasers).await {
            // A worker that starts what is due was faster; it is what was wanted.
            Ok(_)
            | Err(StartIdentityDeletionError::Refused(StartDeletionError::NotActive {
                status: Status::Deleting | Status::Deleted,
            })) => Ok(ripe.process_id),
            Err(error) => Err(error.into()),
        }
    }
}
