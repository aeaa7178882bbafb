//! `Identities::save`: what must still hold of the stored process, each condition by itself.

use reprieve_application::StoreError;
use reprieve_application::ports::{Loaded, Version};
use reprieve_domain::{Identity, Reminder, Step};

use crate::support::{
    DAY, ENDS_AT, Opened, address, at, cancel, complete, eraser, initiate, on_each_database, process_id,
    save, start, unix_micros,
};

on_each_database!(
    a_step_decided_on_an_old_version_changes_nothing,
    a_step_of_any_other_version_changes_nothing,
    a_step_of_a_process_that_is_gone_changes_nothing,
    within_the_grace_period_means_within_the_stored_one,
    after_the_grace_period_means_after_the_stored_one,
    the_deadline_does_not_matter_once_the_deletion_has_started,
    a_second_open_process_is_refused,
    a_taken_id_is_a_conflict,
    what_is_fixed_when_a_process_is_created_is_never_written_again,
);

/// The step is refused, and every table is as it was before.
async fn refused(opened: &Opened, step: &Step, version: Version) -> StoreError {
    let before = opened.sql.everything().await;
    let error = save(&opened.store, step, version).await.unwrap_err();
    assert_eq!(opened.sql.everything().await, before);
    error
}

async fn conflicts(opened: &Opened, step: &Step, version: Version) {
    let error = refused(opened, step, version).await;
    assert!(matches!(error, StoreError::Conflict), "{error:?}");
}

fn remind(identity: &Identity, now: i64) -> Step {
    identity.remind(identity.open_process().unwrap().id(), Reminder::First, at(now)).unwrap()
}

async fn a_step_decided_on_an_old_version_changes_nothing(opened: Opened) {
    let ada = address(1);
    opened.initiated(&ada, 1).await;
    let Loaded { value: seen, version } = opened.load(&ada).await;
    opened.step(&ada, |identity| remind(identity, 1)).await;
    for late in [remind(&seen, 2), cancel(&seen, 2), start(&seen, &[], ENDS_AT)] {
        conflicts(&opened, &late, version).await;
    }
    let Loaded { value: seen, version } = opened.load(&ada).await;
    opened.step(&ada, |identity| start(identity, &[], ENDS_AT)).await;
    for late in [cancel(&seen, ENDS_AT - 1), start(&seen, &[], ENDS_AT)] {
        conflicts(&opened, &late, version).await;
    }
}

/// No audit entry is in the way here: the version alone must refuse.
async fn a_step_of_any_other_version_changes_nothing(opened: Opened) {
    let ada = address(1);
    opened.initiated(&ada, 1).await;
    opened.step(&ada, |identity| remind(identity, 1)).await;
    let Loaded { value: seen, version } = opened.load(&ada).await;
    opened.sql.run("DELETE FROM audit_entries").await;
    for length in [version.length - 1, version.length + 1, 0, i64::MAX - 1] {
        conflicts(&opened, &cancel(&seen, 2), Version { length, ..version }).await;
    }
    save(&opened.store, &cancel(&seen, 2), version).await.unwrap();
}

async fn a_step_of_a_process_that_is_gone_changes_nothing(opened: Opened) {
    let ada = address(1);
    opened.initiated(&ada, 1).await;
    let Loaded { value: seen, version } = opened.load(&ada).await;
    opened.sql.run("DELETE FROM deletion_processes").await;
    opened.sql.run("DELETE FROM audit_entries").await;
    conflicts(&opened, &cancel(&seen, 1), version).await;
}

/// Puts the stored deadline elsewhere after the identity was loaded, and saves what was decided.
async fn saved_with_deadline(
    opened: &Opened,
    number: usize,
    deadline: i64,
    step: impl Fn(&Identity) -> Step,
) -> bool {
    let owner = address(number);
    opened.initiated(&owner, number).await;
    let Loaded { value: seen, version } = opened.load(&owner).await;
    let moved = "UPDATE deletion_processes SET grace_period_ends_at = $1 WHERE address = $2";
    opened.sql.change(moved, [unix_micros(deadline).into(), owner.as_str().into()]).await;
    let (step, before) = (step(&seen), opened.sql.everything().await);
    match save(&opened.store, &step, version).await {
        Ok(()) => true,
        Err(StoreError::Conflict) => {
            assert_eq!(opened.sql.everything().await, before);
            false
        }
        Err(error) => panic!("{error:?}"),
    }
}

