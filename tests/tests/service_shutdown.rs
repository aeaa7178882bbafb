//! How the service ends: what was begun is answered, whatever it is told to stop by.

use reprieve_tests::{Outcome, Request, Sandbox, Service, Stop, on_both_databases};

on_both_databases!(
    a_request_that_runs_when_sigterm_comes_is_answered,
    a_request_that_runs_when_sigint_comes_is_answered,
);

const OWN: &str = "/api/core/v1/IdentityDeletionProcess";

/// Time enough for everything: what ends in these tests ends because something was done.
const PATIENT: &str = "http = {header_timeout_in_seconds = 600, request_timeout_in_seconds = 600, \
                       shutdown_timeout_in_seconds = 600}";

fn drains(sandbox: &Sandbox, stop: Stop) {
    let service = Service::configured(sandbox, PATIENT);
    let mut idle = service.connect();
    assert_eq!(idle.send(&Request::get("/health/live")).unwrap().status, 200);
    let _silent = service.connect();
    let slow = Request::post(OWN).json("{}");
    let mut connection = service.connect();
    connection.begin(&slow).unwrap();
    service.wait_for_requests(1);

    service.tell(stop);
    service.wait_until_closed();
    let initiated = connection.finish(&slow).unwrap();
    assert_eq!(initiated.result(200)["status"], "Active");
    let ended = service.wait();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(idle.send(&Request::get("/health/live")).is_err());
    assert_eq!(sandbox.json("identityDeletion show")["id"], initiated.result(200)["id"]);
}

fn a_request_that_runs_when_sigterm_comes_is_answered(sandbox: &Sandbox) {
    drains(sandbox, Stop::Terminate);
}

fn a_request_that_runs_when_sigint_comes_is_answered(sandbox: &Sandbox) {
    drains(sandbox, Stop::Interrupt);
}

#[test]
fn a_request_that_does_not_come_to_an_end_does_not_keep_the_service() {
    let sandbox = Sandbox::new();
    let toml = PATIENT.replace("shutdown_timeout_in_seconds = 600", "shutdown_timeout_in_seconds = 0.1");
    let service = Service::configured(&sandbox, &toml);
    let slow = Request::post(OWN).json("{}");
    let mut connection = service.connect();
    connection.begin(&slow).unwrap();
    service.wait_for_requests(1);

    let Outcome { code, stderr, .. } = service.stop();
    assert_eq!(code, 70, "{stderr}");
    assert!(stderr.contains("code 'error.reprieve.http.timedOut'"), "{stderr}");
    assert!(stderr.contains("http.shutdown_timeout_in_seconds"), "{stderr}");
    assert!(connection.finish(&slow).is_err());
    assert_eq!(sandbox.json("identityDeletion list"), serde_json::json!([]));
}

#[test]
fn a_service_that_ended_in_good_order_leaves_one_database_file() {
    let sandbox = Sandbox::new();
    let service = Service::start(&sandbox);
    let _ = service.send(&Request::post(OWN)).result(200);
    assert_eq!(service.stop().code, 0);
    let beside: Vec<_> = std::fs::read_dir(sandbox.database_file().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "reprieve.db.audit-key")
        .collect();
    assert_eq!(beside, ["reprieve.db"]);
}
