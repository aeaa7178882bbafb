//! Whatever stands in the tables, reading it is an answer or a report of what is corrupt, never a panic.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use reprieve_application::StoreError;
use reprieve_application::ports::{AuditTrail, DeletionProcesses, Identities, OwnIdentities};
use reprieve_domain::Status;
use sea_orm::Value;

use crate::support::{
    self, ENDS_AT, Opened, address, on_each_database, own_identity, process_id, unix_micros,
};

on_each_database!(any_content_is_read_or_reported_as_corrupt);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Number,
    Bytes,
}

/// Every column that can hold more than one thing.
const COLUMNS: &[(&str, &str, Kind)] = &[
    ("deletion_processes", "id", Kind::Text),
    ("deletion_processes", "address", Kind::Text),
    ("deletion_processes", "status", Kind::Text),
    ("deletion_processes", "created_at", Kind::Number),
    ("deletion_processes", "created_by_device", Kind::Text),
    ("deletion_processes", "grace_period_ends_at", Kind::Number),
    ("deletion_processes", "reminder1_sent_at", Kind::Number),
    ("deletion_processes", "reminder2_sent_at", Kind::Number),
    ("deletion_processes", "reminder3_sent_at", Kind::Number),
    ("deletion_processes", "cancelled_at", Kind::Number),
    ("deletion_processes", "cancelled_by_device", Kind::Text),
    ("deletion_processes", "deletion_started_at", Kind::Number),
    ("deletion_processes", "deletion_completed_at", Kind::Number),
    ("deletion_processes", "erasures", Kind::Text),
    ("deletion_processes", "revision", Kind::Number),
    ("deletion_processes", "audit_head", Kind::Bytes),
    ("deletion_processes", "audit_seal", Kind::Bytes),
    ("audit_entries", "process_id", Kind::Text),
    ("audit_entries", "sequence", Kind::Number),
    ("audit_entries", "created_at", Kind::Number),
    ("audit_entries", "old_status", Kind::Text),
    ("audit_entries", "new_status", Kind::Text),
    ("audit_entries", "message_key", Kind::Text),
    ("audit_entries", "additional_data", Kind::Text),
    ("audit_entries", "identity_hash", Kind::Bytes),
    ("audit_entries", "device_hash", Kind::Bytes),
    ("audit_entries", "hash", Kind::Bytes),
    ("own_identity", "address", Kind::Text),
    ("own_identity", "device", Kind::Text),
    ("own_identity", "secret_key", Kind::Bytes),
    ("own_identity", "public_key", Kind::Bytes),
];

#[derive(Debug, Clone)]
enum Content {
    Null,
    Text(String),
    /// What only SQLite takes for a text.
    AnyBytesAsText(Vec<u8>),
    Number(i64),
    Bytes(Vec<u8>),
}

/// One column gets a new content, in all rows or in those of one process.
#[derive(Debug, Clone)]
struct Change {
    table: &'static str,
    column: &'static str,
    content: Content,
    process: Option<usize>,
}

fn content(kind: Kind) -> BoxedStrategy<Content> {
    // Much that is nearly right, so that it is not always the first check that refuses it.
    let text = prop_oneof![
        ".{0,40}",
        "(Active|Approved|Cancelled|Deleting|Deleted)",
        "(IDP|DVC)[A-Za-z0-9]{17}",
        "did:(web|e):[a-z.]{1,10}:dids:[0-9a-f]{22}",
        r#"\[(\{"eraser":"[a-z]?"(,"failures":[0-9]{1,11})?(,"acknowledgedAt":-?[0-9]{1,20})?(,"count":[0-9]{1,21})?\},?)?\]"#,
        r#"\{"gracePeriodEndsAt":".{0,30}"\}"#,
    ];
    let number = prop_oneof![
        any::<i64>(),
        -2..5_i64,
        (-2..3_i64).prop_map(|micros| unix_micros(ENDS_AT + micros)),
        (-2..3_i64).prop_map(unix_micros),
    ];
    let bytes =
        prop_oneof![Just(32), 0..40_usize].prop_flat_map(|length| prop::collection::vec(any::<u8>(), length));
    let content = match kind {
        Kind::Text => prop_oneof![
            6 => text.prop_map(Content::Text),
            1 => bytes.prop_map(Content::AnyBytesAsText),
        ]
        .boxed(),
        Kind::Number => number.prop_map(Content::Number).boxed(),
        Kind::Bytes => bytes.prop_map(Content::Bytes).boxed(),
    };
    prop_oneof![1 => Just(Content::Null), 9 => content].boxed()
}

