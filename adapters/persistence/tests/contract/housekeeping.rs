//! `Housekeeping`: what is old enough is forgotten, and nothing that is a microsecond younger.

use reprieve_application::ports::{Housekeeping, Receipts};
use reprieve_domain::Status;
use reprieve_persistence::Store;
use tokio::task::JoinSet;

use crate::closing::{close, completed, sound};
use crate::support::{
    DAY, ENDS_AT, Opened, address, at, cancel, initiate, on_each_database, on_sqlite, process_id, started,
    unix_micros,
};

on_each_database!(
    processes_that_were_cancelled_before_the_instant_are_forgotten_and_their_trails_stay,
    only_cancelled_processes_are_forgotten,
    a_cancelled_process_of_which_the_trail_does_not_tell_is_not_forgotten,
    no_more_are_forgotten_than_asked_for,
    of_many_that_keep_house_each_forgets_others,
    what_was_asked_for_after_a_deletion_by_a_slower_clock_is_no_fault,
    trails_of_identities_that_were_deleted_before_the_instant_are_forgotten_with_their_receipts,
    trails_of_identities_that_live_are_not_forgotten,
    events_before_the_instant_are_forgotten,
);

on_sqlite!(mod only_sqlite, as_many_are_verified_at_once_as_are_asked_for);

async fn column(opened: &Opened, column: &str, table: &str) -> Vec<String> {
    opened.sql.column(&format!("SELECT DISTINCT {column} FROM {table} ORDER BY {column}")).await
}

fn ids(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| process_id(number).to_string()).collect()
}

/// A process of the identity with this number, cancelled at this instant.
async fn cancelled(opened: &Opened, number: usize, at: i64) {
    opened.step(&address(number), |identity| initiate(identity, number, -DAY)).await;
    opened.step(&address(number), |identity| cancel(identity, at)).await;
}

async fn forget(store: &Store, instant: i64, limit: u32) -> u64 {
    store.cancelled_processes(at(instant), limit).await.unwrap().forgotten
}

async fn processes_that_were_cancelled_before_the_instant_are_forgotten_and_their_trails_stay(
    opened: Opened,
) {
    for (number, at) in [(1, 99), (2, 100), (3, 101)] {
        cancelled(&opened, number, at).await;
    }
    assert_eq!(forget(&opened.store, 99, 10).await, 0);
    assert_eq!(forget(&opened.store, 101, 10).await, 2);
    assert_eq!(forget(&opened.store, 101, 10).await, 0);
    assert_eq!(column(&opened, "id", "deletion_processes").await, ids([3]));
    assert_eq!(column(&opened, "process_id", "audit_entries").await, ids([1, 2, 3]));
    let heads =
        "process_id || ' ' || status || ' ' || coalesce(identity_deleted_at, 0) || coalesce(receipt, '')";
    let expected = ids([1, 2]).into_iter().map(|id| format!("{id} Cancelled 0")).collect::<Vec<_>>();
    assert_eq!(column(&opened, heads, "closed_processes").await, expected);
    assert_eq!(sound(&opened).await, (3, 6));
    for number in [1, 2] {
        assert_eq!(Receipts::find(&opened.store, &process_id(number)).await.unwrap(), None);
    }
}

async fn only_cancelled_processes_are_forgotten(opened: Opened) {
    for (number, status) in (1..).zip([Status::Active, Status::Cancelled, Status::Deleting, Status::Deleted])
    {
        opened.initiated_up_to(number, status).await;
    }
    assert_eq!(forget(&opened.store, 1000 * DAY, 10).await, 1);
    assert_eq!(column(&opened, "id", "deletion_processes").await, ids([1, 3, 4]));
}

