//! Many that step what is due at once, and one who cancels at the deadline.

use std::sync::Arc;

use reprieve_application::StoreError;
use reprieve_application::ports::Loaded;
use reprieve_domain::Status;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{batch, due, ids, start_at, step};
use crate::support::{ENDS_AT, Opened, address, cancel, on_each_database, on_postgres, process_id, save};

on_each_database!(
    many_sweepers_step_each_process_once,
    of_a_cancellation_and_a_start_at_the_deadline_one_wins,
);

on_postgres!(mod only_postgres, what_somebody_else_works_on_is_passed_over);

async fn what_somebody_else_works_on_is_passed_over(opened: Opened) {
    for number in 0..4 {
        opened.initiated(&address(number), number).await;
    }
    opened.sql.run("BEGIN").await;
    let lock = format!("SELECT 1 FROM deletion_processes WHERE id = '{}' FOR UPDATE", process_id(1));
    opened.sql.run(&lock).await;
    let first = batch(&opened.store, due(ENDS_AT), None, 2, &start_at(ENDS_AT)).await;
    assert_eq!((first.stepped, first.left_alone, first.failed.len()), (ids([0]), 1, 0));
    let second = batch(&opened.store, due(ENDS_AT), first.next, 3, &start_at(ENDS_AT)).await;
    assert_eq!((second.stepped, second.next), (ids([2, 3]), None));
    opened.sql.run("ROLLBACK").await;
    assert_eq!(step(&opened.store, due(ENDS_AT), &start_at(ENDS_AT)).await.stepped, ids([1]));
}

async fn many_sweepers_step_each_process_once(opened: Opened) {
    const PROCESSES: usize = 400;
    const SWEEPERS: usize = 4;
    for number in 0..PROCESSES {
        opened.initiated(&address(number), number).await;
    }
    let stores = [opened.store.clone(), opened.another_store().await];
    let barrier = Arc::new(Barrier::new(SWEEPERS));
    let mut sweepers = JoinSet::new();
    for number in 0..SWEEPERS {
        let (store, barrier) = (stores[number % 2].clone(), barrier.clone());
        sweepers.spawn(async move {
            let (mut after, mut stepped) = (None, Vec::new());
            barrier.wait().await;
            loop {
                let batch = batch(&store, due(ENDS_AT), after, 30, &start_at(ENDS_AT)).await;
                assert_eq!(batch.failed.len(), 0);
                stepped.extend(batch.stepped);
                after = batch.next;
                if after.is_none() {
                    return stepped;
                }
            }
        });
    }
    let mut stepped = sweepers.join_all().await.concat();
    stepped.sort();
    assert_eq!(stepped, ids(0..PROCESSES));
    let started =
        "SELECT count(*) FROM audit_entries WHERE message_key = 'DeletionStarted' GROUP BY process_id";
    assert_eq!(opened.sql.column::<i64>(started).await, [1; PROCESSES]);
    let tasks = "SELECT count(*) FROM erasure_tasks GROUP BY process_id";
    assert_eq!(opened.sql.column::<i64>(tasks).await, [2; PROCESSES]);
}

async fn of_a_cancellation_and_a_start_at_the_deadline_one_wins(opened: Opened) {
    let other = opened.another_store().await;
    for round in 0..100 {
        let owner = address(round);
        opened.initiated(&owner, round).await;
        let Loaded { value, version } = opened.load(&owner).await;
        // In time by the clock of whoever cancels.
        let cancellation = cancel(&value, ENDS_AT - 1);
        let barrier = Arc::new(Barrier::new(2));
        let cancelling = {
            let (store, barrier) = (other.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                save(&store, &cancellation, version).await
            })
        };
        barrier.wait().await;
        let batch = step(&opened.store, due(ENDS_AT), &start_at(ENDS_AT)).await;
        let cancelled = cancelling.await.unwrap();
        assert_eq!(batch.failed.len(), 0, "{:?}", batch.failed);
        let status = opened.processes(&owner).await[0].status();
        let tasks = match cancelled {
            Ok(()) => {
                assert_eq!((status, batch.stepped), (Status::Cancelled, ids([])));
                0
            }
            Err(StoreError::Conflict) => {
                assert_eq!((status, batch.stepped), (Status::Deleting, ids([round])));
                2
            }
            Err(error) => panic!("{error:?}"),
        };
        let id = process_id(round);
        for (table, expected) in [("audit_entries", 2), ("outbox", 2), ("erasure_tasks", tasks)] {
            let count = format!("SELECT count(*) FROM {table} WHERE process_id = '{id}'");
            assert_eq!(opened.sql.value::<i64>(&count).await, expected, "{table}");
        }
    }
}
