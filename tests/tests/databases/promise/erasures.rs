//! Erasers that are down, slow, gone or lying: nothing is erased before its time, nothing counts as done that is not, and
//! nothing is left behind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::Erasers;
use reprieve_application::ports::{DeletionProcesses, EraseAnswer, ErasePlan, EraseRequest, Eraser};
use reprieve_domain::{Address, EraserName, FailureCode, Status};
use reprieve_system::verify_receipt;
use reprieve_tests::TestDatabase;
use tokio::sync::Notify;

use super::on_each_database;
use super::world::{DAY, END, SECOND, TestEraser, World, address, at};

on_each_database!(
    what_is_deleted_is_gone_and_proven,
    without_erasers_a_deletion_is_complete_at_once,
    whoever_is_asked_finds_the_process_deleting_and_in_the_journal,
    without_a_journal_nothing_is_erased,
    one_that_is_down_holds_up_no_other_and_is_asked_again_later_and_later,
    one_that_is_given_up_waits_for_somebody_and_is_never_declared_done,
    one_that_works_on_it_is_polled_where_it_says,
    one_that_works_on_it_for_ever_is_given_up,
    what_one_says_after_it_acknowledged_changes_nothing,
    one_that_is_no_longer_configured_is_not_forgotten,
    whoever_lost_the_lease_can_store_nothing,
    a_hundred_deletions_are_completed_by_four_workers_once_each,
);

async fn what_is_deleted_is_gone_and_proven(database: TestDatabase) {
    let (files, mail) = (TestEraser::new("files"), TestEraser::new("mail"));
    let world = World::new(database, &[files.clone(), mail]).await;
    world.initiate(1).await;
    world.cancel(1).await.unwrap();
    world.set(DAY);
    let process = world.initiate(1).await;
    world.initiate(2).await;
    world.cancel(2).await.unwrap();
    world.set(DAY + END);
    world.start_deletions().await;
    let run = world.erase().await;
    assert_eq!((run.acknowledged, run.completed, run.failed, run.broken), (2, 1, 0, 0));

    let mut audited = world.audited(1).await.split_off(2);
    audited[2..4].sort_unstable();
    assert_eq!(
        audited,
        ["StartedByOwner", "DeletionStarted", "DataDeleted", "DataDeleted", "DeletionCompleted"]
    );
    assert_eq!(world.processes(1).await, []);
    assert_eq!(world.processes(2).await.len(), 1);
    assert_eq!(files.asked.lock().unwrap()[0].process_id, *process.id());
    let left = address(1).to_string();
    let tables = world.with_sql(move |database| {
        let tables = database.tables().into_iter();
        let mut with = Vec::new();
        for table in tables {
            with.extend(database.rows(&table).iter().any(|row| row.contains(&left)).then_some(table));
        }
        with
    });
    // Those who have to be told are told by address, and the row goes when its time is over.
    assert_eq!(tables.await, ["outbox"]);
    world.set(DAY + END + 7 * DAY + 1);
    world.keep_house().await;
    assert_eq!(world.events(1).await, [] as [serde_json::Value; 0]);

    let receipt = world.receipt(&process).await.unwrap();
    let signer = reprieve_system::JwsReceiptSigner::new(reprieve_application::SecretKey::new([7; 32]));
    let receipt = verify_receipt(&receipt, &signer.public_key_jwk()).unwrap();
    assert_eq!(receipt["processId"], process.id().as_str());
    assert_eq!(receipt["erasures"][0]["eraser"], "files");
    assert_eq!(receipt["erasures"][0]["count"], 3);
    assert_eq!(receipt["createdAt"], at(DAY).to_string());
    world.verify().await;
}

async fn without_erasers_a_deletion_is_complete_at_once(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let process = world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    assert_eq!(world.erase().await.completed, 1);
    assert!(world.receipt(&process).await.is_some());
}

/// Asks others while it is asked itself.
struct Witness {
    name: EraserName,
    world: Mutex<Option<Arc<World>>>,
    seen: Mutex<Vec<(Option<Status>, bool)>>,
}

#[async_trait]
impl Eraser for Witness {
    fn name(&self) -> &EraserName {
        &self.name
    }

    async fn erase(&self, request: &EraseRequest) -> EraseAnswer {
        let world = self.world.lock().unwrap().clone().unwrap();
        let process = world.store.find(&request.address, &request.process_id).await.unwrap();
        let entries = world.deletions_in_journal().await;
        let is_in_journal = entries.iter().any(|entry| entry.process_id == request.process_id);
        self.seen.lock().unwrap().push((process.map(|process| process.status()), is_in_journal));
        EraseAnswer::Erased { count: 1 }
    }

    async fn plan(&self, _: &Address) -> ErasePlan {
        ErasePlan::Unknown
    }
}

