use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reprieve_tests::TestDatabase;
use sea_orm::{ConnectionTrait, DbBackend};

use super::*;
use crate::pool::Transaction;

async fn opened(database: &TestDatabase, pooler: Pooler, more: &str) -> Database {
    let options = ConnectionOptions { max_connections: 1, pooler, ..ConnectionOptions::default() };
    let url = format!("{}{more}", database.url());
    Database::connect(&url.parse().unwrap(), &options).await.unwrap()
}

async fn number(connection: &impl ConnectionTrait, sql: &str) -> i64 {
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
    row.unwrap().unwrap().try_get_by_index(0).unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn a_value_in_a_text_is_the_same_value() {
    let database = TestDatabase::postgres().await;
    let options = "?options=-c%20standard_conforming_strings%3Doff%20-c%20backslash_quote%3Don";
    for more in ["", options] {
        let pool = opened(&database, Pooler::Transaction, more).await.writer;
        let handle = tokio::runtime::Handle::current();
        let check = move || {
            let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(300) });
            let text = "[^\0]*|['\\\\\"$1?;-]*";
            runner.run(&(text, any::<Vec<u8>>(), any::<i64>(), any::<bool>()), |(text, bytes, number, none)| {
                let optional = (!none).then(|| text.clone());
                let values = [text.clone().into(), bytes.clone().into(), number.into(), optional.clone().into()];
                let sql = "SELECT CAST($1 AS text), CAST($2 AS bytea), CAST($3 AS bigint), CAST($4 AS text), '$1', E'\\'$2'";
                let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
                let row = handle.block_on(pool.query_one_raw(statement)).unwrap().unwrap();
                prop_assert_eq!(row.try_get_by_index::<String>(0).unwrap(), text);
                prop_assert_eq!(row.try_get_by_index::<Vec<u8>>(1).unwrap(), bytes);
                prop_assert_eq!(row.try_get_by_index::<i64>(2).unwrap(), number);
                prop_assert_eq!(row.try_get_by_index::<Option<String>>(3).unwrap(), optional);
                prop_assert_eq!(row.try_get_by_index::<String>(4).unwrap(), "$1");
                prop_assert_eq!(row.try_get_by_index::<String>(5).unwrap(), "'$2");
                Ok(())
            })
        };
        tokio::task::spawn_blocking(check).await.unwrap().unwrap();
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn every_transaction_is_read_committed_and_waits_for_a_lock_for_a_while() {
    let database = TestDatabase::postgres().await;
    let by_default = "?options=-c%20default_transaction_isolation%3Dserializable";
    let shown = Statement::from_string(
        DbBackend::Postgres,
        "SELECT current_setting('transaction_isolation'), current_setting('lock_timeout')",
    );
    for pooler in [Pooler::Detect, Pooler::None, Pooler::Session, Pooler::Transaction] {
        let pool = opened(&database, pooler, by_default).await.writer;
        let transaction = pool.begin().await.unwrap();
        let inside = transaction.query_one_raw(shown.clone()).await.unwrap().unwrap();
        transaction.commit().await.unwrap();
        let by_itself = pool.query_one_raw(shown.clone()).await.unwrap().unwrap();
        for row in [inside, by_itself] {
            assert_eq!(row.try_get_by_index::<String>(0).unwrap(), "read committed", "{pooler:?}");
            assert_eq!(row.try_get_by_index::<String>(1).unwrap(), "5s", "{pooler:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn a_connection_whose_commit_fails_or_that_is_given_up_on_the_way_is_not_used_again() {
    let database = TestDatabase::postgres().await;
    for pooler in [Pooler::None, Pooler::Transaction] {
        let pool = opened(&database, pooler, "").await.writer;
        let connection = async || number(&pool, "SELECT pg_backend_pid()::bigint").await;
        let tables = "DROP TABLE IF EXISTS b; DROP TABLE IF EXISTS a; CREATE TABLE a (id int PRIMARY KEY); \
                      CREATE TABLE b (a int REFERENCES a DEFERRABLE INITIALLY DEFERRED)";
        pool.execute_unprepared(tables).await.unwrap();
        // Twice in a row, and what comes after.
        for _ in 0..2 {
            let before = connection().await;
            let transaction = pool.begin().await.unwrap();
            transaction.execute_unprepared("INSERT INTO b VALUES (1)").await.unwrap();
            transaction.commit().await.unwrap_err();
            let between = connection().await;
            assert_ne!(between, before, "{pooler:?}");
            let transaction = pool.begin().await.unwrap();
            let slow = transaction.execute_unprepared("SELECT pg_sleep(60)");
            tokio::time::timeout(Duration::from_millis(50), slow).await.unwrap_err();
            drop(transaction);
            assert_ne!(connection().await, between, "{pooler:?}");
        }
        let transaction = pool.begin().await.unwrap();
        transaction.execute_unprepared("INSERT INTO a VALUES (1)").await.unwrap();
        transaction.execute_unprepared("INSERT INTO nowhere VALUES (1)").await.unwrap_err();
        transaction.execute_unprepared("INSERT INTO a VALUES (2)").await.unwrap_err();
        transaction.commit().await.unwrap_err();
        assert_eq!(number(&pool, "SELECT count(*) FROM a").await, 0);
        let transaction = pool.begin().await.unwrap();
        transaction.execute_unprepared("INSERT INTO a VALUES (3)").await.unwrap();
        transaction.commit().await.unwrap();
        drop(pool);
        let pool = opened(&database, pooler, "").await.writer;
        assert_eq!(number(&pool, "SELECT count(*) FROM a").await, 1, "{pooler:?}");
    }
}

/// A transaction on each of four connections.
async fn all(pool: &Pool) -> [Transaction; 4] {
    tokio::try_join!(pool.begin(), pool.begin(), pool.begin(), pool.begin()).unwrap().into()
}

/// What one connection meets is true of the others: they lead to the same server, which is not the primary any more.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn of_many_connections_to_a_server_that_refuses_to_write_one_has_to_be_refused() {
    let database = TestDatabase::postgres().await;
    let options =
        ConnectionOptions { max_connections: 4, pooler: Pooler::None, ..ConnectionOptions::default() };
    let pool = Database::connect(&database.url().parse().unwrap(), &options).await.unwrap().writer;
    pool.execute_unprepared("CREATE TABLE a (id int)").await.unwrap();
    for _ in 0..2 {
        // As if the server had been demoted under each of them; a new connection would find the new primary.
        for transaction in Box::pin(all(&pool)).await {
            transaction.execute_unprepared("SET default_transaction_read_only = on").await.unwrap();
            transaction.commit().await.unwrap();
        }
        let mut refused = 0;
        for _ in 0..8 {
            refused += usize::from(pool.execute_unprepared("INSERT INTO a VALUES (1)").await.is_err());
        }
        assert_eq!(refused, 1);
        tokio::time::sleep(BETWEEN_EVICTIONS).await;
    }
}

/// As after a fail-over that the address takes part in late: nothing ends the connections that still lead to the standby.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn once_a_new_connection_can_write_those_to_a_standby_are_not_used_again() {
    let database = TestDatabase::postgres().await;
    let options =
        ConnectionOptions { max_connections: 4, pooler: Pooler::None, ..ConnectionOptions::default() };
    let pool = Database::connect(&database.url().parse().unwrap(), &options).await.unwrap().writer;
    let elsewhere = opened(&database, Pooler::None, "").await.writer;
    elsewhere.execute_unprepared("CREATE TABLE a (id int)").await.unwrap();
    // Only connections that are opened afterwards are led there.
    let lead_to = async |read_only: &str| {
        let name = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = %s', \
                    current_database(), 'VALUE'); END $$";
        let writable = format!("SET transaction_read_only = off; {}", name.replace("VALUE", read_only));
        elsewhere.execute_unprepared(&writable).await.unwrap();
    };
    let insert = "INSERT INTO a VALUES (1)";
    for _ in 0..2 {
        lead_to("on").await;
        for transaction in Box::pin(all(&pool)).await {
            transaction.execute_unprepared("SET default_transaction_read_only = on").await.unwrap();
            transaction.commit().await.unwrap();
        }
        pool.execute_unprepared(insert).await.unwrap_err();
        let [one, others @ ..] = Box::pin(all(&pool)).await;
        one.execute_unprepared(insert).await.unwrap_err();
        lead_to("off").await;
        // Its connection is closed, and one is opened in its place.
        drop(one);
        let new = pool.begin().await.unwrap();
        for other in others {
            other.rollback().await;
        }
        new.execute_unprepared(insert).await.unwrap();
        new.commit().await.unwrap();
        for _ in 0..8 {
            pool.execute_unprepared(insert).await.unwrap();
        }
        tokio::time::sleep(BETWEEN_EVICTIONS).await;
    }
}

/// Whatever it was: what the connection is left in is unknown, and the answer may be yet to come.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn a_connection_whose_statement_failed_or_was_not_answered_is_not_used_again() {
    let database = TestDatabase::postgres().await;
    let pool = opened(&database, Pooler::None, "").await.writer;
    let mut before = number(&pool, "SELECT pg_backend_pid()::bigint").await;
    // Twice in a row, and what comes after.
    for failing in ["SELECT 1 / 0", "SELECT pg_sleep(60)", "SELECT pg_sleep(60)", "SELECT 1 / 0"] {
        pool.execute_unprepared(failing).await.unwrap_err();
        let after = number(&pool, "SELECT pg_backend_pid()::bigint").await;
        assert_ne!(after, before, "{failing}");
        before = after;
    }
}
