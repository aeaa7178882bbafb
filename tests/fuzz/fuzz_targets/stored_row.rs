//! A row as somebody may have left it in the database: it is read, or reported as corrupt, and nothing else happens.

#![no_main]

use std::cell::LazyCell;
use std::sync::Arc;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use reprieve_application::StoreError;
use reprieve_application::ports::{AuditTrail, DeletionProcesses, Due, DueProcesses, Identities};
use reprieve_domain::{Address, Timestamp};
use reprieve_fuzz::{GRACE_PERIOD, START, audit_key};
use reprieve_persistence::{Clocks, ConnectionOptions, Database, DatabaseUrl, Store};
use sqlx::{Connection, SqliteConnection};
use tokio::runtime::Runtime;

const OWNER: &str = "did:web:example.org";

/// Instants are few and near each other, so that many a row is sound but for its erasures.
#[derive(Debug, Arbitrary)]
struct Row<'a> {
    status: Status<'a>,
    created_at: Instant,
    created_by_device: Name<'a>,
    grace_period_ends_at: Instant,
    reminder1_sent_at: Option<Instant>,
    cancelled_at: Option<Instant>,
    cancelled_by_device: Option<Name<'a>>,
    deletion_started_at: Option<Instant>,
    deletion_completed_at: Option<Instant>,
    erasures: Option<Erasures<'a>>,
    revision: i64,
    audit_head: Bytes<'a>,
    additional_data: &'a str,
}

#[derive(Debug, Arbitrary)]
enum Status<'a> {
    Active,
    Cancelled,
    Deleting,
    Deleted,
    Other(&'a str),
}

/// A device or an eraser.
#[derive(Debug, Arbitrary)]
enum Name<'a> {
    One,
    Another,
    Other(&'a str),
}

#[derive(Debug, Arbitrary)]
enum Instant {
    Early(i8),
    Late(i8),
    Any(i64),
}

/// Mostly what looks like the program's own JSON: no fuzzer would get past the braces.
#[derive(Debug, Arbitrary)]
enum Erasures<'a> {
    Listed(Vec<Erasure<'a>>),
    Other(&'a str),
}

#[derive(Debug, Arbitrary)]
struct Erasure<'a> {
    eraser: Name<'a>,
    failures: Option<u32>,
    acknowledged_at: Option<Instant>,
    count: Option<u64>,
}

#[derive(Debug, Arbitrary)]
enum Bytes<'a> {
    Hash([u8; 32]),
    Other(&'a [u8]),
}

impl Status<'_> {
    fn get(&self) -> &str {
        match self {
            Self::Active => "Active",
            Self::Cancelled => "Cancelled",
            Self::Deleting => "Deleting",
            Self::Deleted => "Deleted",
            Self::Other(text) => text,
        }
    }
}

impl Name<'_> {
    /// Both are as good for an eraser as for a device.
    fn get(&self) -> &str {
        match self {
            Self::One => "DVC0123456789abcdefg",
            Self::Another => "DVCgfedcba9876543210",
            Self::Other(text) => text,
        }
    }
}

impl Instant {
    fn get(&self) -> i64 {
        match self {
            Self::Early(offset) => START + i64::from(*offset),
            Self::Late(offset) => START + GRACE_PERIOD + i64::from(*offset),
            Self::Any(micros) => *micros,
        }
    }
}

impl Erasures<'_> {
    fn get(&self) -> String {
        let erasures = match self {
            Self::Listed(erasures) => erasures,
            Self::Other(text) => return (*text).to_owned(),
        };
        let members = erasures.iter().map(|erasure| {
            let mut object = serde_json::Map::new();
            object.insert("eraser".to_owned(), erasure.eraser.get().into());
            let mut member = |name: &str, value: Option<serde_json::Value>| {
                object.extend(value.map(|value| (name.to_owned(), value)));
            };
            member("failures", erasure.failures.map(Into::into));
            member("acknowledgedAt", erasure.acknowledged_at.as_ref().map(|at| at.get().into()));
            member("count", erasure.count.map(Into::into));
            serde_json::Value::from(object)
        });
        serde_json::Value::from_iter(members).to_string()
    }
}

impl Bytes<'_> {
    fn get(&self) -> &[u8] {
        match self {
            Self::Hash(bytes) => bytes,
            Self::Other(bytes) => bytes,
        }
    }
}

