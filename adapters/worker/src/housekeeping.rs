//! Applying the retention periods.

use async_trait::async_trait;
use reprieve_application::use_cases::{Forgotten, KeepHouse};
use reprieve_application::{Failure, PassSummary};

use crate::{Mode, Next, Work};

#[async_trait]
impl Work for KeepHouse {
    fn name(&self) -> &'static str {
        "housekeeping"
    }

    async fn pass(&self, mode: &Mode) -> Result<(PassSummary, Next), Failure> {
        let forgotten = self.execute().await?;
        if mode.is_recurring() && forgotten != Forgotten::default() {
            let Forgotten { cancelled_processes, audit_trails, events, sinks, answers, quarantined } =
                forgotten;
            tracing::info!(
                cancelled_processes,
                audit_trails,
                events,
                sinks,
                answers,
                quarantined,
                "forgotten"
            );
        }
        Ok((PassSummary::Housekeeping(forgotten), Next::WhenWoken))
    }
}
