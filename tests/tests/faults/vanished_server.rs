//! A PostgreSQL server that vanishes without a word: connections that nothing comes over any more, while new ones would work.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use reprieve_tests::{
    Connection, PrivatePostgres, Proxy, Request, Sandbox, Service, Stepper, TestDatabase, Told, drop_packets,
    on_a_network_of_its_own,
};
use tokio::runtime::Runtime;

use crate::two_faults::{Found, all_go_on, in_parallel, not_ready_soon};

/// From the moment it vanishes until everybody who asks is served again.
const AGAIN: Duration = Duration::from_secs(15);
/// A request has ten seconds by default; the rest is for a busy machine.
const ANSWERED: Duration = Duration::from_secs(12);
/// More than there are connections.
const PEOPLE: u64 = 16;

/// A way to a server, and a database on it that is reached over it.
pub(crate) struct Reached {
    pub(crate) proxy: Proxy,
    pub(crate) sandbox: Sandbox,
    _database: TestDatabase,
    _runtime: Runtime,
}

impl Reached {
    pub(crate) fn over_a_proxy(server: impl Into<String>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let proxy = runtime.block_on(Proxy::to(server));
        let through = format!("postgres://postgres@{}/postgres", proxy.address());
        let database = runtime.block_on(TestDatabase::postgres_on(&through));
        let sandbox = Sandbox::new().on(database.url());
        let _ = sandbox.line("database migrate").succeeded();
        sandbox.configure(Stepper::TOML);
        Self { proxy, sandbox, _database: database, _runtime: runtime }
    }
}

/// Asks for readiness again and again; returns the longest that an answer took.
pub(crate) fn longest_answer(service: &Service, over: &AtomicBool) -> Duration {
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        let _ = Connection::open(service.address()).unwrap().send(&Request::get("/health/ready"));
        longest = longest.max(start.elapsed());
        thread::sleep(Duration::from_millis(100));
    }
    longest
}

fn vanishes_twice(reached: &Reached, vanish: impl Fn(&Proxy)) {
    let Reached { proxy, sandbox, .. } = reached;
    let service = Service::start(sandbox);
    let mut people = Stepper::several(service.address(), PEOPLE);
    let mut found = Found::default();
    for round in 1..=2 {
        all_go_on(&mut people, 10);
        let connections = proxy.open_connections();
        vanish(proxy);
        let start = Instant::now();
        let over = AtomicBool::new(false);
        let (served, longest) = thread::scope(|scope| {
            let asking = scope.spawn(|| longest_answer(&service, &over));
            let served = in_parallel(&mut people, |person| {
                let mut longest = Duration::ZERO;
                loop {
                    match person.step() {
                        Ok(()) => return (Some(start.elapsed()), longest),
                        Err(refusal) => longest = longest.max(refusal.took),
                    }
                    if start.elapsed() > AGAIN {
                        return (None, longest);
                    }
                    thread::sleep(Duration::from_millis(50));
                }
            });
            over.store(true, Ordering::Relaxed);
            (served, asking.join().unwrap())
        });
        let first = served.iter().filter_map(|(after, _)| *after).min();
        let last = served.iter().map(|(after, _)| *after).max();
        let refused = served.iter().map(|(_, longest)| *longest).max();
        println!(
            "{round}: {connections} connections gone; served again: the first after {first:?}, the last after {last:?}; \
             the longest answer of a step {refused:?}, of readiness {longest:?}"
        );
        for (after, refused) in served {
            if after.is_none_or(|after| after > AGAIN) {
                found.push(format!("{round}: nobody serves after {AGAIN:?}"));
            }
            if refused > ANSWERED {
                found.push(format!("{round}: a step was answered only after more than {ANSWERED:?}"));
            }
        }
        if longest > ANSWERED {
            found.push(format!("{round}: readiness was answered only after more than {ANSWERED:?}"));
        }
        if first.is_none() {
            break;
        }
        found.extend(not_ready_soon(&service, 200).map(|seen| format!("after {round}: {seen}")));
        for refusal in in_parallel(&mut people, |person| person.until_refused(1, 6)).iter().flatten() {
            found.push(format!("after {round}, when it served again: {refusal}"));
        }
    }
    service.kill();
    found.extend(Told::together(&people).missing_in(sandbox));
    let _ = sandbox.line("audit verify").succeeded();
    found.assert_none();
}

/// What is sent is taken, and never answered.
#[test]
#[ignore = "needs the programs of PostgreSQL: tests/run"]
fn a_host_that_takes_what_it_is_sent_and_never_answers_is_given_up() {
    let server = PrivatePostgres::start();
    vanishes_twice(&Reached::over_a_proxy(server.address()), Proxy::abandon);
}

/// No packet arrives, and no acknowledgement of one.
#[test]
#[ignore = "needs the programs of PostgreSQL, nft and a network namespace: tests/run"]
fn a_host_whose_packets_are_lost_is_given_up() {
    let outside = || {
        let server = PrivatePostgres::start();
        let socket = server.socket();
        (server, socket)
    };
    let body = |socket: &Path| {
        let reached = Reached::over_a_proxy(socket.display().to_string());
        vanishes_twice(&reached, |proxy| drop_packets(proxy.address().port()));
    };
    on_a_network_of_its_own("vanished_server::a_host_whose_packets_are_lost_is_given_up", outside, body);
}
