//! A database with a store in it, and a second way in that knows nothing of the store.

mod data;
mod sql;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use reprieve_application::StoreError;
use reprieve_application::ports::{
    Alongside, AuditTrail, DeletionProcesses, Due, DueProcesses, Identities, Loaded, Version,
};
use reprieve_application::use_cases::RipeProcess;
use reprieve_domain::audit::AuditKey;
use reprieve_domain::{Address, DeletionProcess, Identity, Status, Step, Timestamp};
use reprieve_persistence::{Clocks, ConnectionOptions, Database, Store};
use reprieve_tests::TestDatabase;

pub(crate) use data::*;
pub(crate) use sql::Sql;
pub(crate) use tasks::*;

/// Runs each of the named functions once on SQLite and once on PostgreSQL. A function says what it needs by the type of
/// its argument.
macro_rules! on_each_database {
    ($($case:ident),+ $(,)?) => {
        crate::support::on_sqlite!(mod sqlite, $($case),+);
        crate::support::on_postgres!(mod postgres, $($case),+);
    };
}

macro_rules! on_sqlite {
    (mod $suite:ident, $($case:ident),+ $(,)?) => {
        mod $suite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    crate::support::run(super::$case, reprieve_tests::TestDatabase::sqlite()).await;
                }
            )+
        }
    };
}

macro_rules! on_postgres {
    (mod $suite:ident, $($case:ident),+ $(,)?) => {
        mod $suite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                #[ignore = "needs PostgreSQL: tests/run"]
                async fn $case() {
                    crate::support::run(super::$case, reprieve_tests::TestDatabase::postgres().await).await;
                }
            )+
        }
    };
}

pub(crate) use {on_each_database, on_postgres, on_sqlite};

/// What a case can start from.
pub(crate) trait Prepared {
    async fn prepared(database: TestDatabase) -> Self;
}

pub(crate) async fn run<P: Prepared, F: Future<Output = ()>>(case: fn(P) -> F, database: TestDatabase) {
    case(P::prepared(database).await).await;
}

/// An empty database.
impl Prepared for TestDatabase {
    async fn prepared(database: TestDatabase) -> Self {
        database
    }
}

/// A migrated database with nothing in it.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) sql: Sql,
    pub(crate) database: TestDatabase,
}

impl Prepared for Opened {
    async fn prepared(database: TestDatabase) -> Self {
        let connected = connect(&database, &options()).await;
        connected.migrate().await.unwrap();
        let store = connected.into_store(audit_key(), clocks()).await.unwrap();
        Self { store, sql: Sql::connect(database.url()).await, database }
    }
}

/// Few connections, because many tests share one server; and more patience than the slowest machine needs.
pub(crate) fn options() -> ConnectionOptions {
    ConnectionOptions {
        max_connections: 4,
        acquire_timeout: Duration::from_mins(1),
        ..ConnectionOptions::default()
    }
}

pub(crate) async fn connect(database: &TestDatabase, options: &ConnectionOptions) -> Database {
    Database::connect(&database.reached_url().parse().unwrap(), options).await.unwrap()
}

/// Each step says when it is taken.
pub(crate) fn clocks() -> Clocks {
    Clocks::believed(Arc::new(Timestamp::from_unix_micros(0).unwrap()))
}

pub(crate) fn audit_key() -> AuditKey {
    AuditKey::new(&(0..32).collect::<Vec<u8>>()).unwrap()
}

impl Opened {
    /// A second store on the same database, with connections of its own: another process, as far as the database can
    /// tell.
    pub(crate) async fn another_store(&self) -> Store {
        connect(&self.database, &options()).await.into_store(audit_key(), clocks()).await.unwrap()
    }

    pub(crate) async fn load(&self, address: &Address) -> Loaded<Identity> {
        self.store.load(address).await.unwrap()
    }

    /// Every process of this identity, oldest first.
    pub(crate) async fn processes(&self, address: &Address) -> Vec<DeletionProcess> {
        self.store.list(address).await.unwrap()
    }

    /// Decides on what is stored now, stores the step and returns the process after it.
    pub(crate) async fn step(
        &self,
        address: &Address,
        decide: impl FnOnce(&Identity) -> Step,
    ) -> DeletionProcess {
        let Loaded { value, version } = self.load(address).await;
        let step = decide(&value);
        save(&self.store, &step, version).await.unwrap();
        step.into_process()
    }

    /// A new process of the identity, created at zero.
    pub(crate) async fn initiated(&self, address: &Address, id: usize) -> DeletionProcess {
        self.step(address, |identity| initiate(identity, id, 0)).await
    }

    /// A process and an identity with this number, brought to this status.
    pub(crate) async fn initiated_up_to(&self, number: usize, status: Status) {
        let owner = address(number);
        self.initiated(&owner, number).await;
        if status == Status::Cancelled {
            self.step(&owner, |identity| cancel(identity, DAY)).await;
        }
        if matches!(status, Status::Deleting | Status::Deleted) {
            self.step(&owner, |identity| start(identity, &["files"], ENDS_AT)).await;
        }
        if status == Status::Deleted {
            self.step(&owner, |identity| {
                identity.record_erasure(&process_id(number), &eraser("files"), 1, at(ENDS_AT)).unwrap()
            })
            .await;
            // As the worker does in the transaction of that step.
            let done = format!(
                "DELETE FROM erasure_tasks WHERE process_id = '{}' AND eraser = 'files';
                 UPDATE erasure_tasks SET due_at = {} WHERE process_id = '{0}'",
                process_id(number),
                at(ENDS_AT).unix_micros()
            );
            self.sql.run(&done).await;
            self.step(&owner, |identity| complete(identity, ENDS_AT)).await;
        }
    }
}

/// The one place that stores a step.
pub(crate) async fn save(store: &Store, step: &Step, version: Version) -> Result<(), StoreError> {
    store.save(step, version, Alongside::Nothing).await
}

/// What is ripe and was never reminded: found, and left as it is. An error if a row is corrupt.
pub(crate) async fn ripe(store: &Store, now: i64, limit: u32) -> Result<Vec<RipeProcess>, StoreError> {
    let due = Due { reminded: None, ends_after: None, ends_by: at(now), longer_than: None };
    let found = store.find_due(due, None, limit).await?;
    found.failed.into_iter().next().map_or(Ok(()), Err)?;
    let mut verified = store.verified(&found.processes).await?;
    let ripe = found.processes.into_iter().map(|process_id| {
        let process = verified.remove(&process_id).unwrap().map_err(StoreError::Quarantined)?;
        Ok(RipeProcess { address: process.value.address().clone(), process_id })
    });
    ripe.collect()
}
