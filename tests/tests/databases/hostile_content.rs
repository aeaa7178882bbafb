//! Whatever stands in the database, what a command prints stays where it belongs: nothing in it moves the cursor, changes the
//! direction of writing, or makes a line that looks like one of ours.

use std::collections::BTreeSet;
use std::fs;

use reprieve_tests::{Answer, EraserService, Outcome, Sandbox, Sql, unix_seconds};

/// Erases the line, goes up, hides what follows, turns writing around, and says in a line of its own what an operator wants to read.
const HOSTILE: &str = "\u{1b}[2K\u{1b}[1A\u{1b}[8m\u{9b}2J\u{202e}\r\nAudit trail verified: 9 entries";
const COMMANDS: &[&str] = &[
    "audit verify",
    "check",
    "deletions show",
    "events parked",
    "hold list",
    "identity status",
    "identityDeletion list",
    "journal replay --dry-run",
    "journal status",
    "worker run deletions --once",
    "worker run erasures --once",
    "worker run housekeeping --once",
    "worker run outbox --once",
];

#[test]
fn nothing_that_stands_in_the_database_moves_the_cursor_or_makes_a_line() {
    let eraser = EraserService::start(|_| Answer::Failed);
    let sandbox = lived_in(&eraser);
    let kept = fs::read(sandbox.database_file()).unwrap();
    let tables = sandbox.sql().tables();
    let mut shown = BTreeSet::new();
    for table in tables.iter().filter(|table| *table != "seaql_migrations") {
        fs::write(sandbox.database_file(), &kept).unwrap();
        if !changed(&mut sandbox.sql(), table) {
            continue;
        }
        for command in COMMANDS {
            // What a worker did is said in numbers in either.
            let formats: &[_] = if command.starts_with("worker") { &["text"] } else { &["text", "json"] };
            for format in formats {
                let outcome = sandbox.line(&format!("{command} --output {format}"));
                let what = format!("{command} --output {format}, table {table}");
                assert_is_harmless(&what, &outcome);
                if outcome.stdout.contains("9 entries") || outcome.stderr.contains("9 entries") {
                    shown.insert((*command, *format));
                }
            }
        }
    }
    // Or this would show nothing.
    assert!(shown.len() >= 8, "only {shown:?} have shown it");
}

/// Deletions under way, one that waits for its end, a hold with a note, a pause that was, events that nothing takes.
fn lived_in(eraser: &EraserService) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!(
        "grace_period = {{minimum_in_days = 0.000001}}
        journal.url = 'sqlite:{home}/journal'
        receipts.key_file = '{home}/receipt-key'
        erasure.first_retry_in_seconds = 0.1
        [[events.sinks]]
        name = 'mail'
        type = 'webhook'
        url = 'http://127.0.0.1:1/'
        secret = 'whsec_{secret}'
        {eraser}",
        home = sandbox.home().display(),
        secret = "QUJD".repeat(8),
        eraser = eraser.toml("files", 20.0),
    ));
    for line in [
        "identityDeletion init",
        "identityDeletion cancel",
        "identityDeletion init --grace-period-in-days 0.000001",
        "deletions pause --reason tried",
        "deletions resume",
        "worker run deletions --once",
    ] {
        let _ = sandbox.line(line).succeeded();
    }
    // These fail, as they should.
    for line in ["worker run erasures --once", "worker run outbox --once", "worker run journal --once"] {
        let _ = sandbox.line(line);
    }
    let found = "INSERT INTO quarantined_processes (process_id, sequence, reason, found_at) VALUES ('IDPnowhere', 1, 'gap', 0)";
    sandbox.sql().execute(found);
    let ada = "did:web:example.org:ada";
    let place = ["hold", "place", ada, "--code", "legal", "--until", &in_a_month(), "--note", "asked for"];
    let _ = sandbox.run(place).succeeded();
    // The log is in the file, which is copied.
    sandbox.sql().execute("PRAGMA wal_checkpoint(TRUNCATE)");
    sandbox
}

fn in_a_month() -> String {
    let then = i64::try_from((unix_seconds() + 30 * 86_400) * 1_000_000).unwrap();
    reprieve_domain::Timestamp::from_unix_micros(then).unwrap().to_string()
}

/// Whether any row of the table has a text that was changed.
fn changed(sql: &mut Sql, table: &str) -> bool {
    sql.execute("PRAGMA foreign_keys = OFF");
    sql.drop_triggers();
    let mut rows = 0;
    for column in sql.columns(table) {
        let change = format!(
            "UPDATE OR IGNORE {table} SET {column} = {column} || '{HOSTILE}' WHERE typeof({column}) = 'text'"
        );
        rows += sql.try_execute(&change).unwrap_or_default();
    }
    sql.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    rows > 0
}

fn assert_is_harmless(what: &str, Outcome { stdout, stderr, .. }: &Outcome) {
    for text in [stdout, stderr] {
        let hidden = |character: &char| {
            character.is_control() && *character != '\n' || matches!(character, '\u{2028}'..='\u{202e}')
        };
        assert_eq!(text.chars().find(hidden), None, "{what}: {text:?}");
        for line in text.lines() {
            assert!(!line.trim_start().starts_with("Audit trail verified: 9"), "{what}: {text:?}");
        }
    }
}
