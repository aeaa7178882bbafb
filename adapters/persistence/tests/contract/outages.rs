//! When the database is busy, blocked or away: an error in time, nothing stored, and work again afterwards.

use std::sync::Arc;
use std::time::Duration;

use reprieve_application::StoreError;
use reprieve_application::ports::{DeletionProcesses, Identities, Loaded, OwnIdentities};
use reprieve_persistence::{ConnectionOptions, Database, DatabaseError, Store};
use reprieve_tests::TestDatabase;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{
    Opened, Sql, address, audit_key, cancel, clocks, connect, initiate, on_each_database, on_postgres,
    on_sqlite, options, own_identity, process_id, save,
};

on_each_database!(
    writers_wait_for_a_lock_and_readers_do_not,
    a_lock_that_is_held_for_too_long_is_an_unavailable_database,
);

on_sqlite!(mod only_sqlite, nobody_else_writes_while_the_lock_is_held);

on_postgres!(
    mod only_postgres,
    a_server_that_refuses_connections_is_an_unavailable_database,
    a_step_whose_connection_is_cut_is_not_stored_and_the_next_one_is,
    an_idle_connection_that_was_cut_is_replaced,
    a_database_that_is_read_only_says_so,
);

/// As another writer would that is in the middle of something: on SQLite the only write lock there is, on PostgreSQL
/// the lock of every process.
async fn hold_lock(sql: &Sql) {
    let sqlite = "BEGIN IMMEDIATE; UPDATE deletion_processes SET reminder1_sent_at = 1";
    sql.run_either(sqlite, &sqlite.replace(" IMMEDIATE", "")).await;
}

async fn release_lock(sql: &Sql) {
    sql.run("ROLLBACK").await;
}

/// A store that gives up before long; long enough to be connected on a busy machine.
async fn impatient(database: &TestDatabase) -> Store {
    let options = ConnectionOptions { acquire_timeout: Duration::from_secs(2), ..options() };
    connect(database, &options).await.into_store(audit_key(), clocks()).await.unwrap()
}

#[track_caller]
fn is_unavailable<T>(result: Result<T, StoreError>) {
    match result {
        Err(StoreError::Unavailable(_)) => {}
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it succeeded"),
    }
}

async fn writers_wait_for_a_lock_and_readers_do_not(opened: Opened) {
    let process = opened.initiated(&address(1), 1).await;
    let Loaded { value, version } = opened.load(&address(1)).await;
    hold_lock(&opened.sql).await;
    // It has to wait until the lock is given back, which is after all have read.
    let writer = {
        let (store, step) = (opened.store.clone(), cancel(&value, 1));
        tokio::spawn(async move { save(&store, &step, version).await })
    };
    let barrier = Arc::new(Barrier::new(32));
    let mut readers = JoinSet::new();
    for _ in 0..32 {
        let (store, barrier, process) = (opened.store.clone(), barrier.clone(), process.clone());
        readers.spawn(async move {
            barrier.wait().await;
            let owner = address(1);
            assert_eq!(Identities::load(&store, &owner).await.unwrap().value.open_process(), Some(&process));
            assert_eq!(store.find(&owner, &process_id(1)).await.unwrap(), Some(process.clone()));
            assert_eq!(store.list(&owner).await.unwrap(), [process]);
        });
    }
    readers.join_all().await;
    assert!(!writer.is_finished());
    release_lock(&opened.sql).await;
    writer.await.unwrap().unwrap();
    assert_eq!(opened.load(&address(1)).await.value.open_process(), None);
}

async fn a_lock_that_is_held_for_too_long_is_an_unavailable_database(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    let store = impatient(&opened.database).await;
    let before = opened.sql.everything().await;
    let Loaded { value, version } = opened.load(&address(1)).await;
    hold_lock(&opened.sql).await;
    is_unavailable(save(&store, &cancel(&value, 1), version).await);
    release_lock(&opened.sql).await;
    assert_eq!(opened.sql.everything().await, before);
    save(&store, &cancel(&value, 1), version).await.unwrap();
}

async fn nobody_else_writes_while_the_lock_is_held(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    let store = impatient(&opened.database).await;
    let before = opened.sql.everything().await;
    let nobody = opened.load(&address(2)).await;
    hold_lock(&opened.sql).await;
    is_unavailable(save(&store, &initiate(&nobody.value, 2, 0), nobody.version).await);
    is_unavailable(store.keep(&own_identity(1)).await);
    release_lock(&opened.sql).await;
    assert_eq!(opened.sql.everything().await, before);
    save(&store, &initiate(&nobody.value, 2, 0), nobody.version).await.unwrap();
    store.keep(&own_identity(1)).await.unwrap();
}

async fn a_server_that_refuses_connections_is_an_unavailable_database(_: TestDatabase) {
    // A port that was free a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("postgres://reprieve@{address}/reprieve").parse().unwrap();
    let options = ConnectionOptions { acquire_timeout: Duration::from_millis(200), ..options() };
    let error = Database::connect(&url, &options).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Store(StoreError::Unavailable(_))), "{error:?}");
}

/// Ends every connection of the store from the server's side.
pub(crate) async fn cut(sql: &Sql) {
    let ended: Vec<bool> = sql
        .column(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'reprieve'",
        )
        .await;
    assert!(!ended.is_empty() && ended.into_iter().all(|ended| ended));
}

async fn over_one_connection(database: &TestDatabase) -> Store {
    let options = ConnectionOptions { max_connections: 1, ..options() };
    connect(database, &options).await.into_store(audit_key(), clocks()).await.unwrap()
}

async fn a_step_whose_connection_is_cut_is_not_stored_and_the_next_one_is(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    let store = over_one_connection(&opened.database).await;
    let watch = Sql::connect(opened.database.url()).await;
    let before = watch.everything().await;
    let Loaded { value, version } = opened.load(&address(1)).await;
    hold_lock(&opened.sql).await;
    let saving = {
        let (store, step) = (store.clone(), cancel(&value, 1));
        tokio::spawn(async move { save(&store, &step, version).await })
    };
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while watch.value::<i64>(waiting).await == 0 {
        assert!(!saving.is_finished());
    }
    cut(&watch).await;
    is_unavailable(saving.await.unwrap());
    release_lock(&opened.sql).await;
    assert_eq!(watch.everything().await, before);
    save(&store, &cancel(&value, 1), version).await.unwrap();
}

/// A connection that was used a moment ago is not asked whether it is alive, so one call may find out.
async fn an_idle_connection_that_was_cut_is_replaced(opened: Opened) {
    let store = over_one_connection(&opened.database).await;
    Identities::load(&store, &address(1)).await.unwrap();
    cut(&opened.sql).await;
    match Identities::load(&store, &address(1)).await {
        Ok(_) | Err(StoreError::Unavailable(_)) => {}
        Err(error) => panic!("{error:?}"),
    }
    Identities::load(&store, &address(1)).await.unwrap();
}

async fn a_database_that_is_read_only_says_so(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    let name: String = opened.sql.value("SELECT current_database()::text").await;
    opened.sql.run(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    let store = over_one_connection(&opened.database).await;
    let Loaded { value, version } = Identities::load(&store, &address(1)).await.unwrap();
    let error = save(&store, &cancel(&value, 1), version).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error:?}");
}
