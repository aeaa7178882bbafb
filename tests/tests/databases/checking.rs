//! `reprieve check`: what is broken on purpose is found, with a code and what to do about it, beside all that is not; and nothing
//! is made.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use reprieve_tests::{
    Answer, EraserService, FakeClock, Issuer, Outcome, PrivatePostgres, Request, Sandbox, Service, Sql,
    on_both_databases,
};
use serde_json::Value;

on_both_databases!(
    a_sound_deployment_is_ok_in_every_area_and_nothing_is_changed,
    a_wrong_key_or_none_is_found_and_hides_no_other_check,
    a_database_that_cannot_be_written_to_is_an_error_beside_all_other_checks,
    another_journal_or_none_or_a_damaged_one_is_found,
    a_database_that_lacks_what_its_journal_has_is_found_before_any_worker_runs,
    erasers_sinks_and_the_issuer_are_reached_and_asked_nothing,
    a_pause_is_found_until_deletions_are_resumed,
    a_limit_that_is_reached_is_found,
    stuck_erasures_and_parked_events_are_found,
    a_process_that_does_not_verify_is_found,
    files_that_others_can_read_are_found,
    the_service_starts_and_logs_what_is_wrong,
);

const AREAS: [&str; 11] = [
    "configuration",
    "database",
    "auditKey",
    "clocks",
    "journal",
    "deletions",
    "erasers",
    "receipts",
    "events",
    "authentication",
    "files",
];
const OTHER_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const WEBHOOK: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OWN: &str = "/api/core/v1/IdentityDeletionProcess";
/// Time-outs of the database included.
const IN_TIME: Duration = Duration::from_secs(30);

/// With a journal that was begun, and nothing wrong.
fn sound(sandbox: &Sandbox, more: &str) -> Sandbox {
    let sandbox = configured(sandbox, more);
    drop(sandbox.line("identityDeletion init").succeeded());
    drop(sandbox.line("identityDeletion cancel").succeeded());
    sandbox
}

fn configured(sandbox: &Sandbox, more: &str) -> Sandbox {
    sandbox.configure(&format!(
        "journal.url = 'sqlite:{home}/journal/journal.db'
        receipts.key_file = '{home}/receipt-key'
        erasure.without_erasers = true
        grace_period = {{minimum_in_days = 0.000001, default_in_days = 0.00005}}
        {more}",
        home = sandbox.home().display(),
    ));
    protect(&configuration_file(sandbox), 0o600);
    sandbox.variant()
}

fn configuration_file(sandbox: &Sandbox) -> PathBuf {
    sandbox.home().join(".config/reprieve/reprieve.toml")
}

