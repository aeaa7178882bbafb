//! Comparing a database with its journal, in both directions: what the database lacks, and what the journal lacks.

use super::{Account, JournalEntry, JournalKind, KeyedHash};
use crate::{Status, Timestamp};

/// What a journal has of one process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remembered {
    /// Its sound entries, in any order.
    pub entries: Vec<JournalEntry>,
    /// Whether it has entries that cannot be read or are not sealed, and that no decision came after.
    pub is_damaged: bool,
}

/// What comparing a process with the journal came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recognition {
    /// The database has all that the journal has.
    Current {
        /// What the journal lacks.
        missing: Vec<JournalEntry>,
    },
    /// The database lacks something that the journal has: it was put back to an earlier state.
    Older {
        /// The newest entry of the journal.
        newest: JournalEntry,
    },
    /// The journal cannot be read, so that it is unknown which of the two it is.
    Unknown,
}

/// What is to be done about a process of which the database lacks something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restoration {
    /// Nothing: the database says what matters.
    Accept,
    /// It was cancelled, at this instant, and is to be cancelled again.
    CancelAgain(Timestamp),
    /// Its deletion had started, and is to be started again if the identity is there.
    DeleteAgain,
    /// It was requested, and the database has no such process: whether the identity still wants it is for a human to say.
    RequestLost,
    /// The two cannot both have happened: what the journal has is not undone, and what the database has is not allowed to
    /// go on.
    Contradiction,
}

impl Remembered {
    /// The last branch.
    #[must_use]
    pub fn branch(&self) -> i64 {
        self.entries.iter().map(|entry| entry.branch).max().unwrap_or(0)
    }

    /// The entries that count.
    fn last_branch(&self) -> impl Iterator<Item = &JournalEntry> {
        let branch = self.branch();
        self.entries.iter().filter(move |entry| entry.branch == branch)
    }

    /// The newest entry.
    #[must_use]
    pub fn newest(&self) -> Option<&JournalEntry> {
        self.last_branch().max_by_key(|entry| (entry.revision, entry.kind))
    }

    /// Whether the chain that ends here is what the journal has, entry by entry, so that nothing has to be compared.
    #[must_use]
    pub fn ends_at(&self, length: i64, hash: KeyedHash) -> bool {
        let first = self.last_branch().map(|entry| entry.revision).min().unwrap_or(0);
        let newest = self.newest();
        let is_complete = i64::try_from(self.last_branch().count()) == Ok(length - first + 1);
        !self.is_damaged
            && is_complete
            && (first == 1 || self.branch() > 0)
            && self.last_branch().all(|entry| matches!(entry.kind, JournalKind::Step | JournalKind::Decision))
            && newest.is_some_and(|newest| newest.revision == length && newest.entry_hash == hash)
    }
}

/// Compares what a database says of a process with what its journal has. Whatever a database was put back to, it lacks the
/// journal's newest entry; a journal that was put back lacks the newest steps, or is empty.
#[must_use]
pub fn recognise(account: &Account, remembered: &Remembered) -> Recognition {
    if remembered.is_damaged {
        return Recognition::Unknown;
    }
    let Some(newest) = remembered.newest() else {
        return Recognition::Current { missing: account.entries.clone() };
    };
    if account.is_partial {
        // A cancellation is remembered, whatever came before it.
        let missing = account
            .entries
            .iter()
            .filter(|entry| !remembered.last_branch().any(|known| known.is_step(entry)));
        let branch = remembered.branch();
        return Recognition::Current {
            missing: missing.map(|entry| JournalEntry { branch, ..entry.clone() }).collect(),
        };
    }
    let is_forgotten = remembered.last_branch().any(|entry| entry.kind == JournalKind::Forgotten);
    if account.entries.is_empty() && is_forgotten {
        return Recognition::Current { missing: Vec::new() };
    }
    if !remembered.last_branch().all(|entry| account.has(entry)) {
        return Recognition::Older { newest: newest.clone() };
    }
    let branch = remembered.branch();
    let decided = remembered.last_branch().filter(|entry| entry.kind == JournalKind::Decision);
    let decided_at = decided.map(|entry| entry.revision).max().unwrap_or(0);
    let is_missing = |entry: &&JournalEntry| {
        entry.revision > decided_at && !remembered.last_branch().any(|known| known.is_step(entry))
    };
    let missing = account.entries.iter().filter(is_missing);
    Recognition::Current { missing: missing.map(|entry| JournalEntry { branch, ..entry.clone() }).collect() }
}

/// What is to be done about a process of which the database lacks the journal's newest entry. Doubt favours the person.
#[must_use]
pub fn restoration(account: &Account, newest: &JournalEntry) -> Restoration {
    let stored = account.newest().map(|entry| entry.status);
    match (newest.status, stored) {
        (Status::Active, None) => Restoration::RequestLost,
        (Status::Cancelled, Some(Status::Active)) => {
            newest.dates.cancelled_at.map_or(Restoration::Contradiction, Restoration::CancelAgain)
        }
        (Status::Cancelled, Some(Status::Deleting | Status::Deleted)) => Restoration::Contradiction,
        (Status::Deleting | Status::Deleted, None | Some(Status::Active)) => Restoration::DeleteAgain,
        // Whatever was asked for is still asked for, or is over.
        (Status::Active, Some(_))
        | (Status::Cancelled, None | Some(Status::Cancelled))
        | (
            Status::Deleting | Status::Deleted,
            Some(Status::Cancelled | Status::Deleting | Status::Deleted),
        ) => Restoration::Accept,
    }
}

impl JournalEntry {
    /// Whether it is about this step.
    fn is_step(&self, step: &Self) -> bool {
        self.kind != JournalKind::Ledger
            && (self.revision, self.entry_hash) == (step.revision, step.entry_hash)
    }
}

impl Account {
    fn has(&self, entry: &JournalEntry) -> bool {
        match entry.kind {
            JournalKind::Ledger => self.entries.iter().any(|step| {
                step.has_started() && step.dates.deletion_started_at == entry.dates.deletion_started_at
            }),
            JournalKind::Decision if entry.revision == 0 => self.entries.is_empty(),
            JournalKind::Step | JournalKind::Decision | JournalKind::Forgotten => {
                self.entries.iter().any(|known| entry.is_step(known))
            }
        }
    }

    /// That the database is right as it is, although it lacks what the journal has: `newest` is the journal's newest entry.
    #[must_use]
    pub fn decision(&self, newest: &JournalEntry) -> JournalEntry {
        let branch = newest.branch + 1;
        match self.newest() {
            Some(step) => JournalEntry { kind: JournalKind::Decision, branch, ..step.clone() },
            None => JournalEntry {
                kind: JournalKind::Decision,
                branch,
                revision: 0,
                entry_hash: KeyedHash::ZERO,
                ..newest.clone()
            },
        }
    }
}

#[cfg(test)]
mod tests;
