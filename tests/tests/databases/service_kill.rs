//! `kill -9` of services under load. Their clients ask again, elsewhere or later, with the same idempotency key, until they
//! are answered; then everything that they were told is stored, once, and nothing else is.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use reprieve_tests::{Connection, Identity, Random, Reply, Request, Sandbox, Service, rounds};
use serde_json::Value;

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const PUBLIC_URL: &str = "https://reprieve.example.org";
/// As many clients share each identity, so that they are in each other's way as well.
const SHARING: u64 = 2;
const CLIENTS: u64 = 8;
const KILLS: usize = 20;
/// A request that is not answered for so long never will be.
const PATIENCE: Duration = Duration::from_secs(50);

/// Where the services listen, for clients that know all of them.
struct Fleet {
    addresses: Mutex<Vec<SocketAddr>>,
    /// How many steps were acknowledged.
    steps: AtomicUsize,
    /// How many of them only after asking again.
    after_asking_again: AtomicUsize,
    over: AtomicBool,
}

/// Which processes were acknowledged as initiated and as cancelled.
#[derive(Default)]
struct Acknowledged {
    initiated: Vec<String>,
    cancelled: Vec<String>,
}

struct Client<'a> {
    fleet: &'a Fleet,
    token: String,
    instance: usize,
    connection: Option<Connection>,
}

impl Client<'_> {
    /// The answer to a request that is sent until there is one.
    fn answer(&mut self, request: &Request) -> Reply {
        let request = request.clone().bearer(&self.token);
        let start = Instant::now();
        let mut asked_again = false;
        loop {
            match self.send(&request) {
                Some(reply) if reply.status < 500 => {
                    if asked_again && reply.status < 300 {
                        self.fleet.after_asking_again.fetch_add(1, Ordering::Relaxed);
                    }
                    return reply;
                }
                other => assert!(start.elapsed() < PATIENCE, "{request:?}: {other:?}"),
            }
            asked_again = true;
            self.connection = None;
            self.instance += 1;
            // A client that does not pause takes the processor from the service that it waits for.
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn send(&mut self, request: &Request) -> Option<Reply> {
        if self.connection.is_none() {
            let address = {
                let addresses = self.fleet.addresses.lock().unwrap();
                addresses[self.instance % addresses.len()]
            };
            self.connection = Connection::open(address).ok();
        }
        self.connection.as_mut()?.send(request).ok()
    }

    /// Initiates and cancels until the end.
    fn run(mut self, number: u64) -> Acknowledged {
        let mut acknowledged = Acknowledged::default();
        for round in 0.. {
            if self.fleet.over.load(Ordering::Relaxed) {
                break;
            }
            let key = |step| format!("\"client {number}, round {round}: {step}\"");
            let initiate = Request::post(SELF).header("Idempotency-Key", &key("initiate"));
            let reply = self.answer(&initiate);
            let id = if reply.status == 201 {
                let id = id_of(&reply.result(201));
                self.count(&mut acknowledged.initiated, &id);
                id
            } else {
                let _ =
                    reply.failed(400, "error.platform.validation.device.onlyOneActiveDeletionProcessAllowed");
                let all = self.answer(&Request::get(SELF)).result(200);
                let Some(open) = all.as_array().unwrap().iter().find(|one| one["status"] == "Active") else {
                    continue;
                };
                id_of(open)
            };
            let cancel = Request::new("PUT", format!("{SELF}/{id}/Cancel"));
            let reply = self.answer(&cancel.header("Idempotency-Key", &key("cancel")));
            if reply.status == 200 {
                self.count(&mut acknowledged.cancelled, &id);
            } else {
                let _ = reply
                    .failed(400, "error.platform.validation.device.deletionProcessIsNotInRequiredStatus");
            }
        }
        acknowledged
    }

    fn count(&self, steps: &mut Vec<String>, id: &str) {
        steps.push(id.to_owned());
        self.fleet.steps.fetch_add(1, Ordering::Relaxed);
    }
}

fn id_of(process: &Value) -> String {
    process["id"].as_str().unwrap().to_owned()
}

fn services_that_are_killed(sandbox: &Sandbox, instances: usize) {
    sandbox.configure(&format!(
        "http = {{public_url = '{PUBLIC_URL}', requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000}}"
    ));
    let mut services: Vec<Service> = (0..instances).map(|_| Service::start(sandbox)).collect();
    let fleet = Fleet {
        addresses: Mutex::new(services.iter().map(Service::address).collect()),
        steps: AtomicUsize::new(0),
        after_asking_again: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    };
    let acknowledged = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let token = Identity::new(number / SHARING).token(PUBLIC_URL);
                let instance = usize::try_from(number).unwrap();
                let client = Client { fleet: &fleet, token, instance, connection: None };
                scope.spawn(move || client.run(number))
            })
            .collect();
        let killed = thread::scope(|inner| inner.spawn(|| kill(sandbox, &mut services, &fleet)).join());
        fleet.over.store(true, Ordering::Relaxed);
        let acknowledged = clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>();
        killed.unwrap();
        acknowledged
    });
    println!(
        "{} steps, {} of them acknowledged only after asking again",
        fleet.steps.load(Ordering::Relaxed),
        fleet.after_asking_again.load(Ordering::Relaxed)
    );
    stored_is_what_was_acknowledged(sandbox, &acknowledged);
    for service in services {
        assert_eq!(service.stop().code, 0);
    }
    stored_is_what_was_acknowledged(sandbox, &acknowledged);
}

