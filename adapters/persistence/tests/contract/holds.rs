//! Holds: with an open process a step of it, without one a record that whatever is asked for later begins with.

use std::sync::Arc;
use std::time::Duration;

use reprieve_application::StoreError;
use reprieve_application::ports::{
    AuditTrail as _, DeletionProcesses as _, Due, DueProcesses as _, ErasureTasks, HoldRecord, Holds,
    Identities as _, Loaded, Settlement, Version,
};
use reprieve_application::use_cases::{ManageHolds, NewHold};
use reprieve_domain::audit::FaultKind;
use reprieve_domain::{Address, Deadline, HoldCode, Status, Suspension};
use reprieve_persistence::Store;

use crate::races::StoppedClock;
use crate::support::*;

on_each_database!(
    a_hold_is_stored_with_the_step_and_everything_shows_it,
    what_is_held_does_not_start_and_can_be_cancelled_after_its_promised_date,
    what_a_held_identity_asks_for_begins_suspended,
    a_start_or_an_initiation_that_does_not_know_a_hold_is_not_stored,
    due_are_processes_by_their_end_and_not_by_what_was_promised,
    what_was_put_off_until_the_end_of_a_hold_is_due_when_it_is_released,
    a_hold_that_was_changed_by_hand_is_found_and_counts_as_held_until_it_is_placed_anew,
    what_a_hand_does_to_a_suspension_is_found,
    holds_that_were_lost_are_stored_again_and_never_in_the_place_of_later_ones,
    holds_and_suspension_go_with_the_identity,
);

on_postgres!(mod two_writers, a_hold_waits_for_an_initiation_that_has_begun_before_it);

const NOW: i64 = DAY;
const UNTIL: i64 = ENDS_AT + 10 * DAY;

fn code(text: &str) -> HoldCode {
    text.parse().unwrap()
}

fn manage(store: &Store, now: i64) -> ManageHolds {
    let store = Arc::new(store.clone());
    ManageHolds::new(store.clone(), store, Arc::new(StoppedClock(at(now))))
}

fn new_hold(number: usize, name: &str, ends_at: i64) -> NewHold {
    let note = Some("a court asks".parse().unwrap());
    NewHold { address: address(number), code: code(name), ends_at: at(ends_at), is_silent: false, note }
}

async fn place(opened: &Opened, number: usize, name: &str, ends_at: i64, now: i64) -> HoldRecord {
    manage(&opened.store, now).place(&new_hold(number, name, ends_at)).await.unwrap().record
}

async fn release(opened: &Opened, number: usize, name: &str, now: i64) {
    let released = manage(&opened.store, now).release(&address(number), &code(name), None).await;
    drop(released.unwrap());
}

async fn in_force(store: &Store, of: Option<&Address>, now: i64) -> Vec<HoldRecord> {
    Holds::list(store, of, at(now), 10).await.unwrap()
}

async fn faults(opened: &Opened) -> Vec<FaultKind> {
    let store = &opened.store;
    let chains = store.chains(None, 100).await.unwrap();
    let of_processes = chains.iter().filter_map(|chain| store.verify(chain).err());
    of_processes.chain(store.contradictions().await.unwrap()).map(|fault| fault.kind).collect()
}

async fn a_hold_is_stored_with_the_step_and_everything_shows_it(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    let record = place(&opened, 1, "legal", UNTIL, NOW).await;
    let shown = Some(Suspension { until: at(UNTIL), shown_until: Some(at(UNTIL)) });
    let another = opened.another_store().await;
    let loaded = another.load(&address(1)).await.unwrap();
    assert_eq!(loaded.value.open_process().unwrap().suspension(), shown);
    assert_eq!(opened.processes(&address(1)).await[0].suspension(), shown);
    let verified = another.verified(&[process_id(1)]).await.unwrap().remove(&process_id(1)).unwrap().unwrap();
    assert_eq!((verified.value.suspension(), verified.version), (shown, loaded.version));
    assert_eq!(in_force(&another, None, UNTIL - 1).await, std::slice::from_ref(&record));
    assert_eq!(in_force(&another, Some(&address(1)), UNTIL - 1).await, [record]);
    assert_eq!(in_force(&another, Some(&address(2)), NOW).await, []);
    assert_eq!(in_force(&another, None, UNTIL).await, []);
    assert_eq!(faults(&opened).await, []);
    // Renewed, silently, and released.
    let silent = NewHold { is_silent: true, note: None, ..new_hold(1, "legal", UNTIL + 1) };
    let renewed = manage(&another, NOW + 1).place(&silent).await.unwrap().record;
    assert_eq!(renewed.note, Some("a court asks".parse().unwrap()));
    let suspension = opened.processes(&address(1)).await[0].suspension();
    assert_eq!(suspension, Some(Suspension { until: at(UNTIL + 1), shown_until: None }));
    release(&opened, 1, "legal", NOW + 2).await;
    assert_eq!(opened.processes(&address(1)).await[0].suspension(), None);
    assert_eq!(opened.sql.value::<i64>("SELECT count(*) FROM outbox").await, 3);
    assert_eq!(faults(&opened).await, []);
}

