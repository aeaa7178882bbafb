//! What is remembered outside the database: whatever is put back, no identity is deleted that has cancelled.

use reprieve_application::use_cases::{Elsewhere, ForgetJournal, KeepJournal, Replayed, Retention};
use reprieve_application::{Coded, ErrorCode, Journaling};
use reprieve_domain::Status;
use reprieve_domain::audit::ErasureLedgerEntry;
use reprieve_system::LedgerFile;
use reprieve_tests::{Random, Sql, TestDatabase};
use std::sync::Arc;
use std::time::Duration;

use super::on_each_database;
use super::world::{DAY, END, TestEraser, World, address, at};

on_each_database!(
    whoever_had_cancelled_is_not_deleted_after_a_restore_and_is_cancelled_again,
    whatever_finds_a_process_that_was_put_back_quarantines_it_with_one_event,
    what_the_journal_has_damaged_is_quarantined_until_it_is_put_right,
    what_was_forgotten_since_the_journal_was_written_is_no_fault,
    one_process_that_is_put_back_is_quarantined_and_no_other_is_held_up,
    an_owner_cancels_what_was_put_back_until_its_end,
    a_journal_that_was_put_back_is_filled_again,
    another_journal_or_none_stops_everything_but_cancelling,
    an_identity_that_came_back_and_asked_anew_is_not_deleted_in_its_old_process,
    a_request_that_is_lost_is_listed_and_made_again_with_time_to_cancel,
    what_was_forgotten_is_not_missed,
    what_is_forgotten_by_the_journal_is_not_written_again,
    a_restore_of_everything_deletes_no_identity_that_had_cancelled,
    a_doubted_cancellation_is_journaled,
    lines_of_an_old_ledger_are_taken_over_and_forged_ones_are_not,
);

pub(super) fn nowhere() -> Option<Elsewhere<[String; 0]>> {
    None
}

impl World {
    /// An event of a quarantine is dated by the clock of the database, which is long ago here.
    async fn keep_house_and_events(&self) {
        let events = Duration::from_hours(24 * 10_000);
        self.keep_house_by(Retention { events, ..Retention::default() }).await;
    }

    async fn replayed(&self) -> Replayed {
        self.replay().execute(nowhere(), false).await.unwrap()
    }

    /// Puts the journal back to when it had so many entries.
    fn put_journal_back(&self, position: i64) {
        self.change_journal(format!(
            "DELETE FROM journal_entries WHERE position > {position}; \
             UPDATE sqlite_sequence SET seq = {position} WHERE name = 'journal_entries'"
        ));
    }

    pub(super) fn change_journal(&self, change: String) {
        let url = format!("sqlite:{}", self.journal.url().file().unwrap().display());
        std::thread::spawn(move || Sql::open(&url).execute(&change)).join().unwrap();
    }
}

async fn whoever_had_cancelled_is_not_deleted_after_a_restore_and_is_cancelled_again(database: TestDatabase) {
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    let process = world.initiate(1).await;
    world.initiate(2).await;
    world.back_up().await;
    world.set(DAY);
    world.cancel(1).await.unwrap();
    world.keep_journal().await;
    world.restore().await;
    world.set(END);
    // The other one, which nothing happened to, is deleted.
    let swept = world.start_deletions().await;
    assert_eq!((swept.stepped, swept.failed), (1, 1));
    assert_eq!(swept.first_failure.unwrap().code(), ErrorCode::DatabaseOlderThanJournal);
    world.erase().await;
    assert_eq!(world.keep_journal().await.older, 1);
    assert_eq!(world.open_process(1).await.unwrap().status(), Status::Active);
    let before = world.with_sql(Sql::dump).await;
    let looked = world.replay().execute(nowhere(), true).await.unwrap();
    assert_eq!(looked.cancelled_again.len(), 1);
    assert_eq!(world.with_sql(Sql::dump).await, before, "only looking changes nothing");
    let replayed = world.replayed().await;
    assert_eq!(replayed.cancelled_again[0].process_id, *process.id());
    let stored = world.processes(1).await.remove(0);
    assert_eq!(stored.status(), Status::Cancelled);
    assert_eq!(world.audited(1).await, ["StartedByOwner", "CancellationRestored"]);
    let event = world.events(1).await.pop().unwrap().to_string();
    assert!(event.contains("IdentityDeletionCancelled"), "{event}");
    world.verify().await;
    assert_eq!(world.keep_journal().await.older, 0);
    let again = world.replayed().await;
    assert_eq!((again.cancelled_again.len(), again.accepted, again.failed), (0, 0, 0), "{again:?}");
    // It can ask anew, and be deleted then.
    world.set(END + DAY);
    world.initiate(1).await;
    world.set(2 * END + DAY);
    assert_eq!(world.start_deletions().await.stepped, 1);
}

