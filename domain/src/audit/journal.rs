//! One entry of the journal: what a deployment remembers of a process outside its database.

use super::canonical::Canonical;
use super::{
    AuditKey, AuditedAction, Chain, ErasureLedgerEntry, Fault, KeyedHash, SealedEntry, StoredProcess, Subject,
};
use crate::{DeletionProcessId, Status, Timestamp};

/// What a process was after one of its steps, or what was decided about it. A journal keeps it outside the database with
/// the seal that [`AuditKey::journal_seal`] makes, so that a database that was put back to an earlier state is recognised.
/// The identity is in it as a keyed hash only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// The process.
    pub process_id: DeletionProcessId,
    /// The identity, as a keyed hash.
    pub identity_hash: KeyedHash,
    /// What the entry is about.
    pub kind: JournalKind,
    /// How often it was decided before that the database is right although it lacks what the journal had: such a decision
    /// begins a branch, and only the entries of the last branch count.
    pub branch: i64,
    /// The place of the step in the audit chain of the process, from 1; 0 if the database need not have the process.
    pub revision: i64,
    /// The hash of the audit entry of the step; of no meaning at revision 0.
    pub entry_hash: KeyedHash,
    /// The status after the step.
    pub status: Status,
    /// What is known of its dates after the step.
    pub dates: JournalDates,
}

/// What an entry of the journal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JournalKind {
    /// The deletion has started, as a line of an erasure ledger says, which names no audit entry.
    Ledger,
    /// A step.
    Step,
    /// It was decided that the database is right.
    Decision,
    /// Everything about the process was forgotten, because its time was over.
    Forgotten,
}

/// The dates of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalDates {
    /// When the deletion was asked for.
    pub created_at: Timestamp,
    /// The end of the grace period that was promised.
    pub grace_period_ends_at: Timestamp,
    /// Until when the deletion is suspended.
    pub suspended_until: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// When the deletion started.
    pub deletion_started_at: Option<Timestamp>,
    /// When it ended.
    pub deletion_completed_at: Option<Timestamp>,
}

/// What a database says of one process: an entry for each of its steps, in their order. Nothing if it does not have the
/// process. Of a process that does not verify only a cancellation by its owner is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    pub(super) entries: Vec<JournalEntry>,
    /// Whether steps before these are not there although there were some.
    pub(super) is_partial: bool,
}

impl JournalKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Ledger, Self::Step, Self::Decision, Self::Forgotten];

    /// As it is written. It never changes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Step => "step",
            Self::Decision => "decision",
            Self::Forgotten => "forgotten",
        }
    }

    /// The one that is written like this.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl JournalEntry {
    /// When the process was closed; none if it is open, or if it is closed and that is not known.
    #[must_use]
    pub fn closed_at(&self) -> Option<Timestamp> {
        let JournalDates { cancelled_at, deletion_started_at, deletion_completed_at, .. } = self.dates;
        let of_gone =
            || deletion_started_at.filter(|_| self.kind == JournalKind::Ledger || self.revision == 0);
        match self.status {
            Status::Active => None,
            Status::Cancelled => cancelled_at,
            Status::Deleting | Status::Deleted => deletion_completed_at.or_else(of_gone),
        }
    }

    /// Whether the deletion has started.
    #[must_use]
    pub fn has_started(&self) -> bool {
        matches!(self.status, Status::Deleting | Status::Deleted)
    }
}

impl Account {
    /// Of each step, in their order.
    #[must_use]
    pub fn entries(&self) -> &[JournalEntry] {
        &self.entries
    }

    /// Of the newest step; none if the database does not have the process.
    #[must_use]
    pub fn newest(&self) -> Option<&JournalEntry> {
        self.entries.last()
    }
}

impl AuditKey {
    /// The keyed hash over all of an entry: without the audit key, none can be made up.
    #[must_use]
    pub fn journal_seal(&self, entry: &JournalEntry) -> KeyedHash {
        let JournalEntry { process_id, identity_hash, kind, branch, revision, entry_hash, status, dates } =
            entry;
        let content = Canonical::new("journal")
            .text(kind.as_str())
            .text(process_id.as_str())
            .bytes(identity_hash.as_bytes())
            .number(*branch)
            .number(*revision)
            .bytes(entry_hash.as_bytes())
            .text(status.as_str())
            .number(dates.created_at.unix_micros())
            .number(dates.grace_period_ends_at.unix_micros());
        let optional = [
            dates.suspended_until,
            dates.cancelled_at,
            dates.deletion_started_at,
            dates.deletion_completed_at,
        ];
        let content = optional.into_iter().fold(content, |content, at| {
            content.optional(at.map(|at| at.unix_micros().to_be_bytes()).as_ref().map(<[u8; 8]>::as_slice))
        });
        self.chain_hash(&content)
    }

    /// The seal of the id by which a journal and its database know each other.
    #[must_use]
    pub fn journal_id_seal(&self, id: &str) -> KeyedHash {
        self.chain_hash(&Canonical::new("journal id").text(id))
    }

    /// The end of the chain of adoptions that ended at `before` until now: that an operator has replaced the journal that
    /// was known by this one, at this instant in microseconds of Unix time.
    #[must_use]
    pub fn adoption(
        &self,
        before: super::ChainHead,
        known: Option<&str>,
        adopted: &str,
        at: i64,
    ) -> super::ChainHead {
        let length = before.length + 1;
        let content = Canonical::new("journal adoption")
            .number(length)
            .bytes(before.hash.as_bytes())
            .optional(known.map(str::as_bytes))
            .text(adopted)
            .number(at);
        super::ChainHead { length, hash: self.chain_hash(&content) }
    }