async fn what_is_held_does_not_start_and_can_be_cancelled_after_its_promised_date(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    place(&opened, 1, "legal", UNTIL, NOW).await;
    let Loaded { value, version } = opened.load(&address(1)).await;
    let id = process_id(1);
    assert!(value.start_deletion(&id, erasers(&[]), at(UNTIL - 1)).is_err());
    let step = start(&value, &[], UNTIL);
    assert_eq!(step.deadline(), Deadline::IsReachedAt(at(UNTIL)));
    let cancelled = cancel(&value, UNTIL - 1);
    save(&opened.store, &cancelled, version).await.unwrap();
    assert_eq!(opened.processes(&address(1)).await[0].status(), Status::Cancelled);
    assert!(matches!(save(&opened.store, &step, version).await, Err(StoreError::Conflict)));
    assert_eq!(faults(&opened).await, []);
    // At its end the hold is over, and the deletion starts.
    opened.initiated(&address(2), 2).await;
    place(&opened, 2, "legal", UNTIL, NOW).await;
    let Loaded { value, version } = opened.load(&address(2)).await;
    save(&opened.store, &start(&value, &[], UNTIL), version).await.unwrap();
    assert_eq!(faults(&opened).await, []);
}

async fn what_a_held_identity_asks_for_begins_suspended(opened: Opened) {
    place(&opened, 1, "legal", UNTIL, NOW).await;
    // It is only assumed that there are none.
    let unaware = initiate(&reprieve_domain::Identity::new(address(1)), 1, NOW);
    let refused = save(&opened.store, &unaware, Version::EMPTY).await;
    assert!(matches!(refused, Err(StoreError::OpenProcessExists)), "{refused:?}");
    let Loaded { value, version } = opened.load(&address(1)).await;
    save(&opened.store, &initiate(&value, 1, NOW), version).await.unwrap();
    let process = opened.processes(&address(1)).await.remove(0);
    assert_eq!((process.ends_at(), process.grace_period_ends_at()), (at(UNTIL), at(NOW + ENDS_AT)));
    assert_eq!(faults(&opened).await, []);
    // What a hold was for is over.
    place(&opened, 2, "legal", NOW + 1, NOW).await;
    let unaware = initiate(&reprieve_domain::Identity::new(address(2)), 2, NOW + 1);
    save(&opened.store, &unaware, Version::EMPTY).await.unwrap();
}

async fn a_start_or_an_initiation_that_does_not_know_a_hold_is_not_stored(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    let Loaded { value, version } = opened.load(&address(1)).await;
    let step = start(&value, &[], ENDS_AT);
    // As if it had been placed while the process began.
    let record = place(&opened, 2, "legal", UNTIL, NOW).await;
    opened.store.restore(&[HoldRecord { address: address(1), ..record }]).await.unwrap();
    assert!(matches!(save(&opened.store, &step, version).await, Err(StoreError::Conflict)));
    assert!(!opened.store.save_all(&[(step, version)]).await.unwrap().remove(0).unwrap());
    let held = opened.store.of(&[address(1)]).await.unwrap().remove(&address(1)).unwrap();
    let holds = held.records.into_iter().map(|record| record.hold).collect();
    let suspended = value.with_holds(holds).suspend(at(ENDS_AT)).unwrap();
    save(&opened.store, &suspended, version).await.unwrap();
    assert_eq!(opened.processes(&address(1)).await[0].ends_at(), at(UNTIL));
    assert_eq!(faults(&opened).await, []);
}

