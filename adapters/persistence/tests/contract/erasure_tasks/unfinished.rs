//! `ErasureTasks`: what has not come to an end, and what people see of it.

use reprieve_application::StoreError;
use reprieve_application::ports::{
    ErasureTask, ErasureTasks, Loaded, RetriedTasks, Settlement, TaskOutcome, TaskStatus,
};
use reprieve_domain::TaskKind;

use super::{LEASE, erase, fail, kinds, listed, noted, settle};
use crate::support::{
    ENDS_AT, Opened, address, at, claim, claim_one, eraser, on_each_database, process_id, process_of, started,
};

on_each_database!(
    a_failure_is_counted_and_the_task_is_due_again,
    what_is_stuck_is_claimed_by_nobody_until_it_is_retried,
    what_waits_is_due_at_once_when_it_is_retried_and_keeps_since_when_it_has_failed,
    what_is_being_performed_is_left_alone_when_it_is_retried_until_its_lease_is_over,
    later_keeps_where_to_ask,
    what_is_given_back_is_as_it_was_and_can_be_claimed_before_the_lease_is_over,
    tasks_are_listed_those_that_wait_for_somebody_first,
    a_corrupt_task_is_reported_in_its_place,
);

async fn what_is_given_back_is_as_it_was_and_can_be_claimed_before_the_lease_is_over(opened: Opened) {
    started(&opened, 1, &["files"], ENDS_AT).await;
    let task = claim_one(&opened.store, ENDS_AT, ENDS_AT + LEASE).await;
    failed(&opened, &task, Some(ENDS_AT + 1)).await;
    let task = claim_one(&opened.store, ENDS_AT + 1, ENDS_AT + LEASE).await;
    let given_back = || Settlement::GivenBack { again_at: at(ENDS_AT + 5) };
    settle(&opened.store, &task, given_back()).await.unwrap();
    assert_eq!(claim(&opened.store, ENDS_AT + 4, ENDS_AT + LEASE, 9).await, []);
    let again = claim_one(&opened.store, ENDS_AT + 5, ENDS_AT + LEASE).await;
    assert_eq!(again, ErasureTask { fence: task.fence + 2, ..task.clone() });
    // Whoever has lost it gives nothing back.
    let refused = settle(&opened.store, &task, given_back()).await.unwrap_err();
    assert!(matches!(refused, StoreError::LeaseLost), "{refused:?}");
}

/// Has the eraser fail that the task is about.
async fn failed(opened: &Opened, task: &ErasureTask, again_at: Option<i64>) {
    let Loaded { value: process, version } = process_of(opened, task).await;
    let TaskKind::Erase(name) = &task.kind else { panic!("{task:?}") };
    let step = fail(&process, name.as_str());
    let outcome = TaskOutcome::Failed { since: at(7), again_at: again_at.map(at) };
    noted(&opened.store, task, (&step, version), outcome).await.unwrap();
    assert_eq!(process_of(opened, task).await.value, *step.process());
}

async fn a_failure_is_counted_and_the_task_is_due_again(opened: Opened) {
    started(&opened, 1, &["files"], ENDS_AT).await;
    let task = claim_one(&opened.store, ENDS_AT, ENDS_AT + LEASE).await;
    failed(&opened, &task, Some(ENDS_AT + 100)).await;
    assert_eq!(claim(&opened.store, ENDS_AT + 99, ENDS_AT + LEASE, 9).await, []);
    let again = claim_one(&opened.store, ENDS_AT + 100, ENDS_AT + LEASE).await;
    assert_eq!(again, ErasureTask { fence: 4, failures: 1, unfinished_since: Some(at(7)), ..task });
    failed(&opened, &again, Some(ENDS_AT + 200)).await;
    let tasks = listed(&opened, 1).await;
    assert_eq!(
        (tasks[1].failures, tasks[1].stuck_since, tasks[1].due_at),
        (2, None, Some(at(ENDS_AT + 200)))
    );
}

