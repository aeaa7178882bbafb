//! What a transition says happened.

use std::collections::BTreeSet;

use super::FaultKind;
use super::chain::json_object;
use crate::{
    Address, DeletionProcessId, DeviceId, EraserName, FailureCode, HoldCode, InvalidTimestamp, Reminder,
    Status, Suspension, Timestamp, WaiverCode,
};

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
        /// Until when it is suspended, because the identity was held.
        suspension: Option<Suspension>,
    },
    /// An operator placed a hold, or changed it.
    HoldPlacedBySupport {
        /// Why.
        code: HoldCode,
        /// The end of this hold.
        ends_at: Timestamp,
        /// Until when the deletion is suspended from now on.
        suspension: Option<Suspension>,
    },
    /// An operator ended a hold.
    HoldReleasedBySupport {
        /// Why it had been placed.
        code: HoldCode,
        /// Until when the deletion is suspended all the same.
        suspension: Option<Suspension>,
    },
    /// The owner cancelled.
    CancelledByOwner {
        /// What was wrong with the process, if that had to be looked at.
        fault: Option<FaultKind>,
    },
    /// It had been cancelled before the database was put back to an earlier state, and is cancelled again.
    CancellationRestored {
        /// When it was cancelled.
        cancelled_at: Timestamp,
    },
    /// A reminder was sent.
    GracePeriodReminderSent(Reminder),
    /// The grace period was over and erasing began.
    DeletionStarted {
        /// The erasers in force, each of which must acknowledge. None only in entries of versions that did not state them.
        erasers: Option<BTreeSet<EraserName>>,
    },
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
    /// An operator did without the acknowledgement of an eraser.
    DataDeletionWaivedBySupport {
        /// The eraser.
        eraser: EraserName,
        /// Why.
        code: WaiverCode,
    },
    /// Every eraser had acknowledged or was waived.
    DeletionCompleted,
}

