//! The port `Holds`, where no hold is lost that the journal has.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use reprieve_domain::audit::{KeyedHash, RememberedHold};
use reprieve_domain::{Address, DeletionProcessId, Step, Timestamp};

use super::Journaling;
use crate::StoreError;
use crate::ports::{AuditTrail, HoldRecord, Holds, StoredHolds, Version};

/// Holds beside their journal: what the journal has of them and the database lacks is stored again before the answer is
/// given. So an identity that was held before the database was put back to an earlier state is held after it.
pub struct JournaledHolds {
    holds: Arc<dyn Holds>,
    audit_trail: Arc<dyn AuditTrail>,
    journaling: Journaling,
}

impl JournaledHolds {
    /// These holds, beside their journal. The audit trail knows the keyed hashes of identities.
    #[must_use]
    pub fn new(holds: Arc<dyn Holds>, audit_trail: Arc<dyn AuditTrail>, journaling: Journaling) -> Self {
        Self { holds, audit_trail, journaling }
    }
}

#[async_trait]
impl Holds for JournaledHolds {
    async fn of(&self, addresses: &[Address]) -> Result<HashMap<Address, StoredHolds>, StoreError> {
        if addresses.is_empty() {
            return Ok(HashMap::new());
        }
        let by_hash: HashMap<KeyedHash, &Address> =
            addresses.iter().map(|address| (self.audit_trail.identity_hash(address), address)).collect();
        let hashes: Vec<KeyedHash> = by_hash.keys().copied().collect();
        // The journal first: whatever it has was in the database before.
        let remembered = self.journaling.journal.holds(&hashes).await?;
        let mut stored = self.holds.of(addresses).await?;
        let mut lost = Vec::new();
        for (identity_hash, known) in remembered {
            let Some(address) = by_hash.get(&identity_hash) else { continue };
            let of_identity = stored.entry((*address).clone()).or_default();
            of_identity.is_damaged |= known.is_damaged;
            for RememberedHold { revision, hold, .. } in known.holds {
                let same = |record: &HoldRecord| record.hold.code == hold.code;
                if of_identity.records.iter().any(|record| same(record) && record.revision >= revision) {
                    continue;
                }
                of_identity.records.retain(|record| !same(record));
                let record = HoldRecord { address: (*address).clone(), hold, note: None, revision };
                of_identity.records.push(record.clone());
                lost.push(record);
            }
        }
        if !lost.is_empty() {
            tracing::warn!(holds = lost.len(), "holds that the database lacked were stored again");
            self.holds.restore(&lost).await?;
        }
        Ok(stored)
    }

    async fn list<'a>(
        &self,
        address: Option<&'a Address>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<HoldRecord>, StoreError> {
        self.holds.list(address, now, limit).await
    }

    async fn suspended_until(&self, process: &DeletionProcessId) -> Result<Option<Timestamp>, StoreError> {
        self.holds.suspended_until(process).await
    }

    async fn save<'a>(
        &self,
        record: &HoldRecord,
        replaced: Option<i64>,
        step: Option<(&'a Step, Version)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.holds.save(record, replaced, step, now).await
    }

    async fn restore(&self, records: &[HoldRecord]) -> Result<(), StoreError> {
        self.holds.restore(records).await
    }
}
