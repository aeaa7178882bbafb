//! Going through everything that is due, a batch at a time.

use reprieve_domain::{Identity, Step};

use crate::StoreError;
use crate::ports::{Due, DueProcesses, Found, Identities};

/// How many processes are stepped together, so that nothing is locked for long and memory does not grow.
const BATCH: u32 = 100;

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
}

/// Steps everything in these ranges, once: what `decide` says of each, which is nothing if what made it due is no longer so.
pub(super) async fn sweep(
    processes: &dyn DueProcesses,
    identities: &dyn Identities,
    ranges: impl IntoIterator<Item = Due>,
    decide: impl Fn(&Identity) -> Option<Step>,
) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    for due in ranges {
        let mut after = None;
        loop {
            let Found { identities: found, failed, next } = processes.find_due(due, after, BATCH).await?;
            let count = found.len();
            let decided: Vec<_> = found
                .into_iter()
                .filter_map(|loaded| Some((decide(&loaded.value)?, loaded.version)))
                .collect();
            swept.left_alone += (count - decided.len()) as u64;
            failed.into_iter().for_each(|error| swept.note(Err(error)));
            if !decided.is_empty() {
                identities.save_all(&decided).await?.into_iter().for_each(|saved| swept.note(saved));
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(swept)
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
