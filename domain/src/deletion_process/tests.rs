use std::collections::BTreeSet;

use super::*;
use crate::{Erasure, GracePeriod, GracePeriodBounds, Hold, HoldChange, HoldCode, Identity, WaiverCode};
use proptest::prelude::*;

const DAY: i64 = 86_400_000_000;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(1_800_000_000_000_000 + micros).unwrap()
}

fn device() -> DeviceId {
    "DVC0123456789abcdefg".parse().unwrap()
}

fn other_device() -> DeviceId {
    "DVCzzzzzzzzzzzzzzzzz".parse().unwrap()
}

fn id() -> DeletionProcessId {
    "IDP0123456789abcdefg".parse().unwrap()
}

fn eraser(name: &str) -> crate::EraserName {
    name.parse().unwrap()
}

fn erasers() -> BTreeSet<crate::EraserName> {
    [eraser("files"), eraser("messages")].into()
}

/// Created at 0, to be deleted at 14 days.
fn active() -> DeletionProcess {
    let length = GracePeriod::from_days(14.0, &GracePeriodBounds::default()).unwrap();
    let identity = Identity::new("did:web:example.org".parse().unwrap());
    identity.initiate(id(), device(), length, at(0)).unwrap().into_process()
}

const END: i64 = 14 * DAY;

fn cancelled() -> DeletionProcess {
    active().cancel(device(), at(1)).unwrap().into_process()
}

fn deleting() -> DeletionProcess {
    active().start_deletion(erasers(), at(END)).unwrap().into_process()
}

fn deleted() -> DeletionProcess {
    let process = deleting().record_erasure(&eraser("files"), 3, at(END + 1)).unwrap().into_process();
    let process = process.record_erasure(&eraser("messages"), 0, at(END + 2)).unwrap().into_process();
    process.complete(at(END + 3)).unwrap().into_process()
}

/// What a command makes of a process: the status it leads to, or the status named by the error.
fn outcome(command: &str, process: &DeletionProcess, now: Timestamp) -> Result<Status, String> {
    let step = match command {
        "cancel" => process.cancel(device(), now).map_err(|error| error.to_string()),
        "remind" => process.remind(Reminder::First, now).map_err(|error| error.to_string()),
        "start deletion" => process.start_deletion(erasers(), now).map_err(|error| error.to_string()),
        "record erasure" => {
            process.record_erasure(&eraser("files"), 1, now).map_err(|error| error.to_string())
        }
        "record erasure failure" => process
            .record_erasure_failure(&eraser("files"), "timeout".parse().unwrap(), now)
            .map_err(|error| error.to_string()),
        "waive erasure" => process
            .waive_erasure(&eraser("files"), "retired".parse().unwrap(), now)
            .map_err(|error| error.to_string()),
        "complete" => process.complete(now).map_err(|error| error.to_string()),
        "initiate" => match Identity::with_open_process(process.clone()) {
            Ok(identity) => identity
                .initiate(
                    id(),
                    device(),
                    GracePeriod::from_days(1.0, &GracePeriodBounds::default()).unwrap(),
                    now,
                )
                .map_err(|error| error.to_string()),
            // A closed process is no part of the identity: it does not stand in the way.
            Err(_) => Identity::new(process.address().clone())
                .initiate(
                    id(),
                    device(),
                    GracePeriod::from_days(1.0, &GracePeriodBounds::default()).unwrap(),
                    now,
                )
                .map_err(|error| error.to_string()),
        },
        other => panic!("no such command: {other}"),
    };
    step.map(|step| step.process().status())
}

