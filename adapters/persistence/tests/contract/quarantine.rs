//! What does not verify: its owner can cancel it until the end that is proven, and it is known of until it is put right.

use std::sync::Arc;

use reprieve_application::ports::{
    AuditTrail, DeletionProcesses, ErasureTasks, EventDeliveries, Housekeeping,
};
use reprieve_application::use_cases::{CancelIdentityDeletionProcess, CancelIdentityDeletionProcessError};
use reprieve_application::{Caller, Coded, ErrorCode, StoreError};
use reprieve_domain::{DeletionProcess, EventKind, Status};

use crate::races::StoppedClock;
use crate::support::{
    DAY, ENDS_AT, Opened, address, at, device, initiate, on_each_database, process_id, start, unix_micros,
};

on_each_database!(
    what_does_not_verify_can_be_cancelled_until_the_end_that_is_proven,
    what_does_not_verify_and_has_no_proven_end_can_always_be_cancelled,
    what_has_provably_started_cannot_be_cancelled_whatever_the_row_says,
    a_quarantine_is_told_of_once_and_ends_when_it_is_put_right,
    what_does_not_verify_is_not_forgotten_and_holds_up_nothing,
    an_event_that_its_entry_does_not_bear_out_is_told_apart_unless_it_cancels,
    what_an_older_version_writes_deletes_and_forgets_nothing_and_cancels,
);

type Outcome = Result<DeletionProcess, CancelIdentityDeletionProcessError>;

async fn cancel(opened: &Opened, number: usize, now: i64) -> Outcome {
    let clock = Arc::new(StoppedClock(at(now)));
    let use_case = CancelIdentityDeletionProcess::new(Arc::new(opened.store.clone()), clock);
    use_case.execute(&Caller { address: address(number), device: device() }).await
}

async fn change(opened: &Opened, number: usize, what: &str) {
    opened
        .sql
        .run(&format!("UPDATE deletion_processes SET {what} WHERE id = '{}'", process_id(number)))
        .await;
}

async fn data_of_newest_entry(opened: &Opened, number: usize) -> String {
    let sql = format!(
        "SELECT additional_data FROM audit_entries WHERE process_id = '{}' AND message_key = 'CancelledByOwner' \
         ORDER BY sequence DESC LIMIT 1",
        process_id(number)
    );
    opened.sql.column::<String>(&sql).await.pop().unwrap_or_default()
}

/// By hand, as no version writes it; the database lets it through.
const DELETING: &str = "status = 'Deleting', deletion_started_at = created_at, \
                        erasures = '[{\"eraser\":\"files\"}]'";

async fn what_does_not_verify_can_be_cancelled_until_the_end_that_is_proven(opened: Opened) {
    let changes = [
        format!("grace_period_ends_at = {}", unix_micros(1)),
        format!("grace_period_ends_at = {}", unix_micros(-DAY)),
        "grace_period_ends_at = -1".to_owned(),
        DELETING.to_owned(),
        format!("{DELETING}, grace_period_ends_at = {}", unix_micros(1)),
        "created_by_device = '', grace_period_ends_at = created_at".to_owned(),
        format!("revision = 7, grace_period_ends_at = {}", unix_micros(1)),
        "status = 'Wherever', cancelled_at = 5".to_owned(),
    ];
    for (number, what) in changes.iter().enumerate() {
        opened.initiated(&address(number), number).await;
        change(&opened, number, what).await;
        let task = format!(
            "INSERT INTO erasure_tasks (process_id, eraser, address, due_at, fence, failures, in_ledger) \
             VALUES ('{}', 'files', '{}', 0, 0, 0, 1)",
            process_id(number),
            address(number)
        );
        opened.sql.run(&task).await;
        let error = cancel(&opened, number, ENDS_AT).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::GracePeriodHasAlreadyExpired, "{what}: {error}");
        let cancelled = cancel(&opened, number, ENDS_AT - 1).await.unwrap();
        assert_eq!(cancelled.status(), Status::Cancelled, "{what}");
        let data = data_of_newest_entry(&opened, number).await;
        let reason = if what.starts_with("revision") { "entryRemoved" } else { "processDiffers" };
        assert_eq!(data, format!("{{\"fault\":\"{reason}\"}}"), "{what}");
        // What is stored is again what the chain says.
        let [stored] = &opened.processes(&address(number)).await[..] else { panic!("{what}") };
        assert_eq!(*stored, cancelled, "{what}");
        assert_eq!((cancelled.grace_period_ends_at(), cancelled.created_at()), (at(ENDS_AT), at(0)));
        let again = cancel(&opened, number, ENDS_AT - 1).await.unwrap_err();
        assert_eq!(again.code(), ErrorCode::NoActiveIdentityDeletionProcess);
    }
    let tasks: Vec<i64> = opened.sql.column("SELECT count(*) FROM erasure_tasks").await;
    assert_eq!(tasks, [0]);
    for chain in opened.store.chains(None, 100).await.unwrap() {
        assert!(opened.store.verify(&chain).is_ok(), "{chain:?}");
    }
}

