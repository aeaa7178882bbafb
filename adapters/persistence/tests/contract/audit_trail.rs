//! `AuditTrail`: whatever is done to the trail behind the application's back is named.

use std::sync::Arc;

use reprieve_application::ports::AuditTrail;
use reprieve_application::use_cases::{VerifiedAuditTrail, VerifyAuditTrail, VerifyAuditTrailError};
use reprieve_domain::Status;
use reprieve_domain::audit::{Fault, FaultKind};

use crate::support::{Opened, address, on_each_database, process_id};

on_each_database!(
    every_page_of_the_trail_is_walked,
    a_changed_entry_is_named,
    a_removed_entry_is_named,
    an_inserted_entry_is_named,
    a_process_that_vanished_is_named_by_the_entries_it_left,
    a_process_that_is_not_what_its_trail_says_is_named,
    cutting_off_the_newest_entry_shows_even_if_the_process_is_put_back,
);

async fn verified(opened: &Opened) -> Result<VerifiedAuditTrail, VerifyAuditTrailError> {
    let audit_trail: Arc<dyn AuditTrail> = Arc::new(opened.store.clone());
    VerifyAuditTrail::new(audit_trail).execute().await
}

/// The first fault, and how many processes have one.
async fn broken(opened: &Opened) -> (Fault, u64) {
    match verified(opened).await {
        Err(VerifyAuditTrailError::Broken { first, broken }) => (first, broken),
        other => panic!("{other:?}"),
    }
}

fn fault(process_id: &str, sequence: i64, kind: FaultKind) -> Fault {
    Fault { process_id: process_id.to_owned(), sequence, kind }
}

async fn every_page_of_the_trail_is_walked(opened: Opened) {
    const PROCESSES: usize = 501;
    for number in 0..PROCESSES {
        opened.initiated(&address(number), number).await;
    }
    assert_eq!(verified(&opened).await.unwrap(), VerifiedAuditTrail { processes: 501, entries: 501 });

    let (mut ids, mut pages, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = opened.store.chains(after, 200).await.unwrap();
        pages.push(page.len());
        let Some(last) = page.last() else { break };
        after = Some(last.process_id.clone());
        ids.extend(page.into_iter().map(|chain| chain.process_id));
    }
    assert_eq!(pages, [200, 200, 101, 0]);
    assert_eq!(ids, (0..PROCESSES).map(|number| process_id(number).to_string()).collect::<Vec<_>>());

    // The newest is on the last page; the first to be named is the first by its id.
    let (early, last) = (process_id(7), process_id(PROCESSES - 1));
    opened.sql.run(&format!("DELETE FROM audit_entries WHERE process_id = '{last}'")).await;
    assert_eq!(broken(&opened).await, (fault(last.as_str(), 1, FaultKind::Removed), 1));
    opened.sql.run(&format!("DELETE FROM deletion_processes WHERE id = '{early}'")).await;
    assert_eq!(broken(&opened).await, (fault(early.as_str(), 1, FaultKind::Inserted), 2));
}

const CANCELLED: &str = "IDP00000000000000001";
/// Its trail: started, deletion started, data deleted, completed.
const DELETED: &str = "IDP00000000000000002";
const ACTIVE: &str = "IDP00000000000000003";

/// Does each of these to a sound trail of three processes, and expects one fault.
async fn tampered(opened: &Opened, cases: impl IntoIterator<Item = (String, Fault)>) {
    for (number, status) in [(1, Status::Cancelled), (2, Status::Deleted), (3, Status::Active)] {
        opened.initiated_up_to(number, status).await;
    }
    opened.sql.keep().await;
    for (tampering, fault) in cases {
        opened.sql.put_back().await;
        assert_eq!(verified(opened).await.unwrap(), VerifiedAuditTrail { processes: 3, entries: 7 });
        opened.sql.run(&tampering).await;
        assert_eq!(broken(opened).await, (fault, 1), "{tampering}");
    }
}

async fn a_changed_entry_is_named(opened: Opened) {
    let changes = [
        "created_at = created_at + 1",
        "old_status = NULL",
        "old_status = 'Deleted'",
        "new_status = 'Deleted'",
        "new_status = 'Active '",
        "message_key = 'CancelledByOwner'",
        "additional_data = '{ }'",
        "additional_data = replace(additional_data, 'files', 'posts')",
        "identity_hash = hash",
        "identity_hash = substr(identity_hash, 1, 31)",
        "device_hash = hash",
        "hash = identity_hash",
        "hash = substr(hash, 1, 31)",
    ];
    let cases = changes.into_iter().map(|change| {
        let sql =
            format!("UPDATE audit_entries SET {change} WHERE process_id = '{DELETED}' AND sequence = 3");
        (sql, fault(DELETED, 3, FaultKind::Changed))
    });
    let by_whom = format!(
        "UPDATE audit_entries SET device_hash = NULL WHERE process_id = '{CANCELLED}' AND sequence = 2"
    );
    // Even to what another entry of the same process says.
    let copied = format!(
        "UPDATE audit_entries SET additional_data = (SELECT additional_data FROM audit_entries WHERE process_id = \
         '{DELETED}' AND sequence = 2) WHERE process_id = '{DELETED}' AND sequence = 1"
    );
    let more =
        [(by_whom, fault(CANCELLED, 2, FaultKind::Changed)), (copied, fault(DELETED, 1, FaultKind::Changed))];
    tampered(&opened, cases.chain(more)).await;
}

