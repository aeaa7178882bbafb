//! Doing again what a database has lost that was put back to an earlier state.

mod deleted;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use reprieve_domain::audit::{Account, JournalEntry, KeyedHash, Restoration, restoration};
use reprieve_domain::{
    Address, CancelError, DeletionProcessId, DeviceId, EraserName, GracePeriod, InitiateError, InvalidId,
    Status, Timestamp,
};

use super::{KeepJournal, StartIdentityDeletionError};
use crate::decide::{Reason, decide};
use crate::journal::{Compared, Journaling, LostPause};
use crate::ports::{AuditTrail, Clock, DeletionProcesses, Identities, Ids, RandomSourceFailed};
use crate::{Coded, ErrorCode, Failure, StoreError};

/// How many addresses or entries are read at once.
const PAGE: u32 = 1000;

/// The device of a step that is done again. The journal does not remember which device took it first.
const NO_DEVICE: &str = "DVC00000000000000000";

/// How long at least an identity can cancel a request that is made again.
const TIME_TO_CANCEL: i64 = 7 * 86_400_000_000;

/// Compares the database with its journal, and does again what the database has lost: deletions that had started,
/// cancellations, and requests of identities that are named. What was decided is journaled.
pub struct ReplayJournal {
    keep: KeepJournal,
    journaling: Journaling,
    audit_trail: Arc<dyn AuditTrail>,
    processes: Arc<dyn DeletionProcesses>,
    identities: Arc<dyn Identities>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    erasers: BTreeSet<EraserName>,
}

/// The ports of [`ReplayJournal`], which has too many to tell apart by position.
pub struct ReplayJournalPorts {
    /// The database and its journal, which is to have caught up first.
    pub keep: KeepJournal,
    /// The audit trail by itself: what the journal does not bear out is what this is about.
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

/// A deleted identity that came back.
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

/// A process that had been cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelledAgain {
    /// The identity.
    pub address: Address,
    /// The process.
    pub process_id: DeletionProcessId,
}

/// A request that the database has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRequest {
    /// The process that it had begun.
    pub process_id: DeletionProcessId,
    /// The identity, if it was named.
    pub address: Option<Address>,
    /// When the deletion was asked for.
    pub created_at: Timestamp,
    /// The end of the grace period that was promised.
    pub grace_period_ends_at: Timestamp,
    /// The process in which it was made again.
    pub made_again: Option<DeletionProcessId>,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Whether the database lacked a pause of deletions, which is stored again unless nothing was to be changed.
    pub lacked_pause: bool,
    /// How many processes the journal has.
    pub in_journal: u64,
    /// Of how many identities the journal has a deletion that had started.
    pub deleted: u64,
    /// How many addresses were compared with it.
    pub compared: u64,
    /// How many of them are none.
    pub not_an_address: u64,
    /// Deleted identities that came back.
    pub came_back: Vec<CameBack>,
    /// Processes that had been cancelled and were not.
    pub cancelled_again: Vec<CancelledAgain>,
    /// How many processes lack something that makes no difference, or are gone with their identity.
    pub accepted: u64,
    /// Requests that the database has lost.
    pub lost: Vec<LostRequest>,
    /// Processes of which journal and database contradict each other. They stay quarantined.
    pub contradictions: Vec<DeletionProcessId>,
    /// How many identities it failed for. They held up no other.
    pub failed: u64,
    /// Why the first of them failed.
    pub first_failure: Option<Failure>,
    /// The entries of the journal that cannot be read or are not sealed, by their places. They are left out.
    pub damaged: Vec<i64>,
}

/// Addresses that are known in other places.
pub struct Elsewhere<I> {
    /// The addresses.
    pub addresses: I,
    /// When the backup was taken that was restored in those places, if one was. An identity that was deleted before is not in
    /// it: if it is there, it came back by itself.
    pub backup_taken_at: Option<Timestamp>,
}

/// Why a replay ended early, or why it failed for one identity.
#[derive(Debug, thiserror::Error)]
pub enum ReplayJournalError {
    /// The store or the journal failed.
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
    /// It could not be cancelled again.
    #[error(transparent)]
    Cancel(#[from] CancelError),
    /// The device that stands in for an unknown one is invalid.
    #[error(transparent)]
    Device(#[from] InvalidId),
}

impl Coded for ReplayJournalError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Random(error) => error.code(),
            Self::Start(error) => error.code(),
            Self::Initiate(_) | Self::Cancel(_) => ErrorCode::DatabaseConflict,
            Self::Device(_) => ErrorCode::SystemFailed,
        }
    }
}