async fn whoever_is_asked_finds_the_process_deleting_and_in_the_journal(database: TestDatabase) {
    let witness = Arc::new(Witness {
        name: "witness".parse().unwrap(),
        world: Mutex::default(),
        seen: Mutex::default(),
    });
    let erasers = Erasers::new([witness.clone() as Arc<dyn Eraser>]).unwrap();
    let world = Arc::new(World::with(database, erasers).await);
    *witness.world.lock().unwrap() = Some(world.clone());
    for number in 0..20 {
        world.initiate(number).await;
    }
    world.set(END - 1);
    world.start_deletions().await;
    world.erase().await;
    assert_eq!(*witness.seen.lock().unwrap(), []);
    world.set(END);
    world.start_deletions().await;
    assert_eq!(world.erase().await.completed, 20);
    assert_eq!(*witness.seen.lock().unwrap(), vec![(Some(Status::Deleting), true); 20]);
    *witness.world.lock().unwrap() = None;
}

async fn without_a_journal_nothing_is_erased(database: TestDatabase) {
    let files = TestEraser::new("files");
    let mut world = World::new(database, std::slice::from_ref(&files)).await;
    world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    let journal = world.journal.clone();
    world.journal = Arc::new(super::world::journal_at("/nowhere/journal"));
    assert!(world.erasures().execute().await.is_err());
    assert_eq!(files.times_asked(), 0);
    // When the lease is over, it goes on.
    world.journal = journal;
    assert_eq!(world.erase().await.acknowledged, 0);
    world.set(END + 121 * SECOND);
    assert_eq!(world.erase().await.completed, 1);
}

async fn one_that_is_down_holds_up_no_other_and_is_asked_again_later_and_later(database: TestDatabase) {
    let (files, mail) = (TestEraser::new("files"), TestEraser::new("mail"));
    let world = World::new(database, &[files.clone(), mail.clone()]).await;
    files.will_fail(3);
    world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    let run = world.erase().await;
    assert_eq!((run.acknowledged, run.failed, run.completed), (1, 1, 0));
    // Each wait is between half of 10, 20 and 40 seconds and all of it.
    let mut now = END;
    for (failures, wait) in [(2, 10), (3, 20)] {
        world.set(now + wait * SECOND / 2 - 1);
        assert_eq!(world.erase().await.failed, 0, "before half of {wait} seconds");
        now += wait * SECOND;
        world.set(now);
        assert_eq!(world.erase().await.failed, 1, "after {wait} seconds");
        assert_eq!(files.times_asked(), failures);
    }
    now += 40 * SECOND;
    world.set(now);
    assert_eq!(world.erase().await.completed, 1);
    assert_eq!((files.times_asked(), mail.times_asked()), (4, 1));
    let failures = world.audited(1).await.iter().filter(|key| *key == "ErrorDuringDeletion").count();
    assert_eq!(failures, 3);
    world.verify().await;
}

async fn one_that_is_given_up_waits_for_somebody_and_is_never_declared_done(database: TestDatabase) {
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    files.will_fail(2);
    let process = world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    world.erase().await;
    world.set(END + DAY - 1);
    files.will_fail(1);
    world.erase().await;
    // A whole day after the first failure its time is over.
    world.set(END + DAY + 3600 * SECOND);
    let run = world.erase().await;
    assert_eq!((run.failed, run.stuck), (1, 1));
    let event = world.events(1).await.pop().unwrap();
    assert_eq!((&event["type"], &event["eraser"]), (&"IdentityErasureStuck".into(), &"files".into()));
    let figures = world.store.figures(world.now(), world.now()).await.unwrap();
    assert_eq!((figures.open, figures.deleting, figures.stuck), (1, 1, 1));
    for days in 2..100 {
        world.set(END + days * DAY);
        assert_eq!(world.erase().await.acknowledged, 0);
    }
    let open = world.open_process(1).await.unwrap();
    assert_eq!(open.status(), Status::Deleting);
    let tasks = world.tasks(Some(&process)).await;
    assert!(tasks.iter().any(|task| task.stuck_since.is_some()), "{tasks:?}");

    assert_eq!(world.retry().execute(process.id(), None).await.unwrap().due, 1);
    assert_eq!(world.erase().await.completed, 1);
    assert!(world.retry().execute(process.id(), None).await.is_err());
    world.verify().await;
}

async fn one_that_works_on_it_is_polled_where_it_says(database: TestDatabase) {
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    let poll = Some("https://files.example/jobs/1".to_owned());
    files.will(EraseAnswer::Working { poll: poll.clone(), ask_in: Some(Duration::from_mins(1)) });
    files.will(EraseAnswer::Working { poll: poll.clone(), ask_in: None });
    world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    assert_eq!(world.erase().await.working, 1);
    world.set(END + 60 * SECOND - 1);
    assert_eq!(world.erase().await.working, 0);
    world.set(END + 60 * SECOND);
    assert_eq!(world.erase().await.working, 1);
    world.set(END + 70 * SECOND);
    assert_eq!(world.erase().await.completed, 1);
    let asked: Vec<Option<String>> =
        files.asked.lock().unwrap().iter().map(|request| request.poll.clone()).collect();
    assert_eq!(asked, [None, poll.clone(), poll]);
    assert!(!world.audited(1).await.contains(&"ErrorDuringDeletion".to_owned()));
}

