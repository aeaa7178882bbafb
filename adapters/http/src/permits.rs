//! How much is worked on at once, in all and for one peer, and what comes first.
//!
//! What lives here: permits. Requests have them in common, and no peer has more than its share. Cancellations have permits of their
//! own and wait for them in turn: one of a connection after the other, one connection of a peer after the other, one peer after
//! the other. So whatever is asked, and however much of it, a cancellation waits for a few others and is never turned away.
//! What does not: how often one identity may ask, which `limits` says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::http::Method;
use reprieve_application::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::peer::Peer;
use crate::refusal::Refusal;
use crate::server::{Handling, Origin};

/// How many cancellations are worked on at once, in all and for one peer.
const CANCELLATIONS: usize = 64;
const CANCELLATIONS_OF_PEER: usize = 16;
/// How many answers with metrics there are at once, in all and for one peer. Each is tens of kilobytes.
const METRICS: usize = 8;
const METRICS_OF_PEER: usize = 2;
/// How long the next cancellation of a connection waits after one for which there was nothing to be cancelled.
const FOR_NOTHING: Duration = Duration::from_millis(100);
/// How long a request waits for others of its peer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many peers are remembered before those are forgotten that have no permit.
const PEERS: usize = 1024;

/// The routes that cancel.
pub(crate) const CANCELLING: [(Method, &str); 2] = [
    (Method::PUT, "/api/v2/Identities/Self/DeletionProcesses/{id}/Cancel"),
    (Method::DELETE, "/api/core/v1/IdentityDeletionProcess"),
];

/// What may be worked on at once.
pub(crate) struct Permits {
    work: Lane,
    cancellations: Lane,
    metrics: Lane,
}

/// What lets a request be worked on until it is dropped.
pub(crate) struct Permit {
    _handling: Handling,
    _lane: [OwnedSemaphorePermit; 2],
    turn: Option<OwnedSemaphorePermit>,
}

impl Permit {
    /// Nothing was there to be cancelled: the next cancellation of the connection waits for a while, so that those who ask for
    /// nothing but that are in nobody's way.
    pub(crate) fn was_for_nothing(&mut self) {
        if let Some(turn) = self.turn.take() {
            tokio::spawn(async move {
                tokio::time::sleep(FOR_NOTHING).await;
                drop(turn);
            });
        }
    }
}

/// A permit beside an answer, which may take it along for as long as it is written.
#[derive(Clone)]
pub(crate) struct Kept(Arc<Mutex<Option<Permit>>>);

impl Kept {
    pub(crate) fn new(permit: Permit) -> Self {
        Self(Arc::new(Mutex::new(Some(permit))))
    }

    pub(crate) fn take(self) -> Option<Permit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct Lane {
    all: Arc<Semaphore>,
    of_peer: usize,
    by_peer: Mutex<HashMap<Peer, Weak<Semaphore>>>,
}

impl Permits {
    pub(crate) fn new(requests: usize, requests_of_peer: usize) -> Self {
        Self {
            work: Lane::new(requests, requests_of_peer),
            cancellations: Lane::new(CANCELLATIONS, CANCELLATIONS_OF_PEER),
            metrics: Lane::new(METRICS, METRICS_OF_PEER),
        }
    }

    /// For any request but those below.
    ///
    /// # Errors
    /// If its peer has its share for too long already, or if too much is worked on.
    pub(crate) async fn work(&self, origin: &Origin) -> Result<Permit, Refusal> {
        self.work.at_once(origin).await
    }

    /// For a request for metrics.
    pub(crate) async fn metrics(&self, origin: &Origin) -> Result<Permit, Refusal> {
        self.metrics.at_once(origin).await
    }

    /// For a cancellation, which waits for it for as long as the caller does.
    ///
    /// # Errors
    /// None, as long as the service runs.
    pub(crate) async fn cancel(&self, origin: &Origin) -> Result<Permit, Refusal> {
        let turn = match &origin.turns {
            None => None,
            Some(turns) => Some(turns.clone().acquire_owned().await.map_err(|_| overloaded())?),
        };
        let of_peer = self.cancellations.of(origin.peer);
        let of_peer = of_peer.acquire_owned().await.map_err(|_| overloaded())?;
        let of_all = self.cancellations.all.clone().acquire_owned().await.map_err(|_| overloaded())?;
        Ok(Permit { _handling: origin.pulse.handling(), _lane: [of_peer, of_all], turn })
    }
}

impl Lane {
    fn new(all: usize, of_peer: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_peer, by_peer: Mutex::default() }
    }

