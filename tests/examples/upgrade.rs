//! An older version keeps running while the database is migrated by this one: `tests/campaigns/upgrade`.
//!
//! From then on the older version starts no deletion, asks no eraser, and completes and forgets nothing, without an error; it
//! still serves cancellations. This version then does all that is due. The first argument is the older binary.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use reprieve_tests::{Answer, EraserService, Identity, Outcome, Request, Sandbox, Service};

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const PUBLIC_URL: &str = "https://reprieve.example.org";
/// How many deletions an eraser is at work on when the database is migrated.
const UNDER_WAY: u64 = 10;
/// How many grace periods end after that.
const RIPENING: u64 = 40;
/// How many processes were cancelled before, and are to be forgotten.
const CANCELLED: u64 = 10;
/// The grace period.
const GRACE: Duration = Duration::from_secs(15);

fn main() {
    let older = std::env::args().nth(1).expect("the older binary is the first argument");
    for (engine, sandbox) in [("SQLite", Sandbox::new()), ("PostgreSQL", Sandbox::unmigrated_postgres())] {
        println!("{engine}: {}", upgrade(Path::new(&older), &sandbox));
    }
}

/// The older binary, run as this one is.
fn older_command(older: &Path, sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let this = sandbox.command();
    let mut command = Command::new(older);
    command.args(arguments).env_clear().current_dir(sandbox.home());
    command.envs(this.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// Begins a process for this person; returns its id.
fn begun(service: &Service, person: u64) -> String {
    let request = Request::post(SELF).bearer(&Identity::new(person).token(PUBLIC_URL));
    service.send(&request).result(201)["id"].as_str().unwrap().to_owned()
}

fn cancelled(service: &Service, person: u64, id: &str) {
    let request = Request::new("PUT", format!("{SELF}/{id}/Cancel"));
    drop(service.send(&request.bearer(&Identity::new(person).token(PUBLIC_URL))).result(200));
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_mins(1), "{what}");
        sleep(Duration::from_millis(20));
    }
}

fn upgrade(older: &Path, sandbox: &Sandbox) -> String {
    let eraser = EraserService::start(|_| Answer::Working);
    sandbox.configure(&format!(
        "http = {{public_url = '{PUBLIC_URL}', requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000}}
        grace_period = {{minimum_in_days = 0.000001, default_in_days = {grace:.12}}}
        ledger.file = 'ledger'
        receipts.key_file = 'receipt-key'
        audit.key = '{key}'
        [housekeeping]
        cancelled_processes_in_days = 0.000139
        [workers]
        reminders_every_in_seconds = 0.2
        deletions_every_in_seconds = 0.2
        erasures_every_in_seconds = 0.2
        housekeeping_every_in_seconds = 0.2
        {eraser}",
        grace = GRACE.as_secs_f64() / 86_400.0,
        key = "0123456789abcdef".repeat(4),
        eraser = eraser.toml("files", 20.0)
    ));
    drop(Outcome::of(&mut older_command(older, sandbox, &["database", "migrate"])).succeeded());
    let old = Service::try_start(&mut older_command(older, sandbox, &["start"])).unwrap();
    let mut sql = sandbox.sql();

    // Deletions that an eraser is at work on, which the older version goes on asking about.
    for person in 0..UNDER_WAY {
        drop(begun(&old, person));
    }
    wait_until("no deletion is under way", || {
        sql.count("deletion_processes WHERE status = 'Deleting'") == UNDER_WAY
            && eraser.asked().len() as u64 >= UNDER_WAY
    });
    let people = UNDER_WAY..UNDER_WAY + RIPENING;
    let ripening: Vec<String> = people.clone().map(|person| begun(&old, person)).collect();
    let late_cancels = people.clone().zip(&ripening).filter(|(person, _)| person % 4 == 0);
    let late_cancels: Vec<(u64, String)> = late_cancels.map(|(person, id)| (person, id.clone())).collect();
    for person in people.end..people.end + CANCELLED {
        let id = begun(&old, person);
        cancelled(&old, person, &id);
    }

    // The eraser would acknowledge from now on, if it were asked.
    // An older version does not know the key.
    let journal = format!("sqlite:{}", sandbox.home().join("elsewhere/journal").display());
    let this = sandbox.variant().with("REPRIEVE__JOURNAL__URL", journal);
    drop(this.line("database migrate").succeeded());
    eraser.will(|_| Answer::Erased(1));
    let asked_before = eraser.asked().len();
    for (person, id) in &late_cancels {
        cancelled(&old, *person, id);
    }
    let left = RIPENING - late_cancels.len() as u64;
    sleep(GRACE + Duration::from_secs(5));
    let [active, deleting, stored_cancelled, deleted] = ["Active", "Deleting", "Cancelled", "Deleted"]
        .map(|status| sql.count(&format!("deletion_processes WHERE status = '{status}'")));
    let asked = eraser.asked().len() - asked_before;
    assert_eq!((active, deleting, deleted), (left, UNDER_WAY, 0));
    assert_eq!(stored_cancelled, CANCELLED + late_cancels.len() as u64, "something was forgotten");
    // A question that was on its way may have been answered.
    assert!(asked as u64 <= UNDER_WAY, "{asked} questions");
    assert_eq!(old.send(&Request::get("/health/live")).status, 200);

    // This version makes up for it, beside the older one.
    let new = Service::start(&this);
    wait_until("not everything that is due is done", || {
        sql.count("deletion_processes WHERE status IN ('Active', 'Deleting')") == 0
    });
    let told = old.stop();
    assert_eq!(told.code, 0, "{told:?}");
    let errors: Vec<&str> =
        told.stderr.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    drop(new.stop());
    drop(this.line("audit verify").succeeded());
    format!(
        "{left} due were left to this version, {UNDER_WAY} deletions were left where they were, {} cancelled by the older one",
        late_cancels.len()
    )
}
