//! The port `AuditTrail`, where nothing verifies that the journal does not bear out.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use reprieve_domain::audit::{Chain, ErasureLedgerEntry, Fault, InvalidLedgerEntry, KeyedHash, SealedEntry};
use reprieve_domain::{Address, DeletionProcess, DeletionProcessId};

use super::{Compared, Journaling};
use crate::ports::{AuditTrail, ComparedEvents, Loaded};
use crate::{Receipt, StoreError};

/// An audit trail beside its journal: a process verifies only if its chain contains what the journal has of it, and the
/// journal has all of its chain before the answer is given. So a process that was put back to an earlier state takes no
/// step of a worker, and what a worker acts on is remembered before it acts.
pub struct JournaledAuditTrail {
    trail: Arc<dyn AuditTrail>,
    journaling: Journaling,
}

impl JournaledAuditTrail {
    /// This trail, beside its journal.
    #[must_use]
    pub fn new(trail: Arc<dyn AuditTrail>, journaling: Journaling) -> Self {
        Self { trail, journaling }
    }
}

#[async_trait]
impl AuditTrail for JournaledAuditTrail {
    async fn chains(&self, after: Option<String>, limit: u32) -> Result<Vec<Chain>, StoreError> {
        self.trail.chains(after, limit).await
    }

    async fn entries<'a>(
        &self,
        owner: &Address,
        process: Option<&'a DeletionProcessId>,
    ) -> Result<Vec<SealedEntry>, StoreError> {
        self.trail.entries(owner, process).await
    }

    fn identity_hash(&self, address: &Address) -> KeyedHash {
        self.trail.identity_hash(address)
    }

    fn verify_ledger_entry(&self, entry: &ErasureLedgerEntry) -> Result<(), InvalidLedgerEntry> {
        self.trail.verify_ledger_entry(entry)
    }

    fn verify(&self, chain: &Chain) -> Result<Option<Receipt>, Fault> {
        self.trail.verify(chain)
    }

    async fn verified(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Result<Loaded<DeletionProcess>, Fault>>, StoreError> {
        if processes.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.journaling.attach().await?;
        let remembered = self.journaling.remembered(processes).await?;
        let mut verified = self.trail.verified(processes).await?;
        let is_to_be_compared =
            |(id, loaded): (&DeletionProcessId, &Result<Loaded<DeletionProcess>, Fault>)| {
                let version = loaded.as_ref().ok()?.version;
                let is_known =
                    remembered.get(id).is_some_and(|known| known.ends_at(version.length, version.hash));
                (!is_known).then(|| id.clone())
            };
        let unknown: Vec<_> = verified.iter().filter_map(is_to_be_compared).collect();
        if unknown.is_empty() {
            return Ok(verified);
        }
        for (id, compared) in self.journaling.compare(&unknown).await? {
            match compared {
                Compared::Current(account) if account.newest().is_some() => {}
                // It is gone meanwhile.
                Compared::Current(_) => drop(verified.remove(&id)),
                Compared::Faulty(fault) => drop(verified.insert(id, Err(fault))),
                older @ Compared::Older(..) => {
                    let fault = older.fault(&id);
                    verified.extend(fault.map(|fault| (id, Err(fault))));
                }
            }
        }
        Ok(verified)
    }

    async fn compared_events(&self, after: Option<i64>, limit: u32) -> Result<ComparedEvents, StoreError> {
        self.trail.compared_events(after, limit).await
    }

    async fn contradictions(&self) -> Result<Vec<Fault>, StoreError> {
        self.trail.contradictions().await
    }
}