#[test]
fn every_state_has_its_answer_to_every_command() {
    use Status::{Active, Cancelled, Deleted, Deleting};
    let refused = None;
    // One line a command; the columns are the states Active, Cancelled, Deleting, Deleted.
    for (command, now, expected) in [
        ("initiate", 1, [refused, Some(Active), refused, Some(Active)]),
        ("cancel", 1, [Some(Cancelled), refused, refused, refused]),
        ("cancel", END, [refused, refused, refused, refused]),
        ("remind", 1, [Some(Active), refused, refused, refused]),
        ("remind", END, [refused, refused, refused, refused]),
        ("start deletion", 1, [refused, refused, refused, refused]),
        ("start deletion", END, [Some(Deleting), refused, refused, refused]),
        ("record erasure", END, [refused, refused, Some(Deleting), refused]),
        ("record erasure failure", END, [refused, refused, Some(Deleting), refused]),
        ("waive erasure", END, [refused, refused, Some(Deleting), refused]),
        ("complete", END, [refused, refused, refused, refused]),
    ] {
        for (process, expected) in [active(), cancelled(), deleting(), deleted()].iter().zip(expected) {
            let outcome = outcome(command, process, at(now));
            match expected {
                Some(status) => assert_eq!(outcome, Ok(status), "{command} in {}", process.status()),
                None => assert!(outcome.is_err(), "{command} in {} gave {outcome:?}", process.status()),
            }
        }
    }
    assert!(deleted().status() == Deleted && cancelled().status() == Cancelled);
}

#[test]
fn a_refusal_in_the_wrong_state_names_the_state() {
    for (command, process) in [
        ("cancel", deleting()),
        ("remind", cancelled()),
        ("start deletion", deleted()),
        ("record erasure", active()),
        ("record erasure failure", cancelled()),
        ("waive erasure", active()),
        ("complete", active()),
        ("initiate", deleting()),
    ] {
        let message = outcome(command, &process, at(END)).unwrap_err();
        assert!(message.contains(process.status().as_str()), "{command}: {message}");
    }
}

#[test]
fn the_deadline_belongs_to_the_deletion_to_the_microsecond() {
    for (now, may_cancel) in [(END - 1, true), (END, false), (END + 1, false)] {
        let process = active();
        assert_eq!(process.cancel(device(), at(now)).is_ok(), may_cancel, "cancel at {now}");
        assert_eq!(process.start_deletion(erasers(), at(now)).is_ok(), !may_cancel, "start at {now}");
        assert_eq!(process.is_ripe(at(now)), !may_cancel);
    }
    let expired = CancelError::GracePeriodHasExpired { ended_at: at(END) };
    assert_eq!(active().cancel(device(), at(END)), Err(expired));
    let not_yet = StartDeletionError::GracePeriodHasNotYetExpired { ends_at: at(END) };
    assert_eq!(active().start_deletion(erasers(), at(END - 1)), Err(not_yet));
}

#[test]
fn a_cancellation_says_who_and_when_and_keeps_the_deadline() {
    let step = active().cancel(other_device(), at(5)).unwrap();
    let State::Cancelled(cancelled) = step.process().state() else { panic!("{step:?}") };
    assert_eq!((cancelled.at(), cancelled.by_device()), (at(5), &other_device()));
    assert_eq!(step.process().grace_period_ends_at(), at(END));
    assert_eq!(step.process().created_by_device(), &device());
    let entry = step.audit_entry();
    assert_eq!((entry.old_status, entry.new_status), (Some(Status::Active), Status::Cancelled));
    assert_eq!((entry.created_at, entry.device.as_ref()), (at(5), Some(&other_device())));
    assert_eq!(entry.action.message_key(), "CancelledByOwner");
    assert_eq!(step.event().unwrap().kind, EventKind::IdentityDeletionCancelled);
    assert_eq!(step.deadline(), Deadline::IsAfter(at(5)));
}

