//! `reprieve database backup`: whole, verified, and nothing left of it where it fails.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use reprieve_tests::{Identity, Outcome, Request, Sandbox, Service, on_a_small_disk};

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const PUBLIC_URL: &str = "https://reprieve.example.org";
const EXISTS: &str = "error.reprieve.backup.fileExists";
const FAILED: &str = "error.reprieve.backup.failed";

fn back_up(sandbox: &Sandbox, file: impl AsRef<Path>) -> Outcome {
    sandbox.run([Path::new("database"), Path::new("backup"), file.as_ref()])
}

/// The same keys, over the copy.
fn on_copy(sandbox: &Sandbox, copy: &Path) -> Sandbox {
    let key = sandbox.database_file().with_extension("audit-key");
    let key = if key.exists() { key } else { with_suffix(&sandbox.database_file(), ".audit-key") };
    sandbox.variant().on(format!("sqlite:{}?mode=ro", copy.display())).with("REPRIEVE__AUDIT__KEY_FILE", key)
}

fn with_suffix(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Clients initiate and cancel all the time, and note what was acknowledged.
#[test]
fn every_backup_of_a_running_service_has_each_step_that_was_acknowledged_before_it_began() {
    let sandbox = Sandbox::new();
    let toml = format!(
        "http = {{public_url = '{PUBLIC_URL}', requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000}}"
    );
    let service = Service::configured(&sandbox, &toml);
    let (over, acknowledged) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let copies = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for number in 0..4 {
            let (over, acknowledged, address) = (&over, &acknowledged, service.address());
            let token = Identity::new(number).token(PUBLIC_URL);
            scope.spawn(move || {
                let mut connection = reprieve_tests::Connection::open(address).unwrap();
                while !over.load(Ordering::Relaxed) {
                    let initiate = Request::post(SELF).bearer(&token);
                    let process = connection.send(&initiate).unwrap().result(201);
                    let id = process["id"].as_str().unwrap().to_owned();
                    acknowledged.lock().unwrap().push((id.clone(), 1));
                    let cancel = Request::new("PUT", format!("{SELF}/{id}/Cancel")).bearer(&token);
                    let _ = connection.send(&cancel).unwrap().result(200);
                    acknowledged.lock().unwrap().push((id, 2));
                }
            });
        }
        let stop = StopAtEnd(&over);
        for round in 0..20 {
            let before = acknowledged.lock().unwrap().clone();
            let copy = copies.path().join(format!("copy{round}.db"));
            let outcome = back_up(&sandbox, &copy).succeeded();
            assert!(outcome.stdout.starts_with("Backup written: "), "{outcome:?}");
            let on_it = on_copy(&sandbox, &copy);
            let mut sql = sandbox.variant().on(format!("sqlite:{}", copy.display())).sql();
            let steps: BTreeSet<String> =
                sql.texts("SELECT process_id || ' ' || sequence FROM audit_entries").into_iter().collect();
            let missing = before.iter().filter(|(id, step)| !steps.contains(&format!("{id} {step}"))).count();
            assert_eq!(missing, 0, "of {} steps in backup {round}", before.len());
            let verified = on_it.json("audit verify");
            assert_eq!(verified["entries"], steps.len());
            assert_eq!(sql.count("outbox"), steps.len() as u64);
        }
        drop(stop);
    });
    assert!(acknowledged.lock().unwrap().len() > 100);
    assert_eq!(names(copies.path()).len(), 20, "{:?}", names(copies.path()));
    let _ = service.stop();
}

/// So that a failure ends the clients too.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_backup_is_private_says_what_it_holds_and_can_be_used() {
    let sandbox = Sandbox::new();
    let active = sandbox.json("identityDeletion init");
    let copy = sandbox.home().join("a copy?.db");
    let outcome = sandbox.run(["database", "backup", "a copy?.db", "--output", "json"]).succeeded();
    let told: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let bytes = fs::metadata(&copy).unwrap().len();
    let expected = serde_json::json!({
        "file": "a copy?.db", "bytes": bytes, "verified": true, "processes": 1, "entries": 1
    });
    assert_eq!(told, expected);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    // As an operator would: the copy takes the place of the database.
    let _ = sandbox.line("identityDeletion cancel").succeeded();
    fs::rename(&copy, sandbox.database_file()).unwrap();
    assert_eq!(sandbox.json("identityDeletion show"), active);
    // What the copy lacks is known elsewhere, said and done again.
    let replayed = sandbox.line("journal replay");
    assert!(replayed.code == 0 && replayed.stderr.contains("olderThanJournal"), "{replayed:?}");
    assert_eq!(sandbox.json("audit verify")["entries"], 2);
}

