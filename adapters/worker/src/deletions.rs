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
        let Swept { stepped, left_alone, failed, over_limit, .. } = swept;
        if mode.is_recurring() {
            metrics::gauge!("reprieve_deletions_over_limit").set(floating(over_limit));
            if stepped + failed > 0 {
                tracing::info!(started = stepped, left_alone, failed, over_limit, "deletions started");
            }
        }
        Ok((PassSummary::Deletions(swept), Next::WhenWoken))
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows nothing but floating point")]
fn floating(count: u64) -> f64 {
    count as f64
}