fn protect(file: &PathBuf, mode: u32) {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

fn journal_url(sandbox: &Sandbox) -> String {
    format!("sqlite:{}/journal/journal.db", sandbox.home().display())
}

/// The document that `check` prints, whose form and exit code are what they always are.
fn checked(sandbox: &Sandbox) -> Value {
    let begun = Instant::now();
    let document = document(&sandbox.line("check --output json"));
    assert!(begun.elapsed() < IN_TIME, "{document}");
    document
}

fn document(outcome: &Outcome) -> Value {
    let document: Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    let members: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(members, ["status", "checks"]);
    let is_ok = document["status"] == "ok";
    let failed = outcome.stderr.contains("error.reprieve.check.failed");
    assert_eq!((outcome.code, failed), (i32::from(!is_ok), !is_ok), "{outcome:?}");
    let mut worst = "ok";
    for check in document["checks"].as_array().unwrap() {
        assert!(AREAS.contains(&check["area"].as_str().unwrap()), "{check}");
        assert!(check["message"].as_str().is_some_and(|message| !message.is_empty()), "{check}");
        let severity = check["severity"].as_str().unwrap();
        assert!(["ok", "warning", "error"].contains(&severity), "{check}");
        // What is wrong comes with what to do about it.
        assert_eq!(check["remedy"].is_string(), severity != "ok", "{check}");
        for member in check.as_object().unwrap().keys() {
            assert!(["area", "severity", "code", "message", "remedy"].contains(&member.as_str()), "{check}");
        }
        if severity == "error" || worst == "ok" {
            worst = severity;
        }
    }
    assert_eq!(document["status"], worst);
    document
}

/// What is not as it should be: the area, and the code or the beginning of what is said.
fn wrong(document: &Value) -> Vec<(String, String)> {
    let checks = document["checks"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    checks
        .filter(|check| check["severity"] != "ok")
        .map(|check| {
            let what = check.get("code").map_or("", |code| code.as_str().unwrap());
            (format!("{} {}", text(&check["severity"]), text(&check["area"])), what.to_owned())
        })
        .collect()
}

#[track_caller]
fn assert_wrong(document: &Value, expected: &[(&str, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(area, code)| ((*area).to_owned(), (*code).to_owned())).collect();
    assert_eq!(wrong(document), expected, "{document:#}");
}

fn areas(document: &Value) -> Vec<&str> {
    let mut areas: Vec<&str> =
        document["checks"].as_array().unwrap().iter().map(|check| check["area"].as_str().unwrap()).collect();
    areas.dedup();
    areas
}

/// `--ready` says nothing but by its exit code, and why not.
fn is_ready(sandbox: &Sandbox) -> bool {
    let begun = Instant::now();
    let outcome = sandbox.line("check --ready");
    assert!(begun.elapsed() < IN_TIME, "{outcome:?}");
    if outcome.code == 0 {
        drop(outcome.succeeded());
        return true;
    }
    drop(outcome.failed(1, "error.reprieve.check.failed"));
    false
}

/// All that is stored, but for the row that shows that something can be.
fn stored(sandbox: &Sandbox) -> String {
    let dump = sandbox.sql().dump();
    dump.lines().filter(|line| !line.contains("readiness")).collect()
}

fn names(sandbox: &Sandbox) -> Vec<PathBuf> {
    sandbox.files().into_keys().collect()
}

fn a_sound_deployment_is_ok_in_every_area_and_nothing_is_changed(sandbox: &Sandbox) {
    let sandbox = sound(sandbox, "");
    let before = (names(&sandbox), stored(&sandbox), Sql::open(&journal_url(&sandbox)).dump());
    let document = checked(&sandbox);
    assert_wrong(&document, &[]);
    assert_eq!(areas(&document), AREAS);
    assert!(is_ready(&sandbox));
    let text = sandbox.line("check").succeeded().stdout;
    assert_eq!(text.lines().count(), document["checks"].as_array().unwrap().len());
    assert!(text.lines().all(|line| line.starts_with("ok       ")), "{text}");
    assert_eq!(before, (names(&sandbox), stored(&sandbox), Sql::open(&journal_url(&sandbox)).dump()));
}

#[test]
fn before_the_first_command_there_is_nothing_and_nothing_is_made() {
    let sandbox = Sandbox::new();
    assert_wrong(&checked(&sandbox), &[("warning database", "")]);
    assert!(!is_ready(&sandbox));
    assert!(sandbox.files().is_empty());
    // Nor is a database made of an empty file.
    fs::create_dir_all(sandbox.database_file().parent().unwrap()).unwrap();
    fs::write(sandbox.database_file(), "").unwrap();
    protect(&sandbox.database_file(), 0o600);
    assert_wrong(&checked(&sandbox), &[("warning database", "")]);
    assert_eq!(fs::read(sandbox.database_file()).unwrap(), b"");
    let elsewhere = sandbox.variant().on(format!("sqlite:{}/x/y", sandbox.database_file().display()));
    let unavailable = ("error database".to_owned(), "error.reprieve.database.unavailable".to_owned());
    assert_eq!(wrong(&checked(&elsewhere))[0], unavailable);
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_database_without_tables_is_an_error_and_stays_one() {
    let sandbox = Sandbox::unmigrated_postgres();
    let not_migrated = ("error database", "error.reprieve.database.notMigrated");
    let document = checked(&configured(&sandbox, ""));
    let expected = [not_migrated, ("warning clocks", ""), ("warning journal", ""), ("warning deletions", "")];
    assert_wrong(&document, &expected);
    assert!(!is_ready(&sandbox));
    assert_eq!(sandbox.sql().count("information_schema.tables WHERE table_schema = 'public'"), 0);
    drop(sandbox.line("database migrate").succeeded());
    let before = (names(&sandbox), stored(&sandbox));
    assert_wrong(&checked(&sandbox), &[]);
    assert!(is_ready(&sandbox));
    // No key was made, and no journal.
    assert_eq!(before, (names(&sandbox), stored(&sandbox)));
    let keyed = sandbox.variant().with("REPRIEVE__AUDIT__KEY", OTHER_KEY);
    assert_wrong(&checked(&keyed), &[]);
    assert_eq!(before, (names(&sandbox), stored(&sandbox)));
    let unnamed = configured(&sandbox, "").with("REPRIEVE__ERASURE__WITHOUT_ERASERS", "false");
    fs::remove_file(configuration_file(&sandbox)).unwrap();
    assert_wrong(
        &checked(&unnamed),
        &[
            ("warning journal", "error.reprieve.journal.notNamed"),
            ("warning erasers", "error.reprieve.configuration.invalid"),
        ],
    );
}

#[test]
fn a_database_of_an_older_version_is_left_to_the_next_command() {
    let home = Sandbox::new();
    let sandbox = sound(&home, "");
    let mut sql = sandbox.sql();
    sql.execute("DELETE FROM seaql_migrations WHERE version LIKE '%limit'");
    let document = checked(&sandbox);
    assert_eq!(
        wrong(&document)[0],
        ("warning database".into(), "error.reprieve.database.notMigrated".into())
    );
    assert!(!is_ready(&sandbox));
    assert_eq!(sql.count("seaql_migrations WHERE version LIKE '%limit'"), 0);
    sql.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m30000101_000001_later', 0)");
    let newer = ("error database".into(), "error.reprieve.database.newerVersion".into());
    assert_eq!(wrong(&checked(&sandbox))[0], newer);
}

fn a_wrong_key_or_none_is_found_and_hides_no_other_check(sandbox: &Sandbox) {
    let sandbox = sound(sandbox, "");
    let shown = sandbox.json("config show");
    let file = PathBuf::from(shown["audit"]["key_file"].as_str().unwrap());
    let key = fs::read(&file).unwrap();
    let unusable = "error.reprieve.audit.keyUnusable";
    let expected = |code| {
        [("error auditKey", code), ("warning clocks", ""), ("warning journal", ""), ("warning deletions", "")]
    };
    let other = sandbox.variant().with("REPRIEVE__AUDIT__KEY", OTHER_KEY);
    assert_wrong(&checked(&other), &expected("error.reprieve.audit.keyMismatch"));
    assert!(!is_ready(&other));
    fs::write(&file, "no key").unwrap();
    assert_wrong(&checked(&sandbox), &expected(unusable));
    fs::remove_file(&file).unwrap();
    let document = checked(&sandbox);
    assert_wrong(&document, &expected(unusable));
    assert_eq!(areas(&document), AREAS);
    assert!(!is_ready(&sandbox) && !file.exists());
    fs::write(&file, key).unwrap();
    protect(&file, 0o600);
    assert_wrong(&checked(&sandbox), &[]);
    fs::write(sandbox.home().join("receipt-key"), "no key").unwrap();
    protect(&sandbox.home().join("receipt-key"), 0o600);
    assert_wrong(&checked(&sandbox), &[("warning receipts", "error.reprieve.receipt.keyUnusable")]);
    assert!(is_ready(&sandbox));
}

fn a_database_that_cannot_be_written_to_is_an_error_beside_all_other_checks(sandbox: &Sandbox) {
    let sandbox = sound(sandbox, "");
    let mut sql = sandbox.sql();
    let read_only = if sql.is_postgres() {
        let name = sql.text("SELECT current_database()::text");
        sql.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
        sandbox.variant()
    } else {
        sandbox.variant().on(format!("{}?mode=ro", sandbox.database_url()))
    };
    let document = checked(&read_only);
    assert_wrong(&document, &[("error database", "error.reprieve.database.readOnly")]);
    assert_eq!(areas(&document), AREAS);
    assert!(!is_ready(&read_only));
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_database_that_is_stopped_is_an_error_until_it_runs_again() {
    let server = PrivatePostgres::start();
    let sandbox = Sandbox::new().on(server.url());
    drop(sandbox.line("database migrate").succeeded());
    let sandbox = sound(&sandbox, "");
    server.stop_at_once();
    let document = checked(&sandbox);
    let unavailable = ("error database", "error.reprieve.database.unavailable");
    let expected = [unavailable, ("warning clocks", ""), ("warning journal", ""), ("warning deletions", "")];
    assert_wrong(&document, &expected);
    for area in ["erasers", "receipts", "events", "authentication", "files"] {
        assert!(areas(&document).contains(&area), "{document}");
    }
    assert!(!is_ready(&sandbox));
    server.start_again();
    assert_wrong(&checked(&sandbox), &[]);
    assert!(is_ready(&sandbox));
}

fn another_journal_or_none_or_a_damaged_one_is_found(sandbox: &Sandbox) {
    let sandbox = sound(sandbox, "");
    let home = Sandbox::new();
    let other = sound(&home, "");
    let with = |url: &str| checked(&sandbox.variant().with("REPRIEVE__JOURNAL__URL", url));
    let foreign = [("warning journal", "error.reprieve.journal.foreign")];
    assert_wrong(&with(&journal_url(&other)), &foreign);
    let nowhere = sandbox.home().join("nowhere/journal.db");
    let missing = [("warning journal", "error.reprieve.journal.missing")];
    assert_wrong(&with(&format!("sqlite:{}", nowhere.display())), &missing);
    assert!(!nowhere.parent().unwrap().exists());
    let unavailable = [("warning journal", "error.reprieve.journal.unavailable")];
    let in_a_file = configuration_file(&sandbox).join("journal.db");
    assert_wrong(&with(&format!("sqlite:{}", in_a_file.display())), &unavailable);
    if !sandbox.sql().is_postgres() {
        // One restore of the folder takes both.
        let folder = sandbox.database_file().parent().unwrap().to_owned();
        fs::copy(sandbox.home().join("journal/journal.db"), folder.join("journal.db")).unwrap();
        protect(&folder.join("journal.db"), 0o600);
        assert_wrong(&with(&format!("sqlite:{}/journal.db", folder.display())), &[("warning journal", "")]);
    }
    Sql::open(&journal_url(&sandbox)).execute("UPDATE journal_entries SET status = 'Deleted'");
    assert_wrong(&checked(&sandbox), &[("warning journal", "error.reprieve.journal.corrupt")]);
    assert!(is_ready(&sandbox));
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_journal_in_the_same_cluster_is_found_and_one_in_another_is_not() {
    let (sandbox, journal) = (Sandbox::postgres(), Sandbox::unmigrated_postgres());
    let elsewhere = PrivatePostgres::start();
    let with = |url: String| configured(&sandbox, "").with("REPRIEVE__JOURNAL__URL", url);
    let apart = with(elsewhere.url());
    drop(apart.line("identityDeletion init").succeeded());
    assert_wrong(&checked(&apart), &[]);
    let beside = with(journal.database_url());
    drop(beside.line("journal adopt").succeeded());
    assert_wrong(&checked(&beside), &[("warning journal", "")]);
    assert!(is_ready(&beside));
}

fn a_database_that_lacks_what_its_journal_has_is_found_before_any_worker_runs(sandbox: &Sandbox) {
    let sandbox = sound(sandbox, "");
    let mut sql = sandbox.sql();
    sql.drop_triggers();
    for table in ["deletion_processes", "audit_entries", "outbox", "unjournaled_steps"] {
        sql.execute(&format!("DELETE FROM {table}"));
    }
    let before = stored(&sandbox);
    assert_wrong(&checked(&sandbox), &[("warning journal", "error.reprieve.journal.databaseOlder")]);
    assert_eq!(stored(&sandbox), before);
}

#[test]
#[ignore = "needs libfaketime: tests/run"]
fn a_journal_that_is_behind_for_more_than_a_minute_is_found() {
    let home = Sandbox::new();
    let sandbox = sound(&home, "");
    let in_a_file = format!("sqlite:{}/journal.db", configuration_file(&sandbox).display());
    let cut_off = sandbox.variant().with("REPRIEVE__JOURNAL__URL", in_a_file);
    assert_eq!(cut_off.line("identityDeletion init").code, 0);
    assert_wrong(&checked(&sandbox), &[]);
    assert_wrong(&seen_at(&sandbox, 120), &[("warning journal", "")]);
    drop(sandbox.line("worker run journal --once").succeeded());
    assert_wrong(&seen_at(&sandbox, 120), &[]);
}

/// With the clock of this machine ahead by so many seconds.
fn seen_at(sandbox: &Sandbox, seconds: i64) -> Value {
    let clock = FakeClock::new();
    clock.set(seconds);
    let mut command = sandbox.command();
    document(&Outcome::of(clock.show_to(command.args(["check", "--output", "json"]))))
}

#[test]
#[ignore = "needs libfaketime: tests/run"]
fn a_clock_that_is_wrong_is_found_on_sqlite() {
    let home = Sandbox::new();
    let sandbox = sound(&home, "");
    assert_wrong(&seen_at(&sandbox, 49 * 3600), &[("warning clocks", "error.reprieve.clock.ahead")]);
    assert_wrong(&seen_at(&sandbox, -3600), &[("warning clocks", "error.reprieve.clock.behind")]);
    // Nothing was noted by that.
    assert_wrong(&checked(&sandbox), &[]);
}

#[test]
#[ignore = "needs PostgreSQL and libfaketime: tests/run"]
fn a_clock_that_is_wrong_is_found_on_postgres() {
    let home = Sandbox::postgres();
    let sandbox = sound(&home, "");
    for seconds in [3600, -3600] {
        assert_wrong(&seen_at(&sandbox, seconds), &[("warning clocks", "error.reprieve.clock.disagrees")]);
    }
    assert_wrong(&checked(&sandbox), &[]);
}

/// Where no server listens.
fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn webhook(address: SocketAddr) -> String {
    format!(
        "[[events.sinks]]\nname = 'crm'\ntype = 'webhook'\nurl = 'http://{address}/'\nsecret = '{WEBHOOK}'\n"
    )
}

const PRIVATE: &str = "events.allowed_private_hosts = ['127.0.0.1']\n";

fn issuer(keys: &str) -> String {
    format!("[http.issuer]\nname = 'https://issuer.example'\naudiences = ['a']\n{keys}\n")
}

fn erasers_sinks_and_the_issuer_are_reached_and_asked_nothing(sandbox: &Sandbox) {
    let service = EraserService::start(|_| Answer::Erased(1));
    let keys = sandbox.home().join("keys.json");
    fs::write(&keys, Issuer::new(1).key_set()).unwrap();
    let there = service.address();
    let issued = issuer(&format!("keys_file = '{}'", keys.display()));
    let up = format!("{PRIVATE}{}{}{issued}", service.toml("files", 20.0), webhook(there));
    let sandbox = sound(sandbox, &up);
    let document = checked(&sandbox);
    assert_wrong(&document, &[]);
    assert!(document.to_string().contains("files is reached"), "{document}");
    assert!(service.asked().is_empty());

    let down = closed_port();
    let eraser = reprieve_tests::eraser_toml(down, "files", 20.0);
    let issued = issuer(&format!("keys_url = 'http://{down}/keys'"));
    let sandbox = configured(&sandbox, &format!("{PRIVATE}{eraser}{}{issued}", webhook(down)));
    let document = checked(&sandbox);
    let expected = [("warning erasers", ""), ("warning events", ""), ("error authentication", "")];
    assert_wrong(&document, &expected);
    assert!(!document.to_string().contains("MfKQ9r8"), "{document}");
    // A cancellation could be stored all the same.
    assert!(is_ready(&sandbox));

    // What can never be made is found, too, and hides nothing.
    let invalid = "error.reprieve.configuration.invalid";
    let no_ca = format!("{}ca_file = '/nowhere'\n", webhook(there));
    let eraser = format!("{}ca_file = '/nowhere'\n", service.toml("files", 20.0));
    let sandbox = configured(&sandbox, &format!("{PRIVATE}{eraser}{no_ca}"));
    assert_wrong(&checked(&sandbox), &[("warning erasers", invalid), ("warning events", invalid)]);
}

fn a_pause_is_found_until_deletions_are_resumed(sandbox: &Sandbox) {
    let sandbox = sound(sandbox, "");
    drop(sandbox.run(["deletions", "pause", "--reason", "a drill"]).succeeded());
    let document = checked(&sandbox);
    assert_wrong(&document, &[("warning deletions", "error.reprieve.deletions.paused")]);
    assert!(is_ready(&sandbox));
    drop(sandbox.line("deletions resume").succeeded());
    assert_wrong(&checked(&sandbox), &[]);
}

/// The own identity asks for its deletion, and its end passes.
fn ripen(sandbox: &Sandbox) {
    drop(sandbox.line("identityDeletion init --grace-period-in-days 0.000001").succeeded());
    sleep(Duration::from_millis(200));
}

fn once(sandbox: &Sandbox, worker: &str) -> Outcome {
    sandbox.line(&format!("worker run {worker} --once"))
}

fn a_limit_that_is_reached_is_found(sandbox: &Sandbox) {
    let sandbox = sound(sandbox, "deletions.most_per_hour = 1");
    ripen(&sandbox);
    assert_wrong(&checked(&sandbox), &[]);
    for worker in ["deletions", "erasures"] {
        drop(once(&sandbox, worker).succeeded());
    }
    drop(sandbox.line("identity status"));
    ripen(&sandbox);
    drop(once(&sandbox, "deletions"));
    let document = checked(&sandbox);
    assert_wrong(&document, &[("warning deletions", "")]);
    assert!(
        document.to_string().contains("deletions.most_per_hour (1) is reached: 1 deletion "),
        "{document}"
    );
}

fn stuck_erasures_and_parked_events_are_found(sandbox: &Sandbox) {
    let service = EraserService::start(|_| Answer::Failed);
    let sandbox = sound(
        sandbox,
        &format!(
            "{PRIVATE}events.patience_in_days = 0\nerasure.patience_in_days = 0\n{}{}",
            service.toml("files", 20.0),
            webhook(service.address())
        ),
    );
    ripen(&sandbox);
    drop(once(&sandbox, "deletions").succeeded());
    drop(once(&sandbox, "erasures"));
    drop(once(&sandbox, "outbox"));
    let expected = [
        ("warning deletions", "error.reprieve.erasure.stuck"),
        ("warning events", "error.reprieve.events.parked"),
    ];
    assert_wrong(&checked(&sandbox), &expected);
}

fn a_process_that_does_not_verify_is_found(sandbox: &Sandbox) {
    let sandbox = sound(sandbox, "");
    drop(sandbox.line("identityDeletion init --grace-period-in-days 1").succeeded());
    let mut sql = sandbox.sql();
    sql.drop_triggers();
    sql.execute(
        "UPDATE deletion_processes SET grace_period_ends_at = created_at + 1 WHERE status = 'Active'",
    );
    drop(once(&sandbox, "deletions"));
    let wrong = wrong(&checked(&sandbox));
    let quarantined = ("warning deletions".to_owned(), "error.reprieve.audit.trailBroken".to_owned());
    assert!(wrong.contains(&quarantined), "{wrong:?}");
    assert!(is_ready(&sandbox));
}

fn files_that_others_can_read_are_found(sandbox: &Sandbox) {
    let service = EraserService::start(|_| Answer::Erased(1));
    let sandbox = sound(sandbox, &service.toml("files", 20.0));
    fs::write(sandbox.home().join("receipt-key"), OTHER_KEY).unwrap();
    let shown = sandbox.json("config show");
    let mut files = vec![
        PathBuf::from(shown["audit"]["key_file"].as_str().unwrap()),
        sandbox.home().join("receipt-key"),
        sandbox.home().join("journal/journal.db"),
        configuration_file(&sandbox),
    ];
    if !sandbox.sql().is_postgres() {
        files.push(sandbox.database_file());
    }
    for file in &files {
        protect(file, 0o600);
    }
    assert_wrong(&checked(&sandbox), &[]);
    for file in &files {
        for mode in [0o644, 0o640, 0o602] {
            protect(file, mode);
            let document = checked(&sandbox);
            assert_wrong(&document, &[("warning files", "")]);
            assert!(document.to_string().contains(&format!("chmod 600 {}", file.display())), "{document}");
        }
        protect(file, 0o600);
    }
    // A file without secrets may be read.
    let sandbox = configured(&sandbox, "");
    protect(&configuration_file(&sandbox), 0o644);
    assert_wrong(&checked(&sandbox), &[]);
}

#[test]
fn a_mistake_in_the_configuration_is_a_finding_that_names_the_key() {
    let sandbox = Sandbox::new().with("REPRIEVE__GRACE_PERIOD__DEFAULT_IN_DAYS", "x");
    let document = checked(&sandbox);
    assert_wrong(&document, &[("error configuration", "error.reprieve.configuration.invalid")]);
    assert!(document.to_string().contains("grace_period.default_in_days"), "{document}");
    assert!(!is_ready(&sandbox));
    assert!(sandbox.files().is_empty());
}

fn the_service_starts_and_logs_what_is_wrong(sandbox: &Sandbox) {
    let down = closed_port();
    let sink = format!("{}ca_file = '/nowhere'\n", webhook(down));
    let eraser = reprieve_tests::eraser_toml(down, "files", 20.0);
    let sandbox = sound(sandbox, &format!("{PRIVATE}{eraser}{sink}"));
    protect(&configuration_file(&sandbox), 0o644);
    let expected = [
        ("warning erasers", ""),
        ("warning events", "error.reprieve.configuration.invalid"),
        ("warning files", ""),
    ];
    assert_wrong(&checked(&sandbox), &expected);
    let service = Service::start(&sandbox);
    let _ = service.send(&Request::post(OWN)).result(200);
    let _ = service.send(&Request::new("DELETE", OWN)).result(200);
    let ready = service.send(&Request::get("/health/ready")).json();
    let unmade = serde_json::json!({"worker": "outbox", "code": "error.reprieve.configuration.invalid"});
    assert!(ready["workers"].as_array().unwrap().contains(&unmade), "{ready}");
    sleep(Duration::from_millis(500));
    let ended = service.stop();
    assert_eq!(ended.code, 0, "{ended:?}");
    for said in ["files is not reached: unreachable", "can be used by others than its owner", "'/nowhere'"] {
        let said = said.trim_matches('\'');
        assert!(ended.stderr.lines().any(|line| line.contains("WARN") && line.contains(said)), "{ended:?}");
    }
}
