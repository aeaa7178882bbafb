//! Sealing entries into a chain, and finding the first one that was tampered with.

use std::fmt;

use super::canonical::Canonical;
use super::{
    AuditEntry, AuditKey, AuditedAction, ClosedProcess, KeyedHash, Proof, StoredProcess, StoredTask,
    VerifiedProcess,
};
use crate::{Address, DeletionProcessId, Timestamp};

/// An audit entry as it is written down.
///
/// Statuses and keys are plain text here, because whoever verifies a chain must be able to hold whatever a database
/// contains, altered content included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEntry {
    /// The process the entry belongs to.
    pub process_id: String,
    /// Its place in the chain of the process, from 1.
    pub sequence: i64,
    /// When it happened, in microseconds of Unix time.
    pub created_at: i64,
    /// The status before, if there was one.
    pub old_status: Option<String>,
    /// The status after.
    pub new_status: String,
    /// What was done.
    pub message_key: String,
    /// What goes with it: a JSON object of texts.
    pub additional_data: String,
    /// The identity, as a keyed hash.
    pub identity_hash: Vec<u8>,
    /// The device, as a keyed hash, if a person did it.
    pub device_hash: Option<Vec<u8>>,
    /// The keyed hash over all of the above and the previous entry's hash.
    pub hash: Vec<u8>,
}

impl SealedEntry {
    /// When the process was cancelled, in microseconds of Unix time, if this entry says so: before the entry was written
    /// if a cancellation was restored.
    #[must_use]
    pub fn cancelled_at(&self) -> Option<i64> {
        match AuditedAction::read(&self.message_key, &self.additional_data)? {
            AuditedAction::CancelledByOwner { .. } => Some(self.created_at),
            AuditedAction::CancellationRestored { cancelled_at } => Some(cancelled_at.unix_micros()),
            AuditedAction::StartedByOwner { .. }
            | AuditedAction::HoldPlacedBySupport { .. }
            | AuditedAction::HoldReleasedBySupport { .. }
            | AuditedAction::GracePeriodReminderSent(_)
            | AuditedAction::DeletionStarted { .. }
            | AuditedAction::DataDeleted { .. }
            | AuditedAction::ErrorDuringDeletion { .. }
            | AuditedAction::DataDeletionWaivedBySupport { .. }
            | AuditedAction::DeletionCompleted => None,
        }
    }
}

/// Where the chain of a process ends: how many entries it has, and the hash of the newest.
///
/// It changes with every step and with nothing else, so it is also the version that guards against storing a step that
/// was decided on a state which is no longer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// How many entries the chain has. Zero for a process that does not exist yet.
    pub length: i64,
    /// The hash of the newest entry; of no meaning at length zero.
    pub hash: KeyedHash,
}

impl ChainHead {
    /// Before the first entry.
    pub const EMPTY: Self = Self { length: 0, hash: KeyedHash::ZERO };
}

/// Everything that is stored of the chain of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The process.
    pub process_id: String,
    /// Every entry, by sequence.
    pub entries: Vec<SealedEntry>,
    /// What is stored with the process; nothing if there are entries but no process.
    pub head: Option<StoredHead>,
    /// The tasks of its deletion, in any order; nothing if they are kept elsewhere and not to be checked.
    pub tasks: Option<Vec<StoredTask>>,
}

/// What is stored with a process about its chain, and what the chain says about the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHead {
    /// How many entries there must be.
    pub length: i64,
    /// The hash of the newest.
    pub hash: Vec<u8>,
    /// The seal over both.
    pub seal: Vec<u8>,
    /// What the process is, which must be what the entries say.
    pub subject: Subject,
}

/// What is stored of a process beside its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// All of it.
    Process(StoredProcess),
    /// The process is gone, with its identity or because its time was over; its chain stays.
    Closed(ClosedProcess),
}

/// The first thing that is wrong with what is stored of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The process.
    pub process_id: String,
    /// The place in its chain, from 1.
    pub sequence: i64,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
