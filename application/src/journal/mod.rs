//! Comparing the database with its journal, and writing down what the journal lacks.

mod journaled_audit_trail;
mod journaled_holds;
mod journaled_switch;
mod no_journal;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reprieve_domain::audit::{Account, Fault, FaultKind, JournalEntry, Recognition, Remembered, recognise};
use reprieve_domain::{DeletionProcessId, Timestamp};

use crate::StoreError;
use crate::backoff::before;
use crate::ports::{Clock, Ids, Journal, JournalError, JournaledTrail, KnownJournal};

pub use self::journaled_audit_trail::JournaledAuditTrail;
pub use self::journaled_holds::JournaledHolds;
pub use self::journaled_switch::JournaledSwitch;
pub(crate) use self::journaled_switch::LostPause;
pub use self::no_journal::NoJournal;

/// How long entries of a process that is closed are kept, unless the configuration says something else.
pub const KEEP_JOURNAL: Duration = Duration::from_hours(24 * 800);

/// A database and its journal.
#[derive(Clone)]
pub struct Journaling {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) trail: Arc<dyn JournaledTrail>,
    pub(crate) clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    keep: Duration,
}

/// How a process and what the journal has of it compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compared {
    /// The database has all that the journal has, and now the journal has all that the database has.
    Current(Account),
    /// The database lacks what the journal has; the newest entry of that.
    Older(Account, JournalEntry),
    /// What is stored of it does not verify, or what the journal has cannot be read.
    Faulty(Fault),
}

impl Compared {
    /// What is wrong between the database and the journal. What is wrong with a chain by itself is for workers to say,
    /// which verify it.
    pub(crate) fn fault(&self, process: &DeletionProcessId) -> Option<Fault> {
        match self {
            Self::Current(_) => None,
            Self::Older(_, newest) => Some(fault(process, newest.revision, FaultKind::OlderThanJournal)),
            Self::Faulty(fault) => {
                Some(fault.clone()).filter(|fault| fault.kind == FaultKind::JournalDamaged)
            }
        }
    }
}

/// What the journal lacks.
#[derive(Default)]
struct Lacking {
    missing: Vec<JournalEntry>,
    /// Up to which step the journal has each process afterwards.
    journaled: Vec<(DeletionProcessId, i64)>,
}

impl Journaling {
    /// With its ports. Entries of a process are kept this long after it is closed.
    #[must_use]
    pub fn new(
        journal: Arc<dyn Journal>,
        trail: Arc<dyn JournaledTrail>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        keep: Duration,
    ) -> Self {
        Self { journal, trail, clock, ids, keep }
    }

    /// Makes sure that the journal is the one that the database knows. A database that knows none begins one, or takes the
    /// one that is there.
    ///
    /// # Errors
    /// If the journal is missing, is another one, or cannot be used; if the store fails.
    pub(crate) async fn attach(&self) -> Result<KnownJournal, StoreError> {
        let known = self.trail.known_journal().await?;
        let found = self.journal.id().await?;
        match (&known.id, found) {
            (Some(known_id), Some(found)) if *known_id == found => Ok(known),
            (Some(_), Some(_)) => Err(self.foreign()),
            (Some(_), None) => Err(JournalError::Missing { journal: self.journal.place() }.into()),
            (None, found) => {
                let found = match found {
                    Some(found) => found,
                    None => self.journal.begin(&self.new_id()?).await?,
                };
                if self.trail.remember_journal(&found).await? != found {
                    return Err(self.foreign());
                }
                self.trail.known_journal().await
            }
        }
    }

    /// Looks whether the journal is the one that the database knows, and makes nothing.
    ///
    /// # Errors
    /// If it is missing, is another one, or cannot be used; if the database lacks what it has; if the store fails.
    pub async fn check(&self) -> Result<(), StoreError> {
        let known = self.trail.known_journal().await?.id;
        let found = self.journal.id().await?;
        match (known, found) {
            (Some(known), Some(found)) if known == found => Ok(()),
            (Some(_), Some(_)) => Err(self.foreign()),
            (Some(_), None) => Err(JournalError::Missing { journal: self.journal.place() }.into()),
            // It is begun with the first pass.
            (None, _) => Ok(()),
        }
    }

