//! What the queries cost: the plans that the databases make for them, and the work they count. Time is not measured.

mod events;

use std::fmt::Write as _;

use reprieve_application::ports::{Due, Page};
use reprieve_domain::{Reminder, Status, Timestamp};
use reprieve_tests::TestDatabase;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};
use serde_json::Value as Json;

use crate::audit_trail::{chains_of, chains_of_page, entries_of};
use crate::closing::ANSWERS;
use crate::deletion_processes::{figures_at, numbered, of_identity, page_of};
use crate::due_processes::{count_of_starts, due_processes, ripe_processes};
use crate::erasure_tasks::claim_of;
use crate::event_audit::events_of_page;
use crate::identities::open_process_of;
use crate::journaled_trail::unjournaled_of;
use crate::{ConnectionOptions, Database};

/// What is not due ends its grace period from here on.
const LATER: i64 = 1_900_000_000_000_000;

/// An insertion of as many rows as there are numbers between the two.
fn numbered_rows(columns: &str, values: &str, from: u32, to: u32) -> String {
    format!(
        "WITH RECURSIVE numbers (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM numbers WHERE n < {to})
         INSERT INTO {columns} SELECT {values} FROM numbers"
    )
}

fn tasks(from: u32, to: u32, eraser: &str, due_at: &str, stuck_at: &str) -> String {
    let columns = "erasure_tasks (process_id, eraser, address, due_at, fence, failures, stuck_at, in_ledger)";
    let values = format!(
        "'IDP' || (10000000000000000 + n), '{eraser}', 'did:web:example.org:' || n, {due_at}, 0, 0, {stuck_at}, 0"
    );
    numbered_rows(columns, &values, from, to)
}

/// This many processes of as many identities are not due, some with each reminder, and five are ripe. The identity 0 has
/// one open process, not due either, and this many closed ones.
///
/// This many tasks are leased, as many wait for others, five are due, and two are stuck. This many requests were answered,
/// and this many of the closed processes had been suspended.
async fn filled(database: &TestDatabase, not_due: u32) -> DatabaseConnection {
    // One connection, so that what one statement sets still holds for the next.
    let options = ConnectionOptions { max_connections: 1, ..ConnectionOptions::default() };
    let opened = Database::connect(&database.url().parse().unwrap(), &options).await.unwrap();
    opened.migrate().await.unwrap();
    if database.folder().is_none() {
        // What is vacuumed in between is forgotten by the session, which then reads a page more.
        let by_itself = "DO $$ DECLARE name text; BEGIN FOR name IN SELECT tablename FROM pg_tables \
                         WHERE schemaname = 'public' LOOP EXECUTE format('ALTER TABLE %I SET (autovacuum_enabled = false)', \
                         name); END LOOP; END $$";
        opened.writer.execute_unprepared(by_itself).await.unwrap();
    }
    let (none, bytes) = if database.folder().is_some() { ("x''", "BLOB") } else { ("''", "bytea") };
    let processes = |from: u32, to: u32, address: &str, status: &str, ends_at: i64| {
        let columns = "deletion_processes (id, address, status, created_at, created_by_device, \
                       grace_period_ends_at, revision, audit_head, audit_seal)";
        let values = format!(
            "'IDP' || (10000000000000000 + n), {address}, '{status}', n, 'DVC0123456789abcdefg', {ends_at} + n, 1, \
             {none}, {none}"
        );
        numbered_rows(columns, &values, from, to)
    };
    let reminded = |reminder: i64| {
        format!(
            "UPDATE deletion_processes SET reminder{reminder}_sent_at = 1
             WHERE id LIKE '%{reminder}' AND status = 'Active'"
        )
    };
    let answers = format!("CAST('key' || n AS {bytes}), {none}, 'did:web:example.org:' || n, n, 200, ''");
    for statement in [
        processes(1, not_due, "'did:web:example.org:' || n", "Active", LATER),
        processes(100_001, 100_000 + not_due, "'did:web:example.org:0'", "Cancelled", 0),
        processes(200_001, 200_005, "'did:web:example.org:' || n", "Active", 0),
        reminded(1),
        reminded(2),
        reminded(3),
        processes(300_001, 300_001, "'did:web:example.org:0'", "Active", LATER),
        numbered_rows(
            "suspensions (process_id, suspended_until, is_active)",
            "'IDP' || (10000000000000000 + n), n, 0",
            100_001,
            100_000 + not_due,
        ),
        tasks(1, not_due, "files", &LATER.to_string(), "NULL"),
        tasks(1, not_due, "", &i64::MAX.to_string(), "NULL"),
        tasks(200_001, 200_005, "files", "n", "NULL"),
        tasks(300_001, 300_002, "files", &i64::MAX.to_string(), "1"),
        numbered_rows(
            "answered_requests (key, fingerprint, address, received_at, status, body)",
            &answers,
            1,
            not_due,
        ),
        // What was changed above is in an index of PostgreSQL's twice until it is removed.
        if database.folder().is_some() { "ANALYZE".to_owned() } else { "VACUUM ANALYZE".to_owned() },
    ] {
        opened.writer.execute_unprepared(&statement).await.unwrap();
    }
    opened.writer.unwatched()
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros).unwrap()
}

