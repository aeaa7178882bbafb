//! What the queries cost: the plans that the databases make for them, and the work they count. Time is not measured.

use std::fmt::Write as _;

use reprieve_application::ports::{Due, Page};
use reprieve_domain::{Status, Timestamp};
use reprieve_tests::TestDatabase;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};
use serde_json::Value as Json;

use crate::audit_trail::entries_of;
use crate::deletion_processes::{of_identity, page_of};
use crate::due_processes::due_processes;
use crate::identities::open_process_of;
use crate::{ConnectionOptions, Database};

/// What is not due ends its grace period from here on.
const LATER: i64 = 1_900_000_000_000_000;

/// This many processes of as many identities are not due, and five are ripe. The identity 0 has one open process, not
/// due either, and this many closed ones.
async fn filled(database: &TestDatabase, not_due: u32) -> DatabaseConnection {
    // One connection, so that what one statement sets still holds for the next.
    let options = ConnectionOptions { max_connections: 1, ..ConnectionOptions::default() };
    let opened = Database::connect(&database.url().parse().unwrap(), &options).await.unwrap();
    opened.migrate().await.unwrap();
    let none = if database.folder().is_some() { "x''" } else { "''" };
    let processes = |from: u32, to: u32, address: &str, status: &str, ends_at: i64| {
        format!(
            "WITH RECURSIVE numbers (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM numbers WHERE n < {to})
             INSERT INTO deletion_processes (id, address, status, created_at, created_by_device,
                 grace_period_ends_at, revision, audit_head, audit_seal)
             SELECT 'IDP' || (10000000000000000 + n), {address}, '{status}', n, 'DVC0123456789abcdefg',
                 {ends_at} + n, 1, {none}, {none} FROM numbers"
        )
    };
    for statement in [
        processes(1, not_due, "'did:web:example.org:' || n", "Active", LATER),
        processes(100_001, 100_000 + not_due, "'did:web:example.org:0'", "Cancelled", 0),
        processes(200_001, 200_005, "'did:web:example.org:' || n", "Active", 0),
        processes(300_001, 300_001, "'did:web:example.org:0'", "Active", LATER),
        "ANALYZE".to_owned(),
    ] {
        opened.writer.execute_unprepared(&statement).await.unwrap();
    }
    opened.writer
}

/// Five are ripe; the fourth and fifth need not be looked at.
fn ripe(backend: DbBackend) -> Statement {
    let ends_by = Timestamp::from_unix_micros(LATER - 1).unwrap();
    due_processes(backend, Due { reminded: None, ends_after: None, ends_by }, None, 3)
}

fn open_process(backend: DbBackend) -> Statement {
    open_process_of(backend, &"did:web:example.org:0".parse().unwrap())
}

fn history(backend: DbBackend) -> Statement {
    backend.build(&of_identity(&"did:web:example.org:17".parse().unwrap()))
}

fn page(backend: DbBackend, status: Status) -> Statement {
    page_of(backend, &Page { status: Some(status), ends_before: None, after: None, limit: 3 })
}

async fn explained_by_sqlite(connection: &DatabaseConnection, query: Statement) -> Vec<String> {
    let Statement { sql, values, db_backend } = query;
    let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {sql}"), values, db_backend };
    let rows = connection.query_all_raw(explain).await.unwrap();
    rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect()
}

#[tokio::test]
async fn sqlite_finds_by_index_and_sorts_nothing() {
    let database = TestDatabase::sqlite();
    let connection = filled(&database, 10_000).await;
    for (query, plan) in [
        (
            ripe(DbBackend::Sqlite),
            "SEARCH deletion_processes USING INDEX active_processes_by_reminder_and_deadline (<expr>=? AND (grace_period_ends_at,id)>(?,?) AND grace_period_ends_at<?)",
        ),
        (
            open_process(DbBackend::Sqlite),
            "SEARCH deletion_processes USING INDEX one_open_process_per_identity (address=?)",
        ),
        (
            history(DbBackend::Sqlite),
            "SEARCH deletion_processes USING INDEX processes_of_identity (address=?)",
        ),
    ] {
        assert_eq!(explained_by_sqlite(&connection, query).await, [plan]);
    }
}

