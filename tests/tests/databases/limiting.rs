//! `deletions.most_per_hour`: no more start than that, over all instances and to within a batch each, and the rest is shown.

use std::num::NonZeroU32;
use std::thread::sleep;
use std::time::{Duration, Instant};

use reprieve_tests::{Answer, EraserService, Identity, Request, Sandbox, Service, on_both_databases};
use serde_json::json;

on_both_databases!(
    three_instances_start_no_more_than_the_limit_allows_and_the_rest_is_shown,
    a_pass_says_what_the_limit_leaves_over,
);

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const PUBLIC_URL: &str = "https://reprieve.example.org";
/// What has not happened by then never will.
const PATIENCE: Duration = Duration::from_secs(50);
const STARTED: &str = "audit_entries WHERE message_key = 'DeletionStarted'";
const MOST: u32 = 5;
const ASKED: u64 = 25;

fn configured(sandbox: &Sandbox, eraser: &EraserService) -> Sandbox {
    sandbox.configure(&format!(
        "http = {{public_url = '{PUBLIC_URL}', requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000}}
        grace_period = {{minimum_in_days = 0.000001, default_in_days = 0.00001}}
        reminders.days_before = []
        deletions.most_per_hour = {most}
        journal.url = 'sqlite:{home}/journal'
        receipts.key_file = '{home}/receipt-key'
        [workers]
        deletions_every_in_seconds = 0.1
        erasures_every_in_seconds = 0.1
        {eraser}",
        most = NonZeroU32::new(MOST).unwrap(),
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

fn three_instances_start_no_more_than_the_limit_allows_and_the_rest_is_shown(sandbox: &Sandbox) {
    let eraser = EraserService::start(|_| Answer::Erased(1));
    let sandbox = configured(sandbox, &eraser);
    let services: Vec<Service> = (0..3).map(|_| Service::start(&sandbox)).collect();
    for number in 0..ASKED {
        let token = Identity::new(number).token(PUBLIC_URL);
        let _ = services[0].send(&Request::post(SELF).bearer(&token)).result(201);
    }
    wait_until("the end of what may start", || sandbox.sql().count("closed_processes") >= u64::from(MOST));
    // Ten passes of each.
    sleep(Duration::from_secs(1));
    let started = sandbox.sql().count(STARTED);
    // Each instance may have begun a batch at the same moment.
    assert!((u64::from(MOST)..=3 * u64::from(MOST)).contains(&started), "{started}");
    let left_over = ASKED - started;
    for service in services {
        let ready = service.send(&Request::get("/health/ready")).json();
        assert_eq!((&ready["status"], &ready["overLimit"]), (&json!("up"), &json!(left_over)), "{ready}");
        let metrics = service.send(&Request::get("/metrics")).body;
        assert!(metrics.contains(&format!("\nreprieve_deletions_over_limit {left_over}\n")), "{metrics}");
        let ended = service.stop();
        assert_eq!(ended.stderr.matches("deletions.most_per_hour is reached").count(), 1, "{}", ended.stderr);
    }
    assert_eq!(sandbox.sql().count(STARTED), started);
    drop(sandbox.line("audit verify").succeeded());
}

fn a_pass_says_what_the_limit_leaves_over(sandbox: &Sandbox) {
    let eraser = EraserService::start(|_| Answer::Erased(1));
    let sandbox = configured(sandbox, &eraser).with("REPRIEVE__WORKERS__ENABLED", "false");
    let service = Service::start(&sandbox);
    for number in 0..7 {
        let token = Identity::new(number).token(PUBLIC_URL);
        let _ = service.send(&Request::post(SELF).bearer(&token)).result(201);
    }
    sleep(Duration::from_secs(1));
    let unlimited = sandbox.variant().with("REPRIEVE__DELETIONS__MOST_PER_HOUR", "7");
    for (sandbox, started, over_limit) in [(&sandbox, 5, 2), (&sandbox, 0, 2), (&unlimited, 2, 0)] {
        let pass = sandbox.json("worker run deletions --once");
        let expected = json!({
            "worker": "deletions", "started": started, "leftAlone": 0, "failed": 0, "overLimit": over_limit,
        });
        assert_eq!(pass, expected);
    }
}
