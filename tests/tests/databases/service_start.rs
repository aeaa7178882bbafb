//! `reprieve start`: how it begins, and when it refuses to.

use std::fs;
use std::net::TcpListener;

use reprieve_tests::{Outcome, Request, Sandbox, Service, on_both_databases};

on_both_databases!(several_instances_work_side_by_side_on_one_database,);

const OWN: &str = "/api/core/v1/IdentityDeletionProcess";

fn start(sandbox: &Sandbox, listen: &str) -> Outcome {
    let mut command = sandbox.command();
    command.arg("start").env("REPRIEVE__HTTP__LISTEN", listen);
    let started = Service::try_start_as_configured(&mut command);
    match started {
        Ok(service) => panic!("it listens at {}", service.url()),
        Err(outcome) => outcome,
    }
}

/// Every address that somebody on this machine listens at with this port, as the kernel writes them.
fn listeners(port: u16) -> Vec<String> {
    let mut listeners = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // A kernel without IPv6 has no second table.
        for line in fs::read_to_string(table).unwrap_or_default().lines() {
            let mut fields = line.split_whitespace().skip(1);
            let (local, _, state) = (fields.next().unwrap(), fields.next(), fields.next());
            if state == Some("0A") && local.ends_with(&format!(":{port:04X}")) {
                listeners.push(local.to_owned());
            }
        }
    }
    listeners
}

#[test]
fn without_configuration_it_serves_whoever_is_on_this_machine_and_says_so() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.json("config show")["http"]["listen"], "127.0.0.1:8080");
    let service = Service::start(&sandbox);
    let port = service.address().port();
    assert_eq!(listeners(port), [format!("0100007F:{port:04X}")]);

    let initiated = service.send(&Request::post(OWN)).result(200);
    assert_eq!(sandbox.json("identityDeletion show")["id"], initiated["id"]);
    let cancelled = service.send(&Request::new("DELETE", OWN)).result(200);
    assert_eq!((&cancelled["id"], &cancelled["status"]), (&initiated["id"], &"Cancelled".into()));
    assert_eq!(sandbox.json("identityDeletion list")[0]["status"], "Cancelled");

    let url = service.url().to_owned();
    let outcome = service.stop();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(
        outcome.stdout,
        format!(
            "Listening on {url}\nNo authentication is configured: only programs on this machine can call.\n"
        )
    );
}

#[test]
fn what_it_says_can_be_read_by_a_program() {
    let sandbox = Sandbox::new();
    let started = Service::try_start(sandbox.command().args(["start", "--output", "json"])).unwrap();
    let mut outcome = { started }.stop();
    let said: serde_json::Value = serde_json::from_str(&std::mem::take(&mut outcome.stdout)).unwrap();
    assert_eq!((outcome.code, &said["open"]), (0, &true.into()));
    assert!(said["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{said}");
}

#[test]
fn no_web_page_can_call_a_service_without_authentication() {
    let service = Service::alone(Sandbox::new(), "");
    let port = service.address().port();
    let forbidden = "error.connector.forbidden";
    for request in [
        Request::post(OWN).header("Origin", "https://example.org"),
        Request::post(OWN).header("Origin", "null"),
        // A name that its owner lets point to this machine.
        Request::post(OWN).header("Host", &format!("rebind.example.org:{port}")),
        Request::post(OWN).header("Host", "127.0.0.1"),
    ] {
        let _ = service.send(&request).failed(403, forbidden);
    }
    let _ = service.send(&Request::post(OWN).header("Host", &format!("localhost:{port}"))).result(200);
}

#[test]
fn without_authentication_it_refuses_to_listen_to_other_machines() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let sandbox = Sandbox::new();
        let outcome = start(&sandbox, listen).failed(1, "error.reprieve.configuration.invalid");
        assert!(
            outcome.stderr.contains("key http.listen") && outcome.stderr.contains("without authentication")
        );
        assert!(sandbox.files().is_empty());
    }
    let with_a_key = Sandbox::new();
    let digest = "0".repeat(64);
    with_a_key.configure(&format!(
        "[http]\nlisten = '0.0.0.0:8080'\npublic_url = 'https://reprieve.example.org'\n\
         api_keys = [{{name = 'a', sha256 = '{digest}', scopes = ['core']}}]"
    ));
    let _ = with_a_key.line("config show").succeeded();
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let outcome = start(&Sandbox::new(), &listen);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (70, ""));
    let failure = outcome.stderr.lines().last().unwrap();
    assert!(
        failure.contains("code 'error.reprieve.system.failed'") && failure.contains(&listen),
        "{failure}"
    );
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_database_that_is_not_migrated_is_refused() {
    let sandbox = Sandbox::unmigrated_postgres();
    let outcome = start(&sandbox, "127.0.0.1:0");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (70, ""));
    assert!(outcome.stderr.contains("code 'error.reprieve.database.notMigrated'"), "{outcome:?}");
    assert!(outcome.stderr.contains("reprieve database migrate"), "{outcome:?}");
    assert_eq!(sandbox.sql().count("information_schema.tables WHERE table_schema = 'public'"), 0);

    let _ = sandbox.line("database migrate").succeeded();
    let service = Service::start(&sandbox);
    assert_eq!(service.send(&Request::get("/health/ready")).status, 200);
}

fn several_instances_work_side_by_side_on_one_database(sandbox: &Sandbox) {
    let (one, other) = (Service::start(sandbox), Service::start(sandbox));
    let initiated = one.send(&Request::post(OWN)).result(200);
    assert_eq!(other.send(&Request::get(OWN)).result(200), initiated);
    let exists = "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists";
    let _ = other.send(&Request::post(OWN)).failed(400, exists);
    let cancelled = other.send(&Request::new("DELETE", OWN)).result(200);
    assert_eq!(cancelled["id"], initiated["id"]);
    let none = "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess";
    let _ = one.send(&Request::new("DELETE", OWN)).failed(400, none);

    // One goes, the other stays.
    assert_eq!(one.stop().code, 0);
    let _ = other.send(&Request::post(OWN)).result(200);
    assert_eq!(sandbox.json("audit verify")["entries"], 3);
}