pub enum FaultKind {
    /// The content of the entry does not match its hash: it was changed, or written by somebody without the key.
    #[cfg_attr(feature = "serde", serde(rename = "entryChanged"))]
    Changed,
    /// There is no such entry although there must be.
    #[cfg_attr(feature = "serde", serde(rename = "entryRemoved"))]
    Removed,
    /// There is such an entry although there must not be.
    #[cfg_attr(feature = "serde", serde(rename = "entryInserted"))]
    Inserted,
    /// The entry is sound, but the state before it does not allow this step at this time: it was taken on a process that
    /// had been changed outside the application.
    #[cfg_attr(feature = "serde", serde(rename = "entryDoesNotFollow"))]
    DoesNotFollow,
    /// The entries are sound, but the process row does not say what they say: it was changed outside the application.
    ProcessDiffers,
    /// The tasks of the deletion are not those that follow from the entries.
    TasksDiffer,
    /// The receipt does not say what the entries say, or is not signed with the deployment's key.
    ReceiptDiffers,
    /// The event is not the one that the entry tells of, or there is another one of the same entry.
    EventDiffers,
    /// The process and its entries are sound, but they lack what the journal has: they were put back to an earlier state.
    OlderThanJournal,
    /// What the journal has of the process cannot be read, or is not sealed.
    JournalDamaged,
    /// What is remembered of the time is not what was written. It belongs to no process.
    ClockRecordDiffers,
    /// What is stored of pausing deletions is not what was written. It belongs to no process.
    PauseRecordDiffers,
    /// The journal has a pause of deletions that the database lacks, or what it has of them cannot be read. It belongs to no
    /// process.
    PauseLost,
    /// What is stored of a hold is not what was written. It belongs to an identity, as far as that can be known.
    HoldDiffers,
    /// What is stored of journals that were adopted is not what was written. It belongs to no process.
    JournalAdoptionsDiffer,
}

impl FaultKind {
    const ALL: [Self; 10] = [
        Self::Changed,
        Self::Removed,
        Self::Inserted,
        Self::DoesNotFollow,
        Self::ProcessDiffers,
        Self::TasksDiffer,
        Self::ReceiptDiffers,
        Self::EventDiffers,
        Self::OlderThanJournal,
        Self::JournalDamaged,
    ];

    /// The one with this reason.
    #[must_use]
    pub fn with_reason(reason: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.reason() == reason)
    }

    /// A short reason for logs, metrics and audit entries. It never changes.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Changed => "entryChanged",
            Self::Removed => "entryRemoved",
            Self::Inserted => "entryInserted",
            Self::DoesNotFollow => "entryDoesNotFollow",
            Self::ProcessDiffers => "processDiffers",
            Self::TasksDiffer => "tasksDiffer",
            Self::ReceiptDiffers => "receiptDiffers",
            Self::EventDiffers => "eventDiffers",
            Self::OlderThanJournal => "olderThanJournal",
            Self::JournalDamaged => "journalDamaged",
            Self::ClockRecordDiffers => "clockRecordDiffers",
            Self::PauseRecordDiffers => "pauseRecordDiffers",
            Self::PauseLost => "pauseLost",
            Self::HoldDiffers => "holdDiffers",
            Self::JournalAdoptionsDiffer => "journalAdoptionsDiffer",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process_id, sequence, kind } = self;
        match kind {
            FaultKind::Changed => write!(formatter, "entry {sequence} of process {process_id} was changed"),
            FaultKind::Removed => write!(formatter, "entry {sequence} of process {process_id} was removed"),
            FaultKind::Inserted => write!(formatter, "entry {sequence} of process {process_id} was inserted"),
            FaultKind::DoesNotFollow => {
                write!(
                    formatter,
                    "entry {sequence} of process {process_id} does not follow from the entries before it: the step was \
                     taken on a process that had been changed"
                )
            }
            FaultKind::ProcessDiffers => {
                write!(
                    formatter,
                    "process {process_id} is not what its audit entry {sequence} says: it was changed"
                )
            }
            FaultKind::TasksDiffer => {
                write!(
                    formatter,
                    "the erasure tasks of process {process_id} are not those that follow from its audit entry {sequence}"
                )
            }
            FaultKind::ReceiptDiffers => {
                write!(
                    formatter,
                    "the receipt of process {process_id} does not say what its audit entries say, or is not signed with \
                     the deployment's key"
                )
            }
            FaultKind::EventDiffers => {
                write!(
                    formatter,
                    "the event of entry {sequence} of process {process_id} is not what that entry says"
                )
            }
            FaultKind::OlderThanJournal => {
                write!(
                    formatter,
                    "process {process_id} lacks what the journal has of it up to entry {sequence}: it was put back to an \
                     earlier state, or is another; see `reprieve journal replay`"
                )
            }
            FaultKind::JournalDamaged => {
                write!(formatter, "what the journal has of process {process_id} cannot be read, or is not sealed")
            }
            FaultKind::ClockRecordDiffers => formatter.write_str(
                "the record of the newest instant that has passed, or a confirmation of the time, was changed",
            ),
            FaultKind::PauseRecordDiffers => {
                formatter.write_str("the record of pausing deletions, or an earlier pause, was changed")
            }
            FaultKind::PauseLost => formatter.write_str(
                "the journal has a pause of deletions that the database lacks, or that cannot be read, so that they count as \
                 paused; `reprieve journal replay` stores it again, and `reprieve deletions resume` ends it",
            ),
            FaultKind::HoldDiffers => {
                match process_id.as_str() {
                    "" => formatter.write_str("a hold of an identity that cannot be known was changed")?,
                    of => write!(formatter, "a hold of {of} was changed")?,
                }
                formatter.write_str(
                    ", so that the identity counts as held; `reprieve hold place` or `release` puts it right",
                )
            }
            FaultKind::JournalAdoptionsDiffer => formatter
                .write_str("the record of the journals that were adopted was changed, or lacks the newest one"),
        }
    }
}