/// What the journal has, as far as a replay needs it.
#[derive(Default)]
struct Remembrance {
    /// The newest entry of every process, by identity.
    by_identity: HashMap<KeyedHash, Vec<JournalEntry>>,
    /// The processes of which the database lacks something.
    older: Vec<(Account, JournalEntry)>,
}

impl Remembrance {
    /// The newest deletion of this identity that had started.
    fn deletion(&self, identity: &KeyedHash) -> Option<&JournalEntry> {
        let entries = self.by_identity.get(identity)?;
        entries.iter().filter(|entry| entry.has_started()).max_by_key(|entry| entry.dates.deletion_started_at)
    }

    /// Whether the identity has asked for something after this deletion had started.
    fn has_asked_since(&self, deletion: &JournalEntry) -> bool {
        let since = deletion.dates.deletion_started_at;
        let entries = self.by_identity.get(&deletion.identity_hash);
        entries.is_some_and(|entries| entries.iter().any(|entry| Some(entry.dates.created_at) > since))
    }
}

impl ReplayJournal {
    /// With its ports; each of the erasers must acknowledge before an identity counts as deleted again.
    #[must_use]
    pub fn new(ports: ReplayJournalPorts, erasers: BTreeSet<EraserName>) -> Self {
        let ReplayJournalPorts { keep, audit_trail, processes, identities, clock, ids } = ports;
        let journaling = keep.journaling.clone();
        Self { keep, journaling, audit_trail, processes, identities, clock, ids, erasers }
    }

    /// Compares everything with the journal, and the addresses that are known `elsewhere`, unless nothing is to be changed
    /// (`only_look`). What fails for one identity is reported and holds up no other.
    ///
    /// # Errors
    /// If the journal is missing, is another one or cannot be read, or the store fails as a whole. What was done until then
    /// stays done.
    pub async fn execute<I: IntoIterator<Item = String> + Send>(
        &self,
        elsewhere: Option<Elsewhere<I>>,
        only_look: bool,
    ) -> Result<Replayed, ReplayJournalError>
    where
        I::IntoIter: Send,
    {
        if only_look {
            self.journaling.check().await?;
        } else {
            self.keep.execute().await?;
        }
        let mut replayed =
            Replayed { lacked_pause: self.restore_pause(only_look).await?, ..Replayed::default() };
        let remembrance = self.remember(&mut replayed, only_look).await?;
        let wanted: BTreeSet<[u8; 32]> =
            remembrance.older.iter().map(|(_, newest)| *newest.identity_hash.as_bytes()).collect();
        let mut addresses: BTreeMap<[u8; 32], Address> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.processes.addresses(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            for text in &page {
                self.know(text, &wanted, &mut addresses, &mut replayed);
            }
        }
        let stored: BTreeSet<[u8; 32]> = addresses.keys().copied().collect();
        let mut named: BTreeSet<[u8; 32]> = BTreeSet::new();
        if let Some(Elsewhere { addresses: texts, backup_taken_at }) = elsewhere {
            for text in texts {
                let text = text.trim();
                let Some(address) = self.know(text, &wanted, &mut addresses, &mut replayed) else { continue };
                named.insert(*self.audit_trail.identity_hash(&address).as_bytes());
                if let Some(backup_taken_at) = backup_taken_at {
                    let compared =
                        self.compare_elsewhere(&address, &remembrance, backup_taken_at, only_look).await;
                    match compared {
                        Ok(came_back) => replayed.came_back.extend(came_back),
                        Err(error) => replayed.failed_for(error),
                    }
                }
            }
        }
        let mut decided = Vec::new();
        for (account, newest) in &remembrance.older {
            let known = addresses.get(newest.identity_hash.as_bytes());
            let is_stored = stored.contains(newest.identity_hash.as_bytes());
            let is_named = named.contains(newest.identity_hash.as_bytes());
            let older = Older { account, newest, address: known, is_stored, is_named };
            match self.restore(&older, &remembrance, only_look, &mut replayed).await {
                Ok(true) if !only_look => {
                    self.decide(&older).await?;
                    decided.push(newest.process_id.clone());
                }
                Ok(_) => {}
                Err(error) => replayed.failed_for(error),
            }
        }
        self.journaling.trail.note_current(&decided).await?;
        Ok(replayed)
    }