#[test]
fn initiating_fixes_the_deadline_and_promises_it_in_audit_entry_and_event() {
    let length = GracePeriod::from_days(1.5, &GracePeriodBounds::default()).unwrap();
    let identity = Identity::new("did:web:example.org".parse().unwrap());
    let step = identity.initiate(id(), device(), length, at(0)).unwrap();
    let ends_at = at(DAY + DAY / 2);
    assert_eq!(step.process().grace_period_ends_at(), ends_at);
    assert_eq!(
        step.audit_entry().action,
        AuditedAction::StartedByOwner { grace_period_ends_at: ends_at, suspension: None }
    );
    assert_eq!(step.event().unwrap().kind, EventKind::IdentityToBeDeleted { grace_period_ends_at: ends_at });
    assert_eq!(step.audit_entry().old_status, None);
}

#[test]
fn a_grace_period_cannot_end_after_the_calendar() {
    let length = GracePeriod::from_days(14.0, &GracePeriodBounds::default()).unwrap();
    let identity = Identity::new("did:web:example.org".parse().unwrap());
    let now = "9999-12-31T00:00:00Z".parse().unwrap();
    assert_eq!(identity.initiate(id(), device(), length, now), Err(crate::InitiateError::BeyondCalendar));
}

#[test]
fn an_old_timer_does_not_touch_a_newer_process() {
    let identity = Identity::with_open_process(active()).unwrap();
    let older = "IDPzzzzzzzzzzzzzzzzz".parse().unwrap();
    assert_eq!(identity.start_deletion(&older, erasers(), at(END)), Err(StartDeletionError::NoOpenProcess));
    assert_eq!(identity.remind(&older, Reminder::First, at(1)), Err(RemindError::NoOpenProcess));
    assert_eq!(identity.complete(&older, at(END)), Err(CompleteError::NoOpenProcess));
    assert!(identity.start_deletion(&id(), erasers(), at(END)).is_ok());
}

#[test]
fn an_identity_is_what_its_open_process_makes_it() {
    use crate::IdentityStatus;
    let address = active().address().clone();
    assert_eq!(Identity::new(address).status(), IdentityStatus::Active);
    assert_eq!(Identity::with_open_process(active()).unwrap().status(), IdentityStatus::ToBeDeleted);
    assert_eq!(Identity::with_open_process(deleting()).unwrap().status(), IdentityStatus::Deleting);
    assert!(Identity::with_open_process(cancelled()).is_err());
    assert!(Identity::with_open_process(deleted()).is_err());
}

#[test]
fn a_reminder_is_sent_once_and_none_after_a_more_urgent_one() {
    let process = active().remind(Reminder::Second, at(DAY)).unwrap().into_process();
    for reminder in [Reminder::First, Reminder::Second] {
        let error = RemindError::AlreadySent { sent: Reminder::Second, at: at(DAY) };
        assert_eq!(process.remind(reminder, at(2 * DAY)), Err(error));
    }
    let step = process.remind(Reminder::Third, at(9 * DAY + 1)).unwrap();
    assert_eq!(step.process().reminders().sent_at(Reminder::Third), Some(at(9 * DAY + 1)));
    assert_eq!(step.audit_entry().action.message_key(), "GracePeriodReminder3Sent");
    let EventKind::IdentityDeletionReminderDue { days_until_deletion, .. } = step.event().unwrap().kind
    else {
        panic!("{step:?}")
    };
    assert_eq!(days_until_deletion, 5, "4 days and 23 hours and a bit are 5 days, rounded up");
}

#[test]
fn deleted_needs_every_acknowledgement() {
    let process = deleting();
    let error = CompleteError::ErasuresPending { first: eraser("files"), count: 2 };
    assert_eq!(process.complete(at(END)), Err(error));
    let process = process.record_erasure(&eraser("files"), 3, at(END)).unwrap().into_process();
    let error = CompleteError::ErasuresPending { first: eraser("messages"), count: 1 };
    assert_eq!(process.complete(at(END)), Err(error));
    let process = process
        .record_erasure_failure(&eraser("messages"), "timeout".parse().unwrap(), at(END))
        .unwrap()
        .into_process();
    assert!(process.complete(at(END)).is_err());
    let State::Deleting(state) = process.state() else { panic!("{process:?}") };
    assert!(state.erasures().any(|(_, erasure)| *erasure == Erasure::Pending { failures: 1 }));
    let process = process.record_erasure(&eraser("messages"), 0, at(END + 1)).unwrap().into_process();
    assert_eq!(process.complete(at(END + 2)).unwrap().process().status(), Status::Deleted);
}

