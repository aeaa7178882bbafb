//! How many connections there may be in all and of one peer, and which of them has to go when another one comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::pulse::Pulse;
use crate::peer::Peer;

/// The places that there are. An open connection has one.
pub(super) struct Places {
    most: usize,
    most_of_peer: usize,
    taken: Mutex<Taken>,
    left: Notify,
}

#[derive(Default)]
struct Taken {
    next: u64,
    by_number: HashMap<u64, (Peer, Arc<Pulse>)>,
    by_peer: HashMap<Peer, usize>,
}

/// Why a connection gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// Its peer has its share, and something is done on each of its connections.
    Share,
    /// All are taken, and something is done on each.
    Full,
}

/// A place, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Places {
    pub(super) fn new(most: usize, most_of_peer: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_peer, taken: Mutex::default(), left: Notify::new() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection of this peer. Where there is none, the connection goes that can best be done without: one of the
    /// same peer if that has its share, or else one of the peer that has most. So whoever holds many connections and does nothing
    /// with them holds them only until somebody else comes.
    pub(super) fn take(
        self: &Arc<Self>,
        peer: Peer,
        has_share: bool,
        pulse: &Arc<Pulse>,
    ) -> Result<Place, NoPlace> {
        let mut taken = self.taken();
        let of_peer = taken.by_peer.get(&peer).copied().unwrap_or_default();
        if has_share && of_peer >= self.most_of_peer && !taken.displace(|other| *other == peer) {
            return Err(NoPlace::Share);
        }
        if taken.by_number.len() >= self.most && !taken.displace(|_| true) {
            return Err(NoPlace::Full);
        }
        let number = taken.next;
        taken.next += 1;
        taken.by_number.insert(number, (peer, Arc::clone(pulse)));
        *taken.by_peer.entry(peer).or_default() += 1;
        Ok(Place { places: Arc::clone(self), number })
    }

    /// Gives up a connection that can be done without, if there is one.
    pub(super) fn make_room(&self) -> bool {
        self.taken().displace(|_| true)
    }

    /// When the next connection has ended.
    pub(super) async fn left(&self) {
        self.left.notified().await;
    }
}

impl Taken {
    /// Whether there was one to go among these peers.
    fn displace(&mut self, among: impl Fn(&Peer) -> bool) -> bool {
        let candidates = self.by_number.iter().filter(|(_, (peer, _))| among(peer));
        let worst = candidates
            .filter_map(|(number, (peer, pulse))| {
                let (is_open, quiet_since) = pulse.dispensable()?;
                let of_peer = self.by_peer.get(peer).copied().unwrap_or_default();
                Some(((std::cmp::Reverse(of_peer), is_open, quiet_since), *number))
            })
            .min();
        let Some((_, number)) = worst else { return false };
        if let Some(pulse) = self.remove(number) {
            pulse.displace();
        }
        true
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Pulse>> {
        let (peer, pulse) = self.by_number.remove(&number)?;
        if let Some(count) = self.by_peer.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&peer);
            }
        }
        Some(pulse)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(self.number);
        self.places.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn peer(number: u8) -> Peer {
        Peer::of(Ipv4Addr::new(192, 0, 2, number).into())
    }

    #[tokio::test]
    async fn the_longest_idle_connection_of_the_peer_with_most_goes_first() {
        let places = Places::new(3, 3);
        let pulses: Vec<_> = (0..5).map(|_| Pulse::new()).collect();
        let take = |of: u8, number: usize| places.take(peer(of), true, &pulses[number]);
        let _first = (take(1, 0).ok().unwrap(), take(2, 1).ok().unwrap(), take(2, 2).ok().unwrap());
        // It is the oldest of its peer, but it has a request open.
        let _open = pulses[1].begin();
        let _next = take(3, 3).ok().unwrap();
        let is_displaced = |number: usize| {
            !places.taken().by_number.values().any(|(_, pulse)| Arc::ptr_eq(pulse, &pulses[number]))
        };
        assert_eq!((0..4).map(is_displaced).collect::<Vec<_>>(), [false, false, true, false]);
        let working: Vec<_> = [0, 1, 3].map(|number| pulses[number].handling()).into();
        assert_eq!(take(4, 4).err(), Some(NoPlace::Full));
        drop(working);
        let _last = take(4, 4).ok().unwrap();
        assert!(is_displaced(0));
    }

    #[tokio::test]
    async fn a_peer_has_its_share_and_a_proxy_has_none() {
        let places = Places::new(10, 2);
        let pulses: Vec<_> = (0..4).map(|_| Pulse::new()).collect();
        let take = |number: usize, has_share| places.take(peer(1), has_share, &pulses[number]);
        let (_first, second) = (take(0, true).ok().unwrap(), take(1, true).ok().unwrap());
        let working: Vec<_> = [0, 1].map(|number| pulses[number].handling()).into();
        assert_eq!(take(2, true).err(), Some(NoPlace::Share));
        let proxy = take(2, false).ok().unwrap();
        drop((second, proxy));
        let _again = take(3, true).ok().unwrap();
        drop(working);
        assert_eq!(places.taken().by_peer[&peer(1)], 2);
    }
}
