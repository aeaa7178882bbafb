//! Steps that honest code takes, with the key, on a process that was changed behind its back: the chain that comes of it is
//! sealed from end to end, and shows it all the same.

use std::collections::BTreeSet;

use super::*;
use crate::audit::{
    AuditEntry, AuditKey, Chain, ChainHead, FaultKind, StoredErasures, StoredHead, StoredTask, Subject,
};
use crate::{
    Address, DeletionProcess, DeletionProcessId, DeletionProcessRecord, DeviceId, ErasureRecord, FailureCode,
    GracePeriod, GracePeriodBounds, Identity, Step,
};

const DAY: i64 = 86_400_000_000;
const END: i64 = 14 * DAY;

fn key() -> AuditKey {
    AuditKey::new(&(0..32).collect::<Vec<u8>>()).unwrap()
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros).unwrap()
}

fn device() -> DeviceId {
    "DVC0123456789abcdefg".parse().unwrap()
}

fn ada() -> Address {
    "did:web:example.org:ada".parse().unwrap()
}

fn eraser(name: &str) -> EraserName {
    name.parse().unwrap()
}

fn erasers(names: &[&str]) -> BTreeSet<EraserName> {
    names.iter().map(|name| eraser(name)).collect()
}

/// A process with its chain, as a database has it.
#[derive(Clone)]
struct Story {
    entries: Vec<SealedEntry>,
    head: ChainHead,
    process: DeletionProcess,
}

impl Story {
    fn begin() -> Self {
        let length = GracePeriod::from_days(14.0, &GracePeriodBounds::default()).unwrap();
        let id: DeletionProcessId = "IDP0123456789abcdefg".parse().unwrap();
        let step = Identity::new(ada()).initiate(id, device(), length, at(0)).unwrap();
        let story = Self { entries: Vec::new(), head: ChainHead::EMPTY, process: step.process().clone() };
        story.tell(|_| step)
    }

    fn tell(mut self, step: impl FnOnce(&DeletionProcess) -> Step) -> Self {
        let step = step(&self.process);
        let (sealed, head) = key().seal(step.audit_entry(), self.head);
        self.entries.push(sealed);
        self.head = head;
        self.process = step.into_process();
        self
    }

    fn start(self, names: &[&str], now: i64) -> Self {
        self.tell(|process| process.start_deletion(erasers(names), at(now)).unwrap())
    }

    fn erased(self, name: &str, now: i64) -> Self {
        self.tell(|process| process.record_erasure(&eraser(name), 3, at(now)).unwrap())
    }

    fn failed(self, name: &str, now: i64) -> Self {
        let failure = FailureCode::unreachable();
        self.tell(|process| process.record_erasure_failure(&eraser(name), failure, at(now)).unwrap())
    }

    fn complete(self, now: i64) -> Self {
        self.tell(|process| process.complete(at(now)).unwrap())
    }

    /// Somebody without the key writes to the row.
    fn changed(mut self, change: impl FnOnce(&mut DeletionProcessRecord)) -> Self {
        let mut record = self.process.to_record();
        change(&mut record);
        self.process = DeletionProcess::restore(record).unwrap();
        self
    }

    /// The same chain, sealed anew after each entry was changed.
    fn resealed(mut self, change: impl Fn(usize, &mut AuditEntry)) -> Self {
        let mut head = ChainHead::EMPTY;
        for (number, entry) in self.entries.iter_mut().enumerate() {
            let mut unsealed = AuditEntry {
                process_id: entry.process_id.parse().unwrap(),
                address: ada(),
                device: entry.device_hash.as_ref().map(|_| device()),
                created_at: at(entry.created_at),
                old_status: entry.old_status.as_ref().map(|status| status.parse().unwrap()),
                new_status: entry.new_status.parse().unwrap(),
                action: AuditedAction::read(&entry.message_key, &entry.additional_data).unwrap(),
            };
            change(number + 1, &mut unsealed);
            (*entry, head) = key().seal(&unsealed, head);
        }
        self.head = head;
        self
    }

