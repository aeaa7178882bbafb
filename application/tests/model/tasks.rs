//! The tasks of deletions as they are stored.

use reprieve_application::ports::{ErasureTask, Settlement, TaskOutcome};
use reprieve_domain::{NewTask, TaskKind, Timestamp};

use crate::row::{address, eraser, number_of, process_id};

/// When a task is due that waits for others.
pub(crate) const NEVER: i64 = i64::MAX;

/// What is to be done: an eraser is asked, or the process is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Finish,
    Erase(usize),
}

impl From<&TaskKind> for Kind {
    fn from(kind: &TaskKind) -> Self {
        match kind {
            TaskKind::Finish => Self::Finish,
            TaskKind::Erase(name) => Self::Erase(number_of(name.as_str())),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Task {
    pub(crate) process: usize,
    pub(crate) kind: Kind,
    pub(crate) due_at: i64,
    pub(crate) lease_ends_at: Option<i64>,
    pub(crate) fence: i64,
    pub(crate) failures: u32,
    pub(crate) since: Option<i64>,
    pub(crate) is_stuck: bool,
}

impl Task {
    pub(crate) fn new(process: usize, task: &NewTask) -> Self {
        Self {
            process,
            kind: (&task.kind).into(),
            due_at: task.due_at.map_or(NEVER, Timestamp::unix_micros),
            lease_ends_at: None,
            fence: 0,
            failures: 0,
            since: None,
            is_stuck: false,
        }
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        !self.is_stuck && self.due_at <= now.unix_micros()
    }

    /// As a worker gets it.
    pub(crate) fn claimed(&self) -> ErasureTask {
        ErasureTask {
            process_id: process_id(self.process),
            address: address(),
            kind: match self.kind {
                Kind::Finish => TaskKind::Finish,
                Kind::Erase(number) => TaskKind::Erase(eraser(number)),
            },
            fence: self.fence,
            failures: self.failures,
            unfinished_since: self.since.map(|since| Timestamp::from_unix_micros(since).unwrap()),
            poll: None,
        }
    }

    pub(crate) fn is(&self, task: &ErasureTask) -> bool {
        self.process == number_of(task.process_id.as_str()) && self.kind == (&task.kind).into()
    }

    fn wait(&mut self, until: Option<Timestamp>) {
        self.due_at = until.map_or(NEVER, Timestamp::unix_micros);
        self.lease_ends_at = None;
    }

    pub(crate) fn fail(&mut self, outcome: &TaskOutcome) {
        let TaskOutcome::Failed { since, again_at } = outcome else { return };
        self.failures += 1;
        self.since = Some(since.unix_micros());
        self.is_stuck = again_at.is_none();
        self.wait(*again_at);
    }

    pub(crate) fn settle(&mut self, settlement: &Settlement) {
        match settlement {
            Settlement::Known => {}
            Settlement::Later { at, since, .. } => {
                self.since = Some(since.unix_micros());
                self.wait(*at);
            }
            Settlement::GivenBack { again_at } => self.wait(Some(*again_at)),
        }
    }
}
