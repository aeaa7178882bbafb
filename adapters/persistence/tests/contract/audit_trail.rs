//! `AuditTrail`: whatever is done to the trail behind the application's back is named.

use std::sync::Arc;

use reprieve_application::ports::{AuditTrail, Loaded, TaskOutcome};
use reprieve_application::use_cases::{VerifiedAuditTrail, VerifyAuditTrail, VerifyAuditTrailError};
use reprieve_domain::audit::{Fault, FaultKind};
use reprieve_domain::{FailureCode, Identity, Reminder, Status, Step, TaskKind};

use crate::support::{
    DAY, ENDS_AT, Opened, address, at, claim, eraser, on_each_database, open, process_id, process_of, record,
    start, started,
};

on_each_database!(
    every_page_of_the_trail_is_walked,
    a_changed_entry_is_named,
    a_removed_entry_is_named,
    an_inserted_entry_is_named,
    a_process_that_vanished_is_named_by_the_entries_it_left,
    a_process_that_is_not_what_its_trail_says_is_named,
    cutting_off_the_newest_entry_shows_even_if_the_process_is_put_back,
    what_is_stored_of_erasers_follows_from_the_trail,
    the_tasks_are_those_that_follow_from_the_trail,
    events_say_what_their_entries_say,
    events_that_were_not_written_so_are_named,
    every_page_of_events_is_compared,
    processes_are_verified_many_at_a_time,
);

async fn verified(opened: &Opened) -> Result<VerifiedAuditTrail, VerifyAuditTrailError> {
    let audit_trail: Arc<dyn AuditTrail> = Arc::new(opened.store.clone());
    VerifyAuditTrail::new(audit_trail).execute().await
}

/// The first fault, and how many processes have one.
async fn broken(opened: &Opened) -> (Fault, u64) {
    match verified(opened).await {
        Err(VerifyAuditTrailError::Broken { first, broken }) => (first, broken),
        other => panic!("{other:?}"),
    }
}

fn fault(process_id: &str, sequence: i64, kind: FaultKind) -> Fault {
    Fault { process_id: process_id.to_owned(), sequence, kind }
}

async fn every_page_of_the_trail_is_walked(opened: Opened) {
    const PROCESSES: usize = 501;
    for number in 0..PROCESSES {
        opened.initiated(&address(number), number).await;
    }
    assert_eq!(
        verified(&opened).await.unwrap(),
        VerifiedAuditTrail { processes: 501, entries: 501, journal: None }
    );

    let (mut ids, mut pages, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = opened.store.chains(after, 200).await.unwrap();
        pages.push(page.len());
        let Some(last) = page.last() else { break };
        after = Some(last.process_id.clone());
        ids.extend(page.into_iter().map(|chain| chain.process_id));
    }
    assert_eq!(pages, [200, 200, 101, 0]);
    assert_eq!(ids, (0..PROCESSES).map(|number| process_id(number).to_string()).collect::<Vec<_>>());

    // The newest is on the last page; the first to be named is the first by its id.
    let (early, last) = (process_id(7), process_id(PROCESSES - 1));
    opened.sql.run(&format!("DELETE FROM audit_entries WHERE process_id = '{last}'")).await;
    assert_eq!(broken(&opened).await, (fault(last.as_str(), 1, FaultKind::Removed), 1));
    opened.sql.run(&format!("DELETE FROM deletion_processes WHERE id = '{early}'")).await;
    assert_eq!(broken(&opened).await, (fault(early.as_str(), 1, FaultKind::Inserted), 2));
}

const CANCELLED: &str = "IDP00000000000000001";
/// Its trail: started, deletion started, data deleted, completed.
const DELETED: &str = "IDP00000000000000002";
const ACTIVE: &str = "IDP00000000000000003";

