use std::collections::BTreeSet;

use super::*;
use crate::audit::{ChainHead, FaultKind, StoredHead};
use crate::{DeletionProcess, EraserName, GracePeriod, GracePeriodBounds, Identity, Step};

const DAY: i64 = 86_400_000_000;

fn key() -> AuditKey {
    AuditKey::new(&(0..32).collect::<Vec<u8>>()).unwrap()
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros).unwrap()
}

fn initiated() -> Step {
    let length = GracePeriod::from_days(14.0, &GracePeriodBounds::default()).unwrap();
    let id = "IDP0123456789abcdefg".parse().unwrap();
    let device = "DVC0123456789abcdefg".parse().unwrap();
    Identity::new("did:web:example.org".parse().unwrap()).initiate(id, device, length, at(0)).unwrap()
}

/// The chain of these steps, and the process that it leads to.
fn chain(steps: impl IntoIterator<Item = Step>) -> Chain {
    let (mut entries, mut head, mut newest) = (Vec::new(), ChainHead::EMPTY, None);
    for step in steps {
        let (sealed, next) = key().seal(step.audit_entry(), head);
        entries.push(sealed);
        head = next;
        newest = Some(step.into_process());
    }
    let process: DeletionProcess = newest.unwrap();
    Chain {
        process_id: process.id().to_string(),
        entries,
        head: Some(StoredHead {
            length: head.length,
            hash: head.hash.as_bytes().to_vec(),
            seal: key().seal_head(process.id(), head).as_bytes().to_vec(),
            subject: Subject::from(&process),
        }),
        tasks: None,
    }
}

#[test]
fn an_account_has_an_entry_for_each_step_with_what_is_known_then() {
    let files: EraserName = "files".parse().unwrap();
    let asked = initiated();
    let started = asked.process().start_deletion([files.clone()].into(), at(14 * DAY)).unwrap();
    let erased = started.process().record_erasure(&files, 3, at(14 * DAY + 1)).unwrap();
    let completed = erased.process().complete(at(14 * DAY + 2)).unwrap();
    let chain = chain([asked, started, erased, completed]);
    let account = key().account(&chain).unwrap();
    let known: Vec<_> = account
        .entries()
        .iter()
        .map(|entry| {
            let dates = entry.dates;
            (entry.revision, entry.status, dates.deletion_started_at, dates.deletion_completed_at)
        })
        .collect();
    let (start, end) = (Some(at(14 * DAY)), Some(at(14 * DAY + 2)));
    assert_eq!(
        known,
        [
            (1, Status::Active, None, None),
            (2, Status::Deleting, start, None),
            (3, Status::Deleting, start, None),
            (4, Status::Deleted, start, end),
        ]
    );
    for (entry, sealed) in account.entries().iter().zip(&chain.entries) {
        assert_eq!(entry.entry_hash.as_bytes().as_slice(), sealed.hash);
        assert_eq!((entry.dates.created_at, entry.dates.grace_period_ends_at), (at(0), at(14 * DAY)));
    }
    assert_eq!(account.newest().unwrap().closed_at(), end);
}

#[test]
fn a_chain_that_does_not_verify_gives_no_account_but_a_cancellation_at_its_end_counts() {
    let asked = initiated();
    let device = asked.process().created_by_device().clone();
    let cancelled = asked.process().cancel(device, at(DAY)).unwrap();
    let mut tampered = chain([asked.clone()]);
    tampered.entries[0].created_at += 1;
    assert_eq!(key().account(&tampered).unwrap_err().kind, FaultKind::Changed);
    // The first entry is changed, but the owner has cancelled all the same.
    let mut tampered = chain([asked, cancelled]);
    tampered.entries[0].created_at += 1;
    let account = key().account(&tampered).unwrap();
    let newest = account.newest().unwrap();
    assert_eq!((newest.revision, newest.status), (2, Status::Cancelled));
    assert_eq!(newest.closed_at(), Some(at(DAY)));
    tampered.entries[1].created_at += 1;
    assert!(key().account(&tampered).is_err(), "the cancellation is made up");
}

