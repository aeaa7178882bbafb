//! `reprieve deletions pause`: no instance starts or erases anything from then on, not after it was killed either, until
//! `reprieve deletions resume`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use reprieve_tests::{Answer, EraserService, Identity, Request, Sandbox, Service, on_both_databases};
use serde_json::json;

on_both_databases!(
    a_pause_stops_every_instance_within_one_pass_and_holds_after_they_were_killed,
    a_pass_of_a_paused_worker_is_refused_and_requests_are_not,
    a_pause_that_the_database_has_lost_is_in_force_until_it_is_resumed,
);

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
/// What has not happened by then never will.
const PATIENCE: Duration = Duration::from_secs(50);
/// Ten passes, and a request that was on its way.
const SOME_PASSES: Duration = Duration::from_secs(1);
const PUBLIC_URL: &str = "https://reprieve.example.org";
const DELETING: &str = "deletion_processes WHERE status = 'Deleting'";
const ACTIVE: &str = "deletion_processes WHERE status = 'Active'";

fn configured(sandbox: &Sandbox, eraser: &EraserService) -> Sandbox {
    sandbox.configure(&format!(
        "http = {{public_url = '{PUBLIC_URL}', requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000}}
        grace_period = {{minimum_in_days = 0.000001, default_in_days = 0.00001}}
        reminders.days_before = []
        erasure.first_retry_in_seconds = 0.1
        journal.url = 'sqlite:{home}/journal'
        receipts.key_file = '{home}/receipt-key'
        [workers]
        deletions_every_in_seconds = 0.1
        erasures_every_in_seconds = 0.1
        {eraser}",
        home = sandbox.home().display(),
        eraser = eraser.toml("files", 20.0)
    ));
    sandbox.variant()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} does not come");
        sleep(Duration::from_millis(10));
    }
}

fn three(sandbox: &Sandbox) -> Vec<Service> {
    (0..3).map(|_| Service::start(sandbox)).collect()
}

/// From now on ten more identities ask for their deletion.
fn ask(service: &Service, first: u64) {
    for number in first..first + 10 {
        let token = Identity::new(number).token(PUBLIC_URL);
        let _ = service.send(&Request::post(SELF).bearer(&token)).result(201);
    }
}

/// What has started and what an eraser was asked; nothing may be added while deletions are paused.
fn done(sandbox: &Sandbox, eraser: &EraserService) -> (u64, u64, usize) {
    let mut sql = sandbox.sql();
    let started = sql.count("audit_entries WHERE message_key = 'DeletionStarted'");
    (started, sql.count("closed_processes"), eraser.asked().len())
}

fn a_pause_stops_every_instance_within_one_pass_and_holds_after_they_were_killed(sandbox: &Sandbox) {
    // They work on it, so that there is always something to be asked.
    let eraser = EraserService::start(|_| Answer::Failed);
    let sandbox = configured(sandbox, &eraser);
    let services = three(&sandbox);
    ask(&services[0], 0);
    wait_until("a start", || sandbox.sql().count(DELETING) > 0 && !eraser.asked().is_empty());
    let out = sandbox.run(["deletions", "pause", "--reason", "photos are being moved"]).succeeded();
    assert!(out.stdout.starts_with("Deletions paused"), "{}", out.stdout);
    let started = sandbox.sql().count("audit_entries WHERE message_key = 'DeletionStarted'");
    // What was asked already comes to its end.
    sleep(Duration::from_millis(300));
    ask(&services[1], 10);
    let before = done(&sandbox, &eraser);
    assert_eq!(before.0, started);
    sleep(SOME_PASSES);
    assert_eq!(done(&sandbox, &eraser), before);

    for service in &services {
        let ready = service.send(&Request::get("/health/ready")).json();
        assert_eq!(ready["status"], "up");
        assert_eq!(ready["paused"]["reason"], "photos are being moved", "{ready}");
        let paused = json!({"worker": "deletions", "code": "error.reprieve.deletions.paused"});
        assert!(ready["workers"].as_array().unwrap().contains(&paused), "{ready}");
        assert!(service.send(&Request::get("/metrics")).body.contains("\nreprieve_deletions_paused 1\n"));
    }
    let shown = sandbox.json("deletions show");
    assert_eq!((&shown[0]["kind"], &shown[0]["reason"]), (&json!("pause"), &json!("photos are being moved")));

    services.into_iter().for_each(Service::kill);
    let services = three(&sandbox);
    ask(&services[2], 20);
    sleep(SOME_PASSES);
    assert_eq!(done(&sandbox, &eraser), before);
    drop(sandbox.line("audit verify").succeeded());

    eraser.will(|_| Answer::Erased(1));
    drop(sandbox.line("deletions resume").succeeded());
    wait_until("the end of all", || sandbox.sql().count("closed_processes") == 30);
    let ready = services[0].send(&Request::get("/health/ready")).json();
    assert_eq!(ready.get("paused"), None, "{ready}");
    drop(sandbox.line("audit verify").succeeded());
    for service in services {
        let ended = service.stop();
        assert_eq!(ended.code, 0);
        // Once, and not with each pass.
        let times = ended.stderr.matches("a worker pauses").count();
        assert!((1..=2).contains(&times), "{times}");
        assert!(!ended.stderr.contains("a pass ended early"), "{}", ended.stderr);
    }
}

