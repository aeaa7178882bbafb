//! What a commit makes work for is woken by it: in its process, and on PostgreSQL in other instances.

use std::time::{Duration, Instant};

use reprieve_application::StoreError;
use reprieve_application::ports::{ErasureTasks, EventDeliveries, Identities, Loaded, TaskOutcome};
use reprieve_persistence::{Due, Store};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::{
    DAY, ENDS_AT, Opened, address, at, cancel, claim, eraser, on_each_database, on_postgres, open,
    process_id, process_of, record, save, start, started, waive,
};

on_each_database!(
    a_commit_wakes_what_it_makes_work_for_and_nothing_else,
    what_was_not_stored_wakes_nothing,
    what_an_operator_asks_for_wakes_what_does_it,
);

on_postgres!(mod between, a_commit_wakes_other_instances_once_and_its_own_by_no_notification);

/// What listens for wake-ups.
struct Woken {
    events: watch::Receiver<u64>,
    erasures: watch::Receiver<u64>,
}

impl Woken {
    fn of(store: &Store) -> Self {
        Self { events: store.wake_ups(Due::Events), erasures: store.wake_ups(Due::Erasures) }
    }

    /// Whether each has been woken since this was last asked.
    fn now(&mut self) -> (bool, bool) {
        let woken = |receiver: &mut watch::Receiver<u64>| {
            let has_changed = receiver.has_changed().unwrap();
            receiver.mark_unchanged();
            has_changed
        };
        (woken(&mut self.events), woken(&mut self.erasures))
    }
}

async fn a_commit_wakes_what_it_makes_work_for_and_nothing_else(opened: Opened) {
    let mut woken = Woken::of(&opened.store);
    let owner = address(1);
    opened.initiated(&owner, 1).await;
    assert_eq!(woken.now(), (true, false));
    let Loaded { value, version } = opened.load(&owner).await;
    let decided = (start(&value, &["files", "mail"], ENDS_AT), version);
    opened.store.save_all(&[decided]).await.unwrap();
    assert_eq!(woken.now(), (true, true));

    for (task, acknowledges) in claim(&opened.store, ENDS_AT, ENDS_AT + 9, 9).await.iter().zip([true, false])
    {
        assert_eq!(woken.now(), (false, false));
        let name = eraser(if acknowledges { "files" } else { "mail" });
        let Loaded { value: process, version } = process_of(&opened, task).await;
        let failure = "httpStatus503".parse().unwrap();
        let (step, outcome) = if acknowledges {
            let step = open(&process).record_erasure(process.id(), &name, 3, at(ENDS_AT));
            (step.unwrap(), TaskOutcome::Acknowledged)
        } else {
            let step = open(&process).record_erasure_failure(process.id(), &name, failure, at(ENDS_AT));
            (step.unwrap(), TaskOutcome::Failed { since: at(ENDS_AT), again_at: None })
        };
        record(&opened.store, task, (&step, version), outcome, ENDS_AT).await.unwrap();
        assert_eq!(woken.now(), (step.event().is_some(), acknowledges));
    }
}

async fn what_was_not_stored_wakes_nothing(opened: Opened) {
    let owner = address(1);
    opened.initiated(&owner, 1).await;
    let Loaded { value, version } = opened.load(&owner).await;
    let late = cancel(&value, DAY);
    opened.step(&owner, |identity| cancel(identity, DAY)).await;
    let mut woken = Woken::of(&opened.store);
    assert!(matches!(save(&opened.store, &late, version).await, Err(StoreError::Conflict)));
    assert_eq!(woken.now(), (false, false));
}

async fn what_an_operator_asks_for_wakes_what_does_it(opened: Opened) {
    started(&opened, 1, &["files", "mail"], ENDS_AT).await;
    let mut woken = Woken::of(&opened.store);
    opened.store.retry(&process_id(1), None, at(ENDS_AT)).await.unwrap();
    assert_eq!(woken.now(), (false, true));
    opened.store.redeliver(None, None, at(ENDS_AT)).await.unwrap();
    assert_eq!(woken.now(), (true, false));
    waive(&opened, 1, &address(1), "files", ENDS_AT).await.unwrap();
    assert!(woken.now().1);
}

async fn a_commit_wakes_other_instances_once_and_its_own_by_no_notification(opened: Opened) {
    /// Longer than a notification takes, and longer than what is committed is gathered for.
    const WHILE: Duration = Duration::from_millis(500);
    let (here, there) = (opened.store.clone(), opened.another_store().await);
    let (mut own, mut other) = (Woken::of(&here), Woken::of(&there));
    let _sharing = [here.share_wake_ups(true), there.share_wake_ups(true)];
    // As soon as they listen, what may have been missed wakes everything.
    for woken in [&mut own, &mut other] {
        for receiver in [&mut woken.events, &mut woken.erasures] {
            timeout(Duration::from_mins(1), receiver.changed()).await.unwrap().unwrap();
        }
    }
    opened.initiated(&address(1), 1).await;
    assert_eq!(own.now(), (true, false));
    timeout(Duration::from_mins(1), other.events.changed()).await.unwrap().unwrap();
    tokio::time::sleep(WHILE).await;
    assert_eq!((own.now(), other.now()), ((false, false), (false, false)));

    // What comes soon after a notification is notified as well, but not at once.
    let began = Instant::now();
    for number in 2..=9 {
        opened.initiated(&address(number), number).await;
        timeout(Duration::from_mins(1), other.events.changed()).await.unwrap().unwrap();
    }
    assert!(began.elapsed() > WHILE);
}
