use super::*;
use crate::ports::{ComparedEvents, MockAuditTrail, MockReceiptChecker};
use reprieve_domain::audit::{ChainHead, ClosedProcess, KeyedHash, StoredHead};
use reprieve_domain::{DeletionProcessId, Timestamp};

fn chain(process_id: &str) -> Chain {
    Chain { process_id: process_id.to_owned(), entries: Vec::new(), head: None, tasks: None }
}

fn fault(process_id: &str, kind: FaultKind) -> Fault {
    Fault { process_id: process_id.to_owned(), sequence: 1, kind }
}

/// Three processes on two pages, and two pages of events.
fn trail(broken: &'static [&'static str], events: &'static [&'static str]) -> MockAuditTrail {
    let mut trail = MockAuditTrail::new();
    trail.expect_chains().returning(|after, _| {
        Ok(match after.as_deref() {
            None => vec![chain(""), chain("b")],
            Some("b") => vec![chain("c")],
            _ => Vec::new(),
        })
    });
    trail.expect_verify().returning(|chain| {
        if broken.contains(&chain.process_id.as_str()) {
            Err(fault(&chain.process_id, FaultKind::Removed))
        } else {
            Ok(None)
        }
    });
    trail.expect_compared_events().returning(|after, _| {
        let faults = events.iter().map(|id| fault(id, FaultKind::EventDiffers));
        Ok(match after {
            None => ComparedEvents { next: Some(7), faults: Vec::new() },
            Some(_) => ComparedEvents { next: None, faults: faults.collect() },
        })
    });
    trail.expect_contradictions().returning(|| Ok(Vec::new()));
    trail
}

async fn message(trail: MockAuditTrail) -> String {
    let error = VerifyAuditTrail::new(Arc::new(trail)).execute().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::AuditTrailBroken);
    error.to_string()
}

#[tokio::test]
async fn every_page_is_walked() {
    let verified = VerifyAuditTrail::new(Arc::new(trail(&[], &[]))).execute().await.unwrap();
    assert_eq!(verified.processes, 3);
}

#[tokio::test]
async fn the_first_fault_is_named_and_the_others_are_counted() {
    assert_eq!(
        message(trail(&["b", "c"], &[])).await,
        "the audit trail is broken: entry 1 of process b was removed, and one more process has a fault"
    );
}

#[tokio::test]
async fn a_process_whose_event_has_a_fault_as_well_is_counted_once() {
    assert_eq!(
        message(trail(&["b"], &["b", "b"])).await,
        "the audit trail is broken: entry 1 of process b was removed"
    );
    assert_eq!(
        message(trail(&[], &["d", "e", "d"])).await,
        "the audit trail is broken: the event of entry 1 of process d is not what that entry says, and one more process \
         has a fault"
    );
}

#[tokio::test]
async fn what_contradicts_itself_elsewhere_is_a_fault() {
    let mut trail = trail(&[], &[]);
    trail.checkpoint();
    trail.expect_chains().returning(|_, _| Ok(Vec::new()));
    trail.expect_compared_events().returning(|_, _| Ok(ComparedEvents::default()));
    trail.expect_contradictions().returning(|| Ok(vec![fault("a", FaultKind::EventDiffers)]));
    let message = message(trail).await;
    assert!(message.contains("the event of entry 1 of process a"), "{message}");
}

#[tokio::test]
async fn a_receipt_that_is_not_what_the_trail_says_is_named() {
    let at = Timestamp::from_unix_micros(1).unwrap();
    let process_id: DeletionProcessId = "IDP0123456789abcdefg".parse().unwrap();
    let receipt = Receipt {
        process_id: process_id.clone(),
        identity_hash: KeyedHash::from([1; 32]),
        created_at: at,
        grace_period_ends_at: at,
        deletion_started_at: at,
        deletion_completed_at: at,
        erasures: Vec::new(),
        audit_head: ChainHead { length: 3, hash: KeyedHash::from([2; 32]) },
    };
    let closed = move |signed: Option<&str>| {
        let subject = Subject::Closed(ClosedProcess {
            identity_hash: vec![1; 32],
            status: "Deleted".to_owned(),
            identity_deleted_at: Some(1),
            precedes_deletion: false,
            is_of_deletion: true,
            receipt: signed.map(str::to_owned),
        });
        let head = StoredHead { length: 3, hash: vec![2; 32], seal: Vec::new(), subject };
        Chain { head: Some(head), ..chain(process_id.as_str()) }
    };
    for (signed, is_sound) in [(Some("signed"), true), (Some("forged"), false), (None, false)] {
        let (closed, expected) = (closed(signed), receipt.clone());
        let mut trail = MockAuditTrail::new();
        trail
            .expect_chains()
            .returning(move |after, _| Ok(if after.is_none() { vec![closed.clone()] } else { Vec::new() }));
        trail.expect_verify().returning(move |_| Ok(Some(expected.clone())));
        trail.expect_compared_events().returning(|_, _| Ok(ComparedEvents::default()));
        trail.expect_contradictions().returning(|| Ok(Vec::new()));
        let (mut checker, expected) = (MockReceiptChecker::new(), receipt.clone());
        checker
            .expect_is_receipt()
            .returning(move |signed, receipt| signed == "signed" && *receipt == expected);
        let verify = VerifyAuditTrail::new(Arc::new(trail)).with_receipts(Arc::new(checker));
        let verified = verify.execute().await;
        assert_eq!(verified.is_ok(), is_sound, "{signed:?}");
        if let Err(VerifyAuditTrailError::Broken { first, .. }) = verified {
            assert_eq!((first.sequence, first.kind), (3, FaultKind::ReceiptDiffers));
        }
    }
}