async fn what_does_not_verify_and_has_no_proven_end_can_always_be_cancelled(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    opened.sql.run("DELETE FROM audit_entries").await;
    opened.initiated(&address(2), 2).await;
    let other =
        format!("UPDATE audit_entries SET additional_data = '{{}}' WHERE process_id = '{}'", process_id(2));
    opened.sql.run(&other).await;
    for (number, reason) in [(1, "entryRemoved"), (2, "entryChanged")] {
        let cancelled = cancel(&opened, number, ENDS_AT + DAY).await.unwrap();
        assert_eq!(cancelled.status(), Status::Cancelled);
        let data = data_of_newest_entry(&opened, number).await;
        assert_eq!(data, format!("{{\"fault\":\"{reason}\"}}"));
        assert_eq!(opened.processes(&address(number)).await, [cancelled]);
    }
}

async fn what_has_provably_started_cannot_be_cancelled_whatever_the_row_says(opened: Opened) {
    for (number, what) in [
        (1, "status = 'Active', deletion_started_at = NULL, erasures = NULL"),
        (
            2,
            "status = 'Active', deletion_started_at = NULL, erasures = NULL, grace_period_ends_at = created_at + 1",
        ),
        (3, "grace_period_ends_at = grace_period_ends_at + 1"),
    ] {
        opened.initiated_up_to(number, Status::Deleting).await;
        change(&opened, number, what).await;
        // Nor if the entry with the promise is broken, after which the start is proven all the same.
        for _ in 0..2 {
            let error = cancel(&opened, number, ENDS_AT).await.unwrap_err();
            let codes = [ErrorCode::NoActiveIdentityDeletionProcess, ErrorCode::GracePeriodHasAlreadyExpired];
            assert!(codes.contains(&error.code()), "{what}: {error}");
            let first = format!(
                "UPDATE audit_entries SET additional_data = '{{}}' WHERE process_id = '{}' AND sequence = 1",
                process_id(number)
            );
            opened.sql.run(&first).await;
        }
    }
    let entries: Vec<i64> = opened.sql.column("SELECT count(*) FROM audit_entries").await;
    assert_eq!(entries, [6]);
}

async fn events_of_quarantine(opened: &Opened) -> Vec<String> {
    let sql =
        "SELECT process_id || event_id FROM outbox WHERE event_type = 'IdentityDeletionProcessQuarantined'";
    opened.sql.column(sql).await
}

