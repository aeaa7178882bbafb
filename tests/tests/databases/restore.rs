//! A backup is restored that does not know of a cancellation, and the binary goes on with it.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use reprieve_tests::{Sandbox, Sql, on_both_databases};

on_both_databases!(
    a_restored_backup_deletes_no_identity_that_had_cancelled,
    a_journal_that_is_missing_stops_deletions_until_it_is_adopted,
    a_command_warns_if_the_journal_cannot_be_written_and_is_done,
);

/// In days, and in seconds: long enough to cancel.
const GRACE: (&str, u64) = ("0.00007", 7);

/// Beside a journal that no backup of the database has.
fn deployment(sandbox: &Sandbox) -> Sandbox {
    let journal = format!("sqlite:{}", sandbox.home().join("elsewhere/journal").display());
    sandbox
        .variant()
        .with("REPRIEVE__GRACE_PERIOD__MINIMUM_IN_DAYS", "0.00001")
        .with("REPRIEVE__ERASURE__WITHOUT_ERASERS", "true")
        .with("REPRIEVE__JOURNAL__URL", journal)
}

fn on_postgres(sandbox: &Sandbox) -> bool {
    sandbox.database_url().starts_with("postgres")
}

fn tables(sql: &mut Sql) -> Vec<String> {
    sql.tables()
        .into_iter()
        .filter(|table| !table.starts_with("saved_") && table != "seaql_migrations")
        .collect()
}

fn back_up(sandbox: &Sandbox) {
    if on_postgres(sandbox) {
        let mut sql = sandbox.sql();
        for table in tables(&mut sql) {
            sql.execute(&format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}"));
        }
    } else {
        let backup = sandbox.home().join("backup.db");
        let _ = sandbox.line(&format!("database backup {}", backup.display())).succeeded();
    }
}

fn restore(sandbox: &Sandbox) {
    if on_postgres(sandbox) {
        let mut sql = sandbox.sql();
        sql.drop_triggers();
        for table in tables(&mut sql) {
            sql.execute(&format!("DELETE FROM {table}"));
            sql.execute(&format!("INSERT INTO {table} SELECT * FROM saved_{table}"));
        }
    } else {
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{end}", sandbox.database_file().display()));
        }
        fs::copy(sandbox.home().join("backup.db"), sandbox.database_file()).unwrap();
    }
}

fn a_restored_backup_deletes_no_identity_that_had_cancelled(sandbox: &Sandbox) {
    let sandbox = deployment(sandbox);
    let _ = sandbox.line(&format!("identityDeletion init --grace-period-in-days {}", GRACE.0)).succeeded();
    back_up(&sandbox);
    let _ = sandbox.line("identityDeletion cancel").succeeded();
    restore(&sandbox);
    assert_eq!(sandbox.json("identity status")["status"], "ToBeDeleted", "the backup does not know");
    sleep(Duration::from_secs(GRACE.1));
    let pass = sandbox.line("worker run deletions --once");
    assert_eq!(pass.code, 70, "{pass:?}");
    assert!(pass.stderr.contains("error.reprieve.journal.databaseOlder"), "{pass:?}");
    let _ = sandbox.line("worker run erasures --once").succeeded();
    let kept = sandbox.line("worker run journal --once");
    assert_eq!(kept.code, 70, "{kept:?}");
    let status = sandbox.json("journal status");
    assert_eq!(status["older"].as_array().unwrap().len(), 1, "{status}");
    let looked = sandbox.json("ledger replay --dry-run");
    assert_eq!(looked["cancelledAgain"].as_array().unwrap().len(), 1, "{looked}");
    assert_eq!(sandbox.json("identity status")["status"], "ToBeDeleted");
    let replayed = sandbox.json("journal replay");
    assert_eq!(replayed["cancelledAgain"].as_array().unwrap().len(), 1, "{replayed}");
    assert_eq!(sandbox.json("identity status")["status"], "Active");
    let again = sandbox.json("journal replay");
    assert_eq!(
        (&again["cancelledAgain"], &again["accepted"]),
        (&serde_json::json!([]), &0.into()),
        "{again}"
    );
    for worker in ["deletions", "erasures", "journal"] {
        let _ = sandbox.line(&format!("worker run {worker} --once")).succeeded();
    }
    let _ = sandbox.line("audit verify").succeeded();
    assert_eq!(sandbox.json("journal status")["older"], serde_json::json!([]));
}

fn a_journal_that_is_missing_stops_deletions_until_it_is_adopted(sandbox: &Sandbox) {
    let sandbox = deployment(sandbox);
    let _ = sandbox.line(&format!("identityDeletion init --grace-period-in-days {}", GRACE.0)).succeeded();
    fs::remove_dir_all(sandbox.home().join("elsewhere")).unwrap();
    sleep(Duration::from_secs(GRACE.1));
    for worker in ["deletions", "erasures", "housekeeping", "reminders", "journal"] {
        let pass = sandbox.line(&format!("worker run {worker} --once"));
        let has_work = !["erasures", "reminders"].contains(&worker);
        assert_eq!(pass.code, if has_work { 70 } else { 0 }, "{worker}: {pass:?}");
    }
    assert!(!sandbox.home().join("elsewhere").exists(), "no journal is begun silently");
    let status = sandbox.line("journal status");
    assert!(status.stderr.contains("error.reprieve.journal.missing"), "{status:?}");
    assert_eq!(sandbox.json("journal adopt")["begun"], true);
    let _ = sandbox.line("worker run deletions --once").succeeded();
    let _ = sandbox.line("worker run erasures --once").succeeded();
    let status = sandbox.json("journal status");
    assert_eq!((&status["adoptions"].as_array().unwrap().len(), &status["processes"]), (&1, &1.into()));
}

fn a_command_warns_if_the_journal_cannot_be_written_and_is_done(sandbox: &Sandbox) {
    fs::write(sandbox.home().join("elsewhere"), "in the way").unwrap();
    let sandbox = deployment(sandbox);
    let initiated = sandbox.line("identityDeletion init --grace-period-in-days 1");
    assert_eq!((initiated.code, initiated.stdout.lines().next()), (0, Some("Identity deletion initiated")));
    assert!(initiated.stderr.contains("not in the journal yet"), "{initiated:?}");
    let cancelled = sandbox.line("identityDeletion cancel");
    assert_eq!((cancelled.code, cancelled.stdout.as_str()), (0, "Identity deletion cancelled\n"));
    assert!(cancelled.stderr.contains("error.reprieve.journal.unavailable"), "{cancelled:?}");
    fs::remove_file(sandbox.home().join("elsewhere")).unwrap();
    let kept = sandbox.json("worker run journal --once");
    assert_eq!(kept["journaled"], 1, "{kept}");
}
