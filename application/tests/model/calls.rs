//! What use cases ask of their ports, and what they are answered, as values.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use reprieve_application::StoreError;
use reprieve_application::ports::{ErasureTask, Settlement, TaskOutcome, Version};
use reprieve_domain::{Step, Timestamp};

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
    Append(Vec<usize>),
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
    Loaded(Option<Arc<Row>>),
    Saved(Vec<bool>),
    Found(Vec<usize>),
    /// Those that are stored; whether each verifies, and whether the journal has it.
    Verified(Vec<(Arc<Row>, bool, bool)>),
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
            Refusal::Unavailable => Self::Unavailable("the model".into()),
        }
    }
}
