//! Identities that are held: nothing starts, nothing more is asked for, and their second thoughts have time.

use std::time::Duration;

use reprieve_application::Coded;
use reprieve_application::ErrorCode;
use reprieve_application::ports::{EraseAnswer, Holds};
use reprieve_domain::{Status, Timestamp};
use reprieve_tests::TestDatabase;

use super::on_each_database;
use super::world::{DAY, END, TestEraser, World, address, at};

on_each_database!(
    what_is_held_is_not_deleted_and_can_be_cancelled_past_its_promised_date,
    a_release_leaves_seven_days_and_then_the_deletion_starts,
    while_data_is_erased_nothing_more_is_asked_and_patience_stands_still,
    a_hold_that_a_restored_database_lacks_is_in_force_all_the_same,
    a_process_that_lacks_a_hold_is_suspended_instead_of_started,
    a_hold_that_does_not_verify_keeps_its_identity_and_no_other,
);

const UNTIL: i64 = END + 30 * DAY;

impl World {
    async fn release(&self, number: usize) {
        drop(self.manage_holds().release(&address(number), &"legal".parse().unwrap(), None).await.unwrap());
    }

    async fn start_at(&self, micros: i64) -> u64 {
        self.set(micros);
        self.start_deletions().await.stepped
    }
}

async fn what_is_held_is_not_deleted_and_can_be_cancelled_past_its_promised_date(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    for number in [1, 2] {
        world.initiate(number).await;
        world.hold(number, "legal", UNTIL).await;
    }
    assert_eq!(world.start_at(UNTIL - 1).await, 0);
    world.cancel(1).await.unwrap();
    assert_eq!(world.start_at(UNTIL).await, 1);
    world.erase().await;
    assert_eq!(world.processes(1).await[0].status(), Status::Cancelled);
    assert!(world.processes(2).await.is_empty());
    world.verify().await;
}

async fn a_release_leaves_seven_days_and_then_the_deletion_starts(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    world.initiate(1).await;
    world.hold(1, "legal", UNTIL).await;
    world.set(END + DAY);
    world.release(1).await;
    assert_eq!(world.open_process(1).await.unwrap().ends_at(), at(END + 8 * DAY));
    // Reminders are due anew, by the end.
    world.set(END + 4 * DAY);
    assert_eq!(world.remind().await.stepped, 1);
    assert_eq!(world.start_at(END + 8 * DAY - 1).await, 0);
    assert_eq!(world.start_at(END + 8 * DAY).await, 1);
    world.verify().await;
}

async fn while_data_is_erased_nothing_more_is_asked_and_patience_stands_still(database: TestDatabase) {
    let (files, mail) = (TestEraser::new("files"), TestEraser::new("mail"));
    let world = World::new(database, &[files.clone(), mail.clone()]).await;
    let process = world.initiate(1).await;
    world.initiate(2).await;
    assert_eq!(world.start_at(END).await, 2);
    files.will(EraseAnswer::Working { poll: None, ask_in: Some(Duration::from_hours(24)) });
    files.will(EraseAnswer::Working { poll: None, ask_in: Some(Duration::from_hours(24)) });
    world.erase().await;
    assert_eq!((files.times_asked(), mail.times_asked()), (2, 2));
    world.hold(1, "legal", UNTIL).await;
    world.set(END + 2 * DAY);
    world.erase().await;
    // Of the other one, which is complete now.
    assert_eq!(files.times_asked(), 3);
    assert!(world.processes(2).await.is_empty());
    world.set(UNTIL - 1);
    world.erase().await;
    assert_eq!(files.times_asked(), 3);
    assert_eq!(world.open_process(1).await.unwrap().status(), Status::Deleting);
    // A day of patience, of which nothing has passed.
    files.will_fail(1);
    world.set(UNTIL);
    let run = world.erase().await;
    assert_eq!((run.failed, run.stuck, files.times_asked()), (1, 0, 4));
    world.set(UNTIL + DAY / 2);
    assert_eq!(world.erase().await.completed, 1);
    assert!(world.receipt(&process).await.is_some());
    world.verify().await;
}

async fn a_hold_that_a_restored_database_lacks_is_in_force_all_the_same(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    world.initiate(3).await;
    world.back_up().await;
    // Two that a backup does not know of: one of an identity that asks only after the restore.
    for number in [1, 3] {
        world.hold(number, "legal", UNTIL).await;
    }
    world.hold(2, "legal", UNTIL).await;
    world.set(DAY);
    world.release(2).await;
    world.keep_journal().await;
    world.restore().await;
    for number in [1, 2] {
        world.initiate(number).await;
    }
    world.set(DAY + END);
    let swept = world.start_deletions().await;
    // Not held any more is one; suspended is one; put back is one.
    assert_eq!((swept.stepped, swept.failed), (2, 1));
    assert_eq!(swept.first_failure.unwrap().code(), ErrorCode::DatabaseOlderThanJournal);
    assert_eq!(world.open_process(2).await.unwrap().status(), Status::Deleting);
    assert_eq!(world.open_process(1).await.unwrap().ends_at(), at(UNTIL));
    assert_eq!(world.open_process(3).await.unwrap().status(), Status::Active);
    let held = Holds::list(world.store.as_ref(), None, world.now(), 9).await.unwrap();
    let held: Vec<_> = held.into_iter().map(|record| (record.address, record.hold.ends_at)).collect();
    // That of what was put back is stored again as soon as that verifies.
    assert_eq!(held, [(address(1), at(UNTIL))]);
    world.verify().await;
}

async fn a_process_that_lacks_a_hold_is_suspended_instead_of_started(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    world.initiate(1).await;
    world.hold(2, "legal", UNTIL).await;
    // As if an older version had let it ask.
    let mut record = Holds::list(world.store.as_ref(), None, at(0), 9).await.unwrap().remove(0);
    record.address = address(1);
    world.store.restore(&[record]).await.unwrap();
    assert_eq!(world.start_at(END).await, 1);
    let process = world.open_process(1).await.unwrap();
    assert_eq!((process.status(), process.ends_at()), (Status::Active, at(UNTIL)));
    world.set(UNTIL - 1);
    world.cancel(1).await.unwrap();
    world.verify().await;
}

async fn a_hold_that_does_not_verify_keeps_its_identity_and_no_other(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    for number in [1, 2] {
        world.initiate(number).await;
    }
    world.hold(3, "legal", UNTIL).await;
    let forged = "UPDATE holds SET address = 'did:web:example.org:users:1', ends_at = 1";
    world.with_sql(move |sql| sql.execute(forged)).await;
    world.set(END);
    let swept = world.start_deletions().await;
    assert_eq!((swept.stepped, swept.failed), (1, 1));
    assert_eq!(swept.first_failure.unwrap().code(), ErrorCode::AuditTrailBroken);
    assert_eq!(world.open_process(1).await.unwrap().status(), Status::Active);
    // Placing it anew puts that right.
    let ends_at: Timestamp = at(END + DAY);
    world.hold(1, "legal", ends_at.micros_since(at(0))).await;
    world.verify().await;
    assert_eq!(world.start_at(END + 8 * DAY).await, 1);
}
