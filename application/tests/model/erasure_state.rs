//! What an erasure consists of at one instant.

use reprieve_domain::Status;

use crate::store::{Loaded, Row, Store};

/// How often each kind of mishap may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(crate) struct Luck {
    pub(crate) crashes: u8,
    /// An eraser fails, or its answer is lost.
    pub(crate) failures: u8,
    /// An eraser is still at work.
    pub(crate) delays: u8,
    /// An eraser acknowledges and has erased nothing.
    pub(crate) lies: u8,
    /// A lease ends under a worker that is alive.
    pub(crate) early_ends: u8,
    /// Somebody looks after what is stuck.
    pub(crate) retries: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Due,
    Claimed,
    /// Until something makes it due.
    Waiting,
    Stuck,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Task {
    pub(crate) place: Place,
    pub(crate) fence: u8,
    /// It was tried without coming to an end: the next failure is one too many.
    pub(crate) is_unfinished: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Eraser {
    pub(crate) has_data: bool,
    pub(crate) has_lied: bool,
}

/// What a worker knows of the task it has claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Claim {
    pub(crate) task: usize,
    pub(crate) fence: u8,
    pub(crate) is_in_ledger: bool,
    pub(crate) is_patient: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    Erased,
    /// It was erased, and nobody hears of it.
    Lost,
    Failed,
    Working,
    Lie,
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Worker {
    Idle,
    Claimed(Claim),
    Loaded(Claim, Loaded),
    /// The ledger has it, the store does not know.
    Appended(Claim, Loaded),
    Ready(Claim, Loaded),
    Answered(Claim, Loaded, Reply),
    /// Somebody else was faster: what is stored has to be read again.
    Again(Claim, Reply),
    Completed(Claim),
    /// Only with a mistake: it has said so and will do it now.
    Promised(usize),
}

#[derive(Debug, Clone, PartialEq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact, and states are compared by all of them")]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) tasks: [Option<Task>; 3],
    pub(crate) is_in_ledger: bool,
    /// What else is stored of the identity.
    pub(crate) has_own_rows: bool,
    pub(crate) has_receipt: bool,
    /// Outside the store.
    pub(crate) ledger_has_it: bool,
    pub(crate) erasers: [Eraser; 2],
    pub(crate) workers: [Worker; 2],
    /// Only with a mistake: the step is stored, the tasks are not.
    pub(crate) has_tasks_in_mind: bool,
    pub(crate) luck: Luck,
    /// What was stored of the process until it was removed.
    pub(crate) closed: Option<Row>,
    /// The person came back and was told that a new deletion is under way.
    pub(crate) newcomer_was_told: bool,
    pub(crate) was_asked_too_early: bool,
    pub(crate) was_asked_after_close: bool,
    pub(crate) stored_without_lease: bool,
    pub(crate) was_retried: bool,
}

impl State {
    /// What is or was stored of the process.
    pub(crate) fn row(&self) -> Option<&Row> {
        self.store.rows.iter().find(|row| row.process.number() == 0).or(self.closed.as_ref())
    }

    pub(crate) fn status(&self) -> Option<Status> {
        self.row().map(Row::status)
    }

    pub(crate) fn holder(&self, task: usize) -> bool {
        let fence = self.tasks[task].map(|task| task.fence);
        self.workers.iter().any(|worker| match worker {
            Worker::Idle | Worker::Promised(_) => false,
            Worker::Claimed(claim)
            | Worker::Loaded(claim, _)
            | Worker::Appended(claim, _)
            | Worker::Ready(claim, _)
            | Worker::Answered(claim, ..)
            | Worker::Again(claim, _)
            | Worker::Completed(claim) => claim.task == task && Some(claim.fence) == fence,
        })
    }

    pub(crate) fn make_tasks(&mut self) {
        self.tasks = [Some(Task { place: Place::Due, fence: 0, is_unfinished: false }); 3];
    }

    pub(crate) fn claim(&mut self, worker: usize, number: usize) {
        let is_in_ledger = self.is_in_ledger;
        let task = self.tasks[number].as_mut().unwrap();
        task.place = Place::Claimed;
        task.fence += 1;
        let (fence, is_patient) = (task.fence, !task.is_unfinished);
        self.workers[worker] = Worker::Claimed(Claim { task: number, fence, is_in_ledger, is_patient });
    }
}