    /// Stores a pause of deletions again that the database lacks, before any deletion starts again; returns whether it lacked
    /// one.
    async fn restore_pause(&self, only_look: bool) -> Result<bool, StoreError> {
        let lost = self.journaling.lost_pause().await?;
        if let (Some(LostPause::Setting(change)), false) = (&lost, only_look) {
            self.journaling.trail.restore_pause(change).await?;
        }
        Ok(matches!(lost, Some(LostPause::Setting(_))))
    }

    /// Reads all of the journal.
    async fn remember(
        &self,
        replayed: &mut Replayed,
        only_look: bool,
    ) -> Result<Remembrance, ReplayJournalError> {
        let mut remembrance = Remembrance::default();
        let (mut after, mut seen) = (0, BTreeSet::new());
        loop {
            let page = self.journaling.journal.page(after, PAGE).await.map_err(StoreError::from)?;
            let Some(last) = page.last else { break };
            after = last;
            replayed.damaged.extend(page.damaged);
            let new: Vec<_> = page.processes.into_iter().filter(|id| seen.insert(id.clone())).collect();
            let remembered = self.journaling.remembered(&new).await?;
            for newest in remembered.values().filter_map(|known| known.newest()) {
                remembrance.by_identity.entry(newest.identity_hash).or_default().push(newest.clone());
            }
            let compared = if only_look {
                self.journaling.look(&new).await?
            } else {
                self.journaling.compare(&new).await?
            };
            for compared in compared.into_values() {
                match compared {
                    Compared::Older(account, newest) => remembrance.older.push((account, newest)),
                    Compared::Current(_) => {}
                    Compared::Faulty(fault) => replayed.failed_for(StoreError::Quarantined(fault).into()),
                }
            }
        }
        remembrance.older.sort_by_key(|(_, newest)| newest.dates.created_at);
        replayed.in_journal = seen.len() as u64;
        let deleted = remembrance.by_identity.values();
        replayed.deleted =
            deleted.filter(|entries| entries.iter().any(JournalEntry::has_started)).count() as u64;
        Ok(remembrance)
    }

    /// Counts an address, and keeps it if it is one of those that are looked for.
    fn know(
        &self,
        text: &str,
        wanted: &BTreeSet<[u8; 32]>,
        addresses: &mut BTreeMap<[u8; 32], Address>,
        replayed: &mut Replayed,
    ) -> Option<Address> {
        replayed.compared += 1;
        let Ok(address) = text.parse::<Address>() else {
            replayed.not_an_address += 1;
            return None;
        };
        let hash = *self.audit_trail.identity_hash(&address).as_bytes();
        if wanted.contains(&hash) {
            addresses.insert(hash, address.clone());
        }
        Some(address)
    }

    /// Does again what a process has lost; returns whether that settles it.
    async fn restore(
        &self,
        older: &Older<'_>,
        remembrance: &Remembrance,
        only_look: bool,
        replayed: &mut Replayed,
    ) -> Result<bool, ReplayJournalError> {
        let newest = older.newest;
        match restoration(older.account, newest) {
            // Its erasers would be asked again about an identity that has come back since.
            Restoration::Accept if older.is_deleting() && remembrance.has_asked_since(newest) => {
                replayed.contradictions.push(newest.process_id.clone());
                Ok(false)
            }
            Restoration::Accept => {
                replayed.accepted += 1;
                Ok(true)
            }
            Restoration::CancelAgain(cancelled_at) => {
                self.cancel_again(older, cancelled_at, only_look, replayed).await
            }
            // The process is of the life before; whatever was asked for since counts.
            Restoration::DeleteAgain
                if older.account.newest().is_some() && remembrance.has_asked_since(newest) =>
            {
                self.cancel_again(older, newest.dates.created_at, only_look, replayed).await
            }
            Restoration::DeleteAgain => match older.address.filter(|_| older.is_stored) {
                Some(address) if !remembrance.has_asked_since(newest) => {
                    let came_back = self.delete_again(address, newest, None, only_look).await?;
                    if came_back.is_none() {
                        replayed.accepted += 1;
                    }
                    replayed.came_back.extend(came_back);
                    Ok(true)
                }
                Some(_) | None => {
                    replayed.accepted += 1;
                    Ok(true)
                }
            },
            Restoration::RequestLost => self.request_again(older, only_look, replayed).await,
            Restoration::Contradiction => {
                replayed.contradictions.push(newest.process_id.clone());
                Ok(false)
            }
        }
    }

