//! Deleting again what came back with a backup.

use std::collections::HashMap;
use std::sync::Arc;

use reprieve_domain::audit::{ErasureLedgerEntry, KeyedHash};
use reprieve_domain::{
    Address, DeletionProcessId, DeviceId, GracePeriod, Identity, InitiateError, InvalidId,
    StartDeletionError, Status, Timestamp,
};

use super::{RipeProcess, StartIdentityDeletion, StartIdentityDeletionError};
use crate::decide::{Reason, decide};
use crate::ports::{
    AuditTrail, Clock, DeletionProcesses, ErasureLedger, Identities, Ids, LedgerContent, LedgerError,
    RandomSourceFailed,
};
use crate::{Coded, Erasers, ErrorCode, Failure, StoreError};

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
    /// Nothing yet: its deletion, in this process, has not come to its end. An eraser that has acknowledged already is
    /// not asked again; whatever came back there is found once the deletion is complete.
    StillDeleting(DeletionProcessId),
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
    /// How many identities it failed for. They held up nobody else.
    pub failed: u64,
    /// Why the first of them failed.
    pub first_failure: Option<Failure>,
    /// The lines of the ledger that nobody with the audit key wrote. They are left out.
    pub damaged: Vec<usize>,
}

/// Addresses that are known to be there in other places, whose backup was restored.
pub struct Elsewhere<I> {
    /// The addresses.
    pub addresses: I,
    /// When the backup was taken. Who was deleted before is not in it: if they are there, they came back by themselves.
    pub backup_taken_at: Timestamp,
}

/// Why a replay ended early, or why it failed for one identity.
#[derive(Debug, thiserror::Error)]
pub enum ReplayLedgerError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
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

    /// Compares everything that is stored with the ledger, and what is there `elsewhere`. What came back is deleted again,
    /// unless nothing is to be changed (`only_look`). What fails for one identity is reported and holds up no other.
    ///
    /// # Errors
    /// If the ledger cannot be read, or the store fails as a whole. What was started until then stays started.
    pub async fn execute<I: IntoIterator<Item = String> + Send>(
        &self,
        elsewhere: Option<Elsewhere<I>>,
        only_look: bool,
    ) -> Result<Replayed, ReplayLedgerError>
    where
        I::IntoIter: Send,
    {
        let LedgerContent { entries, mut damaged } = self.ledger.content().await?;
        let mut newest: HashMap<KeyedHash, ErasureLedgerEntry> = HashMap::new();
        for (line, entry) in entries {
            if self.audit_trail.verify_ledger_entry(&entry).is_err() {
                damaged.push(line);
                continue;
            }
            let known = newest.entry(entry.identity_hash).or_insert_with(|| entry.clone());
            // Ledgers of several instances may have been put together in any order.
            if entry.deletion_started_at > known.deletion_started_at {
                *known = entry;
            }
        }
        damaged.sort_unstable();
        let mut replayed = Replayed { in_ledger: newest.len() as u64, damaged, ..Replayed::default() };
        let mut after = None;
        loop {
            let page = self.processes.addresses(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            for text in page {
                let compared = self.compare(&text, &newest, None, only_look).await;
                replayed.note(compared);
            }
        }
        if let Some(Elsewhere { addresses, backup_taken_at }) = elsewhere {
            for text in addresses {
                let compared = self.compare(text.trim(), &newest, Some(backup_taken_at), only_look).await;
                replayed.note(compared);
            }
        }
        Ok(replayed)
    }

    /// Compares one address. Where it is from elsewhere, the backup that it came from is of the instant that is named.
    async fn compare(
        &self,
        text: &str,
        entries: &HashMap<KeyedHash, ErasureLedgerEntry>,
        backup_taken_at: Option<Timestamp>,
        only_look: bool,
    ) -> Result<Compared, ReplayLedgerError> {
        let Ok(address) = text.parse::<Address>() else { return Ok(Compared::NotAnAddress) };
        let Some(entry) = entries.get(&self.audit_trail.identity_hash(&address)) else {
            return Ok(Compared::LeftAlone);
        };
        if backup_taken_at.is_some_and(|taken_at| entry.deletion_started_at < taken_at) {
            return Ok(Compared::LeftAlone);
        }
        let processes = self.processes.list(&address).await?;
        // Deleted and not yet removed: the deletion is still coming to its end.
        let is_ending = processes.iter().any(|process| process.status() == Status::Deleted);
        // Whoever has asked for something after their deletion came back by themselves, and is somebody new.
        let newer = processes.iter().rfind(|process| process.created_at() > entry.deletion_started_at);
        let identity = self.identities.load(&address).await?.value;
        let action = match (identity.open_process(), newer) {
            (Some(open), _) if open.status() == Status::Deleting => {
                if backup_taken_at.is_none() {
                    // As it should be.
                    return Ok(Compared::LeftAlone);
                }
                ReplayAction::StillDeleting(open.id().clone())
            }
            // What was asked for since has a deadline of its own, which is kept.
            (Some(_), Some(_)) if backup_taken_at.is_none() => return Ok(Compared::LeftAlone),
            (Some(open), _) if !open.is_ripe(self.clock.now()) => {
                ReplayAction::NewGracePeriodRuns(open.id().clone())
            }
            (_, Some(_)) => return Ok(Compared::LeftAlone),
            (None, None) if is_ending => return Ok(Compared::LeftAlone),
            _ if only_look => ReplayAction::Found,
            _ => ReplayAction::Started(self.delete(&identity, entry).await?),
        };
        Ok(Compared::CameBack(CameBack { address, deleted_in: entry.process_id.clone(), action }))
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
        let step = decide(self.identities.as_ref(), address, Reason::Asked, |identity| {
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
        let start =
            StartIdentityDeletion::new(self.audit_trail.clone(), self.identities.clone(), self.clock.clone());
        let ripe = RipeProcess { address, process_id };
        match start.execute(&ripe, &self.erasers.names()).await {
            // Somebody who starts what is due was faster; it is what was wanted.
            Ok(_)
            | Err(StartIdentityDeletionError::Refused(StartDeletionError::NotActive {
                status: Status::Deleting | Status::Deleted,
            })) => Ok(ripe.process_id),
            Err(error) => Err(error.into()),
        }
    }
}

/// What comparing one address came to.
enum Compared {
    NotAnAddress,
    LeftAlone,
    CameBack(CameBack),
}

impl Replayed {
    fn note(&mut self, compared: Result<Compared, ReplayLedgerError>) {
        self.compared += 1;
        match compared {
            Ok(Compared::NotAnAddress) => self.not_an_address += 1,
            Ok(Compared::LeftAlone) => {}
            Ok(Compared::CameBack(came_back)) => self.came_back.push(came_back),
            Err(error) => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| error.into());
            }
        }
    }
}
