//! `DueProcesses`: what is due and nothing else, each asked about once, and one that fails holds up no other.

mod races;

use std::sync::Mutex;
use std::time::Duration;

use reprieve_application::StoreError;
use reprieve_application::ports::{AuditTrail, Due, DueProcesses, Found, Identities, Loaded, Position};
use reprieve_domain::{DeletionProcessId, Identity, Reminder, Status, Step};
use reprieve_persistence::Store;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::support::{
    DAY, ENDS_AT, Opened, address, at, cancel, erasers, initiate, on_each_database, on_sqlite, process_id,
};

on_each_database!(
    a_process_is_stepped_from_its_deadline_on,
    only_those_with_the_reminder_that_is_asked_for_are_asked_about,
    what_ends_at_the_lower_bound_is_left_out,
    what_is_not_longer_than_asked_for_is_left_out,
    every_walk_meets_each_process_once_in_the_order_of_deadlines_and_ids,
    what_is_ripe_comes_in_the_order_of_deadlines_whatever_reminders_were_sent,
    what_has_started_is_counted_from_an_instant_on_also_when_it_is_closed,
    what_was_changed_since_it_was_found_is_left_alone,
    one_that_cannot_be_written_holds_up_no_other,
    one_whose_audit_entry_is_taken_is_left_whole_and_holds_up_no_other,
    a_corrupt_row_holds_up_no_other,
    the_step_that_starts_a_deletion_makes_its_tasks_and_no_other_step_does,
    without_erasers_a_deletion_is_to_be_finished_at_once,
);

on_sqlite!(mod only_sqlite, an_id_that_is_no_text_holds_up_no_other);

fn due(ends_by: i64) -> Due {
    Due { reminded: None, ends_after: None, ends_by: at(ends_by), longer_than: None }
}

/// Starts the deletion with one eraser.
fn start_at(now: i64) -> impl Fn(&Identity) -> Option<Step> + Send + Sync {
    move |identity| {
        let id = identity.open_process()?.id();
        identity.start_deletion(id, erasers(&["files"]), at(now)).ok()
    }
}

type Decide<'a> = dyn Fn(&Identity) -> Option<Step> + Send + Sync + 'a;

/// What became of one batch.
#[derive(Debug, Default)]
struct Batch {
    stepped: Vec<DeletionProcessId>,
    left_alone: u64,
    failed: Vec<StoreError>,
    next: Option<Position>,
}

async fn step(store: &Store, due: Due, decide: &Decide<'_>) -> Batch {
    batch(store, due, None, 1000, decide).await
}

/// Finds what is due, decides on each and saves the steps, as a pass does.
async fn batch(store: &Store, due: Due, after: Option<Position>, limit: u32, decide: &Decide<'_>) -> Batch {
    let Found { processes, failed, next } = store.find_due(due, after, limit).await.unwrap();
    let mut batch = Batch { failed, next, ..Batch::default() };
    let mut verified = store.verified(&processes).await.unwrap();
    let mut decided = Vec::new();
    for process in processes {
        match verified.remove(&process) {
            Some(Ok(Loaded { value, version })) => {
                match Identity::with_open_process(value).ok().as_ref().and_then(decide) {
                    Some(step) => decided.push((step, version)),
                    None => batch.left_alone += 1,
                }
            }
            None => batch.left_alone += 1,
            Some(Err(fault)) => batch.failed.push(StoreError::Quarantined(fault)),
        }
    }
    let saved = store.save_all(&decided).await.unwrap();
    for ((step, _), saved) in decided.into_iter().zip(saved) {
        match saved {
            Ok(true) => batch.stepped.push(step.process().id().clone()),
            Ok(false) => batch.left_alone += 1,
            Err(error) => batch.failed.push(error),
        }
    }
    batch
}

fn ids(numbers: impl IntoIterator<Item = usize>) -> Vec<DeletionProcessId> {
    numbers.into_iter().map(process_id).collect()
}

async fn statuses(opened: &Opened) -> Vec<String> {
    opened.sql.column("SELECT status FROM deletion_processes ORDER BY id").await
}

async fn a_process_is_stepped_from_its_deadline_on(opened: Opened) {
    for number in 1..=3 {
        let created_at = i64::try_from(number).unwrap() - 2;
        opened.step(&address(number), |identity| initiate(identity, number, created_at)).await;
    }
    // The deadlines are one microsecond before now, now, and one after.
    let batch = step(&opened.store, due(ENDS_AT), &start_at(ENDS_AT)).await;
    assert_eq!((batch.stepped, batch.left_alone, batch.failed.len()), (ids([1, 2]), 0, 0));
    assert_eq!(batch.next, None);
    assert_eq!(statuses(&opened).await, ["Deleting", "Deleting", "Active"]);
    // The domain has its say as well: its clock is late.
    let batch = step(&opened.store, due(ENDS_AT + 1), &start_at(ENDS_AT)).await;
    assert_eq!((batch.stepped, batch.left_alone), (ids([]), 1));
}

