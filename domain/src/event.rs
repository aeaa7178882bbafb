//! What other services are told when a step is taken.

use crate::{Address, DeletionProcessId, Reminder, Timestamp};

/// Something that happened to a process and that other services may act on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
pub struct Event {
    /// The process it happened to.
    pub process_id: DeletionProcessId,
    /// The identity the process belongs to.
    pub address: Address,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What happened.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "type", rename_all_fields = "camelCase")
)]
pub enum EventKind {
    /// A deletion was asked for; the identity is deleted at the end of the grace period unless it cancels.
    IdentityToBeDeleted {
        /// From this instant on it cannot be cancelled.
        grace_period_ends_at: Timestamp,
    },
    /// The deletion was cancelled.
    IdentityDeletionCancelled,
    /// A reminder of the coming deletion is due.
    IdentityDeletionReminderDue {
        /// Which of the reminders.
        reminder: Reminder,
        /// In how many days the identity is deleted, rounded up.
        days_until_deletion: u32,
        /// From this instant on it cannot be cancelled.
        grace_period_ends_at: Timestamp,
    },
    /// The grace period is over and the data is being erased.
    IdentityDeletionStarted,
    /// Every eraser has acknowledged.
    IdentityDeleted,
}

impl EventKind {
    /// The stable name of this kind of event.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::IdentityToBeDeleted { .. } => "IdentityToBeDeleted",
            Self::IdentityDeletionCancelled => "IdentityDeletionCancelled",
            Self::IdentityDeletionReminderDue { .. } => "IdentityDeletionReminderDue",
            Self::IdentityDeletionStarted => "IdentityDeletionStarted",
            Self::IdentityDeleted => "IdentityDeleted",
        }
    }
}
