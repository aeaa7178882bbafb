//! The one list of the types of events.

use std::fmt;
use std::str::FromStr;

use reprieve_application::OutgoingEvent;
use reprieve_domain::EventKind;

/// What an event that is sent is about. Each has a schema and a stable name; of one step there may be two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// The status of a process has changed. enmeshed's name and data.
    StatusChanged,
    /// A deletion was asked for; the identity is deleted at the end of the grace period unless it cancels.
    ToBeDeleted,
    /// The deletion was cancelled.
    DeletionCancelled,
    /// A reminder of the coming deletion is due.
    DeletionReminderDue,
    /// Until when the deletion is suspended has changed.
    DeletionSuspensionChanged,
    /// The grace period is over and the data is being erased.
    DeletionStarted,
    /// An eraser has failed for so long that somebody has to look after it.
    ErasureStuck,
    /// An operator does without the acknowledgement of an eraser.
    ErasureWaived,
    /// What is stored of a process was changed by other means: it is left alone until that is put right.
    ProcessQuarantined,
    /// Every eraser has acknowledged or was waived.
    Deleted,
}

/// A name that is none of a type of events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no type of events {0}; there are {all}", all = EventType::ALL.map(EventType::name).join(", "))]
pub struct UnknownEventType(String);

impl EventType {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::StatusChanged,
        Self::ToBeDeleted,
        Self::DeletionCancelled,
        Self::DeletionReminderDue,
        Self::DeletionSuspensionChanged,
        Self::DeletionStarted,
        Self::ErasureStuck,
        Self::ErasureWaived,
        Self::ProcessQuarantined,
        Self::Deleted,
    ];

    /// The stable name: the attribute `type`, the routing key, the end of the subject.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StatusChanged => "transport.identityDeletionProcessStatusChanged",
            Self::ToBeDeleted => "reprieve.identityToBeDeleted",
            Self::DeletionCancelled => "reprieve.identityDeletionCancelled",
            Self::DeletionReminderDue => "reprieve.identityDeletionReminderDue",
            Self::DeletionSuspensionChanged => "reprieve.identityDeletionSuspensionChanged",
            Self::DeletionStarted => "reprieve.identityDeletionStarted",
            Self::ErasureStuck => "reprieve.identityErasureStuck",
            Self::ErasureWaived => "reprieve.identityErasureWaived",
            Self::ProcessQuarantined => "reprieve.identityDeletionProcessQuarantined",
            Self::Deleted => "reprieve.identityDeleted",
        }
    }

    /// The type that is about nothing but this kind of event.
    pub(crate) fn of(kind: &EventKind) -> Self {
        match kind {
            EventKind::IdentityToBeDeleted { .. } => Self::ToBeDeleted,
            EventKind::IdentityDeletionCancelled => Self::DeletionCancelled,
            EventKind::IdentityDeletionReminderDue { .. } => Self::DeletionReminderDue,
            EventKind::IdentityDeletionSuspensionChanged { .. } => Self::DeletionSuspensionChanged,
            EventKind::IdentityDeletionStarted => Self::DeletionStarted,
            EventKind::IdentityErasureStuck { .. } => Self::ErasureStuck,
            EventKind::IdentityErasureWaived { .. } => Self::ErasureWaived,
            EventKind::IdentityDeletionProcessQuarantined { .. } => Self::ProcessQuarantined,
            EventKind::IdentityDeleted => Self::Deleted,
        }
    }

    /// The types under which an event is sent, in this order.
    pub(crate) fn all_of(event: &OutgoingEvent) -> impl Iterator<Item = Self> {
        let status_changed = event.process.is_some().then_some(Self::StatusChanged);
        status_changed.into_iter().chain([Self::of(&event.event.kind)])
    }
}

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(text: &str) -> Result<Self, UnknownEventType> {
        let known = Self::ALL.into_iter().find(|event_type| event_type.name() == text);
        known.ok_or_else(|| UnknownEventType(text.to_owned()))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
