//! A commit wakes the workers: of the same process, and on PostgreSQL of other instances. Every interval here is an hour.

use std::thread::sleep;
use std::time::{Duration, Instant};

use reprieve_tests::{Answer, EraserService, Request, Sandbox, Service, on_both_databases};

on_both_databases!(a_commit_wakes_the_outbox_and_the_erasures_of_its_process);

const OWN: &str = "/api/core/v1/IdentityDeletionProcess";
/// What has not happened by then never will.
const PATIENCE: Duration = Duration::from_secs(30);
/// The backend that listens for an instance.
const LISTENER: &str = "pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";

/// With one sink, and the erasures an hour apart.
fn configured(
    sandbox: &Sandbox,
    receiver: &EraserService,
    keys: &str,
    intervals: &str,
    tables: &str,
) -> Sandbox {
    sandbox.configure(&format!(
        "http = {{requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000}}
        {keys}
        [workers]
        erasures_every_in_seconds = 3600
        {intervals}
        [events]
        allowed_private_hosts = ['127.0.0.1']
        [[events.sinks]]
        name = 'crm'
        type = 'webhook'
        secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
        url = 'http://{}/hooks'
        {tables}",
        receiver.address()
    ));
    sandbox.variant()
}

fn start(sandbox: &Sandbox, variables: &[(&str, &str)]) -> Service {
    Service::try_start(sandbox.command().envs(variables.iter().copied()).arg("start")).unwrap()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} does not come");
        sleep(Duration::from_millis(10));
    }
}

fn a_commit_wakes_the_outbox_and_the_erasures_of_its_process(sandbox: &Sandbox) {
    let receiver = EraserService::start(|_| Answer::Erased(0));
    let eraser = EraserService::start(|_| Answer::Erased(1));
    let keys = format!(
        "grace_period = {{minimum_in_days = 0.000001, default_in_days = 0.00003}}
        reminders = {{days_before = []}}
        journal.url = 'sqlite:{home}/journal'
        receipts.key_file = '{home}/receipt-key'",
        home = sandbox.home().display(),
    );
    let intervals = "outbox_every_in_seconds = 3600\ndeletions_every_in_seconds = 0.1";
    let sandbox = configured(sandbox, &receiver, &keys, intervals, &eraser.toml("files", 20.0));
    let service = start(&sandbox, &[]);
    let _ = service.send(&Request::post(OWN)).result(200);
    wait_until("a request", || receiver.asked().len() >= 2);
    // The start of the deletion wakes the erasures.
    wait_until("a request", || !eraser.asked().is_empty());
    wait_until("the end", || sandbox.sql().count("closed_processes") == 1);
    assert_eq!(service.stop().code, 0);
}

/// One instance takes requests and has no workers, the other one has workers.
fn two_instances(sandbox: &Sandbox) -> (Service, Service) {
    let with_workers = start(sandbox, &[]);
    let without = start(sandbox, &[("REPRIEVE__WORKERS__ENABLED", "false")]);
    (without, with_workers)
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_commit_wakes_another_instance_also_after_its_connection_was_lost() {
    let receiver = EraserService::start(|_| Answer::Erased(0));
    let sandbox = Sandbox::postgres();
    let sandbox = &configured(&sandbox, &receiver, "", "outbox_every_in_seconds = 3600", "");
    let (without, with_workers) = two_instances(sandbox);
    let mut sql = sandbox.sql();
    wait_until("the listener", || sql.count(LISTENER) == 1);
    let _ = without.send(&Request::post(OWN)).result(200);
    wait_until("a request", || receiver.asked().len() >= 2);

    let killed = sql.text(&format!("SELECT CAST(pid AS text) FROM {LISTENER}"));
    let _ = sql.text(&format!("SELECT CAST(pg_terminate_backend({killed}) AS text)"));
    wait_until("another listener", || sql.count(&format!("{LISTENER} AND pid <> {killed}")) == 1);
    let _ = without.send(&Request::new("DELETE", OWN)).result(200);
    wait_until("a request", || receiver.asked().len() >= 4);
    assert_eq!((without.stop().code, with_workers.stop().code), (0, 0));
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn behind_a_pooler_of_transactions_nothing_listens_and_the_interval_finds_the_work() {
    let receiver = EraserService::start(|_| Answer::Erased(0));
    let sandbox = Sandbox::postgres();
    let sandbox = &configured(&sandbox, &receiver, "", "outbox_every_in_seconds = 0.5", "")
        .with("REPRIEVE__DATABASE__POOLER", "transaction");
    let (without, with_workers) = two_instances(sandbox);
    let _ = without.send(&Request::post(OWN)).result(200);
    wait_until("a request", || receiver.asked().len() >= 2);
    assert_eq!(sandbox.sql().count(LISTENER), 0);
    assert_eq!((without.stop().code, with_workers.stop().code), (0, 0));
}