/// What says that the database is older than its journal, besides metric, log and the body of `ready`.
async fn whatever_finds_a_process_that_was_put_back_quarantines_it_with_one_event(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    for number in 1..=4 {
        world.initiate(number).await;
    }
    world.back_up().await;
    world.initiate(5).await;
    for number in [1, 2] {
        world.cancel(number).await.unwrap();
    }
    world.keep_journal().await;
    world.restore().await;
    let quarantined = async |number: usize| {
        let events = world.events(number).await;
        let of_quarantine = events.iter().filter(|event| {
            let event = event.to_string();
            event.contains("IdentityDeletionProcessQuarantined") && event.contains("olderThanJournal")
        });
        of_quarantine.count()
    };
    // By a worker, which is about to act on one of them.
    let process = world.open_process(1).await.unwrap();
    let found = world.audit_trail().verified(std::slice::from_ref(process.id())).await.unwrap();
    assert!(found[process.id()].is_err());
    assert_eq!((quarantined(1).await, quarantined(2).await), (1, 0));
    // By the journal pass, although no worker has anything to do. A restore puts back how far the two were compared.
    world
        .with_sql(|sql| sql.execute("UPDATE deployment SET value = '0' WHERE name = 'journal_position'"))
        .await;
    assert_eq!(world.keep_journal().await.older, 3);
    for _ in 0..2 {
        world.keep_journal().await;
        world.keep_house_and_events().await;
        world.remind().await;
        world.set(END);
        assert_eq!(world.start_deletions().await.failed, 2);
        world.set(0);
    }
    for (number, events) in [(1, 1), (2, 1), (3, 0), (4, 0), (5, 0)] {
        assert_eq!(quarantined(number).await, events, "{number}");
    }
    assert_eq!(world.figures().await.quarantined, 3, "the one that is not stored included");
    let compared = world.compared().await.unwrap_err().to_string();
    assert!(compared.contains("lacks what the journal has"), "{compared}");
    assert!(compared.contains("and 2 more processes"), "{compared}");
    world.verify().await;
    // A replay ends it, but for the request that is lost.
    let replayed = world.replayed().await;
    assert_eq!((replayed.cancelled_again.len(), replayed.lost.len()), (2, 1));
    assert_eq!(world.keep_journal().await.older, 1);
    assert_eq!(world.figures().await.quarantined, 1);
    assert_eq!((quarantined(1).await, quarantined(2).await), (1, 1));
}

async fn what_the_journal_has_damaged_is_quarantined_until_it_is_put_right(database: TestDatabase) {
    let mut world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.keep_journal().await;
    let damage = |change: &'static str| world.change_journal(change.to_owned());
    damage("UPDATE journal_entries SET grace_period_ends_at = grace_period_ends_at + 1");
    world.set(END);
    for _ in 0..2 {
        let swept = world.start_deletions().await;
        assert_eq!((swept.stepped, swept.failed), (0, 1));
        world.keep_house_and_events().await;
        assert_eq!(world.figures().await.quarantined, 1);
    }
    let events = world.events(1).await;
    assert_eq!(
        events.iter().filter(|event| event.to_string().contains("journalDamaged")).count(),
        1,
        "{events:?}"
    );
    let compared = world.compared().await.unwrap_err().to_string();
    assert!(compared.contains("what the journal has of process"), "{compared}");
    damage("UPDATE journal_entries SET grace_period_ends_at = grace_period_ends_at - 1");
    assert_eq!(world.keep_journal().await.older, 0);
    assert_eq!(world.figures().await.quarantined, 0);
    assert_eq!(world.compared().await.unwrap().journal, Some(Ok(1)));
    assert_eq!(world.start_deletions().await.stepped, 1);
    // It says so if it was not compared.
    let folder = tempfile::tempdir().unwrap();
    world.journal = Arc::new(super::world::journal_at(folder.path().join("missing")));
    let not_compared = world.compared().await.unwrap().journal.unwrap().unwrap_err();
    assert_eq!(not_compared.code, ErrorCode::JournalMissing);
}

/// What was forgotten in time is not missed, although the journal does not know that it was.
async fn what_was_forgotten_since_the_journal_was_written_is_no_fault(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    world.erase().await;
    world.keep_journal().await;
    world.with_sql(|sql| sql.execute("DELETE FROM outbox")).await;
    world.set(END + 2 * DAY);
    let retention = Retention { audit_trails: Duration::from_hours(24), ..Retention::default() };
    assert_eq!(world.keep_house_by(retention).await.audit_trails, 1);
    assert_eq!(world.compared().await.unwrap().journal, Some(Ok(1)));
    world.with_sql(|sql| sql.execute("DELETE FROM forgotten_processes")).await;
    assert!(world.compared().await.is_err());
}

