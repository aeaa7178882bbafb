//! The database of the model: what the ports promise of it, in as little state as possible, with steps of the domain.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use reprieve_domain::{
    Address, Deadline, DeletionProcess, DeletionProcessId, DeletionProcessRecord, DeviceId, EraserName,
    Erasure, GracePeriod, Identity, State, Status, Step, Timestamp,
};

/// How long a grace period lasts here, in microseconds: the shortest with an instant inside that is not its first.
pub(crate) const GRACE_PERIOD: i64 = 2;

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros).unwrap()
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

pub(crate) fn erasers() -> BTreeSet<EraserName> {
    [eraser(0), eraser(1)].into()
}

pub(crate) fn grace_period() -> GracePeriod {
    GracePeriod::between(at(0), at(GRACE_PERIOD)).unwrap()
}

/// A process of the domain that states can be told apart by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Process(pub(crate) Arc<DeletionProcess>, u64);

impl Process {
    pub(crate) fn new(process: DeletionProcess) -> Self {
        let mut hasher = DefaultHasher::new();
        hash(&process, &mut hasher);
        Self(Arc::new(process), hasher.finish())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.status().is_open()
    }

    /// The one that its id was made of.
    pub(crate) fn number(&self) -> usize {
        number_of(self.0.id())
    }
}

pub(crate) fn number_of(id: &DeletionProcessId) -> usize {
    id.as_str().bytes().last().map_or(0, |digit| usize::from(digit - b'0'))
}

impl Hash for Process {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.1.hash(hasher);
    }
}

fn hash(process: &DeletionProcess, hasher: &mut DefaultHasher) {
    fn hash_erasures<'a>(
        erasures: impl Iterator<Item = (&'a EraserName, &'a Erasure)>,
        hasher: &mut DefaultHasher,
    ) {
        for (eraser, erasure) in erasures {
            eraser.hash(hasher);
            match erasure {
                Erasure::Pending { failures } => (false, *failures, 0).hash(hasher),
                Erasure::Acknowledged { at, count } => (true, *count, at.unix_micros()).hash(hasher),
                Erasure::Waived { at, code } => (code, at).hash(hasher),
            }
        }
    }
    (process.id(), process.created_at(), process.grace_period_ends_at(), process.status()).hash(hasher);
    match process.state() {
        State::Active(_) => {}
        State::Cancelled(cancelled) => cancelled.at().hash(hasher),
        State::Deleting(deleting) => {
            deleting.started_at().hash(hasher);
            hash_erasures(deleting.erasures(), hasher);
        }
        State::Deleted(deleted) => {
            (deleted.started_at(), deleted.completed_at()).hash(hasher);
            hash_erasures(deleted.erasures(), hasher);
        }
    }
}

/// A step that was decided and not stored yet, and the version it was decided on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decided {
    pub(crate) step: Arc<Step>,
    pub(crate) process: Process,
    pub(crate) version: usize,
}

impl Decided {
    pub(crate) fn new(step: Step, version: usize) -> Self {
        Self { process: Process::new(step.process().clone()), step: Arc::new(step), version }
    }
}

impl Hash for Decided {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.process, self.step.audit_entry().action.message_key(), self.version).hash(hasher);
    }
}

/// What was loaded of an identity: its open process, and in which version.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct Loaded {
    pub(crate) open: Option<Process>,
    pub(crate) version: usize,
}

impl Loaded {
    /// What is assumed of an identity that was not loaded.
    pub(crate) const NOBODY: Self = Self { open: None, version: 0 };

    pub(crate) fn identity(&self) -> Identity {
        match &self.open {
            Some(process) => Identity::with_open_process((*process.0).clone()).unwrap(),
            None => Identity::new(address()),
        }
    }

    pub(crate) fn decided(&self, step: Step) -> Decided {
        Decided::new(step, self.version)
    }
}

/// One process with its trail and the events about it.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct Row {
    pub(crate) process: Process,
    pub(crate) version: usize,
    /// The column that the condition of a statement reads.
    pub(crate) ends_at: Timestamp,
    /// What the person was told when the process was created.
    pub(crate) promised: Timestamp,
    pub(crate) trail: Vec<&'static str>,
    pub(crate) events: Vec<&'static str>,
}

impl Row {
    pub(crate) fn status(&self) -> Status {
        self.process.0.status()
    }

    pub(crate) fn tells(&self, key: &str) -> bool {
        self.count(key) > 0
    }

