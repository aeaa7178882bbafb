//! Clients that do not wait for their answer, and requests that are not given the time they need: whatever is cut off when,
//! a step is stored entirely or not at all, and the service goes on.

use std::thread;
use std::time::Duration;

use reprieve_tests::{Identity, Random, Request, Sandbox, Service};

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const CLIENTS: u64 = 8;
const UNLIMITED: &str = "requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000";

/// Every step is a revision, an audit entry and an event, or nothing of these.
fn assert_consistent(sandbox: &Sandbox) {
    let mut sql = sandbox.sql();
    let steps = sql.count("audit_entries");
    assert_eq!(sql.count("outbox"), steps);
    let revisions = sql.text("SELECT CAST(coalesce(sum(revision), 0) AS TEXT) FROM deletion_processes");
    assert_eq!(revisions, steps.to_string());
    assert_eq!(sandbox.json("audit verify")["entries"], steps);
    println!("{steps} steps");
}

/// Initiates and cancels the open process, if the client can find out which that is.
fn steps(service: &Service, token: &str, mut send: impl FnMut(&Request)) {
    send(&Request::post(SELF).bearer(token));
    let processes = service.send(&Request::get(SELF).bearer(token));
    if processes.status != 200 {
        return;
    }
    for process in processes.result(200).as_array().unwrap() {
        if process["status"] == "Active" {
            let path = format!("{SELF}/{}/Cancel", process["id"].as_str().unwrap());
            send(&Request::new("PUT", path).bearer(token));
        }
    }
}

fn clients_that_hang_up_at_any_moment_stop_nobody(sandbox: &Sandbox) {
    let service = Service::configured(sandbox, &format!("http = {{{UNLIMITED}}}"));
    let mut random = Random::new();
    let moments: Vec<Vec<u64>> =
        (0..CLIENTS).map(|_| (0..60).map(|_| random.below(8000)).collect()).collect();
    thread::scope(|scope| {
        for (number, moments) in (0..).zip(moments) {
            let (service, token) = (&service, Identity::new(number).token(service.url()));
            scope.spawn(move || {
                for moment in moments {
                    steps(service, &token, |request| {
                        let mut connection = service.connect();
                        connection.only_write(request).unwrap();
                        // Not to wait for anything: the moment is the point.
                        thread::sleep(Duration::from_micros(moment));
                    });
                }
            });
        }
    });
    let token = Identity::new(CLIENTS).token(service.url());
    let _ = service.send(&Request::post(SELF).bearer(&token)).result(201);
    assert_eq!(service.stop().code, 0);
    assert_consistent(sandbox);
}

fn requests_that_run_out_of_time_at_any_moment_stop_nobody(sandbox: &Sandbox) {
    let toml = format!("http = {{request_timeout_in_seconds = 0.004, {UNLIMITED}}}");
    let service = Service::configured(sandbox, &toml);
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (service, token) = (&service, Identity::new(number).token(service.url()));
            scope.spawn(move || {
                for _ in 0..60 {
                    steps(service, &token, |request| {
                        let reply = service.send(request);
                        assert!(reply.status < 500 || reply.status == 503, "{reply:?}");
                    });
                }
            });
        }
    });
    // Sooner or later there is time enough, now that nobody else asks.
    let token = Identity::new(CLIENTS).token(service.url());
    let initiate = Request::post(SELF).bearer(&token);
    while service.send(&initiate).status == 503 {}
    assert_eq!(service.stop().code, 0);
    assert_consistent(sandbox);
}

reprieve_tests::on_both_databases!(
    clients_that_hang_up_at_any_moment_stop_nobody,
    requests_that_run_out_of_time_at_any_moment_stop_nobody,
);
