//! What is no database of ours, or no database at all: said clearly, and left as it is.

use std::fs;
use std::os::unix::fs::symlink;

use reprieve_tests::{Sandbox, reprieve_binary};

const UNAVAILABLE: &str = "error.reprieve.database.unavailable";
const CORRUPT: &str = "error.reprieve.database.corrupt";

const COMMANDS: [&str; 6] = [
    "identity status",
    "identityDeletion init",
    "identityDeletion cancel",
    "identityDeletion list",
    "audit verify",
    "database migrate",
];

/// Every command is refused with this code, and leaves every file as it is.
fn assert_refused(sandbox: &Sandbox, url: &str, code: &str) {
    let before = sandbox.files();
    for line in COMMANDS {
        let outcome = sandbox.run(line.split(' ').chain(["--database-url", url])).failed(70, code);
        assert!(!outcome.stderr.contains("hunter2"), "{outcome:?}");
        assert_eq!(sandbox.files(), before, "{line}");
    }
}

#[test]
fn a_file_that_cannot_be_made_or_is_none_is_refused() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.home().join("folder")).unwrap();
    fs::write(sandbox.home().join("file"), "").unwrap();
    symlink("nowhere/at/all", sandbox.home().join("link")).unwrap();
    symlink("loop", sandbox.home().join("loop")).unwrap();
    let long = format!("sqlite:{}", "x".repeat(300));
    for url in [
        "sqlite:.",
        "sqlite:folder",
        "sqlite:folder/",
        "sqlite:/",
        "sqlite:file/below.db",
        "sqlite:/proc/folder/a.db",
        "sqlite:loop",
        "sqlite:link",
        &long,
    ] {
        assert_refused(&sandbox, url, UNAVAILABLE);
    }
}