    /// Whether the database is known to lack something that the journal has.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn is_older(&self) -> Result<bool, StoreError> {
        Ok(!self.trail.older(None, 1).await?.is_empty())
    }

    pub(crate) fn new_id(&self) -> Result<String, JournalError> {
        let bytes = self.ids.random_bytes().map_err(|error| JournalError::Unavailable {
            journal: self.journal.place(),
            source: error.into(),
        })?;
        Ok(reprieve_domain::audit::KeyedHash::from(bytes).to_string())
    }

    fn foreign(&self) -> StoreError {
        JournalError::Foreign { journal: self.journal.place() }.into()
    }

    /// Compares these processes with the journal, has the journal catch up with them, and quarantines those that it does not
    /// bear out. What neither the database nor the journal has is not in the answer.
    ///
    /// # Errors
    /// If the journal or the store fails.
    pub(crate) async fn compare(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Compared>, StoreError> {
        // The journal first: whatever it has was in the database before.
        let remembered = self.journal.remembered(processes).await?;
        let accounts = self.trail.accounts(processes).await?;
        let (compared, lacking) = self.compare_with(remembered, accounts, processes);
        if !lacking.missing.is_empty() {
            self.journal.append(&lacking.missing).await?;
        }
        if !lacking.journaled.is_empty() {
            self.trail.note_journaled(&lacking.journaled).await?;
        }
        let faults: Vec<Fault> = compared.iter().filter_map(|(id, compared)| compared.fault(id)).collect();
        if !faults.is_empty() {
            self.trail.quarantine(&faults).await?;
        }
        Ok(compared)
    }

    /// Compares these processes with the journal, and writes nothing.
    ///
    /// # Errors
    /// If the journal or the store fails.
    pub(crate) async fn look(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Compared>, StoreError> {
        let remembered = self.journal.remembered(processes).await?;
        let accounts = self.trail.accounts(processes).await?;
        Ok(self.compare_with(remembered, accounts, processes).0)
    }

    fn compare_with(
        &self,
        mut remembered: BTreeMap<DeletionProcessId, Remembered>,
        mut accounts: BTreeMap<DeletionProcessId, Result<Account, Fault>>,
        processes: &[DeletionProcessId],
    ) -> (BTreeMap<DeletionProcessId, Compared>, Lacking) {
        let closed_before = self.kept_since();
        let (mut compared, mut lacks) = (BTreeMap::new(), Lacking::default());
        for id in processes {
            let (known, account) = (remembered.remove(id), accounts.remove(id));
            if known.is_none() && account.is_none() {
                // Nothing is left of it that could be journaled.
                lacks.journaled.push((id.clone(), i64::MAX));
                continue;
            }
            let found = match account.transpose() {
                Err(fault) => Compared::Faulty(fault),
                Ok(account) => {
                    let account = account.unwrap_or_default();
                    match recognise(&account, &known.unwrap_or_default()) {
                        Recognition::Older { newest } => Compared::Older(account, newest),
                        Recognition::Unknown => Compared::Faulty(fault(id, 0, FaultKind::JournalDamaged)),
                        Recognition::Current { missing: lacking } => {
                            // What was closed so long ago is not kept any more.
                            let is_over = account
                                .newest()
                                .and_then(JournalEntry::closed_at)
                                .is_some_and(|at| at < closed_before);
                            lacks.missing.extend(lacking.into_iter().filter(|_| !is_over));
                            let newest = account.newest().map_or(i64::MAX, |newest| newest.revision);
                            lacks.journaled.push((id.clone(), newest));
                            Compared::Current(account)
                        }
                    }
                }
            };
            compared.insert(id.clone(), found);
        }
        (compared, lacks)
    }

    /// What was closed before is not kept.
    pub(crate) fn kept_since(&self) -> Timestamp {
        before(self.clock.now(), self.keep)
    }

    pub(crate) async fn remembered(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Remembered>, StoreError> {
        Ok(self.journal.remembered(processes).await?)
    }
}

pub(crate) fn fault(process: &DeletionProcessId, sequence: i64, kind: FaultKind) -> Fault {
    Fault { process_id: process.to_string(), sequence, kind }
}
