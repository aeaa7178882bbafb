//! The port `DeletionsSwitch`, where no pause is lost that the journal has.

use std::sync::Arc;

use async_trait::async_trait;
use reprieve_domain::Timestamp;
use reprieve_domain::audit::PauseChange;

use super::Journaling;
use crate::ports::{DeletionsSwitch, JournalError, Pause, RememberedPause, SwitchSetting};
use crate::{PauseReason, StoreError};

/// What is set in the place of what the journal has and cannot be read, so that it can be resumed.
const UNREADABLE: &str = "what the journal has of pausing deletions cannot be read";

/// The switch beside its journal: while the journal has a pause that the database lacks, deletions are paused, until they are
/// resumed.
pub struct JournaledSwitch {
    switch: Arc<dyn DeletionsSwitch>,
    journaling: Journaling,
}

impl JournaledSwitch {
    /// This switch, beside its journal.
    #[must_use]
    pub fn new(switch: Arc<dyn DeletionsSwitch>, journaling: Journaling) -> Self {
        Self { switch, journaling }
    }
}

#[async_trait]
impl DeletionsSwitch for JournaledSwitch {
    /// # Errors
    /// Also if the journal cannot be used, unless the database says that deletions are paused.
    async fn pause_in_force(&self) -> Result<Option<Pause>, StoreError> {
        match self.switch.pause_in_force().await? {
            Some(pause) => Ok(Some(pause)),
            None => Ok(self.journaling.lost_pause().await?.map(|lost| lost.pause())),
        }
    }

    /// A pause that was lost is stored again first, so that it is what is resumed. Nothing waits for the journal: while it cannot be
    /// used, deletions wait for it themselves.
    async fn set(&self, setting: &SwitchSetting, now: Timestamp) -> Result<bool, StoreError> {
        match self.journaling.lost_pause().await {
            Ok(Some(LostPause::Setting(change))) => self.journaling.trail.restore_pause(&change).await?,
            Ok(Some(LostPause::Unreadable)) => {
                let reason = UNREADABLE.parse().ok();
                let paused = reason.map(SwitchSetting::Paused);
                if let Some(paused) = paused
                    && self.switch.pause_in_force().await?.is_none()
                {
                    self.switch.set(&paused, now).await?;
                }
            }
            Ok(None) | Err(StoreError::Journal(_)) => {}
            Err(error) => return Err(error),
        }
        self.switch.set(setting, now).await
    }
}

/// A pause that the journal has and the database lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LostPause {
    /// The newest setting that the journal has.
    Setting(PauseChange),
    /// What it has cannot be read, so that it may be one.
    Unreadable,
}

impl LostPause {
    /// Of what the journal has; nothing if what is `stored` is as new.
    fn of(remembered: RememberedPause, stored: Option<&PauseChange>) -> Option<Self> {
        let RememberedPause { newest, is_damaged } = remembered;
        let stored_at = stored.map(|stored| stored.changed_at);
        let lost = newest.filter(|newest| newest.is_paused && stored_at < Some(newest.changed_at));
        lost.map(Self::Setting).or(is_damaged.then_some(Self::Unreadable))
    }

    fn pause(&self) -> Pause {
        let Self::Setting(PauseChange { changed_at, reason, .. }) = self else { return Pause::Unverified };
        let reason = reason.as_deref().map(str::parse::<PauseReason>);
        match (Timestamp::from_unix_micros(*changed_at), reason) {
            (Ok(since), Some(Ok(reason))) => Pause::Lost { since, reason },
            _ => Pause::Unverified,
        }
    }
}

impl Journaling {
    /// The pause that the journal has and the database lacks, if there is one. An empty journal has none.
    ///
    /// # Errors
    /// If the journal or the store fails.
    pub(crate) async fn lost_pause(&self) -> Result<Option<LostPause>, StoreError> {
        match self.journal.id().await {
            // It is reported where something is due.
            Ok(None) | Err(JournalError::NotNamed) => return Ok(None),
            found => drop(found?),
        }
        // The journal first: whatever it has was in the database before.
        let remembered = self.journal.pause().await?;
        if remembered == RememberedPause::default() {
            return Ok(None);
        }
        let stored = self.trail.pause_setting().await?;
        Ok(LostPause::of(remembered, stored.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(changed_at: i64, is_paused: bool) -> PauseChange {
        PauseChange { changed_at, is_paused, reason: Some("moved".to_owned()) }
    }

    #[test]
    fn a_pause_is_lost_if_nothing_as_new_is_stored() {
        for (newest, is_damaged, stored, expected) in [
            (None, false, None, None),
            (Some(change(5, true)), false, None, Some(LostPause::Setting(change(5, true)))),
            (Some(change(5, true)), true, Some(change(4, false)), Some(LostPause::Setting(change(5, true)))),
            (Some(change(5, true)), false, Some(change(5, true)), None),
            (Some(change(5, true)), false, Some(change(6, false)), None),
            // A resumption that was lost is for operators: what is stored says that deletions are paused.
            (Some(change(5, false)), false, Some(change(4, true)), None),
            (Some(change(5, false)), true, Some(change(5, false)), Some(LostPause::Unreadable)),
            (None, true, None, Some(LostPause::Unreadable)),
        ] {
            let remembered = RememberedPause { newest, is_damaged };
            assert_eq!(LostPause::of(remembered, stored.as_ref()), expected);
        }
    }

    #[test]
    fn what_was_lost_is_shown_as_it_was_ordered() {
        let since = Timestamp::from_unix_micros(5).unwrap();
        let reason = "moved".parse().unwrap();
        assert_eq!(LostPause::Setting(change(5, true)).pause(), Pause::Lost { since, reason });
        let without_reason = PauseChange { reason: None, ..change(5, true) };
        assert_eq!(LostPause::Setting(without_reason).pause(), Pause::Unverified);
        assert_eq!(LostPause::Unreadable.pause(), Pause::Unverified);
    }
}
