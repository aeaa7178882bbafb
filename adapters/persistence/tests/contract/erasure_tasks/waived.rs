//! `ErasureTasks`: what an operator does without.

use reprieve_application::StoreError;
use reprieve_application::ports::{
    Alongside, ErasureTasks, Identities, Loaded, Settlement, TaskOutcome, Waiver,
};
use reprieve_domain::{Erasure, State, TaskKind};

use super::{LEASE, acknowledge, erase, fail, kinds, listed, noted, settle};
use crate::closing::{close, completed, sound};
use crate::support::{
    ENDS_AT, Opened, address, at, claim, claim_one, eraser, finish, on_each_database, open, process_id,
    process_of, started, waive,
};

on_each_database!(
    a_waiver_is_stored_with_its_step_ends_the_task_and_makes_the_process_due,
    a_worker_that_performs_what_is_waived_stores_nothing,
    a_waiver_that_was_decided_on_another_version_changes_nothing,
    of_a_waiver_and_an_acknowledgement_at_once_one_counts,
    a_corrupt_waiver_is_reported,
);

async fn a_waiver_is_stored_with_its_step_ends_the_task_and_makes_the_process_due(opened: Opened) {
    for number in [1, 2] {
        started(&opened, number, &["files", "mail"], ENDS_AT).await;
    }
    let waiver = waive(&opened, 1, &address(1), "files", ENDS_AT + 7).await.unwrap();
    let stored = std::slice::from_ref(&waiver);
    assert_eq!(opened.store.waivers(None, 9).await.unwrap(), stored);
    assert_eq!(opened.store.waivers(Some(&process_id(1)), 9).await.unwrap(), stored);
    assert_eq!(opened.store.waivers(Some(&process_id(2)), 9).await.unwrap(), []);
    assert_eq!(opened.store.waivers(None, 0).await.unwrap(), []);
    let tasks = listed(&opened, 1).await;
    let left: Vec<_> = tasks.iter().map(|task| (task.kind.clone(), task.due_at)).collect();
    assert_eq!(left, [(TaskKind::Finish, Some(at(ENDS_AT + 7))), (erase("mail"), Some(at(ENDS_AT)))]);
    let State::Deleting(deleting) =
        opened.store.load(&address(1)).await.unwrap().value.open_process().unwrap().state().clone()
    else {
        panic!()
    };
    let expected = Erasure::Waived { at: at(ENDS_AT + 7), code: waiver.code };
    assert!(deleting.erasures().any(|(name, erasure)| *name == eraser("files") && *erasure == expected));
    let keys = "SELECT message_key || additional_data FROM audit_entries WHERE sequence = 3";
    let expected = r#"DataDeletionWaivedBySupport{"aggregateType":"files","code":"retired"}"#;
    assert_eq!(opened.sql.column::<String>(keys).await, [expected]);
    let (task, receipt) = completed(&opened, 1, ENDS_AT + 8).await;
    close(&opened, &task, &receipt).await;
    assert_eq!(opened.store.waivers(None, 9).await.unwrap(), []);
    sound(&opened).await;
}

async fn a_worker_that_performs_what_is_waived_stores_nothing(opened: Opened) {
    started(&opened, 1, &["files"], ENDS_AT).await;
    let task = claim_one(&opened.store, ENDS_AT, ENDS_AT + LEASE).await;
    let Loaded { value: process, version } = process_of(&opened, &task).await;
    waive(&opened, 1, &address(1), "files", ENDS_AT + 1).await.unwrap();
    let (acknowledged, failed) = (acknowledge(&process, "files"), fail(&process, "files"));
    let (before, since) = (opened.sql.everything().await, at(ENDS_AT));
    for settlement in [
        Settlement::Known,
        Settlement::Later { at: Some(since), since, poll: None },
        Settlement::GivenBack { again_at: since },
    ] {
        let lost = settle(&opened.store, &task, settlement).await;
        assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
        assert_eq!(opened.sql.everything().await, before);
    }
    for (step, outcome) in [
        (&acknowledged, TaskOutcome::Acknowledged),
        (&failed, TaskOutcome::Failed { since, again_at: Some(since) }),
        (&failed, TaskOutcome::Failed { since, again_at: None }),
    ] {
        let lost = noted(&opened.store, &task, (step, version), outcome).await;
        assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
        assert_eq!(opened.sql.everything().await, before);
    }
    let finish = finish(&opened, 1, ENDS_AT + 1).await;
    let identity = open(&process_of(&opened, &finish).await.value);
    let complete = identity.complete(&process_id(1), at(ENDS_AT + 1));
    assert!(complete.is_ok(), "{complete:?}");
}