async fn a_quarantine_is_told_of_once_and_ends_when_it_is_put_right(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    opened.initiated(&address(2), 2).await;
    let moved = |by: i64| format!("grace_period_ends_at = grace_period_ends_at + {by}");
    change(&opened, 1, &moved(-5)).await;
    let ids = [process_id(1), process_id(2)];
    for _ in 0..3 {
        assert!(opened.store.verified(&ids).await.unwrap()[&ids[0]].is_err());
        assert_eq!(opened.store.review_quarantine().await.unwrap(), 1);
    }
    let [shown] = &opened.store.quarantined(None, 10).await.unwrap()[..] else { panic!() };
    let what = (shown.process_id.as_str(), shown.reason.as_str(), shown.sequence);
    assert_eq!(what, (ids[0].as_str(), "processDiffers", 1));
    assert_eq!(opened.store.quarantined(Some(&ids[1]), 10).await.unwrap(), []);
    assert_eq!(DeletionProcesses::figures(&opened.store, at(0), at(0)).await.unwrap().quarantined, 1);
    assert_eq!(events_of_quarantine(&opened).await.len(), 1);
    // Another fault is another event.
    opened
        .sql
        .run(&format!("UPDATE audit_entries SET hash = identity_hash WHERE process_id = '{}'", ids[0]))
        .await;
    opened.store.verified(&ids).await.unwrap();
    assert_eq!(events_of_quarantine(&opened).await.len(), 2);
    let compared = opened.store.compared_events(None, 100).await.unwrap();
    assert_eq!(compared.faults.len(), 1, "that of the changed entry: {:?}", compared.faults);
    let sink = "mail".parse().unwrap();
    let told = opened.store.next(&sink, 0, 10).await.unwrap();
    let quarantines = told.iter().filter(|waiting| {
        let is_told = |kind: &EventKind| matches!(kind, EventKind::IdentityDeletionProcessQuarantined { .. });
        waiting.event.as_ref().is_ok_and(|outgoing| is_told(&outgoing.event.kind))
    });
    assert_eq!(quarantines.count(), 2);
    // One that nobody with the key has told of is not passed on.
    opened.sql.run("UPDATE outbox SET event_id = '00' WHERE revision < 0").await;
    let told = opened.store.next(&sink, 0, 10).await.unwrap();
    assert_eq!(told.iter().filter(|waiting| waiting.event.is_err()).count(), 3);
    assert_eq!(opened.store.compared_events(None, 100).await.unwrap().faults.len(), 3);

    opened.sql.run(&format!("DELETE FROM deletion_processes WHERE id = '{}'", ids[0])).await;
    assert_eq!(opened.store.review_quarantine().await.unwrap(), 0);
    assert_eq!(opened.store.quarantined(None, 10).await.unwrap(), []);
}

async fn what_does_not_verify_is_not_forgotten_and_holds_up_nothing(opened: Opened) {
    for number in 0..6 {
        opened.step(&address(number), |identity| initiate(identity, number, 0)).await;
        cancel(&opened, number, 1).await.unwrap();
    }
    for number in [0, 1, 4] {
        change(&opened, number, "cancelled_at = cancelled_at - 1").await;
    }
    let (mut forgotten, mut quarantined) = (0, 0);
    for _ in 0..3 {
        let batch = opened.store.cancelled_processes(at(DAY), 2).await.unwrap();
        assert!(batch.forgotten + batch.quarantined <= 2);
        (forgotten, quarantined) = (forgotten + batch.forgotten, quarantined + batch.quarantined);
    }
    assert_eq!((forgotten, quarantined), (3, 3));
    assert_eq!(opened.store.review_quarantine().await.unwrap(), 3);
    assert_eq!(opened.store.cancelled_processes(at(DAY), 2).await.unwrap().quarantined, 0);
    // What is put right is forgotten after the next review.
    change(&opened, 4, "cancelled_at = cancelled_at + 1").await;
    assert_eq!(opened.store.review_quarantine().await.unwrap(), 2);
    assert_eq!(opened.store.cancelled_processes(at(DAY), 2).await.unwrap().forgotten, 1);
    let left: Vec<String> = opened.sql.column("SELECT id FROM deletion_processes ORDER BY id").await;
    assert_eq!(left, [process_id(0).to_string(), process_id(1).to_string()]);
}