impl AuditedAction {
    /// enmeshed's key for the message.
    #[must_use]
    pub fn message_key(&self) -> &'static str {
        match self {
            Self::StartedByOwner { .. } => "StartedByOwner",
            Self::HoldPlacedBySupport { .. } => "HoldPlacedBySupport",
            Self::HoldReleasedBySupport { .. } => "HoldReleasedBySupport",
            Self::CancelledByOwner { .. } => "CancelledByOwner",
            Self::CancellationRestored { .. } => "CancellationRestored",
            Self::GracePeriodReminderSent(Reminder::First) => "GracePeriodReminder1Sent",
            Self::GracePeriodReminderSent(Reminder::Second) => "GracePeriodReminder2Sent",
            Self::GracePeriodReminderSent(Reminder::Third) => "GracePeriodReminder3Sent",
            Self::DeletionStarted { .. } => "DeletionStarted",
            Self::DataDeleted { .. } => "DataDeleted",
            Self::ErrorDuringDeletion { .. } => "ErrorDuringDeletion",
            Self::DataDeletionWaivedBySupport { .. } => "DataDeletionWaivedBySupport",
            Self::DeletionCompleted => "DeletionCompleted",
        }
    }

    /// What goes with the message, under enmeshed's names where it has one. Never personal data: names of erasers,
    /// codes, counts and instants.
    #[must_use]
    pub fn additional_data(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::StartedByOwner { grace_period_ends_at, suspension } => {
                with_suspension(vec![("gracePeriodEndsAt", grace_period_ends_at.to_string())], *suspension)
            }
            Self::HoldPlacedBySupport { code, ends_at, suspension } => {
                let hold = vec![("code", code.to_string()), ("endsAt", ends_at.to_string())];
                with_suspension(hold, *suspension)
            }
            Self::HoldReleasedBySupport { code, suspension } => {
                with_suspension(vec![("code", code.to_string())], *suspension)
            }
            Self::DataDeleted { eraser, count } => {
                vec![("aggregateType", eraser.to_string()), ("count", count.to_string())]
            }
            Self::ErrorDuringDeletion { eraser, failure } => {
                vec![("aggregateType", eraser.to_string()), ("errorMessage", failure.to_string())]
            }
            Self::DeletionStarted { erasers: Some(erasers) } => {
                let names: Vec<&str> = erasers.iter().map(EraserName::as_str).collect();
                // No name has a comma in it.
                vec![("erasers", names.join(","))]
            }
            Self::DataDeletionWaivedBySupport { eraser, code } => {
                vec![("aggregateType", eraser.to_string()), ("code", code.to_string())]
            }
            Self::CancellationRestored { cancelled_at } => vec![("cancelledAt", cancelled_at.to_string())],
            Self::CancelledByOwner { fault: Some(fault) } => vec![("fault", fault.reason().to_owned())],
            Self::CancelledByOwner { fault: None }
            | Self::GracePeriodReminderSent(_)
            | Self::DeletionStarted { erasers: None }
            | Self::DeletionCompleted => Vec::new(),
        }
    }

    /// Reads back what [`Self::message_key`] and [`Self::additional_data`] say, in the one form in which it is written.
    pub(super) fn read(message_key: &str, additional_data: &str) -> Option<Self> {
        let members = members(additional_data)?;
        let action = match (message_key, members.as_slice()) {
            ("StartedByOwner", [("gracePeriodEndsAt", at), held @ ..]) => Self::StartedByOwner {
                grace_period_ends_at: at.parse().ok()?,
                suspension: suspension(held).ok()?,
            },
            ("HoldPlacedBySupport", [("code", code), ("endsAt", at), held @ ..]) => {
                Self::HoldPlacedBySupport {
                    code: code.parse().ok()?,
                    ends_at: at.parse().ok()?,
                    suspension: suspension(held).ok()?,
                }
            }
            ("HoldReleasedBySupport", [("code", code), held @ ..]) => {
                Self::HoldReleasedBySupport { code: code.parse().ok()?, suspension: suspension(held).ok()? }
            }
            ("CancelledByOwner", []) => Self::CancelledByOwner { fault: None },
            ("CancelledByOwner", [("fault", reason)]) => {
                Self::CancelledByOwner { fault: Some(FaultKind::with_reason(reason)?) }
            }
            ("CancellationRestored", [("cancelledAt", at)]) => {
                Self::CancellationRestored { cancelled_at: at.parse().ok()? }
            }
            ("GracePeriodReminder1Sent", []) => Self::GracePeriodReminderSent(Reminder::First),
            ("GracePeriodReminder2Sent", []) => Self::GracePeriodReminderSent(Reminder::Second),
            ("GracePeriodReminder3Sent", []) => Self::GracePeriodReminderSent(Reminder::Third),
            ("DeletionStarted", []) => Self::DeletionStarted { erasers: None },
            ("DeletionStarted", [("erasers", names)]) => {
                let names = names.split(',').filter(|name| !name.is_empty());
                Self::DeletionStarted { erasers: Some(names.map(str::parse).collect::<Result<_, _>>().ok()?) }
            }
            ("DataDeleted", [("aggregateType", eraser), ("count", count)]) => {
                Self::DataDeleted { eraser: eraser.parse().ok()?, count: count.parse().ok()? }
            }
            ("ErrorDuringDeletion", [("aggregateType", eraser), ("errorMessage", failure)]) => {
                Self::ErrorDuringDeletion { eraser: eraser.parse().ok()?, failure: failure.parse().ok()? }
            }
            ("DataDeletionWaivedBySupport", [("aggregateType", eraser), ("code", code)]) => {
                Self::DataDeletionWaivedBySupport { eraser: eraser.parse().ok()?, code: code.parse().ok()? }
            }
            ("DeletionCompleted", []) => Self::DeletionCompleted,
            _ => return None,
        };
        (json_object(&action.additional_data()) == additional_data).then_some(action)
    }
}

