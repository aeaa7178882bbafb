//! `Identities::save`: process, audit entry and event are stored together or not at all.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use reprieve_application::StoreError;
use reprieve_application::ports::{Loaded, Version};
use reprieve_domain::Identity;

use crate::support::{ENDS_AT, Opened, address, cancel, initiate, on_each_database, save, start};

on_each_database!(
    a_step_whose_audit_entry_cannot_be_written_changes_nothing,
    a_step_whose_event_cannot_be_written_changes_nothing,
    a_step_whose_process_cannot_be_written_changes_nothing,
    a_step_that_is_given_up_is_stored_whole_or_not_at_all,
);

/// A new process and a step of another one fail while `obstacle` stands, change nothing, and go through once it is gone.
async fn fails_until_removed(
    opened: &Opened,
    obstacle: [&str; 2],
    removal: [&str; 2],
    expected: fn(&StoreError) -> bool,
) {
    opened.initiated(&address(1), 1).await;
    let Loaded { value: seen, version } = opened.load(&address(1)).await;
    let steps = [
        (initiate(&Identity::new(address(2)), 2, 0), Version::EMPTY),
        (start(&seen, &["files"], ENDS_AT), version),
    ];
    opened.sql.run_either(obstacle[0], obstacle[1]).await;
    let before = opened.sql.everything().await;
    for (step, version) in &steps {
        let error = save(&opened.store, step, *version).await.unwrap_err();
        assert!(expected(&error), "{error:?}");
        assert_eq!(opened.sql.everything().await, before);
    }
    opened.sql.run_either(removal[0], removal[1]).await;
    for (step, version) in &steps {
        save(&opened.store, step, *version).await.unwrap();
        assert_eq!(opened.load(step.process().address()).await.value.open_process(), Some(step.process()));
    }
}

async fn a_step_whose_audit_entry_cannot_be_written_changes_nothing(opened: Opened) {
    // What the two steps are going to write is taken: entry 1 of process 2, and entry 2 of process 1.
    let taken = "INSERT INTO audit_entries SELECT 'IDP00000000000000002', 1, created_at, old_status, new_status, \
                 message_key, additional_data, identity_hash, device_hash, hash FROM audit_entries;
                 INSERT INTO audit_entries SELECT 'IDP00000000000000001', 2, created_at, old_status, new_status, \
                 message_key, additional_data, identity_hash, device_hash, hash FROM audit_entries WHERE sequence = 1 \
                 AND process_id = 'IDP00000000000000001'";
    let freed = "DELETE FROM audit_entries WHERE process_id = 'IDP00000000000000002' OR sequence = 2";
    fails_until_removed(&opened, [taken; 2], [freed; 2], |error| matches!(error, StoreError::Conflict)).await;
}

const NO_EVENTS: [&str; 2] = [
    "CREATE TRIGGER no BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'no'); END",
    "ALTER TABLE outbox ADD CONSTRAINT no CHECK (false) NOT VALID",
];
const EVENTS: [&str; 2] = ["DROP TRIGGER no", "ALTER TABLE outbox DROP CONSTRAINT no"];

async fn a_step_whose_event_cannot_be_written_changes_nothing(opened: Opened) {
    fails_until_removed(&opened, NO_EVENTS, EVENTS, |error| matches!(error, StoreError::Unavailable(_)))
        .await;
}

const NO_PROCESSES: [&str; 2] = [
    "CREATE TRIGGER no_new BEFORE INSERT ON deletion_processes BEGIN SELECT RAISE(ABORT, 'no'); END;
     CREATE TRIGGER no_step BEFORE UPDATE ON deletion_processes BEGIN SELECT RAISE(ABORT, 'no'); END",
    "ALTER TABLE deletion_processes ADD CONSTRAINT no CHECK (false) NOT VALID",
];
const PROCESSES: [&str; 2] =
    ["DROP TRIGGER no_new; DROP TRIGGER no_step", "ALTER TABLE deletion_processes DROP CONSTRAINT no"];

async fn a_step_whose_process_cannot_be_written_changes_nothing(opened: Opened) {
    let unavailable = |error: &StoreError| matches!(error, StoreError::Unavailable(_));
    fails_until_removed(&opened, NO_PROCESSES, PROCESSES, unavailable).await;
}

/// Polls the future at most so many times, and drops it.
async fn given_up_after(polls: usize, future: impl Future) {
    let (mut future, mut left) = (pin!(future), polls);
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        future.as_mut().poll(context).map(drop)
    })
    .await;
}

async fn a_step_that_is_given_up_is_stored_whole_or_not_at_all(opened: Opened) {
    for number in 0..40 {
        let owner = address(number);
        let initiated = initiate(&Identity::new(owner.clone()), number, 0);
        given_up_after(number, save(&opened.store, &initiated, Version::EMPTY)).await;
        // The store works on, whether or not the step made it.
        let Loaded { value, version } = opened.load(&owner).await;
        if value.open_process().is_none() {
            save(&opened.store, &initiated, version).await.unwrap();
        }
        let Loaded { value, version } = opened.load(&owner).await;
        given_up_after(number, save(&opened.store, &cancel(&value, 1), version)).await;
        opened.load(&owner).await;
    }
    let torn = "SELECT count(*) FROM deletion_processes AS process WHERE \
                revision <> (SELECT count(*) FROM audit_entries WHERE process_id = process.id) OR \
                revision <> (SELECT count(*) FROM outbox WHERE process_id = process.id)";
    assert_eq!(opened.sql.value::<i64>(torn).await, 0);
}