async fn due_are_processes_by_their_end_and_not_by_what_was_promised(opened: Opened) {
    for number in 1..=4 {
        opened.initiated(&address(number), number).await;
    }
    place(&opened, 1, "legal", UNTIL, NOW).await;
    place(&opened, 2, "legal", ENDS_AT + 1, NOW).await;
    // It ends before the promised date, and moves nothing.
    place(&opened, 3, "legal", 2 * DAY, NOW).await;
    let store = &opened.store;
    let ripe = async |now: i64| {
        let found = store.find_ripe(at(now), None, 10).await.unwrap().processes;
        assert_eq!(store.count_ripe(at(now)).await.unwrap(), found.len() as u64);
        let figures = store.figures(at(now), at(now - 1)).await.unwrap();
        assert_eq!(figures.due, found.len() as u64);
        found
    };
    assert_eq!(ripe(ENDS_AT - 1).await, []);
    assert_eq!(ripe(ENDS_AT).await, [process_id(3), process_id(4)]);
    assert_eq!(ripe(ENDS_AT + 1).await, [process_id(3), process_id(4), process_id(2)]);
    assert_eq!(ripe(UNTIL - 1).await.len(), 3);
    assert_eq!(ripe(UNTIL).await.last(), Some(&process_id(1)));
    // Page by page, and the same for reminders.
    let first = store.find_ripe(at(UNTIL), None, 3).await.unwrap();
    let rest = store.find_ripe(at(UNTIL), first.next, 3).await.unwrap();
    assert_eq!((first.processes.len(), rest.processes), (3, vec![process_id(1)]));
    let due = |ends_after: i64, ends_by: i64| Due {
        reminded: None,
        ends_after: Some(at(ends_after)),
        ends_by: at(ends_by),
        longer_than: None,
    };
    let reminded = store.find_due(due(ENDS_AT, UNTIL), None, 10).await.unwrap().processes;
    assert_eq!(reminded, [process_id(2), process_id(1)]);
}

async fn what_was_put_off_until_the_end_of_a_hold_is_due_when_it_is_released(opened: Opened) {
    started(&opened, 1, &["files"], ENDS_AT).await;
    let store = &opened.store;
    let task = claim_one(store, ENDS_AT, ENDS_AT + 1).await;
    let later = Settlement::Later { at: Some(at(ENDS_AT + 9)), since: at(ENDS_AT), poll: None };
    store.settle(&task, later, at(ENDS_AT)).await.unwrap();
    place(&opened, 1, "legal", UNTIL, ENDS_AT + 2).await;
    assert_eq!(store.suspended_until(&process_id(1)).await.unwrap(), Some(at(UNTIL)));
    assert_eq!(store.suspended_until(&process_id(2)).await.unwrap(), None);
    assert!(claim(store, UNTIL - 1, UNTIL, 9).await.is_empty());
    // Changed to another end, and released: it was unfinished for two microseconds in which it was not held.
    place(&opened, 1, "legal", UNTIL + 5, ENDS_AT + 5).await;
    assert!(claim(store, UNTIL + 4, UNTIL + 9, 9).await.is_empty());
    release(&opened, 1, "legal", ENDS_AT + 12).await;
    let task = claim_one(store, ENDS_AT + 12, ENDS_AT + 100).await;
    assert_eq!(task.unfinished_since, Some(at(ENDS_AT + 10)));
    assert_eq!(store.suspended_until(&process_id(1)).await.unwrap(), None);
    assert_eq!(faults(&opened).await, []);
}

async fn a_hold_that_was_changed_by_hand_is_found_and_counts_as_held_until_it_is_placed_anew(opened: Opened) {
    for change in [
        "ends_at = 1",
        "placed_at = placed_at - 1",
        "is_silent = 1",
        "is_silent = 2",
        "code = 'other'",
        "revision = revision - 1",
        "address = 'did:web:example.org:users:2'",
    ] {
        place(&opened, 1, "legal", UNTIL, NOW).await;
        opened.sql.run(&format!("UPDATE holds SET {change}")).await;
        let held = opened.store.of(&[address(1), address(2)]).await.unwrap();
        assert!(held.values().all(|held| held.is_damaged && held.records.is_empty()), "{change}");
        assert_eq!(held.len(), 1, "{change}");
        assert_eq!(faults(&opened).await, [FaultKind::HoldDiffers], "{change}");
        let found = opened.store.contradictions().await.unwrap().remove(0).to_string();
        let of = format!("a hold of {}", held.keys().next().unwrap());
        assert!(found.starts_with(&of), "{found}");
        opened.sql.run("UPDATE holds SET address = 'nobody'").await;
        let found = opened.store.contradictions().await.unwrap().remove(0).to_string();
        assert!(found.starts_with("a hold of an identity that cannot be known"), "{found}");
        opened.sql.run("UPDATE holds SET code = 'legal', address = 'did:web:example.org:users:1'").await;
        place(&opened, 1, "legal", UNTIL, NOW + 1).await;
        assert_eq!(faults(&opened).await, [], "{change}");
        opened.sql.run("DELETE FROM holds").await;
    }
}