    /// A name for the journal of the database in this place, which no other key and no other place has.
    #[must_use]
    pub fn journal_name(&self, place: &str) -> KeyedHash {
        self.pseudonym(&Canonical::new("journal").text(place))
    }

    /// What a database says of a process.
    ///
    /// # Errors
    /// If what is stored does not verify, unless its newest entry is a sound cancellation by its owner: that is remembered
    /// whatever else was done to the process.
    pub fn account(&self, chain: &Chain) -> Result<Account, Fault> {
        match self.prove(chain) {
            Ok(_) => account_of(chain).ok_or_else(|| Fault {
                process_id: chain.process_id.clone(),
                sequence: 1,
                kind: super::FaultKind::DoesNotFollow,
            }),
            Err(fault) => self.doubted_cancellation(chain).ok_or(fault),
        }
    }

    /// The newest entry, if nobody without the key can have written it and the owner has cancelled with it.
    fn doubted_cancellation(&self, chain: &Chain) -> Option<Account> {
        let (newest, others) = chain.entries.split_last()?;
        let before = others.last().map_or(KeyedHash::ZERO.as_bytes().as_slice(), |entry| &entry.hash);
        let is_sound = newest.process_id == chain.process_id
            && self.hash(newest, before).as_bytes() == newest.hash.as_slice()
            && newest.message_key == "CancelledByOwner";
        let Subject::Process(StoredProcess { created_at, grace_period_ends_at, .. }) =
            &chain.head.as_ref()?.subject
        else {
            return None;
        };
        let dates = JournalDates {
            cancelled_at: Some(instant(newest.created_at)?),
            ..JournalDates::of(instant(*created_at)?, instant(*grace_period_ends_at)?)
        };
        let entry = step(newest, Status::Cancelled, dates).filter(|_| is_sound)?;
        Some(Account { entries: vec![entry], is_partial: true })
    }
}

impl JournalDates {
    pub(super) fn of(created_at: Timestamp, grace_period_ends_at: Timestamp) -> Self {
        Self {
            created_at,
            grace_period_ends_at,
            suspended_until: None,
            cancelled_at: None,
            deletion_started_at: None,
            deletion_completed_at: None,
        }
    }
}

impl From<&ErasureLedgerEntry> for JournalEntry {
    /// A line of an erasure ledger, which must be sealed.
    fn from(line: &ErasureLedgerEntry) -> Self {
        Self {
            process_id: line.process_id.clone(),
            identity_hash: line.identity_hash,
            kind: JournalKind::Ledger,
            branch: 0,
            revision: 0,
            entry_hash: KeyedHash::ZERO,
            status: Status::Deleting,
            dates: JournalDates {
                deletion_started_at: Some(line.deletion_started_at),
                ..JournalDates::of(line.created_at, line.grace_period_ends_at)
            },
        }
    }
}

fn instant(micros: i64) -> Option<Timestamp> {
    Timestamp::from_unix_micros(micros).ok()
}

fn hash(bytes: &[u8]) -> Option<KeyedHash> {
    <[u8; 32]>::try_from(bytes).ok().map(KeyedHash::from)
}

fn step(entry: &SealedEntry, status: Status, dates: JournalDates) -> Option<JournalEntry> {
    Some(JournalEntry {
        process_id: entry.process_id.parse().ok()?,
        identity_hash: hash(&entry.identity_hash)?,
        kind: JournalKind::Step,
        branch: 0,
        revision: entry.sequence,
        entry_hash: hash(&entry.hash)?,
        status,
        dates,
    })
}

/// Of a chain that verifies.
fn account_of(chain: &Chain) -> Option<Account> {
    let mut entries = Vec::with_capacity(chain.entries.len());
    let mut known: Option<JournalDates> = None;
    for entry in &chain.entries {
        let at = instant(entry.created_at)?;
        let action = AuditedAction::read(&entry.message_key, &entry.additional_data)?;
        if let AuditedAction::StartedByOwner { grace_period_ends_at, .. } = action {
            known = Some(JournalDates::of(at, grace_period_ends_at));
        }
        let dates = known.as_mut()?;
        match action {
            AuditedAction::CancelledByOwner { .. } => dates.cancelled_at = Some(at),
            AuditedAction::CancellationRestored { cancelled_at } => dates.cancelled_at = Some(cancelled_at),
            AuditedAction::DeletionStarted { .. } => dates.deletion_started_at = Some(at),
            AuditedAction::DeletionCompleted => dates.deletion_completed_at = Some(at),
            AuditedAction::StartedByOwner { suspension, .. }
            | AuditedAction::HoldPlacedBySupport { suspension, .. }
            | AuditedAction::HoldReleasedBySupport { suspension, .. } => {
                dates.suspended_until = suspension.map(|suspension| suspension.until);
            }
            AuditedAction::GracePeriodReminderSent(_)
            | AuditedAction::DataDeleted { .. }
            | AuditedAction::ErrorDuringDeletion { .. }
            | AuditedAction::DataDeletionWaivedBySupport { .. } => {}
        }
        entries.push(step(entry, entry.new_status.parse().ok()?, *dates)?);
    }
    Some(Account { entries, is_partial: false })
}

#[cfg(test)]
mod tests;