async fn only_those_with_the_reminder_that_is_asked_for_are_asked_about(opened: Opened) {
    use Reminder::{First, Second, Third};
    // Which one was sent last counts, and none has to be sent before another.
    let reminders: [&[Reminder]; 7] =
        [&[], &[First], &[Second], &[First, Second], &[Third], &[Second, Third], &[First, Second, Third]];
    for (number, sent) in reminders.into_iter().enumerate() {
        opened.initiated(&address(number), number).await;
        for reminder in sent {
            let id = process_id(number);
            opened.step(&address(number), |identity| identity.remind(&id, *reminder, at(1)).unwrap()).await;
        }
    }
    for (reminded, expected) in
        [(None, vec![0]), (Some(First), vec![1]), (Some(Second), vec![2, 3]), (Some(Third), vec![4, 5, 6])]
    {
        let due = Due { reminded, ..due(ENDS_AT) };
        let batch = step(&opened.store, due, &start_at(ENDS_AT)).await;
        assert_eq!(batch.stepped, ids(expected), "{reminded:?}");
        assert_eq!(step(&opened.store, due, &start_at(ENDS_AT)).await.left_alone, 0);
    }
}

async fn what_ends_at_the_lower_bound_is_left_out(opened: Opened) {
    for number in 0..5 {
        let created_at = i64::try_from(number).unwrap();
        opened.step(&address(number), |identity| initiate(identity, number, created_at)).await;
    }
    let remind =
        |identity: &Identity| identity.remind(identity.open_process()?.id(), Reminder::First, at(DAY)).ok();
    let due = Due { ends_after: Some(at(ENDS_AT + 1)), ..due(ENDS_AT + 3) };
    assert_eq!(step(&opened.store, due, &remind).await.stepped, ids([2, 3]));
}

async fn what_is_not_longer_than_asked_for_is_left_out(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    let remind =
        |identity: &Identity| identity.remind(identity.open_process()?.id(), Reminder::First, at(DAY)).ok();
    let micros = u64::try_from(ENDS_AT).unwrap();
    for (length, expected) in [(micros, vec![]), (u64::MAX, vec![]), (micros - 1, vec![1])] {
        let due = Due { longer_than: Some(Duration::from_micros(length)), ..due(ENDS_AT) };
        let batch = step(&opened.store, due, &remind).await;
        assert_eq!((batch.stepped, batch.left_alone), (ids(expected), 0), "{length}");
    }
}

