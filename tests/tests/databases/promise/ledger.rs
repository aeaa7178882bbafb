//! Backups that are restored: what was deleted does not stay.

use reprieve_application::ErrorCode;
use reprieve_application::ports::AuditTrail as _;
use reprieve_application::use_cases::{Elsewhere, ReplayAction};
use reprieve_domain::Status;
use reprieve_tests::TestDatabase;

use super::journal::nowhere;
use super::on_each_database;
use super::world::{DAY, END, TestEraser, World, address, at};

on_each_database!(
    an_identity_that_came_back_active_is_deleted_again_in_its_process,
    one_that_came_back_from_before_it_asked_gets_a_process_of_its_own,
    one_that_other_services_have_is_deleted_again,
    a_deletion_that_is_under_way_and_one_that_is_complete_are_left_alone,
    whoever_came_back_by_themselves_is_left_alone,
    only_looking_changes_nothing,
    a_forged_entry_deletes_nobody,
    whoever_was_deleted_before_the_backup_was_taken_is_not_in_it,
    what_is_still_being_deleted_is_said_and_found_again_afterwards,
    one_that_fails_holds_up_no_other,
);

const TABLES: [&str; 9] = [
    "deletion_processes",
    "audit_entries",
    "erasure_tasks",
    "closed_processes",
    "answered_requests",
    "own_identity",
    "outbox",
    "holds",
    "suspensions",
];

/// In the backup of another service, taken when the first grace period was over.
fn at_the_end<const N: usize>(addresses: [String; N]) -> Elsewhere<[String; N]> {
    Elsewhere { addresses, backup_taken_at: Some(at(END)) }
}

impl World {
    pub(super) async fn back_up(&self) {
        self.with_sql(|database| {
            for table in TABLES {
                database.execute(&format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}"));
            }
        })
        .await;
    }

    pub(super) async fn restore(&self) {
        self.with_sql(|database| {
            database.drop_triggers();
            for table in TABLES {
                database.execute(&format!("DELETE FROM {table}"));
                database.execute(&format!("INSERT INTO {table} SELECT * FROM saved_{table}"));
            }
        })
        .await;
    }

    async fn delete(&self, number: usize) {
        self.start_deletions().await;
        self.erase().await;
        assert!(self.processes(number).await.is_empty());
    }
}

async fn an_identity_that_came_back_active_is_deleted_again_in_its_process(database: TestDatabase) {
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    let process = world.initiate(1).await;
    world.back_up().await;
    world.set(END);
    world.delete(1).await;
    world.restore().await;
    assert_eq!(world.open_process(1).await.unwrap().status(), Status::Active);
    world.set(END + DAY);
    let replayed = world.replay().execute(nowhere(), false).await.unwrap();
    assert_eq!((replayed.in_journal, replayed.came_back.len()), (1, 1));
    assert_eq!(replayed.came_back[0].action, ReplayAction::Started(process.id().clone()));
    assert_eq!(world.erase().await.completed, 1);
    assert_eq!(files.times_asked(), 2);
    assert_eq!(world.replay().execute(nowhere(), false).await.unwrap().came_back, []);
    world.verify().await;
}

async fn one_that_came_back_from_before_it_asked_gets_a_process_of_its_own(database: TestDatabase) {
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    world.initiate(1).await;
    world.cancel(1).await.unwrap();
    world.back_up().await;
    world.set(DAY);
    let process = world.initiate(1).await;
    world.set(DAY + END);
    world.delete(1).await;
    world.restore().await;
    let replayed = world.replay().execute(nowhere(), false).await.unwrap();
    let [came_back] = replayed.came_back.as_slice() else { panic!("{replayed:?}") };
    assert_eq!(came_back.deleted_in, *process.id());
    let ReplayAction::Started(again) = &came_back.action else { panic!("{replayed:?}") };
    assert_ne!(again, process.id());
    let open = world.open_process(1).await.unwrap();
    assert_eq!(open.created_at(), process.created_at());
    assert_eq!(open.grace_period_ends_at(), process.grace_period_ends_at());
    assert_eq!(world.erase().await.completed, 1);
    // An eraser that knows the first process must not take this for it.
    assert_eq!(files.asked.lock().unwrap()[1].process_id, *again);
    assert!(world.receipt(&open).await.is_some());
    world.verify().await;
}

async fn one_that_other_services_have_is_deleted_again(database: TestDatabase) {
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    world.initiate(1).await;
    world.set(END);
    world.delete(1).await;
    let elsewhere = [address(2).to_string(), format!(" {} ", address(1)), "nobody".to_owned(), String::new()];
    let replayed = world.replay().execute(Some(at_the_end(elsewhere)), false).await.unwrap();
    assert_eq!((replayed.came_back.len(), replayed.not_an_address, replayed.compared), (1, 2, 4));
    assert_eq!(world.erase().await.completed, 1);
    assert_eq!(files.times_asked(), 2);
}

