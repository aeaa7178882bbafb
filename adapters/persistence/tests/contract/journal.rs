//! The ports `Journal` and `JournaledTrail`, on both databases.

use std::sync::Arc;

use reprieve_application::ports::{
    AuditTrail, ErasureTasks, Housekeeping, Journal, JournalError, JournaledTrail, RememberedPause,
};
use reprieve_domain::Status;
use reprieve_domain::audit::{
    AuditKey, Fault, FaultKind, JournalEntry, JournalKind, PauseChange, Remembered,
};
use reprieve_persistence::{JournalDatabase, Store};
use reprieve_tests::TestDatabase;

use crate::closing::{close, completed};
use crate::support::*;

on_each_database!(
    a_journal_is_begun_once_and_only_with_its_key,
    what_is_appended_is_remembered_once,
    what_is_changed_in_the_journal_is_damaged_and_left_out_until_a_decision,
    a_kind_of_a_newer_version_leaves_the_process_unknown,
    entries_go_when_their_process_was_closed_for_long_enough,
    steps_are_unjournaled_until_they_are_noted,
    what_is_forgotten_is_noted_for_the_journal,
    a_database_knows_one_journal_until_another_is_adopted,
    what_the_database_lacks_is_noted_once,
    pauses_are_remembered_and_what_was_changed_counts_until_the_next_setting,
    a_journal_of_an_older_version_gets_what_it_lacks,
);

fn paused(changed_at: i64, is_paused: bool) -> PauseChange {
    PauseChange { changed_at, is_paused, reason: is_paused.then(|| "moved".to_owned()) }
}

async fn pauses_are_remembered_and_what_was_changed_counts_until_the_next_setting(database: TestDatabase) {
    let journal = begun(&database).await;
    assert_eq!(journal.pause().await.unwrap(), RememberedPause::default());
    let newest = paused(5, true);
    // In any order, and more than once.
    for change in [&paused(1, true), &paused(3, false), &newest, &paused(2, false), &newest] {
        journal.append_pause(change).await.unwrap();
    }
    let sound = RememberedPause { newest: Some(newest.clone()), is_damaged: false };
    assert_eq!(journal.pause().await.unwrap(), sound);
    let sql = Sql::connect(database.url()).await;
    assert_eq!(sql.column::<i64>("SELECT count(*) FROM journal_pauses").await, [4]);
    for (number, change) in ["is_paused = 0", "changed_at = 4", "reason = 'another'"].into_iter().enumerate()
    {
        sql.run(&format!("UPDATE journal_pauses SET {change} WHERE changed_at = (SELECT max(changed_at) FROM journal_pauses)"))
            .await;
        assert!(journal.pause().await.unwrap().is_damaged, "{change}");
        let later = paused(10 + i64::try_from(number).unwrap(), true);
        journal.append_pause(&later).await.unwrap();
        let sound = RememberedPause { newest: Some(later), is_damaged: false };
        assert_eq!(journal.pause().await.unwrap(), sound, "{change}");
    }
    journal.forget_closed_before(at(DAY), 9).await.unwrap();
    assert_eq!(journal.pause().await.unwrap().newest, Some(paused(12, true)), "the newest stays");
    assert_eq!(sql.column::<i64>("SELECT count(*) FROM journal_pauses").await, [1]);
}

async fn a_journal_of_an_older_version_gets_what_it_lacks(database: TestDatabase) {
    let older = begun(&database).await;
    older.append(&[entry(1, 1, Status::Active)]).await.unwrap();
    let sql = Sql::connect(database.url()).await;
    for change in ["DROP TABLE journal_pauses", "DROP TABLE journal_holds", "UPDATE journal SET version = 1"]
    {
        sql.run(change).await;
    }
    let journal = journal(&database);
    assert_eq!(journal.id().await.unwrap(), Some("own".to_owned()));
    journal.append_pause(&paused(1, true)).await.unwrap();
    assert_eq!(journal.pause().await.unwrap().newest, Some(paused(1, true)));
    assert_eq!(of_process(&journal, 1).await.entries.len(), 1);
}