#[test]
fn what_is_no_regular_file_is_refused_and_nothing_put_beside_it() {
    let (sandbox, folder) = (Sandbox::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("folder")).unwrap();
    let pipe = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, pipe, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    symlink("/dev/null", path("device")).unwrap();
    let beside_the_device =
        || fs::exists("/dev/null-journal").unwrap() || fs::exists("/dev/null-wal").unwrap();
    assert!(!beside_the_device());
    for (name, reason) in [
        ("folder", "is a directory"),
        ("pipe", "is not a regular file"),
        ("socket", "is not a regular file"),
        ("device", "is not a regular file"),
        ("/dev/null", "is not a regular file"),
    ] {
        for mode in ["", "?mode=ro"] {
            let url = format!("sqlite:{}{mode}", path(name).display());
            assert_refused(&sandbox, &url, UNAVAILABLE);
            let outcome = sandbox.run(["identity", "status", "--database-url", &url]);
            assert!(outcome.stderr.contains(reason), "{outcome:?}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    assert!(!beside_the_device());
}

#[test]
fn a_file_that_is_no_database_is_refused_and_kept() {
    let sandbox = Sandbox::new();
    let garbage: Vec<u8> =
        (0..20_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(sandbox.home().join("garbage"), garbage).unwrap();
    fs::write(sandbox.home().join("text"), "Dear diary,\n".repeat(100)).unwrap();
    // The first bytes of one.
    fs::write(sandbox.home().join("header"), b"SQLite format 3\0").unwrap();
    for file in ["garbage", "text", "header"] {
        assert_refused(&sandbox, &format!("sqlite:{file}"), CORRUPT);
    }
    // A program is no database either, and must not become one.
    fs::copy(reprieve_binary(), sandbox.home().join("program")).unwrap();
    assert_refused(&sandbox, "sqlite:program", CORRUPT);
}

#[test]
fn a_database_that_was_cut_off_is_refused_and_kept() {
    let sandbox = Sandbox::new();
    let _ = sandbox.line("identityDeletion init").succeeded();
    let whole = fs::read(sandbox.database_file()).unwrap();
    for length in [100, 4095, 4096, 5000, whole.len() / 2, whole.len() - 4096] {
        fs::write(sandbox.database_file(), &whole[..length]).unwrap();
        for line in ["identity status", "identityDeletion init", "identityDeletion cancel", "audit verify"] {
            let _ = sandbox.line(line).failed(70, CORRUPT);
        }
        // SQLite may leave an empty log beside it, but not a byte in it.
        assert_eq!(
            fs::read(sandbox.database_file()).unwrap(),
            whole[..length],
            "{length} of {} bytes",
            whole.len()
        );
    }
    // Nothing was lost by looking.
    fs::write(sandbox.database_file(), whole).unwrap();
    assert_eq!(sandbox.json("audit verify")["entries"], 1);
}

#[test]
fn an_empty_file_becomes_a_database() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.home().join("empty.db"), "").unwrap();
    let status = sandbox.line("identity status --database-url sqlite:empty.db").succeeded();
    assert!(status.stdout.starts_with("Identity Address: "), "{status:?}");
}

#[test]
fn a_database_of_somebody_else_keeps_what_it_has() {
    let sandbox = Sandbox::new();
    let url = format!("sqlite:{}", sandbox.home().join("other.db").display());
    fs::write(sandbox.home().join("other.db"), "").unwrap();
    let mut sql = reprieve_tests::Sql::open(&url);
    sql.execute("CREATE TABLE books (title TEXT); INSERT INTO books VALUES ('Emma')");
    drop(sql);
    let _ = sandbox.run(["identityDeletion", "init", "--database-url", &url]).succeeded();
    assert_eq!(reprieve_tests::Sql::open(&url).texts("SELECT title FROM books"), ["Emma"]);
}

#[test]
fn a_database_of_somebody_else_with_a_table_of_the_same_name_is_refused_and_kept() {
    let sandbox = Sandbox::new();
    for (number, table) in
        ["outbox (a TEXT)", "audit_entries (a TEXT)", "seaql_migrations (a TEXT)"].iter().enumerate()
    {
        let url = format!("sqlite:{}", sandbox.home().join(format!("{number}.db")).display());
        fs::write(sandbox.home().join(format!("{number}.db")), "").unwrap();
        let mut sql = reprieve_tests::Sql::open(&url);
        sql.execute(&format!("CREATE TABLE {table}"));
        let schema = "SELECT sql FROM sqlite_master ORDER BY name";
        let before = sql.texts(schema);
        for line in COMMANDS {
            let _ = sandbox.run(line.split(' ').chain(["--database-url", &url])).failed(70, UNAVAILABLE);
        }
        assert_eq!(sql.texts(schema), before, "no table is left of a migration that failed");
    }
}

#[test]
fn a_server_that_is_not_there_is_not_waited_for_longer_than_configured() {
    let sandbox = Sandbox::new().with("REPRIEVE__DATABASE__TIMEOUT_IN_SECONDS", "0.2");
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for url in [
        format!("postgres://ada:hunter2@127.0.0.1:{port}/reprieve"),
        format!("postgres://ada@127.0.0.1:{port}/reprieve?password=hunter2"),
        "postgres://ada:hunter2@localhost/reprieve?host=/nowhere".to_owned(),
    ] {
        assert_refused(&sandbox, &url, UNAVAILABLE);
    }
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let sandbox = Sandbox::new().with("REPRIEVE__DATABASE__TIMEOUT_IN_SECONDS", "0.2");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_refused(&sandbox, &format!("postgres://ada:hunter2@127.0.0.1:{port}/reprieve"), UNAVAILABLE);
}

#[test]
fn a_server_that_speaks_something_else_is_refused() {
    use std::io::Write;
    let sandbox = Sandbox::new().with("REPRIEVE__DATABASE__TIMEOUT_IN_SECONDS", "0.5");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    assert_refused(&sandbox, &format!("postgres://ada:hunter2@127.0.0.1:{port}/reprieve"), UNAVAILABLE);
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_database_that_the_server_does_not_have_is_refused() {
    let sandbox = Sandbox::unmigrated_postgres();
    let url = sandbox.database_url();
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    assert_refused(&sandbox, &url.replace(name, "reprieve_test_of_nobody"), UNAVAILABLE);
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn on_postgres_tables_are_created_by_nobody_but_migrate() {
    let sandbox = Sandbox::unmigrated_postgres();
    for line in COMMANDS.iter().filter(|line| **line != "database migrate") {
        let outcome = sandbox.line(line).failed(70, "error.reprieve.database.notMigrated");
        assert!(outcome.stderr.contains("reprieve database migrate"), "{outcome:?}");
    }
    let tables = "pg_catalog.pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(sandbox.sql().count(tables), 0);
    assert!(sandbox.files().is_empty());
    let applied = sandbox.line("database migrate").succeeded().stdout;
    assert!(applied.starts_with("Applied m20"), "{applied}");
    assert_eq!(sandbox.line("database migrate").succeeded().stdout, "Database is up to date\n");
    let _ = sandbox.line("identity status").succeeded();
}