/// Kills one service after the other, each at a random moment while steps are taken, and starts another in its place.
fn kill(sandbox: &Sandbox, services: &mut Vec<Service>, fleet: &Fleet) {
    let mut random = Random::new();
    let mut sql = sandbox.sql();
    for _ in 0..rounds(KILLS) {
        let (before, start) = (fleet.steps.load(Ordering::Relaxed), Instant::now());
        while fleet.steps.load(Ordering::Relaxed) == before {
            assert!(start.elapsed() < PATIENCE, "no client comes on");
            thread::yield_now();
        }
        // Not to wait for anything: the moment is the point.
        thread::sleep(Duration::from_micros(random.below(400_000)));
        let victim = usize::try_from(random.below(services.len() as u64)).unwrap();
        services.swap_remove(victim).kill();
        let open_twice = sql.count(
            "(SELECT address FROM deletion_processes WHERE status NOT IN ('Cancelled', 'Deleted')
              GROUP BY address HAVING count(*) > 1) AS twice",
        );
        assert_eq!(open_twice, 0);
        services.push(Service::start(sandbox));
        *fleet.addresses.lock().unwrap() = services.iter().map(Service::address).collect();
    }
}

/// Each step that was acknowledged is there once, with its audit entry and its event, and there is nothing else.
fn stored_is_what_was_acknowledged(sandbox: &Sandbox, acknowledged: &[Acknowledged]) {
    let collect = |steps: fn(&Acknowledged) -> &Vec<String>| {
        let mut ids: Vec<&str> = acknowledged.iter().flat_map(steps).map(String::as_str).collect();
        ids.sort_unstable();
        ids
    };
    let (initiated, cancelled) = (collect(|by| &by.initiated), collect(|by| &by.cancelled));
    let mut sql = sandbox.sql();
    for (table, id, initiate, cancel) in [
        ("deletion_processes", "id", "revision >= 1", "status = 'Cancelled'"),
        ("audit_entries", "process_id", "message_key = 'StartedByOwner'", "message_key = 'CancelledByOwner'"),
        ("outbox", "process_id", "revision = 1", "revision = 2"),
    ] {
        for (condition, acknowledged) in [(initiate, &initiated), (cancel, &cancelled)] {
            let mut stored = sql.texts(&format!("SELECT {id} FROM {table} WHERE {condition}"));
            stored.sort_unstable();
            let lost: Vec<_> =
                acknowledged.iter().filter(|id| !stored.iter().any(|one| one == *id)).collect();
            let too_many: Vec<_> = stored.iter().filter(|id| !acknowledged.contains(&id.as_str())).collect();
            assert!(stored == *acknowledged, "{table}, {condition}: lost {lost:?}, too many {too_many:?}");
        }
    }
    let verified = sandbox.json("audit verify");
    let entries = initiated.len() + cancelled.len();
    assert_eq!((&verified["processes"], &verified["entries"]), (&initiated.len().into(), &entries.into()));
}

#[test]
fn a_service_that_is_killed_has_done_what_it_said_once_on_sqlite() {
    services_that_are_killed(&Sandbox::new(), 1);
}

#[test]
fn one_of_two_services_that_is_killed_has_done_what_it_said_once_on_sqlite() {
    services_that_are_killed(&Sandbox::new(), 2);
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn one_of_two_services_that_is_killed_has_done_what_it_said_once_on_postgres() {
    services_that_are_killed(&Sandbox::postgres(), 2);
}
