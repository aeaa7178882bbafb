//! A hand in the database: whatever is changed behind the program's back is found, or is on a list of what does no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reprieve_application::ports::{
    Alongside, AnsweredRequests, EventDeliveries, Identities, JournaledTrail, Loaded,
};
use reprieve_application::use_cases::{ProvideOwnIdentity, Retention};
use reprieve_application::{Answer, AnsweredRequest, Fingerprint, IdempotencyKey, IdempotentRequest};
use reprieve_domain::{Identity, Step};
use reprieve_system::SystemIds;
use reprieve_tests::{Random, Sql, TestDatabase, rounds};

use super::world::{DAY, END, TestEraser, World, address};

/// Columns in which a change is not found, with the reason. `docs/audit-trail.md` has the same, and says which of them are
/// harmless and which are gaps.
const NOT_FOUND: &[(&str, &str, &str)] = &[
    ("answered_requests", "*", "gap: a repeated request is answered from it"),
    ("clock_record", "id", "can only be 1"),
    ("closed_processes", "logical_time", "only orders events"),
    ("deletion_processes", "logical_time", "only orders events"),
    ("deletion_processes", "number", "only keeps two initiations apart"),
    ("deployment", "*", "another key is refused when the store is opened"),
    ("erasure_tasks", "due_at", "only when an eraser is asked"),
    ("erasure_tasks", "failures", "only how long it is waited for"),
    ("erasure_tasks", "fence", "only which worker has the task"),
    ("erasure_tasks", "in_ledger", "no longer used"),
    ("erasure_tasks", "lease_ends_at", "only whether an operator's retry waits"),
    ("erasure_tasks", "poll", "gap: another job of the same eraser may be asked for"),
    ("erasure_tasks", "stuck_at", "only when an eraser is asked"),
    ("erasure_tasks", "unfinished_since", "only how long it is waited for"),
    ("pause_record", "id", "can only be 1"),
    ("processes_being_forgotten", "*", "is empty between transactions"),
    ("quarantined_processes", "*", "what does not verify is found again"),
    ("erasure_waivers", "*", "only shown to operators; the chain has what counts"),
    ("suspensions", "is_active", "only whether its start is looked for"),
    ("holds", "note", "only shown to operators"),
    ("holds", "is_journaled", "only when the journal is written"),
    ("event_retries", "*", "only when an event is delivered"),
    ("event_sequence", "id", "can only be 1"),
    ("event_sequence", "last", "only places of events"),
    ("event_sinks", "*", "only how far a sink has got"),
    ("outbox", "logical_time", "only orders events"),
    ("outbox", "position", "only orders events"),
    ("outbox", "sequence", "only orders events"),
    ("outbox", "trace_parent", "only shown in traces"),
    ("outbox", "trace_state", "only shown in traces"),
    ("forgotten_processes", "*", "only what the journal is to know"),
    ("older_processes", "*", "only shown to operators; the journal has what counts"),
    ("own_identity", "id", "can only be 1"),
    ("own_identity", "device", "gap: the embedded command acts for another device"),
    ("own_identity", "secret_key", "another one signs nothing that is accepted"),
    ("seaql_migrations", "*", "a database with other tables is refused"),
    ("unjournaled_steps", "*", "only when the journal is written"),
];

/// Tables a row of which may be gone: what is lost decides nothing, and may have been forgotten in time.
const MAY_LACK: &[&str] = &[
    "answered_requests",
    "deployment",
    "event_retries",
    "event_sequence",
    "event_sinks",
    "outbox",
    "unjournaled_steps",
    "holds",
    "own_identity",
    "seaql_migrations",
];

/// Tables that may have a row more.
const MAY_HAVE_MORE: &[&str] = &[
    "answered_requests",
    "deployment",
    "event_retries",
    "event_sequence",
    "event_sinks",
    "seaql_migrations",
    "suspensions",
    "unjournaled_steps",
];

const CHANGES: usize = 250;

