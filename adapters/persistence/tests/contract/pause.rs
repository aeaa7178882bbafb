//! While deletions are paused, nothing starts, is claimed, completed or closed, whichever instance asks.

use std::time::Duration;

use reprieve_application::ports::{
    AuditTrail as _, DeletionsSwitch as _, ErasureTasks, Identities as _, JournaledTrail as _, Loaded, Pause,
    Settlement, SwitchSetting, TaskOutcome,
};
use reprieve_application::{Receipt, StoreError};
use reprieve_domain::audit::FaultKind;
use reprieve_domain::{Reminder, Status};
use reprieve_persistence::Store;

use crate::support::*;

const NOW: i64 = ENDS_AT;

on_each_database!(
    nothing_starts_is_claimed_completed_or_closed_while_deletions_are_paused,
    the_switch_is_as_it_was_set_for_every_instance_and_every_setting_is_audited,
    what_does_not_verify_counts_as_paused_until_it_is_resumed,
    a_pause_that_was_lost_is_stored_again_unless_there_is_a_later_setting,
    patience_with_erasers_stands_still_while_deletions_are_paused,
    what_an_older_version_writes_starts_and_claims_nothing_while_deletions_are_paused,
);

on_postgres!(mod two_writers, a_pause_waits_for_what_has_not_seen_it);

fn paused(reason: &str) -> SwitchSetting {
    SwitchSetting::Paused(reason.parse().unwrap())
}

async fn pause(store: &Store) {
    assert!(store.set(&paused("moved"), at(NOW)).await.unwrap());
}

async fn resume(store: &Store) {
    assert!(store.set(&SwitchSetting::Resumed(None), at(NOW)).await.unwrap());
}

fn is_refused<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Paused(_)))
}

async fn nothing_starts_is_claimed_completed_or_closed_while_deletions_are_paused(opened: Opened) {
    let store = opened.another_store().await;
    // One to start, one to erase, one to complete, one to close.
    for number in [1, 5, 6] {
        opened.initiated(&address(number), number).await;
    }
    started(&opened, 2, &["files"], NOW).await;
    let asked = claim(&store, NOW, NOW + 1, 9).await.remove(0);
    started(&opened, 3, &[], NOW).await;
    started(&opened, 4, &[], NOW).await;
    let completed = opened.step(&address(4), |identity| complete(identity, NOW)).await;
    let finishing = finish(&opened, 4, NOW).await;
    let verified = process_of(&opened, &finishing).await;
    let hash = store.identity_hash(completed.address());
    let receipt = Receipt::of(&verified.value, hash, verified.version).unwrap();
    pause(&opened.store).await;

    let Loaded { value, version } = store.load(&address(1)).await.unwrap();
    let starting = start(&value, &["files"], NOW);
    assert!(is_refused(&save(&store, &starting, version).await));
    let Loaded { value: other, version: of_other } = store.load(&address(5)).await.unwrap();
    let steps = [(starting.clone(), version), (start(&other, &[], NOW), of_other)];
    assert!(is_refused(&store.save_all(&steps).await));
    assert!(is_refused(&store.claim(at(NOW + DAY), at(NOW + 2 * DAY), 9).await));
    let Loaded { value: complete_one, version: of_complete } = store.load(&address(3)).await.unwrap();
    assert!(is_refused(&save(&store, &complete(&complete_one, NOW), of_complete).await));
    assert!(is_refused(&ErasureTasks::close(&store, &finishing, &receipt, "signed").await));

    // Everything else goes on: what was asked before is stored, what was not even asked is given back.
    let Loaded { value: erasing, version: of_erasing } = process_of(&opened, &asked).await;
    let erasing = reprieve_domain::Identity::with_open_process(erasing).unwrap();
    let acknowledged = erasing.record_erasure(&process_id(2), &eraser("files"), 1, at(NOW)).unwrap();
    record(&store, &asked, (&acknowledged, of_erasing), TaskOutcome::Acknowledged, NOW).await.unwrap();
    let back = Settlement::GivenBack { again_at: at(NOW) };
    store.settle(&finishing, back, at(NOW)).await.unwrap();
    opened.step(&address(5), |identity| cancel(identity, NOW - 1)).await;
    let id = process_id(6);
    opened.step(&address(6), |identity| identity.remind(&id, Reminder::First, at(DAY)).unwrap()).await;
    opened.initiated(&address(7), 7).await;
    waive_and_retry(&opened).await;
    assert_eq!(opened.processes(&address(1)).await[0].status(), Status::Active);

    resume(&store).await;
    save(&opened.store, &starting, version).await.unwrap();
    let claimed = claim(&opened.store, NOW + DAY, NOW + 2 * DAY, 9).await;
    assert_eq!(claimed.len(), 4, "{claimed:?}");
    opened.step(&address(3), |identity| complete(identity, NOW)).await;
    let finishing = claimed.into_iter().find(|task| task.process_id == process_id(4)).unwrap();
    ErasureTasks::close(&opened.store, &finishing, &receipt, "signed").await.unwrap();
    assert_eq!(store.contradictions().await.unwrap(), []);
}