fn journal(database: &TestDatabase) -> JournalDatabase {
    JournalDatabase::new(database.reached_url().parse().unwrap(), options(), audit_key())
}

fn entry(number: usize, revision: i64, status: Status) -> JournalEntry {
    let micros = |at: i64| Some(crate::support::at(at));
    JournalEntry {
        process_id: process_id(number),
        identity_hash: [u8::try_from(number).unwrap(); 32].into(),
        kind: JournalKind::Step,
        branch: 0,
        revision,
        entry_hash: [u8::try_from(revision).unwrap(); 32].into(),
        status,
        dates: reprieve_domain::audit::JournalDates {
            created_at: at(0),
            grace_period_ends_at: at(ENDS_AT),
            suspended_until: micros(ENDS_AT + 1).filter(|_| revision > 1),
            cancelled_at: micros(DAY).filter(|_| status == Status::Cancelled),
            deletion_started_at: micros(ENDS_AT)
                .filter(|_| matches!(status, Status::Deleting | Status::Deleted)),
            deletion_completed_at: micros(ENDS_AT + DAY).filter(|_| status == Status::Deleted),
        },
    }
}

async fn begun(database: &TestDatabase) -> JournalDatabase {
    let journal = journal(database);
    journal.begin("own").await.unwrap();
    journal
}

async fn of_process(journal: &JournalDatabase, number: usize) -> Remembered {
    let mut remembered = journal.remembered(&[process_id(number)]).await.unwrap();
    remembered.remove(&process_id(number)).unwrap_or_default()
}

async fn a_journal_is_begun_once_and_only_with_its_key(database: TestDatabase) {
    let own = Arc::new(journal(&database));
    assert_eq!(own.id().await.unwrap(), None);
    if let Some(folder) = database.folder() {
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "looking makes nothing");
    }
    let racing: Vec<_> = (0..4)
        .map(|number| {
            let journal = journal(&database);
            tokio::spawn(async move { journal.begin(&format!("id{number}")).await.unwrap() })
        })
        .collect();
    let mut begun = Vec::new();
    for one in racing {
        begun.push(one.await.unwrap());
    }
    begun.dedup();
    assert_eq!(begun.len(), 1, "{begun:?}");
    assert_eq!(own.id().await.unwrap(), begun.pop());
    let other_key = AuditKey::new(&(1..33).collect::<Vec<u8>>()).unwrap();
    let other = JournalDatabase::new(database.reached_url().parse().unwrap(), options(), other_key);
    assert!(matches!(other.id().await, Err(JournalError::Foreign { .. })));
    Sql::connect(database.url()).await.run("UPDATE journal SET version = 4").await;
    assert!(matches!(own.id().await, Err(JournalError::Newer { .. })));
}

#[tokio::test]
async fn a_place_where_no_journal_can_be_made_is_no_journal_that_is_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let journal = |path: &str| {
        let url = format!("sqlite:{}", folder.path().join(path).display()).parse().unwrap();
        JournalDatabase::new(url, options(), audit_key())
    };
    assert!(matches!(journal("file/journal").id().await, Err(JournalError::Unavailable { .. })));
    assert_eq!(journal("new/folder/journal").id().await.unwrap(), None);
}

async fn what_is_appended_is_remembered_once(database: TestDatabase) {
    let journal = begun(&database).await;
    let entries: Vec<_> = (0..450)
        .flat_map(|number| [entry(number % 200, 1, Status::Active), entry(number % 200, 2, Status::Deleted)])
        .collect();
    journal.append(&entries).await.unwrap();
    journal.append(&entries[..3]).await.unwrap();
    let figures = journal.figures().await.unwrap();
    assert_eq!((figures.entries, figures.processes), (400, 200));
    assert_eq!(figures.newest, journal.newest().await.unwrap());
    let known = of_process(&journal, 7).await;
    assert_eq!(known.entries, [entry(7, 1, Status::Active), entry(7, 2, Status::Deleted)]);
    assert!(!known.is_damaged);
    let (mut after, mut processes) = (0, Vec::new());
    while let Some(last) = {
        let page = journal.page(after, 150).await.unwrap();
        processes.extend(page.processes);
        page.last
    } {
        after = last;
    }
    processes.sort();
    processes.dedup();
    assert_eq!((processes.len(), after), (200, figures.newest));
}

