//! `ErasureTasks`: each task is one claimant's at a time, and only the last one's result is stored.

mod unfinished;
mod waived;

use std::sync::Arc;

use reprieve_application::StoreError;
use reprieve_application::ports::{
    ErasureTask, ErasureTasks, Loaded, Settlement, TaskOutcome, TaskStatus, Version,
};
use reprieve_domain::TaskKind;
use reprieve_domain::{DeletionProcess, Erasure, State, Step};
use reprieve_persistence::Store;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{
    ENDS_AT, Opened, address, at, claim, claim_one, eraser, finish, on_each_database, open, process_id,
    process_of, record, started,
};

on_each_database!(
    a_claim_hands_out_the_longest_due_and_no_more_than_asked_for,
    what_is_claimed_is_nobody_elses_until_the_lease_is_over,
    with_an_old_claim_nothing_can_be_stored,
    of_many_claimants_each_task_has_one,
    an_acknowledgement_is_stored_ends_the_task_and_makes_the_process_due,
    an_acknowledgement_that_is_known_already_ends_the_task_alone,
    who_found_the_process_incomplete_cannot_put_it_off_after_the_last_acknowledgement,
    a_step_that_was_decided_on_another_version_changes_nothing,
);

/// Ten minutes.
const LEASE: i64 = 600_000_000;

fn kinds(tasks: &[ErasureTask]) -> Vec<(usize, TaskKind)> {
    let number = |task: &ErasureTask| task.process_id.as_str()[3..].parse().unwrap();
    let mut kinds: Vec<_> = tasks.iter().map(|task| (number(task), task.kind.clone())).collect();
    kinds.sort_by_key(|(number, kind)| (*number, format!("{kind:?}")));
    kinds
}

fn erase(name: &str) -> TaskKind {
    TaskKind::Erase(eraser(name))
}

fn acknowledge(process: &DeletionProcess, name: &str) -> Step {
    open(process).record_erasure(process.id(), &eraser(name), 3, at(ENDS_AT)).unwrap()
}

fn fail(process: &DeletionProcess, name: &str) -> Step {
    let failure = "httpStatus503".parse().unwrap();
    open(process).record_erasure_failure(process.id(), &eraser(name), failure, at(ENDS_AT)).unwrap()
}

async fn settle(store: &Store, task: &ErasureTask, settlement: Settlement) -> Result<(), StoreError> {
    store.settle(task, settlement, at(ENDS_AT + 5)).await
}

async fn noted(
    store: &Store,
    task: &ErasureTask,
    step: (&Step, Version),
    outcome: TaskOutcome,
) -> Result<(), StoreError> {
    record(store, task, step, outcome, ENDS_AT + 5).await
}

async fn listed(opened: &Opened, number: usize) -> Vec<TaskStatus> {
    ErasureTasks::list(&opened.store, Some(&process_id(number)), 100).await.unwrap()
}

async fn a_claim_hands_out_the_longest_due_and_no_more_than_asked_for(opened: Opened) {
    // Number and microseconds after the first.
    for (number, late) in [(1, 2), (2, 0), (3, 1), (4, 1), (5, 3)] {
        started(&opened, number, &["files"], ENDS_AT + late).await;
    }
    started(&opened, 6, &[], ENDS_AT).await;
    let mut claimed = Vec::new();
    for (now, limit) in [(-1, 9), (0, 0), (0, 9), (2, 1), (2, 1), (2, 9), (2, 9), (3, 9)] {
        let tasks = claim(&opened.store, ENDS_AT + now, ENDS_AT + LEASE, limit).await;
        assert!(tasks.iter().all(|task| task.fence == 2 && task.address == process_address(task)));
        claimed.push(kinds(&tasks));
    }
    let files = |number| (number, erase("files"));
    assert_eq!(
        claimed,
        [
            vec![],
            vec![],
            vec![files(2), (6, TaskKind::Finish)],
            vec![files(3)],
            vec![files(4)],
            vec![files(1)],
            vec![],
            vec![files(5)]
        ]
    );
}