    /// As a version did that stated no erasers.
    fn without_stated_erasers(self) -> Self {
        self.resealed(|_, entry| {
            if let AuditedAction::DeletionStarted { erasers } = &mut entry.action {
                *erasers = None;
            }
        })
    }

    fn chain(&self) -> Chain {
        let stored = StoredHead {
            length: self.head.length,
            hash: self.head.hash.as_bytes().to_vec(),
            seal: key().seal_head(self.process.id(), self.head).as_bytes().to_vec(),
            subject: Subject::from(&self.process),
        };
        let process_id = self.process.id().to_string();
        Chain { process_id, entries: self.entries.clone(), head: Some(stored), tasks: None }
    }

    fn fault(&self) -> Option<(i64, FaultKind)> {
        key().verify(&self.chain()).err().map(|fault| (fault.sequence, fault.kind))
    }
}

fn does_not_follow(sequence: i64) -> (i64, FaultKind) {
    (sequence, FaultKind::DoesNotFollow)
}

fn differs(sequence: i64) -> (i64, FaultKind) {
    (sequence, FaultKind::ProcessDiffers)
}

fn forget_cancellation(record: &mut DeletionProcessRecord) {
    record.status = Status::Active;
    record.cancelled_at = None;
    record.cancelled_by_device = None;
}

#[test]
fn a_deletion_that_started_on_a_status_put_back_shows() {
    let cancelled = Story::begin().tell(|process| process.cancel(device(), at(1)).unwrap());
    let put_back = cancelled.changed(forget_cancellation);
    assert_eq!(put_back.fault(), Some(differs(2)));
    assert_eq!(put_back.start(&["files"], END).fault(), Some(does_not_follow(3)));
}

#[test]
fn a_deletion_that_started_on_a_deadline_moved_shows() {
    let moved = Story::begin().changed(|record| record.grace_period_ends_at = at(1));
    assert_eq!(moved.fault(), Some(differs(1)));
    let started = moved.start(&["files"], 2);
    assert_eq!(started.fault(), Some(does_not_follow(2)));
    // Also when the deadline is put back, and the promised one is over in the meantime.
    let completed = started.erased("files", END + 1).complete(END + 2);
    assert_eq!(completed.fault(), Some(does_not_follow(2)));
}

#[test]
fn a_deletion_may_start_at_the_promised_end_and_not_a_microsecond_before() {
    assert_eq!(Story::begin().start(&["files"], END).fault(), None);
    let early = Story::begin().changed(|record| record.grace_period_ends_at = at(END - 1));
    let early = early.start(&["files"], END - 1);
    let put_back = |mut record: DeletionProcessRecord| {
        record.grace_period_ends_at = at(END);
        record
    };
    // No such record is a process any more, so its row is compared as it is.
    let mut chain = early.chain();
    let record = put_back(early.process.to_record());
    if let Some(StoredHead { subject: Subject::Process(process), .. }) = &mut chain.head {
        process.grace_period_ends_at = record.grace_period_ends_at.unix_micros();
    }
    let fault = key().verify(&chain).unwrap_err();
    assert_eq!((fault.sequence, fault.kind), (2, FaultKind::DoesNotFollow));
}

#[test]
fn a_cancellation_or_a_reminder_after_the_promised_end_shows() {
    let moved = Story::begin().changed(|record| record.grace_period_ends_at = at(2 * END));
    let cancelled = moved.clone().tell(|process| process.cancel(device(), at(END)).unwrap());
    assert_eq!(cancelled.fault(), Some(does_not_follow(2)));
    let reminded = moved.tell(|process| process.remind(Reminder::First, at(END)).unwrap());
    assert_eq!(reminded.fault(), Some(does_not_follow(2)));
}

#[test]
fn a_step_that_was_taken_for_another_identity_shows() {
    let taken = Story::begin().changed(|record| record.address = "did:web:example.org:bob".parse().unwrap());
    assert_eq!(taken.fault(), Some(differs(1)));
    assert_eq!(taken.start(&["files"], END).fault(), Some(does_not_follow(2)));
}

#[test]
fn a_made_up_process_has_no_first_entry() {
    let mut made_up = Story::begin();
    made_up.entries.clear();
    let started = made_up.start(&["files"], END);
    assert_eq!(started.fault(), Some((1, FaultKind::Removed)));
}