async fn what_is_changed_in_the_journal_is_damaged_and_left_out_until_a_decision(database: TestDatabase) {
    let journal = begun(&database).await;
    for (number, change) in [
        "status = 'Active'",
        "revision = 3",
        "kind = 'decision'",
        "cancelled_at = cancelled_at + 1",
        "suspended_until = NULL",
        "deletion_started_at = 1",
        "process_id = 'IDP00000000000000099'",
    ]
    .into_iter()
    .enumerate()
    {
        journal
            .append(&[entry(number, 1, Status::Active), entry(number, 2, Status::Cancelled)])
            .await
            .unwrap();
        let id = process_id(number);
        let sql = format!("UPDATE journal_entries SET {change} WHERE process_id = '{id}' AND revision = 2");
        Sql::connect(database.url()).await.run(&sql).await;
        let changed = if change.starts_with("process_id") { 99 } else { number };
        assert!(of_process(&journal, changed).await.is_damaged, "{change}");
        let decision =
            JournalEntry { kind: JournalKind::Decision, branch: 1, ..entry(changed, 1, Status::Active) };
        journal.append(&[decision]).await.unwrap();
        assert!(!of_process(&journal, changed).await.is_damaged, "{change}");
    }
    assert_eq!(journal.page(0, 1000).await.unwrap().damaged.len(), 7);
}

async fn a_kind_of_a_newer_version_leaves_the_process_unknown(database: TestDatabase) {
    let journal = begun(&database).await;
    journal.append(&[entry(1, 1, Status::Active)]).await.unwrap();
    Sql::connect(database.url()).await.run("UPDATE journal_entries SET kind = 'hold'").await;
    assert!(of_process(&journal, 1).await.is_damaged);
}

async fn entries_go_when_their_process_was_closed_for_long_enough(database: TestDatabase) {
    let journal = begun(&database).await;
    let mut entries = Vec::new();
    for (number, status) in [Status::Active, Status::Cancelled, Status::Deleted].into_iter().enumerate() {
        entries.extend([entry(number, 1, Status::Active), entry(number, 2, status)]);
    }
    // Cancelled once, and open again by a decision.
    let decision = JournalEntry { kind: JournalKind::Decision, branch: 1, ..entry(3, 1, Status::Active) };
    entries.extend([entry(3, 2, Status::Cancelled), decision]);
    journal.append(&entries).await.unwrap();
    assert_eq!(journal.forget_closed_before(at(DAY), 10).await.unwrap(), 0);
    assert_eq!(journal.forget_closed_before(at(DAY + 1), 10).await.unwrap(), 1);
    assert_eq!(of_process(&journal, 1).await, Remembered::default());
    assert_eq!(journal.forget_closed_before(at(1000 * DAY), 10).await.unwrap(), 1);
    assert_eq!(journal.figures().await.unwrap().processes, 2);
    let newest = journal.newest().await.unwrap();
    journal.append(&[entry(9, 1, Status::Active)]).await.unwrap();
    assert!(journal.newest().await.unwrap() > newest, "places only grow");
}

