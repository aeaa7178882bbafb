//! What does not verify is neither started nor erased nor completed, whatever its columns say; what is put right goes on.

use reprieve_application::StoreError;
use reprieve_domain::DeletionProcessId;
use reprieve_tests::TestDatabase;

use super::on_each_database;
use super::world::{DAY, END, TestEraser, World, address};

on_each_database!(
    who_has_time_left_is_not_deleted_whatever_is_changed,
    a_deletion_whose_erasers_were_changed_asks_none_and_is_not_completed,
    what_is_put_right_goes_on,
);

async fn change(world: &World, sql: String) {
    world
        .with_sql(move |database| {
            for statement in sql.split(';') {
                database.execute(statement);
            }
        })
        .await;
}

/// As a hand would make them: the two tasks of a deletion with one eraser.
fn tasks(id: &DeletionProcessId, owner: usize) -> String {
    let address = address(owner);
    ["files", ""]
        .map(|eraser| {
            format!(
                "INSERT INTO erasure_tasks (process_id, eraser, address, due_at, fence, failures, in_ledger) \
                 VALUES ('{id}', '{eraser}', '{address}', 0, 0, 0, 1)"
            )
        })
        .join(";")
}

fn is_quarantined(error: Option<&StoreError>) -> bool {
    matches!(error, Some(StoreError::Quarantined(_)))
}

async fn closed(world: &World) -> u64 {
    world.with_sql(|database| database.count("closed_processes")).await
}

/// At no instant is the eraser asked for one of them. The process that was left alone is deleted in time.
async fn who_has_time_left_is_not_deleted_whatever_is_changed(database: TestDatabase) {
    const DELETING: &str = "status = 'Deleting', deletion_started_at = created_at, \
                            erasures = '[{\"eraser\":\"files\"}]'";
    let eraser = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&eraser)).await;
    world.initiate(0).await;
    let changes = [
        "grace_period_ends_at = created_at + 1".to_owned(),
        "created_at = created_at - 2000000000000, grace_period_ends_at = grace_period_ends_at - 2000000000000"
            .to_owned(),
        format!("address = '{}', grace_period_ends_at = created_at + 1", address(99)),
        "audit_seal = audit_head, grace_period_ends_at = created_at + 1".to_owned(),
        DELETING.to_owned(),
        format!("{DELETING}, grace_period_ends_at = created_at + 1"),
    ];
    for (number, what) in changes.iter().enumerate() {
        let process = world.initiate(number + 1).await;
        let id = process.id();
        let mut sql = format!("UPDATE deletion_processes SET {what} WHERE id = '{id}'");
        if what.starts_with("status") {
            sql = format!("{sql};{}", tasks(id, number + 1));
        }
        change(&world, sql).await;
    }
    // A task for one that is Active, and a process that no identity has asked for.
    let active = world.initiate(10).await;
    change(&world, tasks(active.id(), 10)).await;
    let made_up = "INSERT INTO deletion_processes (id, revision, address, status, created_at, created_by_device, \
                   grace_period_ends_at, audit_head, audit_seal, number, logical_time) \
                   SELECT 'IDPmadeUp0000000000x', revision, 'did:web:example.org:users:50', status, created_at, \
                   created_by_device, created_at + 1, audit_head, audit_seal, 1, 1 FROM deletion_processes WHERE id = ";
    change(&world, format!("{made_up}'{}'", active.id())).await;
    world.set(DAY);
    for _ in 0..2 {
        let swept = world.start_deletions().await;
        assert_eq!((swept.stepped, swept.failed), (0, 5), "{:?}", swept.first_failure);
        assert!(is_quarantined(swept.first_failure.as_ref()));
        let run = world.erase().await;
        assert_eq!((run.acknowledged, run.completed), (0, 0));
        assert_eq!((eraser.times_asked(), closed(&world).await), (0, 0));
        assert_eq!(world.deletions_in_journal().await, []);
        world.set(2 * DAY);
    }
    // Nor when their time is over; the one that has tasks already cannot start.
    world.set(END);
    assert_eq!(world.start_deletions().await.stepped, 1);
    world.erase().await;
    world.erase().await;
    let asked: Vec<_> = eraser.asked.lock().unwrap().iter().map(|request| request.address.clone()).collect();
    assert_eq!(asked, [address(0)]);
}

async fn a_deletion_whose_erasers_were_changed_asks_none_and_is_not_completed(database: TestDatabase) {
    let eraser = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&eraser)).await;
    let process = world.initiate(1).await;
    world.set(END);
    assert_eq!(world.start_deletions().await.stepped, 1);
    let id = process.id().clone();
    let acknowledged = format!(
        "UPDATE deletion_processes SET erasures = '[{{\"eraser\":\"files\",\"acknowledgedAt\":1,\"count\":4711}}]' \
         WHERE id = '{id}';DELETE FROM erasure_tasks WHERE eraser <> '';UPDATE erasure_tasks SET due_at = 0"
    );
    change(&world, acknowledged).await;
    for _ in 0..2 {
        let run = world.erase().await;
        assert_eq!((run.completed, run.broken), (0, 1));
        assert!(is_quarantined(run.first_failure.as_ref()));
        assert_eq!((eraser.times_asked(), closed(&world).await), (0, 0));
        assert_eq!(world.receipt_of(&id).await, None);
        world.set(END + DAY);
    }
}

async fn what_is_put_right_goes_on(database: TestDatabase) {
    let eraser = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&eraser)).await;
    let process = world.initiate(1).await;
    let ends_at = process.grace_period_ends_at().unix_micros();
    let moved_to = |micros: i64| {
        format!("UPDATE deletion_processes SET grace_period_ends_at = {micros} WHERE id = '{}'", process.id())
    };
    change(&world, moved_to(ends_at - DAY)).await;
    world.set(END);
    assert_eq!(world.start_deletions().await.stepped, 0);
    change(&world, moved_to(ends_at)).await;
    assert_eq!(world.start_deletions().await.stepped, 1);
    change(&world, moved_to(ends_at + 1)).await;
    assert_eq!((world.erase().await.acknowledged, eraser.times_asked()), (0, 0));
    change(&world, moved_to(ends_at)).await;
    world.set(END + DAY);
    assert_eq!((world.erase().await.completed, eraser.times_asked()), (1, 1));
    world.verify().await;
}