fn is_not_found(table: &str, column: &str) -> bool {
    NOT_FOUND.iter().any(|(of, name, _)| *of == table && (*name == "*" || *name == column))
}

#[test]
fn a_hand_in_the_database_is_found_on_sqlite() {
    whatever_a_hand_changes_is_found(|| Box::pin(async { TestDatabase::sqlite() }));
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_hand_in_the_database_is_found_on_postgres() {
    whatever_a_hand_changes_is_found(|| Box::pin(TestDatabase::postgres()));
}

async fn step(world: &World, number: usize, decide: impl FnOnce(&Identity) -> Step) {
    let Loaded { value, version } = Identities::load(world.store.as_ref(), &address(number)).await.unwrap();
    Identities::save(world.store.as_ref(), &decide(&value), version, Alongside::Nothing).await.unwrap();
}

/// What the tables held some time ago, beside what they hold now.
fn keep(sql: &mut Sql, prefix: &str, tables: &[String]) {
    for table in tables {
        sql.execute(&format!("DROP TABLE IF EXISTS {prefix}_{table}"));
        sql.execute(&format!("CREATE TABLE {prefix}_{table} AS SELECT * FROM {table}"));
    }
}

/// Processes in every state, each brought there by the steps that lead there.
async fn lived_in(database: TestDatabase) -> World {
    let (files, mail) = (TestEraser::new("files"), TestEraser::new("mail"));
    let world = World::new(database, &[files, mail.clone()]).await;
    world.confirm_clock().await;
    world.pause_and_resume().await;
    let retention = Retention { cancelled_processes: Duration::from_hours(1), ..Retention::default() };
    // An identity that cancelled, was forgotten, asked again and was deleted.
    world.initiate(1).await;
    world.set(DAY);
    world.cancel(1).await.unwrap();
    world.set(2 * DAY);
    world.keep_house_by(retention).await;
    world.initiate(1).await;
    world.set(2 * DAY + END);
    world.start_deletions().await;
    assert_eq!(world.erase().await.completed, 1);
    // One that cancelled and was forgotten, and lives; one that cancelled; deletions under way, two of them closed.
    let now = 2 * DAY + END;
    for number in [0, 3, 4, 5, 6, 7] {
        world.initiate(number).await;
    }
    world.initiate_for(8, 14.5).await;
    world.set(now + DAY);
    world.cancel(0).await.unwrap();
    world.set(now + 2 * DAY);
    world.keep_house_by(retention).await;
    world.initiate(2).await;
    world.cancel(2).await.unwrap();
    world.set(now + 10 * DAY);
    world.remind().await;
    world.set(now + END);
    world.start_deletions().await;
    mail.will_fail(3);
    assert_eq!(world.erase().await.completed, 2);
    // One that is complete and not closed yet, two that wait.
    world.set(now + END + DAY);
    let at = world.now();
    step(&world, 8, |identity| {
        identity.start_deletion(identity.open_process().unwrap().id(), [].into(), at).unwrap()
    })
    .await;
    step(&world, 8, |identity| identity.complete(identity.open_process().unwrap().id(), at).unwrap()).await;
    world.initiate(9).await;
    world.initiate(10).await;
    // Held: one with an open process, one that cancels, one that has asked for nothing.
    for number in [9, 10, 11] {
        world.hold(number, "legal", now + 3 * END).await;
    }
    let known = world.keep_journal().await;
    assert_eq!(known.older, 0);
    // Another journal was adopted, and then the first one again.
    let own = JournaledTrail::known_journal(world.store.as_ref()).await.unwrap().id.unwrap();
    for id in ["another", &own] {
        world.store.adopt_journal(id, world.now()).await.unwrap();
    }
    ProvideOwnIdentity::new(world.store.clone(), Arc::new(SystemIds), "localhost".to_owned())
        .execute()
        .await
        .unwrap();
    let request = IdempotentRequest {
        key: IdempotencyKey([1; 32]),
        fingerprint: Fingerprint([2; 32]),
        address: address(9),
        received_at: at,
    };
    let answer = Answer { status: 200, body: "{}".to_owned() };
    world.store.keep(&AnsweredRequest { request, answer }).await.unwrap();
    world.store.end().await.unwrap();
    let sink = "mail".parse().unwrap();
    EventDeliveries::claim(world.store.as_ref(), &sink, at, at).await.unwrap().unwrap();
    world
}

/// Draws changes.
struct Hand<'a> {
    sql: &'a mut Sql,
    random: Random,
}

