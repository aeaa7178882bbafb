//! `ErasureTasks::close`: what stays of an identity that is deleted, and what goes.

mod races;
mod tampering;

use std::sync::Arc;

use reprieve_application::ports::{
    AnsweredRequests, AuditTrail, DeletedOwnIdentity, ErasureTask, ErasureTasks, Loaded, OwnIdentities,
    Receipts, TaskOutcome,
};
use reprieve_application::use_cases::{VerifiedAuditTrail, VerifyAuditTrail, VerifyAuditTrailError};
use reprieve_application::{
    Answer, AnsweredRequest, Fingerprint, IdempotencyKey, IdempotentRequest, Receipt, StoreError,
};
use reprieve_domain::TaskKind;
use reprieve_domain::{Address, Status};

use crate::support::{
    DAY, ENDS_AT, NOTE, Opened, address, at, cancel, claim, complete, eraser, finish, initiate,
    on_each_database, open, own_identity, process_id, process_of, record, save, started, waive,
};

on_each_database!(
    the_receipt_and_the_heads_stay_and_everything_of_others,
    nothing_but_the_outbox_names_the_identity,
    what_was_asked_for_since_stays,
    another_deletion_that_is_complete_is_closed_by_itself,
    the_task_of_an_eraser_that_is_left_over_goes_too,
    what_is_not_deleted_is_not_closed,
    with_an_old_claim_nothing_is_closed,
);

/// What a signer would make of a receipt.
const SIGNED: &str = "signed";

async fn verified(opened: &Opened) -> Result<VerifiedAuditTrail, VerifyAuditTrailError> {
    let audit_trail: Arc<dyn AuditTrail> = Arc::new(opened.store.clone());
    VerifyAuditTrail::new(audit_trail).execute().await
}

pub(crate) async fn sound(opened: &Opened) -> (u64, u64) {
    let VerifiedAuditTrail { processes, entries, .. } = verified(opened).await.unwrap();
    (processes, entries)
}

/// Has every eraser acknowledge, and completes the process; a claim of the task that finishes it, and the receipt.
pub(crate) async fn completed(opened: &Opened, number: usize, now: i64) -> (ErasureTask, Receipt) {
    for task in claim(&opened.store, now, now, 100).await {
        let TaskKind::Erase(name) = &task.kind else { continue };
        let Loaded { value, version } = process_of(opened, &task).await;
        let step = open(&value).record_erasure(value.id(), name, 1, at(now)).unwrap();
        record(&opened.store, &task, (&step, version), TaskOutcome::Acknowledged, now).await.unwrap();
    }
    let task = finish(opened, number, now).await;
    let Loaded { value, version } = process_of(opened, &task).await;
    save(&opened.store, &complete(&open(&value), now), version).await.unwrap();
    let receipt = receipt_of(opened, &task).await;
    (task, receipt)
}

async fn receipt_of(opened: &Opened, task: &ErasureTask) -> Receipt {
    let Loaded { value, version } = process_of(opened, task).await;
    Receipt::of(&value, opened.store.identity_hash(value.address()), version).unwrap()
}

pub(crate) async fn close(opened: &Opened, task: &ErasureTask, receipt: &Receipt) {
    ErasureTasks::close(&opened.store, task, receipt, SIGNED).await.unwrap();
}

async fn answered(opened: &Opened, key: u8, owner: &Address, received_at: i64) {
    let request = IdempotentRequest {
        key: IdempotencyKey([key; 32]),
        fingerprint: Fingerprint([0; 32]),
        address: owner.clone(),
        received_at: at(received_at),
    };
    let answer = Answer { status: 409, body: format!("{{\"address\":\"{owner}\"}}") };
    AnsweredRequests::keep(&opened.store, &AnsweredRequest { request, answer }).await.unwrap();
}

async fn is_answered(opened: &Opened, key: u8) -> bool {
    AnsweredRequests::find(&opened.store, &IdempotencyKey([key; 32])).await.unwrap().is_some()
}

/// Two processes of this identity that it cancelled.
async fn cancelled_twice(opened: &Opened, owner: &Address, number: usize) {
    for number in [number, number + 1] {
        opened.step(owner, |identity| initiate(identity, number, -DAY)).await;
        opened.step(owner, |identity| cancel(identity, 0)).await;
    }
}