#[test]
fn a_reminder_that_was_taken_back_and_sent_again_shows() {
    let reminded = Story::begin().tell(|process| process.remind(Reminder::Second, at(1)).unwrap());
    let again = reminded.changed(|record| record.reminders = Reminders::default());
    assert_eq!(again.fault(), Some(differs(2)));
    let again = again.tell(|process| process.remind(Reminder::First, at(2)).unwrap());
    assert_eq!(again.fault(), Some(does_not_follow(3)));
}

fn set_erasure(record: &mut DeletionProcessRecord, name: &str, erasure: Option<Erasure>) {
    let erasures = record.erasures.as_mut().unwrap();
    erasures.retain(|record| record.eraser != eraser(name));
    erasures.extend(erasure.map(|erasure| ErasureRecord { eraser: eraser(name), erasure }));
}

#[test]
fn what_is_stored_of_the_erasers_follows_from_the_entries() {
    let story =
        Story::begin().start(&["files", "mail"], END).failed("mail", END + 1).erased("files", END + 2);
    assert_eq!(story.fault(), None);
    let cases: [(&str, Option<Erasure>); 9] = [
        ("files", None),
        ("files", Some(Erasure::Pending { failures: 0 })),
        ("files", Some(Erasure::Acknowledged { at: at(END + 2), count: 4711 })),
        ("files", Some(Erasure::Acknowledged { at: at(END + 1), count: 3 })),
        ("mail", None),
        ("mail", Some(Erasure::Acknowledged { at: at(END + 2), count: 3 })),
        ("mail", Some(Erasure::Pending { failures: 0 })),
        ("mail", Some(Erasure::Pending { failures: 2 })),
        ("photos", Some(Erasure::Pending { failures: 0 })),
    ];
    for (name, erasure) in cases {
        let changed = story.clone().changed(|record| set_erasure(record, name, erasure.clone()));
        assert_eq!(changed.fault(), Some(differs(4)), "{name} {erasure:?}");
        // Nor once the process has gone on from there.
        let completed = changed.changed(|record| {
            for name in ["files", "mail", "photos"] {
                set_erasure(record, name, Some(Erasure::Acknowledged { at: at(END), count: 0 }));
            }
        });
        assert_eq!(completed.complete(END + 3).fault(), Some(does_not_follow(5)), "{name} {erasure:?}");
    }
}

#[test]
fn an_eraser_that_acknowledges_twice_or_was_never_in_force_shows() {
    let story = Story::begin().start(&["files"], END).erased("files", END + 1);
    let again =
        story.clone().changed(|record| set_erasure(record, "files", Some(Erasure::Pending { failures: 0 })));
    assert_eq!(again.erased("files", END + 2).fault(), Some(does_not_follow(4)));
    let other = story.changed(|record| set_erasure(record, "mail", Some(Erasure::Pending { failures: 0 })));
    assert_eq!(other.clone().failed("mail", END + 2).fault(), Some(does_not_follow(4)));
    assert_eq!(other.erased("mail", END + 2).fault(), Some(does_not_follow(4)));
}

#[test]
fn a_deletion_is_not_complete_while_a_stated_eraser_has_not_acknowledged() {
    let story = Story::begin().start(&["files", "mail"], END).erased("files", END + 1);
    let dropped = story.clone().changed(|record| set_erasure(record, "mail", None));
    assert_eq!(dropped.complete(END + 2).fault(), Some(does_not_follow(4)));
    assert_eq!(story.erased("mail", END + 2).complete(END + 3).fault(), None);
}