async fn what_is_stuck_is_claimed_by_nobody_until_it_is_retried(opened: Opened) {
    for number in [1, 2] {
        started(&opened, number, &["files", "mail", "posts"], ENDS_AT).await;
    }
    for task in claim(&opened.store, ENDS_AT, ENDS_AT + LEASE, 9).await {
        failed(&opened, &task, (task.kind == erase("posts")).then_some(ENDS_AT + 9)).await;
    }
    let far = ENDS_AT + 1000 * LEASE;
    assert_eq!(claim(&opened.store, far, far, 9).await.len(), 2, "those of the posts");
    let now = at(far);
    let retry = async |number, name: Option<&str>| {
        let name = name.map(eraser);
        opened.store.retry(&process_id(number), name.as_ref(), now).await.unwrap().due
    };
    assert_eq!((retry(3, None).await, retry(1, Some("none")).await), (0, 0));
    assert_eq!(retry(1, Some("mail")).await, 1);
    let mail = claim(&opened.store, far, far + LEASE, 9).await;
    let mail: Vec<_> = mail.into_iter().filter(|task| task.kind == erase("mail")).collect();
    assert_eq!(kinds(&mail), [(1, erase("mail"))]);
    assert_eq!((mail[0].failures, mail[0].unfinished_since, mail[0].fence), (0, None, 4));
    assert_eq!((retry(2, None).await, retry(2, None).await, retry(1, None).await), (2, 2, 1));
    let again = claim(&opened.store, far, far + LEASE, 9).await;
    assert_eq!(kinds(&again), [(1, erase("files")), (2, erase("files")), (2, erase("mail"))]);
}

async fn what_waits_is_due_at_once_when_it_is_retried_and_keeps_since_when_it_has_failed(opened: Opened) {
    for number in [1, 2] {
        started(&opened, number, &["files", "mail"], ENDS_AT).await;
    }
    let poll = Some("/jobs/17".to_owned());
    for task in claim(&opened.store, ENDS_AT, ENDS_AT + LEASE, 9).await {
        if task.kind == erase("files") {
            failed(&opened, &task, Some(ENDS_AT + 10 * LEASE)).await;
        } else {
            let at = Some(at(ENDS_AT + 10 * LEASE));
            let later = Settlement::Later { at, since: self::at(8), poll: poll.clone() };
            settle(&opened.store, &task, later).await.unwrap();
        }
    }
    let retry = async |name: Option<&str>, now| {
        let name = name.map(eraser);
        opened.store.retry(&process_id(1), name.as_ref(), at(now)).await.unwrap()
    };
    let due = |due| RetriedTasks { due, being_performed: 0 };
    assert_eq!(claim(&opened.store, ENDS_AT + 9, ENDS_AT + LEASE, 9).await, []);
    assert_eq!(retry(Some("none"), ENDS_AT + 9).await, due(0));
    assert_eq!(retry(Some("files"), ENDS_AT + 9).await, due(1));
    let files = claim_one(&opened.store, ENDS_AT + 9, ENDS_AT + LEASE).await;
    assert_eq!((&files.kind, files.failures, files.unfinished_since), (&erase("files"), 1, Some(at(7))));
    settle(&opened.store, &files, Settlement::Known).await.unwrap();
    assert_eq!(retry(None, ENDS_AT + 10).await, due(1));
    // It does not get behind what has become due since.
    assert_eq!(retry(None, ENDS_AT + 20).await, due(1));
    let tasks = listed(&opened, 1).await;
    let mail = tasks.into_iter().find(|task| task.kind == erase("mail")).unwrap();
    assert_eq!(mail.due_at, Some(at(ENDS_AT + 10)));
    let mail = claim(&opened.store, ENDS_AT + 10, ENDS_AT + LEASE, 9).await;
    let mail = mail.into_iter().find(|task| task.kind == erase("mail")).unwrap();
    assert_eq!((mail.process_id, mail.unfinished_since, mail.poll), (process_id(1), Some(at(8)), poll));
}

async fn what_is_being_performed_is_left_alone_when_it_is_retried_until_its_lease_is_over(opened: Opened) {
    started(&opened, 1, &["files", "mail"], ENDS_AT).await;
    let retry = async |now| opened.store.retry(&process_id(1), None, at(now)).await.unwrap();
    let [task, _] = <[_; 2]>::try_from(claim(&opened.store, ENDS_AT, ENDS_AT + LEASE, 9).await).unwrap();
    assert_eq!(retry(ENDS_AT + 1).await, RetriedTasks { due: 0, being_performed: 2 });
    assert_eq!(claim(&opened.store, ENDS_AT + LEASE - 1, ENDS_AT + LEASE, 9).await, []);
    // The claim still holds; after its result no worker performs it.
    let again_at = at(ENDS_AT + 10 * LEASE);
    settle(&opened.store, &task, Settlement::GivenBack { again_at }).await.unwrap();
    assert_eq!(retry(ENDS_AT + 2).await, RetriedTasks { due: 1, being_performed: 1 });
    assert_eq!(claim_one(&opened.store, ENDS_AT + 2, ENDS_AT + LEASE).await.kind, task.kind);
    // The worker that had the other has died.
    assert_eq!(retry(ENDS_AT + LEASE).await, RetriedTasks { due: 2, being_performed: 0 });
    assert_eq!(claim(&opened.store, ENDS_AT + LEASE, ENDS_AT + 2 * LEASE, 9).await.len(), 2);
}