/// Five are ripe: two of them were never reminded, and one with each reminder.
fn ripe(backend: DbBackend, reminded: Option<Reminder>) -> Statement {
    due_processes(
        backend,
        Due { reminded, ends_after: None, ends_by: instant(LATER - 1), longer_than: None },
        None,
        2,
    )
}

/// Two of many whose grace period ends later than that of any which is ripe.
fn to_be_reminded(backend: DbBackend, reminded: Option<Reminder>) -> Statement {
    let due = Due {
        reminded,
        ends_after: Some(instant(LATER - 1)),
        ends_by: instant(LATER + 100),
        longer_than: Some(std::time::Duration::from_micros(1)),
    };
    due_processes(backend, due, None, 2)
}

fn every_reminder() -> impl Iterator<Item = Option<Reminder>> {
    std::iter::once(None).chain(Reminder::ALL.map(Some))
}

/// Three of five that are due, which stay due.
fn claim(backend: DbBackend) -> Statement {
    claim_of(backend, instant(LATER - 1), instant(LATER - 1), 3)
}

/// Five are ripe, one of them for long.
fn figures(backend: DbBackend) -> Statement {
    figures_at(backend, instant(LATER - 1), instant(200_001))
}

/// Of an address that has none: how much a row that was removed still costs depends on what else the server does.
fn answers(backend: DbBackend) -> Statement {
    numbered(backend, ANSWERS.to_owned(), vec!["did:web:example.org:none".into(), LATER.into()])
}

fn open_process(backend: DbBackend) -> Statement {
    open_process_of(backend, &"did:web:example.org:0".parse().unwrap(), "")
}

fn history(backend: DbBackend) -> Statement {
    of_identity(backend, &"did:web:example.org:17".parse().unwrap())
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
    let suspension = "SEARCH suspensions USING INDEX sqlite_autoindex_suspensions_1 (process_id=?) LEFT-JOIN";
    let plan =
        ["SEARCH deletion_processes USING INDEX one_open_process_per_identity (address=?)", suspension];
    assert_eq!(explained_by_sqlite(&connection, open_process(DbBackend::Sqlite)).await, plan);
    // Of one identity, all of which are shown.
    let plan = [
        "SEARCH deletion_processes USING INDEX processes_of_identity (address=?)",
        suspension,
        "USE TEMP B-TREE FOR ORDER BY",
    ];
    assert_eq!(explained_by_sqlite(&connection, history(DbBackend::Sqlite)).await, plan);
    for reminded in every_reminder() {
        for query in [ripe(DbBackend::Sqlite, reminded), to_be_reminded(DbBackend::Sqlite, reminded)] {
            let mut plan = explained_by_sqlite(&connection, query).await;
            // A part has no more rows than are asked for.
            plan.retain(|step| step.contains(" INDEX "));
            let of_part = [
                "SEARCH deletion_processes USING INDEX active_processes_by_reminder_and_deadline (<expr>=? AND (grace_period_ends_at,id)>(?,?) AND grace_period_ends_at<?)",
                "SEARCH suspensions USING INDEX sqlite_autoindex_suspensions_1 (process_id=?)",
                "SEARCH suspensions USING COVERING INDEX suspensions_by_end ((suspended_until,process_id)>(?,?) AND suspended_until<?)",
                "SEARCH deletion_processes USING INDEX sqlite_autoindex_deletion_processes_1 (id=?)",
            ];
            assert_eq!(plan, of_part);
        }
    }
}

