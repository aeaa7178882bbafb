//! A database before it is a store: migrating it, and whose it is.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reprieve_application::ports::{
    AuditTrail, DeletionProcesses, ErasureTasks, EventDeliveries, Housekeeping, OwnIdentities, Page,
};
use reprieve_application::{Coded, ErrorCode};
use reprieve_domain::Status;
use reprieve_domain::audit::AuditKey;
use reprieve_persistence::{ConnectionOptions, Database, DatabaseError};
use reprieve_tests::TestDatabase;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{
    DAY, ENDS_AT, Opened, Sql, address, at, audit_key, clocks, connect, on_each_database, on_sqlite, options,
    process_id, ripe,
};

on_each_database!(
    a_new_database_is_migrated_once,
    of_many_that_migrate_at_once_one_does_it,
    a_migration_that_fails_leaves_nothing,
    a_database_of_a_newer_version_is_refused_by_the_name_of_its_migration,
    without_tables_there_is_no_store,
    a_database_keeps_to_the_first_audit_key,
    of_many_audit_keys_at_once_the_first_wins,
    a_newer_version_may_add_columns_while_this_one_runs,
);

on_sqlite!(mod only_sqlite, who_opens_a_new_file_waits_for_whoever_else_does);

async fn connected(database: &TestDatabase) -> Database {
    connect(database, &options()).await
}

async fn a_new_database_is_migrated_once(database: TestDatabase) {
    let connected = connected(&database).await;
    let pending = connected.pending().await.unwrap();
    // A name that was released must never change.
    assert_eq!(pending.first().map(String::as_str), Some("m20261124_000001_create_tables"));
    assert!(pending.is_sorted(), "{pending:?}");
    assert_eq!(connected.migrate().await.unwrap(), pending);
    assert!(!connected.has_audit_key().await.unwrap());
    let before = Sql::connect(database.url()).await.everything().await;
    assert_eq!(connected.pending().await.unwrap(), [""; 0]);
    assert_eq!(connected.migrate().await.unwrap(), [""; 0]);
    assert_eq!(Sql::connect(database.url()).await.everything().await, before);
}

const AT_ONCE: u8 = 8;

/// What so many do at the same moment, each over connections of its own, opened in that moment too.
async fn at_once<T, F>(database: &TestDatabase, act: fn(u8, Database) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(AT_ONCE.into()));
    let mut tasks = JoinSet::new();
    for number in 0..AT_ONCE {
        let (url, barrier) = (database.url().parse().unwrap(), barrier.clone());
        tasks.spawn(async move {
            barrier.wait().await;
            let one = ConnectionOptions { max_connections: 1, ..options() };
            act(number, Database::connect(&url, &one).await.unwrap()).await
        });
    }
    tasks.join_all().await
}

async fn of_many_that_migrate_at_once_one_does_it(database: TestDatabase) {
    let all = connected(&database).await.pending().await.unwrap();
    for _ in 0..10 {
        let migrated =
            at_once(&database, |_, connected| async move { connected.migrate().await.unwrap() }).await;
        let migrated: Vec<_> = migrated.into_iter().filter(|done| !done.is_empty()).collect();
        assert_eq!(migrated, std::slice::from_ref(&all));
        let sql = Sql::connect(database.url()).await;
        for table in sql.tables().await {
            sql.run(&format!("DROP TABLE {table}")).await;
        }
    }
}

/// Turning a new file into one with a write-ahead log needs it alone for a moment, and SQLite does not wait by itself
/// for somebody who does the same.
async fn who_opens_a_new_file_waits_for_whoever_else_does(database: TestDatabase) {
    std::fs::write(database.folder().unwrap().join("reprieve.db"), b"").unwrap();
    let sql = Sql::connect(database.url()).await;
    sql.run("BEGIN IMMEDIATE").await;
    let patient = {
        let url = database.url().parse().unwrap();
        tokio::spawn(async move { Database::connect(&url, &options()).await })
    };
    let impatient = ConnectionOptions { acquire_timeout: Duration::from_millis(100), ..options() };
    let error = Database::connect(&database.url().parse().unwrap(), &impatient).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DatabaseUnavailable, "{error:?}");
    sql.run("ROLLBACK").await;
    patient.await.unwrap().unwrap().migrate().await.unwrap();
}

async fn a_migration_that_fails_leaves_nothing(database: TestDatabase) {
    let (connected, sql) = (connected(&database).await, Sql::connect(database.url()).await);
    let pending = connected.pending().await.unwrap();
    // In the way of the last table.
    sql.run("CREATE TABLE deployment (name text)").await;
    let error = connected.migrate().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DatabaseUnavailable, "{error:?}");
    assert_eq!(sql.tables().await, ["deployment"]);
    assert_eq!(connected.pending().await.unwrap(), pending);
    sql.run("DROP TABLE deployment").await;
    assert_eq!(connected.migrate().await.unwrap(), pending);
}