async fn one_that_works_on_it_for_ever_is_given_up(database: TestDatabase) {
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    for _ in 0..2 {
        files.will(EraseAnswer::Working { poll: None, ask_in: None });
    }
    world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    world.erase().await;
    world.set(END + DAY);
    let run = world.erase().await;
    assert_eq!((run.working, run.failed, run.stuck), (0, 1, 1));
}

async fn what_one_says_after_it_acknowledged_changes_nothing(database: TestDatabase) {
    let (liar, down) = (TestEraser::new("liar"), TestEraser::new("down"));
    let world = World::new(database, &[liar.clone(), down.clone()]).await;
    liar.will(EraseAnswer::Erased { count: 7 });
    liar.will(EraseAnswer::Erased { count: 9 });
    liar.will(EraseAnswer::Failed(FailureCode::unexpected_answer()));
    down.will_fail(1);
    let process = world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    world.erase().await;
    world.set(END + 3600 * SECOND);
    assert_eq!(world.erase().await.completed, 1);
    assert_eq!(liar.times_asked(), 1, "whoever has acknowledged is not asked again");
    let receipt = world.receipt(&process).await.unwrap();
    let signer = reprieve_system::JwsReceiptSigner::new(reprieve_application::SecretKey::new([7; 32]));
    assert_eq!(verify_receipt(&receipt, &signer.public_key_jwk()).unwrap()["erasures"][1]["count"], 7);
}

async fn one_that_is_no_longer_configured_is_not_forgotten(database: TestDatabase) {
    let (files, mail) = (TestEraser::new("files"), TestEraser::new("mail"));
    let mut world = World::new(database, &[files.clone(), mail.clone()]).await;
    world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    let all = world.configure(Erasers::new([mail as Arc<dyn Eraser>]).unwrap());
    let run = world.erase().await;
    assert_eq!((run.acknowledged, run.failed, run.completed), (1, 1, 0));
    world.configure(all);
    world.set(END + 10 * SECOND);
    assert_eq!(world.erase().await.completed, 1);
}

/// Answers when it is let.
struct Slow {
    name: EraserName,
    is_asked: Notify,
    may_answer: Notify,
}

#[async_trait]
impl Eraser for Slow {
    fn name(&self) -> &EraserName {
        &self.name
    }

    async fn erase(&self, _: &EraseRequest) -> EraseAnswer {
        self.is_asked.notify_one();
        self.may_answer.notified().await;
        EraseAnswer::Failed(FailureCode::timed_out())
    }

    async fn plan(&self, _: &Address) -> ErasePlan {
        ErasePlan::Unknown
    }
}

async fn whoever_lost_the_lease_can_store_nothing(database: TestDatabase) {
    let slow =
        Arc::new(Slow { name: "files".parse().unwrap(), is_asked: Notify::new(), may_answer: Notify::new() });
    let mut world = World::with(database, Erasers::new([slow.clone() as Arc<dyn Eraser>]).unwrap()).await;
    world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    let late = world.erasures();
    let late = tokio::spawn(async move { late.execute().await.unwrap() });
    slow.is_asked.notified().await;

    world.configure(Erasers::new([TestEraser::new("files") as Arc<dyn Eraser>]).unwrap());
    assert_eq!(world.erase().await.acknowledged, 0, "it is leased");
    world.set(END + 120 * SECOND);
    assert_eq!(world.erase().await.completed, 1);
    slow.may_answer.notify_one();
    let late = late.await.unwrap();
    assert_eq!((late.left_alone, late.failed, late.broken), (1, 0, 0));
    assert!(!world.audited(1).await.contains(&"ErrorDuringDeletion".to_owned()));
    world.verify().await;
}

async fn a_hundred_deletions_are_completed_by_four_workers_once_each(database: TestDatabase) {
    const MANY: usize = 100;
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    for number in 0..MANY {
        world.initiate(number).await;
    }
    world.set(END);
    world.start_deletions().await;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let worker = world.erasures();
        workers.spawn(async move { worker.execute().await.unwrap() });
    }
    let runs = workers.join_all().await;
    // Whoever comes last may find that the others have what is left: one more pass sees to the rest.
    let rest = world.erase().await.completed;
    assert_eq!(runs.iter().map(|run| run.completed).sum::<u64>() + rest, MANY as u64);
    assert_eq!(runs.iter().map(|run| run.broken).sum::<u64>(), 0);
    assert_eq!(files.times_asked(), MANY);
    assert_eq!(world.tasks(None).await, []);
    for number in 0..MANY {
        let audited = world.audited(number).await;
        assert_eq!(audited, ["StartedByOwner", "DeletionStarted", "DataDeleted", "DeletionCompleted"]);
    }
    world.verify().await;
}