#[tokio::test]
async fn sqlite_finds_the_trail_of_an_identity_by_its_first_entries() {
    let database = TestDatabase::sqlite();
    let connection = filled(&database, 1_000).await;
    let plan =
        explained_by_sqlite(&connection, DbBackend::Sqlite.build(&entries_of(vec![0; 32], None))).await;
    for found in [
        "SEARCH audit_entries USING INDEX sqlite_autoindex_audit_entries_1 (process_id=?)",
        "SEARCH audit_entries USING COVERING INDEX audit_trails_of_identity (identity_hash=?)",
    ] {
        assert!(plan.iter().any(|step| step == found), "{plan:#?}");
    }
}

/// What PostgreSQL counted: rows that were looked at, and pages.
#[derive(Debug, PartialEq)]
struct Work {
    index: String,
    rows: u64,
    pages: u64,
}

/// Runs the query as a prepared statement and counts. PostgreSQL plans one for the values it is given the first five
/// times, and may then keep to a plan for any values.
async fn counted_by_postgres(connection: &DatabaseConnection, query: &Statement, mode: &str) -> Work {
    let Statement { sql, values, .. } = query.clone();
    let mut arguments = Vec::new();
    for value in values.into_iter().flat_map(|values| values.0) {
        arguments.push(match value {
            Value::BigInt(Some(number)) => number.to_string(),
            Value::BigUnsigned(Some(number)) => number.to_string(),
            Value::String(Some(text)) => format!("'{text}'"),
            other => panic!("{other:?}"),
        });
    }
    let mut script = format!("SET plan_cache_mode = {mode}; PREPARE query AS {sql};");
    // The first run reads what no later run has to.
    write!(script, "EXECUTE query({})", arguments.join(", ")).unwrap();
    connection.execute_unprepared(&script).await.unwrap();
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE query({})", arguments.join(", "));
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), explain));
    let row = row.await.unwrap().unwrap();
    connection.execute_unprepared("DEALLOCATE query").await.unwrap();
    let plans: Json = row.try_get_by_index(0).unwrap();
    let plan = &plans[0]["Plan"];
    let scan = scan(plan);
    let number = |node: &Json, name: &str| node[name].as_u64().unwrap_or_default();
    Work {
        index: scan["Index Name"].as_str().unwrap_or("no index").to_owned(),
        rows: number(scan, "Actual Rows") + number(scan, "Rows Removed by Filter"),
        pages: number(plan, "Shared Hit Blocks") + number(plan, "Shared Read Blocks"),
    }
}

/// The one node that reads the table.
fn scan(mut node: &Json) -> &Json {
    while let Some(inner) = node["Plans"].as_array() {
        assert_eq!(inner.len(), 1, "{node:#}");
        node = &inner[0];
    }
    node
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_does_not_work_more_where_more_is_stored() {
    let (small, large) = (TestDatabase::postgres().await, TestDatabase::postgres().await);
    let (small, large) = (filled(&small, 1_000).await, filled(&large, 20_000).await);
    for (query, index, rows) in [
        (ripe(DbBackend::Postgres), "active_processes_by_reminder_and_deadline", 3),
        (open_process(DbBackend::Postgres), "one_open_process_per_identity", 1),
        (history(DbBackend::Postgres), "processes_of_identity", 1),
        (page(DbBackend::Postgres, Status::Cancelled), "other_processes_by_status", 3),
    ] {
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let few = counted_by_postgres(&small, &query, mode).await;
            let many = counted_by_postgres(&large, &query, mode).await;
            assert_eq!((few.index.as_str(), few.rows), (index, rows));
            assert_eq!((many.index.as_str(), many.rows), (index, rows));
            // The tree over twenty times as many may be one page higher.
            assert!(many.pages <= few.pages + 1, "{few:?} {many:?}");
        }
    }
}
