//! What is kept of closed processes cannot be changed without being found.

use reprieve_application::use_cases::{VerifiedAuditTrail, VerifyAuditTrailError};
use reprieve_domain::Status;
use reprieve_domain::audit::FaultKind;

use super::{cancelled_twice, close, completed, verified};
use crate::support::{ENDS_AT, Opened, address, on_each_database, started};

on_each_database!(whatever_is_changed_after_closing_is_found);

/// Its trail: started, deletion started, data deleted, completed.
const DELETED: &str = "IDP00000000000000001";
const CANCELLED: &str = "IDP00000000000000010";
const ACTIVE: &str = "IDP00000000000000020";

async fn whatever_is_changed_after_closing_is_found(opened: Opened) {
    use FaultKind::{Changed, Inserted, ProcessDiffers, Removed};
    cancelled_twice(&opened, &address(1), 10).await;
    started(&opened, 1, &["files"], ENDS_AT).await;
    opened.initiated_up_to(20, Status::Active).await;
    let (task, receipt) = completed(&opened, 1, ENDS_AT).await;
    close(&opened, &task, &receipt).await;
    opened.sql.keep().await;

    let closed =
        |id: &str, change: &str| format!("UPDATE closed_processes SET {change} WHERE process_id = '{id}'");
    let entry = |id: &str, change: &str| {
        format!("UPDATE audit_entries SET {change} WHERE process_id = '{id}' AND sequence = 2")
    };
    let gone = |table: &str, condition: &str| format!("DELETE FROM {table} WHERE {condition}");
    let moved = |status: &str| {
        format!(
            "INSERT INTO closed_processes (process_id, identity_hash, status, revision, audit_head, audit_seal)
             SELECT id, identity_hash, {status}, revision, audit_head, audit_seal FROM deletion_processes
             JOIN audit_entries ON process_id = id WHERE id = '{ACTIVE}';
             DELETE FROM deletion_processes WHERE id = '{ACTIVE}'"
        )
    };
    let cases = [
        (closed(DELETED, "status = 'Cancelled'"), DELETED, 4, ProcessDiffers, 3),
        (closed(DELETED, "status = 'Deleting'"), DELETED, 4, ProcessDiffers, 3),
        (closed(DELETED, "status = ''"), DELETED, 4, ProcessDiffers, 3),
        (closed(CANCELLED, "status = 'Deleted'"), CANCELLED, 2, ProcessDiffers, 1),
        (closed(DELETED, "identity_hash = audit_head"), DELETED, 1, ProcessDiffers, 3),
        (closed(DELETED, "revision = 3"), DELETED, 4, Inserted, 1),
        (closed(DELETED, "revision = 5"), DELETED, 5, Removed, 1),
        (closed(DELETED, "revision = 0"), DELETED, 1, Inserted, 1),
        (closed(DELETED, "audit_head = audit_seal"), DELETED, 5, Removed, 1),
        (closed(DELETED, "audit_seal = audit_head"), DELETED, 5, Removed, 1),
        // The other two went with it.
        (closed(DELETED, "identity_deleted_at = identity_deleted_at + 1"), DELETED, 4, ProcessDiffers, 3),
        (closed(DELETED, "identity_deleted_at = NULL"), DELETED, 4, ProcessDiffers, 3),
        (closed(DELETED, "receipt = NULL"), DELETED, 4, ProcessDiffers, 1),
        (closed(CANCELLED, "receipt = 'signed'"), CANCELLED, 2, ProcessDiffers, 1),
        (closed(CANCELLED, "identity_deleted_at = 0"), CANCELLED, 2, ProcessDiffers, 1),
        (closed(CANCELLED, "identity_deleted_at = NULL"), CANCELLED, 2, ProcessDiffers, 1),
        (closed(CANCELLED, "audit_seal = substr(audit_seal, 1, 31)"), CANCELLED, 3, Removed, 1),
        (gone("closed_processes", &format!("process_id = '{DELETED}'")), DELETED, 1, Inserted, 3),
        (gone("closed_processes", &format!("process_id = '{CANCELLED}'")), CANCELLED, 1, Inserted, 1),
        (gone("audit_entries", &format!("process_id = '{DELETED}'")), DELETED, 1, Removed, 1),
        (
            gone("audit_entries", &format!("process_id = '{DELETED}' AND sequence = 4")),
            DELETED,
            4,
            Removed,
            1,
        ),
        (entry(DELETED, "created_at = created_at + 1"), DELETED, 2, Changed, 1),
        (entry(CANCELLED, "device_hash = NULL"), CANCELLED, 2, Changed, 1),
        (moved("status"), ACTIVE, 1, ProcessDiffers, 1),
        (moved("'Cancelled'"), ACTIVE, 1, ProcessDiffers, 1),
        (moved("'Deleted'"), ACTIVE, 1, ProcessDiffers, 1),
    ];
    for (tampering, process_id, sequence, kind, others) in cases {
        opened.sql.put_back().await;
        assert_eq!(
            verified(&opened).await.unwrap(),
            VerifiedAuditTrail { processes: 4, entries: 9, journal: None }
        );
        opened.sql.run(&tampering).await;
        let Err(VerifyAuditTrailError::Broken { first, broken }) = verified(&opened).await else {
            panic!("not found: {tampering}")
        };
        let found = (first.process_id.as_str(), first.sequence, first.kind, broken);
        assert_eq!(found, (process_id, sequence, kind, others), "{tampering}");
    }
}
