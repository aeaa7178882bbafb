//! Hostile clients, in short: whatever they do, cancellations in time are served, probes are answered, and memory stays what it
//! was. How long that takes depends on the machine, and `tests/http-attacks` measures it, at length.

use std::time::Duration;

use reprieve_tests::attacks::{
    Flood, active_people, every_connection, idle_connections, made_up_identities, shut_windows,
};
use reprieve_tests::{PrivatePostgres, Request, Sandbox, Service, Signal, on_both_databases};

on_both_databases!(
    made_up_identities_keep_nobody_from_cancelling,
    cancellations_of_nothing_keep_nobody_from_cancelling,
);

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const PEOPLE: u64 = 25;

fn flooded(sandbox: &Sandbox, flood: Flood) {
    let service = Service::start(sandbox);
    let people = active_people(&service, 0xa11ce, PEOPLE);
    let flooded = made_up_identities(&service, flood, 20, 400, &people);
    println!("{flooded}");
    assert!(flooded.failed.is_empty(), "{flooded}");
}

fn made_up_identities_keep_nobody_from_cancelling(sandbox: &Sandbox) {
    flooded(sandbox, Flood::Initiations);
}

fn cancellations_of_nothing_keep_nobody_from_cancelling(sandbox: &Sandbox) {
    flooded(sandbox, Flood::Cancellations);
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_server_without_a_connection_left_keeps_nobody_from_cancelling() {
    let server = PrivatePostgres::start();
    let sandbox = Sandbox::new().on(server.url());
    let _ = sandbox.line("database migrate").succeeded();
    let service = Service::start(&sandbox);
    let people = active_people(&service, 0xa11ce, PEOPLE);
    let taken = every_connection(&server.url());
    let flooded = made_up_identities(&service, Flood::Initiations, 20, 400, &people);
    println!("{flooded}");
    drop(taken);
    assert!(flooded.failed.is_empty(), "{flooded}");
}

#[test]
fn refusals_of_strangers_do_not_fill_the_log_and_are_counted() {
    let service = Service::alone(Sandbox::new(), "http = {self_signed_tokens = true}");
    let mut connection = service.connect();
    for _ in 0..3_000 {
        assert_eq!(connection.send(&Request::get(SELF)).unwrap().status, 401);
    }
    let metrics = connection.send(&Request::get("/metrics")).unwrap().body;
    let unlogged =
        metrics.lines().find_map(|line| line.strip_prefix("reprieve_http_unlogged_answers_total "));
    assert!(unlogged.unwrap().parse::<u32>().unwrap() > 1_000, "{unlogged:?}");
    let logged = service.stop().stderr;
    assert!(logged.len() < 400_000, "{} bytes", logged.len());
    assert!(logged.contains("error.platform.unauthorized"), "{logged}");
}

#[test]
fn signals_that_other_programs_take_for_news_end_nothing() {
    let service = Service::alone(Sandbox::new(), "");
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2] {
        service.signal(signal);
        assert_eq!(service.send(&Request::get("/health/live")).status, 200);
    }
    assert_eq!(service.stop().code, 0);
}

#[test]
fn health_and_metrics_can_have_a_listener_of_their_own() {
    let sandbox = Sandbox::new().with("REPRIEVE__HTTP__OPERATIONS_LISTEN", "127.0.0.1:0");
    let service = Service::alone(sandbox, "");
    let _ = service.send(&Request::get("/metrics")).failed(404, "error.connector.http.routeDoesNotExist");
    assert_eq!(service.send(&Request::get("/health/ready")).status, 200);
    let logged = service.stop().stderr;
    assert!(logged.contains("health and metrics are served"), "{logged}");
}

#[test]
fn shut_windows_cost_little_and_are_closed() {
    let service = Service::alone(Sandbox::new(), "");
    let shut = shut_windows(&service, 150, "/openapi.json", Duration::from_secs(40));
    println!("{shut:?}");
    assert!(shut.grown <= 64 * 1024 * 1024, "{shut:?}");
    assert!(shut.closed_after.is_some_and(|after| after <= Duration::from_secs(30)), "{shut:?}");
}

#[test]
fn idle_connections_of_one_peer_shut_nobody_out() {
    let service = Service::alone(Sandbox::new(), "");
    let idle = idle_connections(&service, 4096, Duration::from_secs(15));
    println!("{idle:?}");
    assert_eq!(idle.left, 0, "{idle:?}");
}
