use super::*;
use crate::audit::{AuditedAction, StoredErasures};
use crate::{Status, Timestamp};
use proptest::prelude::*;

const PROCESS: &str = "IDP0123456789abcdefg";
const DEVICE: &str = "DVC0123456789abcdefg";

fn key() -> AuditKey {
    let bytes: Vec<u8> = (0..32).collect();
    AuditKey::new(&bytes).unwrap()
}

fn entry(action: AuditedAction, old_status: Option<Status>, new_status: Status, at: i64) -> AuditEntry {
    AuditEntry {
        process_id: PROCESS.parse().unwrap(),
        address: "did:web:example.org:ada".parse().unwrap(),
        device: (old_status.is_none() || new_status == Status::Cancelled).then(|| DEVICE.parse().unwrap()),
        created_at: Timestamp::from_unix_micros(at).unwrap(),
        old_status,
        new_status,
        action,
    }
}

/// Started, reminded, cancelled: three entries.
fn chain() -> Chain {
    let key = key();
    let ends_at = Timestamp::from_unix_micros(1_000_000).unwrap();
    let mut head = ChainHead::EMPTY;
    let mut entries = Vec::new();
    for entry in [
        entry(
            AuditedAction::StartedByOwner { grace_period_ends_at: ends_at, suspension: None },
            None,
            Status::Active,
            1,
        ),
        entry(
            AuditedAction::GracePeriodReminderSent(crate::Reminder::First),
            Some(Status::Active),
            Status::Active,
            2,
        ),
        entry(AuditedAction::CancelledByOwner { fault: None }, Some(Status::Active), Status::Cancelled, 3),
    ] {
        let (sealed, next) = key.seal(&entry, head);
        entries.push(sealed);
        head = next;
    }
    Chain { process_id: PROCESS.to_owned(), head: Some(stored(head, "Cancelled")), entries, tasks: None }
}

fn stored(head: ChainHead, status: &str) -> StoredHead {
    StoredHead {
        length: head.length,
        hash: head.hash.as_bytes().to_vec(),
        seal: key().seal_head(&PROCESS.parse().unwrap(), head).as_bytes().to_vec(),
        subject: Subject::Process(StoredProcess {
            address: "did:web:example.org:ada".to_owned(),
            status: status.to_owned(),
            created_at: 1,
            created_by_device: DEVICE.to_owned(),
            grace_period_ends_at: 1_000_000,
            suspended_until: [None, None],
            reminders_sent_at: [Some(2), None, None],
            cancelled_at: Some(3),
            cancelled_by_device: Some(DEVICE.to_owned()),
            deletion_started_at: None,
            deletion_completed_at: None,
            erasures: StoredErasures::Absent,
        }),
    }
}

fn closed_as(status: &str, identity_hash: &[u8]) -> ClosedProcess {
    ClosedProcess {
        identity_hash: identity_hash.to_vec(),
        status: status.to_owned(),
        identity_deleted_at: None,
        precedes_deletion: false,
        is_of_deletion: false,
        receipt: None,
    }
}

fn process_of(head: &mut StoredHead) -> &mut StoredProcess {
    match &mut head.subject {
        Subject::Process(process) => process,
        Subject::Closed(closed) => panic!("{closed:?}"),
    }
}

fn fault(chain: &Chain) -> (i64, FaultKind) {
    let fault = key().verify(chain).unwrap_err();
    (fault.sequence, fault.kind)
}

#[test]
fn an_untouched_chain_verifies_and_another_key_does_not_verify_it() {
    assert_eq!(key().verify(&chain()), Ok(()));
    assert!(AuditKey::new(&[[7; 31].as_slice(), &[8]].concat()).unwrap().verify(&chain()).is_err());
}

#[test]
fn the_hashes_of_a_known_chain_never_change() {
    // Computed with Python's hmac from docs/audit-trail.md, not with this code.
    let chain = chain();
    let hex = |bytes: &[u8]| KeyedHash::from(<[u8; 32]>::try_from(bytes).unwrap()).to_string();
    assert_eq!(
        hex(&chain.entries[0].identity_hash),
        "3d77df604e29ae6ded7fbdbbf6a9285399682282f720375ec015cbf1a5b3b283"
    );
    assert_eq!(
        hex(&chain.entries[2].hash),
        "2b4726f580968563a40ab1762725507c857ece0b2179fb92395b6bafe806785f"
    );
    assert_eq!(
        hex(&chain.head.unwrap().seal),
        "bf101bf1daf40372f9bc9abca2334f78d0660ae9f296f09113c4f47b7d78deb1"
    );
}

#[test]
fn no_address_and_no_device_is_in_a_sealed_entry() {
    let text = format!("{:?}", chain().entries);
    assert!(!text.contains("did:") && !text.contains("DVC"), "{text}");
}

#[test]
fn a_change_of_any_field_is_named_with_its_entry() {
    type Change = fn(&mut SealedEntry);
    let changes: [Change; 9] = [
        |entry| entry.created_at += 1,
        |entry| entry.old_status = None,
        |entry| entry.old_status = Some("Deleted".to_owned()),
        |entry| entry.new_status = "Deleted".to_owned(),
        |entry| entry.message_key = "DeletionCompleted".to_owned(),
        |entry| entry.additional_data = "{ }".to_owned(),
        |entry| entry.identity_hash = vec![0; 32],
        |entry| entry.device_hash = Some(vec![0; 32]),
        |entry| entry.hash = vec![0; 31],
    ];
    for change in changes {
        let mut chain = chain();
        change(&mut chain.entries[1]);
        assert_eq!(fault(&chain), (2, FaultKind::Changed));
    }
}

