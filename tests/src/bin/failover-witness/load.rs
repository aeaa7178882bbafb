//! Clients of the services, which initiate and cancel deletions and remember what they were told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use reprieve_tests::{Connection, Identity, Reply, Request};
use serde_json::Value;

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
/// Between two steps of a client.
const PACE: Duration = Duration::from_millis(50);
/// Between two attempts at one step.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a client waits for an answer before it hangs up and asks again, every other one the shorter time: both those who
/// wait and those who do not are served again.
const PATIENCE: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(15)];
/// How long a step is repeated after the end, if it was not answered.
const AFTER_THE_END: Duration = Duration::from_secs(45);
/// A token is valid for five minutes.
const RENEW_TOKEN_AFTER: Duration = Duration::from_mins(2);
/// Of each identity this many processes are initiated, and all but the last one cancelled.
const PROCESSES: u64 = 3;
/// More than one client ever needs.
const IDENTITIES: u64 = 1_000_000;

/// What kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Initiated,
    Cancelled,
}

/// A step that a client was told of, or may have taken without being told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) step: Step,
    /// Of the process; unknown if an initiation was never answered.
    pub(crate) id: Option<String>,
    pub(crate) address: String,
    pub(crate) at: Instant,
    /// How often it was asked for.
    pub(crate) attempts: u32,
}

/// What all clients of one service have seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) acknowledged: Vec<Told>,
    /// Those that were still not answered when the end was over.
    pub(crate) unanswered: Vec<Told>,
    /// Answers that nobody can be given who does what these clients do.
    pub(crate) surprises: Vec<String>,
    /// Of each client, when its newest step was acknowledged.
    latest: Vec<Option<Instant>>,
    /// What else was answered, or happened to the connection, and how often.
    pub(crate) failures: BTreeMap<String, u32>,
}

/// A service and its clients.
pub(crate) struct Service {
    name: String,
    number: u64,
    address: SocketAddr,
    seen: Mutex<Seen>,
}

/// All services, and whether it is over.
pub(crate) struct Load {
    services: Vec<Service>,
    clients: u64,
    public_url: String,
    over: AtomicBool,
    ended: Mutex<u64>,
}

impl Service {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What its clients have seen. They wait meanwhile.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }

    /// How many steps were acknowledged.
    pub(crate) fn steps(&self) -> usize {
        self.seen(|seen| seen.acknowledged.len())
    }

    /// When steps were acknowledged since then, in order.
    pub(crate) fn acknowledged_since(&self, instant: Instant) -> Vec<Instant> {
        // Nearly in order: clients take turns at writing down what they were told.
        let long_before = |told: &Told| told.at + Duration::from_secs(5) < instant;
        self.seen(|seen| {
            let recent = seen.acknowledged.iter().rev().take_while(|told| !long_before(told));
            let mut times: Vec<Instant> = recent.map(|told| told.at).filter(|at| *at >= instant).collect();
            times.sort_unstable();
            times
        })
    }

    /// Whether every client has taken a step since then.
    pub(crate) fn everybody_since(&self, instant: Instant) -> bool {
        self.seen(|seen| seen.latest.iter().all(|latest| latest.is_some_and(|latest| latest >= instant)))
    }
}

impl Load {
    pub(crate) fn new(services: &[(String, SocketAddr)], clients: u64, public_url: &str) -> Self {
        let service = |(number, (name, address)): (u64, &(String, SocketAddr))| {
            let latest = vec![None; usize::try_from(clients).unwrap()];
            let seen = Mutex::new(Seen { latest, ..Seen::default() });
            Service { name: name.clone(), number, address: *address, seen }
        };
        Self {
            services: (0..).zip(services).map(service).collect(),
            clients,
            public_url: public_url.to_owned(),
            over: AtomicBool::new(false),
            ended: Mutex::new(0),
        }
    }

    pub(crate) fn services(&self) -> &[Service] {
        &self.services
    }

