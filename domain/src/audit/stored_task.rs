//! What is stored of the tasks of a deletion, and whether they follow from the chain.

use std::collections::BTreeSet;

use super::{Proof, StoredErasures, Subject};
use crate::{Erasure, Status};

/// A task of a deletion: one for each eraser that has yet to acknowledge, and one that finishes the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTask {
    /// The eraser; empty for the task that finishes the process.
    pub eraser: String,
    /// The identity that is to be erased.
    pub address: String,
}

impl StoredTask {
    /// Whether these are the tasks of a process that is what its chain says.
    pub(super) fn are_implied(tasks: &[Self], subject: &Subject, proof: &Proof) -> bool {
        let Subject::Process(process) = subject else { return tasks.is_empty() };
        let mut implied: BTreeSet<&str> = match &process.erasures {
            StoredErasures::Known(records) => {
                let pending =
                    records.iter().filter(|record| matches!(record.erasure, Erasure::Pending { .. }));
                pending.map(|record| record.eraser.as_str()).collect()
            }
            StoredErasures::Absent | StoredErasures::Unreadable => BTreeSet::new(),
        };
        if matches!(proof.status(), Status::Deleting | Status::Deleted) {
            implied.insert("");
        }
        let stored: BTreeSet<&str> = tasks.iter().map(|task| task.eraser.as_str()).collect();
        stored.len() == tasks.len()
            && stored == implied
            && tasks.iter().all(|task| task.address == process.address)
    }
}
