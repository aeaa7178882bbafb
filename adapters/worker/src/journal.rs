//! Keeping the journal up to date.

use async_trait::async_trait;
use reprieve_application::use_cases::{JournalKept, KeepJournal};
use reprieve_application::{ErrorCode, Failure, PassSummary};

use crate::{Mode, Next, Work};

#[async_trait]
impl Work for KeepJournal {
    fn name(&self) -> &'static str {
        "journal"
    }

    async fn check(&self) -> Result<(), Failure> {
        let journaling = self.journaling();
        journaling.check().await?;
        if journaling.is_older().await? {
            let message = "the database lacks what its journal has; see `reprieve journal replay`";
            return Err(Failure::new(ErrorCode::DatabaseOlderThanJournal, message));
        }
        Ok(())
    }

    async fn pass(&self, mode: &Mode) -> Result<(PassSummary, Next), Failure> {
        let kept = self.execute().await?;
        if mode.is_recurring() {
            report(&kept);
        }
        Ok((PassSummary::Journal(kept), Next::WhenWoken))
    }
}

fn report(kept: &JournalKept) {
    let JournalKept { journaled, older, forgotten, faulty, taken_over } = *kept;
    metrics::counter!("reprieve_journaled_processes_total").increment(journaled);
    // Rounding sets in where no deployment gets to.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a number of any kind")]
    metrics::gauge!("reprieve_processes_older_than_journal").set(older as f64);
    if older > 0 {
        tracing::error!(older, "the database lacks what its journal has; see `reprieve journal replay`");
    }
    if forgotten + faulty + taken_over > 0 {
        tracing::info!(journaled, forgotten, faulty, taken_over, "journaled");
    }
}