async fn what_a_hand_does_to_a_suspension_is_found(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    place(&opened, 1, "legal", UNTIL, NOW).await;
    opened.sql.run("CREATE TABLE kept AS SELECT * FROM suspensions").await;
    for change in [
        "UPDATE suspensions SET suspended_until = suspended_until - 1",
        "UPDATE suspensions SET suspended_until = NULL",
        "UPDATE suspensions SET shown_until = NULL",
        "UPDATE suspensions SET process_id = 'IDPother'",
        "DELETE FROM suspensions",
    ] {
        opened.sql.run(change).await;
        assert_eq!(faults(&opened).await, [FaultKind::ProcessDiffers], "{change}");
        opened.sql.run("DELETE FROM suspensions; INSERT INTO suspensions SELECT * FROM kept").await;
        assert_eq!(faults(&opened).await, [], "{change}");
    }
}

async fn holds_that_were_lost_are_stored_again_and_never_in_the_place_of_later_ones(opened: Opened) {
    let first = place(&opened, 1, "legal", UNTIL, NOW).await;
    let later = place(&opened, 1, "legal", UNTIL + 1, NOW + 1).await;
    let store = &opened.store;
    store.restore(std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(in_force(store, None, NOW).await, std::slice::from_ref(&later));
    opened.sql.run("DELETE FROM holds").await;
    store.restore(&[first, later.clone()]).await.unwrap();
    assert_eq!(in_force(store, None, NOW).await, std::slice::from_ref(&later));
    // Two that decide at once: the one that comes later sees that the other was there.
    let (before, newer) = (later.revision, HoldRecord { revision: later.revision + 9, ..later });
    for replaced in [None, Some(before - 1)] {
        let saved = Holds::save(store, &newer, replaced, None, at(NOW)).await;
        assert!(matches!(saved, Err(StoreError::Conflict)), "{replaced:?}");
    }
    Holds::save(store, &newer, Some(before), None, at(NOW)).await.unwrap();
}

async fn holds_and_suspension_go_with_the_identity(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    place(&opened, 1, "legal", ENDS_AT + 1, NOW).await;
    place(&opened, 2, "legal", UNTIL, NOW).await;
    let now = ENDS_AT + 1;
    opened.step(&address(1), |identity| start(identity, &[], now)).await;
    let completed = opened.step(&address(1), |identity| complete(identity, now)).await;
    let task = finish(&opened, 1, now).await;
    let verified = process_of(&opened, &task).await;
    let hash = opened.store.identity_hash(completed.address());
    let receipt = reprieve_application::Receipt::of(&verified.value, hash, verified.version).unwrap();
    ErasureTasks::close(&opened.store, &task, &receipt, "signed").await.unwrap();
    assert_eq!(opened.sql.value::<i64>("SELECT count(*) FROM suspensions").await, 0);
    assert_eq!(opened.sql.column::<String>("SELECT address FROM holds").await, [address(2).to_string()]);
}

/// An initiation that does not see the hold yet is stored before it, and the hold suspends it.
async fn a_hold_waits_for_an_initiation_that_has_begun_before_it(opened: Opened) {
    let step = initiate(&reprieve_domain::Identity::new(address(1)), 1, NOW);
    opened.initiated(&address(2), 2).await;
    let another = format!("UPDATE another SET id = 'IDP3', address = '{}'", address(1));
    opened.sql.run(&format!("CREATE TABLE another AS SELECT * FROM deletion_processes; {another}")).await;
    // The initiation waits to see whether this process stays, and has seen by then what it sees of everything else.
    opened.sql.run("BEGIN; INSERT INTO deletion_processes SELECT * FROM another").await;
    let (store, other) = (opened.store.clone(), opened.another_store().await);
    let initiating = tokio::spawn(async move { save(&store, &step, Version::EMPTY).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let placing = tokio::spawn(async move { manage(&other, NOW).place(&new_hold(1, "legal", UNTIL)).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!placing.is_finished(), "the initiation would come after the hold, and not know it");
    opened.sql.run("ROLLBACK").await;
    initiating.await.unwrap().unwrap();
    placing.await.unwrap().unwrap();
    assert_eq!(opened.processes(&address(1)).await[0].ends_at(), at(UNTIL));
    assert_eq!(faults(&opened).await, []);
}