async fn one_process_that_is_put_back_is_quarantined_and_no_other_is_held_up(database: TestDatabase) {
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    let id = world.initiate(1).await.id().to_string();
    world.initiate(2).await;
    let copy = "CREATE TABLE saved AS SELECT * FROM deletion_processes WHERE id = ";
    world
        .with_sql({
            let id = id.clone();
            move |sql| sql.execute(&format!("{copy}'{id}'"))
        })
        .await;
    world.cancel(1).await.unwrap();
    world.keep_journal().await;
    world
        .with_sql(move |sql| {
            sql.drop_triggers();
            sql.execute(&format!("DELETE FROM deletion_processes WHERE id = '{id}'"));
            sql.execute("INSERT INTO deletion_processes SELECT * FROM saved");
            sql.execute(&format!("DELETE FROM audit_entries WHERE process_id = '{id}' AND sequence = 2"));
            sql.execute(&format!("DELETE FROM outbox WHERE process_id = '{id}' AND revision = 2"));
            sql.execute("DROP TABLE saved");
        })
        .await;
    // By itself it is as it was.
    world.verify().await;
    world.set(END);
    let swept = world.start_deletions().await;
    assert_eq!((swept.stepped, swept.failed), (1, 1));
    world.erase().await;
    assert_eq!(files.times_asked(), 1);
    assert_eq!(world.processes(2).await, []);
}

async fn an_owner_cancels_what_was_put_back_until_its_end(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.back_up().await;
    world.set(3 * DAY);
    world.remind().await;
    world.cancel(1).await.unwrap();
    world.keep_journal().await;
    world.restore().await;
    world.set(END - 1);
    world.cancel(1).await.unwrap();
    assert_eq!(world.keep_journal().await.older, 1);
    let replayed = world.replayed().await;
    assert_eq!((replayed.accepted, replayed.cancelled_again.len()), (1, 0));
    assert_eq!(world.keep_journal().await.older, 0);
}

async fn a_journal_that_was_put_back_is_filled_again(database: TestDatabase) {
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    for number in 1..=3 {
        world.initiate(number).await;
    }
    world.keep_journal().await;
    let position = world.keep_journal_position().await;
    world.cancel(1).await.unwrap();
    world.set(END);
    world.start_deletions().await;
    world.erase().await;
    world.keep_journal().await;
    let before = world.in_journal().await;
    world.put_journal_back(position);
    assert_ne!(world.in_journal().await, before);
    let kept = world.keep_journal().await;
    assert_eq!((kept.older, world.in_journal().await), (0, before));
}

impl World {
    async fn keep_journal_position(&self) -> i64 {
        use reprieve_application::ports::Journal as _;
        self.journal.newest().await.unwrap()
    }
}

async fn another_journal_or_none_stops_everything_but_cancelling(database: TestDatabase) {
    let files = TestEraser::new("files");
    let mut world = World::new(database, std::slice::from_ref(&files)).await;
    world.initiate(1).await;
    world.initiate(2).await;
    world.keep_journal().await;
    let folder = tempfile::tempdir().unwrap();
    let own = world.journal.clone();
    let stopped = async |world: &World, code: ErrorCode| {
        let error = KeepJournal::new(world.journaling()).execute().await;
        assert_eq!(error.unwrap_err().code(), code);
        let started = world.try_start_deletions().await;
        assert_eq!(started.unwrap_err().code(), code);
    };
    world.journal = Arc::new(super::world::journal_at(folder.path().join("missing")));
    world.set(END - 1);
    world.cancel(1).await.unwrap();
    world.set(END);
    stopped(&world, ErrorCode::JournalMissing).await;
    assert!(!folder.path().join("missing").exists(), "none is made");
    {
        use reprieve_application::ports::Journal as _;
        world.journal.begin("another").await.unwrap();
    }
    stopped(&world, ErrorCode::JournalForeign).await;
    let clock = Arc::new(world.now());
    let adopt = reprieve_application::use_cases::AdoptJournal::new(world.journaling(), clock.clone());
    let adopted = adopt.execute().await.unwrap();
    assert_eq!((adopted.id.as_str(), adopted.is_new), ("another", false));
    let kept = world.keep_journal().await;
    assert_eq!((kept.older, world.in_journal().await.len()), (0, 2), "it is filled");
    assert_eq!(world.try_start_deletions().await.unwrap().stepped, 1);
    // The old one is the foreign one now.
    world.journal = own;
    let error = KeepJournal::new(world.journaling()).execute().await;
    assert_eq!(error.unwrap_err().code(), ErrorCode::JournalForeign);
}