async fn a_waiver_that_was_decided_on_another_version_changes_nothing(opened: Opened) {
    started(&opened, 1, &["files", "mail"], ENDS_AT).await;
    let Loaded { value: identity, version } = opened.store.load(&address(1)).await.unwrap();
    let code: reprieve_domain::WaiverCode = "retired".parse().unwrap();
    let step = identity.waive_erasure(&process_id(1), &eraser("mail"), code.clone(), at(ENDS_AT)).unwrap();
    waive(&opened, 1, &address(1), "files", ENDS_AT).await.unwrap();
    let waiver = Waiver {
        process_id: process_id(1),
        address: address(1),
        eraser: eraser("mail"),
        waived_at: at(ENDS_AT),
        code,
        note: None,
    };
    let before = opened.sql.everything().await;
    let refused = opened.store.save(&step, version, Alongside::Waiver(&waiver)).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(opened.sql.everything().await, before);
}

async fn of_a_waiver_and_an_acknowledgement_at_once_one_counts(opened: Opened) {
    for number in 0..20 {
        started(&opened, number, &["files"], ENDS_AT).await;
    }
    let another = Opened { store: opened.another_store().await, ..opened };
    let tasks = claim(&another.store, ENDS_AT, ENDS_AT + LEASE, 99).await;
    assert_eq!(kinds(&tasks).len(), 20);
    let mut count = 0;
    for (number, task) in tasks.iter().enumerate() {
        let owner = task.address.clone();
        let number_of: usize = task.process_id.as_str()[3..].parse().unwrap();
        let Loaded { value: process, version } = process_of(&another, task).await;
        let step = acknowledge(&process, "files");
        let acknowledging = async {
            if number % 2 == 0 {
                tokio::task::yield_now().await;
            }
            noted(&another.store, task, (&step, version), TaskOutcome::Acknowledged).await
        };
        let waiving = waive(&another, number_of, &owner, "files", ENDS_AT);
        let (acknowledged, waiver) = tokio::join!(acknowledging, waiving);
        assert!(acknowledged.is_ok() != waiver.is_ok(), "{acknowledged:?} {waiver:?}");
        count += usize::from(waiver.is_ok());
        if waiver.is_err() {
            assert!(matches!(waiver, Err(StoreError::Conflict)), "{waiver:?}");
        } else {
            assert!(matches!(acknowledged, Err(StoreError::LeaseLost)), "{acknowledged:?}");
        }
    }
    assert_eq!(another.store.waivers(None, 99).await.unwrap().len(), count);
    sound(&another).await;
}

async fn a_corrupt_waiver_is_reported(opened: Opened) {
    started(&opened, 1, &["files"], ENDS_AT).await;
    waive(&opened, 1, &address(1), "files", ENDS_AT).await.unwrap();
    for change in ["code = 'two words'", "note = ''", "eraser = ''", "address = 'nobody'"] {
        opened.sql.run(&format!("UPDATE erasure_waivers SET {change}")).await;
        let listed = opened.store.waivers(None, 9).await;
        assert!(matches!(listed, Err(StoreError::Corrupt { table: "erasure_waivers", .. })), "{listed:?}");
        let sound = "code = 'retired', note = NULL, eraser = 'files'";
        let address = address(1);
        opened.sql.run(&format!("UPDATE erasure_waivers SET {sound}, address = '{address}'")).await;
    }
}
