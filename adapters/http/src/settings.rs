//! How much is taken on at once, and for how long.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::Network;

/// The limits of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many requests are worked on at the same time; more are turned away, not queued.
    pub concurrent_requests: usize,
    /// How many of them are of one peer; more wait for these, and are turned away if that takes long.
    pub requests_per_peer: usize,
    /// How many connections are open at the same time. For another one, one goes on which nothing is done; more wait to be
    /// accepted.
    pub connections: usize,
    /// How many of them are of one peer.
    pub connections_per_peer: usize,
    /// The proxies that are believed when they say which peer a request is of.
    pub trusted_proxies: Vec<Network>,
    /// Whether health and metrics have a listener of their own; then this one has no metrics.
    pub operations_apart: bool,
    /// How many requests a second one identity may make in the long run.
    pub requests_per_second: NonZeroU32,
    /// How many requests one identity may make at once.
    pub burst: NonZeroU32,
    /// The hosts in the addresses of identities that may ask to be deleted; any, if none is named.
    pub identity_domains: Vec<String>,
    /// How many identities of one peer may ask for it a minute in the long run.
    pub initiations_per_minute: NonZeroU32,
    /// How many of them may ask at once.
    pub initiations_at_once: NonZeroU32,
    /// The largest body of a request, in bytes.
    pub body_bytes: usize,
    /// How long a client may take to send the head of a request, and do nothing between two requests.
    pub header_timeout: Duration,
    /// How long a client may take to read an answer.
    pub write_timeout: Duration,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long requests that run may take to finish once the service is told to stop.
    pub shutdown_timeout: Duration,
    /// Which origins a browser may call from; none unless set. Compared exactly.
    pub allowed_origins: Vec<String>,
    /// The hosts, with their ports, that a request may name while no authentication is configured.
    pub open_hosts: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrent_requests: 512,
            requests_per_peer: 64,
            connections: 4096,
            connections_per_peer: 1024,
            trusted_proxies: Vec::new(),
            operations_apart: false,
            requests_per_second: NonZeroU32::MIN.saturating_add(9),
            burst: NonZeroU32::MIN.saturating_add(49),
            identity_domains: Vec::new(),
            initiations_per_minute: NonZeroU32::MIN.saturating_add(599),
            initiations_at_once: NonZeroU32::MIN.saturating_add(999),
            body_bytes: 16 * 1024,
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(30),
            allowed_origins: Vec::new(),
            open_hosts: Vec::new(),
        }
    }
}