#[test]
fn an_eraser_that_acknowledged_cannot_take_it_back() {
    let process = deleting().record_erasure(&eraser("files"), 3, at(END)).unwrap().into_process();
    let error = RecordErasureError::AlreadyAcknowledged { eraser: eraser("files"), at: at(END) };
    assert_eq!(process.record_erasure(&eraser("files"), 9, at(END + 1)), Err(error.clone()));
    let failure = "timeout".parse().unwrap();
    assert_eq!(process.record_erasure_failure(&eraser("files"), failure, at(END + 1)), Err(error));
    let unknown = RecordErasureError::UnknownEraser { eraser: eraser("other") };
    assert_eq!(process.record_erasure(&eraser("other"), 1, at(END)), Err(unknown));
}

#[test]
fn a_waiver_ends_the_wait_for_an_eraser_and_says_why_in_audit_entry_and_event() {
    let code: WaiverCode = "retired".parse().unwrap();
    let step = deleting().waive_erasure(&eraser("files"), code.clone(), at(END + 1)).unwrap();
    let entry = step.audit_entry();
    assert_eq!((entry.old_status, entry.new_status), (Some(Status::Deleting), Status::Deleting));
    assert_eq!((entry.created_at, &entry.device), (at(END + 1), &None));
    assert_eq!(entry.action.message_key(), "DataDeletionWaivedBySupport");
    let data = [("aggregateType", "files".to_owned()), ("code", "retired".to_owned())];
    assert_eq!(entry.action.additional_data(), data);
    let event = EventKind::IdentityErasureWaived { eraser: eraser("files"), code: code.clone() };
    assert_eq!(step.event().unwrap().kind, event);
    let process = step.into_process();
    let error = CompleteError::ErasuresPending { first: eraser("messages"), count: 1 };
    assert_eq!(process.complete(at(END + 2)), Err(error));
    // Whatever the eraser says afterwards.
    let waived = RecordErasureError::AlreadyWaived { eraser: eraser("files"), at: at(END + 1) };
    assert_eq!(process.record_erasure(&eraser("files"), 1, at(END + 2)), Err(waived.clone()));
    let failure: crate::FailureCode = "timeout".parse().unwrap();
    assert_eq!(
        process.record_erasure_failure(&eraser("files"), failure.clone(), at(END + 2)),
        Err(waived.clone())
    );
    assert_eq!(process.record_stuck_erasure(&eraser("files"), failure, at(END + 2)), Err(waived));
    let process = process.record_erasure(&eraser("messages"), 0, at(END + 3)).unwrap().into_process();
    let State::Deleted(deleted) = process.complete(at(END + 4)).unwrap().process().state().clone() else {
        panic!("{process:?}")
    };
    assert!(
        deleted
            .erasures()
            .any(|(_, erasure)| *erasure == Erasure::Waived { at: at(END + 1), code: code.clone() })
    );
}

