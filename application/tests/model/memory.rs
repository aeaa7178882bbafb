//! What the model remembers outside its database, and the holds that are stored in both.

use std::hash::{Hash, Hasher};

use reprieve_application::ports::HoldRecord;
use reprieve_domain::audit::{JournalEntry, JournalKind, Remembered, RememberedHold};
use reprieve_domain::{Hold, Status, Timestamp};

use crate::row::{Row, address, key, number_of};

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) JournalEntry);

/// A hold as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held(pub(crate) HoldRecord);

/// The journal.
#[derive(Debug, Clone, PartialEq, Hash, Default)]
pub(crate) struct Memory {
    lines: Vec<Line>,
    /// The last revision of each.
    pub(crate) holds: Vec<Held>,
    /// The newest setting of the switch.
    pub(crate) setting: Option<Setting>,
}

/// How the switch that stops deletions is set: since when, in microseconds of Unix time, and whether they are paused.
pub(crate) type Setting = (i64, bool);

impl Hash for Line {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let JournalEntry { process_id, kind, branch, revision, entry_hash, status, .. } = &self.0;
        (process_id.as_str(), kind, branch, revision, entry_hash.as_bytes(), status.as_str()).hash(hasher);
    }
}

impl Hash for Held {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Hold { code, placed_at, ends_at, is_silent } = &self.0.hold;
        let instants = [*placed_at, *ends_at].map(Timestamp::unix_micros);
        (self.0.revision, code.as_str(), instants, is_silent).hash(hasher);
    }
}

impl Line {
    pub(crate) fn process(&self) -> usize {
        number_of(self.0.process_id.as_str())
    }
}

impl Held {
    pub(crate) fn ends_at(&self) -> Timestamp {
        self.0.hold.ends_at
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.hold.code == other.0.hold.code
    }

    pub(crate) fn remembered(&self) -> RememberedHold {
        RememberedHold {
            identity_hash: key().pseudonym_of_identity(&address()),
            revision: self.0.revision,
            hold: self.0.hold.clone(),
        }
    }
}

impl From<&RememberedHold> for Held {
    fn from(remembered: &RememberedHold) -> Self {
        let RememberedHold { revision, hold, .. } = remembered.clone();
        Self(HoldRecord { address: address(), hold, note: None, revision })
    }
}

/// Stores a hold, unless a later revision is there.
pub(crate) fn put(holds: &mut Vec<Held>, held: &Held) {
    if holds.iter().any(|other| other.is_same(held) && other.0.revision >= held.0.revision) {
        return;
    }
    holds.retain(|other| !other.is_same(held));
    holds.push(held.clone());
    holds.sort_by(|one, other| one.0.hold.code.cmp(&other.0.hold.code));
}

fn place(entry: &JournalEntry) -> (i64, &[u8]) {
    (entry.revision, entry.entry_hash.as_bytes())
}

impl Memory {
    /// In any order; the same entry is not there twice.
    pub(crate) fn append(&mut self, entries: &[JournalEntry]) {
        for entry in entries {
            let line = Line(entry.clone());
            if !self.lines.contains(&line) {
                self.lines.push(line);
            }
        }
        self.lines.sort_by_key(|Line(entry)| {
            let hash = *entry.entry_hash.as_bytes();
            (entry.process_id.to_string(), entry.branch, entry.revision, entry.kind, hash)
        });
    }

    pub(crate) fn of(&self, processes: Option<&[usize]>) -> Vec<Line> {
        let is_asked = |line: &&Line| processes.is_none_or(|some| some.contains(&line.process()));
        self.lines.iter().filter(is_asked).cloned().collect()
    }

    fn entries(&self, process: usize) -> impl Iterator<Item = &JournalEntry> {
        self.lines.iter().filter(move |line| line.process() == process).map(|Line(entry)| entry)
    }

    /// Whether it has the very entry with which the deletion of this process has started.
    pub(crate) fn bears_out(&self, row: &Row) -> bool {
        row.start().is_some_and(|start| self.entries(row.number).any(|entry| place(entry) == start))
    }

    /// Whether the database has all that counts of what is remembered of this process.
    pub(crate) fn is_contained_in(&self, row: &Row) -> bool {
        let branch = self.entries(row.number).map(|entry| entry.branch).max();
        let mut counting = self.entries(row.number).filter(|entry| Some(entry.branch) == branch);
        counting.all(|entry| row.places().any(|step| step == place(entry)))
    }

    /// Whether it lacks something of this process.
    pub(crate) fn lacks(&self, row: &Row) -> bool {
        let newest = row.places().next_back();
        newest.is_some_and(|step| !self.entries(row.number).any(|entry| place(entry) == step))
    }

    /// Whether it knows that this process was cancelled.
    pub(crate) fn has_cancelled(&self, process: usize) -> bool {
        self.entries(process).any(|entry| entry.status == Status::Cancelled)
    }

    /// Whether its deletion has started, by a step and not by a decision.
    pub(crate) fn has_started(&self, process: usize) -> bool {
        self.entries(process).any(|entry| entry.kind == JournalKind::Step && entry.has_started())
    }

    pub(crate) fn processes(&self) -> impl Iterator<Item = usize> {
        self.lines.iter().map(Line::process)
    }
}

/// As the port gives it, of each process.
pub(crate) fn remembered(lines: Vec<Line>) -> std::collections::BTreeMap<usize, Remembered> {
    let mut remembered = std::collections::BTreeMap::<_, Remembered>::new();
    for line in lines {
        remembered.entry(line.process()).or_default().entries.push(line.0);
    }
    remembered
}