    pub(crate) fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        for service in &self.services {
            for number in 0..self.clients {
                let patience = PATIENCE[usize::try_from(number % 2).unwrap()];
                let client =
                    Client { load: self, service, number, patience, connection: None, over_since: None };
                scope.spawn(move || client.run());
            }
        }
    }

    /// Waits until every client has taken a step since then; returns whether all have.
    pub(crate) fn wait_for_everybody_since(&self, instant: Instant, patience: Duration) -> bool {
        let start = Instant::now();
        loop {
            if self.services.iter().all(|service| service.everybody_since(instant)) {
                return true;
            }
            if start.elapsed() > patience {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until every client has ended, and has been answered before if it is answered at all.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        let clients = self.clients * u64::try_from(self.services.len()).unwrap();
        while *self.ended.lock().unwrap() < clients {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

struct Client<'a> {
    load: &'a Load,
    service: &'a Service,
    number: u64,
    patience: Duration,
    connection: Option<Connection>,
    over_since: Option<Instant>,
}

/// A client while it is one identity.
struct Visit {
    identity: Identity,
    token: String,
    signed: Instant,
}

impl Client<'_> {
    fn run(mut self) {
        let first = (self.service.number * self.load.clients + self.number) * IDENTITIES;
        for number in first.. {
            if !self.visit(number) {
                break;
            }
        }
        *self.load.ended.lock().unwrap() += 1;
    }

    /// Does all that is done as one identity; returns whether there is more to come.
    fn visit(&mut self, number: u64) -> bool {
        let identity = Identity::new(number);
        let mut visit =
            Visit { token: identity.token(&self.load.public_url), signed: Instant::now(), identity };
        for round in 0..PROCESSES {
            let initiate = Request::post(SELF).header("Idempotency-Key", &format!("\"{round}: initiate\""));
            let Some(id) = self.take(&mut visit, Step::Initiated, None, &initiate) else { break };
            if round + 1 < PROCESSES {
                let cancel = Request::new("PUT", format!("{SELF}/{id}/Cancel"))
                    .header("Idempotency-Key", &format!("\"{round}: cancel\""));
                if self.take(&mut visit, Step::Cancelled, Some(id), &cancel).is_none() {
                    break;
                }
            }
        }
        !self.load.over.load(Ordering::Relaxed)
    }

    /// Takes a step, however often it has to be asked for; returns the process if it was acknowledged.
    fn take(
        &mut self,
        visit: &mut Visit,
        step: Step,
        id: Option<String>,
        request: &Request,
    ) -> Option<String> {
        if self.load.over.load(Ordering::Relaxed) {
            return None;
        }
        thread::sleep(PACE);
        let (reply, attempts) = self.answer(visit, request);
        let at = Instant::now();
        let address = visit.identity.address().to_owned();
        let mut seen = self.service.seen.lock().unwrap();
        let Some(reply) = reply else {
            seen.unanswered.push(Told { step, id, address, at, attempts });
            return None;
        };
        let told = serde_json::from_str::<Value>(&reply.body).ok();
        let told = told.and_then(|told| Some(told["result"]["id"].as_str()?.to_owned()));
        let as_expected = match step {
            Step::Initiated => reply.status == 201 && told.is_some(),
            Step::Cancelled => reply.status == 200 && told == id,
        };
        if !as_expected {
            seen.surprises.push(format!("{step:?} {id:?} of {address} at attempt {attempts}: {reply:?}"));
            return None;
        }
        seen.latest[usize::try_from(self.number).unwrap()] = Some(at);
        seen.acknowledged.push(Told { step, id: told.clone(), address, at, attempts });
        told
    }

    /// The answer to a request that is sent until there is one, and how often it was sent.
    fn answer(&mut self, visit: &mut Visit, request: &Request) -> (Option<Reply>, u32) {
        for attempts in 1.. {
            if visit.signed.elapsed() > RENEW_TOKEN_AFTER {
                visit.token = visit.identity.token(&self.load.public_url);
                visit.signed = Instant::now();
            }
            let failure = match self.send(&request.clone().bearer(&visit.token)) {
                Ok(reply) if reply.status < 500 && reply.status != 429 => return (Some(reply), attempts),
                Ok(reply) => format!("{} {}", reply.status, reply.code().unwrap_or_default()),
                Err(error) => {
                    self.connection = None;
                    format!("no answer: {}", error.kind())
                }
            };
            *self.service.seen.lock().unwrap().failures.entry(failure).or_default() += 1;
            if self.load.over.load(Ordering::Relaxed) {
                let over_since = *self.over_since.get_or_insert_with(Instant::now);
                if over_since.elapsed() > AFTER_THE_END {
                    return (None, attempts);
                }
            }
            thread::sleep(PAUSE);
        }
        unreachable!("attempts do not run out");
    }

    fn send(&mut self, request: &Request) -> std::io::Result<Reply> {
        if self.connection.is_none() {
            let connection = Connection::open(self.service.address)?;
            connection.wait_at_most(self.patience)?;
            self.connection = Some(connection);
        }
        self.connection.as_mut().unwrap().send(request)
    }
}