async fn within_the_grace_period_means_within_the_stored_one(opened: Opened) {
    let steps: [fn(&Identity) -> Step; 2] = [|seen| cancel(seen, DAY), |seen| remind(seen, DAY)];
    let deadlines =
        [(i64::from(i32::MIN), false), (DAY - 1, false), (DAY, false), (DAY + 1, true), (ENDS_AT, true)];
    for (step, tens) in steps.into_iter().zip([10, 20]) {
        for ((deadline, saved), number) in deadlines.into_iter().zip(tens..) {
            assert_eq!(
                saved_with_deadline(&opened, number, deadline, step).await,
                saved,
                "deadline {deadline}"
            );
        }
    }
}

async fn after_the_grace_period_means_after_the_stored_one(opened: Opened) {
    let now = 20 * DAY;
    for ((deadline, saved), number) in
        [(ENDS_AT, true), (now - 1, true), (now, true), (now + 1, false), (now + DAY, false)]
            .into_iter()
            .zip(1..)
    {
        let started = saved_with_deadline(&opened, number, deadline, |seen| start(seen, &[], now)).await;
        assert_eq!(started, saved, "deadline {deadline}");
    }
}

async fn the_deadline_does_not_matter_once_the_deletion_has_started(opened: Opened) {
    let ada = address(1);
    opened.initiated(&ada, 1).await;
    opened.step(&ada, |identity| start(identity, &["files", "mail"], ENDS_AT)).await;
    let steps: [fn(&Identity) -> Step; 4] = [
        |seen| {
            let failure = "timed-out".parse().unwrap();
            seen.record_erasure_failure(&process_id(1), &eraser("files"), failure, at(ENDS_AT)).unwrap()
        },
        |seen| seen.record_erasure(&process_id(1), &eraser("files"), 1, at(ENDS_AT)).unwrap(),
        |seen| seen.record_erasure(&process_id(1), &eraser("mail"), 1, at(ENDS_AT)).unwrap(),
        |seen| complete(seen, ENDS_AT),
    ];
    for (step, deadline) in steps.into_iter().zip([i64::MAX, ENDS_AT + 1, ENDS_AT, 1]) {
        opened
            .sql
            .run(&format!("UPDATE deletion_processes SET grace_period_ends_at = {}", unix_micros(ENDS_AT)))
            .await;
        let Loaded { value: seen, version } = opened.load(&ada).await;
        opened.sql.change("UPDATE deletion_processes SET grace_period_ends_at = $1", [deadline.into()]).await;
        save(&opened.store, &step(&seen), version).await.unwrap();
    }
}

async fn a_second_open_process_is_refused(opened: Opened) {
    let ada = address(1);
    let second = initiate(&Identity::new(ada.clone()), 2, 1);
    opened.initiated(&ada, 1).await;
    let error = refused(&opened, &second, Version::EMPTY).await;
    assert!(matches!(error, StoreError::OpenProcessExists), "{error:?}");
    opened.step(&ada, |identity| start(identity, &[], ENDS_AT)).await;
    let error = refused(&opened, &second, Version::EMPTY).await;
    assert!(matches!(error, StoreError::OpenProcessExists), "{error:?}");
    // Somebody else's is not in the way.
    opened.initiated(&address(2), 3).await;
}

async fn a_taken_id_is_a_conflict(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    conflicts(&opened, &initiate(&Identity::new(address(2)), 1, 1), Version::EMPTY).await;
}

async fn what_is_fixed_when_a_process_is_created_is_never_written_again(opened: Opened) {
    let ada = address(1);
    opened.initiated(&ada, 1).await;
    let Loaded { value: seen, version } = opened.load(&ada).await;
    let fixed = "SELECT id || ' ' || address || ' ' || created_at || ' ' || created_by_device || ' ' || \
                 grace_period_ends_at FROM deletion_processes";
    opened
        .sql
        .run(
            "UPDATE deletion_processes SET address = 'did:web:b', created_at = 1, created_by_device = 'c', \
             grace_period_ends_at = grace_period_ends_at + 1",
        )
        .await;
    let before: String = opened.sql.value(fixed).await;
    save(&opened.store, &cancel(&seen, 1), version).await.unwrap();
    assert_eq!(opened.sql.value::<String>(fixed).await, before);
}