async fn an_identity_that_came_back_and_asked_anew_is_not_deleted_in_its_old_process(database: TestDatabase) {
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    world.initiate(1).await;
    world.back_up().await;
    world.set(END);
    world.start_deletions().await;
    world.erase().await;
    world.set(END + DAY);
    let anew = world.initiate(1).await;
    world.keep_journal().await;
    world.restore().await;
    world.set(END + 2 * DAY);
    let replayed = world.replayed().await;
    assert_eq!((replayed.came_back.len(), replayed.cancelled_again.len()), (0, 1), "{replayed:?}");
    assert_eq!(replayed.lost[0].process_id, *anew.id());
    assert_eq!(replayed.lost[0].grace_period_ends_at, anew.grace_period_ends_at());
    assert_eq!(world.open_process(1).await, None, "it can ask again, or stay");
    assert_eq!(files.times_asked(), 1);
    world.verify().await;
}

async fn a_request_that_is_lost_is_listed_and_made_again_with_time_to_cancel(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.back_up().await;
    let lost = world.initiate(1).await;
    world.keep_journal().await;
    world.restore().await;
    world.set(END - DAY);
    let replayed = world.replayed().await;
    assert_eq!((replayed.lost.len(), &replayed.lost[0].address), (1, &None));
    assert_eq!(world.keep_journal().await.older, 1);
    let named = || Some(Elsewhere { addresses: [address(1).to_string()], backup_taken_at: None });
    let replayed = world.replay().execute(named(), false).await.unwrap();
    let made_again = replayed.lost[0].made_again.clone().unwrap();
    let open = world.open_process(1).await.unwrap();
    assert_eq!((open.id(), open.created_at()), (&made_again, lost.created_at()));
    assert_eq!(open.grace_period_ends_at(), at(END - DAY + 7 * DAY));
    assert_eq!(world.keep_journal().await.older, 0);
    let again = world.replay().execute(named(), false).await.unwrap();
    assert_eq!((again.lost.len(), again.accepted), (0, 0), "{again:?}");
}

async fn what_was_forgotten_is_not_missed(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.set(END);
    world.start_deletions().await;
    world.erase().await;
    world.keep_journal().await;
    world.with_sql(|sql| sql.execute("DELETE FROM outbox")).await;
    world.set(END + 2 * DAY);
    let retention = Retention { audit_trails: Duration::from_hours(24), ..Retention::default() };
    assert_eq!(world.keep_house_by(retention).await.audit_trails, 1);
    let kept = world.keep_journal().await;
    assert_eq!((kept.forgotten, kept.older), (1, 0));
    assert_eq!(world.replayed().await.accepted, 0);
    // The journal was put back, too: it lacks what was forgotten since, which is known from nothing else.
    assert_eq!(world.keep_journal().await.older, 0);
}

async fn what_is_forgotten_by_the_journal_is_not_written_again(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.initiate(2).await;
    world.cancel(1).await.unwrap();
    world.keep_journal().await;
    let keep = |days: u64| {
        let ids = Arc::new(reprieve_system::SystemIds);
        let clock = Arc::new(world.now());
        let length = Duration::from_hours(24 * days);
        Journaling::new(world.journal.clone(), world.store.clone(), clock, ids, length)
    };
    world.set(10 * DAY);
    assert_eq!(ForgetJournal::new(keep(20), world.store.clone()).execute().await.unwrap(), 0);
    assert_eq!(ForgetJournal::new(keep(5), world.store.clone()).execute().await.unwrap(), 1);
    world.with_sql(|sql| sql.execute("INSERT INTO deployment VALUES ('journal_refill_after', '')")).await;
    let kept = KeepJournal::new(keep(5)).execute().await.unwrap();
    assert_eq!((kept.older, world.in_journal().await.len()), (0, 1));
}