/// Does each of these to a sound trail of three processes, and expects one fault.
async fn tampered(opened: &Opened, cases: impl IntoIterator<Item = (String, Fault)>) {
    for (number, status) in [(1, Status::Cancelled), (2, Status::Deleted), (3, Status::Active)] {
        opened.initiated_up_to(number, status).await;
    }
    opened.sql.keep().await;
    for (tampering, fault) in cases {
        opened.sql.put_back().await;
        assert_eq!(
            verified(opened).await.unwrap(),
            VerifiedAuditTrail { processes: 3, entries: 7, journal: None }
        );
        opened.sql.run(&tampering).await;
        assert_eq!(broken(opened).await, (fault, 1), "{tampering}");
    }
}

async fn a_changed_entry_is_named(opened: Opened) {
    let changes = [
        "created_at = created_at + 1",
        "old_status = NULL",
        "old_status = 'Deleted'",
        "new_status = 'Deleted'",
        "new_status = 'Active '",
        "message_key = 'CancelledByOwner'",
        "additional_data = '{ }'",
        "additional_data = replace(additional_data, 'files', 'posts')",
        "identity_hash = hash",
        "identity_hash = substr(identity_hash, 1, 31)",
        "device_hash = hash",
        "hash = identity_hash",
        "hash = substr(hash, 1, 31)",
    ];
    let cases = changes.into_iter().map(|change| {
        let sql =
            format!("UPDATE audit_entries SET {change} WHERE process_id = '{DELETED}' AND sequence = 3");
        (sql, fault(DELETED, 3, FaultKind::Changed))
    });
    let by_whom = format!(
        "UPDATE audit_entries SET device_hash = NULL WHERE process_id = '{CANCELLED}' AND sequence = 2"
    );
    // Even to what another entry of the same process says.
    let copied = format!(
        "UPDATE audit_entries SET additional_data = (SELECT additional_data FROM audit_entries WHERE process_id = \
         '{DELETED}' AND sequence = 2) WHERE process_id = '{DELETED}' AND sequence = 1"
    );
    let more =
        [(by_whom, fault(CANCELLED, 2, FaultKind::Changed)), (copied, fault(DELETED, 1, FaultKind::Changed))];
    tampered(&opened, cases.chain(more)).await;
}

async fn a_removed_entry_is_named(opened: Opened) {
    let removed =
        |condition: &str| format!("DELETE FROM audit_entries WHERE process_id = '{DELETED}' AND {condition}");
    let one = (1..=4).map(|sequence| {
        (removed(&format!("sequence = {sequence}")), fault(DELETED, sequence, FaultKind::Removed))
    });
    let several = [
        (removed("sequence > 0"), fault(DELETED, 1, FaultKind::Removed)),
        (removed("sequence > 2"), fault(DELETED, 3, FaultKind::Removed)),
        (removed("sequence IN (2, 3)"), fault(DELETED, 2, FaultKind::Removed)),
    ];
    tampered(&opened, one.chain(several)).await;
}

/// Copies an entry of the deleted process.
fn copied(sequence: i64, to_process: &str, to_sequence: i64) -> String {
    format!(
        "INSERT INTO audit_entries SELECT '{to_process}', {to_sequence}, created_at, old_status, new_status, \
         message_key, additional_data, identity_hash, device_hash, hash FROM audit_entries \
         WHERE process_id = '{DELETED}' AND sequence = {sequence}"
    )
}

async fn an_inserted_entry_is_named(opened: Opened) {
    let never_was = "IDPzzzzzzzzzzzzzzzzz";
    let cases = [
        (copied(4, DELETED, 5), fault(DELETED, 5, FaultKind::Inserted)),
        (copied(1, DELETED, 0), fault(DELETED, 0, FaultKind::Inserted)),
        (copied(1, DELETED, i64::MIN), fault(DELETED, i64::MIN, FaultKind::Inserted)),
        (copied(4, DELETED, i64::MAX), fault(DELETED, i64::MAX, FaultKind::Inserted)),
        (copied(2, ACTIVE, 2), fault(ACTIVE, 2, FaultKind::Inserted)),
        (copied(1, never_was, 1), fault(never_was, 1, FaultKind::Inserted)),
        (copied(1, "", 1), fault("", 1, FaultKind::Inserted)),
        // Moved down to make room for another.
        (
            format!(
                "UPDATE audit_entries SET sequence = 5 WHERE process_id = '{DELETED}' AND sequence = 4; {}",
                copied(3, DELETED, 4)
            ),
            fault(DELETED, 4, FaultKind::Changed),
        ),
    ];
    tampered(&opened, cases).await;
}