#[test]
fn a_removed_entry_is_named_wherever_it_was() {
    for at in 0..3_usize {
        let mut chain = chain();
        chain.entries.remove(at);
        assert_eq!(fault(&chain), (i64::try_from(at).unwrap() + 1, FaultKind::Removed));
    }
    let mut chain = chain();
    chain.entries.clear();
    assert_eq!(fault(&chain), (1, FaultKind::Removed));
}

#[test]
fn an_inserted_entry_is_named() {
    let mut appended = chain();
    let (sealed, _) = key().seal(
        &entry(
            AuditedAction::DeletionStarted { erasers: None },
            Some(Status::Cancelled),
            Status::Deleting,
            4,
        ),
        ChainHead {
            length: 3,
            hash: KeyedHash::from(<[u8; 32]>::try_from(appended.entries[2].hash.as_slice()).unwrap()),
        },
    );
    appended.entries.push(sealed);
    assert_eq!(fault(&appended), (4, FaultKind::Inserted));

    let mut before = chain();
    before.entries.insert(0, SealedEntry { sequence: 0, ..before.entries[0].clone() });
    assert_eq!(fault(&before), (0, FaultKind::Inserted));

    let mut twice = chain();
    twice.entries.insert(1, twice.entries[1].clone());
    assert_eq!(fault(&twice), (2, FaultKind::Inserted));

    let without_process = Chain { head: None, ..chain() };
    assert_eq!(fault(&without_process), (1, FaultKind::Inserted));
}

#[test]
fn cutting_the_newest_entry_off_shows_even_if_the_process_is_put_back_as_well() {
    let mut chain = chain();
    chain.entries.pop();
    let head = chain.head.as_mut().unwrap();
    head.length = 2;
    head.hash = chain.entries[1].hash.clone();
    process_of(head).status = "Active".to_owned();
    assert_eq!(fault(&chain), (3, FaultKind::Removed));
}

#[test]
fn a_process_that_is_not_what_its_trail_says_is_named() {
    type Change = fn(&mut StoredProcess);
    const OTHER: &str = "DVCzzzzzzzzzzzzzzzzz";
    let changes: [(Change, i64); 16] = [
        (|process| process.address = "did:web:example.org:bob".to_owned(), 1),
        (|process| process.created_at += 1, 1),
        (|process| process.created_by_device = OTHER.to_owned(), 1),
        (|process| process.grace_period_ends_at += 1, 1),
        (|process| process.grace_period_ends_at = i64::MAX, 1),
        (|process| process.reminders_sent_at = [Some(1), None, None], 2),
        (|process| process.reminders_sent_at = [None; 3], 2),
        (|process| process.reminders_sent_at = [Some(2), Some(2), None], 3),
        (|process| process.cancelled_at = Some(2), 3),
        (|process| process.cancelled_at = None, 3),
        (|process| process.cancelled_by_device = Some(OTHER.to_owned()), 3),
        (|process| process.cancelled_by_device = None, 3),
        (|process| process.deletion_started_at = Some(3), 3),
        (|process| process.deletion_completed_at = Some(3), 3),
        (|process| process.status = "Active".to_owned(), 3),
        (|process| process.status = "Cancelled ".to_owned(), 3),
    ];
    for (number, (change, sequence)) in changes.into_iter().enumerate() {
        let mut chain = chain();
        change(process_of(chain.head.as_mut().unwrap()));
        assert_eq!(fault(&chain), (sequence, FaultKind::ProcessDiffers), "change {number}");
    }
}

#[test]
fn a_chain_verifies_without_its_process_if_that_has_ended_as_the_chain_says() {
    let closed = |status: &str, identity_hash: &[u8]| {
        let mut chain = chain();
        chain.head.as_mut().unwrap().subject = Subject::Closed(closed_as(status, identity_hash));
        chain
    };
    let identity = chain().entries[0].identity_hash.clone();
    assert_eq!(key().verify(&closed("Cancelled", &identity)), Ok(()));
    for status in ["Deleted", "cancelled", "", "Active"] {
        assert_eq!(fault(&closed(status, &identity)), (3, FaultKind::ProcessDiffers), "{status}");
    }
    assert_eq!(fault(&closed("Cancelled", &[0; 32])), (1, FaultKind::ProcessDiffers));
    let mut shortened = closed("Cancelled", &identity);
    shortened.entries.pop();
    assert_eq!(fault(&shortened), (3, FaultKind::Removed));
}

#[test]
fn a_process_that_is_open_cannot_be_gone() {
    let mut chain = chain();
    chain.entries.pop();
    let newest = chain.entries[1].clone();
    let head = ChainHead { length: 2, hash: <[u8; 32]>::try_from(newest.hash).unwrap().into() };
    let subject = Subject::Closed(closed_as("Active", &newest.identity_hash));
    chain.head = Some(StoredHead { subject, ..stored(head, "Active") });
    assert_eq!(fault(&chain), (2, FaultKind::ProcessDiffers));
}

#[test]
fn entries_of_two_processes_cannot_be_swapped() {
    let mut chain = chain();
    chain.process_id = "IDPzzzzzzzzzzzzzzzzz".to_owned();
    assert_eq!(fault(&chain), (1, FaultKind::Changed));
}

proptest! {
    #[test]
    fn no_content_makes_verifying_panic(
        sequence in any::<i64>(), length in any::<i64>(), text in ".*", bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut chain = chain();
        chain.entries[1].sequence = sequence;
        chain.entries[1].new_status = text.clone();
        chain.entries[2].hash = bytes.clone();
        let head = chain.head.as_mut().unwrap();
        head.length = length;
        head.seal = bytes;
        process_of(head).status = text;
        prop_assert!(key().verify(&chain).is_err());
    }
}