#[test]
fn what_an_older_version_wrote_verifies_as_far_as_it_states_something() {
    let story =
        Story::begin().start(&["files", "mail"], END).failed("mail", END + 1).erased("files", END + 2);
    let old = story.without_stated_erasers();
    assert_eq!(old.fault(), None);
    let completed = old.clone().erased("mail", END + 3).complete(END + 4);
    assert_eq!(completed.fault(), None);
    assert_eq!(Story::begin().start(&["files"], END).without_stated_erasers().fault(), None);
    for (name, erasure) in [
        ("files", Some(Erasure::Acknowledged { at: at(END + 2), count: 4711 })),
        ("mail", Some(Erasure::Acknowledged { at: at(END + 2), count: 0 })),
        ("mail", None),
        ("photos", Some(Erasure::Acknowledged { at: at(END + 2), count: 0 })),
        ("photos", Some(Erasure::Pending { failures: 1 })),
    ] {
        let changed = old.clone().changed(|record| set_erasure(record, name, erasure.clone()));
        assert_eq!(changed.fault(), Some(differs(4)), "{name} {erasure:?}");
    }
    // What it cannot show: that one more was in force, or one less that had done nothing.
    let more =
        old.clone().changed(|record| set_erasure(record, "photos", Some(Erasure::Pending { failures: 0 })));
    assert_eq!(more.fault(), None);
    let done = Erasure::Acknowledged { at: at(END), count: 0 };
    let unproven = old.changed(|record| set_erasure(record, "mail", Some(done))).complete(END + 3);
    assert_eq!(unproven.fault(), Some(does_not_follow(5)));
}

#[test]
fn each_entry_goes_on_where_the_one_before_ended() {
    type Change = fn(&mut AuditEntry);
    let story = || {
        let started = Story::begin().tell(|process| process.remind(Reminder::First, at(1)).unwrap());
        started.start(&["files"], END).erased("files", END + 1).complete(END + 2)
    };
    assert_eq!(story().resealed(|_, _| {}).fault(), None);
    let changes: [(usize, Change); 15] = [
        (1, |entry| entry.old_status = Some(Status::Active)),
        (1, |entry| entry.new_status = Status::Deleting),
        (1, |entry| entry.device = None),
        (1, |entry| entry.action = AuditedAction::CancelledByOwner { fault: None }),
        (2, |entry| entry.old_status = None),
        (2, |entry| entry.old_status = Some(Status::Cancelled)),
        (2, |entry| entry.new_status = Status::Deleting),
        (2, |entry| entry.device = Some(device())),
        (2, |entry| {
            entry.action = AuditedAction::StartedByOwner { grace_period_ends_at: at(END), suspension: None }
        }),
        (3, |entry| entry.old_status = Some(Status::Deleting)),
        (3, |entry| entry.new_status = Status::Active),
        (4, |entry| entry.old_status = Some(Status::Active)),
        (4, |entry| entry.action = AuditedAction::CancelledByOwner { fault: None }),
        (5, |entry| entry.new_status = Status::Deleting),
        (5, |entry| entry.action = AuditedAction::DeletionStarted { erasers: None }),
    ];
    for (number, (place, change)) in changes.into_iter().enumerate() {
        let other = story().resealed(|sequence, entry| {
            if sequence == place {
                change(entry);
            }
        });
        assert_eq!(other.fault(), Some(does_not_follow(i64::try_from(place).unwrap())), "change {number}");
    }
}

/// Such chains were written wherever a clock was wrong for a while.
#[test]
fn a_clock_that_is_set_back_between_two_steps_breaks_no_chain() {
    let reminded = Story::begin().tell(|process| process.remind(Reminder::Third, at(9 * DAY)).unwrap());
    assert_eq!(reminded.tell(|process| process.cancel(device(), at(-DAY)).unwrap()).fault(), None);
}

#[test]
fn approved_is_the_old_name_of_active() {
    let mut chain = Story::begin().chain();
    if let Some(StoredHead { subject: Subject::Process(process), .. }) = &mut chain.head {
        process.status = "Approved".to_owned();
    }
    assert_eq!(key().verify(&chain), Ok(()));
    assert_eq!(key().verify_process(&chain).unwrap().process(), &Story::begin().process);
}

#[test]
fn a_verified_process_is_the_one_that_is_stored() {
    let story =
        Story::begin().start(&["files", "mail"], END).failed("mail", END + 1).erased("files", END + 2);
    let verified = key().verify_process(&story.chain()).unwrap();
    assert_eq!((verified.process(), verified.head()), (&story.process, story.head));
    assert_eq!(verified.proof().status(), Status::Deleting);
    assert!(verified.proof().states_erasers());
    assert_eq!(verified.into_process(), story.process);
}

