//! The events of an identity get their places in the order of its steps, whatever positions the database hands out and
//! whatever the clocks of the instances say.

use std::collections::BTreeMap;

use reprieve_application::ports::{EventDeliveries, Housekeeping, Identities};
use reprieve_domain::{EventKind, Identity, Step};
use reprieve_persistence::Store;

use crate::support::{
    DAY, ENDS_AT, Opened, address, at, cancel, complete, eraser, initiate, on_each_database, on_postgres,
    process_id, save, start,
};

on_each_database!(
    events_of_an_identity_are_sequenced_in_the_order_of_its_steps_over_any_connections,
    a_step_is_later_than_the_one_before_whatever_the_clocks_say,
    what_is_sequenced_at_once_leaves_out_no_earlier_event,
    a_process_follows_those_that_were_forgotten,
);

on_postgres!(mod alone, positions_may_be_handed_out_backwards);

/// As an administrator may do: each connection draws so many positions at once.
async fn scatter_positions(opened: &Opened) {
    opened.sql.run_either("SELECT 1", "ALTER SEQUENCE outbox_position_seq CACHE 100").await;
}

async fn step(store: &Store, number: usize, decide: impl FnOnce(&Identity) -> Step) {
    let loaded = Identities::load(store, &address(number)).await.unwrap();
    save(store, &decide(&loaded.value), loaded.version).await.unwrap();
}

/// The events of each identity in the order of their places, read with this limit: process and kind.
async fn told(store: &Store, limit: u32) -> BTreeMap<String, Vec<(String, bool)>> {
    let mut told: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut after = 0;
    loop {
        let read = store.next(&"mail".parse().unwrap(), after, limit).await.unwrap();
        let Some(last) = read.last() else { return told };
        after = last.sequence;
        for waiting in read {
            let event = waiting.event.unwrap().event;
            let is_first = matches!(event.kind, EventKind::IdentityToBeDeleted { .. });
            told.entry(waiting.address).or_default().push((event.process_id.to_string(), is_first));
        }
    }
}

async fn events_of_an_identity_are_sequenced_in_the_order_of_its_steps_over_any_connections(opened: Opened) {
    const IDENTITIES: usize = 40;
    const PROCESSES: usize = 9;
    scatter_positions(&opened).await;
    let mut stores = Vec::new();
    for _ in 0..8 {
        stores.push(opened.another_store().await);
    }
    let mut expected: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for round in 0..PROCESSES {
        for number in 0..IDENTITIES {
            // Each step over another connection than the one before.
            let (first, second) = ((number * 3 + round) % 8, (number * 5 + round * 3 + 1) % 8);
            let id = number * PROCESSES + round;
            step(&stores[first], number, |identity| initiate(identity, id, 0)).await;
            step(&stores[second], number, |identity| cancel(identity, 0)).await;
            let steps = [true, false].map(|is_first| (process_id(id).to_string(), is_first));
            expected.entry(address(number).to_string()).or_default().extend(steps);
        }
        if round == 4 {
            // Some are sequenced already when the others come.
            store_reads(&opened.store, 50).await;
        }
    }
    let told = told(&opened.store, 7).await;
    let wrong = expected.iter().filter(|(address, steps)| told.get(*address) != Some(*steps)).count();
    assert_eq!(wrong, 0, "of {IDENTITIES} identities");
}

async fn store_reads(store: &Store, limit: u32) {
    store.next(&"files".parse().unwrap(), 0, limit).await.unwrap();
}

async fn a_step_is_later_than_the_one_before_whatever_the_clocks_say(opened: Opened) {
    scatter_positions(&opened).await;
    let other = opened.another_store().await;
    let mut expected = Vec::new();
    for round in 0..30 {
        // Each process is created by an instance whose clock is a second behind that of the one which cancels.
        let now = i64::try_from(round).unwrap();
        step(&opened.store, 1, |identity| initiate(identity, round, now)).await;
        step(&other, 1, |identity| cancel(identity, 1_000_000 + now)).await;
        expected.extend([true, false].map(|is_first| (process_id(round).to_string(), is_first)));
    }
    assert_eq!(told(&opened.store, 1).await[address(1).as_str()], expected);
}