impl AuditKey {
    /// Seals an entry as the next one of a chain; returns it with the head of the chain after it.
    #[must_use]
    pub fn seal(&self, entry: &AuditEntry, head: ChainHead) -> (SealedEntry, ChainHead) {
        let mut sealed = SealedEntry {
            process_id: entry.process_id.to_string(),
            sequence: head.length.saturating_add(1),
            created_at: entry.created_at.unix_micros(),
            old_status: entry.old_status.map(|status| status.to_string()),
            new_status: entry.new_status.to_string(),
            message_key: entry.action.message_key().to_owned(),
            additional_data: json_object(&entry.action.additional_data()),
            identity_hash: self.pseudonym_of_identity(&entry.address).as_bytes().to_vec(),
            device_hash: entry
                .device
                .as_ref()
                .map(|device| self.pseudonym_of_device(device).as_bytes().to_vec()),
            hash: Vec::new(),
        };
        let hash = self.hash(&sealed, head.hash.as_bytes());
        sealed.hash = hash.as_bytes().to_vec();
        (sealed, ChainHead { length: head.length.saturating_add(1), hash })
    }

    /// The seal over the head of a process's chain. Without it, the newest entries could be cut off unnoticed.
    #[must_use]
    pub fn seal_head(&self, process_id: &DeletionProcessId, head: ChainHead) -> KeyedHash {
        self.head_seal(process_id.as_str(), head.length, head.hash.as_bytes())
    }

    /// Walks a chain from its first entry, and compares what is stored beside it.
    ///
    /// # Errors
    /// The first entry that is not what was written, or that what is stored contradicts.
    pub fn verify(&self, chain: &Chain) -> Result<(), Fault> {
        self.prove(chain).map(drop)
    }

    /// Verifies a process that is stored as a whole, before anything irreversible is done about it.
    ///
    /// # Errors
    /// As [`Self::verify`], and if the process is closed.
    pub fn verify_process(&self, chain: &Chain) -> Result<VerifiedProcess, Fault> {
        let proof = self.prove(chain)?;
        VerifiedProcess::new(chain, proof).ok_or_else(|| Fault {
            process_id: chain.process_id.clone(),
            sequence: chain.head.as_ref().map_or(0, |head| head.length),
            kind: FaultKind::ProcessDiffers,
        })
    }

    /// Until when the owner of a process can cancel, as its first entry and those of holds prove, whatever else is wrong with
    /// the process. None if the first entry is not there, not sound or another identity's: then no end can be held against the owner, who
    /// can always cancel.
    #[must_use]
    pub fn proven_end(
        &self,
        process: &DeletionProcessId,
        owner: &Address,
        entries: &[SealedEntry],
    ) -> Option<Timestamp> {
        let first = entries.iter().find(|entry| entry.sequence == 1)?;
        let of_owner = self.pseudonym_of_identity(owner);
        let is_sound = first.process_id == process.as_str()
            && self.hash(first, KeyedHash::ZERO.as_bytes()).as_bytes() == first.hash.as_slice()
            && of_owner.as_bytes() == first.identity_hash.as_slice();
        let AuditedAction::StartedByOwner { grace_period_ends_at, suspension } =
            AuditedAction::read(&first.message_key, &first.additional_data).filter(|_| is_sound)?
        else {
            return None;
        };
        // Every hold that was ever placed on it counts: whether it was released is not known for sure.
        let held = entries.iter().zip(entries.iter().skip(1)).filter_map(|(before, entry)| {
            let is_sound = entry.process_id == process.as_str()
                && self.hash(entry, &before.hash).as_bytes() == entry.hash.as_slice();
            match AuditedAction::read(&entry.message_key, &entry.additional_data)? {
                AuditedAction::HoldPlacedBySupport { suspension, .. }
                | AuditedAction::HoldReleasedBySupport { suspension, .. } => suspension.filter(|_| is_sound),
                _ => None,
            }
        });
        let until = held.chain(suspension).map(|suspension| suspension.until).max();
        Some(until.map_or(grace_period_ends_at, |until| until.max(grace_period_ends_at)))
    }

