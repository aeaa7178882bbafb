//! How the service ends: what was begun is answered, whatever it is told to stop by.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use reprieve_tests::{Outcome, Request, Sandbox, Service, Stop, on_both_databases};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

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
        .filter(|name| !name.ends_with("-key"))
        .collect();
    assert_eq!(beside, ["reprieve.db"]);
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_database_that_has_fallen_silent_does_not_keep_the_service() {
    let sandbox = Sandbox::postgres();
    let way = Way::to(&sandbox.database_url());
    let there = sandbox.variant().on(way.url.clone());
    let toml = PATIENT.replace("shutdown_timeout_in_seconds = 600", "shutdown_timeout_in_seconds = 0.1");
    let service = Service::configured(&there, &toml);
    wait_until_it_asks_nothing(&service);
    way.is_silent.store(true, Ordering::Relaxed);
    let initiate = Request::post(OWN);
    let mut connection = service.connect();
    connection.only_write(&initiate).unwrap();
    while !way.was_asked.load(Ordering::Relaxed) {}

    let Outcome { code, stderr, .. } = service.stop();
    assert_eq!(code, 70, "{stderr}");
    assert!(stderr.contains("code 'error.reprieve.http.timedOut'"), "{stderr}");
    assert!(connection.send(&initiate).is_err());
}

/// Every service has something to do at its start, and connections to open.
fn wait_until_it_asks_nothing(service: &Service) {
    let measured = |name: &str| {
        let metrics = service.send(&Request::get("/metrics")).body;
        let value =
            metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        value.unwrap()
    };
    while measured("reprieve_database_connections_idle") != measured("reprieve_database_connections_open") {}
}

/// A way to a PostgreSQL server on which everything can get lost.
struct Way {
    /// Of a database behind it.
    url: String,
    is_silent: Arc<AtomicBool>,
    /// Somebody has asked since it is silent.
    was_asked: Arc<AtomicBool>,
}

impl Way {
    fn to(url: &str) -> Self {
        let server: PgConnectOptions = url.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = server.clone().host("127.0.0.1").port(listener.local_addr().unwrap().port());
        let way = Self {
            url: here.to_url_lossy().to_string(),
            is_silent: Arc::default(),
            was_asked: Arc::default(),
        };
        let (is_silent, was_asked) = (way.is_silent.clone(), way.was_asked.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), connect(&server));
                let (answers, questions) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                carry(questions, server, is_silent.clone(), was_asked.clone());
                carry(answers, client, is_silent.clone(), Arc::default());
            }
        });
        way
    }
}

fn connect(server: &PgConnectOptions) -> TcpStream {
    TcpStream::connect((server.get_host(), server.get_port())).unwrap()
}

/// Carries on whatever comes, until it gets lost.
fn carry(mut from: TcpStream, mut to: TcpStream, is_silent: Arc<AtomicBool>, was_asked: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if is_silent.load(Ordering::Relaxed) {
                was_asked.store(true, Ordering::Relaxed);
            } else if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
    });
}
