//! What other services are told when a step is taken.

use crate::audit::FaultKind;
use crate::{Address, DeletionProcessId, EraserName, Reminder, Timestamp, WaiverCode};

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
    /// Until when the deletion is suspended has changed.
    IdentityDeletionSuspensionChanged {
        /// Until when; none if it is not suspended any more.
        #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
        suspended_until: Option<Timestamp>,
    },
    /// The grace period is over and the data is being erased.
    IdentityDeletionStarted,
    /// An eraser has failed for so long that somebody has to look after it. The data it erases is still there.
    IdentityErasureStuck {
        /// The eraser.
        eraser: EraserName,
        /// How often it has failed.
        failures: u32,
    },
    /// An operator does without the acknowledgement of an eraser: the data that it erases may still be there.
    IdentityErasureWaived {
        /// The eraser.
        eraser: EraserName,
        /// Why.
        code: WaiverCode,
    },
    /// What is stored of the process was changed by other means. It is left alone until that is put right; it can be cancelled.
    IdentityDeletionProcessQuarantined {
        /// What is wrong.
        reason: FaultKind,
    },
    /// Every eraser has acknowledged or was waived.
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
            Self::IdentityDeletionSuspensionChanged { .. } => "IdentityDeletionSuspensionChanged",
            Self::IdentityDeletionStarted => "IdentityDeletionStarted",
            Self::IdentityErasureStuck { .. } => "IdentityErasureStuck",
            Self::IdentityErasureWaived { .. } => "IdentityErasureWaived",
            Self::IdentityDeletionProcessQuarantined { .. } => "IdentityDeletionProcessQuarantined",
            Self::IdentityDeleted => "IdentityDeleted",
        }
    }
}

#[cfg(test)]
#[cfg(feature = "serde")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind() -> impl Strategy<Value = EventKind> {
        let reminder = prop::sample::select(&Reminder::ALL);
        let instant =
            || (0..i64::from(u32::MAX)).prop_map(|micros| Timestamp::from_unix_micros(micros).unwrap());
        prop_oneof![
            instant().prop_map(|ends_at| EventKind::IdentityToBeDeleted { grace_period_ends_at: ends_at }),
            Just(EventKind::IdentityDeletionCancelled),
            (reminder, any::<u32>(), instant()).prop_map(|(reminder, days_until_deletion, ends_at)| {
                EventKind::IdentityDeletionReminderDue {
                    reminder,
                    days_until_deletion,
                    grace_period_ends_at: ends_at,
                }
            }),
            prop::option::of(instant()).prop_map(|suspended_until| {
                EventKind::IdentityDeletionSuspensionChanged { suspended_until }
            }),
            Just(EventKind::IdentityDeletionStarted),
            any::<u32>().prop_map(|failures| EventKind::IdentityErasureStuck {
                eraser: "files".parse().unwrap(),
                failures,
            }),
            "[A-Za-z0-9._-]{1,64}".prop_map(|code| EventKind::IdentityErasureWaived {
                eraser: "files".parse().unwrap(),
                code: code.parse().unwrap(),
            }),
            Just(EventKind::IdentityDeletionProcessQuarantined { reason: FaultKind::ProcessDiffers }),
            Just(EventKind::IdentityDeleted),
        ]
    }

    proptest! {
        #[test]
        fn every_event_survives_being_written_as_json_and_says_its_name(kind in kind()) {
            let event = Event {
                process_id: "IDP0123456789abcdefg".parse().unwrap(),
                address: "did:web:example.org".parse().unwrap(),
                occurred_at: Timestamp::from_unix_micros(0).unwrap(),
                kind,
            };
            let json = serde_json::to_value(&event).unwrap();
            prop_assert_eq!(&json["type"], event.kind.name());
            prop_assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
        }

        #[test]
        fn no_text_makes_reading_an_event_panic(
            text in r#"(\{"type":"IdentityDeletionCancelled")?[\{\}\[\]",:a-z0-9\\ ]*"#,
        ) {
            let _ = serde_json::from_str::<Event>(&text);
        }
    }
}
