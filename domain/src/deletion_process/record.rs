//! A process laid out flat, as a database or a file keeps it.

use super::{Active, Cancelled, Deleted, Deleting, DeletionProcess, Reminder, Reminders, State, Status, end};
use crate::erasure::Erasures;
use crate::{Address, DeletionProcessId, DeviceId, Erasure, ErasureRecord, Suspension, Timestamp};

/// Every member of a [`DeletionProcess`], side by side. For persistence: only what [`DeletionProcess::restore`]
/// accepts is a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionProcessRecord {
    /// See [`DeletionProcess::id`].
    pub id: DeletionProcessId,
    /// See [`DeletionProcess::address`].
    pub address: Address,
    /// See [`DeletionProcess::status`].
    pub status: Status,
    /// See [`DeletionProcess::created_at`].
    pub created_at: Timestamp,
    /// See [`DeletionProcess::created_by_device`].
    pub created_by_device: DeviceId,
    /// See [`DeletionProcess::grace_period_ends_at`].
    pub grace_period_ends_at: Timestamp,
    /// See [`DeletionProcess::suspension`].
    pub suspension: Option<Suspension>,
    /// See [`DeletionProcess::reminders`].
    pub reminders: Reminders,
    /// When it was cancelled. Exactly while Cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// Which device cancelled. Exactly while Cancelled.
    pub cancelled_by_device: Option<DeviceId>,
    /// When the deletion started. Exactly while Deleting or Deleted.
    pub deletion_started_at: Option<Timestamp>,
    /// When the deletion ended. Exactly while Deleted.
    pub deletion_completed_at: Option<Timestamp>,
    /// Every eraser and what is known of it. Exactly while Deleting or Deleted, though it may be empty.
    pub erasures: Option<Vec<ErasureRecord>>,
}

/// Why a record is no process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member} {problem}")]
pub struct InvalidRecord {
    /// The member of [`DeletionProcessRecord`] that is wrong.
    pub member: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl InvalidRecord {
    fn new(member: &'static str, problem: &'static str) -> Self {
        Self { member, problem }
    }
}

/// Ensures that a member is there in the states that have it and not in the others.
fn required<T>(member: &'static str, value: Option<T>) -> Result<T, InvalidRecord> {
    value.ok_or(InvalidRecord::new(member, "is missing in this status"))
}

fn absent<T>(member: &'static str, value: Option<&T>) -> Result<(), InvalidRecord> {
    if value.is_some() { Err(InvalidRecord::new(member, "does not exist in this status")) } else { Ok(()) }
}

impl DeletionProcess {
    /// Brings back a process that was stored. Nothing else may call this to make one.
    ///
    /// # Errors
    /// If no sequence of transitions leads to this record. (The order of two instants is checked only where the
    /// deadline decides it: a clock may be set back between two steps.)
    pub fn restore(record: DeletionProcessRecord) -> Result<Self, InvalidRecord> {
        let DeletionProcessRecord {
            id,
            address,
            status,
            created_at,
            created_by_device,
            grace_period_ends_at,
            suspension,
            reminders,
            cancelled_at,
            cancelled_by_device,
            deletion_started_at,
            deletion_completed_at,
            erasures,
        } = record;
        if grace_period_ends_at <= created_at {
            return Err(InvalidRecord::new("grace_period_ends_at", "is not after created_at"));
        }
        let ends_at = end(grace_period_ends_at, suspension);
        let has_started = matches!(status, Status::Deleting | Status::Deleted);
        for (reminder, member) in
            Reminder::ALL.into_iter().zip(["reminder1_sent_at", "reminder2_sent_at", "reminder3_sent_at"])
        {
            // Once the deletion has started, a suspension says nothing of its end any more.
            if !has_started && reminders.sent_at(reminder).is_some_and(|at| at >= ends_at) {
                return Err(InvalidRecord::new(member, "is not before the end"));
            }
        }
        if status != Status::Cancelled {
            absent("cancelled_at", cancelled_at.as_ref())?;
            absent("cancelled_by_device", cancelled_by_device.as_ref())?;
        }
        if !has_started {
            absent("deletion_started_at", deletion_started_at.as_ref())?;
            absent("erasures", erasures.as_ref())?;
        }
        if status != Status::Deleted {
            absent("deletion_completed_at", deletion_completed_at.as_ref())?;
        }
        let started_at = || {
            let at = required("deletion_started_at", deletion_started_at)?;
            if at < grace_period_ends_at {
                return Err(InvalidRecord::new("deletion_started_at", "is within the grace period"));
            }
            Ok(at)
        };
        let state = match status {
            Status::Active => State::Active(Active {}),
            Status::Cancelled => {
                let at = required("cancelled_at", cancelled_at)?;
                if at >= ends_at {
                    return Err(InvalidRecord::new("cancelled_at", "is not before the end"));
                }
                State::Cancelled(Cancelled {
                    at,
                    by_device: required("cancelled_by_device", cancelled_by_device)?,
                })
            }
            Status::Deleting => State::Deleting(Deleting {
                started_at: started_at()?,
                erasures: restore_erasures(required("erasures", erasures)?)?,
            }),
            Status::Deleted => {
                let erasures = restore_erasures(required("erasures", erasures)?)?;
                if !erasures.values().all(Erasure::is_settled) {
                    return Err(InvalidRecord::new(
                        "erasures",
                        "has a pending one although the status is Deleted",
                    ));
                }
                State::Deleted(Deleted {
                    started_at: started_at()?,
                    completed_at: required("deletion_completed_at", deletion_completed_at)?,
                    erasures,
                })
            }
        };
        Ok(Self {
            id,
            address,
            created_at,
            created_by_device,
            grace_period_ends_at,
            suspension,
            reminders,
            state,
        })
    }

    /// The process laid out flat.
    #[must_use]
    pub fn to_record(&self) -> DeletionProcessRecord {
        let mut record = DeletionProcessRecord {
            id: self.id.clone(),
            address: self.address.clone(),
            status: self.status(),
            created_at: self.created_at,
            created_by_device: self.created_by_device.clone(),
            grace_period_ends_at: self.grace_period_ends_at,
            suspension: self.suspension,
            reminders: self.reminders,
            cancelled_at: None,
            cancelled_by_device: None,
            deletion_started_at: None,
            deletion_completed_at: None,
            erasures: None,
        };
        match &self.state {
            State::Active(_) => {}
            State::Cancelled(cancelled) => {
                record.cancelled_at = Some(cancelled.at);
                record.cancelled_by_device = Some(cancelled.by_device.clone());
            }
            State::Deleting(deleting) => {
                record.deletion_started_at = Some(deleting.started_at);
                record.erasures = Some(erasure_records(&deleting.erasures));
            }
            State::Deleted(deleted) => {
                record.deletion_started_at = Some(deleted.started_at);
                record.deletion_completed_at = Some(deleted.completed_at);
                record.erasures = Some(erasure_records(&deleted.erasures));
            }
        }
        record
    }
}

fn restore_erasures(records: Vec<ErasureRecord>) -> Result<Erasures, InvalidRecord> {
    let count = records.len();
    let erasures: Erasures = records.into_iter().map(|record| (record.eraser, record.erasure)).collect();
    if erasures.len() != count {
        return Err(InvalidRecord::new("erasures", "names an eraser twice"));
    }
    Ok(erasures)
}

fn erasure_records(erasures: &Erasures) -> Vec<ErasureRecord> {
    erasures
        .iter()
        .map(|(eraser, erasure): (_, &Erasure)| ErasureRecord {
            eraser: eraser.clone(),
            erasure: erasure.clone(),
        })
        .collect()
}