    /// A permit, if there is one without waiting for other peers.
    async fn at_once(&self, origin: &Origin) -> Result<Permit, Refusal> {
        let of_peer = tokio::time::timeout(PATIENCE, self.of(origin.peer).acquire_owned()).await;
        let Ok(Ok(of_peer)) = of_peer else {
            let message = "too many requests of this peer at the same time";
            return Err(Refusal::new(ErrorCode::TooManyRequests, message).after(1));
        };
        let of_all = self.all.clone().try_acquire_owned().map_err(|_| overloaded())?;
        Ok(Permit { _handling: origin.pulse.handling(), _lane: [of_peer, of_all], turn: None })
    }

    /// The share of a peer. Who has a permit of it, or waits for one, keeps it.
    fn of(&self, peer: Peer) -> Arc<Semaphore> {
        let mut by_peer = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = by_peer.get(&peer).and_then(Weak::upgrade) {
            return share;
        }
        if by_peer.len() >= PEERS {
            by_peer.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Semaphore::new(self.of_peer));
        by_peer.insert(peer, Arc::downgrade(&share));
        share
    }
}

fn overloaded() -> Refusal {
    Refusal::new(ErrorCode::Overloaded, "the service is overloaded").after(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Pulse;
    use std::net::Ipv4Addr;

    /// A connection of its own.
    fn origin(peer: u8) -> Origin {
        let peer = Peer::of(Ipv4Addr::new(192, 0, 2, peer).into());
        Origin { peer, pulse: Pulse::new(), turns: Some(Arc::new(Semaphore::new(1))) }
    }

    #[test]
    fn the_routes_that_cancel_are_those_that_the_documentation_has() {
        let document = serde_json::to_value(crate::document()).unwrap();
        for (method, route) in CANCELLING {
            let operation = &document["paths"][route][method.as_str().to_lowercase()]["operationId"];
            assert!(operation.as_str().is_some_and(|id| id.starts_with("cancel")), "{method} {route}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_peer_has_its_share_and_others_have_the_rest() {
        let permits = Permits::new(3, 2);
        let taken =
            (permits.work(&origin(1)).await.ok().unwrap(), permits.work(&origin(1)).await.ok().unwrap());
        assert_eq!(permits.work(&origin(1)).await.err().unwrap().code, ErrorCode::TooManyRequests);
        let of_another = permits.work(&origin(2)).await.ok().unwrap();
        assert_eq!(permits.work(&origin(3)).await.err().unwrap().code, ErrorCode::Overloaded);
        // Cancelling is another matter.
        assert!(permits.cancel(&origin(1)).await.is_ok());
        drop((taken, of_another));
        assert!(permits.work(&origin(1)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn cancellations_of_one_connection_wait_for_each_other_and_for_no_other_connection() {
        let permits = Permits::new(1, 1);
        let busy = origin(1);
        let first = permits.cancel(&busy).await.ok().unwrap();
        let second = tokio::time::timeout(Duration::from_hours(1), permits.cancel(&busy));
        assert!(second.await.is_err());
        assert!(permits.cancel(&origin(1)).await.is_ok());
        drop(first);
        assert!(permits.cancel(&busy).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_cancellation_of_nothing_the_next_one_of_the_connection_waits() {
        let permits = Permits::new(1, 1);
        let busy = origin(1);
        let mut first = permits.cancel(&busy).await.ok().unwrap();
        first.was_for_nothing();
        drop(first);
        let begun = tokio::time::Instant::now();
        assert!(permits.cancel(&origin(1)).await.is_ok());
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(permits.cancel(&busy).await.is_ok());
        assert_eq!(begun.elapsed(), FOR_NOTHING);
    }
}