async fn an_event_that_its_entry_does_not_bear_out_is_told_apart_unless_it_cancels(opened: Opened) {
    let changes = [
        "address = 'did:web:example.org:users:90', data = replace(data, 'users:', 'users:9')",
        "data = replace(data, '2027', '2028')",
        "event_id = '00'",
        "revision = revision + 1",
        "process = replace(process, 'Active', 'Deleted')",
        "data = replace(data, 'IdentityToBeDeleted', 'IdentityDeleted')",
    ];
    for number in 0..=changes.len() {
        opened.initiated(&address(number), number).await;
        cancel(&opened, number, 1).await.unwrap();
    }
    for (number, what) in changes.iter().enumerate() {
        let of = |revision| format!("process_id = '{}' AND revision = {revision}", process_id(number));
        opened.sql.run(&format!("UPDATE outbox SET {what} WHERE {}", of(1))).await;
        opened
            .sql
            .run(&format!(
                "UPDATE audit_entries SET hash = identity_hash WHERE process_id = '{}' AND sequence = 2",
                process_id(number)
            ))
            .await;
    }
    let told = opened.store.next(&"mail".parse().unwrap(), 0, 100).await.unwrap();
    let (mut sent, mut cancelled, mut refused) = (0, 0, 0);
    for waiting in told {
        match waiting.event {
            Ok(outgoing) if outgoing.event.kind == EventKind::IdentityDeletionCancelled => cancelled += 1,
            Ok(_) => sent += 1,
            Err(StoreError::Quarantined(fault)) => {
                assert_eq!(fault.kind.reason(), "eventDiffers");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((sent, cancelled, refused), (1, changes.len() + 1, changes.len()));
}

/// The statements of the version before, as it ran beside this one while an upgrade was rolled out.
async fn what_an_older_version_writes_deletes_and_forgets_nothing_and_cancels(opened: Opened) {
    opened.initiated_up_to(1, Status::Active).await;
    opened.initiated_up_to(2, Status::Cancelled).await;
    opened.step(&address(3), |identity| initiate(identity, 3, 0)).await;
    opened.step(&address(3), |identity| start(identity, &["files"], ENDS_AT)).await;
    let count = async |sql: &str| opened.sql.column::<i64>(&format!("SELECT count(*) FROM {sql}")).await[0];
    for sql in [
        "UPDATE deletion_processes SET revision = revision + 1, status = 'Deleting', \
         reminder1_sent_at = reminder1_sent_at WHERE status = 'Active'",
        "UPDATE deletion_processes SET revision = revision + 1, status = 'Deleted', \
         reminder1_sent_at = reminder1_sent_at WHERE status = 'Deleting'",
        // A task may be due long since.
        "UPDATE erasure_tasks SET due_at = 7 WHERE eraser = ''",
        "UPDATE erasure_tasks SET due_at = due_at + 7, fence = fence + 1",
        "INSERT INTO closed_processes (process_id, identity_hash, status, revision, audit_head, audit_seal, logical_time) \
         SELECT id, identity_hash, status, revision, audit_head, audit_seal, logical_time FROM deletion_processes \
         JOIN audit_entries ON process_id = id AND sequence = 1 WHERE status = 'Cancelled'",
        "DELETE FROM deletion_processes WHERE status = 'Cancelled'",
    ] {
        opened.sql.run(sql).await;
    }
    assert_eq!(count("deletion_processes WHERE status = 'Active'").await, 1);
    assert_eq!(count("deletion_processes WHERE status = 'Deleting'").await, 1);
    assert_eq!(count("deletion_processes").await, 3);
    assert_eq!(count("closed_processes").await, 0);
    assert_eq!(count("erasure_tasks WHERE fence > 0").await, 0);
    // This version forgets it; the one before then leaves the trail alone.
    assert_eq!(opened.store.cancelled_processes(at(ENDS_AT), 9).await.unwrap().forgotten, 1);
    opened
        .sql
        .run("DELETE FROM audit_entries WHERE process_id IN (SELECT process_id FROM closed_processes)")
        .await;
    opened.sql.run("DELETE FROM closed_processes").await;
    assert_eq!((count("closed_processes").await, count("audit_entries").await), (1, 5));
    // It cancels, and makes what an acknowledgement makes due.
    opened.sql.run("UPDATE deletion_processes SET revision = revision + 1, status = 'Cancelled' WHERE status = 'Active'").await;
    opened
        .sql
        .run("UPDATE erasure_tasks SET due_at = 7, lease_ends_at = NULL, fence = fence + 1 WHERE eraser = ''")
        .await;
    assert_eq!(count("deletion_processes WHERE status = 'Cancelled'").await, 1);
    assert_eq!(count("erasure_tasks WHERE fence = 1").await, 1);
    // And this version claims.
    assert_eq!(ErasureTasks::claim(&opened.store, at(ENDS_AT), at(ENDS_AT + 1), 9).await.unwrap().len(), 2);
}