async fn a_removed_entry_is_named(opened: Opened) {
    let removed =
        |condition: &str| format!("DELETE FROM audit_entries WHERE process_id = '{DELETED}' AND {condition}");
    let one = (1..=4).map(|sequence| {
        (removed(&format!("sequence = {sequence}")), fault(DELETED, sequence, FaultKind::Removed))
    });
    let several = [
        (removed("sequence > 0"), fault(DELETED, 1, FaultKind::Removed)),
        (removed("sequence > 2"), fault(DELETED, 3, FaultKind::Removed)),
        (removed("sequence IN (2, 3)"), fault(DELETED, 2, FaultKind::Removed)),
    ];
    tampered(&opened, one.chain(several)).await;
}

/// Copies an entry of the deleted process.
fn copied(sequence: i64, to_process: &str, to_sequence: i64) -> String {
    format!(
        "INSERT INTO audit_entries SELECT '{to_process}', {to_sequence}, created_at, old_status, new_status, \
         message_key, additional_data, identity_hash, device_hash, hash FROM audit_entries \
         WHERE process_id = '{DELETED}' AND sequence = {sequence}"
    )
}

async fn an_inserted_entry_is_named(opened: Opened) {
    let never_was = "IDPzzzzzzzzzzzzzzzzz";
    let cases = [
        (copied(4, DELETED, 5), fault(DELETED, 5, FaultKind::Inserted)),
        (copied(1, DELETED, 0), fault(DELETED, 0, FaultKind::Inserted)),
        (copied(1, DELETED, i64::MIN), fault(DELETED, i64::MIN, FaultKind::Inserted)),
        (copied(4, DELETED, i64::MAX), fault(DELETED, i64::MAX, FaultKind::Inserted)),
        (copied(2, ACTIVE, 2), fault(ACTIVE, 2, FaultKind::Inserted)),
        (copied(1, never_was, 1), fault(never_was, 1, FaultKind::Inserted)),
        (copied(1, "", 1), fault("", 1, FaultKind::Inserted)),
        // Moved down to make room for another.
        (
            format!(
                "UPDATE audit_entries SET sequence = 5 WHERE process_id = '{DELETED}' AND sequence = 4; {}",
                copied(3, DELETED, 4)
            ),
            fault(DELETED, 4, FaultKind::Changed),
        ),
    ];
    tampered(&opened, cases).await;
}

async fn a_process_that_vanished_is_named_by_the_entries_it_left(opened: Opened) {
    let cases = [CANCELLED, DELETED, ACTIVE].map(|id| {
        (format!("DELETE FROM deletion_processes WHERE id = '{id}'"), fault(id, 1, FaultKind::Inserted))
    });
    tampered(&opened, cases).await;
}

async fn a_process_that_is_not_what_its_trail_says_is_named(opened: Opened) {
    let cases = [
        ("status = 'Cancelled'", 4, FaultKind::ProcessDiffers),
        ("status = 'Waiting'", 4, FaultKind::ProcessDiffers),
        ("grace_period_ends_at = grace_period_ends_at + 1", 1, FaultKind::ProcessDiffers),
        ("grace_period_ends_at = grace_period_ends_at - 86400000000", 1, FaultKind::ProcessDiffers),
        ("grace_period_ends_at = 9223372036854775807", 1, FaultKind::ProcessDiffers),
        ("revision = 5", 5, FaultKind::Removed),
        ("revision = 3", 4, FaultKind::Inserted),
        ("revision = 0", 1, FaultKind::Inserted),
        ("audit_head = audit_seal", 5, FaultKind::Removed),
        ("audit_seal = audit_head", 5, FaultKind::Removed),
        ("audit_seal = substr(audit_seal, 1, 0)", 5, FaultKind::Removed),
    ];
    let cases = cases.map(|(change, sequence, kind)| {
        let sql = format!("UPDATE deletion_processes SET {change} WHERE id = '{DELETED}'");
        (sql, fault(DELETED, sequence, kind))
    });
    let reactivated = format!(
        "UPDATE deletion_processes SET status = 'Active', cancelled_at = NULL, cancelled_by_device = NULL \
         WHERE id = '{CANCELLED}'"
    );
    let cases = cases.into_iter().chain([(reactivated, fault(CANCELLED, 2, FaultKind::ProcessDiffers))]);
    tampered(&opened, cases).await;
}

async fn cutting_off_the_newest_entry_shows_even_if_the_process_is_put_back(opened: Opened) {
    let cut = format!(
        "DELETE FROM audit_entries WHERE process_id = '{DELETED}' AND sequence = 4;
         UPDATE deletion_processes SET revision = 3, status = 'Deleting', deletion_completed_at = NULL, \
         audit_head = (SELECT hash FROM audit_entries WHERE process_id = '{DELETED}' AND sequence = 3) \
         WHERE id = '{DELETED}'"
    );
    tampered(&opened, [(cut, fault(DELETED, 4, FaultKind::Removed))]).await;
}
