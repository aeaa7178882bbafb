//! What it costs to tell sinks of events, however many others have been told of, and however much is parked.

use reprieve_application::SinkName;

use super::*;
use crate::event_deliveries::{again_of, is_to_be_claimed, next_of, places_of};

fn mail() -> SinkName {
    "mail".parse().unwrap()
}

/// This many events have been settled, and as many were parked; ten wait, five of them without a place. Three are due to be
/// sent again, and one of them has two of its identity behind it. This many are to be sent again later. A second sink has
/// received everything.
async fn told(database: &TestDatabase, many: u32) -> DatabaseConnection {
    let options = ConnectionOptions { max_connections: 1, ..ConnectionOptions::default() };
    let opened = Database::connect(&database.url().parse().unwrap(), &options).await.unwrap();
    opened.migrate().await.unwrap();
    let events = |from: u32, to: u32, sequence: &str| {
        let columns =
            "outbox (process_id, revision, address, event_type, occurred_at, data, event_id, sequence)";
        let values = format!("'IDP', 1, 'did:web:' || n, 'IdentityDeleted', n, '', 'e' || n, {sequence}");
        numbered_rows(columns, &values, from, to)
    };
    let sink = |name: &str, settled_to: u32| {
        format!(
            "INSERT INTO event_sinks (name, settled_to, fence, lease_ends_at, due_at, failures, seen_at)
             VALUES ('{name}', {settled_to}, 1, 0, 0, 0, {LATER})"
        )
    };
    let retries = |from: u32, to: u32, address: &str, due_at: i64, parked_at: &str| {
        let columns = "event_retries (sink, sequence, address, attempts, due_at, parked_at)";
        let values = format!("'mail', n, 'did:web:' || {address}, 1, {due_at}, {parked_at}");
        numbered_rows(columns, &values, from, to)
    };
    for statement in [
        events(1, 3 * many + 5, "n"),
        events(3 * many + 6, 3 * many + 10, "NULL"),
        retries(1, 3, "n", 5, "NULL"),
        retries(4, 5, "3", 5, "NULL"),
        retries(6, many, "n", 5, "7"),
        retries(many + 1, 2 * many, "n", LATER, "NULL"),
        "UPDATE event_sequence SET last = (SELECT max(sequence) FROM outbox)".to_owned(),
        sink("mail", 3 * many),
        sink("files", 3 * many + 5),
        if database.folder().is_some() { "ANALYZE".to_owned() } else { "VACUUM ANALYZE".to_owned() },
    ] {
        opened.writer.execute_unprepared(&statement).await.unwrap();
    }
    opened.writer.unwatched()
}

/// Whether there is anything to do, what waits, what is due again, and what has no place.
fn queries(backend: DbBackend, many: i64) -> [Statement; 5] {
    let now = instant(10);
    [
        is_to_be_claimed(backend, &mail(), now),
        is_to_be_claimed(backend, &"files".parse().unwrap(), now),
        next_of(backend, &mail(), 3 * many, 4),
        again_of(backend, &mail(), now, 4),
        places_of(backend, 3 * many + 5, 5000),
    ]
}

#[tokio::test]
async fn sqlite_tells_sinks_by_index() {
    let database = TestDatabase::sqlite();
    let connection = told(&database, 10_000).await;
    for query in queries(DbBackend::Sqlite, 10_000) {
        let sql = query.sql.clone();
        let plan = explained_by_sqlite(&connection, query).await;
        // Nothing but what was found before, one row, or an index of nothing but what is asked for.
        let allowed = ["numbered", "first_ones", "waiting", "(subquery-4)", "event_sequence"]
            .map(|name| format!("SCAN {name}"));
        let is_allowed =
            |step: &String| allowed.contains(step) || step.ends_with("INDEX events_without_sequence");
        assert!(plan.iter().filter(|step| step.starts_with("SCAN")).all(is_allowed), "{sql}: {plan:#?}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_does_not_work_more_where_more_was_told_or_is_parked() {
    let (small, large) = (TestDatabase::postgres().await, TestDatabase::postgres().await);
    let (small, large) = (told(&small, 1_000).await, told(&large, 20_000).await);
    let few = queries(DbBackend::Postgres, 1_000);
    let many = queries(DbBackend::Postgres, 20_000);
    for (few, many) in few.iter().zip(&many) {
        for mode in MODES {
            let (of_few, of_many) =
                (counted_by_postgres(&small, few, mode).await, counted_by_postgres(&large, many, mode).await);
            for work in [&of_few, &of_many] {
                assert!(work.rows <= 60, "{mode}, {}: {work:?}", many.sql);
            }
            assert!(
                of_many.pages <= of_few.pages + of_few.pages.div_ceil(3) + 6,
                "{mode}, {}: {of_few:?} {of_many:?}",
                many.sql
            );
        }
    }
}
