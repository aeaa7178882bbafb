//! Deleting again what came back with a backup.

use std::collections::HashMap;
use std::sync::Arc;

use reprieve_domain::audit::{ErasureLedgerEntry, InvalidLedgerEntry, KeyedHash};
use reprieve_domain::{
    Address, DeletionProcessId, DeviceId, GracePeriod, Identity, InitiateError, InvalidId, Status,
};

use super::{RipeProcess, StartIdentityDeletion, StartIdentityDeletionError};
use crate::decide::decide;
use crate::ports::{
    AuditTrail, Clock, DeletionProcesses, ErasureLedger, Identities, Ids, LedgerError, RandomSourceFailed,
};
use crate::{Coded, Erasers, ErrorCode, StoreError};

/// How many addresses are read at once.
const PAGE: u32 = 1000;

/// The device that a process has which is made again from the ledger. No device asked for this one, and the ledger does
/// not name the one that asked for the first.
const NO_DEVICE: &str = "DVC00000000000000000";

/// Finds identities that the erasure ledger has and that are there all the same, and deletes them again.
pub struct ReplayLedger {
    ledger: Arc<dyn ErasureLedger>,
    audit_trail: Arc<dyn AuditTrail>,
    processes: Arc<dyn DeletionProcesses>,
    identities: Arc<dyn Identities>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    erasers: Erasers,
}

/// The ports of [`ReplayLedger`], which has too many to tell apart by position.
pub struct ReplayLedgerPorts {
    /// The ledger.
    pub ledger: Arc<dyn ErasureLedger>,
    /// The audit trail, whose key the ledger is sealed with.
    pub audit_trail: Arc<dyn AuditTrail>,
    /// What is stored.
    pub processes: Arc<dyn DeletionProcesses>,
    /// The aggregate.
    pub identities: Arc<dyn Identities>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// An identity that is in the ledger and came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameBack {
    /// The identity.
    pub address: Address,
    /// The process in which it was deleted, or was about to be.
    pub deleted_in: DeletionProcessId,
    /// What was done about it.
    pub action: ReplayAction,
}