async fn a_process_that_vanished_is_named_by_the_entries_it_left(opened: Opened) {
    let cases = [CANCELLED, DELETED, ACTIVE].map(|id| {
        (format!("DELETE FROM deletion_processes WHERE id = '{id}'"), fault(id, 1, FaultKind::Inserted))
    });
    tampered(&opened, cases).await;
}

async fn a_process_that_is_not_what_its_trail_says_is_named(opened: Opened) {
    let cases = [
        ("status = 'Cancelled'", 4, FaultKind::ProcessDiffers),
        ("status = 'Waiting'", 4, FaultKind::ProcessDiffers),
        ("grace_period_ends_at = grace_period_ends_at + 1", 1, FaultKind::ProcessDiffers),
        ("grace_period_ends_at = grace_period_ends_at - 86400000000", 1, FaultKind::ProcessDiffers),
        ("grace_period_ends_at = 9223372036854775807", 1, FaultKind::ProcessDiffers),
        ("revision = 5", 5, FaultKind::Removed),
        ("revision = 3", 4, FaultKind::Inserted),
        ("revision = 0", 1, FaultKind::Inserted),
        ("audit_head = audit_seal", 5, FaultKind::Removed),
        ("audit_seal = audit_head", 5, FaultKind::Removed),
        ("audit_seal = substr(audit_seal, 1, 0)", 5, FaultKind::Removed),
    ];
    let cases = cases.map(|(change, sequence, kind)| {
        let sql = format!("UPDATE deletion_processes SET {change} WHERE id = '{DELETED}'");
        (sql, fault(DELETED, sequence, kind))
    });
    let reactivated = format!(
        "UPDATE deletion_processes SET status = 'Active', cancelled_at = NULL, cancelled_by_device = NULL \
         WHERE id = '{CANCELLED}'"
    );
    let cases = cases.into_iter().chain([(reactivated, fault(CANCELLED, 2, FaultKind::ProcessDiffers))]);
    tampered(&opened, cases).await;
}

async fn cutting_off_the_newest_entry_shows_even_if_the_process_is_put_back(opened: Opened) {
    let cut = format!(
        "DELETE FROM audit_entries WHERE process_id = '{DELETED}' AND sequence = 4;
         UPDATE deletion_processes SET revision = 3, status = 'Deleting', deletion_completed_at = NULL, \
         audit_head = (SELECT hash FROM audit_entries WHERE process_id = '{DELETED}' AND sequence = 3) \
         WHERE id = '{DELETED}'"
    );
    tampered(&opened, [(cut, fault(DELETED, 4, FaultKind::Removed))]).await;
}

/// Its trail: started, deletion started with two erasers, one of them failed, the other acknowledged.
const DELETING: &str = "IDP00000000000000004";

async fn with_a_deletion_under_way(opened: &Opened) {
    started(opened, 4, &["files", "mail"], ENDS_AT).await;
    for task in claim(&opened.store, ENDS_AT, ENDS_AT + DAY, 9).await {
        let Loaded { value, version } = process_of(opened, &task).await;
        let (identity, id, now) = (open(&value), value.id(), at(ENDS_AT + 1));
        let (step, outcome) = if task.kind == TaskKind::Erase(eraser("files")) {
            let step = identity.record_erasure(id, &eraser("files"), 3, now);
            (step, TaskOutcome::Acknowledged)
        } else {
            let step = identity.record_erasure_failure(id, &eraser("mail"), FailureCode::unreachable(), now);
            (step, TaskOutcome::Failed { since: at(ENDS_AT), again_at: Some(at(ENDS_AT + DAY)) })
        };
        record(&opened.store, &task, (&step.unwrap(), version), outcome, ENDS_AT + 1).await.unwrap();
    }
}

async fn named(opened: &Opened, tampering: &str, expected: Fault) {
    opened.sql.put_back().await;
    verified(opened).await.unwrap();
    opened.sql.run(tampering).await;
    assert_eq!(broken(opened).await, (expected, 1), "{tampering}");
}

