//! Holds: an operator suspends the deletion of an identity.

use std::sync::Arc;

use reprieve_domain::{Address, HoldChange, HoldCode, HoldError, Identity, Suspension, Timestamp};

use crate::decide::ATTEMPTS;
use crate::ports::{Clock, HoldRecord, Holds, Identities};
use crate::{Coded, ErrorCode, OperatorNote, StoreError};

/// How many holds are shown at most.
const SHOWN: u32 = 1000;

/// Places, changes and releases holds.
pub struct ManageHolds {
    holds: Arc<dyn Holds>,
    identities: Arc<dyn Identities>,
    clock: Arc<dyn Clock>,
}

/// A hold that an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHold {
    /// The identity.
    pub address: Address,
    /// Why; a hold with the same code is changed.
    pub code: HoldCode,
    /// The first instant at which it is not in force any more.
    pub ends_at: Timestamp,
    /// Whether the owner does not see it.
    pub is_silent: bool,
    /// What is written beside it; none leaves what there is.
    pub note: Option<OperatorNote>,
}

/// A hold as it is stored, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldIdentity {
    /// The hold.
    pub record: HoldRecord,
    /// Until when the deletion that is under way is suspended; none if it is not, or if there is none.
    pub suspension: Option<Suspension>,
}

/// Why a hold was not placed or released.
#[derive(Debug, thiserror::Error)]
pub enum ManageHoldsError {
    /// It cannot be.
    #[error(transparent)]
    Refused(#[from] HoldError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for ManageHoldsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(HoldError::EndsInPast { .. } | HoldError::EndsTooLate { .. }) => {
                ErrorCode::InvalidPropertyValue
            }
            Self::Refused(HoldError::NotHeld { .. }) => ErrorCode::RecordNotFound,
            Self::Store(error) => error.code(),
        }
    }
}

impl ManageHolds {
    /// With its ports.
    #[must_use]
    pub fn new(holds: Arc<dyn Holds>, identities: Arc<dyn Identities>, clock: Arc<dyn Clock>) -> Self {
        Self { holds, identities, clock }
    }

    /// Holds an identity, or changes the hold with this code. Against the start of the deletion, one of the two comes first.
    ///
    /// # Errors
    /// If the end is not in the future or more than a year away, or if the store fails.
    pub async fn place(&self, new: &NewHold) -> Result<HeldIdentity, ManageHoldsError> {
        self.change(&new.address, &new.code, new.note.as_ref(), |identity, now| {
            identity.place_hold(new.code.clone(), new.ends_at, new.is_silent, now)
        })
        .await
    }

    /// Ends a hold now. If the deletion was suspended beyond its promised date, seven days are left for second thoughts.
    ///
    /// # Errors
    /// If no such hold is in force, or if the store fails.
    pub async fn release(
        &self,
        address: &Address,
        code: &HoldCode,
        note: Option<&OperatorNote>,
    ) -> Result<HeldIdentity, ManageHoldsError> {
        self.change(address, code, note, |identity, now| identity.release_hold(code.clone(), now)).await
    }