/// Whose it was would be forgotten for good, and with it when its trail has to go.
async fn a_cancelled_process_of_which_the_trail_does_not_tell_is_not_forgotten(opened: Opened) {
    cancelled(&opened, 1, 0).await;
    cancelled(&opened, 2, 0).await;
    let first = format!("DELETE FROM audit_entries WHERE process_id = '{}' AND sequence = 1", process_id(1));
    opened.sql.run(&first).await;
    assert_eq!(forget(&opened.store, DAY, 10).await, 1);
    assert_eq!(column(&opened, "id", "deletion_processes").await, ids([1]));
}

async fn no_more_are_forgotten_than_asked_for(opened: Opened) {
    for number in 0..5 {
        cancelled(&opened, number, 0).await;
    }
    for (limit, expected) in [(0, 0), (2, 2), (2, 2), (2, 1), (2, 0)] {
        assert_eq!(forget(&opened.store, 1, limit).await, expected);
    }
    for (limit, expected) in [(0, 0), (4, 4), (4, 4), (4, 2), (4, 0)] {
        assert_eq!(opened.store.events(&[], at(DAY), limit).await.unwrap(), expected);
    }
    // By hand, so that they do not verify: quarantined, and no more at once either.
    opened.sql.run("UPDATE closed_processes SET identity_deleted_at = 5").await;
    for (limit, expected) in [(0, 0), (2, 2), (2, 2), (2, 1), (2, 0)] {
        let batch = opened.store.audit_trails(at(0), limit).await.unwrap();
        assert_eq!((batch.forgotten, batch.quarantined), (0, expected));
    }
}

async fn of_many_that_keep_house_each_forgets_others(opened: Opened) {
    const PROCESSES: usize = 100;
    for number in 0..PROCESSES {
        cancelled(&opened, number, 0).await;
    }
    let stores = [opened.store.clone(), opened.another_store().await];
    let mut keepers = JoinSet::new();
    for number in 0..4 {
        let store = stores[number % 2].clone();
        keepers.spawn(async move {
            let mut forgotten = 0;
            // More than it takes alone.
            for _ in 0..20 {
                forgotten += forget(&store, 1, 7).await;
            }
            forgotten
        });
    }
    assert_eq!(keepers.join_all().await.into_iter().sum::<u64>(), PROCESSES as u64);
    assert_eq!(sound(&opened).await, (100, 200));
}

async fn trails_of_identities_that_were_deleted_before_the_instant_are_forgotten_with_their_receipts(
    opened: Opened,
) {
    let mut when = Vec::new();
    for (number, late) in [(1, 0), (2, 1), (3, 2)] {
        let owner = address(number);
        for id in [10 * number, 10 * number + 1] {
            opened.step(&owner, |identity| initiate(identity, id, 0)).await;
            opened.step(&owner, |identity| cancel(identity, 1)).await;
            // One is forgotten before the identity is deleted, and the other goes with it.
            assert_eq!(
                forget(&opened.store, if id % 10 == 0 { 2 } else { 1 }, 10).await,
                u64::from(id % 10 == 0)
            );
        }
        started(&opened, number, &[], ENDS_AT + late).await;
        let (task, receipt) = completed(&opened, number, ENDS_AT + late).await;
        close(&opened, &task, &receipt).await;
        when.push(receipt.deletion_completed_at);
    }
    let all = [1, 2, 3, 10, 11, 20, 21, 30, 31];
    assert_eq!(column(&opened, "process_id", "audit_entries").await, ids(all));
    let instant = when[1];
    // Without its entry, an event that is kept could not be told from one that was made up.
    assert_eq!(opened.store.audit_trails(instant, 100).await.unwrap().forgotten, 0);
    opened.sql.run(&format!("DELETE FROM outbox WHERE process_id <> '{}'", process_id(10))).await;
    assert_eq!(opened.store.audit_trails(instant, 100).await.unwrap().forgotten, 0);
    opened.sql.run("DELETE FROM outbox").await;
    for _ in 0..3 {
        assert_eq!(opened.store.audit_trails(instant, 1).await.unwrap().forgotten, 1);
        sound(&opened).await;
    }
    assert_eq!(opened.store.audit_trails(instant, 100).await.unwrap().forgotten, 0);
    let left = ids([2, 3, 20, 21, 30, 31]);
    for table in ["audit_entries", "closed_processes"] {
        assert_eq!(column(&opened, "process_id", table).await, left, "{table}");
    }
    let receipt = async |number| Receipts::find(&opened.store, &process_id(number)).await.unwrap();
    assert_eq!((receipt(1).await, receipt(2).await.is_some()), (None, true));
    sound(&opened).await;
}