async fn the_receipt_and_the_heads_stay_and_everything_of_others(opened: Opened) {
    for number in [1, 2] {
        cancelled_twice(&opened, &address(number), 10 * number).await;
        started(&opened, number, &["files"], ENDS_AT).await;
        answered(&opened, u8::try_from(number).unwrap(), &address(number), ENDS_AT).await;
    }
    let own = own_identity(7);
    OwnIdentities::keep(&opened.store, &own).await.unwrap();
    let trail = sound(&opened).await;
    let (task, receipt) = completed(&opened, 1, ENDS_AT + 1).await;
    assert_eq!(Receipts::find(&opened.store, &process_id(1)).await.unwrap(), None);
    let of_others = async || {
        let mut rows = opened.sql.everything().await;
        rows.retain(|row| row.contains(address(2).as_str()) || row.starts_with("audit_entries"));
        rows
    };
    let before = of_others().await;
    close(&opened, &task, &receipt).await;
    assert_eq!(of_others().await, before);
    assert_eq!(Receipts::find(&opened.store, &process_id(1)).await.unwrap().as_deref(), Some(SIGNED));
    for other in [2, 10, 11] {
        assert_eq!(Receipts::find(&opened.store, &process_id(other)).await.unwrap(), None);
    }
    assert_eq!(opened.processes(&address(1)).await, []);
    assert_eq!(opened.processes(&address(2)).await.len(), 3);
    assert!(!is_answered(&opened, 1).await && is_answered(&opened, 2).await);
    assert_eq!(OwnIdentities::load(&opened.store).await.unwrap().map(|own| own.address), Some(own.address));
    let closed =
        "SELECT process_id || ' ' || status || ' ' || identity_deleted_at FROM closed_processes ORDER BY 1";
    let completed_at = at(ENDS_AT + 1).unix_micros();
    let expected = [(1, "Deleted"), (10, "Cancelled"), (11, "Cancelled")]
        .map(|(number, status)| format!("{} {status} {completed_at}", process_id(number)));
    assert_eq!(opened.sql.column::<String>(closed).await, expected);
    // Both erasers acknowledged, and one process was completed.
    assert_eq!(sound(&opened).await, (trail.0, trail.1 + 3));
}