    /// The holds that are in force, of one identity or of all; at most a thousand.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn list(&self, address: Option<&Address>) -> Result<Vec<HoldRecord>, StoreError> {
        self.holds.list(address, self.clock.now(), SHOWN).await
    }

    /// Decides on what is stored, and again if that has changed meanwhile.
    async fn change(
        &self,
        address: &Address,
        code: &HoldCode,
        note: Option<&OperatorNote>,
        change: impl Fn(&Identity, Timestamp) -> Result<HoldChange, HoldError> + Send,
    ) -> Result<HeldIdentity, ManageHoldsError> {
        for _ in 0..ATTEMPTS {
            let loaded = self.identities.load(address).await?;
            let stored =
                self.holds.of(std::slice::from_ref(address)).await?.remove(address).unwrap_or_default();
            let before = stored.records.iter().find(|record| record.hold.code == *code);
            let holds = stored.records.iter().map(|record| record.hold.clone()).collect();
            let now = self.clock.now();
            let HoldChange { hold, step } = change(&loaded.value.with_holds(holds), now)?;
            let replaced = before.map(|before| before.revision);
            let record = HoldRecord {
                address: address.clone(),
                hold,
                note: note.or(before.and_then(|before| before.note.as_ref())).cloned(),
                // By the clock, so that it is later than what a journal has of a time that the database has lost.
                revision: now.unix_micros().max(replaced.map_or(0, |before| before.saturating_add(1))),
            };
            let with = step.as_ref().map(|step| (step, loaded.version));
            match self.holds.save(&record, replaced, with, now).await {
                Ok(()) => {
                    let suspension = step.and_then(|step| step.process().suspension());
                    return Ok(HeldIdentity { record, suspension });
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Loaded, MockHolds, MockIdentities, StoredHolds, Version};
    use crate::use_cases::test_data::{DAY, active, at, caller, clock_at, loaded, version};
    use reprieve_domain::{DeletionProcess, Hold};

    fn legal() -> HoldCode {
        "legal".parse().unwrap()
    }

    fn record(ends_at: i64, revision: i64) -> HoldRecord {
        let hold = Hold { code: legal(), placed_at: at(0), ends_at: at(ends_at), is_silent: false };
        HoldRecord { address: caller().address, hold, note: Some("the note".parse().unwrap()), revision }
    }

    fn new_hold(ends_at: i64) -> NewHold {
        let (address, ends_at) = (caller().address, at(ends_at));
        NewHold { address, code: legal(), ends_at, is_silent: false, note: None }
    }

    /// With an open process or none, one hold that is stored or none, and conflicts before it is stored.
    fn use_case(open: Option<DeletionProcess>, stored: Option<HoldRecord>, conflicts: usize) -> ManageHolds {
        let mut identities = MockIdentities::new();
        let version = if open.is_some() { version() } else { Version::EMPTY };
        identities.expect_load().returning(move |address| {
            Ok(open.clone().map_or_else(|| Loaded { value: Identity::new(address.clone()), version }, loaded))
        });
        let mut holds = MockHolds::new();
        holds.expect_of().returning(move |addresses| {
            let of =
                |record| (addresses[0].clone(), StoredHolds { records: vec![record], is_damaged: false });
            Ok(stored.clone().map(of).into_iter().collect())
        });
        let mut left = conflicts;
        holds.expect_save().times(..=conflicts + 1).returning(move |record, replaced, step, _| {
            assert!(replaced.is_none_or(|replaced| replaced < record.revision));
            assert!(step.is_none_or(|(_, loaded)| loaded == version));
            if left == 0 {
                return Ok(());
            }
            left -= 1;
            Err(StoreError::Conflict)
        });
        ManageHolds::new(Arc::new(holds), Arc::new(identities), clock_at(DAY))
    }

    #[tokio::test]
    async fn a_hold_is_stored_with_the_step_and_decided_anew_when_another_step_came_first() {
        for conflicts in [0, 1, 9] {
            let held = use_case(Some(active()), None, conflicts).place(&new_hold(90 * DAY)).await.unwrap();
            assert_eq!((held.record.revision, held.record.hold.placed_at), (at(DAY).unix_micros(), at(DAY)));
            assert_eq!(held.suspension.map(|held| held.until), Some(at(90 * DAY)));
        }
        let held = use_case(None, None, 0).place(&new_hold(90 * DAY)).await.unwrap();
        assert_eq!(held.suspension, None);
        let error = use_case(None, None, ATTEMPTS).place(&new_hold(90 * DAY)).await.unwrap_err();
        assert!(matches!(error, ManageHoldsError::Store(StoreError::Conflict)));
    }

    #[tokio::test]
    async fn a_hold_that_is_changed_or_released_keeps_what_is_not_said_anew() {
        let renewed =
            use_case(None, Some(record(2 * DAY, 3)), 0).place(&new_hold(9 * DAY)).await.unwrap().record;
        assert_eq!((renewed.hold.placed_at, renewed.hold.ends_at), (at(0), at(9 * DAY)));
        assert_eq!(renewed.note, record(0, 0).note);
        let (use_case, note) = (use_case(None, Some(record(2 * DAY, 3)), 0), "settled".parse().unwrap());
        let released = use_case.release(&caller().address, &legal(), Some(&note)).await.unwrap().record;
        assert_eq!((released.hold.ends_at, released.note), (at(DAY), Some(note)));
    }

    #[tokio::test]
    async fn a_clock_that_is_behind_does_not_put_a_change_before_what_there_was() {
        let ahead = at(DAY).unix_micros() + 5;
        let use_case = use_case(None, Some(record(2 * DAY, ahead)), 0);
        let released = use_case.release(&caller().address, &legal(), None).await.unwrap().record;
        assert_eq!(released.revision, ahead + 1);
    }

    #[tokio::test]
    async fn what_is_no_hold_is_refused() {
        for (ends_at, code) in
            [(DAY, ErrorCode::InvalidPropertyValue), (400 * DAY, ErrorCode::InvalidPropertyValue)]
        {
            let error = use_case(Some(active()), None, 0).place(&new_hold(ends_at)).await.unwrap_err();
            assert_eq!(error.code(), code);
        }
        for stored in [None, Some(record(DAY, 1))] {
            let error =
                use_case(None, stored, 0).release(&caller().address, &legal(), None).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::RecordNotFound);
        }
    }
}