/// Operators have a choice all the same.
async fn waive_and_retry(opened: &Opened) {
    let retried = opened.store.retry(&process_id(2), None, at(NOW)).await.unwrap();
    assert_eq!((retried.due, retried.being_performed), (0, 0));
}

async fn the_switch_is_as_it_was_set_for_every_instance_and_every_setting_is_audited(opened: Opened) {
    let store = opened.another_store().await;
    assert_eq!(store.pause_in_force().await.unwrap(), None);
    assert!(!store.set(&SwitchSetting::Resumed(None), at(NOW)).await.unwrap());
    for (number, reason) in [(1, "moved"), (2, "something else")] {
        assert!(opened.store.set(&paused(reason), at(number)).await.unwrap());
        let expected = Pause::Ordered { since: at(number), reason: reason.parse().unwrap() };
        for instance in [&store, &opened.store, &opened.another_store().await] {
            assert_eq!(instance.pause_in_force().await.unwrap(), Some(expected.clone()));
        }
    }
    let resumed = SwitchSetting::Resumed(Some("it was moved".parse().unwrap()));
    assert!(store.set(&resumed, at(3)).await.unwrap());
    assert!(!opened.store.set(&resumed, at(4)).await.unwrap());
    assert_eq!(opened.store.pause_in_force().await.unwrap(), None);
    let changes = "SELECT sequence * 100 + is_paused * 10 + CASE WHEN reason IS NULL THEN 0 ELSE 1 END \
                   FROM pause_changes ORDER BY sequence";
    assert_eq!(opened.sql.column::<i64>(changes).await, [111, 211, 301]);
    assert_eq!(store.contradictions().await.unwrap(), []);
}

async fn a_pause_that_was_lost_is_stored_again_unless_there_is_a_later_setting(opened: Opened) {
    let store = &opened.store;
    assert_eq!(store.pause_setting().await.unwrap(), None);
    pause(store).await;
    let ordered = store.pause_in_force().await.unwrap();
    let setting = store.pause_setting().await.unwrap().unwrap();
    assert_eq!((setting.changed_at, setting.is_paused), (at(NOW).unix_micros(), true));
    for table in ["pause_record", "pause_changes"] {
        opened.sql.run(&format!("DELETE FROM {table}")).await;
    }
    assert_eq!((store.pause_in_force().await.unwrap(), store.pause_setting().await.unwrap()), (None, None));
    for _ in 0..2 {
        store.restore_pause(&setting).await.unwrap();
        assert_eq!(store.pause_in_force().await.unwrap(), ordered);
        assert!(is_refused(&store.claim(at(NOW), at(NOW + 1), 9).await));
        assert_eq!(opened.sql.column::<i64>("SELECT count(*) FROM pause_changes").await, [1]);
        assert_eq!(store.contradictions().await.unwrap(), []);
    }
    // Each is later than the one before, also by a clock that is behind.
    assert!(store.set(&SwitchSetting::Resumed(None), at(NOW - 5)).await.unwrap());
    let resumed = store.pause_setting().await.unwrap().unwrap();
    assert_eq!((resumed.changed_at, resumed.is_paused), (setting.changed_at + 1, false));
    store.restore_pause(&setting).await.unwrap();
    assert_eq!(store.pause_in_force().await.unwrap(), None);
    // What does not verify is a pause already.
    opened.sql.run("DELETE FROM pause_changes").await;
    store.restore_pause(&setting).await.unwrap();
    assert_eq!(store.pause_in_force().await.unwrap(), Some(Pause::Unverified));

    store.remember_journal("one").await.unwrap();
    store.note_pause_journaled(7).await.unwrap();
    assert_eq!(store.known_journal().await.unwrap().pause_changed_at, Some(7));
    store.adopt_journal("another", at(NOW)).await.unwrap();
    assert_eq!(store.known_journal().await.unwrap().pause_changed_at, None, "it is to get it again");
}

