//! What a transition says happened.

use crate::{Address, DeletionProcessId, DeviceId, EraserName, FailureCode, Reminder, Status, Timestamp};

/// One line of the audit trail, before it is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The process it happened to.
    pub process_id: DeletionProcessId,
    /// The identity; only its keyed hash is ever written down.
    pub address: Address,
    /// The device that did it, if a person did; only its keyed hash is ever written down.
    pub device: Option<DeviceId>,
    /// When it happened.
    pub created_at: Timestamp,
    /// The status before; none for a new process.
    pub old_status: Option<Status>,
    /// The status after.
    pub new_status: Status,
    /// What was done.
    pub action: AuditedAction,
}

/// What was done, with what is worth knowing beyond the statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditedAction {
    /// The owner asked for the deletion.
    StartedByOwner {
        /// The deadline that was promised.
        grace_period_ends_at: Timestamp,
    },
    /// The owner cancelled.
    CancelledByOwner,
    /// A reminder was sent.
    GracePeriodReminderSent(Reminder),
    /// The grace period was over and erasing began.
    DeletionStarted,
    /// An eraser acknowledged.
    DataDeleted {
        /// The eraser.
        eraser: EraserName,
        /// How many things it says it erased.
        count: u64,
    },
    /// An eraser failed.
    ErrorDuringDeletion {
        /// The eraser.
        eraser: EraserName,
        /// Why.
        failure: FailureCode,
    },
    /// Every eraser had acknowledged.
    DeletionCompleted,
}

impl AuditedAction {
    /// enmeshed's key for the message.
    #[must_use]
    pub fn message_key(&self) -> &'static str {
        match self {
            Self::StartedByOwner { .. } => "StartedByOwner",
            Self::CancelledByOwner => "CancelledByOwner",
            Self::GracePeriodReminderSent(Reminder::First) => "GracePeriodReminder1Sent",
            Self::GracePeriodReminderSent(Reminder::Second) => "GracePeriodReminder2Sent",
            Self::GracePeriodReminderSent(Reminder::Third) => "GracePeriodReminder3Sent",
            Self::DeletionStarted => "DeletionStarted",
            Self::DataDeleted { .. } => "DataDeleted",
            Self::ErrorDuringDeletion { .. } => "ErrorDuringDeletion",
            Self::DeletionCompleted => "DeletionCompleted",
        }
    }

    /// What goes with the message, under enmeshed's names where it has one. Never personal data: names of erasers,
    /// codes, counts and instants.
    #[must_use]
    pub fn additional_data(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::StartedByOwner { grace_period_ends_at } => {
                vec![("gracePeriodEndsAt", grace_period_ends_at.to_string())]
            }
            Self::DataDeleted { eraser, count } => {
                vec![("aggregateType", eraser.to_string()), ("count", count.to_string())]
            }
            Self::ErrorDuringDeletion { eraser, failure } => {
                vec![("aggregateType", eraser.to_string()), ("errorMessage", failure.to_string())]
            }
            Self::CancelledByOwner
            | Self::GracePeriodReminderSent(_)
            | Self::DeletionStarted
            | Self::DeletionCompleted => Vec::new(),
        }
    }
}