/// Of any number of events that get their places in one go, none comes before an earlier one of its identity.
async fn what_is_sequenced_at_once_leaves_out_no_earlier_event(opened: Opened) {
    scatter_positions(&opened).await;
    let other = opened.another_store().await;
    // The one that cancels draws the lower positions.
    step(&other, 99, |identity| initiate(identity, 99, 0)).await;
    for number in 0..20 {
        step(&opened.store, number, |identity| initiate(identity, number, 0)).await;
    }
    for number in 0..20 {
        step(&other, number, |identity| cancel(identity, 0)).await;
    }
    let early = "SELECT count(*) FROM outbox AS later JOIN outbox AS earlier ON earlier.address = later.address \
                 WHERE later.sequence IS NOT NULL AND earlier.sequence IS NULL AND earlier.revision < later.revision";
    for limit in [1, 2, 3, 5, 8, 13, 21, 34, 41] {
        store_reads(&opened.store, limit).await;
        let placed: i64 = opened.sql.value("SELECT count(sequence) FROM outbox").await;
        assert_eq!(placed, i64::from(limit));
        assert_eq!(opened.sql.value::<i64>(early).await, 0, "after {limit}");
    }
}

/// An identity that was deleted, or whose cancelled process was forgotten, asks again at an instance whose clock is behind.
async fn a_process_follows_those_that_were_forgotten(opened: Opened) {
    scatter_positions(&opened).await;
    let store = &opened.store;
    step(store, 1, |identity| initiate(identity, 1, 0)).await;
    step(store, 1, |identity| cancel(identity, DAY)).await;
    assert_eq!(store.cancelled_processes(at(2 * DAY), 9).await.unwrap().forgotten, 1);
    step(store, 1, |identity| initiate(identity, 2, 5)).await;
    step(store, 1, |identity| start(identity, &["files"], ENDS_AT + 5)).await;
    step(store, 1, |identity| {
        identity.record_erasure(&process_id(2), &eraser("files"), 1, at(ENDS_AT + 5)).unwrap()
    })
    .await;
    step(store, 1, |identity| complete(identity, ENDS_AT + 5)).await;
    let remove = "INSERT INTO closed_processes (process_id, identity_hash, status, revision, audit_head, audit_seal, logical_time) \
                  SELECT id, identity_hash, status, revision, audit_head, audit_seal, logical_time FROM deletion_processes \
                  JOIN audit_entries ON process_id = id AND sequence = 1";
    opened.sql.run(&format!("{remove}; DELETE FROM deletion_processes")).await;
    step(&opened.another_store().await, 1, |identity| initiate(identity, 3, 7)).await;
    let told = told(store, 2).await;
    let processes: Vec<_> = told[address(1).as_str()].iter().map(|(process, _)| process.clone()).collect();
    let expected = [1, 1, 2, 2, 2, 3].map(|number| process_id(number).to_string());
    assert_eq!(processes, expected);
}

/// The worst that a sequence can do.
async fn positions_may_be_handed_out_backwards(opened: Opened) {
    let backwards =
        "ALTER SEQUENCE outbox_position_seq INCREMENT -1 MINVALUE 1 MAXVALUE 1000000 START 1000000 RESTART";
    opened.sql.run(backwards).await;
    step(&opened.store, 1, |identity| initiate(identity, 1, 0)).await;
    step(&opened.store, 1, |identity| cancel(identity, 1)).await;
    let expected = [true, false].map(|is_first| (process_id(1).to_string(), is_first));
    assert_eq!(told(&opened.store, 1).await[address(1).as_str()], expected);
}
