//! Stopping all deletions at once, and having them go on.

use std::sync::Arc;

use reprieve_domain::Timestamp;

use crate::ports::{Clock, DeletionsSwitch, Pause, SwitchSetting};
use crate::{PauseReason, StoreError};

/// Pauses deletions: from then on no instance starts one, asks an eraser or completes a process. Whatever was asked of an
/// eraser before comes to its end, and what it acknowledges is stored.
pub struct PauseDeletions {
    switch: Arc<dyn DeletionsSwitch>,
    clock: Arc<dyn Clock>,
}

impl PauseDeletions {
    /// With its ports.
    #[must_use]
    pub fn new(switch: Arc<dyn DeletionsSwitch>, clock: Arc<dyn Clock>) -> Self {
        Self { switch, clock }
    }

    /// Pauses them, also if they are paused for another reason; returns since when.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self, reason: &PauseReason) -> Result<Timestamp, StoreError> {
        let now = self.clock.now();
        self.switch.set(&SwitchSetting::Paused(reason.clone()), now).await?;
        Ok(now)
    }
}

/// Has deletions go on.
pub struct ResumeDeletions {
    switch: Arc<dyn DeletionsSwitch>,
    clock: Arc<dyn Clock>,
}

impl ResumeDeletions {
    /// With its ports.
    #[must_use]
    pub fn new(switch: Arc<dyn DeletionsSwitch>, clock: Arc<dyn Clock>) -> Self {
        Self { switch, clock }
    }

    /// Has them go on; returns the pause that is over, if there was one.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self, reason: Option<&PauseReason>) -> Result<Option<Pause>, StoreError> {
        let pause = self.switch.pause_in_force().await?;
        let is_changed = self.switch.set(&SwitchSetting::Resumed(reason.cloned()), self.clock.now()).await?;
        Ok(pause.filter(|_| is_changed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockDeletionsSwitch;
    use crate::use_cases::test_data::{at, clock_at};

    fn reason(text: &str) -> PauseReason {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn deletions_are_paused_from_now_on() {
        let mut switch = MockDeletionsSwitch::new();
        switch
            .expect_set()
            .once()
            .withf(|setting, now| *setting == SwitchSetting::Paused(reason("moved")) && *now == at(7))
            .returning(|_, _| Ok(true));
        let use_case = PauseDeletions::new(Arc::new(switch), clock_at(7));
        assert_eq!(use_case.execute(&reason("moved")).await.unwrap(), at(7));
    }

    #[tokio::test]
    async fn what_is_resumed_is_the_pause_that_was_in_force() {
        let ordered = Pause::Ordered { since: at(0), reason: reason("moved") };
        for (pause, is_changed, expected) in [
            (Some(ordered.clone()), true, Some(ordered.clone())),
            (Some(Pause::Unverified), true, Some(Pause::Unverified)),
            (Some(ordered), false, None),
            (None, false, None),
        ] {
            let mut switch = MockDeletionsSwitch::new();
            switch.expect_pause_in_force().return_once(move || Ok(pause));
            switch
                .expect_set()
                .once()
                .withf(|setting, now| *setting == SwitchSetting::Resumed(None) && *now == at(7))
                .returning(move |_, _| Ok(is_changed));
            let use_case = ResumeDeletions::new(Arc::new(switch), clock_at(7));
            assert_eq!(use_case.execute(None).await.unwrap(), expected);
        }
    }
}