async fn every_walk_meets_each_process_once_in_the_order_of_deadlines_and_ids(opened: Opened) {
    const COUNT: usize = 11;
    // Ids rise, deadlines come in pairs that fall.
    for number in 0..COUNT {
        let created_at = -i64::try_from(number / 2).unwrap();
        opened.step(&address(number), |identity| initiate(identity, number, created_at)).await;
    }
    let expected = ids([10, 8, 9, 6, 7, 4, 5, 2, 3, 0, 1]);
    let start = start_at(ENDS_AT);
    let leave: &Decide<'_> = &|_| None;
    for (limit, decide) in
        [1, 2, 3, 5, 11, 12].map(|limit| (limit, leave)).into_iter().chain([(3, &start as _)])
    {
        let met = Mutex::new(Vec::new());
        let (mut after, mut stepped, mut left_alone): (Option<Position>, _, _) = (None, Vec::new(), 0);
        loop {
            let batch = batch(&opened.store, due(ENDS_AT), after, limit, &|identity| {
                met.lock().unwrap().push(identity.open_process()?.id().clone());
                decide(identity)
            })
            .await;
            assert!(batch.stepped.len() as u64 + batch.left_alone <= u64::from(limit));
            stepped.extend(batch.stepped);
            left_alone += batch.left_alone;
            after = batch.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(met.into_inner().unwrap(), expected, "{limit} at a time");
        assert_eq!(stepped.len() as u64 + left_alone, COUNT as u64);
        assert!(stepped.is_empty() || stepped == expected);
    }
    assert_eq!(statuses(&opened).await, ["Deleting"; COUNT]);
}

async fn what_is_ripe_comes_in_the_order_of_deadlines_whatever_reminders_were_sent(opened: Opened) {
    use Reminder::{First, Second, Third};
    const COUNT: usize = 12;
    let reminders = [None, Some(Third), Some(First), Some(Second)];
    for number in 0..COUNT {
        // The later it is created, the smaller is its id; two at a time.
        let (owner, id) = (address(number), process_id(COUNT - 1 - number));
        let created_at = i64::try_from(number / 2).unwrap();
        opened.step(&owner, |identity| initiate(identity, COUNT - 1 - number, created_at)).await;
        if let Some(reminder) = reminders[number % reminders.len()] {
            opened.step(&owner, |identity| identity.remind(&id, reminder, at(DAY)).unwrap()).await;
        }
    }
    opened.step(&address(5), |identity| cancel(identity, DAY)).await;
    let ends_by = at(ENDS_AT + 4);
    let expected = ids([10, 11, 8, 9, 7, 4, 5, 2, 3]);
    assert_eq!(opened.store.count_ripe(ends_by).await.unwrap(), 9);
    for limit in [1, 2, 3, 9, 10] {
        let (mut met, mut after) = (Vec::new(), None);
        loop {
            let found = opened.store.find_ripe(ends_by, after, limit).await.unwrap();
            assert!(found.processes.len() <= usize::try_from(limit).unwrap() && found.failed.is_empty());
            met.extend(found.processes);
            after = found.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(met, expected, "{limit} at a time");
    }
}

async fn what_has_started_is_counted_from_an_instant_on_also_when_it_is_closed(opened: Opened) {
    for (number, now) in [(1, ENDS_AT), (2, ENDS_AT + 1), (3, ENDS_AT + 2)] {
        crate::support::started(&opened, number, &[], now).await;
    }
    opened.initiated(&address(4), 4).await;
    opened.step(&address(4), |identity| cancel(identity, DAY)).await;
    for sql in ["SELECT 1", "DELETE FROM deletion_processes"] {
        opened.sql.run(sql).await;
        for (instant, expected) in [(-1, 3), (0, 2), (1, 1), (2, 0)] {
            let counted = opened.store.count_started_after(at(ENDS_AT + instant)).await.unwrap();
            assert_eq!(counted, expected, "{instant}");
        }
    }
}

async fn what_was_changed_since_it_was_found_is_left_alone(opened: Opened) {
    for number in 1..=3 {
        opened.initiated(&address(number), number).await;
    }
    let decide = |identity: &Identity| {
        // Meanwhile one is cancelled, and of another one somebody has put another head into the row.
        block_in_place(|| {
            Handle::current().block_on(async {
                if *identity.address() == address(1) {
                    opened.step(&address(1), |identity| cancel(identity, 1)).await;
                    let head = format!(
                        "UPDATE deletion_processes SET audit_head = audit_seal WHERE id = '{}'",
                        process_id(2)
                    );
                    opened.sql.run(&head).await;
                }
            });
        });
        start_at(ENDS_AT)(identity)
    };
    let batch = step(&opened.store, due(ENDS_AT), &decide).await;
    assert_eq!((batch.stepped, batch.left_alone, batch.failed.len()), (ids([3]), 2, 0));
    assert_eq!(statuses(&opened).await, ["Cancelled", "Active", "Deleting"]);
}

/// Spoils each of a few among a hundred, steps them all, and expects the others to be stepped.
async fn holds_up_no_other(
    opened: &Opened,
    spoil: impl AsyncFn(usize),
    is_expected: fn(&StoreError) -> bool,
) {
    for number in 0..100 {
        opened.initiated(&address(number), number).await;
    }
    let spoilt = [0, 42, 99];
    for number in spoilt {
        spoil(number).await;
    }
    let others = ids((0..100).filter(|number| !spoilt.contains(number)));
    let batch = batch(&opened.store, due(ENDS_AT), None, 100, &start_at(ENDS_AT)).await;
    assert_eq!((batch.stepped.len(), batch.left_alone, batch.failed.len()), (97, 0, 3));
    assert_eq!(batch.stepped, others);
    assert!(batch.failed.iter().all(is_expected), "{:?}", batch.failed);
    let deleting = "SELECT id FROM deletion_processes WHERE status = 'Deleting' ORDER BY id";
    let others: Vec<_> = others.iter().map(DeletionProcessId::as_str).collect();
    assert_eq!(opened.sql.column::<String>(deleting).await, others);
    let with_tasks = "SELECT DISTINCT process_id FROM erasure_tasks ORDER BY process_id";
    assert_eq!(opened.sql.column::<String>(with_tasks).await, others);
}

async fn one_that_cannot_be_written_holds_up_no_other(opened: Opened) {
    let unwritable = "'IDP00000000000000000', 'IDP00000000000000042', 'IDP00000000000000099'";
    opened
        .sql
        .run_either(
            &format!(
                "CREATE TRIGGER no BEFORE UPDATE ON deletion_processes WHEN NEW.id IN ({unwritable})
                 BEGIN SELECT RAISE(ABORT, 'no'); END"
            ),
            &format!(
                "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
                 CREATE TRIGGER no BEFORE UPDATE ON deletion_processes FOR EACH ROW
                 WHEN (NEW.id IN ({unwritable})) EXECUTE FUNCTION no()"
            ),
        )
        .await;
    holds_up_no_other(&opened, async |_| {}, |error| matches!(error, StoreError::Unavailable(_))).await;
}

/// Wherever it is among them; the last one has none behind it that could notice.
async fn one_whose_audit_entry_is_taken_is_left_whole_and_holds_up_no_other(opened: Opened) {
    let take = async |number| {
        let sql = "INSERT INTO audit_entries SELECT process_id, 2, created_at, old_status, new_status, message_key, \
                   additional_data, identity_hash, device_hash, hash FROM audit_entries WHERE process_id = $1";
        opened.sql.change(sql, [process_id(number).as_str().into()]).await;
    };
    holds_up_no_other(&opened, take, |error| matches!(error, StoreError::Quarantined(_))).await;
}

async fn a_corrupt_row_holds_up_no_other(opened: Opened) {
    let spoil = async |number| {
        let change = match number {
            0 => "status = 'Waiting'",
            42 => "address = 'nobody'",
            _ => "revision = 0",
        };
        let sql = format!("UPDATE deletion_processes SET {change} WHERE id = '{}'", process_id(number));
        opened.sql.run(&sql).await;
    };
    holds_up_no_other(&opened, spoil, |error| matches!(error, StoreError::Quarantined(_))).await;
}

/// SQLite takes any bytes for a text.
async fn an_id_that_is_no_text_holds_up_no_other(opened: Opened) {
    for number in 0..6 {
        opened.initiated(&address(number), number).await;
    }
    opened.sql.run("UPDATE deletion_processes SET id = CAST(x'00ff' || id AS TEXT) WHERE id LIKE '%0'").await;
    opened.sql.run("UPDATE deletion_processes SET id = CAST(id || x'ff' AS TEXT) WHERE id LIKE '%3'").await;
    let (mut after, mut stepped, mut failed) = (None, Vec::new(), 0);
    for batches in 1.. {
        let batch = batch(&opened.store, due(ENDS_AT), after, 2, &start_at(ENDS_AT)).await;
        stepped.extend(batch.stepped);
        failed += batch.failed.len();
        after = batch.next;
        if after.is_none() {
            break;
        }
        assert!(batches < 10, "it goes round in circles");
    }
    // The second one was the last of its batch, and so the first of the next.
    assert_eq!((stepped, failed), (ids([1, 2, 4, 5]), 3));
}

/// Process, eraser, address, when it is due, claims, failures.
async fn tasks(opened: &Opened) -> Vec<String> {
    let sql = "SELECT process_id || ' ' || eraser || ' ' || address || ' ' || due_at || ' ' || fence || ' ' || failures \
               FROM erasure_tasks ORDER BY process_id, eraser";
    opened.sql.column(sql).await
}

async fn the_step_that_starts_a_deletion_makes_its_tasks_and_no_other_step_does(opened: Opened) {
    let owner = address(1);
    opened.initiated_up_to(2, Status::Cancelled).await;
    opened.initiated(&owner, 3).await;
    opened.step(&owner, |identity| identity.remind(&process_id(3), Reminder::Third, at(1)).unwrap()).await;
    opened.step(&owner, |identity| cancel(identity, 2)).await;
    opened.initiated(&owner, 1).await;
    assert_eq!(tasks(&opened).await, [""; 0]);
    let start = |identity: &Identity| {
        identity.start_deletion(&process_id(1), erasers(&["mail", "files"]), at(ENDS_AT)).ok()
    };
    assert_eq!(step(&opened.store, due(ENDS_AT), &start).await.stepped, ids([1]));
    let never = i64::MAX;
    let now = at(ENDS_AT).unix_micros();
    let id = process_id(1);
    let expected = [("", never), ("files", now), ("mail", now)]
        .map(|(eraser, due_at)| format!("{id} {eraser} {owner} {due_at} 0 0"));
    assert_eq!(tasks(&opened).await, expected);
    let failure = "http-503".parse().unwrap();
    opened
        .step(&owner, |identity| {
            identity.record_erasure_failure(&id, &"mail".parse().unwrap(), failure, at(ENDS_AT)).unwrap()
        })
        .await;
    assert_eq!(tasks(&opened).await, expected);
}

async fn without_erasers_a_deletion_is_to_be_finished_at_once(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    let start =
        |identity: &Identity| identity.start_deletion(&process_id(1), erasers(&[]), at(ENDS_AT + 1)).ok();
    step(&opened.store, due(ENDS_AT + 1), &start).await;
    let due_at = at(ENDS_AT + 1).unix_micros();
    assert_eq!(tasks(&opened).await, [format!("{}  {} {due_at} 0 0", process_id(1), address(1))]);
}
