//! The aggregate root: an identity and its open process, if it has one.

use std::collections::BTreeSet;
use std::fmt;

use crate::{
    Address, CancelError, CompleteError, DeletionProcess, DeletionProcessId, DeviceId, EraserName,
    FailureCode, GracePeriod, Moment, RecordErasureError, RemindError, Reminder, StartDeletionError, Status,
    Step, Timestamp, WaiveErasureError, WaiverCode,
};

/// Somebody or something with an [`Address`], and at most one open deletion process.
///
/// The one place where "at most one open" is decided. Closed processes are history: they are read by queries and never
/// needed to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    address: Address,
    open_process: Option<DeletionProcess>,
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
        Self { address, open_process: None }
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
        Ok(Self { address: process.address().clone(), open_process: Some(process) })
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

    /// Asks for the identity to be deleted when `grace_period` is over. The deadline is fixed here, for good.
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
        Ok(DeletionProcess::initiate(id, self.address.clone(), by, now, ends_at))
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

    fn open(&self, process: &DeletionProcessId) -> Option<&DeletionProcess> {
        self.open_process.as_ref().filter(|open| open.id() == process)
    }
}