async fn later_keeps_where_to_ask(opened: Opened) {
    started(&opened, 1, &["files"], ENDS_AT).await;
    let task = claim_one(&opened.store, ENDS_AT, ENDS_AT + LEASE).await;
    let poll = Some("/jobs/17".to_owned());
    let later = Settlement::Later { at: Some(at(ENDS_AT + 50)), since: at(7), poll: poll.clone() };
    settle(&opened.store, &task, later).await.unwrap();
    assert_eq!(claim(&opened.store, ENDS_AT + 49, ENDS_AT + LEASE, 9).await, []);
    let again = claim_one(&opened.store, ENDS_AT + 50, ENDS_AT + LEASE).await;
    assert_eq!(again, ErasureTask { fence: 4, unfinished_since: Some(at(7)), poll, ..task });
    // Until something else makes it due.
    settle(&opened.store, &again, Settlement::Later { at: None, since: at(7), poll: None }).await.unwrap();
    assert_eq!(listed(&opened, 1).await[1].due_at, None);
}

async fn tasks_are_listed_those_that_wait_for_somebody_first(opened: Opened) {
    for number in [2, 1] {
        started(&opened, number, &["mail", "files"], ENDS_AT).await;
    }
    for task in claim(&opened.store, ENDS_AT, ENDS_AT + LEASE, 9).await {
        if task.process_id == process_id(2) && task.kind == erase("mail") {
            failed(&opened, &task, None).await;
        }
    }
    let status = |number, kind, due_at: Option<i64>| TaskStatus {
        process_id: process_id(number),
        address: address(number),
        kind,
        failures: 0,
        unfinished_since: None,
        stuck_since: None,
        due_at: due_at.map(at),
    };
    let leased = Some(ENDS_AT + LEASE);
    let stuck = TaskStatus {
        failures: 1,
        unfinished_since: Some(at(7)),
        stuck_since: Some(at(ENDS_AT + 5)),
        ..status(2, erase("mail"), None)
    };
    let expected = [
        stuck,
        status(1, TaskKind::Finish, None),
        status(1, erase("files"), leased),
        status(1, erase("mail"), leased),
        status(2, TaskKind::Finish, None),
        status(2, erase("files"), leased),
    ];
    for limit in [0, 1, 3, 6, 7] {
        let first: Vec<_> = expected.iter().take(limit).cloned().collect();
        let limit = u32::try_from(limit).unwrap();
        assert_eq!(ErasureTasks::list(&opened.store, None, limit).await.unwrap(), first);
    }
    assert_eq!(listed(&opened, 1).await, expected[1..4]);
    assert_eq!(listed(&opened, 3).await, []);
}

async fn a_corrupt_task_is_reported_in_its_place(opened: Opened) {
    let changes = [
        ("address = 'nobody'", "address"),
        ("eraser = 'two words'", "eraser"),
        ("failures = -1", "failures"),
        ("unfinished_since = 253402300800000000", "unfinished_since"),
        ("process_id = 'IDP'", "process_id"),
    ];
    for number in 0..=changes.len() {
        started(&opened, number, &["files"], ENDS_AT).await;
    }
    for (number, (change, _)) in changes.into_iter().enumerate() {
        let id = process_id(number);
        let spoil =
            format!("UPDATE erasure_tasks SET {change} WHERE process_id = '{id}' AND eraser = 'files'");
        opened.sql.run(&spoil).await;
    }
    for (now, fence) in [(ENDS_AT, 2), (ENDS_AT + LEASE, 4)] {
        let claimed = opened.store.claim(at(now), at(now + LEASE), 99).await.unwrap();
        let (mut sound, mut corrupt) = (Vec::new(), Vec::new());
        for task in claimed {
            match task {
                Ok(task) => sound.push((task.process_id, task.fence)),
                Err(StoreError::Corrupt { table: "erasure_tasks", column, .. }) => corrupt.push(column),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(sound, [(process_id(changes.len()), fence)]);
        corrupt.sort();
        assert_eq!(corrupt, ["address", "eraser", "failures", "process_id", "unfinished_since"]);
    }
    let listed = ErasureTasks::list(&opened.store, None, 99).await;
    assert!(matches!(listed, Err(StoreError::Corrupt { .. })), "{listed:?}");
}