/// What was done about an identity that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayAction {
    /// Nothing, because nothing was to be changed.
    Found,
    /// Its deletion has started again, in this process.
    Started(DeletionProcessId),
    /// Nothing: it has a newer process whose grace period runs.
    NewGracePeriodRuns(DeletionProcessId),
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replayed {
    /// How many identities the ledger has.
    pub in_ledger: u64,
    /// How many addresses were compared with it.
    pub compared: u64,
    /// How many of them are none.
    pub not_an_address: u64,
    /// Those that came back.
    pub came_back: Vec<CameBack>,
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayLedgerError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Somebody without the audit key has written into the ledger, or it belongs to another deployment.
    #[error("the erasure ledger cannot be trusted")]
    NotSealed(#[from] InvalidLedgerEntry),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no randomness to be had.
    #[error(transparent)]
    Random(#[from] RandomSourceFailed),
    /// The deletion did not start.
    #[error(transparent)]
    Start(#[from] StartIdentityDeletionError),
    /// No process could be made.
    #[error(transparent)]
    Initiate(#[from] InitiateError),
    /// The device that stands for none is none.
    #[error(transparent)]
    Device(#[from] InvalidId),
}

impl Coded for ReplayLedgerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Ledger(error) => error.code(),
            Self::NotSealed(_) => ErrorCode::LedgerCorrupt,
            Self::Store(error) => error.code(),
            Self::Random(error) => error.code(),
            Self::Start(error) => error.code(),
            Self::Initiate(_) => ErrorCode::DatabaseConflict,
            Self::Device(_) => ErrorCode::SystemFailed,
        }
    }
}

impl ReplayLedger {
    /// With its ports; each of the erasers must acknowledge before an identity counts as deleted again.
    #[must_use]
    pub fn new(ports: ReplayLedgerPorts, erasers: Erasers) -> Self {
        let ReplayLedgerPorts { ledger, audit_trail, processes, identities, clock, ids } = ports;
        Self { ledger, audit_trail, processes, identities, clock, ids, erasers }
    }

    /// Compares everything that is stored with the ledger, and `elsewhere`: addresses that are known to be there in other
    /// places. What came back is deleted again, unless nothing is to be changed (`only_look`).
    ///
    /// # Errors
    /// If the ledger cannot be read or trusted, or the store fails. What was started until then stays started.
    pub async fn execute(
        &self,
        elsewhere: impl IntoIterator<Item = String> + Send,
        only_look: bool,
    ) -> Result<Replayed, ReplayLedgerError> {
        let mut entries: HashMap<KeyedHash, ErasureLedgerEntry> = HashMap::new();
        for entry in self.ledger.entries().await? {
            self.audit_trail.verify_ledger_entry(&entry)?;
            entries.insert(entry.identity_hash, entry);
        }
        let mut replayed = Replayed { in_ledger: entries.len() as u64, ..Replayed::default() };
        let mut after = None;
        loop {
            let page = self.processes.addresses(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            for text in page {
                self.compare(&text, &entries, Source::Store, only_look, &mut replayed).await?;
            }
        }
        for text in elsewhere {
            self.compare(text.trim(), &entries, Source::Elsewhere, only_look, &mut replayed).await?;
        }
        Ok(replayed)
    }

    async fn compare(
        &self,
        text: &str,
        entries: &HashMap<KeyedHash, ErasureLedgerEntry>,
        source: Source,
        only_look: bool,
        replayed: &mut Replayed,
    ) -> Result<(), ReplayLedgerError> {
        replayed.compared += 1;
        let Ok(address) = text.parse::<Address>() else {
            replayed.not_an_address += 1;
            return Ok(());
        };
        let Some(entry) = entries.get(&self.audit_trail.identity_hash(&address)) else { return Ok(()) };
        if source == Source::Store && !self.is_from_before(&address, entry).await? {
            return Ok(());
        }
        let identity = self.identities.load(&address).await?.value;
        let open = identity.open_process();
        if open.is_some_and(|process| process.status() == Status::Deleting) {
            // As it should be.
            return Ok(());
        }
        let action = match open.filter(|process| !process.is_ripe(self.clock.now())) {
            Some(newer) => ReplayAction::NewGracePeriodRuns(newer.id().clone()),
            None if only_look => ReplayAction::Found,
            None => ReplayAction::Started(self.delete(&identity, entry).await?),
        };
        replayed.came_back.push(CameBack { address, deleted_in: entry.process_id.clone(), action });
        Ok(())
    }

    /// Whether what is stored of an identity is older than its deletion. Somebody who came back by themselves afterwards
    /// is somebody new.
    async fn is_from_before(
        &self,
        address: &Address,
        entry: &ErasureLedgerEntry,
    ) -> Result<bool, ReplayLedgerError> {
        let processes = self.processes.list(address).await?;
        // Deleted and not yet removed: the deletion is still coming to its end.
        let is_ending = processes.iter().any(|process| process.status() == Status::Deleted);
        let is_newer =
            |process: &reprieve_domain::DeletionProcess| process.created_at() > entry.deletion_started_at;
        Ok(!is_ending && (processes.is_empty() || !processes.iter().all(is_newer)))
    }

    async fn initiate_again(
        &self,
        address: &Address,
        entry: &ErasureLedgerEntry,
    ) -> Result<DeletionProcessId, ReplayLedgerError> {
        let id = self.ids.deletion_process_id()?;
        let device: DeviceId = NO_DEVICE.parse()?;
        let length = GracePeriod::between(entry.created_at, entry.grace_period_ends_at)
            .ok_or(InitiateError::BeyondCalendar)?;
        let step = decide(self.identities.as_ref(), address, None, |identity| {
            Ok::<_, ReplayLedgerError>(identity.initiate(
                id.clone(),
                device.clone(),
                length,
                entry.created_at,
            )?)
        })
        .await?;
        Ok(step.process().id().clone())
    }

    /// Starts the deletion of the open process, or of one with the dates of the one that the backup does not have.
    async fn delete(
        &self,
        identity: &Identity,
        entry: &ErasureLedgerEntry,
    ) -> Result<DeletionProcessId, ReplayLedgerError> {
        let address = identity.address().clone();
        let process_id = match identity.open_process() {
            Some(process) => process.id().clone(),
            None => self.initiate_again(&address, entry).await?,
        };
        let start = StartIdentityDeletion::new(self.identities.clone(), self.clock.clone());
        let ripe = RipeProcess { address, process_id };
        start.execute(&ripe, &self.erasers.names()).await?;
        Ok(ripe.process_id)
    }
}

/// Where an address was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Store,
    Elsewhere,
}
