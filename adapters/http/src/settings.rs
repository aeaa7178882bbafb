//! How much is taken on at once, and for how long.

use std::num::NonZeroU32;
use std::time::Duration;

/// The limits of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many requests are worked on at the same time; more are turned away, not queued.
    pub concurrent_requests: usize,
    /// How many connections are open at the same time; more wait to be accepted.
    pub connections: usize,
    /// How many requests a second one identity may make in the long run.
    pub requests_per_second: NonZeroU32,
    /// How many requests one identity may make at once.
    pub burst: NonZeroU32,
    /// The largest body of a request, in bytes.
    pub body_bytes: usize,
    /// How long a client may take to send the head of a request.
    pub header_timeout: Duration,
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
            connections: 4096,
            requests_per_second: NonZeroU32::MIN.saturating_add(9),
            burst: NonZeroU32::MIN.saturating_add(49),
            body_bytes: 16 * 1024,
            header_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(30),
            allowed_origins: Vec::new(),
            open_hosts: Vec::new(),
        }
    }
}