    pub(crate) fn count(&self, key: &str) -> usize {
        self.trail.iter().filter(|told| **told == key).count()
    }

    /// The process as the columns say it.
    fn restored(&self) -> Process {
        if self.ends_at == self.process.0.grace_period_ends_at() {
            return self.process.clone();
        }
        let record =
            DeletionProcessRecord { grace_period_ends_at: self.ends_at, ..self.process.0.to_record() };
        Process::new(DeletionProcess::restore(record).unwrap())
    }

    fn write_trail(&mut self, step: &Step) {
        self.trail.push(step.audit_entry().action.message_key());
        self.events.extend(step.event().map(|event| event.kind.name()));
    }

    /// Whether process, trail and events tell the same story.
    pub(crate) fn is_in_step(&self) -> bool {
        let told = self.trail.iter().filter_map(|key| match *key {
            "StartedByOwner" => Some("IdentityToBeDeleted"),
            "CancelledByOwner" => Some("IdentityDeletionCancelled"),
            "DeletionStarted" => Some("IdentityDeletionStarted"),
            "DeletionCompleted" => Some("IdentityDeleted"),
            _ => None,
        });
        let events = self.events.iter().filter(|event| **event != "IdentityErasureStuck");
        let status = match self.trail.last() {
            Some(&"StartedByOwner") => Some(Status::Active),
            Some(&"CancelledByOwner") => Some(Status::Cancelled),
            Some(&("DeletionStarted" | "DataDeleted" | "ErrorDuringDeletion")) => Some(Status::Deleting),
            Some(&"DeletionCompleted") => Some(Status::Deleted),
            _ => None,
        };
        self.trail.len() == self.version
            && told.eq(events.copied())
            && status == Some(self.status())
            && self.trail.iter().rposition(|key| *key == "StartedByOwner") == Some(0)
    }
}

/// Why nothing was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Conflict,
    OpenProcessExists,
}

/// What a save is guarded by. All of it, except where a test takes something away.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is taken away by itself")]
pub(crate) struct Guards {
    pub(crate) version: bool,
    pub(crate) deadline: bool,
    pub(crate) one_open: bool,
    pub(crate) trail_with_process: bool,
}

impl Guards {
    pub(crate) const ALL: Self =
        Self { version: true, deadline: true, one_open: true, trail_with_process: true };
}

/// Every process of the one identity, the oldest first.
#[derive(Debug, Clone, PartialEq, Hash, Default)]
pub(crate) struct Store {
    pub(crate) rows: Vec<Row>,
    /// That the deadline alone has kept a step out.
    pub(crate) deadline_refused: bool,
}

impl Store {
    pub(crate) fn load(&self) -> Loaded {
        self.rows
            .iter()
            .find(|row| row.process.is_open())
            .map_or(Loaded::NOBODY, |row| Loaded { open: Some(row.restored()), version: row.version })
    }

    /// As `Identities::save` documents it.
    pub(crate) fn save(&mut self, decided: &Decided, guards: Guards) -> Result<(), Refusal> {
        let step = decided.step.as_ref();
        let process = decided.process.clone();
        if step.audit_entry().old_status.is_none() {
            if guards.one_open && self.rows.iter().any(|row| row.process.is_open()) {
                return Err(Refusal::OpenProcessExists);
            }
            let ends_at = step.process().grace_period_ends_at();
            let mut row = Row {
                process,
                version: 1,
                ends_at,
                promised: ends_at,
                trail: Vec::new(),
                events: Vec::new(),
            };
            row.write_trail(step);
            self.rows.push(row);
            return Ok(());
        }
        let number = process.number();
        let Some(row) = self.rows.iter_mut().find(|row| row.process.number() == number) else {
            return Err(Refusal::Conflict);
        };
        if !guards.trail_with_process {
            row.write_trail(step);
        }
        if guards.version && row.version != decided.version {
            return Err(Refusal::Conflict);
        }
        let is_in_time = match step.deadline() {
            Deadline::IsAfter(now) => row.ends_at > now,
            Deadline::IsReachedAt(now) => row.ends_at <= now,
            Deadline::DoesNotMatter => true,
        };
        if guards.deadline && !is_in_time {
            self.deadline_refused = true;
            return Err(Refusal::Conflict);
        }
        row.process = process;
        row.version += 1;
        if guards.trail_with_process {
            row.write_trail(step);
        }
        Ok(())
    }
}