#[test]
fn only_an_erasure_that_is_pending_can_be_waived_and_only_once() {
    let waive = |process: &DeletionProcess, name: &str| {
        process.waive_erasure(&eraser(name), "retired".parse().unwrap(), at(END + 9))
    };
    let process = deleting().record_erasure(&eraser("files"), 3, at(END)).unwrap().into_process();
    let acknowledged = WaiveErasureError::AlreadyAcknowledged { eraser: eraser("files"), at: at(END) };
    assert_eq!(waive(&process, "files"), Err(acknowledged));
    let unknown = WaiveErasureError::UnknownEraser { eraser: eraser("other") };
    assert_eq!(waive(&process, "other"), Err(unknown));
    let process = waive(&process, "messages").unwrap().into_process();
    let waived = WaiveErasureError::AlreadyWaived { eraser: eraser("messages"), at: at(END + 9) };
    assert_eq!(waive(&process, "messages"), Err(waived));
    assert_eq!(waive(&active(), "files"), Err(WaiveErasureError::NotDeleting { status: Status::Active }));
    let identity = Identity::with_open_process(deleting()).unwrap();
    let older = "IDPzzzzzzzzzzzzzzzzz".parse().unwrap();
    let code: WaiverCode = "retired".parse().unwrap();
    assert_eq!(
        identity.waive_erasure(&older, &eraser("files"), code.clone(), at(END)),
        Err(WaiveErasureError::NoOpenProcess)
    );
    assert!(identity.waive_erasure(&id(), &eraser("files"), code, at(END)).is_ok());
}

fn held(process: &DeletionProcess, until: Timestamp, now: Timestamp) -> DeletionProcess {
    let identity = Identity::with_open_process(process.clone()).unwrap();
    let change = identity.place_hold("legal".parse().unwrap(), until, false, now).unwrap();
    change.step.unwrap().into_process()
}

#[test]
fn a_hold_moves_the_end_and_not_the_promised_date() {
    let reminded = active().remind(Reminder::Third, at(13 * DAY)).unwrap().into_process();
    let until = at(30 * DAY);
    let process = held(&reminded, until, at(END - 1));
    assert_eq!((process.grace_period_ends_at(), process.ends_at()), (at(END), until));
    assert_eq!(process.reminders(), &Reminders::default(), "they are due anew");
    let early = StartDeletionError::GracePeriodHasNotYetExpired { ends_at: until };
    assert_eq!(process.start_deletion(erasers(), at(30 * DAY - 1)), Err(early));
    assert!(process.start_deletion(erasers(), until).is_ok());
    let late = CancelError::GracePeriodHasExpired { ended_at: until };
    assert_eq!(process.cancel(device(), until), Err(late));
    let cancelled = process.cancel(device(), at(30 * DAY - 1)).unwrap().into_process();
    let State::Cancelled(state) = cancelled.state() else { panic!("{cancelled:?}") };
    assert_eq!(state.at(), at(30 * DAY - 1));
    assert_eq!(DeletionProcess::restore(cancelled.to_record()), Ok(cancelled));
    // One that ends before the promised date changes nothing about the end, so that the reminders stay sent.
    let short = held(&reminded, at(END - 1), at(13 * DAY));
    assert_eq!((short.ends_at(), short.reminders()), (at(END), reminded.reminders()));
}

#[test]
fn a_hold_that_is_placed_after_the_promised_date_and_before_the_start_lets_the_owner_cancel_again() {
    assert!(active().cancel(device(), at(END + DAY)).is_err());
    assert!(held(&active(), at(END + 2 * DAY), at(END + DAY)).cancel(device(), at(END + DAY)).is_ok());
}

#[test]
fn an_event_says_until_when_it_is_suspended_unless_the_hold_is_silent() {
    let identity = Identity::with_open_process(active()).unwrap();
    let place = |is_silent| {
        let change = identity.place_hold("legal".parse().unwrap(), at(20 * DAY), is_silent, at(DAY));
        change.unwrap()
    };
    let step = place(false).step.unwrap();
    let shown = EventKind::IdentityDeletionSuspensionChanged { suspended_until: Some(at(20 * DAY)) };
    assert_eq!(step.event().map(|event| &event.kind), Some(&shown));
    let HoldChange { hold, step } = place(true);
    let step = step.unwrap();
    assert_eq!(step.event(), None);
    assert_eq!(step.audit_entry().action.message_key(), "HoldPlacedBySupport");
    let process = step.into_process();
    assert_eq!(process.suspension().map(|held| held.shown_until), Some(None));
    // Its end is not shown either.
    let identity = Identity::with_open_process(process).unwrap().with_holds(vec![hold]);
    let released = identity.release_hold("legal".parse().unwrap(), at(2 * DAY)).unwrap();
    assert_eq!(released.step.unwrap().event(), None);
}

