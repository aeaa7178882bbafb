//! Going through everything that is due, a batch at a time.

use std::collections::HashMap;
use std::sync::Arc;

use reprieve_domain::audit::{Fault, FaultKind};
use reprieve_domain::{Identity, Step};

use crate::StoreError;
use crate::ports::{AuditTrail, Due, DueProcesses, Found, Holds, Identities, Loaded, Position, StoredHolds};

/// How many processes are stepped together, so that nothing is locked for long and memory does not grow.
pub(super) const BATCH: u32 = 100;

/// What a pass over many processes did.
#[derive(Debug, Default)]
pub struct Swept {
    /// How many processes took a step.
    pub stepped: u64,
    /// How many were changed meanwhile, or needed nothing any more.
    pub left_alone: u64,
    /// How many could not be stepped. The next pass tries them again.
    pub failed: u64,
    /// Why the first of them could not.
    pub first_failure: Option<StoreError>,
    /// How many are left to later passes because of the limit on starts.
    pub over_limit: u64,
}

/// What a pass over many processes needs.
pub(super) struct Sweep {
    pub(super) processes: Arc<dyn DueProcesses>,
    pub(super) audit_trail: Arc<dyn AuditTrail>,
    pub(super) identities: Arc<dyn Identities>,
    /// What suspends a step; nothing where it need not be known.
    pub(super) holds: Option<Arc<dyn Holds>>,
}

impl Sweep {
    /// Steps everything in these ranges, once: what `decide` says of each, which is nothing if what made it due is no longer
    /// so. Only what verifies is decided on, and in the version that was verified.
    pub(super) async fn run(
        &self,
        swept: &mut Swept,
        ranges: impl IntoIterator<Item = Due>,
        decide: impl Fn(&Identity) -> Option<Step>,
    ) -> Result<(), StoreError> {
        for due in ranges {
            let mut after = None;
            loop {
                let found = self.processes.find_due(due, after, BATCH).await?;
                after = self.step(swept, found, &decide).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Steps what was found, together; returns where the search goes on.
    pub(super) async fn step(
        &self,
        swept: &mut Swept,
        Found { processes, failed, next }: Found,
        decide: impl Fn(&Identity) -> Option<Step>,
    ) -> Result<Option<Position>, StoreError> {
        for error in failed {
            swept.note(Err(error));
        }
        let mut verified = self.audit_trail.verified(&processes).await?;
        let addresses: Vec<_> =
            verified.values().flatten().map(|loaded| loaded.value.address().clone()).collect();
        let mut held = match &self.holds {
            Some(holds) => holds.of(&addresses).await?,
            None => HashMap::new(),
        };
        let mut decided = Vec::with_capacity(processes.len());
        for process in processes {
            match verified.remove(&process) {
                Some(Ok(Loaded { value, version })) => {
                    let StoredHolds { records, is_damaged } =
                        held.remove(value.address()).unwrap_or_default();
                    if is_damaged {
                        let process_id = process.to_string();
                        let fault = Fault { process_id, sequence: 0, kind: FaultKind::HoldDiffers };
                        swept.note(Err(StoreError::Quarantined(fault)));
                        continue;
                    }
                    let holds = records.into_iter().map(|record| record.hold).collect();
                    let identity = Identity::with_open_process(value).ok();
                    let identity = identity.map(|identity| identity.with_holds(holds));
                    match identity.as_ref().and_then(&decide) {
                        Some(step) => decided.push((step, version)),
                        None => swept.note(Ok(false)),
                    }
                }
                None => swept.note(Ok(false)),
                Some(Err(fault)) => swept.note(Err(StoreError::Quarantined(fault))),
            }
        }
        if !decided.is_empty() {
            for saved in self.identities.save_all(&decided).await? {
                swept.note(saved);
            }
        }
        Ok(next)
    }
}

impl Swept {
    fn note(&mut self, saved: Result<bool, StoreError>) {
        match saved {
            Ok(true) => self.stepped += 1,
            Ok(false) => self.left_alone += 1,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a process was passed over");
                self.failed += 1;
                self.first_failure.get_or_insert(error);
            }
        }
    }
}