fn process_address(task: &ErasureTask) -> reprieve_domain::Address {
    address(task.process_id.as_str()[3..].parse().unwrap())
}

async fn what_is_claimed_is_nobody_elses_until_the_lease_is_over(opened: Opened) {
    started(&opened, 1, &["files"], ENDS_AT).await;
    let first = claim_one(&opened.store, ENDS_AT, ENDS_AT + LEASE).await;
    assert_eq!(
        first,
        ErasureTask {
            process_id: process_id(1),
            address: address(1),
            kind: erase("files"),
            fence: 2,
            failures: 0,
            unfinished_since: None,
            poll: None,
        }
    );
    assert_eq!(claim(&opened.another_store().await, ENDS_AT + LEASE - 1, ENDS_AT + LEASE, 9).await, []);
    assert_eq!(listed(&opened, 1).await[1].due_at, Some(at(ENDS_AT + LEASE)));
    let second = claim_one(&opened.store, ENDS_AT + LEASE, ENDS_AT + 2 * LEASE).await;
    assert_eq!(second, ErasureTask { fence: 4, ..first });
}

async fn with_an_old_claim_nothing_can_be_stored(opened: Opened) {
    started(&opened, 1, &["files"], ENDS_AT).await;
    let old = claim_one(&opened.store, ENDS_AT, ENDS_AT).await;
    let new = claim_one(&opened.store, ENDS_AT, ENDS_AT + LEASE).await;
    let Loaded { value: process, version } = process_of(&opened, &old).await;
    let (acknowledged, failed) = (acknowledge(&process, "files"), fail(&process, "files"));
    let before = opened.sql.everything().await;
    let since = at(ENDS_AT);
    for settlement in [
        Settlement::Known,
        Settlement::Later { at: Some(since), since, poll: None },
        Settlement::GivenBack { again_at: since },
    ] {
        let lost = settle(&opened.store, &old, settlement).await;
        assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
        assert_eq!(opened.sql.everything().await, before);
    }
    for (step, outcome) in [
        (&acknowledged, TaskOutcome::Acknowledged),
        (&failed, TaskOutcome::Failed { since, again_at: Some(since) }),
        (&failed, TaskOutcome::Failed { since, again_at: None }),
    ] {
        let lost = noted(&opened.store, &old, (step, version), outcome).await;
        assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
        assert_eq!(opened.sql.everything().await, before);
    }
    noted(&opened.store, &new, (&acknowledged, version), TaskOutcome::Acknowledged).await.unwrap();
}

async fn of_many_claimants_each_task_has_one(opened: Opened) {
    const PROCESSES: usize = 100;
    const CLAIMANTS: usize = 8;
    for number in 0..PROCESSES {
        started(&opened, number, &["files", "mail"], ENDS_AT).await;
    }
    let stores = [opened.store.clone(), opened.another_store().await];
    let barrier = Arc::new(Barrier::new(CLAIMANTS));
    let mut claimants = JoinSet::new();
    for number in 0..CLAIMANTS {
        let (store, barrier) = (stores[number % 2].clone(), barrier.clone());
        claimants.spawn(async move {
            let mut claimed = Vec::new();
            barrier.wait().await;
            loop {
                let tasks = claim(&store, ENDS_AT, ENDS_AT + LEASE, 7).await;
                assert!(tasks.len() <= 7);
                if tasks.is_empty() {
                    return claimed;
                }
                claimed.extend(tasks);
            }
        });
    }
    let claimed = claimants.join_all().await.concat();
    assert!(claimed.iter().all(|task| task.fence == 2));
    let each = (0..PROCESSES).flat_map(|number| [(number, erase("files")), (number, erase("mail"))]);
    assert_eq!(kinds(&claimed), each.collect::<Vec<_>>());
}