async fn steps_are_unjournaled_until_they_are_noted(opened: Opened) {
    let store = &opened.store;
    for number in 0..3 {
        opened.initiated(&address(number), number).await;
    }
    let all = [0, 1, 2].map(process_id);
    assert_eq!(store.unjournaled(None, 9).await.unwrap(), all);
    assert_eq!(store.unjournaled(Some(all[0].to_string()), 1).await.unwrap(), all[1..2]);
    let accounts = store.accounts(&[process_id(0), process_id(9)]).await.unwrap();
    assert_eq!(accounts.len(), 1);
    let account = accounts[&process_id(0)].as_ref().unwrap();
    assert_eq!(account.entries().len(), 1);
    store.note_journaled(&all.clone().map(|id| (id, 1))).await.unwrap();
    assert_eq!(store.unjournaled(None, 9).await.unwrap(), []);
    opened.step(&address(1), |identity| cancel(identity, DAY)).await;
    assert_eq!(store.unjournaled(None, 9).await.unwrap(), all[1..2]);
    // It was taken a day after the others.
    for (instant, limit, behind) in [(DAY, 9, 0), (DAY + 1, 9, 1), (DAY + 1, 0, 0)] {
        assert_eq!(store.count_unjournaled_before(at(instant), limit).await.unwrap(), behind);
    }
    // What was taken while an earlier step was journaled is left.
    store.note_journaled(&[(process_id(1), 1)]).await.unwrap();
    assert_eq!(store.unjournaled(None, 9).await.unwrap(), all[1..2]);
    assert_eq!(store.processes_after(Some(String::new()), 2).await.unwrap(), all[..2]);
}

async fn what_is_forgotten_is_noted_for_the_journal(opened: Opened) {
    let (store, cancelled) = (&opened.store, process_id(10));
    opened.step(&address(1), |identity| initiate(identity, 10, 0)).await;
    opened.step(&address(1), |identity| cancel(identity, 1)).await;
    assert_eq!(store.cancelled_processes(at(2 * DAY), 9).await.unwrap().forgotten, 1);
    assert_eq!(store.forgotten(9).await.unwrap(), [], "its trail is kept");
    let accounts = store.accounts(std::slice::from_ref(&cancelled)).await.unwrap();
    assert_eq!(accounts[&cancelled].as_ref().unwrap().newest().unwrap().status, Status::Cancelled);
    started(&opened, 1, &[], ENDS_AT).await;
    let (task, receipt) = completed(&opened, 1, ENDS_AT).await;
    close(&opened, &task, &receipt).await;
    opened.sql.run("DELETE FROM outbox").await;
    assert_eq!(store.audit_trails(at(ENDS_AT + DAY), 9).await.unwrap().forgotten, 2);
    let forgotten = [process_id(1), cancelled];
    assert_eq!(store.forgotten(9).await.unwrap(), forgotten);
    store.note_forgotten(&forgotten).await.unwrap();
    assert_eq!(store.forgotten(9).await.unwrap(), []);
}

async fn a_database_knows_one_journal_until_another_is_adopted(opened: Opened) {
    let store = &opened.store;
    assert_eq!(store.known_journal().await.unwrap().id, None);
    assert_eq!(store.remember_journal("first").await.unwrap(), "first");
    assert_eq!(store.remember_journal("second").await.unwrap(), "first");
    store.note_position(7).await.unwrap();
    store.note_refill(None).await.unwrap();
    store.note_ledger(9).await.unwrap();
    let known = store.known_journal().await.unwrap();
    assert_eq!((known.position, known.refill_after, known.ledger_length), (7, None, Some(9)));
    store.quarantine(&[fault(1, FaultKind::OlderThanJournal)]).await.unwrap();
    store.adopt_journal("second", at(5)).await.unwrap();
    store.adopt_journal("third", at(6)).await.unwrap();
    let known = store.known_journal().await.unwrap();
    assert_eq!((known.id.as_deref(), known.position), (Some("third"), 0));
    assert_eq!((known.refill_after.as_deref(), known.ledger_length), (Some(""), None));
    assert_eq!(store.older(None, 9).await.unwrap(), []);
    assert_eq!(store.quarantined(None, 9).await.unwrap(), []);
    let adoptions = store.adoptions().await.unwrap();
    assert_eq!(
        (adoptions[0].known.as_deref(), adoptions[1].known.as_deref()),
        (Some("first"), Some("second"))
    );
    for change in ["adopted_at = 1", "known = NULL", "adopted = 'fourth'"] {
        opened.sql.run("CREATE TABLE kept AS SELECT * FROM journal_adoptions").await;
        opened.sql.run(&format!("UPDATE journal_adoptions SET {change} WHERE sequence = 1")).await;
        assert!(store.adoptions().await.is_err(), "{change}");
        assert_eq!(adoptions_fault(store).await, [FaultKind::JournalAdoptionsDiffer], "{change}");
        opened.sql.run("DELETE FROM journal_adoptions").await;
        opened.sql.run("INSERT INTO journal_adoptions SELECT * FROM kept").await;
        opened.sql.run("DROP TABLE kept").await;
    }
    assert_eq!(adoptions_fault(store).await, []);
    // The newest is the one that is known.
    opened.sql.run("CREATE TABLE kept AS SELECT * FROM journal_adoptions").await;
    opened.sql.run("DELETE FROM journal_adoptions WHERE sequence = 2").await;
    assert_eq!(adoptions_fault(store).await, [FaultKind::JournalAdoptionsDiffer]);
    opened.sql.run("INSERT INTO journal_adoptions SELECT * FROM kept WHERE sequence = 2").await;
    opened.sql.run("DELETE FROM journal_adoptions WHERE sequence = 1").await;
    assert!(store.adoptions().await.is_err());
}

