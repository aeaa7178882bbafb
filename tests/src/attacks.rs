//! What hostile clients do to a service, for a time and as often as is said: tests do it in short, `tests/http-attacks` at length.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::http2::connect_from;
use crate::{Connection, Ended, Http2, Identity, Request, Service, Sql};

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
/// How many streams a connection uses, if it may; what is beyond is refused.
const STREAMS: usize = 128;

/// An address of this machine from which nobody else asks.
#[must_use]
pub fn another_peer(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, number).into()
}

/// What shut windows came to.
#[derive(Debug, Clone, Copy)]
pub struct ShutWindows {
    /// By how much memory grew at most, in bytes.
    pub grown: u64,
    /// After how long the last connection was closed; none if some were not.
    pub closed_after: Option<Duration>,
    /// How many connections were accepted and answered at all.
    pub begun: usize,
}

/// Asks for a document on every stream of so many connections and takes none of it.
///
/// # Panics
/// If the service cannot be reached.
#[must_use]
pub fn shut_windows(service: &Service, connections: usize, path: &str, patience: Duration) -> ShutWindows {
    let request = Request::get(path);
    let before = service.memory();
    let mut grown = 0;
    let mut open = Vec::new();
    for _ in 0..connections {
        // One that is turned away is as good as closed.
        let Ok(mut connection) = Http2::open(service.address(), 0) else { continue };
        let asked = connection.send_all(std::iter::repeat_n(&request, STREAMS));
        if asked.is_ok() && connection.wait_at_most(Duration::from_millis(1)).is_ok() {
            open.push(connection);
        }
    }
    let begun = open.len();
    let started = Instant::now();
    let mut closed_after = None;
    while started.elapsed() < patience {
        grown = grown.max(service.memory().saturating_sub(before));
        // Whoever reads answers pings and settings, too.
        open.retain_mut(still_open);
        if open.is_empty() {
            closed_after = Some(started.elapsed());
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    ShutWindows { grown, closed_after, begun }
}

/// Whether the other side has not closed it. What comes is read.
fn still_open(connection: &mut Http2) -> bool {
    loop {
        match connection.ended() {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(error) => {
                return matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            }
        }
    }
}

/// What others met while one peer held many connections.
#[derive(Debug, Clone, Copy)]
pub struct IdleConnections {
    /// How many connections that peer held at the beginning.
    pub held: usize,
    /// How many of them are still open after the time that an unused connection has.
    pub left: usize,
    /// The longest that another peer waited for a probe.
    pub probe: Duration,
    /// The longest that another peer waited for a cancellation.
    pub cancel: Duration,
}

/// Holds as many connections from one peer as are accepted up to `count`, each with one request and nothing but pings after it,
/// while another peer asks for probes and cancels.
///
/// # Panics
/// If the other peer is not served within a minute.
#[must_use]
pub fn idle_connections(service: &Service, count: usize, hold: Duration) -> IdleConnections {
    let (address, peer) = (service.address(), another_peer(2));
    let people = active_people(service, 0xd1e0_0000, 5);
    let probing = Request::get("/health/live");
    let mut open: Vec<Http2> = Vec::new();
    for _ in 0..count {
        let Ok(stream) = connect_from(peer, address) else { break };
        let Ok(mut connection) = Http2::begin(stream, 65_535) else { continue };
        if connection.send(&probing).is_ok() && connection.wait_at_most(Duration::from_millis(1)).is_ok() {
            open.push(connection);
        }
    }
    let begun = open.len();
    let (mut probe, mut cancel) = (Duration::ZERO, Duration::ZERO);
    for person in &people {
        let send = |request: &Request, expected: u16| {
            let started = Instant::now();
            let reply = Connection::open(address).unwrap().send(request).unwrap();
            assert_eq!(reply.status, expected, "{reply:?}");
            started.elapsed()
        };
        probe = probe.max(send(&probing, 200));
        cancel = cancel.max(send(&person.cancel, 200));
    }
    let started = Instant::now();
    while started.elapsed() < hold && !open.is_empty() {
        open.retain_mut(|connection| connection.ping().is_ok() && still_open(connection));
        thread::sleep(Duration::from_millis(50));
    }
    IdleConnections { held: begun, left: open.len(), probe, cancel }
}

/// Somebody with an Active process, and the request that cancels it.
pub struct Person {
    cancel: Request,
}

/// So many identities, each of which has asked to be deleted.
///
/// # Panics
/// If the service refuses that.
#[must_use]
pub fn active_people(service: &Service, first: u64, count: u64) -> Vec<Person> {
    let mut connection = service.connect();
    (first..first + count)
        .map(|number| {
            let token = Identity::new(number).token(service.url());
            let process = connection.send(&Request::post(SELF).bearer(&token)).unwrap().result(201);
            let path = format!("{SELF}/{}/Cancel", process["id"].as_str().unwrap());
            Person { cancel: Request::new("PUT", path).bearer(&token) }
        })
        .collect()
}

/// What a flood is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// Requests to be deleted, and for what was asked.
    Initiations,
    /// Cancellations of what does not exist.
    Cancellations,
}

/// What people met during a flood.
pub struct Flooded {
    /// How long each cancellation took that succeeded.
    pub times: Vec<Duration>,
    /// With which status the others were answered; none if the connection failed.
    pub failed: Vec<Option<u16>>,
    /// How many requests of the flood were answered.
    pub answered: u64,
}

impl Flooded {
    /// The time that this share of all cancellations took at most.
    ///
    /// # Panics
    /// If none succeeded.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        times[(times.len() * percent).div_ceil(100).clamp(1, times.len()) - 1]
    }
}