async fn what_does_not_verify_counts_as_paused_until_it_is_resumed(opened: Opened) {
    let faults = || async {
        let faults = opened.store.contradictions().await.unwrap();
        faults.iter().map(|fault| fault.kind).collect::<Vec<_>>()
    };
    for change in [
        "UPDATE pause_record SET is_paused = 0",
        "UPDATE pause_record SET is_paused = 2",
        "UPDATE pause_record SET changed_at = changed_at + 1",
        "UPDATE pause_record SET reason = 'another'",
        "UPDATE pause_record SET changes = changes - 1",
        "UPDATE pause_record SET seal = head",
        "UPDATE pause_record SET head = seal",
        "DELETE FROM pause_record",
        "DELETE FROM pause_changes",
        "DELETE FROM pause_changes WHERE sequence = (SELECT max(sequence) FROM pause_changes)",
        "INSERT INTO pause_changes (sequence, changed_at, is_paused) VALUES (9, 0, 0)",
    ] {
        pause(&opened.store).await;
        opened.sql.run(change).await;
        assert_eq!(opened.store.pause_in_force().await.unwrap(), Some(Pause::Unverified), "{change}");
        assert!(is_refused(&opened.store.claim(at(NOW), at(NOW + 1), 9).await), "{change}");
        assert_eq!(faults().await, [FaultKind::PauseRecordDiffers], "{change}");
        resume(&opened.store).await;
        assert_eq!(opened.store.pause_in_force().await.unwrap(), None, "{change}");
        assert_eq!(faults().await, [], "{change}");
    }
    // What was changed about earlier settings stops nothing, and is found.
    pause(&opened.store).await;
    resume(&opened.store).await;
    for change in ["reason = 'another'", "changed_at = 0", "is_paused = 1 - is_paused"] {
        opened.sql.run(&format!("UPDATE pause_changes SET {change} WHERE sequence = 1")).await;
        assert_eq!(opened.store.pause_in_force().await.unwrap(), None, "{change}");
        assert_eq!(faults().await, [FaultKind::PauseRecordDiffers], "{change}");
    }
}

async fn patience_with_erasers_stands_still_while_deletions_are_paused(opened: Opened) {
    let store = &opened.store;
    for (number, since) in [(1, Some(NOW + 1)), (2, Some(NOW + 15)), (3, None)] {
        started(&opened, number, &["files"], NOW).await;
        let task = claim(store, NOW, NOW + 1, 1).await.remove(0);
        if let Some(since) = since {
            let later = Settlement::Later { at: Some(at(NOW + 90)), since: at(since), poll: None };
            store.settle(&task, later, at(NOW + 10)).await.unwrap();
        }
    }
    let began = at(0).unix_micros();
    let since =
        "SELECT coalesce(unfinished_since, 0) FROM erasure_tasks WHERE eraser <> '' ORDER BY process_id";
    for (setting, now, expected) in [
        (paused("moved"), NOW + 10, [NOW + 1, NOW + 15, 0]),
        (SwitchSetting::Resumed(None), NOW + 20, [NOW + 11, NOW + 20, 0]),
        (SwitchSetting::Resumed(None), NOW + 30, [NOW + 11, NOW + 20, 0]),
    ] {
        let _ = store.set(&setting, at(now)).await.unwrap();
        let expected = expected.map(|since| if since == 0 { 0 } else { began + since });
        assert_eq!(opened.sql.column::<i64>(since).await, expected);
    }
}

async fn what_an_older_version_writes_starts_and_claims_nothing_while_deletions_are_paused(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    started(&opened, 2, &["files"], NOW).await;
    opened.initiated(&address(3), 3).await;
    let written = [
        "UPDATE deletion_processes SET status = 'Deleting', revision = 2 WHERE status = 'Active'",
        "UPDATE deletion_processes SET status = 'Deleted', revision = 9 WHERE status = 'Deleting'",
        "UPDATE erasure_tasks SET fence = fence + 2, due_at = due_at + 1 WHERE eraser = 'files'",
        "UPDATE erasure_tasks SET fence = fence + 1, due_at = due_at + 1 WHERE eraser = 'files'",
    ];
    let stored = "SELECT revision + CASE status WHEN 'Active' THEN 10 WHEN 'Deleting' THEN 20 ELSE 30 END \
                  FROM deletion_processes UNION ALL SELECT fence FROM erasure_tasks";
    pause(&opened.store).await;
    let before = opened.sql.column::<i64>(stored).await;
    for change in written {
        opened.sql.run(change).await;
        assert_eq!(opened.sql.column::<i64>(stored).await, before, "{change}");
    }
    opened
        .sql
        .run("UPDATE deletion_processes SET status = 'Cancelled', revision = 2 WHERE status = 'Active'")
        .await;
    assert_ne!(opened.sql.column::<i64>(stored).await, before);
    resume(&opened.store).await;
    for change in &written[1..3] {
        let before = opened.sql.column::<i64>(stored).await;
        opened.sql.run(change).await;
        assert_ne!(opened.sql.column::<i64>(stored).await, before, "{change}");
    }
}

/// A start that has passed the switch waits for the row. Were the pause stored meanwhile, the deletion would start after it.
async fn a_pause_waits_for_what_has_not_seen_it(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    let Loaded { value, version } = opened.load(&address(1)).await;
    let step = start(&value, &[], NOW);
    opened.sql.run("BEGIN; SELECT 1 FROM deletion_processes FOR UPDATE").await;
    let (store, other) = (opened.store.clone(), opened.another_store().await);
    let starting = tokio::spawn(async move { save(&store, &step, version).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let pausing = tokio::spawn(async move { other.set(&paused("moved"), at(NOW)).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!pausing.is_finished(), "the start would come after the pause");
    opened.sql.run("COMMIT").await;
    starting.await.unwrap().unwrap();
    assert!(pausing.await.unwrap().unwrap());
    // And what comes after it sees it.
    assert!(is_refused(&opened.store.claim(at(NOW), at(NOW + 1), 9).await));
}