fn a_pass_of_a_paused_worker_is_refused_and_requests_are_not(sandbox: &Sandbox) {
    let eraser = EraserService::start(|_| Answer::Erased(1));
    let sandbox = configured(sandbox, &eraser);
    drop(sandbox.run(["deletions", "pause", "--reason", "a drill"]).succeeded());
    drop(sandbox.line("identityDeletion init --grace-period-in-days 0.000001").succeeded());
    sleep(Duration::from_millis(200));
    for worker in ["deletions", "erasures"] {
        let failed = sandbox.line(&format!("worker run {worker} --once"));
        drop(failed.failed(1, "error.reprieve.deletions.paused"));
    }
    for worker in ["reminders", "outbox", "housekeeping"] {
        drop(sandbox.line(&format!("worker run {worker} --once")).succeeded());
    }
    assert_eq!(sandbox.sql().count(ACTIVE), 1);
    let out = sandbox.line("deletions resume").succeeded().stdout;
    assert!(out.starts_with("Deletions resumed; they were paused since "), "{out}");
    drop(sandbox.line("worker run deletions --once").succeeded());
    assert_eq!(sandbox.sql().count(DELETING), 1);
    assert_eq!(sandbox.line("deletions resume").succeeded().stdout, "Deletions are not paused\n");
}

fn a_pause_that_the_database_has_lost_is_in_force_until_it_is_resumed(sandbox: &Sandbox) {
    let eraser = EraserService::start(|_| Answer::Erased(1));
    let sandbox = configured(sandbox, &eraser);
    drop(sandbox.line("identityDeletion init --grace-period-in-days 0.000001").succeeded());
    drop(sandbox.run(["deletions", "pause", "--reason", "a drill"]).succeeded());
    let lose = || {
        for table in ["pause_record", "pause_changes"] {
            sandbox.sql().execute(&format!("DELETE FROM {table}"));
        }
    };
    lose();
    for worker in ["deletions", "erasures"] {
        let failed = sandbox.line(&format!("worker run {worker} --once"));
        drop(failed.failed(1, "error.reprieve.deletions.paused"));
    }
    assert_eq!(sandbox.sql().count(ACTIVE), 1);
    let broken = sandbox.line("audit verify").failed(1, "error.reprieve.audit.trailBroken").stderr;
    assert!(broken.contains("the journal has a pause of deletions that the database lacks"), "{broken}");
    let shown = sandbox.json("deletions show");
    assert_eq!((&shown[0]["state"], &shown[0]["reason"]), (&json!("lost"), &json!("a drill")));
    let checked = sandbox.line("check").stdout;
    assert!(checked.contains("as the journal has it, which the database lacks"), "{checked}");
    assert!(sandbox.line("journal replay --dry-run").succeeded().stdout.starts_with("Deletions are paused"));
    assert_eq!(sandbox.json("deletions show")[0]["state"], "lost");
    drop(sandbox.line("journal replay").succeeded());
    assert_eq!(sandbox.json("deletions show")[0]["state"], "paused");
    drop(sandbox.line("audit verify").succeeded());

    lose();
    let out = sandbox.line("deletions resume").succeeded().stdout;
    assert!(out.starts_with("Deletions resumed; they were paused since "), "{out}");
    drop(sandbox.line("audit verify").succeeded());
    drop(sandbox.line("worker run deletions --once").succeeded());
    assert_eq!(sandbox.sql().count(DELETING), 1);
}
