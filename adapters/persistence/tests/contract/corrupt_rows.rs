//! Rows that this program cannot have written: each is reported with table, key and column, and none is overlooked.

use std::fmt::Debug;

use reprieve_application::ports::{AuditTrail, DeletionProcesses, Identities, OwnIdentities, Version};
use reprieve_application::{Coded, ErrorCode, StoreError};
use reprieve_domain::{DeletionProcessId, Identity, Status};

use crate::support::{
    self, ENDS_AT, Opened, address, initiate, on_each_database, on_sqlite, own_identity, process_id, save,
    start,
};

on_each_database!(
    a_corrupt_process_is_reported_by_whatever_reads_it,
    a_corrupt_name_of_a_process_is_reported,
    a_process_with_a_status_that_nobody_knows_is_not_overlooked,
    the_status_of_old_data_is_read,
    a_corrupt_own_identity_is_reported,
);

/// What a worker meets is reported in its place.
async fn is_quarantined(opened: &Opened, id: &DeletionProcessId) {
    let ripe = support::ripe(&opened.store, ENDS_AT, 9).await;
    assert!(
        matches!(&ripe, Err(StoreError::Quarantined(fault)) if fault.process_id == id.as_str()),
        "{ripe:?}"
    );
}

#[track_caller]
fn is_corrupt<T: Debug>(result: Result<T, StoreError>, place: (&str, &str, &str)) {
    match result {
        Err(StoreError::Corrupt { table, key, column, problem }) => {
            assert_eq!((table, key.as_str(), column.as_str()), place, "{problem}");
            assert_ne!(problem, "", "{place:?}");
        }
        other => panic!("{place:?}: {other:?}"),
    }
}

const BEYOND: &str = "253402300800000000";

