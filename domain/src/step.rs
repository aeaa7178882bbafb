//! What a transition gives back.

use crate::audit::AuditEntry;
use crate::{DeletionProcess, EraserName, Event, Timestamp};

/// A decided transition: the new state, what happened and what is to be done. Nothing has happened until all of it is
/// stored, together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a step that is not stored did not happen"]
pub struct Step {
    process: DeletionProcess,
    audit_entry: AuditEntry,
    event: Option<Event>,
    deadline: Deadline,
    tasks: Vec<NewTask>,
}

/// A part of the work that a deletion consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskKind {
    /// The eraser erases what it knows of the identity.
    Erase(EraserName),
    /// The process is completed once every eraser has acknowledged, and what is left of the identity is removed.
    Finish,
}

/// A task that comes to exist with a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// What is to be done.
    pub kind: TaskKind,
    /// From when on; none while it waits for other tasks.
    pub due_at: Option<Timestamp>,
}

/// What must hold of the stored end of the grace period when the step is stored.
///
/// The domain has already decided by the state it was given. Whoever stores the step asks again, in the statement that
/// writes it, so that the decision and the write cannot be torn apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// The grace period must end after this instant.
    IsAfter(Timestamp),
    /// The grace period must have ended by this instant.
    IsReachedAt(Timestamp),
    /// The deadline plays no part in this step.
    DoesNotMatter,
}

impl Step {
    pub(crate) fn new(
        process: DeletionProcess,
        audit_entry: AuditEntry,
        event: Option<Event>,
        deadline: Deadline,
    ) -> Self {
        Self { process, audit_entry, event, deadline, tasks: Vec::new() }
    }

    pub(crate) fn with_tasks(self, tasks: Vec<NewTask>) -> Self {
        Self { tasks, ..self }
    }

    /// The process after the step.
    #[must_use]
    pub fn process(&self) -> &DeletionProcess {
        &self.process
    }

    /// The process after the step, for a caller who has stored the rest.
    #[must_use]
    pub fn into_process(self) -> DeletionProcess {
        self.process
    }

    /// What the audit trail must say of the step.
    #[must_use]
    pub fn audit_entry(&self) -> &AuditEntry {
        &self.audit_entry
    }

    /// What other services are told, if anything.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        self.event.as_ref()
    }

    /// What is to be done from now on.
    #[must_use]
    pub fn tasks(&self) -> &[NewTask] {
        &self.tasks
    }

    /// Under which condition on the stored deadline the step may be stored.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }
}