/// What is said of a suspension goes behind the rest.
fn with_suspension(
    mut data: Vec<(&'static str, String)>,
    suspension: Option<Suspension>,
) -> Vec<(&'static str, String)> {
    if let Some(Suspension { until, shown_until }) = suspension {
        data.push(("suspendedUntil", until.to_string()));
        data.extend(shown_until.map(|until| ("shownUntil", until.to_string())));
    }
    data
}

/// Reads what [`with_suspension`] writes.
///
/// # Errors
/// If it is anything else.
fn suspension(members: &[(&str, &str)]) -> Result<Option<Suspension>, InvalidTimestamp> {
    Ok(match members {
        [] => None,
        [("suspendedUntil", until)] => Some(Suspension { until: until.parse()?, shown_until: None }),
        [("suspendedUntil", until), ("shownUntil", shown)] => {
            Some(Suspension { until: until.parse()?, shown_until: Some(shown.parse()?) })
        }
        _ => return Err(InvalidTimestamp),
    })
}

/// The members of a JSON object of texts that need no escaping.
fn members(json: &str) -> Option<Vec<(&str, &str)>> {
    let members = json.strip_prefix('{')?.strip_suffix('}')?;
    if members.is_empty() {
        return Some(Vec::new());
    }
    let members = members.strip_prefix('"')?.strip_suffix('"')?;
    members.split("\",\"").map(|member| member.split_once("\":\"")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn actions() -> impl Strategy<Value = AuditedAction> {
        let name = || "[A-Za-z0-9._-]{1,64}".prop_map(|name| name.parse::<EraserName>().unwrap());
        let instant =
            || (0..253_402_300_800_000_000_i64).prop_map(|at| Timestamp::from_unix_micros(at).unwrap());
        let suspension = move || {
            let both = (instant(), prop::option::of(instant()));
            prop::option::of(both.prop_map(|(until, shown_until)| Suspension { until, shown_until }))
        };
        prop_oneof![
            (instant(), suspension()).prop_map(|(grace_period_ends_at, suspension)| {
                AuditedAction::StartedByOwner { grace_period_ends_at, suspension }
            }),
            (name(), instant(), suspension()).prop_map(|(code, ends_at, suspension)| {
                let code = code.as_str().parse().unwrap();
                AuditedAction::HoldPlacedBySupport { code, ends_at, suspension }
            }),
            (name(), suspension()).prop_map(|(code, suspension)| {
                let code = code.as_str().parse().unwrap();
                AuditedAction::HoldReleasedBySupport { code, suspension }
            }),
            instant().prop_map(|at| AuditedAction::CancellationRestored { cancelled_at: at }),
            prop::option::of(prop::sample::select(vec![
                FaultKind::Changed,
                FaultKind::Removed,
                FaultKind::Inserted,
                FaultKind::DoesNotFollow,
                FaultKind::ProcessDiffers,
                FaultKind::TasksDiffer,
                FaultKind::ReceiptDiffers,
                FaultKind::EventDiffers,
                FaultKind::OlderThanJournal,
                FaultKind::JournalDamaged,
            ]))
            .prop_map(|fault| AuditedAction::CancelledByOwner { fault }),
            prop::sample::select(&Reminder::ALL).prop_map(AuditedAction::GracePeriodReminderSent),
            prop::option::of(prop::collection::btree_set(name(), 0..4))
                .prop_map(|erasers| AuditedAction::DeletionStarted { erasers }),
            (name(), any::<u64>()).prop_map(|(eraser, count)| AuditedAction::DataDeleted { eraser, count }),
            (name(), 100..600_u16).prop_map(|(eraser, status)| AuditedAction::ErrorDuringDeletion {
                eraser,
                failure: FailureCode::http_status(status),
            }),
            (name(), "[A-Za-z0-9._-]{1,64}").prop_map(|(eraser, code)| {
                AuditedAction::DataDeletionWaivedBySupport { eraser, code: code.parse().unwrap() }
            }),
            Just(AuditedAction::DeletionCompleted),
        ]
    }

    proptest! {
        #[test]
        fn every_action_is_read_back_as_it_was_written(action in actions()) {
            let data = json_object(&action.additional_data());
            prop_assert_eq!(AuditedAction::read(action.message_key(), &data), Some(action));
        }

        #[test]
        fn no_text_makes_reading_panic(
            key in "(StartedByOwner|DeletionStarted|DataDeleted|.*)",
            data in r#"\{?("(erasers|count|aggregateType|gracePeriodEndsAt)":)?["{},:a-z0-9T.-]*\}?"#,
        ) {
            let _ = AuditedAction::read(&key, &data);
        }
    }

    #[test]
    fn what_is_written_in_another_form_is_not_read() {
        for (key, data) in [
            ("StartedByOwner", r"{}"),
            ("StartedByOwner", r#"{"gracePeriodEndsAt":"2026-12-07T20:03:07Z"}"#),
            ("DataDeleted", r#"{"aggregateType":"files","count":"01"}"#),
            ("DataDeleted", r#"{"count":"1","aggregateType":"files"}"#),
            ("DeletionStarted", r#"{"erasers":"mail,files"}"#),
            ("DeletionStarted", r#"{"erasers":"files,"}"#),
            ("DeletionStarted", r#"{"erasers":"files", "other":""}"#),
            ("DeletionCompleted", r"{ }"),
            ("Deletion", r"{}"),
        ] {
            assert_eq!(AuditedAction::read(key, data), None, "{key} {data}");
        }
    }
}