async fn an_acknowledgement_is_stored_ends_the_task_and_makes_the_process_due(opened: Opened) {
    started(&opened, 1, &["files", "mail"], ENDS_AT).await;
    for left in [vec![TaskKind::Finish, erase("mail")], vec![TaskKind::Finish]] {
        let task = claim(&opened.store, ENDS_AT, ENDS_AT + LEASE, 1).await.remove(0);
        let TaskKind::Erase(name) = &task.kind else { panic!("{task:?}") };
        let Loaded { value: process, version } = process_of(&opened, &task).await;
        let step = acknowledge(&process, name.as_str());
        noted(&opened.store, &task, (&step, version), TaskOutcome::Acknowledged).await.unwrap();
        assert_eq!(process_of(&opened, &task).await.value, *step.process());
        let tasks = listed(&opened, 1).await;
        assert_eq!(tasks.iter().map(|task| task.kind.clone()).collect::<Vec<_>>(), left);
        assert_eq!(tasks[0].due_at, Some(at(ENDS_AT + 5)));
    }
    let finish = claim_one(&opened.store, ENDS_AT + 5, ENDS_AT + LEASE).await;
    assert_eq!(finish.kind, TaskKind::Finish);
    let State::Deleting(deleting) = process_of(&opened, &finish).await.value.state().clone() else {
        panic!()
    };
    assert!(
        deleting.erasures().all(|(_, erasure)| matches!(erasure, Erasure::Acknowledged { count: 3, .. }))
    );
}

async fn an_acknowledgement_that_is_known_already_ends_the_task_alone(opened: Opened) {
    started(&opened, 1, &["files"], ENDS_AT).await;
    let task = claim_one(&opened.store, ENDS_AT, ENDS_AT + LEASE).await;
    let before = process_of(&opened, &task).await;
    settle(&opened.store, &task, Settlement::Known).await.unwrap();
    let after = process_of(&opened, &task).await;
    assert_eq!((after.value, after.version), (before.value, before.version));
    assert_eq!(claim_one(&opened.store, ENDS_AT + 5, ENDS_AT + LEASE).await.kind, TaskKind::Finish);
}

async fn who_found_the_process_incomplete_cannot_put_it_off_after_the_last_acknowledgement(opened: Opened) {
    started(&opened, 1, &["files", "mail"], ENDS_AT).await;
    let mut erasures = claim(&opened.store, ENDS_AT, ENDS_AT + LEASE, 2).await;
    settle(&opened.store, &erasures.remove(0), Settlement::Known).await.unwrap();
    let incomplete = finish(&opened, 1, ENDS_AT + 5).await;
    settle(&opened.store, &erasures.remove(0), Settlement::Known).await.unwrap();
    let put_off = Settlement::Later { at: None, since: at(ENDS_AT), poll: None };
    let lost = settle(&opened.store, &incomplete, put_off).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
    let complete = finish(&opened, 1, ENDS_AT + 5).await;
    assert!(complete.fence > incomplete.fence);
}

async fn a_step_that_was_decided_on_another_version_changes_nothing(opened: Opened) {
    started(&opened, 1, &["files", "mail"], ENDS_AT).await;
    let mut tasks = claim(&opened.store, ENDS_AT, ENDS_AT + LEASE, 2).await;
    let Loaded { value: process, version } = process_of(&opened, &tasks[0]).await;
    let steps = ["files", "mail"].map(|name| acknowledge(&process, name));
    tasks.sort_by_key(|task| task.kind != erase("files"));
    noted(&opened.store, &tasks[0], (&steps[0], version), TaskOutcome::Acknowledged).await.unwrap();
    let (before, since, failed) = (opened.sql.everything().await, at(ENDS_AT), fail(&process, "mail"));
    for (step, outcome) in
        [(&steps[1], TaskOutcome::Acknowledged), (&failed, TaskOutcome::Failed { since, again_at: None })]
    {
        let refused = noted(&opened.store, &tasks[1], (step, version), outcome).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
        assert_eq!(opened.sql.everything().await, before);
    }
    // The claim still holds.
    let Loaded { value: process, version } = process_of(&opened, &tasks[1]).await;
    let step = acknowledge(&process, "mail");
    noted(&opened.store, &tasks[1], (&step, version), TaskOutcome::Acknowledged).await.unwrap();
}