#[tokio::test]
async fn sqlite_claims_and_counts_by_index() {
    let database = TestDatabase::sqlite();
    let connection = filled(&database, 10_000).await;
    let due = "SEARCH erasure_tasks USING INDEX due_erasure_tasks (due_at<?)";
    let by_end = "SEARCH suspensions USING COVERING INDEX suspensions_by_end (suspended_until>?)";
    let suspended = "SEARCH deletion_processes USING INDEX sqlite_autoindex_deletion_processes_1 (id=?)";
    let ripe =
        format!("SEARCH deletion_processes USING INDEX {BY_REMINDER} (<expr>=? AND grace_period_ends_at<?)");
    for (query, plan) in [
        (
            claim(DbBackend::Sqlite),
            vec![
                "SEARCH erasure_tasks USING COVERING INDEX sqlite_autoindex_erasure_tasks_1 (process_id=?)",
                due,
                due,
            ],
        ),
        (
            unjournaled_of(DbBackend::Sqlite, None, 9),
            vec![
                "SEARCH unjournaled_steps USING COVERING INDEX sqlite_autoindex_unjournaled_steps_1 (process_id>?)",
            ],
        ),
        (
            figures(DbBackend::Sqlite),
            vec![
                "SCAN deletion_processes USING INDEX one_open_process_per_identity",
                "SEARCH deletion_processes USING COVERING INDEX other_processes_by_status (status=?)",
                "SCAN erasure_tasks USING INDEX stuck_erasure_tasks",
                "SCAN quarantined_processes USING COVERING INDEX sqlite_autoindex_quarantined_processes_1",
                &ripe,
                by_end,
                suspended,
                &ripe,
                by_end,
                suspended,
            ],
        ),
        (
            answers(DbBackend::Sqlite),
            vec!["SEARCH answered_requests USING INDEX answered_requests_of_identity (address=?)"],
        ),
    ] {
        let mut explained = explained_by_sqlite(&connection, query).await;
        explained.retain(|step| step.contains(" USING ") || step.starts_with("SCAN d"));
        assert_eq!(explained, plan);
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

/// Whatever is verified is a range of the primary keys, however much is stored.
#[tokio::test]
async fn sqlite_verifies_by_index() {
    let database = TestDatabase::sqlite();
    let connection = filled(&database, 1_000).await;
    let ids = ["IDP10000000000000001".parse().unwrap(), "IDP10000000000000002".parse().unwrap()];
    for query in [
        chains_of(DbBackend::Sqlite, &ids),
        chains_of_page(DbBackend::Sqlite, Some("IDP".to_owned()), 100),
        events_of_page(DbBackend::Sqlite, 7, 100),
    ] {
        let plan = explained_by_sqlite(&connection, query).await;
        let tables =
            ["deletion_processes", "closed", "audit_entries", "entry", "erasure_tasks", "task", "outbox"];
        let reads_all = |step: &String| tables.iter().any(|table| step.starts_with(&format!("SCAN {table}")));
        // A subquery of the page is scanned by its name: it has a limit.
        let reads_all = plan
            .iter()
            .filter(|step| reads_all(step) && !step.ends_with("closed") && !step.ends_with("tasks"));
        assert_eq!(reads_all.collect::<Vec<_>>(), [""; 0], "{plan:#?}");
    }
}

/// What PostgreSQL counted: indexes that were read, rows that were looked at, and pages.
#[derive(Debug, Default)]
struct Work {
    indexes: Vec<String>,
    rows: u64,
    pages: u64,
}

/// Runs the query as a prepared statement and counts. PostgreSQL plans one for the values it is given the first five
/// times, and may then keep to a plan for any values.
async fn plan_of_postgres(connection: &DatabaseConnection, query: &Statement, mode: &str) -> Json {
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
    plan.clone()
}

async fn counted_by_postgres(connection: &DatabaseConnection, query: &Statement, mode: &str) -> Work {
    Work::of(&plan_of_postgres(connection, query, mode).await)
}

fn number(node: &Json, name: &str) -> u64 {
    node[name].as_u64().unwrap_or_default()
}

fn pages(node: &Json) -> u64 {
    number(node, "Shared Hit Blocks") + number(node, "Shared Read Blocks")
}

impl Work {
    fn of(plan: &Json) -> Self {
        let mut work = Self { pages: pages(plan), ..Self::default() };
        work.add(plan);
        work
    }

    /// What this node and those below it read from tables and indexes.
    fn add(&mut self, node: &Json) {
        let inner: &[Json] = node["Plans"].as_array().map_or(&[], Vec::as_slice);
        for node in inner {
            self.add(node);
        }
        let kind = node["Node Type"].as_str().unwrap();
        if !kind.ends_with("Scan") || ["CTE Scan", "Bitmap Heap Scan", "Subquery Scan"].contains(&kind) {
            return;
        }
        let loops = number(node, "Actual Loops");
        let rows = (number(node, "Actual Rows") + number(node, "Rows Removed by Filter")) * loops;
        // Looking whether what is found is suspended, which may read all of a table that is small.
        let is_aside = node["Relation Name"] == "suspensions" && rows <= 1_000;
        if loops == 0 || is_aside {
            return;
        }
        self.indexes.push(node["Index Name"].as_str().unwrap_or("no index").to_owned());
        self.rows += rows;
    }
}

const MODES: [&str; 2] = ["force_custom_plan", "force_generic_plan"];

const BY_REMINDER: &str = "active_processes_by_reminder_and_deadline";

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_does_not_work_more_where_more_is_stored() {
    let (small, large) = (TestDatabase::postgres().await, TestDatabase::postgres().await);
    let (small, large) = (filled(&small, 1_000).await, filled(&large, 20_000).await);
    let postgres = DbBackend::Postgres;
    let mut expected: Vec<(Statement, &[&str], u64)> = vec![
        (open_process(postgres), &["one_open_process_per_identity"], 1),
        (history(postgres), &["processes_of_identity"], 1),
        (page(postgres, Status::Cancelled), &["other_processes_by_status"], 3),
        // The first of each part, and those that are shown.
        (page(postgres, Status::Active), &[BY_REMINDER; 4], 6),
        (claim(postgres), &["due_erasure_tasks", "erasure_tasks_pkey"], 6),
        (answers(postgres), &["answered_requests_of_identity"], 0),
        // The first of each range.
        (ripe_processes(postgres, instant(LATER - 1), None, 2), &[BY_REMINDER; 4], 4),
    ];
    for reminded in every_reminder() {
        expected.push((ripe(postgres, reminded), &[BY_REMINDER], if reminded.is_none() { 2 } else { 1 }));
        expected.push((to_be_reminded(postgres, reminded), &[BY_REMINDER], 2));
    }
    let mut different = Vec::new();
    for (query, indexes, rows) in expected {
        for mode in MODES {
            let few = counted_by_postgres(&small, &query, mode).await;
            let many = counted_by_postgres(&large, &query, mode).await;
            for work in [&few, &many] {
                if !(work.indexes == indexes && work.rows == rows) {
                    different.push(format!("{mode}: {work:?} {indexes:?} {rows}"));
                }
            }
            // The tree over twenty times as many may be one page higher, whenever it is descended.
            assert!(many.pages <= few.pages + few.pages.div_ceil(3), "{few:?} {many:?}");
        }
    }
    assert!(different.is_empty(), "{different:#?}");
}

/// All but the first count, which is that of everything open.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_counts_what_needs_something_by_index() {
    for not_due in [1_000, 20_000] {
        let database = TestDatabase::postgres().await;
        let connection = filled(&database, not_due).await;
        for mode in MODES {
            let plan = plan_of_postgres(&connection, &figures(DbBackend::Postgres), mode).await;
            let counts = plan["Plans"].as_array().unwrap().iter().skip(1).map(Work::of);
            // What is suspended beyond the two instants is aside.
            let counts = counts.filter(|work| !work.indexes.is_empty());
            let counts: Vec<_> =
                counts.map(|Work { indexes, rows, .. }| (indexes.join(", "), rows)).collect();
            let expected = [
                ("other_processes_by_status", 0),
                ("stuck_erasure_tasks", 2),
                // All of a table that has nothing else.
                ("no index", 0),
                (BY_REMINDER, 5),
                (BY_REMINDER, 1),
            ];
            assert_eq!(counts, expected.map(|(index, rows)| (index.to_owned(), rows)), "{mode}");
        }
    }
}

/// Starts are limited by what two ranges of indexes say.
#[tokio::test]
async fn sqlite_finds_what_is_ripe_and_counts_what_has_started_by_index() {
    let database = TestDatabase::sqlite();
    let connection = filled(&database, 10_000).await;
    let sqlite = DbBackend::Sqlite;
    let plan = explained_by_sqlite(&connection, count_of_starts(sqlite, instant(1))).await;
    assert_eq!(plan, ["SEARCH audit_entries USING COVERING INDEX deletion_starts_by_instant (created_at>?)"]);
    let mut plan =
        explained_by_sqlite(&connection, ripe_processes(sqlite, instant(LATER - 1), None, 2)).await;
    plan.retain(|step| step.contains("deletion_processes"));
    let range = format!(
        "SEARCH deletion_processes USING INDEX {BY_REMINDER} (<expr>=? AND (grace_period_ends_at,id)>(?,?) AND grace_period_ends_at<?)"
    );
    let suspended = "SEARCH deletion_processes USING INDEX sqlite_autoindex_deletion_processes_1 (id=?)";
    assert_eq!(plan, [&[range.as_str(); 4][..], &[suspended]].concat());
}

/// Old names of a status cost no look through all that have the new one.
#[tokio::test]
async fn sqlite_reads_a_page_as_one_range_for_each_part_of_an_index() {
    let database = TestDatabase::sqlite();
    let connection = filled(&database, 1_000).await;
    for status in Status::ALL.into_iter().map(Some).chain([None]) {
        let page = Page { status, ends_before: None, after: None, limit: 3 };
        let mut plan = explained_by_sqlite(&connection, page_of(DbBackend::Sqlite, &page)).await;
        plan.retain(|step| step.contains("deletion_processes"));
        let range = format!(
            "SEARCH deletion_processes USING INDEX {BY_REMINDER} (<expr>=? AND (grace_period_ends_at,id)>(?,?) AND grace_period_ends_at<?)"
        );
        let active = if status.is_none_or(|status| status == Status::Active) { 4 } else { 0 };
        let other = match status {
            None => Status::ALL.len() - 1,
            Some(Status::Active) => 0,
            Some(_) => 1,
        };
        assert_eq!(plan.iter().filter(|step| **step == range).count(), active, "{status:?}: {plan:#?}");
        let by_status = "SEARCH deletion_processes USING INDEX other_processes_by_status (status=? AND ";
        assert_eq!(
            plan.iter().filter(|step| step.starts_with(by_status)).count(),
            other,
            "{status:?}: {plan:#?}"
        );
        assert_eq!(plan.len(), active + other, "{status:?}: {plan:#?}");
    }
}
