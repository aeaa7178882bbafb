//! Telling the sinks what happened: at least once, each identity's events in their order.

mod pass;

use std::sync::Arc;
use std::time::Duration;

use self::pass::Pass;
use crate::StoreError;
use crate::backoff::{Backoff, after};
use crate::ports::{Clock, EventDeliveries, EventSink, Ids};

/// How sinks are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelaySettings {
    /// How long a sink is one worker's alone, unless he says that he is still at it. More than twice as long as any sink may
    /// take for an event.
    pub lease: Duration,
    /// When an event that was not delivered, or a sink that nothing can be delivered to, is tried again; and after how long
    /// an event is parked instead.
    pub backoff: Backoff,
}

impl Default for RelaySettings {
    /// One minute; one second, one hour, three days.
    fn default() -> Self {
        Self {
            lease: Duration::from_mins(1),
            backoff: Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_hours(1),
                patience: Duration::from_hours(72),
            },
        }
    }
}

/// How much a sink is told at once of what has just happened. Telling takes from whoever takes the steps what it needs of the
/// store and the processors, and a burst of steps is over sooner than anybody has to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many events a pass reads.
    pub at_once: u64,
    /// From this age on events are told as fast as the sink takes them.
    pub hurry_after: Duration,
}

/// Tells a sink of the events that wait for it.
///
/// Whoever does so has claimed the sink. It is told of many events at once, but never of two of one identity: the second
/// waits for the first. An event that is refused is set aside, with all later ones of its identity behind it, and tried
/// again later and later; one that was in vain for too long is parked, and holds up nothing any more. If nothing can be
/// delivered at all, the sink as a whole is left alone for a while, and everything that was not tried yet stays where it is.
///
/// What was delivered is stored after the fact. Whoever takes over after a crash tells the sink some events again.
pub struct RelayEvents {
    deliveries: Arc<dyn EventDeliveries>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    settings: RelaySettings,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relayed {
    /// How many events were delivered.
    pub delivered: u64,
    /// How often an event was refused.
    pub refused: u64,
    /// How many events were parked.
    pub parked: u64,
    /// Whether nothing can be delivered to the sink now.
    pub is_failing: bool,
    /// Whether somebody else has taken the sink over.
    pub is_overtaken: bool,
    /// What it leaves to the next one.
    pub rest: Rest,
}

/// What a pass leaves to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rest {
    /// Nothing that it knows of and that can be delivered now.
    #[default]
    Nothing,
    /// There may be more: it has gone on for long.
    More,
    /// There may be more that has happened only just: it has told as much of that as its pace allows.
    Recent,
}

impl RelayEvents {
    /// With its ports.
    #[must_use]
    pub fn new(
        deliveries: Arc<dyn EventDeliveries>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        settings: RelaySettings,
    ) -> Self {
        Self { deliveries, clock, ids, settings }
    }

    /// One pass: until nothing waits for the sink that may be tried now, or this is to end: then what is on its way comes to
    /// its end, and the rest stays where it is. Nothing is done if somebody else tells the sink. Where events never cease, a
    /// pass ends after about as long as a lease, so that somebody learns what it did; with a pace, as soon as what it allows is
    /// through.
    ///
    /// # Errors
    /// If the store fails. What was delivered and not stored is delivered again.
    pub async fn execute(
        &self,
        sink: &dyn EventSink,
        pace: Option<Pace>,
        is_to_end: &(dyn Fn() -> bool + Sync),
    ) -> Result<Relayed, StoreError> {
        let now = self.clock.now();
        let lease_ends_at = after(now, self.settings.lease);
        match self.deliveries.claim(sink.name(), now, lease_ends_at).await? {
            None => Ok(Relayed::default()),
            Some(claim) => Pass::new(self, sink, claim, pace, now).run(is_to_end).await,
        }
    }
}

#[cfg(test)]
mod tests;