#[test]
fn nothing_is_completed_while_a_hold_is_in_force() {
    let process = deleting().record_erasure(&eraser("files"), 3, at(END)).unwrap().into_process();
    let process = held(&process, at(END + 5), at(END));
    let process = process.record_erasure(&eraser("messages"), 0, at(END + 1)).unwrap().into_process();
    assert_eq!(process.complete(at(END + 4)), Err(CompleteError::Suspended { until: at(END + 5) }));
    assert!(process.complete(at(END + 5)).is_ok());
    assert_eq!(DeletionProcess::restore(process.to_record()), Ok(process));
}

#[test]
fn what_a_held_identity_initiates_begins_suspended() {
    let identity = Identity::new("did:web:example.org".parse().unwrap());
    let hold = identity.place_hold("legal".parse().unwrap(), at(20 * DAY), false, at(0)).unwrap();
    assert_eq!(hold.step, None);
    let length = GracePeriod::from_days(14.0, &GracePeriodBounds::default()).unwrap();
    let identity = identity.with_holds(vec![hold.hold.clone()]);
    let initiate = |now| identity.initiate(id(), device(), length, at(now)).unwrap();
    let process = initiate(DAY).into_process();
    assert_eq!((process.grace_period_ends_at(), process.ends_at()), (at(15 * DAY), at(20 * DAY)));
    assert_eq!(initiate(20 * DAY).process().suspension(), None);
    // One that lacks a hold is suspended by it, and one that does not is left alone.
    let unaware = Identity::with_open_process(active()).unwrap();
    assert_eq!(unaware.suspend(at(END)), None);
    let lacking = unaware.with_holds(vec![hold.hold.clone()]);
    let process = lacking.suspend(at(END)).unwrap().into_process();
    assert_eq!(process.ends_at(), at(20 * DAY));
    let identity = Identity::with_open_process(process).unwrap().with_holds(vec![hold.hold]);
    assert_eq!(identity.suspend(at(END)), None);
    assert_eq!(lacking.suspend(at(20 * DAY)), None);
}

#[test]
fn every_process_survives_being_stored() {
    let waived = deleting().waive_erasure(&eraser("files"), "retired".parse().unwrap(), at(END)).unwrap();
    for process in [active(), cancelled(), deleting(), deleted(), waived.into_process()] {
        assert_eq!(DeletionProcess::restore(process.to_record()), Ok(process));
    }
}

#[test]
fn a_record_that_no_transition_leads_to_is_refused_with_the_member() {
    type Change = fn(&mut DeletionProcessRecord);
    let cases: [(DeletionProcess, Change, &str); 13] = [
        (active(), |r| r.grace_period_ends_at = r.created_at, "grace_period_ends_at"),
        (active(), |r| r.cancelled_at = Some(r.created_at), "cancelled_at"),
        (active(), |r| r.cancelled_by_device = Some(r.created_by_device.clone()), "cancelled_by_device"),
        (active(), |r| r.deletion_started_at = Some(r.grace_period_ends_at), "deletion_started_at"),
        (active(), |r| r.erasures = Some(Vec::new()), "erasures"),
        (active(), |r| r.status = Status::Cancelled, "cancelled_at"),
        (
            active(),
            |r| r.reminders = Reminders::new([None, Some(r.grace_period_ends_at), None]),
            "reminder2_sent_at",
        ),
        (cancelled(), |r| r.cancelled_at = Some(r.grace_period_ends_at), "cancelled_at"),
        (cancelled(), |r| r.cancelled_by_device = None, "cancelled_by_device"),
        (deleting(), |r| r.deletion_started_at = Some(r.created_at), "deletion_started_at"),
        (deleting(), |r| r.deletion_completed_at = r.deletion_started_at, "deletion_completed_at"),
        (deleting(), |r| r.status = Status::Deleted, "erasures"),
        (
            deleting(),
            |r| {
                let twice: Vec<_> =
                    r.erasures.iter().flatten().chain(r.erasures.iter().flatten()).cloned().collect();
                r.erasures = Some(twice);
            },
            "erasures",
        ),
    ];
    for (process, change, member) in cases {
        let mut record = process.to_record();
        change(&mut record);
        assert_eq!(DeletionProcess::restore(record).unwrap_err().member, member);
    }
}

