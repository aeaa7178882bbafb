//! The aggregate root: an identity and its open process, if it has one.

use std::collections::BTreeSet;
use std::fmt;

use crate::audit::AuditedAction;
use crate::hold;
use crate::{
    Address, CancelError, CompleteError, DeletionProcess, DeletionProcessId, DeviceId, EraserName,
    FailureCode, GracePeriod, Hold, HoldChange, HoldCode, HoldError, Moment, RecordErasureError, RemindError,
    Reminder, StartDeletionError, Status, Step, Suspension, Timestamp, WaiveErasureError, WaiverCode,
};

/// Somebody or something with an [`Address`], and at most one open deletion process.
///
/// The one place where "at most one open" is decided. Closed processes are history: they are read by queries and never
/// needed to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    address: Address,
    open_process: Option<DeletionProcess>,
    holds: Vec<Hold>,
}

/// What an identity is, which follows from its open process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum IdentityStatus {
    /// No deletion is under way.
    Active,
    /// It will be deleted unless it cancels.
    ToBeDeleted,
    /// Its data is being erased.
    Deleting,
}

impl fmt::Display for IdentityStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Active => "Active",
            Self::ToBeDeleted => "ToBeDeleted",
            Self::Deleting => "Deleting",
        })
    }
}

/// A process that is neither Active nor Deleting cannot be an identity's open process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a process with the status {status} is not open")]
pub struct NotOpen {
    /// The status it has.
    pub status: Status,
}

/// Why no deletion process can be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InitiateError {
    /// There is an open process, and it keeps its deadline.
    #[error("the identity already has a deletion process with the status {status}")]
    AlreadyOpen {
        /// The open process.
        process_id: DeletionProcessId,
        /// Its status.
        status: Status,
    },
    /// The grace period would end after the year 9999.
    #[error("the grace period would end beyond the calendar")]
    BeyondCalendar,
}