async fn adoptions_fault(store: &Store) -> Vec<FaultKind> {
    store.contradictions().await.unwrap().into_iter().map(|fault| fault.kind).collect()
}

fn fault(number: usize, kind: FaultKind) -> Fault {
    Fault { process_id: process_id(number).to_string(), sequence: 2, kind }
}

async fn what_the_database_lacks_is_noted_once(opened: Opened) {
    let store = &opened.store;
    opened.initiated(&address(1), 1).await;
    let faults = [3, 2, 1].map(|number| fault(number, FaultKind::OlderThanJournal));
    store.quarantine(&faults).await.unwrap();
    store.quarantine(&faults[..1]).await.unwrap();
    store.quarantine(&[fault(4, FaultKind::JournalDamaged)]).await.unwrap();
    let events = "SELECT count(*) FROM outbox WHERE event_type = 'IdentityDeletionProcessQuarantined'";
    assert_eq!(opened.sql.column::<i64>(events).await, [1], "of the one that is stored");
    let quarantined = async || {
        let quarantined = store.quarantined(None, 9).await.unwrap();
        quarantined.into_iter().map(|one| (one.process_id, one.reason)).collect::<Vec<_>>()
    };
    let with = |number: usize, reason: &str| (process_id(number).to_string(), reason.to_owned());
    let all = [1, 2, 3].map(|number| with(number, "olderThanJournal"));
    assert_eq!(quarantined().await, [&all[..], &[with(4, "journalDamaged")]].concat());
    // Each is sound by itself, or not there: only the journal can say that it is right.
    assert_eq!(store.review_quarantine().await.unwrap(), 4);
    assert_eq!(store.doubted(None, 9).await.unwrap(), [1, 2, 3, 4].map(process_id));
    assert_eq!(store.doubted(Some(process_id(1).to_string()), 1).await.unwrap(), [process_id(2)]);
    assert_eq!(store.older(None, 9).await.unwrap(), [1, 2, 3].map(process_id));
    assert_eq!(store.older(Some(process_id(1).to_string()), 1).await.unwrap(), [process_id(2)]);
    store.note_current(&[1, 3, 4].map(process_id)).await.unwrap();
    assert_eq!(store.older(None, 9).await.unwrap(), [process_id(2)]);
    assert_eq!(quarantined().await, [with(2, "olderThanJournal")]);
    // Whatever the columns of the table say is found again.
    for change in ["DELETE FROM quarantined_processes", "DELETE FROM older_processes"] {
        opened.sql.run(change).await;
        store.quarantine(&faults[1..2]).await.unwrap();
        assert_eq!(store.older(None, 9).await.unwrap(), [process_id(2)]);
        assert_eq!(quarantined().await, [with(2, "olderThanJournal")]);
    }
}