async fn what_is_stored_of_erasers_follows_from_the_trail(opened: Opened) {
    with_a_deletion_under_way(&opened).await;
    opened.initiated_up_to(2, Status::Deleted).await;
    opened.sql.keep().await;
    let acknowledged = |name: &str, count: u64| {
        let at = at(ENDS_AT + 1).unix_micros();
        format!(r#"{{"eraser":"{name}","acknowledgedAt":{at},"count":{count}}}"#)
    };
    let (files, mail) = (acknowledged("files", 3), r#"{"eraser":"mail","failures":1}"#);
    for erasures in [
        String::new(),
        "[]".to_owned(),
        format!("[{mail}]"),
        format!("[{files}]"),
        format!("[{files},{}]", acknowledged("mail", 0)),
        format!("[{},{mail}]", acknowledged("files", 4711)),
        format!(r#"[{files},{{"eraser":"mail"}}]"#),
        format!(r#"[{files},{{"eraser":"mail","failures":2}}]"#),
        format!(r#"[{files},{mail},{{"eraser":"photos"}}]"#),
    ] {
        let tampering =
            format!("UPDATE deletion_processes SET erasures = '{erasures}' WHERE id = '{DELETING}'");
        named(&opened, &tampering, fault(DELETING, 4, FaultKind::ProcessDiffers)).await;
    }
    let gone = format!("UPDATE deletion_processes SET erasures = NULL WHERE id = '{DELETING}'");
    named(&opened, &gone, fault(DELETING, 4, FaultKind::ProcessDiffers)).await;
    let more = format!(
        r#"UPDATE deletion_processes SET erasures = replace(erasures, '"count":1', '"count":4711') WHERE id = '{DELETED}'"#
    );
    named(&opened, &more, fault(DELETED, 4, FaultKind::ProcessDiffers)).await;
}

async fn the_tasks_are_those_that_follow_from_the_trail(opened: Opened) {
    with_a_deletion_under_way(&opened).await;
    for (number, status) in [(1, Status::Cancelled), (2, Status::Deleted), (3, Status::Active)] {
        opened.initiated_up_to(number, status).await;
    }
    opened.sql.keep().await;
    let moved = |to: &str, eraser: &str| {
        format!(
            "INSERT INTO erasure_tasks (process_id, eraser, address, due_at, fence, failures, in_ledger) \
             SELECT '{to}', '{eraser}', address, due_at, fence, failures, in_ledger FROM erasure_tasks \
             WHERE process_id = '{DELETING}' AND eraser = 'mail'"
        )
    };
    let of = |change: &str, eraser: &str| {
        format!("{change} WHERE process_id = '{DELETING}' AND eraser = '{eraser}'")
    };
    let differs = |id: &str, sequence| fault(id, sequence, FaultKind::TasksDiffer);
    for tampering in [
        of("DELETE FROM erasure_tasks", "mail"),
        of("DELETE FROM erasure_tasks", ""),
        format!("DELETE FROM erasure_tasks WHERE process_id = '{DELETING}'"),
        moved(DELETING, "files"),
        moved(DELETING, "photos"),
        of("UPDATE erasure_tasks SET eraser = 'photos'", "mail"),
        of("UPDATE erasure_tasks SET address = 'did:web:example.org:users:3'", "mail"),
        of("UPDATE erasure_tasks SET address = 'did:web:example.org:users:3'", ""),
    ] {
        named(&opened, &tampering, differs(DELETING, 4)).await;
    }
    named(&opened, &moved(CANCELLED, "mail"), differs(CANCELLED, 2)).await;
    named(&opened, &moved(ACTIVE, "mail"), differs(ACTIVE, 1)).await;
    named(&opened, &moved(DELETED, "files"), differs(DELETED, 4)).await;
    let forgotten = format!("DELETE FROM erasure_tasks WHERE process_id = '{DELETED}'");
    named(&opened, &forgotten, differs(DELETED, 4)).await;
    let never_was = "IDPzzzzzzzzzzzzzzzzz";
    named(&opened, &moved(never_was, "files"), differs(never_was, 0)).await;
}

/// An event for each kind there is.
async fn with_events(opened: &Opened) {
    let owner = address(5);
    opened.initiated(&owner, 5).await;
    opened.step(&owner, |identity| remind(identity, 5, DAY)).await;
    opened.step(&owner, |identity| start(identity, &["mail"], ENDS_AT)).await;
    for now in [ENDS_AT + 1, ENDS_AT + 2] {
        opened.step(&owner, |identity| failed(identity, 5, "mail", now)).await;
    }
    opened.initiated_up_to(1, Status::Cancelled).await;
    opened.initiated_up_to(2, Status::Deleted).await;
}

fn remind(identity: &Identity, id: usize, now: i64) -> Step {
    identity.remind(&process_id(id), Reminder::Second, at(now)).unwrap()
}

/// For so long that an event tells of it.
fn failed(identity: &Identity, id: usize, name: &str, now: i64) -> Step {
    identity.record_stuck_erasure(&process_id(id), &eraser(name), FailureCode::timed_out(), at(now)).unwrap()
}

/// Its events: the request, a reminder, the start, and twice an eraser that is stuck.
const REMINDED: &str = "IDP00000000000000005";

async fn events_say_what_their_entries_say(opened: Opened) {
    with_events(&opened).await;
    let kinds: i64 = opened.sql.value("SELECT count(DISTINCT event_type) FROM outbox").await;
    assert_eq!(kinds, 6);
    verified(&opened).await.unwrap();
    // As a version wrote them that knew neither ids, nor what else goes with an event.
    opened.sql.run("UPDATE outbox SET event_id = NULL, process = NULL, logical_time = NULL").await;
    verified(&opened).await.unwrap();
    opened
        .sql
        .run("UPDATE outbox SET event_id = process_id || 'r' || revision, logical_time = position")
        .await;
    verified(&opened).await.unwrap();
}

async fn events_that_were_not_written_so_are_named(opened: Opened) {
    with_events(&opened).await;
    opened.sql.keep().await;
    let other = address(1);
    let replaced =
        |column: &str, from: &str, to: &str| format!("{column} = replace({column}, '{from}', '{to}')");
    let data = |from: &str, to: &str| replaced("data", from, to);
    let process = |from: &str, to: &str| replaced("process", from, to);
    let set = str::to_owned;
    let cases = [
        (set("event_type = 'IdentityDeleted'"), REMINDED, 2),
        (set("occurred_at = occurred_at + 1"), REMINDED, 2),
        (set("address = 'OTHER'"), REMINDED, 2),
        (data("users:5", "users:1"), REMINDED, 2),
        (format!("address = 'OTHER', {}", data("users:5", "users:1")), REMINDED, 2),
        (data("ReminderDue", "Started"), REMINDED, 2),
        (data("\"daysUntilDeletion\":13", "\"daysUntilDeletion\":1"), REMINDED, 2),
        (data("\"reminder\":\"Second\"", "\"reminder\":\"Third\""), REMINDED, 2),
        (data("\"gracePeriodEndsAt\":\"2027", "\"gracePeriodEndsAt\":\"2028"), REMINDED, 1),
        (data(REMINDED, CANCELLED), REMINDED, 3),
        (data("\"failures\":2", "\"failures\":1"), REMINDED, 5),
        (data("mail", "files"), REMINDED, 5),
        (set("data = ''"), REMINDED, 5),
        (set("event_id = NULL"), REMINDED, 1),
        (set("event_id = process_id || 'r' || revision"), REMINDED, 1),
        (set("event_id = NULL"), REMINDED, 2),
        (set("event_id = substr(event_id, 2)"), REMINDED, 2),
        (set("process = NULL"), CANCELLED, 2),
        (set("process = '{}'"), CANCELLED, 2),
        (set("process = '{}'"), REMINDED, 2),
        (process("Cancelled", "Active"), CANCELLED, 2),
        (process("DVC0", "DVC1"), CANCELLED, 2),
        (process("\"cancelledAt\":\"2027", "\"cancelledAt\":\"2028"), CANCELLED, 2),
        (process("\"createdAt\":\"2027", "\"createdAt\":\"2026"), CANCELLED, 2),
        (process("\"gracePeriodEndsAt\":\"2027", "\"gracePeriodEndsAt\":\"2028"), CANCELLED, 1),
    ];
    for (change, id, revision) in cases {
        let change = change.replace("OTHER", other.as_str());
        let tampering =
            format!("UPDATE outbox SET {change} WHERE process_id = '{id}' AND revision = {revision}");
        named(&opened, &tampering, fault(id, revision, FaultKind::EventDiffers)).await;
    }
    let copied = |id: &str, revision: i64| {
        format!(
            "INSERT INTO outbox (process_id, revision, address, event_type, occurred_at, data, event_id, process) \
             SELECT '{id}', {revision}, address, event_type, occurred_at, replace(data, '{CANCELLED}', '{id}'), \
             event_id, process FROM outbox WHERE process_id = '{CANCELLED}' AND revision = 2"
        )
    };
    let never_was = "IDPzzzzzzzzzzzzzzzzz";
    // Of an entry that has its event, of one that has none, and of none.
    for (id, revision) in [(CANCELLED, 2), (CANCELLED, 3), (CANCELLED, 0), (DELETED, 3), (never_was, 2)] {
        named(&opened, &copied(id, revision), fault(id, revision, FaultKind::EventDiffers)).await;
    }
    // Of an event whose entry is gone, the process is named, once.
    let entry = format!("DELETE FROM audit_entries WHERE process_id = '{REMINDED}' AND sequence = 2");
    named(&opened, &entry, fault(REMINDED, 2, FaultKind::Removed)).await;
    let all = format!(
        "DELETE FROM audit_entries WHERE process_id = '{CANCELLED}'; \
         DELETE FROM deletion_processes WHERE id = '{CANCELLED}'"
    );
    named(&opened, &all, fault(CANCELLED, 1, FaultKind::EventDiffers)).await;
}

async fn every_page_of_events_is_compared(opened: Opened) {
    for number in 0..5 {
        opened.initiated(&address(number), number).await;
    }
    opened.sql.run("UPDATE outbox SET address = 'did:web:example.org'").await;
    let (mut next, mut pages, mut found) = (None, 0, 0);
    loop {
        let compared = opened.store.compared_events(next, 2).await.unwrap();
        pages += 1;
        found += compared.faults.len();
        next = compared.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!((pages, found), (3, 5));
    let compared = opened.store.compared_events(Some(i64::MAX), 1).await.unwrap();
    assert_eq!((compared.next, compared.faults.len()), (None, 0));
}

async fn processes_are_verified_many_at_a_time(opened: Opened) {
    const PROCESSES: usize = 700;
    for number in 0..PROCESSES {
        opened.initiated(&address(number), number).await;
    }
    let ids: Vec<_> = (0..PROCESSES + 2).map(process_id).collect();
    let moved = format!(
        "UPDATE deletion_processes SET grace_period_ends_at = created_at + 1 WHERE id = '{}'",
        ids[3]
    );
    opened.sql.run(&moved).await;
    let hundred = opened.store.verified(&ids[100..200]).await.unwrap();
    assert!(hundred.len() == 100 && hundred.values().all(Result::is_ok));
    let verified = opened.store.verified(&ids).await.unwrap();
    assert_eq!(verified.len(), PROCESSES);
    for (number, id) in ids.iter().enumerate().take(PROCESSES) {
        let Loaded { value, version } = opened.load(&address(number)).await;
        match &verified[id] {
            Ok(process) => {
                assert_eq!((Some(&process.value), process.version), (value.open_process(), version));
            }
            Err(found) => assert_eq!(*found, fault(ids[3].as_str(), 1, FaultKind::ProcessDiffers)),
        }
    }
    assert_eq!(verified.values().filter(|verified| verified.is_err()).count(), 1);
    assert!(opened.store.verified(&[]).await.unwrap().is_empty());
    assert!(opened.store.verified(&ids[PROCESSES..]).await.unwrap().is_empty());
}
