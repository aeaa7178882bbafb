//! People who ask a service for their deletion and change their mind, in turn, and remember what they were told.

use std::fmt;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Connection, Identity, Reply, Request, Sandbox};

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const PUBLIC_URL: &str = "https://reprieve.example.org";

/// Takes one step after the other at a service, each process by an identity of its own.
pub struct Stepper {
    address: SocketAddr,
    connection: Option<Connection>,
    identity: u64,
    token: String,
    open: Option<String>,
    told: Told,
}

/// Which processes were acknowledged, as initiated and as cancelled.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Told {
    /// Initiated.
    pub initiated: Vec<String>,
    /// Cancelled.
    pub cancelled: Vec<String>,
}

/// A step that was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status; 0 if the connection ended.
    pub status: u16,
    /// The code, if there is one.
    pub code: String,
    /// How long the answer took.
    pub took: Duration,
}

impl Stepper {
    /// What they need in the configuration of a service, at its beginning.
    pub const TOML: &'static str = "http = {public_url = 'https://reprieve.example.org', \
        requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000}\n";

    /// The person with this number at the service that listens there.
    #[must_use]
    pub fn new(address: SocketAddr, number: u64) -> Self {
        let identity = number << 32;
        let token = Identity::new(identity).token(PUBLIC_URL);
        Self { address, connection: None, identity, token, open: None, told: Told::default() }
    }

    /// So many people.
    #[must_use]
    pub fn several(address: SocketAddr, count: u64) -> Vec<Self> {
        (0..count).map(|number| Self::new(address, number)).collect()
    }

    /// Goes on at another service.
    pub fn turn_to(&mut self, address: SocketAddr) {
        self.address = address;
        self.connection = None;
    }

    /// What was acknowledged.
    #[must_use]
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// Takes the next step, whichever it is.
    ///
    /// # Errors
    /// If it is not acknowledged.
    pub fn step(&mut self) -> Result<(), Refusal> {
        let start = Instant::now();
        let refused = |reply: Option<Reply>| Refusal {
            status: reply.as_ref().map_or(0, |reply| reply.status),
            code: reply.and_then(|reply| reply.code()).unwrap_or_default(),
            took: start.elapsed(),
        };
        loop {
            let request = match &self.open {
                None => Request::post(SELF),
                Some(id) => Request::new("PUT", format!("{SELF}/{id}/Cancel")),
            };
            match (self.send(&request), self.open.take()) {
                (Some(reply), None) if reply.status == 201 => {
                    let id = id_of(&reply.result(201));
                    self.told.initiated.push(id.clone());
                    self.open = Some(id);
                    return Ok(());
                }
                (Some(reply), Some(id)) if reply.status == 200 => {
                    self.told.cancelled.push(id);
                    self.next_identity();
                    return Ok(());
                }
                // It had been done, and nobody was told.
                (Some(reply), None) if reply.status == 400 => {
                    match self.send(&Request::get(SELF)) {
                        Some(all) if all.status == 200 => self.open = active(&all.result(200)),
                        other => return Err(refused(other)),
                    }
                    if self.open.is_none() {
                        return Err(refused(Some(reply)));
                    }
                }
                (Some(reply), Some(_)) if reply.status == 400 => self.next_identity(),
                // It is not known any more. Others may be luckier.
                (Some(reply), Some(_)) if reply.status == 404 => {
                    self.next_identity();
                    return Err(refused(Some(reply)));
                }
                (other, open) => {
                    self.open = open;
                    return Err(refused(other));
                }
            }
        }
    }

    /// Takes steps until one is acknowledged; returns how long that took.
    ///
    /// # Errors
    /// The last refusal, if none is within this time.
    pub fn until_acknowledged(&mut self, patience: Duration) -> Result<Duration, Refusal> {
        let start = Instant::now();
        loop {
            match self.step() {
                Ok(()) => return Ok(start.elapsed()),
                Err(refusal) if start.elapsed() > patience => return Err(refusal),
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Takes steps until so many of them are refused, or more than `most` are acknowledged.
    pub fn until_refused(&mut self, refusals: usize, most: usize) -> Vec<Refusal> {
        let (mut refused, mut acknowledged) = (Vec::new(), 0);
        while refused.len() < refusals && acknowledged <= most {
            match self.step() {
                Ok(()) => acknowledged += 1,
                Err(refusal) => refused.push(refusal),
            }
        }
        refused
    }

    fn next_identity(&mut self) {
        self.identity += 1;
        self.token = Identity::new(self.identity).token(PUBLIC_URL);
        self.open = None;
    }

    fn send(&mut self, request: &Request) -> Option<Reply> {
        if self.connection.is_none() {
            self.connection = Connection::open(self.address).ok();
        }
        let reply = self.connection.as_mut()?.send(&request.clone().bearer(&self.token)).ok();
        if reply.is_none() {
            self.connection = None;
        }
        reply
    }
}

impl Told {
    /// What all of them were told.
    #[must_use]
    pub fn together(people: &[Stepper]) -> Self {
        let mut all = Self::default();
        for person in people {
            all.initiated.extend_from_slice(&person.told.initiated);
            all.cancelled.extend_from_slice(&person.told.cancelled);
        }
        all
    }

    /// How many steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.initiated.len() + self.cancelled.len()
    }

    /// What of this is not stored, or not whole: in the words of a failed test, nothing if all is well.
    #[must_use]
    pub fn missing_in(&self, sandbox: &Sandbox) -> Vec<String> {
        self.compare(sandbox, false)
    }

    /// The same, and what is stored although nobody was told so.
    #[must_use]
    pub fn differs_from(&self, sandbox: &Sandbox) -> Vec<String> {
        self.compare(sandbox, true)
    }

    fn compare(&self, sandbox: &Sandbox, exactly: bool) -> Vec<String> {
        let mut sql = sandbox.sql();
        let mut found = Vec::new();
        for (table, id, initiate, cancel) in [
            ("deletion_processes", "id", "revision >= 1", "status = 'Cancelled'"),
            (
                "audit_entries",
                "process_id",
                "message_key = 'StartedByOwner'",
                "message_key = 'CancelledByOwner'",
            ),
            ("outbox", "process_id", "revision = 1", "revision = 2"),
        ] {
            for (condition, told) in [(initiate, &self.initiated), (cancel, &self.cancelled)] {
                let stored = sql.texts(&format!("SELECT {id} FROM {table} WHERE {condition}"));
                let lost = told.iter().filter(|id| !stored.contains(id)).count();
                let more = stored.iter().filter(|id| !told.contains(id)).count();
                if lost > 0 {
                    found.push(format!(
                        "lost: {lost} of {} acknowledged are not in {table} where {condition}",
                        told.len()
                    ));
                }
                if exactly && more > 0 {
                    found.push(format!("{more} in {table} where {condition} were never acknowledged"));
                }
            }
        }
        found
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let late = if self.took > Duration::from_secs(1) { "late " } else { "" };
        write!(formatter, "{late}{} {}", self.status, self.code)
    }
}

fn id_of(process: &Value) -> String {
    process["id"].as_str().unwrap().to_owned()
}

fn active(all: &Value) -> Option<String> {
    all.as_array()?.iter().find(|process| process["status"] == "Active").map(id_of)
}