    /// What a chain proves, where it and all that is stored beside it are sound.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn prove(&self, chain: &Chain) -> Result<Proof, Fault> {
        let fault = |sequence, kind| Fault { process_id: chain.process_id.clone(), sequence, kind };
        let length = chain.head.as_ref().map_or(0, |head| head.length);
        if chain.head.is_none() && chain.entries.is_empty() {
            // Nothing but tasks, which is never so.
            return Err(fault(0, FaultKind::TasksDiffer));
        }
        self.walk(chain, length)?;
        let (Some(head), Some(newest)) = (&chain.head, chain.entries.last()) else {
            // A process without entries, of length zero or less: no step ever left one.
            return Err(fault(1, FaultKind::Removed));
        };
        if head.hash != newest.hash
            || self.head_seal(&chain.process_id, head.length, &head.hash).as_bytes() != head.seal.as_slice()
        {
            // The entries are sound as far as they go, but this is not where the chain ended.
            return Err(fault(length.saturating_add(1), FaultKind::Removed));
        }
        let proof =
            Proof::of(&chain.entries).map_err(|sequence| fault(sequence, FaultKind::DoesNotFollow))?;
        match &head.subject {
            Subject::Process(process) => self.compare(process, &chain.entries, &proof),
            Subject::Closed(closed) => closed.compare(&chain.entries, &proof),
        }
        .map_err(|sequence| fault(sequence, FaultKind::ProcessDiffers))?;
        let are_implied =
            chain.tasks.as_ref().is_none_or(|tasks| StoredTask::are_implied(tasks, &head.subject, &proof));
        if are_implied { Ok(proof) } else { Err(fault(newest.sequence, FaultKind::TasksDiffer)) }
    }

    /// What entries prove by themselves, from the first one on; later ones may be missing.
    ///
    /// # Errors
    /// The first entry that is not what was written, or does not follow from the ones before it.
    pub fn prove_entries(&self, process_id: &str, entries: Vec<SealedEntry>) -> Result<Proof, Fault> {
        let length = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        let chain = Chain { process_id: process_id.to_owned(), entries, head: None, tasks: None };
        self.walk(&chain, length)?;
        Proof::of(&chain.entries).map_err(|sequence| Fault {
            process_id: chain.process_id,
            sequence,
            kind: FaultKind::DoesNotFollow,
        })
    }

    /// Whether there are so many entries, each of them sound.
    fn walk(&self, chain: &Chain, length: i64) -> Result<(), Fault> {
        let fault = |sequence, kind| Fault { process_id: chain.process_id.clone(), sequence, kind };
        let mut previous: &[u8] = KeyedHash::ZERO.as_bytes();
        let mut expected: i64 = 1;
        for entry in &chain.entries {
            if entry.sequence < expected || entry.sequence > length && expected > length {
                return Err(fault(entry.sequence, FaultKind::Inserted));
            }
            if entry.sequence > expected {
                return Err(fault(expected, FaultKind::Removed));
            }
            if entry.process_id != chain.process_id
                || self.hash(entry, previous).as_bytes() != entry.hash.as_slice()
            {
                return Err(fault(expected, FaultKind::Changed));
            }
            previous = &entry.hash;
            expected = expected.saturating_add(1);
        }
        if expected <= length {
            return Err(fault(expected, FaultKind::Removed));
        }
        Ok(())
    }

    /// The hash over the canonical content of an entry and the hash before it.
    pub(super) fn hash(&self, entry: &SealedEntry, previous: &[u8]) -> KeyedHash {
        self.chain_hash(
            &Canonical::new("entry")
                .text(&entry.process_id)
                .number(entry.sequence)
                .number(entry.created_at)
                .optional(entry.old_status.as_deref().map(str::as_bytes))
                .text(&entry.new_status)
                .text(&entry.message_key)
                .text(&entry.additional_data)
                .bytes(&entry.identity_hash)
                .optional(entry.device_hash.as_deref())
                .bytes(previous),
        )
    }

    /// Tells a fault of a process from any other, so that only a holder of the key can say that it was found.
    #[must_use]
    pub fn quarantine_id(&self, process_id: &str, sequence: i64, reason: &str) -> KeyedHash {
        self.chain_hash(&Canonical::new("quarantine").text(process_id).number(sequence).text(reason))
    }

    fn head_seal(&self, process_id: &str, length: i64, hash: &[u8]) -> KeyedHash {
        self.chain_hash(&Canonical::new("head").text(process_id).number(length).bytes(hash))
    }
}

/// A JSON object of texts. Written here because its bytes are hashed; the values are names, codes, counts and
/// instants, which need no escaping.
pub(super) fn json_object(members: &[(&'static str, String)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests;
