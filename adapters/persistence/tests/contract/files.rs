//! The files of a SQLite database: readable by their owner only, and read while somebody writes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reprieve_application::StoreError;
use reprieve_application::ports::{Identities, Loaded};
use reprieve_persistence::{Database, DatabaseError, DatabaseUrl};
use reprieve_tests::TestDatabase;

use crate::support::{Opened, address, audit_key, cancel, clocks, on_sqlite, options, save};

on_sqlite!(
    mod only_sqlite,
    every_file_is_for_its_owner_only,
    folders_that_are_missing_are_made_for_their_owner_only,
    a_closed_store_leaves_one_file,
    a_store_that_is_opened_to_read_refuses_to_write,
    a_database_that_is_opened_to_read_is_not_made,
    what_is_no_database_is_left_alone,
);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn files(folder: &Path) -> Vec<(String, u32)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), mode(&entry.path()))).collect();
    files.sort();
    files
}

async fn every_file_is_for_its_owner_only(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    let expected = ["reprieve.db", "reprieve.db-shm", "reprieve.db-wal"].map(|name| (name.to_owned(), 0o600));
    assert_eq!(files(opened.database.folder().unwrap()), expected);
}

async fn folders_that_are_missing_are_made_for_their_owner_only(database: TestDatabase) {
    let folder = database.folder().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.join("some/where/else.db");
    Database::connect(&DatabaseUrl::sqlite_file(&file), &options()).await.unwrap().migrate().await.unwrap();
    assert_eq!(mode(&folder.join("some")), 0o700);
    assert_eq!(mode(&folder.join("some/where")), 0o700);
    assert_eq!(mode(&file), 0o600);
    // One that was there is somebody else's business.
    assert_eq!(mode(folder), 0o755);
}

async fn a_closed_store_leaves_one_file(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    let Opened { store, sql, database } = opened;
    sql.close().await;
    store.close().await;
    assert_eq!(files(database.folder().unwrap()), [("reprieve.db".to_owned(), 0o600)]);
}

fn to_read(database: &TestDatabase) -> DatabaseUrl {
    format!("{}?mode=ro", database.url()).parse().unwrap()
}

async fn a_store_that_is_opened_to_read_refuses_to_write(opened: Opened) {
    opened.initiated(&address(1), 1).await;
    let reader = Database::connect(&to_read(&opened.database), &options()).await.unwrap();
    let reader = reader.into_store(audit_key(), clocks()).await.unwrap();
    let Loaded { value, version } = reader.load(&address(1)).await.unwrap();
    let error = save(&reader, &cancel(&value, 1), version).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error:?}");
    // What others write is seen.
    opened.step(&address(1), |identity| cancel(identity, 1)).await;
    assert_eq!(reader.load(&address(1)).await.unwrap().value.open_process(), None);
}

async fn a_database_that_is_opened_to_read_is_not_made(database: TestDatabase) {
    let error = Database::connect(&to_read(&database), &options()).await.unwrap_err();
    assert!(matches!(error, DatabaseError::File { .. }), "{error:?}");
    assert_eq!(files(database.folder().unwrap()), []);
}

async fn what_is_no_database_is_left_alone(database: TestDatabase) {
    let folder = database.folder().unwrap().to_owned();
    let file = folder.join("reprieve.db");
    fs::write(&file, "A letter to a friend, by no means a database. ".repeat(100)).unwrap();
    let letter = fs::read(&file).unwrap();
    let error = match Database::connect(&database.url().parse().unwrap(), &options()).await {
        Ok(connected) => connected.migrate().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, DatabaseError::Store(StoreError::Damaged(_))), "{error:?}");
    assert_eq!(fs::read(&file).unwrap(), letter);

    let error = Database::connect(&DatabaseUrl::sqlite_file(&folder), &options()).await.unwrap_err();
    assert!(matches!(error, DatabaseError::File { .. }), "{error:?}");
    let below_a_file = DatabaseUrl::sqlite_file(file.join("reprieve.db"));
    let error = Database::connect(&below_a_file, &options()).await.unwrap_err();
    assert!(matches!(error, DatabaseError::File { .. }), "{error:?}");
}