async fn a_database_of_a_newer_version_is_refused_by_the_name_of_its_migration(opened: Opened) {
    for later in ["m20990102_000001_even_later", "m20990101_000001_later"] {
        let applied = "INSERT INTO seaql_migrations (version, applied_at) VALUES ($1, 0)";
        opened.sql.change(applied, [later.into()]).await;
        let before = opened.sql.everything().await;
        let connected = connected(&opened.database).await;
        let errors = [
            connected.pending().await.unwrap_err(),
            connected.migrate().await.unwrap_err(),
            connected.into_store(audit_key(), clocks()).await.unwrap_err(),
        ];
        for error in errors {
            // The first of them, whichever was applied first.
            assert!(matches!(&error, DatabaseError::Newer { migration } if migration == later), "{error:?}");
        }
        assert_eq!(opened.sql.everything().await, before);
    }
    // Even if it lacks one that this version knows.
    opened.sql.run("DELETE FROM seaql_migrations WHERE version < 'm2099'").await;
    let error = connected(&opened.database).await.migrate().await.unwrap_err();
    assert!(matches!(error, DatabaseError::Newer { .. }), "{error:?}");
}

async fn without_tables_there_is_no_store(database: TestDatabase) {
    let error = connected(&database).await.into_store(audit_key(), clocks()).await.unwrap_err();
    assert!(matches!(error, DatabaseError::NotMigrated), "{error:?}");
    assert_eq!(Sql::connect(database.url()).await.tables().await, [""; 0]);
}

fn another_key(number: u8) -> AuditKey {
    AuditKey::new(&[&[number; 31], [255].as_slice()].concat()).unwrap()
}

async fn a_database_keeps_to_the_first_audit_key(opened: Opened) {
    assert!(connected(&opened.database).await.has_audit_key().await.unwrap());
    let before = opened.sql.everything().await;
    let error = connected(&opened.database).await.into_store(another_key(1), clocks()).await.unwrap_err();
    assert!(matches!(error, DatabaseError::AuditKeyMismatch), "{error:?}");
    connected(&opened.database).await.into_store(audit_key(), clocks()).await.unwrap();
    assert_eq!(opened.sql.everything().await, before);
    // The key itself is nowhere in it.
    assert!(!before.iter().any(|row| row.contains("000102030405") || row.contains("AuditKey")), "{before:?}");
}

async fn of_many_audit_keys_at_once_the_first_wins(database: TestDatabase) {
    connected(&database).await.migrate().await.unwrap();
    let opened = at_once(&database, |number, connected| async move {
        match connected.into_store(another_key(number), clocks()).await {
            Ok(_) => Some(number),
            Err(DatabaseError::AuditKeyMismatch) => None,
            Err(error) => panic!("{error:?}"),
        }
    })
    .await;
    let [winner] = opened.into_iter().flatten().collect::<Vec<_>>().try_into().unwrap();
    for number in 0..AT_ONCE {
        let again = connected(&database).await.into_store(another_key(number), clocks()).await;
        assert_eq!(again.is_ok(), number == winner);
    }
}

/// Takes every step, and reads through every port, with processes of these four numbers.
async fn everything_is_done(opened: &Opened, first: usize) {
    let (store, sink) = (&opened.store, "mail".parse().unwrap());
    for (number, status) in (first..).zip(Status::ALL) {
        opened.initiated_up_to(number, status).await;
        assert_eq!(DeletionProcesses::list(store, &address(number)).await.unwrap().len(), 1);
        assert!(store.find(&address(number), &process_id(number)).await.unwrap().is_some());
        let page = Page { status: Some(status), ends_before: None, after: None, limit: 100 };
        assert!(!store.page(&page).await.unwrap().is_empty());
    }
    assert!(!ripe(store, ENDS_AT, 10).await.unwrap().is_empty());
    assert!(!ErasureTasks::list(store, None, 100).await.unwrap().is_empty());
    assert!(!ErasureTasks::claim(store, at(ENDS_AT), at(ENDS_AT + DAY), 10).await.unwrap().is_empty());
    store.waivers(None, 10).await.unwrap();
    store.quarantined(None, 10).await.unwrap();
    DeletionProcesses::figures(store, at(0), at(0)).await.unwrap();
    for chain in store.chains(None, 100).await.unwrap() {
        assert!(store.verify(&chain).is_ok(), "{chain:?}");
    }
    store.compared_events(None, 100).await.unwrap();
    assert!(!store.next(&sink, 0, 100).await.unwrap().is_empty());
    store.again(&sink, at(0), 10).await.unwrap();
    store.parked(None, 10).await.unwrap();
    OwnIdentities::load(store).await.unwrap();
    store.review_quarantine().await.unwrap();
    assert_eq!(store.cancelled_processes(at(ENDS_AT), 10).await.unwrap().forgotten, 1);
}

async fn a_newer_version_may_add_columns_while_this_one_runs(opened: Opened) {
    everything_is_done(&opened, 0).await;
    let kind = if opened.sql.is_sqlite() { "INTEGER" } else { "bigint" };
    for table in opened.sql.tables().await {
        opened.sql.run(&format!("ALTER TABLE {table} ADD COLUMN of_a_newer_version {kind}")).await;
    }
    // With the statements that are prepared.
    everything_is_done(&opened, 4).await;
}