/// Every state before and after the backup.
async fn a_restore_of_everything_deletes_no_identity_that_had_cancelled(database: TestDatabase) {
    const IDENTITIES: usize = 60;
    let files = TestEraser::new("files");
    let world = World::new(database, std::slice::from_ref(&files)).await;
    let mut random = Random::new();
    for number in 0..IDENTITIES {
        if number % 3 != 0 {
            world.initiate(number).await;
        }
        if number % 7 == 0 && number % 3 != 0 {
            world.cancel(number).await.unwrap();
        }
    }
    world.back_up().await;
    world.set(DAY);
    let mut cancelled = Vec::new();
    for number in 0..IDENTITIES {
        let open = world.open_process(number).await.is_some();
        match random.below(3) {
            0 if open => {
                world.cancel(number).await.unwrap();
                cancelled.push(number);
            }
            1 if !open => drop(world.initiate(number).await),
            _ => {}
        }
    }
    world.set(END);
    world.start_deletions().await;
    world.erase().await;
    world.keep_journal().await;
    let deleted = world.deletions_in_journal().await.len();
    let asked = files.times_asked();
    assert!(cancelled.len() > 5 && deleted > 5, "{} {deleted}", cancelled.len());
    world.restore().await;
    world.set(END + DAY);
    world.start_deletions().await;
    world.erase().await;
    for number in &cancelled {
        assert_eq!(world.open_process(*number).await.unwrap().status(), Status::Active, "{number}");
    }
    let replayed = world.replayed().await;
    assert_eq!((replayed.failed, replayed.cancelled_again.len()), (0, cancelled.len()), "{replayed:?}");
    assert!(replayed.contradictions.is_empty(), "{replayed:?}");
    world.start_deletions().await;
    while world.erase().await.completed > 0 {}
    for number in &cancelled {
        assert_eq!(world.open_process(*number).await, None, "{number}");
        assert_eq!(world.processes(*number).await.last().unwrap().status(), Status::Cancelled, "{number}");
    }
    // Those that were deleted once are gone again, and nothing else was asked for.
    assert_eq!(files.times_asked() - asked, replayed.came_back.len(), "{replayed:?}");
    world.verify().await;
    let again = world.replayed().await;
    assert_eq!((again.came_back.len(), again.cancelled_again.len(), again.accepted), (0, 0, 0));
}

/// As older versions wrote it.
fn as_written(line: &ErasureLedgerEntry) -> String {
    let line = serde_json::json!({
        "processId": line.process_id,
        "identityHash": line.identity_hash.to_string(),
        "createdAt": line.created_at,
        "gracePeriodEndsAt": line.grace_period_ends_at,
        "deletionStartedAt": line.deletion_started_at,
        "seal": line.seal.to_string(),
    });
    format!("{line}\n")
}

/// An older version deleted an identity, and a backup from before was restored with the upgrade.
async fn lines_of_an_old_ledger_are_taken_over_and_forged_ones_are_not(database: TestDatabase) {
    let files = TestEraser::new("files");
    let mut world = World::new(database, std::slice::from_ref(&files)).await;
    world.initiate(1).await;
    world.initiate(2).await;
    world.back_up().await;
    world.set(END);
    world.start_deletions().await;
    let key = super::world::audit_key();
    let deleting = world.open_process(1).await.unwrap();
    let line = key.ledger_entry(&deleting).unwrap();
    let identity_hash = key.pseudonym_of_identity(&address(2));
    let process_id = world.open_process(2).await.unwrap().id().clone();
    let forged = ErasureLedgerEntry { process_id, identity_hash, ..line.clone() };
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(LedgerFile::new(folder.path().join("ledger")));
    let lines = [line, forged].map(|line| as_written(&line)).concat();
    std::fs::write(folder.path().join("ledger"), lines).unwrap();
    world.restore().await;
    world.with_sql(|sql| sql.execute("DELETE FROM deployment WHERE name LIKE 'journal%'")).await;
    world.journal = Arc::new(super::world::journal_at(folder.path().join("journal")));
    let keep = || KeepJournal::new(world.journaling()).with_ledger(ledger.clone(), world.store.clone());
    let kept = keep().execute().await.unwrap();
    assert_eq!((kept.taken_over, kept.older), (1, 1));
    assert_eq!(keep().execute().await.unwrap().taken_over, 0, "it has not grown");
    assert_eq!(world.start_deletions().await.stepped, 1, "only the one that the line is not about");
    let replayed = world.replayed().await;
    assert_eq!((replayed.came_back.len(), replayed.failed), (1, 0), "{replayed:?}");
    assert_eq!(world.erase().await.completed, 2);
    assert_eq!(keep().execute().await.unwrap().older, 0);
}

async fn a_doubted_cancellation_is_journaled(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.back_up().await;
    world
        .with_sql(|sql| sql.execute("UPDATE audit_entries SET additional_data = '{}' WHERE sequence = 1"))
        .await;
    world.cancel(1).await.unwrap();
    world.keep_journal().await;
    assert_eq!(world.in_journal().await[0].status, Status::Cancelled);
    world.restore().await;
    world.set(END);
    assert_eq!(world.start_deletions().await.stepped, 0);
}