impl Hand<'_> {
    fn one_of<T: Clone>(&mut self, things: &[T]) -> Option<T> {
        let index = usize::try_from(self.random.below(things.len().max(1) as u64)).unwrap();
        things.get(index).cloned()
    }

    fn row(&mut self, table: &str) -> Option<String> {
        let rows = if self.sql.is_postgres() {
            self.sql.texts(&format!("SELECT ctid::text FROM {table} ORDER BY ctid"))
        } else {
            self.sql.texts(&format!("SELECT CAST(rowid AS TEXT) FROM {table} ORDER BY rowid"))
        };
        let row = self.one_of(&rows)?;
        Some(if self.sql.is_postgres() { format!("ctid = '{row}'") } else { format!("rowid = {row}") })
    }

    /// Which of the three types a column has.
    fn kind(&mut self, table: &str, column: &str) -> &'static str {
        let of_type = if self.sql.is_postgres() {
            self.sql.text(&format!(
                "SELECT data_type::text FROM information_schema.columns WHERE table_schema = 'public' \
                 AND table_name = '{table}' AND column_name = '{column}'"
            ))
        } else {
            self.sql.text(&format!("SELECT type FROM pragma_table_info('{table}') WHERE name = '{column}'"))
        };
        match of_type.to_lowercase().as_str() {
            "bytea" | "blob" => "bytes",
            "text" | "varchar" | "character varying" => "text",
            _ => "number",
        }
    }

    fn value(&mut self, table: &str, column: &str) -> String {
        let other = self.row(table).unwrap();
        let others = format!("(SELECT {column} FROM {table} WHERE {other})");
        let values: Vec<String> = match self.kind(table, column) {
            "number" => vec![format!("{column} + 1"), format!("{column} - 1"), "0".into(), "1".into()],
            "bytes" if self.sql.is_postgres() => {
                vec!["decode(repeat('00', 32), 'hex')".into(), "decode('00ff', 'hex')".into()]
            }
            "bytes" => vec!["zeroblob(32)".into(), "x'00ff'".into()],
            _ => [
                "''",
                "'x'",
                "'Active'",
                "'Cancelled'",
                "'Deleted'",
                "'Deleting'",
                "'[]'",
                "'{}'",
                "'files'",
                "'did:web:example.org:users:9'",
                "'IDP00000000000000000'",
                "'DVC00000000000000000'",
            ]
            .map(str::to_owned)
            .to_vec(),
        };
        match self.random.below(4) {
            0 => "NULL".to_owned(),
            1 => others,
            _ => self.one_of(&values).unwrap(),
        }
    }

    /// A statement that changes one table, and the column if it is about one.
    fn change(&mut self, table: &str, column: &str) -> Option<(String, Option<Kind>)> {
        let row = self.row(table)?;
        let columns = self.sql.columns(table);
        Some(match self.random.below(8) {
            0..=3 => {
                let value = self.value(table, column);
                (format!("UPDATE {table} SET {column} = {value} WHERE {row}"), None)
            }
            4 => (format!("DELETE FROM {table} WHERE {row}"), Some(Kind::Gone)),
            5 => {
                let kind = self.kind(table, column);
                let changed =
                    if kind == "text" { format!("{column} || 'x'") } else { self.value(table, column) };
                let selected: Vec<String> = columns
                    .iter()
                    .map(|name| if name == column { changed.clone() } else { name.clone() })
                    .collect();
                (
                    format!(
                        "INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE {row}",
                        columns.join(", "),
                        selected.join(", ")
                    ),
                    Some(Kind::More),
                )
            }
            6 => {
                let other = self.row(table)?;
                (
                    format!(
                        "UPDATE {table} SET {column} = CASE WHEN {row} THEN (SELECT {column} FROM {table} WHERE {other}) \
                         ELSE (SELECT {column} FROM {table} WHERE {row}) END WHERE {row} OR {other}"
                    ),
                    None,
                )
            }
            _ => {
                let key = match table {
                    "deletion_processes" => "older.id = {table}.id",
                    "audit_entries" => {
                        "older.process_id = {table}.process_id AND older.sequence = {table}.sequence"
                    }
                    "erasure_tasks" => {
                        "older.process_id = {table}.process_id AND older.eraser = {table}.eraser"
                    }
                    "closed_processes" => "older.process_id = {table}.process_id",
                    "outbox" => "older.position = {table}.position",
                    _ => return None,
                };
                let key = key.replace("{table}", table);
                (
                    format!(
                        "UPDATE {table} SET {column} = (SELECT older.{column} FROM older_{table} AS older WHERE {key}) \
                         WHERE {row} AND EXISTS (SELECT 1 FROM older_{table} AS older WHERE {key})"
                    ),
                    None,
                )
            }
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Gone,
    More,
}

type Opening = std::pin::Pin<Box<dyn Future<Output = TestDatabase>>>;

fn whatever_a_hand_changes_is_found(open: fn() -> Opening) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = runtime.block_on(async { lived_in(open().await).await });
    runtime.block_on(world.verify());
    let mut sql = Sql::open(world.url());
    sql.drop_triggers();
    let tables = sql.tables();
    let columns: BTreeMap<String, Vec<String>> =
        tables.iter().map(|table| (table.clone(), sql.columns(table))).collect();
    for (table, column, _) in NOT_FOUND {
        let known = &columns[*table];
        assert!(*column == "*" || known.iter().any(|known| known == column), "{table}.{column} is no more");
    }
    keep(&mut sql, "older", &tables);
    // A step later: what is older now belongs to nothing.
    runtime.block_on(async {
        world.cancel(9).await.unwrap();
        world.set_to(world.now());
    });
    keep(&mut sql, "kept", &tables);
    let every_column: Vec<(String, String)> = columns
        .iter()
        .flat_map(|(table, columns)| columns.iter().map(|column| (table.clone(), column.clone())))
        .collect();
    let mut hand = Hand { sql: &mut sql, random: Random::new() };
    let (mut found, mut tried) = (BTreeSet::new(), 0);
    let wanted: BTreeSet<&(String, String)> =
        every_column.iter().filter(|(table, column)| !is_not_found(table, column)).collect();
    let enough = rounds(CHANGES);
    // Every column in turn, until each that is not harmless was changed and found.
    for (table, column) in every_column.iter().cycle() {
        if tried >= enough && wanted.iter().all(|wanted| found.contains(*wanted)) {
            break;
        }
        assert!(
            tried < enough.max(5000),
            "{:?} cannot be changed",
            wanted.iter().find(|one| !found.contains(**one))
        );
        let Some((change, kind)) = hand.change(table, column) else { continue };
        let before = hand.sql.rows(table);
        // What a constraint is against cannot be done so easily.
        let done = hand.sql.try_execute(&change).is_ok() && hand.sql.rows(table) != before;
        if done {
            tried += 1;
            let verified = runtime.block_on(world.verified());
            let may_be = match kind {
                None => is_not_found(table, column),
                Some(Kind::Gone) => MAY_LACK.contains(&table.as_str()),
                Some(Kind::More) => MAY_HAVE_MORE.contains(&table.as_str()),
            };
            if verified.is_err() && kind.is_none() {
                found.insert((table.clone(), column.clone()));
            }
            assert!(verified.is_err() || may_be, "not found: {change}");
            hand.sql.execute(&format!("DELETE FROM {table}"));
            hand.sql.execute(&format!("INSERT INTO {table} SELECT * FROM kept_{table}"));
        }
    }
    runtime.block_on(world.verify());
    println!("{tried} changes, {} columns", every_column.len());
}