fn change() -> impl Strategy<Value = Change> {
    prop::sample::select(COLUMNS).prop_flat_map(|(table, column, kind)| {
        (content(kind), prop::option::of(0..4_usize)).prop_map(move |(content, process)| Change {
            table,
            column,
            content,
            process,
        })
    })
}

/// Puts back what was kept, and changes it. A change that the database refuses is none.
async fn apply(opened: &Opened, changes: &[Change]) {
    opened.sql.put_back().await;
    for Change { table, column, content, process } in changes {
        let (expression, value): (_, Option<Value>) = match content.clone() {
            Content::Null => ("NULL", None),
            Content::Text(text) if opened.sql.is_sqlite() => ("$1", Some(text.into())),
            Content::Text(text) => ("$1", Some(text.replace('\0', "").into())),
            Content::AnyBytesAsText(bytes) if opened.sql.is_sqlite() => {
                ("CAST($1 AS TEXT)", Some(bytes.into()))
            }
            Content::AnyBytesAsText(bytes) => ("encode($1, 'base64')", Some(bytes.into())),
            Content::Number(number) => ("$1", Some(number.into())),
            Content::Bytes(bytes) => ("$1", Some(bytes.into())),
        };
        let rows = match (*table, process) {
            ("deletion_processes", Some(number)) => format!(" WHERE id = '{}'", process_id(*number)),
            ("audit_entries", Some(number)) => format!(" WHERE process_id = '{}'", process_id(*number)),
            _ => String::new(),
        };
        let update = format!("UPDATE {table} SET {column} = {expression}{rows}");
        opened.sql.change_if_allowed(&update, value).await;
    }
}

fn read_or_corrupt<T>(result: Result<T, StoreError>) -> Result<Option<T>, TestCaseError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Corrupt { .. } | StoreError::Quarantined(_)) => Ok(None),
        Err(other) => Err(TestCaseError::fail(format!("{other:?}"))),
    }
}

async fn read_through_every_port(opened: &Opened) -> TestCaseResult {
    let store = &opened.store;
    for number in 0..4 {
        read_or_corrupt(Identities::load(store, &address(number)).await)?;
        read_or_corrupt(store.find(&address(number), &process_id(number)).await)?;
        read_or_corrupt(store.list(&address(number)).await)?;
    }
    read_or_corrupt(support::ripe(store, ENDS_AT, 10).await)?;
    read_or_corrupt(OwnIdentities::load(store).await)?;
    let mut after = None;
    // There are at most so many chains: four, and those of changed ids.
    for _ in 0..20 {
        let page = read_or_corrupt(store.chains(after, 1).await)?;
        let Some(chain) = page.and_then(|chains| chains.into_iter().next()) else { return Ok(()) };
        let _ = store.verify(&chain);
        after = Some(chain.process_id);
    }
    Err(TestCaseError::fail("the trail has no end"))
}

async fn any_content_is_read_or_reported_as_corrupt(opened: Opened) {
    for (number, status) in Status::ALL.into_iter().enumerate() {
        opened.initiated_up_to(number, status).await;
    }
    opened.store.keep(&own_identity(1)).await.unwrap();
    opened.sql.keep().await;

    let runtime = tokio::runtime::Handle::current();
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(config);
        let result = runner.run(&prop::collection::vec(change(), 1..4), |changes| {
            runtime.block_on(async {
                apply(&opened, &changes).await;
                read_through_every_port(&opened).await
            })
        });
        if let Err(failure) = result {
            panic!("{failure}");
        }
    });
}