/// The events in the outbox tell others that the identity is deleted, and of whom: they stay until housekeeping forgets
/// them.
async fn nothing_but_the_outbox_names_the_identity(opened: Opened) {
    let own = own_identity(7);
    OwnIdentities::keep(&opened.store, &own).await.unwrap();
    let owner = own.address;
    cancelled_twice(&opened, &owner, 10).await;
    opened.initiated(&owner, 1).await;
    opened.step(&owner, |identity| crate::support::start(identity, &["files", "mail"], ENDS_AT)).await;
    answered(&opened, 1, &owner, 0).await;
    let hex = owner.as_str().bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let naming = async || {
        let mut tables: Vec<String> = Vec::new();
        for row in opened.sql.everything().await {
            if row.contains(owner.as_str()) || row.to_lowercase().contains(&hex) {
                tables.push(row.split(':').next().unwrap().to_owned());
            }
        }
        tables.dedup();
        tables
    };
    assert_eq!(
        naming().await,
        ["answered_requests", "deletion_processes", "erasure_tasks", "outbox", "own_identity"]
    );
    waive(&opened, 1, &owner, "mail", ENDS_AT).await.unwrap();
    let notes = async || {
        let rows = opened.sql.everything().await;
        rows.into_iter().filter(|row| row.contains(NOTE)).map(|row| row[..15].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(notes().await, ["erasure_waivers"]);
    let (task, receipt) = completed(&opened, 1, ENDS_AT).await;
    assert_eq!(receipt.erasures.len(), 2);
    close(&opened, &task, &receipt).await;
    assert_eq!(naming().await, ["outbox"]);
    assert_eq!(notes().await, [""; 0]);
    let deleted = DeletedOwnIdentity { process_id: process_id(1), receipt: Some(SIGNED.to_owned()) };
    for (shown, expected) in [(process_id(2), Some(deleted)), (process_id(1), None)] {
        opened.store.deletion_was_shown(&shown).await.unwrap();
        assert_eq!(OwnIdentities::deleted(&opened.store).await.unwrap(), expected);
    }
    // Two cancelled ones, and what was done about two erasers.
    assert_eq!(sound(&opened).await, (3, 2 * 2 + 5));
}

async fn what_was_asked_for_since_stays(opened: Opened) {
    let owner = address(1);
    started(&opened, 1, &["files"], ENDS_AT).await;
    let (task, receipt) = completed(&opened, 1, ENDS_AT + 5).await;
    for (key, received_at) in [(1, 5), (2, 6)] {
        answered(&opened, key, &owner, ENDS_AT + received_at).await;
    }
    opened.step(&owner, |identity| initiate(identity, 2, ENDS_AT + 6)).await;
    let cancelled = opened.step(&owner, |identity| cancel(identity, ENDS_AT + 7)).await;
    let open = opened.step(&owner, |identity| initiate(identity, 3, ENDS_AT + 8)).await;
    close(&opened, &task, &receipt).await;
    assert_eq!(opened.processes(&owner).await, [cancelled, open]);
    assert!(!is_answered(&opened, 1).await && is_answered(&opened, 2).await);
    opened.step(&owner, |identity| cancel(identity, ENDS_AT + 9)).await;
    assert_eq!(sound(&opened).await, (3, 3 + 1 + 4));
}

/// Its worker was away for long; there is a receipt for each.
async fn another_deletion_that_is_complete_is_closed_by_itself(opened: Opened) {
    started(&opened, 1, &["files"], ENDS_AT).await;
    let first = completed(&opened, 1, ENDS_AT).await;
    let owner = address(1);
    opened.step(&owner, |identity| initiate(identity, 2, ENDS_AT + 1)).await;
    opened.step(&owner, |identity| crate::support::start(identity, &["files"], 2 * ENDS_AT + 1)).await;
    let second = completed(&opened, 2, 2 * ENDS_AT + 1).await;
    // Whoever had the first lost it to a claim of the second.
    let first = (finish(&opened, 1, 9 * ENDS_AT).await, first.1);
    let second = (ErasureTask { fence: second.0.fence + 2, ..second.0 }, second.1);
    close(&opened, &second.0, &second.1).await;
    close(&opened, &first.0, &first.1).await;
    for number in [1, 2] {
        let found = Receipts::find(&opened.store, &process_id(number)).await.unwrap();
        assert_eq!(found.as_deref(), Some(SIGNED));
    }
    assert_eq!(opened.processes(&owner).await, []);
    assert_eq!(sound(&opened).await, (2, 8));
}

/// However it came to be left: it names the identity.
async fn the_task_of_an_eraser_that_is_left_over_goes_too(opened: Opened) {
    opened.initiated_up_to(1, Status::Deleted).await;
    opened.initiated_up_to(2, Status::Deleting).await;
    let left_over = format!(
        "INSERT INTO erasure_tasks (process_id, eraser, address, due_at, fence, failures, in_ledger) \
         SELECT process_id, 'files', address, {}, 0, 0, 0 FROM erasure_tasks WHERE process_id = '{}'",
        i64::MAX,
        process_id(1)
    );
    opened.sql.run(&left_over).await;
    let task = finish(&opened, 1, ENDS_AT).await;
    close(&opened, &task, &receipt_of(&opened, &task).await).await;
    let left: Vec<String> = opened.sql.column("SELECT process_id FROM erasure_tasks").await;
    assert_eq!(left, [process_id(2).as_str(), process_id(2).as_str()]);
}

async fn is_not_closed(
    opened: &Opened,
    task: &ErasureTask,
    receipt: &Receipt,
    expected: fn(&StoreError) -> bool,
) {
    let before = opened.sql.everything().await;
    let error = ErasureTasks::close(&opened.store, task, receipt, SIGNED).await.unwrap_err();
    assert!(expected(&error), "{error:?}");
    assert_eq!(opened.sql.everything().await, before);
}

async fn what_is_not_deleted_is_not_closed(opened: Opened) {
    let conflict: fn(&StoreError) -> bool = |error| matches!(error, StoreError::Conflict);
    cancelled_twice(&opened, &address(1), 10).await;
    started(&opened, 1, &[], ENDS_AT).await;
    let task = finish(&opened, 1, ENDS_AT).await;
    let Loaded { value, version } = process_of(&opened, &task).await;
    let step = complete(&open(&value), ENDS_AT);
    let hash = opened.store.identity_hash(value.address());
    // As if it were Deleted.
    let early = Receipt::of(step.process(), hash, version).unwrap();
    is_not_closed(&opened, &task, &early, conflict).await;
    save(&opened.store, &step, version).await.unwrap();
    // Of a head that is no longer the newest.
    is_not_closed(&opened, &task, &early, conflict).await;
    let of_another = ErasureTask { address: address(2), ..task.clone() };
    let receipt = receipt_of(&opened, &task).await;
    is_not_closed(&opened, &of_another, &receipt, conflict).await;
    close(&opened, &task, &receipt).await;
}

async fn with_an_old_claim_nothing_is_closed(opened: Opened) {
    let lost: fn(&StoreError) -> bool = |error| matches!(error, StoreError::LeaseLost);
    cancelled_twice(&opened, &address(1), 10).await;
    started(&opened, 1, &["files"], ENDS_AT).await;
    let (old, receipt) = completed(&opened, 1, ENDS_AT).await;
    let new = finish(&opened, 1, ENDS_AT + DAY).await;
    assert_eq!(&eraser("files"), receipt.erasures[0].eraser());
    is_not_closed(&opened, &old, &receipt, lost).await;
    close(&opened, &new, &receipt).await;
    // Nor when it is closed already.
    is_not_closed(&opened, &old, &receipt, lost).await;
    is_not_closed(&opened, &new, &receipt, lost).await;
}
