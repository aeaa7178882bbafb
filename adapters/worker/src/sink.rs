//! Delivering events to one sink. Each sink is work of its own, so that a slow one delays no other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::ports::EventSink;
use reprieve_application::use_cases::{Pace, RelayEvents, Relayed, Rest};
use reprieve_application::{Failure, PassSummary, SinkName, SinkPass, StoreError};

use crate::{Mode, Next, Work};

/// How fast events are delivered that have only just happened.
#[derive(Debug, Clone, Copy)]
pub struct PacePerSecond {
    /// About how many a second.
    pub events: u32,
    /// From this age on they are delivered as fast as the sink takes them.
    pub hurry_after: Duration,
}

impl PacePerSecond {
    /// For a pass that begins so long after the last one.
    #[must_use]
    pub fn after(self, elapsed: Duration) -> Pace {
        // Neither is negative, and of a number that is too large the largest one is taken.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "said above")]
        let at_once = (f64::from(self.events) * elapsed.as_secs_f64()) as u64;
        Pace { at_once: at_once.max(1), hurry_after: self.hurry_after }
    }
}

/// Delivers events to one sink.
pub struct Sink {
    /// The sink.
    pub sink: Arc<dyn EventSink>,
    /// What delivers to it.
    pub relay: Arc<RelayEvents>,
    /// The pace of recurring passes.
    pub pace: PacePerSecond,
}

impl Sink {
    /// Delivers all that waits, however much that is.
    async fn deliver_all(&self) -> Result<Relayed, StoreError> {
        let mut before = Relayed::default();
        loop {
            let mut relayed = self.relay.execute(self.sink.as_ref(), None, &|| false).await?;
            relayed.delivered += before.delivered;
            relayed.refused += before.refused;
            relayed.parked += before.parked;
            if relayed.rest == Rest::Nothing {
                return Ok(relayed);
            }
            before = relayed;
        }
    }
}

#[async_trait]
impl Work for Sink {
    fn name(&self) -> &'static str {
        "outbox"
    }

    /// That one sink fails is part of the summary: it keeps no other from being delivered to.
    async fn pass(&self, mode: &Mode) -> Result<(PassSummary, Next), Failure> {
        let relayed = match mode {
            Mode::Once => self.deliver_all().await,
            Mode::Recurring { elapsed, shutdown } => {
                let pace = Some(self.pace.after(*elapsed));
                let relayed = self.relay.execute(self.sink.as_ref(), pace, &|| *shutdown.borrow()).await;
                report(self.sink.name(), &relayed);
                relayed
            }
        };
        let next = match relayed.as_ref().map(|relayed| relayed.rest) {
            Ok(Rest::More) => Next::AtOnce,
            Ok(Rest::Recent) => Next::Soon,
            Ok(Rest::Nothing) => Next::WhenWoken,
            Err(_) => Next::AfterInterval,
        };
        let pass = SinkPass { sink: self.sink.name().clone(), relayed, figures: None };
        Ok((PassSummary::Outbox(vec![pass]), next))
    }
}

/// Counts what was done, and says what went wrong; the relay itself says when a sink is failing.
fn report(sink: &SinkName, relayed: &Result<Relayed, StoreError>) {
    match relayed {
        Ok(Relayed { delivered, refused, parked, .. }) => {
            for (outcome, count) in [("delivered", *delivered), ("refused", *refused), ("parked", *parked)] {
                if count > 0 {
                    metrics::counter!("reprieve_events_total", "sink" => sink.to_string(), "outcome" => outcome)
                        .increment(count);
                }
            }
            if *parked > 0 {
                tracing::error!(%sink, parked, "events were parked");
            }
        }
        Err(error) => {
            tracing::error!(%sink, error = error as &dyn std::error::Error, "a sink could not be told anything");
        }
    }
}
