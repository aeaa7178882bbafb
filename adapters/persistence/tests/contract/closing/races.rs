//! Closing while others are at work on the same identity.

use std::time::Duration;

use reprieve_application::ports::{ErasureTasks, Housekeeping};

use super::{SIGNED, cancelled_twice, completed, sound};
use crate::support::{DAY, ENDS_AT, Opened, address, at, on_each_database, on_postgres, process_id, started};

on_each_database!(housekeeping_and_closing_leave_no_trail_without_an_end);

on_postgres!(mod only_postgres, what_housekeeping_is_about_to_forget_is_waited_for);

const ROUNDS: usize = 15;

const NOT_MARKED: &str = "SELECT count(*) FROM closed_processes WHERE identity_deleted_at IS NULL";

/// Trails of a deleted identity that are not marked as such would never be forgotten.
async fn housekeeping_and_closing_leave_no_trail_without_an_end(opened: Opened) {
    let other = opened.another_store().await;
    for round in 0..ROUNDS {
        let owner = address(round);
        cancelled_twice(&opened, &owner, 1000 + 2 * round).await;
        started(&opened, round, &[], ENDS_AT).await;
        let (task, receipt) = completed(&opened, round, ENDS_AT).await;
        let house = {
            let other = other.clone();
            tokio::spawn(async move { other.cancelled_processes(at(DAY), 1000).await })
        };
        let closed = ErasureTasks::close(&opened.store, &task, &receipt, SIGNED).await;
        let forgotten = house.await.unwrap();
        assert!(closed.is_ok() && forgotten.is_ok(), "{closed:?} {forgotten:?}");
        assert_eq!(opened.sql.value::<i64>(NOT_MARKED).await, 0, "in round {round}");
    }
    let rounds = ROUNDS as u64;
    assert_eq!(sound(&opened).await, (3 * rounds, 7 * rounds));
}

async fn what_housekeeping_is_about_to_forget_is_waited_for(opened: Opened) {
    cancelled_twice(&opened, &address(1), 10).await;
    started(&opened, 1, &[], ENDS_AT).await;
    let (task, receipt) = completed(&opened, 1, ENDS_AT).await;
    let (first, second) = (process_id(10), process_id(11));
    let keep = |id| {
        format!(
            "INSERT INTO closed_processes (process_id, identity_hash, status, revision, audit_head, audit_seal)
             SELECT id, identity_hash, status, revision, audit_head, audit_seal FROM deletion_processes
             JOIN audit_entries ON process_id = id AND sequence = 1 WHERE id = '{id}'"
        )
    };
    // As housekeeping does it, one after the other.
    opened.sql.run("BEGIN").await;
    opened.sql.run("SELECT 1 FROM deletion_processes WHERE status = 'Cancelled' FOR UPDATE").await;
    opened.sql.run(&keep(first)).await;
    let closing = {
        let store = opened.store.clone();
        tokio::spawn(async move { ErasureTasks::close(&store, &task, &receipt, SIGNED).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!closing.is_finished());
    opened.sql.run(&keep(second)).await;
    opened.sql.run("DELETE FROM deletion_processes WHERE status = 'Cancelled'; COMMIT").await;
    closing.await.unwrap().unwrap();
    assert_eq!(opened.sql.value::<i64>(NOT_MARKED).await, 0);
    assert_eq!(sound(&opened).await, (3, 7));
}