#[test]
fn the_tasks_are_those_of_the_erasers_that_have_yet_to_acknowledge_and_one_to_finish() {
    let task = |name: &str| StoredTask { eraser: name.to_owned(), address: ada().to_string() };
    let with = |story: &Story, tasks: Vec<StoredTask>| {
        let chain = Chain { tasks: Some(tasks), ..story.chain() };
        key().verify(&chain).map_err(|fault| fault.kind)
    };
    let differ = Err(FaultKind::TasksDiffer);
    let active = Story::begin();
    let cancelled = active.clone().tell(|process| process.cancel(device(), at(1)).unwrap());
    for story in [&active, &cancelled] {
        assert_eq!(with(story, vec![]), Ok(()));
        for name in ["", "files"] {
            assert_eq!(with(story, vec![task(name)]), differ);
        }
    }
    let deleting = active.start(&["files", "mail"], END).erased("files", END + 1);
    assert_eq!(with(&deleting, vec![task("mail"), task("")]), Ok(()));
    let of_bob = StoredTask { address: "did:web:example.org:bob".to_owned(), ..task("mail") };
    for tasks in [
        vec![],
        vec![task("")],
        vec![task("mail")],
        vec![task(""), task("files"), task("mail")],
        vec![task(""), task("mail"), task("mail")],
        vec![task(""), task("photos")],
        vec![task(""), of_bob],
    ] {
        assert_eq!(with(&deleting, tasks), differ);
    }
    let deleted = deleting.erased("mail", END + 2).complete(END + 3);
    assert_eq!(with(&deleted, vec![task("")]), Ok(()));
    for tasks in [vec![], vec![task("mail"), task("")]] {
        assert_eq!(with(&deleted, tasks), differ);
    }
    let nothing_else =
        Chain { entries: vec![], head: None, tasks: Some(vec![task("files")]), ..deleted.chain() };
    assert_eq!(key().verify(&nothing_else).unwrap_err().kind, FaultKind::TasksDiffer);
}

#[test]
fn the_end_is_proven_by_the_first_entry_alone_and_for_its_owner_only() {
    let story = Story::begin().tell(|process| process.cancel(device(), at(1)).unwrap());
    let id = story.process.id();
    let end = |entries: &[SealedEntry]| key().proven_end(id, &ada(), entries);
    assert_eq!(end(&story.entries), Some(at(END)));
    assert_eq!(end(&story.entries[..1]), Some(at(END)));
    assert_eq!(end(&[]), None);
    assert_eq!(end(&story.entries[1..]), None);
    let bob = "did:web:example.org:bob".parse().unwrap();
    assert_eq!(key().proven_end(id, &bob, &story.entries), None);
    let other = "IDPzzzzzzzzzzzzzzzzz".parse().unwrap();
    assert_eq!(key().proven_end(&other, &ada(), &story.entries), None);
    let later = AuditedAction::StartedByOwner { grace_period_ends_at: at(1), suspension: None };
    let mut forged = story.entries;
    forged[0].additional_data = crate::audit::chain::json_object(&later.additional_data());
    assert_eq!(end(&forged), None);
}

#[test]
fn erasers_that_cannot_be_read_are_none() {
    let story = Story::begin().start(&["files"], END);
    let records = story.process.to_record().erasures.unwrap();
    let twice = [records.clone(), records.clone()].concat();
    for (erasures, is_sound) in [
        (StoredErasures::Absent, false),
        (StoredErasures::Unreadable, false),
        (StoredErasures::Known(vec![]), false),
        (StoredErasures::Known(records), true),
        (StoredErasures::Known(twice), false),
    ] {
        let mut chain = story.chain();
        if let Some(StoredHead { subject: Subject::Process(process), .. }) = &mut chain.head {
            process.erasures = erasures;
        }
        assert_eq!(key().verify(&chain).is_ok(), is_sound, "{chain:?}");
        assert_eq!(key().verify_process(&chain).is_ok(), is_sound);
    }
}