    async fn cancel_again(
        &self,
        older: &Older<'_>,
        cancelled_at: Timestamp,
        only_look: bool,
        replayed: &mut Replayed,
    ) -> Result<bool, ReplayJournalError> {
        let id = &older.newest.process_id;
        let mut verified = self.audit_trail.verified(std::slice::from_ref(id)).await?;
        let loaded = verified.remove(id).transpose().map_err(StoreError::Quarantined)?;
        let address = loaded.ok_or(StoreError::Conflict)?.value.address().clone();
        if !only_look {
            let stand_in: DeviceId = NO_DEVICE.parse()?;
            let restored = decide(self.identities.as_ref(), &address, Reason::Asked, |identity| {
                let now = self.clock.now();
                Ok::<_, ReplayJournalError>(identity.restore_cancellation(
                    id,
                    cancelled_at,
                    stand_in.clone(),
                    now,
                )?)
            });
            restored.await.map(drop)?;
        }
        replayed.cancelled_again.push(CancelledAgain { address, process_id: id.clone() });
        Ok(true)
    }

    /// Makes a request again if its identity is named, with time to cancel it. An identity that has a newer process has asked
    /// again by itself.
    async fn request_again(
        &self,
        older: &Older<'_>,
        only_look: bool,
        replayed: &mut Replayed,
    ) -> Result<bool, ReplayJournalError> {
        let newest = older.newest;
        let dates = newest.dates;
        let mut lost = LostRequest {
            process_id: newest.process_id.clone(),
            address: older.address.cloned(),
            created_at: dates.created_at,
            grace_period_ends_at: dates.grace_period_ends_at,
            made_again: None,
        };
        if let Some(address) = older.address {
            let processes = self.processes.list(address).await?;
            if processes.iter().any(|process| process.created_at() > dates.created_at) {
                replayed.accepted += 1;
                return Ok(true);
            }
            let is_open = self.identities.load(address).await?.value.open_process().is_some();
            if !only_look && !is_open && older.is_named {
                let now = self.clock.now();
                let in_time = now.checked_add_micros(TIME_TO_CANCEL).ok_or(InitiateError::BeyondCalendar)?;
                let ends_at = dates.grace_period_ends_at.max(in_time);
                lost.made_again = Some(self.initiate_again(address, dates.created_at, ends_at).await?);
            }
        }
        let is_settled = lost.made_again.is_some();
        replayed.lost.push(lost);
        Ok(is_settled)
    }

    async fn initiate_again(
        &self,
        address: &Address,
        created_at: Timestamp,
        ends_at: Timestamp,
    ) -> Result<DeletionProcessId, ReplayJournalError> {
        let id = self.ids.deletion_process_id()?;
        let device: DeviceId = NO_DEVICE.parse()?;
        let length = GracePeriod::between(created_at, ends_at).ok_or(InitiateError::BeyondCalendar)?;
        let step = decide(self.identities.as_ref(), address, Reason::Asked, |identity| {
            Ok::<_, ReplayJournalError>(identity.initiate(id.clone(), device.clone(), length, created_at)?)
        })
        .await?;
        Ok(step.process().id().clone())
    }

    /// Journals that what is stored now is right.
    async fn decide(&self, older: &Older<'_>) -> Result<(), ReplayJournalError> {
        let id = &older.newest.process_id;
        let mut accounts = self.journaling.trail.accounts(std::slice::from_ref(id)).await?;
        let account = accounts.remove(id).transpose().map_err(StoreError::Quarantined)?.unwrap_or_default();
        let decision = account.decision(older.newest);
        self.journaling.journal.append(&[decision]).await.map_err(StoreError::from)?;
        Ok(())
    }
}

/// A process of which the database lacks something.
struct Older<'a> {
    account: &'a Account,
    newest: &'a JournalEntry,
    address: Option<&'a Address>,
    /// Whether anything of the identity is stored.
    is_stored: bool,
    /// Whether the identity was named.
    is_named: bool,
}

impl Older<'_> {
    fn is_deleting(&self) -> bool {
        self.account.newest().is_some_and(|stored| stored.status == Status::Deleting)
    }
}

impl Replayed {
    fn failed_for(&mut self, error: ReplayJournalError) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| error.into());
    }
}
