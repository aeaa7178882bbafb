//! Going through everything that is due, a batch at a time.

use crate::StoreError;
use crate::ports::{Decide, Due, DueProcesses};

/// How many processes are stepped in one transaction, so that nothing is locked for long and memory does not grow.
const BATCH: u32 = 100;

/// What a pass over many processes did.
#[derive(Debug, Default)]
pub struct Swept {
    /// How many processes took a step.
    pub stepped: u64,
    /// How many somebody else changed in the meantime.
    pub left_alone: u64,
    /// How many could not be stepped. The next pass tries them again.
    pub failed: u64,
    /// Why the first of them could not.
    pub first_failure: Option<StoreError>,
}

/// Steps everything in these ranges, once.
pub(super) async fn sweep(
    processes: &dyn DueProcesses,
    ranges: impl IntoIterator<Item = Due>,
    decide: &Decide<'_>,
) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    for due in ranges {
        let mut after = None;
        loop {
            let batch = processes.step(due, after, BATCH, decide).await?;
            swept.stepped += batch.stepped.len() as u64;
            swept.left_alone += batch.left_alone;
            swept.failed += batch.failed.len() as u64;
            for error in batch.failed {
                tracing::error!(error = &error as &dyn std::error::Error, "a process was passed over");
                swept.first_failure.get_or_insert(error);
            }
            after = batch.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(swept)
}
