//! What use cases ask of their ports, and what they are answered, as values.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use reprieve_application::StoreError;
use reprieve_application::ports::{ErasureTask, HoldRecord, Pause, Settlement, TaskOutcome, Version};
use reprieve_domain::audit::JournalEntry;
use reprieve_domain::{Step, Timestamp};

use crate::memory::{Held, Line, Setting};
use crate::row::Row;
use crate::tasks::{Kind, Task};

/// Names a request: who sent it, and which of theirs it is.
pub(crate) type Key = (u8, u8);

/// One call of a port. What it does, it does at once.
#[derive(Debug)]
pub(crate) enum Call {
    CheckClocks,
    Load,
    Save(Box<Save>),
    SaveAll(Vec<Save>),
    /// The end of the grace period is reached at this instant.
    FindDue(Timestamp),
    Verify(Vec<usize>),
    Claim {
        due_at: Timestamp,
        lease_ends_at: Timestamp,
        limit: u32,
    },
    Settle(ErasureTask, Settlement),
    Close(ErasureTask, Version),
    /// What the journal has of these processes; of all without any.
    Remember(Option<Vec<usize>>),
    Append(Vec<JournalEntry>),
    /// What is stored, closed processes included; of all without any.
    Account(Option<Vec<usize>>),
    ListHolds,
    /// What the journal has of holds.
    RememberHolds,
    /// What it lacks of them.
    ListUnjournaledHolds,
    AppendHolds(Vec<Held>),
    RestoreHolds(Vec<Held>),
    SaveHold(Box<SaveHold>),
    FindSuspension(usize),
    FindPause,
    SetPause(bool, Timestamp),
    /// How the switch is set.
    FindSetting,
    RememberSetting,
    AppendSetting(Setting),
    RestoreSetting(Setting),
    Erase {
        eraser: usize,
        process: usize,
    },
    ListTasks(usize),
    Retry(usize, Timestamp),
    FindAnswer(Key),
    KeepAnswer(Key, u16),
}

/// A step, and what it is stored with.
#[derive(Debug)]
pub(crate) struct Save {
    pub(crate) step: Step,
    pub(crate) version: Version,
    pub(crate) with: With,
    /// The row after the step, by the row before, because sealing takes longer than all the rest.
    pub(crate) rows: Mutex<HashMap<Option<Arc<Row>>, Arc<Row>>>,
}

/// A hold, and the step of the open process that goes with it.
#[derive(Debug)]
pub(crate) struct SaveHold {
    pub(crate) record: HoldRecord,
    pub(crate) replaced: Option<i64>,
    pub(crate) step: Option<Save>,
    pub(crate) now: Timestamp,
}

#[derive(Debug)]
pub(crate) enum With {
    Nothing,
    Answer(Key, u16),
    Task(ErasureTask, TaskOutcome, Timestamp),
    Waiver(Timestamp, Kind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    Conflict,
    OpenProcessExists,
    LeaseLost,
    AlreadyAnswered,
    Clocks,
    Paused,
    Unavailable,
}

/// What an eraser does and says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    Erased,
    /// It was erased, and nobody hears of it.
    Lost,
    Failed,
    Working,
    Lie,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Done,
    Refused(Refusal),
    /// With the holds of an identity that has no open process.
    Loaded(Option<Arc<Row>>, Vec<Held>),
    Saved(Vec<bool>),
    Found(Vec<usize>),
    /// Those that are stored; whether each is believed, and whether the journal knows that its deletion has started, if it has.
    Verified(Vec<(Arc<Row>, bool, bool)>),
    Remembered(Vec<Line>),
    Accounted(Vec<Arc<Row>>),
    Holds(Vec<Held>),
    /// In microseconds of Unix time.
    Suspended(Option<i64>),
    Paused(bool),
    Setting(Option<Setting>),
    Claimed(Vec<Task>),
    Replied(Reply),
    Listed(bool),
    Retried(u64),
    Answered(Option<u16>),
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Conflict => Self::Conflict,
            Refusal::OpenProcessExists => Self::OpenProcessExists,
            Refusal::LeaseLost => Self::LeaseLost,
            Refusal::AlreadyAnswered => Self::AlreadyAnswered,
            Refusal::Clocks => {
                Self::ClocksDisagree { machine: crate::clocks::at(0), database: crate::clocks::at(0) }
            }
            Refusal::Paused => Self::Paused(Pause::Unverified),
            Refusal::Unavailable => Self::Unavailable("the model".into()),
        }
    }
}
