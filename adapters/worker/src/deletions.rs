//! Starting the deletions whose grace period is over.

use async_trait::async_trait;
use reprieve_application::use_cases::{StartDueDeletions, Swept};
use reprieve_application::{Failure, PassSummary};

use crate::{Mode, Next, Work};

#[async_trait]
impl Work for StartDueDeletions {
    fn name(&self) -> &'static str {
        "deletions"
    }

    async fn pass(&self, mode: &Mode) -> Result<(PassSummary, Next), Failure> {
        let swept = self.execute().await?;
        let Swept { stepped, left_alone, failed, .. } = swept;
        if mode.is_recurring() && stepped + failed > 0 {
            tracing::info!(started = stepped, left_alone, failed, "deletions started");
        }
        Ok((PassSummary::Deletions(swept), Next::WhenWoken))
    }
}