impl fmt::Display for Flooded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (succeeded, failed) = (self.times.len(), self.failed.len());
        write!(formatter, "{succeeded} of {} cancellations succeeded", succeeded + failed)?;
        if succeeded > 0 {
            let percentile = |percent| self.percentile(percent).as_millis();
            write!(formatter, ", p50 {} ms, p99 {} ms", percentile(50), percentile(99))?;
        }
        write!(formatter, "; failed: {:?}; the flood had {} answers", self.failed, self.answered)
    }
}

/// Has people cancel one after the other, each over a connection of their own, while one key pair asks as `identities` identities
/// that it has made up, over so many connections with every stream in use.
///
/// # Panics
/// If the service cannot be reached.
#[must_use]
pub fn made_up_identities(
    service: &Service,
    flood: Flood,
    connections: usize,
    identities: usize,
    people: &[Person],
) -> Flooded {
    let requests = requests(service, flood, identities);
    let (address, over, answered) = (service.address(), AtomicBool::new(false), AtomicU64::new(0));
    let (mut times, mut failed) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        for number in 0..connections {
            let (requests, over, answered) = (&requests, &over, &answered);
            scope.spawn(move || flood_over_one(address, number, requests, over, answered));
        }
        // Until it is under way.
        let begun = Instant::now();
        while answered.load(Ordering::Relaxed) < 500 && begun.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(10));
        }
        for person in people {
            let started = Instant::now();
            let reply = Connection::open(address).and_then(|mut connection| connection.send(&person.cancel));
            match reply {
                Ok(reply) if reply.status == 200 => times.push(started.elapsed()),
                Ok(reply) => failed.push(Some(reply.status)),
                Err(_) => failed.push(None),
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    Flooded { times, failed, answered: answered.into_inner() }
}

fn requests(service: &Service, flood: Flood, identities: usize) -> Vec<Request> {
    let key_pair = Identity::new(0xf100d);
    let token = |number| key_pair.at_host(&format!("made-up-{number}")).token(service.url());
    let cancel = || Request::new("PUT", format!("{SELF}/IDP0123456789abcdefg/Cancel"));
    (0..identities)
        .map(|number| match flood {
            Flood::Initiations if number % 2 == 0 => Request::post(SELF).bearer(&token(number)),
            Flood::Initiations => Request::get(SELF).bearer(&token(number)),
            Flood::Cancellations => cancel().bearer(&token(number)),
        })
        .collect()
}

/// Takes every connection that a PostgreSQL server gives. They are given back when this is dropped.
///
/// # Panics
/// If the server cannot be reached at all.
#[must_use]
pub fn every_connection(url: &str) -> Vec<Sql> {
    let mut taken = Vec::new();
    while let Ok(connection) = Sql::try_open(url) {
        taken.push(connection);
    }
    assert!(!taken.is_empty(), "the server gives no connection");
    taken
}

/// Keeps every stream in use until it is over, over further connections if one is closed.
fn flood_over_one(
    address: SocketAddr,
    number: usize,
    requests: &[Request],
    over: &AtomicBool,
    answered: &AtomicU64,
) {
    let mut next = number * 97;
    let mut request = || {
        next += 1;
        &requests[next % requests.len()]
    };
    while !over.load(Ordering::Relaxed) {
        let Ok(mut connection) = Http2::open(address, 65_535) else {
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let begun = connection.allowed_streams().and_then(|allowed| {
            // What is beyond costs the client as much as the service.
            (0..allowed.min(STREAMS)).try_for_each(|_| connection.send(request()).map(drop))
        });
        if begun.and_then(|()| connection.wait_at_most(Duration::from_secs(15))).is_err() {
            continue;
        }
        while !over.load(Ordering::Relaxed) {
            match connection.ended() {
                Ok(Some(Ended::Answered(..))) => {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Some(Ended::Reset(_))) => {}
                Ok(None) | Err(_) => break,
            }
            if connection.send(request()).is_err() {
                break;
            }
        }
    }
}
