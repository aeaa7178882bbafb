//! Reminding identities of the end of their grace period.

use async_trait::async_trait;
use reprieve_application::use_cases::{SendReminders, Swept};
use reprieve_application::{Failure, PassSummary};

use crate::{Mode, Next, Work};

#[async_trait]
impl Work for SendReminders {
    fn name(&self) -> &'static str {
        "reminders"
    }

    async fn pass(&self, mode: &Mode) -> Result<(PassSummary, Next), Failure> {
        let swept = self.execute().await?;
        let Swept { stepped, left_alone, failed, .. } = swept;
        if mode.is_recurring() && stepped + failed > 0 {
            tracing::info!(sent = stepped, left_alone, failed, "reminders sent");
        }
        Ok((PassSummary::Reminders(swept), Next::WhenWoken))
    }
}
