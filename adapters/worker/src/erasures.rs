//! Having the data of identities in deletion erased.

use async_trait::async_trait;
use reprieve_application::use_cases::{ErasuresRun, RunErasures};
use reprieve_application::{Failure, PassSummary};

use crate::{Mode, Next, Work};

#[async_trait]
impl Work for RunErasures {
    fn name(&self) -> &'static str {
        "erasures"
    }

    async fn pass(&self, mode: &Mode) -> Result<(PassSummary, Next), Failure> {
        let run = self.execute().await?;
        if mode.is_recurring() {
            report(&run);
        }
        Ok((PassSummary::Erasures(run), Next::WhenWoken))
    }
}

fn report(run: &ErasuresRun) {
    let ErasuresRun { acknowledged, working, failed, stuck, completed, left_alone, broken, .. } = *run;
    for (outcome, number) in [
        ("acknowledged", acknowledged),
        ("working", working),
        ("failed", failed),
        ("broken", broken),
        ("completed", completed),
    ] {
        metrics::counter!("reprieve_erasures_total", "outcome" => outcome).increment(number);
    }
    if acknowledged + working + failed + completed + left_alone + broken > 0 {
        tracing::info!(acknowledged, working, failed, stuck, completed, left_alone, broken, "erasers asked");
    }
}