impl Identity {
    /// An identity without an open process.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self { address, open_process: None, holds: Vec::new() }
    }

    /// The identity that this open process belongs to.
    ///
    /// # Errors
    /// If the process is Cancelled or Deleted.
    pub fn with_open_process(process: DeletionProcess) -> Result<Self, NotOpen> {
        let status = process.status();
        if !status.is_open() {
            return Err(NotOpen { status });
        }
        Ok(Self { address: process.address().clone(), open_process: Some(process), holds: Vec::new() })
    }

    /// With these holds, one for each code, whether or not they are in force. Cancelling and erasing need not know them.
    #[must_use]
    pub fn with_holds(self, holds: Vec<Hold>) -> Self {
        Self { holds, ..self }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The process that is Active or Deleting.
    #[must_use]
    pub fn open_process(&self) -> Option<&DeletionProcess> {
        self.open_process.as_ref()
    }

    /// The open process, given away.
    #[must_use]
    pub fn into_open_process(self) -> Option<DeletionProcess> {
        self.open_process
    }

    /// What the identity is.
    #[must_use]
    pub fn status(&self) -> IdentityStatus {
        match self.open_process.as_ref().map(DeletionProcess::status) {
            Some(Status::Active) => IdentityStatus::ToBeDeleted,
            Some(Status::Deleting) => IdentityStatus::Deleting,
            None | Some(Status::Cancelled | Status::Deleted) => IdentityStatus::Active,
        }
    }

    /// Asks for the identity to be deleted when `grace_period` is over. The promised date is fixed here, for good. If the
    /// identity is held, the deletion is suspended from the beginning.
    ///
    /// # Errors
    /// If a process is open already, which stays as it is, or if the calendar ends before the grace period.
    pub fn initiate(
        &self,
        id: DeletionProcessId,
        by: DeviceId,
        grace_period: GracePeriod,
        now: Timestamp,
    ) -> Result<Step, InitiateError> {
        if let Some(open) = &self.open_process {
            return Err(InitiateError::AlreadyOpen { process_id: open.id().clone(), status: open.status() });
        }
        let ends_at = now.checked_add_micros(grace_period.micros()).ok_or(InitiateError::BeyondCalendar)?;
        let suspension = Suspension::by(&self.holds, now);
        Ok(DeletionProcess::initiate(id, self.address.clone(), by, now, ends_at, suspension))
    }

    /// Second thoughts: the open process becomes Cancelled. In time by any clock that counts is in time; it is dated by the
    /// one that decides, but never outside of the grace period.
    ///
    /// # Errors
    /// Without an open process, from the end of the grace period on, and once the deletion has started.
    pub fn cancel(&self, by: DeviceId, at: impl Into<Moment>) -> Result<Step, CancelError> {
        self.open_process.as_ref().ok_or(CancelError::NoOpenProcess)?.cancel(by, at)
    }

    /// Records that a reminder is sent.
    ///
    /// # Errors
    /// If `process` is not the open process, if it is not Active, if its grace period is over, or if this reminder or
    /// a more urgent one was sent.
    pub fn remind(
        &self,
        process: &DeletionProcessId,
        reminder: Reminder,
        now: Timestamp,
    ) -> Result<Step, RemindError> {
        self.open(process).ok_or(RemindError::NoOpenProcess)?.remind(reminder, now)
    }

    /// Starts erasing. Work is tied to a process by its id: a timer of an earlier process starts nothing.
    ///
    /// # Errors
    /// If `process` is not the open process, if it is not Active, or if its grace period is not over.
    pub fn start_deletion(
        &self,
        process: &DeletionProcessId,
        erasers: BTreeSet<EraserName>,
        now: Timestamp,
    ) -> Result<Step, StartDeletionError> {
        self.open(process).ok_or(StartDeletionError::NoOpenProcess)?.start_deletion(erasers, now)
    }

    /// Cancels the deletion of its open process again, which had been cancelled before the database was put back to an
    /// earlier state. No device is remembered of it: `stand_in` takes its place.
    ///
    /// # Errors
    /// If it was not in time, or if `process` is not the open process or is not Active.
    pub fn restore_cancellation(
        &self,
        process: &DeletionProcessId,
        cancelled_at: Timestamp,
        stand_in: DeviceId,
        now: Timestamp,
    ) -> Result<Step, CancelError> {
        let open = self.open(process).ok_or(CancelError::NoOpenProcess)?;
        open.restore_cancellation(cancelled_at, stand_in, now)
    }

    /// Records that an eraser has acknowledged.
    ///
    /// # Errors
    /// If `process` is not the open process, if it is not Deleting, if it has no such eraser, or if that
    /// eraser is settled.
    pub fn record_erasure(
        &self,
        process: &DeletionProcessId,
        eraser: &EraserName,
        count: u64,
        now: Timestamp,
    ) -> Result<Step, RecordErasureError> {
        self.open(process).ok_or(RecordErasureError::NoOpenProcess)?.record_erasure(eraser, count, now)
    }

    /// Records that an eraser has failed.
    ///
    /// # Errors
    /// As [`record_erasure`](Self::record_erasure).
    pub fn record_erasure_failure(
        &self,
        process: &DeletionProcessId,
        eraser: &EraserName,
        failure: FailureCode,
        now: Timestamp,
    ) -> Result<Step, RecordErasureError> {
        self.open(process)
            .ok_or(RecordErasureError::NoOpenProcess)?
            .record_erasure_failure(eraser, failure, now)
    }

    /// Records that an eraser has failed for so long that somebody has to look after it.
    ///
    /// # Errors
    /// As [`record_erasure`](Self::record_erasure).
    pub fn record_stuck_erasure(
        &self,
        process: &DeletionProcessId,
        eraser: &EraserName,
        failure: FailureCode,
        now: Timestamp,
    ) -> Result<Step, RecordErasureError> {
        self.open(process)
            .ok_or(RecordErasureError::NoOpenProcess)?
            .record_stuck_erasure(eraser, failure, now)
    }

    /// Records that an operator does without the acknowledgement of an eraser.
    ///
    /// # Errors
    /// As [`record_erasure`](Self::record_erasure).
    pub fn waive_erasure(
        &self,
        process: &DeletionProcessId,
        eraser: &EraserName,
        code: WaiverCode,
        now: Timestamp,
    ) -> Result<Step, WaiveErasureError> {
        self.open(process).ok_or(WaiveErasureError::NoOpenProcess)?.waive_erasure(eraser, code, now)
    }

    /// Ends the deletion: every eraser has acknowledged or was waived.
    ///
    /// # Errors
    /// If `process` is not the open process, if it is not Deleting, or while an eraser is pending.
    pub fn complete(&self, process: &DeletionProcessId, now: Timestamp) -> Result<Step, CompleteError> {
        self.open(process).ok_or(CompleteError::NoOpenProcess)?.complete(now)
    }

    /// Suspends the deletion of this identity until an instant: its open process, and whatever it
    /// asks for until then. A hold with the same code is changed.
    ///
    /// # Errors
    /// If the end is not in the future, or more than a year away.
    pub fn place_hold(
        &self,
        code: HoldCode,
        ends_at: Timestamp,
        is_silent: bool,
        now: Timestamp,
    ) -> Result<HoldChange, HoldError> {
        let hold = hold::placed(&self.holds, code, ends_at, is_silent, now)?;
        let action = |suspension: Option<Suspension>| AuditedAction::HoldPlacedBySupport {
            code: hold.code.clone(),
            ends_at,
            suspension,
        };
        let step = self.suspended_by(&hold, action, now);
        Ok(HoldChange { hold, step })
    }

    /// Ends a hold. If the deletion was suspended beyond its promised date, there are seven days left for second thoughts.
    ///
    /// # Errors
    /// If no such hold is in force.
    pub fn release_hold(&self, code: HoldCode, now: Timestamp) -> Result<HoldChange, HoldError> {
        let hold = hold::released(&self.holds, code, now)?;
        let action = |suspension: Option<Suspension>| AuditedAction::HoldReleasedBySupport {
            code: hold.code.clone(),
            suspension,
        };
        let step = self.suspended_by(&hold, action, now);
        Ok(HoldChange { hold, step })
    }

    /// The step that suspends the open process by holds that it lacks, such as those that were placed before it began; none if
    /// it lacks none.
    #[must_use]
    pub fn suspend(&self, now: Timestamp) -> Option<Step> {
        let process = self.open_process.as_ref()?;
        let latest =
            self.holds.iter().filter(|hold| hold.is_in_force(now)).max_by_key(|hold| hold.ends_at)?;
        let is_lacking = process.suspension().is_none_or(|held| held.until < latest.ends_at);
        let action = |suspension: Option<Suspension>| AuditedAction::HoldPlacedBySupport {
            code: latest.code.clone(),
            ends_at: latest.ends_at,
            suspension,
        };
        is_lacking.then(|| self.suspended_by(latest, action, now)).flatten()
    }

    /// The step of the open process, if there is one, that goes with this hold as it is from now on.
    fn suspended_by(
        &self,
        changed: &Hold,
        action: impl FnOnce(Option<Suspension>) -> AuditedAction,
        now: Timestamp,
    ) -> Option<Step> {
        let process = self.open_process.as_ref()?;
        let others = self.holds.iter().filter(|hold| hold.code != changed.code);
        let holds: Vec<Hold> = others.chain([changed]).cloned().collect();
        let suspension = if process.status() == Status::Active {
            Suspension::changed(process.suspension(), &holds, process.grace_period_ends_at(), now)
        } else {
            Suspension::by(&holds, now)
        };
        process.suspended(suspension, action(suspension), now)
    }

    fn open(&self, process: &DeletionProcessId) -> Option<&DeletionProcess> {
        self.open_process.as_ref().filter(|open| open.id() == process)
    }
}