#[test]
fn what_is_there_is_never_overwritten() {
    let sandbox = Sandbox::new();
    let _ = sandbox.line("identityDeletion init").succeeded();
    let home = sandbox.home();
    fs::write(home.join("file"), "mine").unwrap();
    fs::create_dir(home.join("folder")).unwrap();
    symlink("nowhere", home.join("link")).unwrap();
    fs::write(home.join("other.db-wal"), "somebody else's log").unwrap();
    let database = sandbox.database_file();
    let before = sandbox.files();
    for file in ["file", "folder", "link", "other.db"].map(|name| home.join(name)) {
        let _ = back_up(&sandbox, file).failed(1, EXISTS);
    }
    for own in [database.clone(), with_suffix(&database, "-wal"), with_suffix(&database, "-journal")] {
        let _ = back_up(&sandbox, own).failed(1, EXISTS);
    }
    assert_eq!(sandbox.files(), before);
}

#[test]
fn where_nothing_can_be_written_nothing_is_left() {
    let sandbox = Sandbox::new();
    let _ = sandbox.line("identityDeletion init").succeeded();
    let before = sandbox.files();
    let long = format!("{}.db", "x".repeat(300));
    for file in ["missing/copy.db", "/proc/copy.db", long.as_str()] {
        let _ = back_up(&sandbox, file).failed(70, FAILED);
    }
    assert_eq!(sandbox.files(), before);
}

#[test]
fn a_database_that_may_only_be_read_is_backed_up_and_one_that_is_not_there_is_not_created() {
    let sandbox = Sandbox::new();
    let _ = sandbox.line("identityDeletion init").succeeded();
    let before = fs::read(sandbox.database_file()).unwrap();
    let read_only = on_copy(&sandbox, &sandbox.database_file());
    let _ = back_up(&read_only, "copy.db").succeeded();
    assert_eq!(on_copy(&sandbox, &sandbox.home().join("copy.db")).json("audit verify")["entries"], 1);
    assert_eq!(fs::read(sandbox.database_file()).unwrap(), before);
    let other = Sandbox::new();
    let _ = back_up(&other, "copy.db").failed(70, "error.reprieve.database.unavailable");
    assert!(other.files().is_empty(), "{:?}", other.files());
}

/// What was changed in the database is in the copy as well, and would only be found when it is needed.
#[test]
fn a_copy_that_cannot_be_verified_is_none() {
    let sandbox = Sandbox::new();
    let _ = sandbox.line("identityDeletion init").succeeded();
    sandbox.sql().execute("UPDATE audit_entries SET message_key = 'x'");
    let before = names(sandbox.home());
    let _ = back_up(&sandbox, "copy.db").failed(1, "error.reprieve.audit.trailBroken");
    assert_eq!(names(sandbox.home()), before);
}

#[test]
#[ignore = "needs a mount namespace: tests/run"]
fn on_a_full_disk_no_half_of_a_backup_is_left() {
    let name = "backup::on_a_full_disk_no_half_of_a_backup_is_left";
    on_a_small_disk(name, 400, |disk| {
        let sandbox = Sandbox::new();
        let _ = sandbox.line("identityDeletion init").succeeded();
        let filler = disk.join("filler");
        let (mut failed, mut content) = (0, vec![0; 396 * 1024]);
        loop {
            fs::write(&filler, &content).unwrap();
            let outcome = back_up(&sandbox, disk.join("copy.db"));
            fs::remove_file(&filler).unwrap();
            if outcome.code == 0 {
                let _ = outcome.succeeded();
                break;
            }
            let _ = outcome.failed(70, FAILED);
            assert_eq!(names(disk), BTreeSet::new());
            failed += 1;
            content.truncate(content.len().checked_sub(4096).expect("there is room for a copy"));
        }
        assert!(failed > 5, "{failed}");
        assert_eq!(on_copy(&sandbox, &disk.join("copy.db")).json("audit verify")["entries"], 1);
    });
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn postgres_has_its_own_tools() {
    let sandbox = Sandbox::postgres();
    let outcome = back_up(&sandbox, "copy.db").failed(1, "error.reprieve.backup.notSupported");
    assert!(outcome.stderr.contains("pg_dump"), "{outcome:?}");
}