async fn trails_of_identities_that_live_are_not_forgotten(opened: Opened) {
    for (number, status) in (1..).zip([Status::Active, Status::Cancelled, Status::Deleting, Status::Deleted])
    {
        opened.initiated_up_to(number, status).await;
    }
    assert_eq!(forget(&opened.store, 1000 * DAY, 10).await, 1);
    let before = opened.sql.everything().await;
    assert_eq!(opened.store.audit_trails(at(100_000 * DAY), 100).await.unwrap().forgotten, 0);
    assert_eq!(opened.sql.everything().await, before);
    assert_eq!(sound(&opened).await, (4, 1 + 2 + 2 + 4));
}

async fn events_before_the_instant_are_forgotten(opened: Opened) {
    for number in 0..4 {
        let now = i64::try_from(number).unwrap();
        opened.step(&address(number), |identity| initiate(identity, number, now)).await;
    }
    let trail = sound(&opened).await;
    assert_eq!(opened.store.events(&[], at(0), 10).await.unwrap(), 0);
    assert_eq!(opened.store.events(&[], at(2), 10).await.unwrap(), 2);
    assert_eq!(opened.store.events(&[], at(2), 10).await.unwrap(), 0);
    assert_eq!(column(&opened, "process_id", "outbox").await, ids([2, 3]));
    assert_eq!(sound(&opened).await, trail);
}

/// More than a statement may have parameters: SQLite allows the fewest.
async fn as_many_are_verified_at_once_as_are_asked_for(opened: Opened) {
    let many = 33_000;
    let id = "'IDP' || (10000000000000000 + n)";
    let (created_at, cancelled_at) = (unix_micros(0), unix_micros(1));
    let numbers = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {many} - 1)"
    );
    let none = "x''";
    opened
        .sql
        .run(&format!(
            "INSERT INTO deletion_processes (id, address, status, created_at, created_by_device, cancelled_at,
                 grace_period_ends_at, revision, audit_head, audit_seal)
             {numbers} SELECT {id}, 'did:web:example.org:' || n, 'Cancelled', {created_at}, 'DVC0123456789abcdefg',
                 {cancelled_at}, {created_at} + 1, 1, {none}, {none} FROM numbers;
             INSERT INTO audit_entries (process_id, sequence, created_at, new_status, message_key, additional_data,
                 identity_hash, hash)
             {numbers} SELECT {id}, 1, {created_at}, 'Active', 'Started', '{{}}', {none}, {none} FROM numbers;"
        ))
        .await;
    let batch = opened.store.cancelled_processes(at(2), u32::MAX).await.unwrap();
    assert_eq!((batch.forgotten, batch.quarantined), (0, many));
}

/// By that clock, the identity had not been deleted yet.
async fn what_was_asked_for_after_a_deletion_by_a_slower_clock_is_no_fault(opened: Opened) {
    let owner = address(1);
    started(&opened, 1, &[], ENDS_AT).await;
    let (task, receipt) = completed(&opened, 1, ENDS_AT + 5).await;
    close(&opened, &task, &receipt).await;
    opened.step(&owner, |identity| initiate(identity, 2, ENDS_AT + 3)).await;
    opened.step(&owner, |identity| cancel(identity, ENDS_AT + 4)).await;
    assert_eq!(forget(&opened.store, ENDS_AT + DAY, 10).await, 1);
    assert_eq!(sound(&opened).await, (2, 5));
}