/// Where it starts, what is changed by SQL, and the column that is to be named.
const CHANGES: &[(Status, &str, &str)] = &[
    (Status::Active, "status = 'Waiting'", "status"),
    (Status::Active, "status = ''", "status"),
    (Status::Active, "status = 'active'", "status"),
    (Status::Active, "status = 'Cancelled'", "cancelled_at"),
    (Status::Active, "status = 'Deleting'", "deletion_started_at"),
    (Status::Active, "status = 'Deleted'", "erasures"),
    (Status::Active, "created_at = BEYOND", "created_at"),
    (Status::Active, "created_at = -9223372036854775808", "created_at"),
    (Status::Active, "created_at = grace_period_ends_at", "grace_period_ends_at"),
    (Status::Active, "created_at = grace_period_ends_at + 1", "grace_period_ends_at"),
    (Status::Active, "created_by_device = 'IDP0123456789abcdefg'", "created_by_device"),
    (Status::Active, "created_by_device = ''", "created_by_device"),
    (Status::Active, "grace_period_ends_at = BEYOND", "grace_period_ends_at"),
    (Status::Active, "grace_period_ends_at = created_at", "grace_period_ends_at"),
    (Status::Active, "reminder1_sent_at = BEYOND", "reminder1_sent_at"),
    (Status::Active, "reminder2_sent_at = BEYOND", "reminder2_sent_at"),
    (Status::Active, "reminder3_sent_at = BEYOND", "reminder3_sent_at"),
    (Status::Active, "reminder1_sent_at = grace_period_ends_at", "reminder1_sent_at"),
    (Status::Active, "reminder2_sent_at = grace_period_ends_at", "reminder2_sent_at"),
    (Status::Active, "reminder3_sent_at = grace_period_ends_at", "reminder3_sent_at"),
    (Status::Active, "cancelled_at = created_at", "cancelled_at"),
    (Status::Active, "cancelled_by_device = created_by_device", "cancelled_by_device"),
    (Status::Active, "deletion_started_at = grace_period_ends_at", "deletion_started_at"),
    (Status::Active, "deletion_completed_at = grace_period_ends_at", "deletion_completed_at"),
    (Status::Active, "erasures = '[]'", "erasures"),
    (Status::Active, "revision = 0", "revision"),
    (Status::Active, "revision = -9223372036854775808", "revision"),
    (Status::Active, "audit_head = substr(audit_head, 1, 31)", "audit_head"),
    (Status::Active, "audit_head = substr(audit_head, 1, 0)", "audit_head"),
    (Status::Cancelled, "status = 'Active'", "cancelled_at"),
    (Status::Cancelled, "cancelled_at = NULL", "cancelled_at"),
    (Status::Cancelled, "cancelled_at = BEYOND", "cancelled_at"),
    (Status::Cancelled, "cancelled_at = grace_period_ends_at", "cancelled_at"),
    (Status::Cancelled, "cancelled_by_device = NULL", "cancelled_by_device"),
    (Status::Cancelled, "cancelled_by_device = 'DVC'", "cancelled_by_device"),
    (Status::Deleting, "deletion_started_at = NULL", "deletion_started_at"),
    (Status::Deleting, "deletion_started_at = BEYOND", "deletion_started_at"),
    (Status::Deleting, "deletion_started_at = grace_period_ends_at - 1", "deletion_started_at"),
    (Status::Deleting, "deletion_completed_at = grace_period_ends_at", "deletion_completed_at"),
    (Status::Deleting, "erasures = NULL", "erasures"),
    (Status::Deleting, "erasures = ''", "erasures"),
    (Status::Deleting, "erasures = 'null'", "erasures"),
    (Status::Deleting, "erasures = '{}'", "erasures"),
    (Status::Deleting, "erasures = '[{}]'", "erasures"),
    (Status::Deleting, "erasures = replace(erasures, 'files', 'two words')", "erasures"),
    (Status::Deleting, r#"erasures = '[{"eraser":"files"},{"eraser":"files"}]'"#, "erasures"),
    (Status::Deleting, r#"erasures = '[{"eraser":"files","failures":-1}]'"#, "erasures"),
    (Status::Deleting, r#"erasures = '[{"eraser":"files","count":1}]'"#, "erasures"),
    (Status::Deleting, r#"erasures = '[{"eraser":"files","acknowledgedAt":BEYOND,"count":1}]'"#, "erasures"),
    (Status::Deleting, "status = 'Deleted', deletion_completed_at = deletion_started_at", "erasures"),
    (Status::Deleted, "status = 'Deleting'", "deletion_completed_at"),
    (Status::Deleted, "deletion_completed_at = NULL", "deletion_completed_at"),
    (Status::Deleted, "deletion_completed_at = BEYOND", "deletion_completed_at"),
];

async fn a_corrupt_process_is_reported_by_whatever_reads_it(opened: Opened) {
    opened.sql.drop_triggers().await;
    for (number, (status, change, column)) in CHANGES.iter().enumerate() {
        let (owner, id) = (address(number), process_id(number));
        opened.initiated_up_to(number, *status).await;
        let change = change.replace("BEYOND", BEYOND);
        opened.sql.run(&format!("UPDATE deletion_processes SET {change} WHERE id = '{id}'")).await;
        let place = ("deletion_processes", id.as_str(), *column);
        is_corrupt(opened.store.find(&owner, &id).await, place);
        is_corrupt(opened.store.list(&owner).await, place);
        let status: String =
            opened.sql.value(&format!("SELECT status FROM deletion_processes WHERE id = '{id}'")).await;
        if !matches!(status.as_str(), "Cancelled" | "Deleted") {
            is_corrupt(Identities::load(&opened.store, &owner).await, place);
        }
    }
}

async fn a_corrupt_name_of_a_process_is_reported(opened: Opened) {
    opened.initiated_up_to(1, Status::Active).await;
    for id in ["IDP", "", "DVC0123456789abcdefg", "IDP0123456789abcdef\u{e9}"] {
        opened.sql.change("UPDATE deletion_processes SET id = $1", [id.into()]).await;
        let place = ("deletion_processes", id, "id");
        is_corrupt(opened.store.list(&address(1)).await, place);
        is_corrupt(Identities::load(&opened.store, &address(1)).await, place);
        is_corrupt(support::ripe(&opened.store, ENDS_AT, 1).await, place);
    }
    let id = process_id(1);
    // Nobody can ask by an address that is none; whoever looks for what is ripe meets it.
    for address in ["did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f78", "did:web:", ""] {
        let renamed = "UPDATE deletion_processes SET id = $1, address = $2";
        opened.sql.change(renamed, [id.as_str().into(), address.into()]).await;
        is_quarantined(&opened, &id).await;
    }
}

/// "No open process" would let a second process start, and the first would never be deleted.
async fn a_process_with_a_status_that_nobody_knows_is_not_overlooked(opened: Opened) {
    opened.initiated_up_to(1, Status::Active).await;
    opened.sql.run("UPDATE deletion_processes SET status = 'Waiting'").await;
    let error = Identities::load(&opened.store, &address(1)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DatabaseCorrupt);
    let second = initiate(&Identity::new(address(1)), 2, 0);
    let refused = save(&opened.store, &second, Version::EMPTY).await;
    assert!(matches!(refused, Err(StoreError::OpenProcessExists)), "{refused:?}");
    let id = process_id(1);
    is_quarantined(&opened, &id).await;
}

/// enmeshed called it Approved before version 2 of its API.
async fn the_status_of_old_data_is_read(opened: Opened) {
    let process = opened.initiated(&address(1), 1).await;
    opened.sql.run("UPDATE deletion_processes SET status = 'Approved'").await;
    assert_eq!(opened.load(&address(1)).await.value.open_process(), Some(&process));
    assert_eq!(support::ripe(&opened.store, ENDS_AT, 9).await.unwrap().len(), 1);
    opened.step(&address(1), |identity| start(identity, &[], ENDS_AT)).await;
}

async fn a_corrupt_own_identity_is_reported(opened: Opened) {
    let own = own_identity(1);
    let changes = [
        ("address = 'did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f78'", "address"),
        // A sound address, but of somebody else.
        ("address = 'did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f77'", "address"),
        ("address = 'did:web:example.org'", "address"),
        ("device = 'IDP0123456789abcdefg'", "device"),
        ("secret_key = substr(secret_key, 1, 31)", "secret_key"),
        ("public_key = substr(public_key, 1, 31)", "public_key"),
        ("public_key = substr(public_key, 1, 0)", "public_key"),
    ];
    for (change, column) in changes {
        opened.sql.run("DELETE FROM own_identity").await;
        opened.store.keep(&own).await.unwrap();
        opened.sql.run(&format!("UPDATE own_identity SET {change}")).await;
        is_corrupt(OwnIdentities::load(&opened.store).await, ("own_identity", "1", column));
        is_corrupt(opened.store.keep(&own).await, ("own_identity", "1", column));
    }
}

on_sqlite!(mod only_sqlite, text_that_is_no_text_is_reported);

/// SQLite takes any bytes for a text.
async fn text_that_is_no_text_is_reported(opened: Opened) {
    let id = process_id(1);
    opened.initiated_up_to(1, Status::Deleting).await;
    opened.store.keep(&own_identity(1)).await.unwrap();
    let spoil = async |table: &str, column: &str| {
        let (table, column) = (table.to_owned(), column.to_owned());
        opened.sql.run(&format!("UPDATE {table} SET {column} = CAST(x'ff' AS TEXT)")).await;
    };
    for column in ["device", "address"] {
        spoil("own_identity", column).await;
        is_corrupt(OwnIdentities::load(&opened.store).await, ("own_identity", "1", column));
    }
    for column in ["additional_data", "message_key", "new_status", "old_status"] {
        spoil("audit_entries", column).await;
        is_corrupt(opened.store.chains(None, 1).await, ("audit_entries", id.as_str(), column));
    }
    for column in ["cancelled_by_device", "created_by_device", "status", "erasures"] {
        spoil("deletion_processes", column).await;
        is_corrupt(opened.store.find(&address(1), &id).await, ("deletion_processes", id.as_str(), column));
    }
    is_corrupt(opened.store.chains(None, 1).await, ("deletion_processes", id.as_str(), "status"));
    spoil("deletion_processes", "id").await;
    is_corrupt(opened.store.list(&address(1)).await, ("deletion_processes", "unknown", "id"));
    assert!(matches!(opened.store.chains(Some(id.to_string()), 1).await, Err(StoreError::Corrupt { .. })));
}
