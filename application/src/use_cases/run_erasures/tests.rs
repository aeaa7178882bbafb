//! What fails before an eraser is asked gives the lease back.

use std::sync::Mutex;

use reprieve_domain::FailureCode;

use super::*;
use crate::ports::{
    EraseAnswer, Holds, JournalError, MockAuditTrail, MockDeletionsSwitch, MockEraser, MockErasureTasks,
    MockHolds, MockIdentities, MockIds, MockReceiptSigner, Pause, Settlement,
};
use crate::use_cases::test_data::{ENDS_AT, at, broken_trail, clock_at, deleting_with, no_holds, trail_of};
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
    }
}

/// What is given back, and when it is due again.
type GivenBack = Arc<Mutex<Vec<(String, Timestamp)>>>;

fn tasks() -> (MockErasureTasks, GivenBack) {
    let mut tasks = MockErasureTasks::new();
    let mut claims = [vec![task(1), task(2)], vec![]].into_iter();
    tasks
        .expect_claim()
        .returning(move |_, _, _| Ok(claims.next().unwrap_or_default().into_iter().map(Ok).collect()));
    let given_back = GivenBack::default();
    let noting = given_back.clone();
    tasks.expect_settle().returning(move |task, result, _| {
        let Settlement::GivenBack { again_at } = result else { panic!("{result:?}") };
        noting.lock().unwrap().push((task.process_id.to_string(), again_at));
        Ok(())
    });
    (tasks, given_back)
}

fn run(tasks: MockErasureTasks, audit_trail: MockAuditTrail) -> RunErasures {
    run_while(None, tasks, audit_trail)
}

fn run_while(pause: Option<Pause>, tasks: MockErasureTasks, audit_trail: MockAuditTrail) -> RunErasures {
    run_beside(pause, no_holds(), tasks, audit_trail)
}

fn run_beside(
    pause: Option<Pause>,
    holds: Arc<dyn Holds>,
    tasks: MockErasureTasks,
    audit_trail: MockAuditTrail,
) -> RunErasures {
    let mut switch = MockDeletionsSwitch::new();
    let mut claims = 0..1;
    switch
        .expect_pause_in_force()
        .returning(move || Ok(claims.next().map_or_else(|| pause.clone(), |_| None)));
    let mut ids = MockIds::new();
    ids.expect_random_bytes().returning(|| Ok([255; 32]));
    let ports = RunErasuresPorts {
        tasks: Arc::new(tasks),
        switch: Arc::new(switch),
        holds,
        identities: Arc::new(MockIdentities::new()),
        audit_trail: Arc::new(audit_trail),
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
async fn tasks_are_given_back_if_the_journal_cannot_be_written() {
    let (tasks, given_back) = tasks();
    let mut trail = MockAuditTrail::new();
    let full = || JournalError::Unavailable { journal: "file".to_owned(), source: "no space left".into() };
    trail.expect_verified().returning(move |_| Err(full().into()));
    let error = run(tasks, trail).execute().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::JournalUnavailable);
    assert_given_back(&given_back);
}

#[tokio::test]
async fn tasks_are_given_back_if_their_process_cannot_be_loaded() {
    let (tasks, given_back) = tasks();
    let mut trail = MockAuditTrail::new();
    trail.expect_verified().returning(|_| Err(StoreError::Unavailable("gone".into())));
    let error = run(tasks, trail).execute().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DatabaseUnavailable);
    assert_given_back(&given_back);
}

#[tokio::test]
async fn what_does_not_verify_is_not_erased() {
    let (tasks, given_back) = tasks();
    let run = run(tasks, broken_trail()).execute().await.unwrap();
    assert_eq!((run.broken, run.acknowledged), (2, 0));
    assert!(matches!(run.first_failure, Some(StoreError::Quarantined(_))));
    // It would not verify in a moment either.
    assert_eq!(*given_back.lock().unwrap(), []);
}

/// They were claimed before the pause, and are asked after it.
#[tokio::test]
async fn tasks_are_given_back_if_deletions_were_paused_since_they_were_claimed() {
    let (tasks, given_back) = tasks();
    let run = run_while(Some(Pause::Unverified), tasks, trail_of(deleting()));
    assert_eq!(run.execute().await.unwrap_err().code(), ErrorCode::DeletionsPaused);
    assert_given_back(&given_back);
}

#[tokio::test]
async fn nothing_is_claimed_while_deletions_are_paused() {
    let mut switch = MockDeletionsSwitch::new();
    switch.expect_pause_in_force().returning(|| Ok(Some(Pause::Unverified)));
    let (mut tasks, trail) = (MockErasureTasks::new(), MockAuditTrail::new());
    tasks.expect_claim().never();
    let run = RunErasures { switch: Arc::new(switch), ..run(tasks, trail) };
    assert_eq!(run.execute().await.unwrap_err().code(), ErrorCode::DeletionsPaused);
}

/// They were claimed before the hold, and are asked after it. Patience stands still until its end.
#[tokio::test]
async fn tasks_are_put_off_if_their_identity_was_held_since_they_were_claimed() {
    const UNTIL: i64 = NOW + 1000;
    let mut holds = MockHolds::new();
    holds.expect_suspended_until().returning(|_| Ok(Some(at(UNTIL))));
    let mut tasks = MockErasureTasks::new();
    let unfinished = ErasureTask { unfinished_since: Some(at(NOW - 7)), ..task(2) };
    let mut claims = [vec![task(1), unfinished], vec![]].into_iter();
    tasks
        .expect_claim()
        .returning(move |_, _, _| Ok(claims.next().unwrap_or_default().into_iter().map(Ok).collect()));
    tasks.expect_settle().times(2).returning(|task, settlement, _| {
        let since = at(if task.unfinished_since.is_some() { UNTIL - 7 } else { UNTIL });
        assert_eq!(settlement, Settlement::Later { at: Some(at(UNTIL)), since, poll: None });
        Ok(())
    });
    // The eraser must not be asked.
    let run = run_beside(None, Arc::new(holds), tasks, trail_of(deleting())).execute().await.unwrap();
    assert_eq!((run.acknowledged, run.failed), (0, 0));
}
