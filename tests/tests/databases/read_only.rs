//! A database that cannot be written to: whoever only looks is answered, whoever would write is told so.

use std::fs;

use reprieve_tests::{Sandbox, make_read_only, on_a_small_disk};

const READ_ONLY: &str = "error.reprieve.database.readOnly";

const READ: [&str; 5] =
    ["identity status", "identityDeletion show", "identityDeletion list", "audit verify", "database migrate"];

fn answers(sandbox: &Sandbox) -> Vec<serde_json::Value> {
    READ.iter().map(|line| sandbox.json(line)).collect()
}

/// Reading is answered as before, writing is refused, and nothing changes. `switch` makes the database read-only, or
/// writable again.
fn only_reading_works(sandbox: &Sandbox, read_only: &Sandbox, switch: impl Fn(bool)) {
    let refuses = |line: &str| {
        let before = sandbox.sql().dump();
        switch(true);
        let _ = read_only.line(line).failed(70, READ_ONLY);
        switch(false);
        assert_eq!(sandbox.sql().dump(), before);
    };
    let _ = sandbox.line("identity status").succeeded();
    refuses("identityDeletion init");
    let _ = sandbox.line("identityDeletion init").succeeded();
    let expected = answers(sandbox);
    switch(true);
    assert_eq!(answers(read_only), expected);
    switch(false);
    refuses("identityDeletion cancel");
    let _ = sandbox.line("identityDeletion cancel").succeeded();
}

#[test]
#[ignore = "needs a mount namespace: tests/run"]
fn on_a_read_only_disk_reading_works_and_writing_does_not() {
    let name = "read_only::on_a_read_only_disk_reading_works_and_writing_does_not";
    on_a_small_disk(name, 1024, |disk| {
        let home = disk.join("home");
        fs::create_dir(&home).unwrap();
        let sandbox = Sandbox::at(home);
        let url = sandbox.database_url();
        for url in [url.clone(), format!("{url}?mode=ro")] {
            let read_only = sandbox.variant().on(url);
            only_reading_works(&sandbox, &read_only, |read_only| make_read_only(disk, read_only));
        }
    });
}

#[test]
#[ignore = "needs a mount namespace: tests/run"]
fn on_a_read_only_disk_a_log_that_cannot_be_read_is_not_overlooked() {
    let name = "read_only::on_a_read_only_disk_a_log_that_cannot_be_read_is_not_overlooked";
    on_a_small_disk(name, 1024, |disk| {
        let sandbox = Sandbox::new();
        let _ = sandbox.line("identity status").succeeded();
        // As long as somebody has it open, nobody folds the log into the file.
        let mut open = sandbox.sql();
        assert_eq!(open.count("outbox"), 0);
        let _ = sandbox.line("identityDeletion init").succeeded();
        for suffix in ["", "-wal", ".audit-key"] {
            let mut file = sandbox.database_file().into_os_string();
            file.push(suffix);
            fs::copy(file, disk.join(format!("copy.db{suffix}"))).unwrap();
        }
        drop(open);
        make_read_only(disk, true);
        let copy = Sandbox::at(disk).on(format!("sqlite:{}", disk.join("copy.db").display()));
        let _ = copy.line("identity status").failed(70, READ_ONLY);
    });
}

#[test]
fn with_mode_ro_reading_works_and_writing_does_not() {
    let sandbox = Sandbox::new();
    let read_only = sandbox.variant().on(format!("{}?mode=ro", sandbox.database_url()));
    only_reading_works(&sandbox, &read_only, |_| {});
}

#[test]
#[ignore = "needs a mount namespace: tests/run"]
fn on_a_read_only_disk_a_first_command_says_so_and_leaves_nothing() {
    let name = "read_only::on_a_read_only_disk_a_first_command_says_so_and_leaves_nothing";
    on_a_small_disk(name, 1024, |disk| {
        make_read_only(disk, true);
        for line in ["identity status", "identityDeletion init", "audit verify", "database migrate"] {
            let _ = Sandbox::at(disk).line(line).failed(70, READ_ONLY);
        }
    });
}

#[test]
fn with_mode_ro_a_database_that_is_not_there_is_not_created() {
    let sandbox = Sandbox::new();
    let read_only = sandbox.variant().on(format!("{}?mode=ro", sandbox.database_url()));
    for line in READ {
        let _ = read_only.line(line).failed(70, "error.reprieve.database.unavailable");
    }
    assert!(sandbox.files().is_empty());
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn in_sessions_that_only_read_reading_works_and_writing_does_not() {
    let sandbox = Sandbox::postgres();
    let name = sandbox.sql().text("SELECT current_database()::text");
    only_reading_works(&sandbox, &sandbox, |read_only| {
        let mut sql = sandbox.sql();
        sql.execute("SET default_transaction_read_only = off");
        sql.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = {read_only}"));
    });
}