struct Opened {
    runtime: Runtime,
    store: Store,
    connection: SqliteConnection,
    owner: Address,
    _folder: tempfile::TempDir,
}

thread_local! {
    static OPENED: LazyCell<std::cell::RefCell<Opened>> = const { LazyCell::new(|| open().into()) };
}

fn open() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let file = folder.path().join("reprieve.db");
    let options = ConnectionOptions { max_connections: 1, ..ConnectionOptions::default() };
    let (store, connection) = runtime.block_on(async {
        let database = Database::connect(&DatabaseUrl::sqlite_file(&file), &options).await.unwrap();
        database.migrate().await.unwrap();
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
        // Nothing here has to survive.
        sqlx::query("PRAGMA synchronous = OFF").execute(&mut connection).await.unwrap();
        let clocks = Clocks::believed(Arc::new(Timestamp::from_unix_micros(0).unwrap()));
        (database.into_store(audit_key(), clocks).await.unwrap(), connection)
    });
    Opened { runtime, store, connection, owner: OWNER.parse().unwrap(), _folder: folder }
}

fuzz_target!(|row: Row<'_>| {
    OPENED.with(|opened| {
        let Opened { runtime, store, connection, owner, .. } = &mut *opened.borrow_mut();
        runtime.block_on(async {
            write(connection, &row).await;
            let now = Timestamp::from_unix_micros(START).unwrap();
            read_or_corrupt(Identities::load(store, owner).await);
            read_or_corrupt(DeletionProcesses::list(store, owner).await);
            let id = "IDP0123456789abcdefg".parse().unwrap();
            read_or_corrupt(DeletionProcesses::find(store, owner, &id).await);
            let due = Due { reminded: None, ends_after: None, ends_by: now, longer_than: None };
            let found = store.find_due(due, None, 10).await.unwrap();
            for error in found.failed {
                read_or_corrupt::<()>(Err(error));
            }
            if let Some(verified) = read_or_corrupt(store.verified(&found.processes).await) {
                assert!(verified.values().all(Result::is_err), "nobody wrote this");
            }
            if let Some(chains) = read_or_corrupt(store.chains(None, 10).await) {
                assert!(chains.iter().all(|chain| store.verify(chain).is_err()), "nobody wrote this");
            }
        });
    });
});

fn read_or_corrupt<T>(read: Result<T, StoreError>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(StoreError::Corrupt { .. }) => None,
        Err(other) => panic!("{other:?}"),
    }
}

async fn write(connection: &mut SqliteConnection, row: &Row<'_>) {
    sqlx::query(
        "INSERT OR REPLACE INTO deletion_processes (id, address, status, created_at, created_by_device, \
         grace_period_ends_at, reminder1_sent_at, cancelled_at, cancelled_by_device, deletion_started_at, \
         deletion_completed_at, erasures, revision, audit_head, audit_seal) \
         VALUES ('IDP0123456789abcdefg', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)",
    )
    .bind(OWNER)
    .bind(row.status.get())
    .bind(row.created_at.get())
    .bind(row.created_by_device.get())
    .bind(row.grace_period_ends_at.get())
    .bind(row.reminder1_sent_at.as_ref().map(Instant::get))
    .bind(row.cancelled_at.as_ref().map(Instant::get))
    .bind(row.cancelled_by_device.as_ref().map(Name::get))
    .bind(row.deletion_started_at.as_ref().map(Instant::get))
    .bind(row.deletion_completed_at.as_ref().map(Instant::get))
    .bind(row.erasures.as_ref().map(Erasures::get))
    .bind(row.revision)
    .bind(row.audit_head.get())
    .execute(&mut *connection)
    .await
    .unwrap();
    sqlx::query(
        "INSERT OR REPLACE INTO audit_entries (process_id, sequence, created_at, new_status, message_key, \
         additional_data, identity_hash, hash) VALUES ('IDP0123456789abcdefg', 1, $1, $2, 'StartedByOwner', $3, $4, $4)",
    )
    .bind(row.created_at.get())
    .bind(row.status.get())
    .bind(row.additional_data)
    .bind(row.audit_head.get())
    .execute(connection)
    .await
    .unwrap();
}
