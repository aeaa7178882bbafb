//! What fails before an eraser is asked gives the lease back.

use std::sync::Mutex;

use reprieve_domain::FailureCode;
use reprieve_domain::audit::KeyedHash;

use super::*;
use crate::ports::{
    EraseAnswer, MockAuditTrail, MockEraser, MockErasureLedger, MockErasureTasks, MockIdentities, MockIds,
    MockReceiptSigner, Settlement,
};
use crate::use_cases::test_data::{ENDS_AT, at, broken_trail, clock_at, deleting_with, trail_of};
use reprieve_domain::TaskKind;

const NOW: i64 = ENDS_AT + 1_000_000;

/// The eraser of the tasks, which must not be asked.
fn eraser() -> Erasers {
    let mut eraser = MockEraser::new();
    eraser.expect_name().return_const("files".parse::<reprieve_domain::EraserName>().unwrap());
    eraser.expect_erase().never().returning(|_| EraseAnswer::Failed(FailureCode::not_configured()));
    Erasers::new([Arc::new(eraser) as Arc<dyn crate::ports::Eraser>]).unwrap()
}

fn deleting() -> DeletionProcess {
    deleting_with(&["files"])
}

fn task(number: u32) -> ErasureTask {
    ErasureTask {
        process_id: format!("IDP{number:017}").parse().unwrap(),
        address: deleting().address().clone(),
        kind: TaskKind::Erase("files".parse().unwrap()),
        fence: 1,
        failures: 4,
        unfinished_since: None,
        poll: None,
        is_in_ledger: false,
    }
}

/// What is given back, and when it is due again.
type GivenBack = Arc<Mutex<Vec<(String, Timestamp)>>>;

fn tasks(
    noted: impl Fn() -> Result<(), StoreError> + Send + Sync + 'static,
) -> (MockErasureTasks, GivenBack) {
    let mut tasks = MockErasureTasks::new();
    let mut claims = [vec![task(1), task(2)], vec![]].into_iter();
    tasks
        .expect_claim()
        .returning(move |_, _, _| Ok(claims.next().unwrap_or_default().into_iter().map(Ok).collect()));
    tasks.expect_note_in_ledger().returning(move |_| noted());
    let given_back = GivenBack::default();
    let noting = given_back.clone();
    tasks.expect_settle().returning(move |task, result, _| {
        let Settlement::GivenBack { again_at } = result else { panic!("{result:?}") };
        noting.lock().unwrap().push((task.process_id.to_string(), again_at));
        Ok(())
    });
    (tasks, given_back)
}

fn run(tasks: MockErasureTasks, mut audit_trail: MockAuditTrail, is_ledger_full: bool) -> RunErasures {
    let mut ledger = MockErasureLedger::new();
    ledger.expect_append().returning(move |_| {
        let full = || LedgerError { ledger: "file".to_owned(), source: "no space left on device".into() };
        if is_ledger_full { Err(full()) } else { Ok(()) }
    });
    audit_trail.expect_ledger_entry().returning(|process| {
        Some(ErasureLedgerEntry {
            process_id: process.id().clone(),
            identity_hash: KeyedHash::from([1; 32]),
            created_at: at(0),
            grace_period_ends_at: at(ENDS_AT),
            deletion_started_at: at(ENDS_AT),
            seal: KeyedHash::from([2; 32]),
        })
    });
    let mut ids = MockIds::new();
    ids.expect_random_bytes().returning(|| Ok([255; 32]));
    let ports = RunErasuresPorts {
        tasks: Arc::new(tasks),
        identities: Arc::new(MockIdentities::new()),
        audit_trail: Arc::new(audit_trail),
        ledger: Arc::new(ledger),
        signer: Arc::new(MockReceiptSigner::new()),
        clock: clock_at(NOW),
        ids: Arc::new(ids),
    };
    RunErasures::new(ports, eraser(), ErasureSettings::default())
}

fn assert_given_back(given_back: &GivenBack) {
    // Ten seconds, the first wait; nothing was tried, so there is nothing to double.
    let again_at = at(NOW + 10_000_000);
    let expected = [1, 2].map(|number| (task(number).process_id.to_string(), again_at));
    assert_eq!(*given_back.lock().unwrap(), expected);
}

#[tokio::test]
async fn tasks_are_given_back_if_the_ledger_cannot_be_written() {
    let (tasks, given_back) = tasks(|| Ok(()));
    let error = run(tasks, trail_of(deleting()), true).execute().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::LedgerUnavailable);
    assert_given_back(&given_back);
}

#[tokio::test]
async fn tasks_are_given_back_if_the_store_does_not_note_what_is_in_the_ledger() {
    let (tasks, given_back) = tasks(|| Err(StoreError::Conflict));
    let error = run(tasks, trail_of(deleting()), false).execute().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DatabaseConflict);
    assert_given_back(&given_back);
}

#[tokio::test]
async fn tasks_are_given_back_if_their_process_cannot_be_loaded() {
    let (tasks, given_back) = tasks(|| Ok(()));
    let mut trail = MockAuditTrail::new();
    trail.expect_verified().returning(|_| Err(StoreError::Unavailable("gone".into())));
    let error = run(tasks, trail, false).execute().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DatabaseUnavailable);
    assert_given_back(&given_back);
}

/// Neither is the eraser asked, nor the ledger told.
#[tokio::test]
async fn what_does_not_verify_is_not_erased() {
    let (tasks, given_back) = tasks(|| panic!("nothing is to be noted"));
    let run = run(tasks, broken_trail(), true).execute().await.unwrap();
    assert_eq!((run.broken, run.acknowledged), (2, 0));
    assert!(matches!(run.first_failure, Some(StoreError::Quarantined(_))));
    // It would not verify in a moment either.
    assert_eq!(*given_back.lock().unwrap(), []);
}