#[test]
fn a_restored_cancellation_verifies_after_the_end_and_keeps_when_it_was_cancelled() {
    let asked = initiated();
    let stand_in: crate::DeviceId = "DVC00000000000000000".parse().unwrap();
    let identity = Identity::with_open_process(asked.process().clone()).unwrap();
    let id = asked.process().id().clone();
    let restore =
        |cancelled_at| identity.restore_cancellation(&id, at(cancelled_at), stand_in.clone(), at(20 * DAY));
    assert!(restore(14 * DAY).is_err(), "it was too late then");
    let restored = restore(14 * DAY - 1).unwrap();
    let chain = chain([asked, restored]);
    let account = key().account(&chain).unwrap();
    assert_eq!(account.newest().unwrap().dates.cancelled_at, Some(at(14 * DAY - 1)));
    let changes: [fn(&mut StoredProcess); 3] = [
        |stored| stored.cancelled_at = Some(20 * DAY),
        |stored| stored.cancelled_at = None,
        |stored| stored.cancelled_by_device = None,
    ];
    for change in changes {
        let mut other = chain.clone();
        let Some(StoredHead { subject: Subject::Process(stored), .. }) = &mut other.head else { panic!() };
        change(stored);
        assert_eq!(key().verify(&other).unwrap_err().kind, FaultKind::ProcessDiffers);
    }
}

#[test]
fn whatever_is_changed_changes_the_seal() {
    type Change = fn(&mut JournalEntry);
    let account = key().account(&chain([initiated()])).unwrap();
    let entry = account.newest().unwrap().clone();
    let changes: [Change; 14] = [
        |_| {},
        |entry| entry.process_id = "IDPzzzzzzzzzzzzzzzzz".parse().unwrap(),
        |entry| entry.identity_hash = [1; 32].into(),
        |entry| entry.kind = JournalKind::Decision,
        |entry| entry.branch = 1,
        |entry| entry.revision = 2,
        |entry| entry.entry_hash = [1; 32].into(),
        |entry| entry.status = Status::Cancelled,
        |entry| entry.dates.created_at = at(1),
        |entry| entry.dates.grace_period_ends_at = at(1),
        |entry| entry.dates.suspended_until = Some(at(1)),
        |entry| entry.dates.cancelled_at = Some(at(1)),
        |entry| entry.dates.deletion_started_at = Some(at(1)),
        |entry| entry.dates.deletion_completed_at = Some(at(1)),
    ];
    let seals: BTreeSet<String> = changes
        .into_iter()
        .map(|change| {
            let mut other = entry.clone();
            change(&mut other);
            key().journal_seal(&other).to_string()
        })
        .collect();
    assert_eq!(seals.len(), changes.len());
    let other = AuditKey::new(&(1..33).collect::<Vec<u8>>()).unwrap();
    assert_ne!(other.journal_seal(&entry), key().journal_seal(&entry));
    assert_ne!(key().journal_id_seal("a"), key().journal_id_seal("b"));
    assert_ne!(key().journal_name("a"), key().journal_name("b"));
    let head = key().adoption(ChainHead::EMPTY, None, "a", 1);
    for other in [
        key().adoption(head, None, "a", 1),
        key().adoption(ChainHead::EMPTY, Some("b"), "a", 1),
        key().adoption(ChainHead::EMPTY, None, "b", 1),
        key().adoption(ChainHead::EMPTY, None, "a", 2),
    ] {
        assert_ne!(other.hash, head.hash);
    }
}

#[test]
fn every_kind_is_read_as_it_is_written() {
    for kind in JournalKind::ALL {
        assert_eq!(JournalKind::named(kind.as_str()), Some(kind));
    }
    assert_eq!(JournalKind::named("hold"), None);
}