async fn a_deletion_that_is_under_way_and_one_that_is_complete_are_left_alone(database: TestDatabase) {
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    files.will_fail(1);
    world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    world.erase().await;
    assert_eq!(world.deletions_in_journal().await.len(), 1);
    assert_eq!(world.replay().execute(nowhere(), false).await.unwrap().came_back, []);
    assert_eq!(world.audited(1).await.len(), 3);
}

async fn whoever_came_back_by_themselves_is_left_alone(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.set(END);
    world.delete(1).await;
    world.set(END + 1);
    let process = world.initiate(1).await;
    assert_eq!(world.replay().execute(nowhere(), false).await.unwrap().came_back, []);
    // Even if somebody says so: what was promised is kept.
    let replayed = world.replay().execute(Some(at_the_end([address(1).to_string()])), false).await.unwrap();
    assert_eq!(replayed.came_back[0].action, ReplayAction::NewGracePeriodRuns(process.id().clone()));
    assert_eq!(world.open_process(1).await, Some(process));
    world.cancel(1).await.unwrap();
    assert_eq!(world.replay().execute(nowhere(), false).await.unwrap().came_back, []);
    let replayed = world.replay().execute(Some(at_the_end([address(1).to_string()])), false).await.unwrap();
    assert_eq!(replayed.came_back, [], "whoever has cancelled since is there");
}

async fn whoever_was_deleted_before_the_backup_was_taken_is_not_in_it(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.set(END);
    world.delete(1).await;
    let elsewhere = Elsewhere { addresses: [address(1).to_string()], backup_taken_at: Some(at(END + 1)) };
    assert_eq!(world.replay().execute(Some(elsewhere), false).await.unwrap().came_back, []);
}

async fn what_is_still_being_deleted_is_said_and_found_again_afterwards(database: TestDatabase) {
    let (files, mail) = (TestEraser::new("files"), TestEraser::new("mail"));
    let world = World::new(database, &[files.clone(), mail.clone()]).await;
    mail.will_fail(1);
    let process = world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    world.erase().await;
    // The files come back with a backup although they were acknowledged to be gone.
    let replay = async || {
        let replayed =
            world.replay().execute(Some(at_the_end([address(1).to_string()])), false).await.unwrap();
        replayed.came_back.into_iter().map(|came_back| came_back.action).collect::<Vec<_>>()
    };
    assert_eq!(replay().await, [ReplayAction::StillDeleting(process.id().clone())]);
    world.set(END + DAY);
    assert_eq!(world.erase().await.completed, 1);
    assert!(matches!(replay().await.as_slice(), [ReplayAction::Started(_)]));
    // A task that is locked at the moment when it becomes due is for the next pass.
    let mut completed = 0;
    for _ in 0..3 {
        completed += world.erase().await.completed;
    }
    assert_eq!(completed, 1);
    assert_eq!(files.times_asked(), 2);
}

async fn one_that_fails_holds_up_no_other(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.initiate(2).await;
    world.back_up().await;
    world.set(END);
    world.delete(1).await;
    world.delete(2).await;
    world.restore().await;
    world
        .with_sql(|database| {
            database.execute(
                "UPDATE deletion_processes SET created_by_device = 'nobody' \
                 WHERE address = 'did:web:example.org:users:1'",
            )
        })
        .await;
    let replayed = world.replay().execute(nowhere(), false).await.unwrap();
    assert_eq!((replayed.failed, replayed.came_back.len()), (1, 1));
    assert_eq!(replayed.first_failure.unwrap().code, ErrorCode::AuditTrailBroken);
}

async fn only_looking_changes_nothing(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.back_up().await;
    world.set(END);
    world.delete(1).await;
    world.restore().await;
    let before = world.with_sql(reprieve_tests::Sql::dump).await;
    let replayed = world.replay().execute(nowhere(), true).await.unwrap();
    assert_eq!(replayed.came_back[0].action, ReplayAction::Found);
    assert_eq!(world.with_sql(reprieve_tests::Sql::dump).await, before);
}

async fn a_forged_entry_deletes_nobody(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.set(END);
    world.delete(1).await;
    world.initiate(2).await;
    let hash = world.store.identity_hash(&address(2)).to_string();
    world.change_journal(format!(
        "UPDATE journal_entries SET identity_hash = x'{hash}' WHERE status = 'Deleted'"
    ));
    let replayed = world.replay().execute(nowhere(), false).await.unwrap();
    assert_eq!(replayed.damaged.len(), 1, "{replayed:?}");
    assert_eq!(replayed.first_failure.unwrap().code, ErrorCode::JournalCorrupt);
    assert_eq!(world.open_process(2).await.unwrap().status(), Status::Active);
    assert_eq!(world.tasks(None).await, []);
}
