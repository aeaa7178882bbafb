//! One process as it is stored: its columns, its audit chain, the events about it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock, OnceLock};

use reprieve_application::ports::Loaded;
use reprieve_domain::audit::{Account, AuditKey, Chain, ChainHead, Fault, SealedEntry, StoredHead, Subject};
use reprieve_domain::{
    Address, DeletionProcess, DeletionProcessId, DeletionProcessRecord, DeviceId, EraserName, Status, Step,
    Timestamp,
};

static KEY: LazyLock<AuditKey> = LazyLock::new(|| AuditKey::new(&(0..32).collect::<Vec<u8>>()).unwrap());

pub(crate) fn key() -> &'static AuditKey {
    &KEY
}

pub(crate) fn address() -> Address {
    "did:web:example.org".parse().unwrap()
}

pub(crate) fn device() -> DeviceId {
    "DVC0123456789abcdefg".parse().unwrap()
}

pub(crate) fn eraser(number: usize) -> EraserName {
    format!("eraser{number}").parse().unwrap()
}

pub(crate) fn process_id(number: usize) -> DeletionProcessId {
    format!("IDP{number:017}").parse().unwrap()
}

/// The number that an id or a name was made of.
pub(crate) fn number_of(name: &str) -> usize {
    name.bytes().last().map_or(0, |digit| usize::from(digit - b'0'))
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) number: usize,
    /// The process as the columns say it.
    pub(crate) process: DeletionProcess,
    entries: Vec<SealedEntry>,
    pub(crate) head: ChainHead,
    pub(crate) events: Vec<&'static str>,
    /// What the person was told when the process was created.
    pub(crate) promised: Timestamp,
    fingerprint: u64,
    verified: OnceLock<Result<Loaded<DeletionProcess>, Fault>>,
    account: OnceLock<Result<Account, Fault>>,
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Row {}

impl Hash for Row {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.fingerprint.hash(hasher);
    }
}

impl Row {
    fn new(
        process: DeletionProcess,
        entries: Vec<SealedEntry>,
        head: ChainHead,
        before: Option<&Self>,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        format!("{process:?}").hash(&mut hasher);
        (head.length, head.hash, before.map_or(0, |row| row.events.len())).hash(&mut hasher);
        Self {
            number: number_of(process.id().as_str()),
            promised: before.map_or(process.grace_period_ends_at(), |row| row.promised),
            events: before.map(|row| row.events.clone()).unwrap_or_default(),
            fingerprint: hasher.finish(),
            verified: OnceLock::new(),
            account: OnceLock::new(),
            process,
            entries,
            head,
        }
    }

    /// As a step leaves it: the statement writes the columns that a step can change, and no other.
    pub(crate) fn after(before: Option<&Self>, step: &Step) -> Self {
        let head = before.map_or(ChainHead::EMPTY, |row| row.head);
        let (sealed, head) = key().seal(step.audit_entry(), head);
        let mut entries = before.map(|row| row.entries.clone()).unwrap_or_default();
        entries.push(sealed);
        let mut process = step.process().clone();
        if let Some(before) = before
            && before.process.grace_period_ends_at() != process.grace_period_ends_at()
        {
            let record = DeletionProcessRecord {
                grace_period_ends_at: before.process.grace_period_ends_at(),
                ..process.to_record()
            };
            process = DeletionProcess::restore(record).unwrap_or(process);
        }
        let mut row = Self::new(process, entries, head, before);
        row.events.extend(step.event().map(|event| event.kind.name()));
        row
    }

    /// As a hand in the database leaves it, which has no key.
    pub(crate) fn touched(&self, change: impl FnOnce(&mut DeletionProcessRecord)) -> Option<Arc<Self>> {
        let mut record = self.process.to_record();
        change(&mut record);
        let process = DeletionProcess::restore(record).ok()?;
        let is_changed = process != self.process;
        is_changed.then(|| Arc::new(Self::new(process, self.entries.clone(), self.head, Some(self))))
    }

    pub(crate) fn status(&self) -> Status {
        self.process.status()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.status().is_open()
    }

    /// What the domain says of the process and its chain.
    pub(crate) fn verified(&self) -> &Result<Loaded<DeletionProcess>, Fault> {
        self.verified.get_or_init(|| {
            let verified = key().verify_process(&self.chain())?;
            let version = verified.head();
            Ok(Loaded { value: verified.into_process(), version })
        })
    }

    /// What it says to its journal.
    pub(crate) fn account(&self) -> &Result<Account, Fault> {
        self.account.get_or_init(|| key().account(&self.chain()))
    }

    /// Where each entry stands, and its hash, whatever was done to the process.
    pub(crate) fn places(&self) -> impl DoubleEndedIterator<Item = (i64, &[u8])> {
        self.entries.iter().map(|entry| (entry.sequence, entry.hash.as_slice()))
    }

    /// Where the entry stands with which the deletion has started.
    pub(crate) fn start(&self) -> Option<(i64, &[u8])> {
        let starts = self.entries.iter().find(|entry| entry.message_key == "DeletionStarted");
        starts.map(|entry| (entry.sequence, entry.hash.as_slice()))
    }

    fn chain(&self) -> Chain {
        let process_id = self.process.id().to_string();
        let head = StoredHead {
            length: self.head.length,
            hash: self.head.hash.as_bytes().to_vec(),
            seal: key().seal_head(self.process.id(), self.head).as_bytes().to_vec(),
            subject: Subject::from(&self.process),
        };
        Chain { process_id, entries: self.entries.clone(), head: Some(head), tasks: None }
    }

    pub(crate) fn count(&self, key: &str) -> usize {
        self.entries.iter().filter(|entry| entry.message_key == key).count()
    }

    pub(crate) fn tells(&self, key: &str) -> bool {
        self.count(key) > 0
    }

    /// How many entries say that an erasure is settled.
    pub(crate) fn settled(&self) -> usize {
        self.count("DataDeleted") + self.count("DataDeletionWaivedBySupport")
    }

    /// Whether chain and events tell the same story: one event for each step that others are told of.
    pub(crate) fn is_in_step(&self) -> bool {
        let told = self.entries.iter().filter_map(|entry| match entry.message_key.as_str() {
            "StartedByOwner" => Some("IdentityToBeDeleted"),
            "CancelledByOwner" | "CancellationRestored" => Some("IdentityDeletionCancelled"),
            "DeletionStarted" => Some("IdentityDeletionStarted"),
            "DataDeletionWaivedBySupport" => Some("IdentityErasureWaived"),
            "DeletionCompleted" => Some("IdentityDeleted"),
            _ => None,
        });
        let events = self.events.iter().copied();
        let is_of_a_step =
            |event: &&str| !["IdentityErasureStuck", "IdentityDeletionSuspensionChanged"].contains(event);
        told.eq(events.filter(is_of_a_step))
    }
}