proptest! {
    /// Whatever is tried, in whatever order and at whatever time: a final state stays final, the deadline stays, a
    /// cancellation lies before it and a deletion does not, and what is stored can be brought back.
    #[test]
    fn no_sequence_of_commands_breaks_a_promise(
        commands in prop::collection::vec((0..9_usize, -DAY..30 * DAY, 0..20 * DAY, any::<bool>()), 0..30)
    ) {
        let names = [
            "cancel", "remind", "start deletion", "record erasure", "record erasure failure", "waive erasure",
            "complete", "hold", "release",
        ];
        let mut process = active();
        let mut holds: Vec<Hold> = Vec::new();
        for (command, now, length, is_odd) in commands {
            let before = process.clone();
            let code: HoldCode = if is_odd { "legal" } else { "dispute" }.parse().unwrap();
            let step = match names[command] {
                "cancel" => process.cancel(other_device(), at(now)).ok(),
                "remind" => process.remind(Reminder::Second, at(now)).ok(),
                "start deletion" => process.start_deletion(erasers(), at(now)).ok(),
                "record erasure" => process.record_erasure(&eraser("files"), 1, at(now)).ok(),
                "record erasure failure" => process
                    .record_erasure_failure(&eraser("messages"), "timeout".parse().unwrap(), at(now)).ok(),
                "waive erasure" => {
                    process.waive_erasure(&eraser("messages"), "retired".parse().unwrap(), at(now)).ok()
                }
                "complete" => process.complete(at(now)).ok(),
                command => Identity::with_open_process(process.clone()).ok().and_then(|identity| {
                    let identity = identity.with_holds(holds.clone());
                    let change = match command {
                        "hold" => identity.place_hold(code, at(now + length), is_odd, at(now)),
                        _ => identity.release_hold(code, at(now)),
                    };
                    let HoldChange { hold, step } = change.ok()?;
                    holds.retain(|known| known.code != hold.code);
                    holds.push(hold);
                    step
                }),
            };
            let Some(step) = step else { continue };
            prop_assert!(before.status().is_open(), "{} left {}", names[command], before.status());
            prop_assert_eq!(step.audit_entry().old_status, Some(before.status()));
            prop_assert_eq!(step.audit_entry().new_status, step.process().status());
            process = step.into_process();
            prop_assert_eq!(process.grace_period_ends_at(), before.grace_period_ends_at());
            match process.state() {
                State::Active(_) => {
                    prop_assert!(process.ends_at() >= before.ends_at().min(at(now + 7 * DAY)));
                    let latest = holds.iter().filter(|hold| hold.is_in_force(at(now))).map(|hold| hold.ends_at).max();
                    prop_assert!(latest.is_none_or(|latest| process.ends_at() >= latest));
                }
                State::Cancelled(state) => prop_assert!(state.at() < process.ends_at()),
                State::Deleting(state) => {
                    prop_assert!(state.started_at() >= process.grace_period_ends_at());
                    prop_assert!(before.status() == Status::Deleting || at(now) >= before.ends_at());
                }
                State::Deleted(_) => prop_assert!(!before.is_suspended(at(now))),
            }
            prop_assert_eq!(&DeletionProcess::restore(process.to_record()).unwrap(), &process);
        }
    }
}
