//! Telling the configured sinks what happened, each by itself: one that is slow holds up no other.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reprieve_application::ports::{Clock, EventDeliveries, EventSink, Ids};
use reprieve_application::use_cases::{GetSinkFigures, RelayEvents, Relayed, Rest};
use reprieve_application::{SinkName, StoreError};
use reprieve_cli::{Failure, SinkPass};
use tokio::sync::watch;

use crate::event_configuration::{EventConfiguration, PaceConfiguration};
use crate::sinks::sink;

/// The sinks, and who tells them.
pub(crate) struct Outbox {
    relay: RelayEvents,
    figures: GetSinkFigures,
    pace: PaceConfiguration,
    sinks: Vec<Arc<dyn EventSink>>,
}

impl Outbox {
    /// Makes the sinks; none is called yet.
    pub(crate) fn new(
        deliveries: Arc<dyn EventDeliveries>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        configuration: &EventConfiguration,
    ) -> Result<Self, Failure> {
        let sinks = configuration.sinks.iter().map(|one| sink(one, configuration, &clock));
        Ok(Self {
            sinks: sinks.collect::<Result<_, _>>()?,
            relay: RelayEvents::new(deliveries.clone(), clock, ids, configuration.settings),
            figures: GetSinkFigures::new(deliveries),
            pace: configuration.pace,
        })
    }

    /// Tells all of them once, beside each other.
    pub(crate) async fn pass(&self) -> Vec<SinkPass> {
        let relayed = join_all(self.sinks.iter().map(|sink| self.tell_all(sink.as_ref()))).await;
        let figures = self.figures.execute().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the events cannot be counted");
            Vec::new()
        });
        let pass = |(sink, relayed): (&Arc<dyn EventSink>, _)| SinkPass {
            sink: sink.name().clone(),
            relayed,
            figures: figures.iter().find(|figures| figures.sink == *sink.name()).cloned(),
        };
        self.sinks.iter().zip(relayed).map(pass).collect()
    }

    /// Tells a sink of all that waits for it, however much that is.
    async fn tell_all(&self, sink: &dyn EventSink) -> Result<Relayed, StoreError> {
        let mut before = Relayed::default();
        loop {
            let mut relayed = self.relay.execute(sink, None, &|| false).await?;
            relayed.delivered += before.delivered;
            relayed.refused += before.refused;
            relayed.parked += before.parked;
            if relayed.rest == Rest::Nothing {
                return Ok(relayed);
            }
            before = relayed;
        }
    }

    /// Tells all of them again and again until `stop` says so, with pauses and at the pace that is configured.
    pub(crate) async fn run(&self, stop: &watch::Receiver<bool>, pause: &(dyn Fn() -> Duration + Sync)) {
        join_all(self.sinks.iter().map(|sink| self.keep_telling(sink.as_ref(), stop.clone(), pause))).await;
        // Where there are no sinks it is over at once. It is never closed before it says so.
        let _ = stop.clone().wait_for(|stop| *stop).await;
    }

    async fn keep_telling(
        &self,
        sink: &dyn EventSink,
        mut stop: watch::Receiver<bool>,
        pause: &(dyn Fn() -> Duration + Sync),
    ) {
        let stopping = stop.clone();
        while !*stop.borrow() {
            let pause = pause();
            let pace = Some(self.pace.between(pause));
            let relayed = self.relay.execute(sink, pace, &|| *stopping.borrow()).await;
            tell(sink.name(), &relayed);
            if relayed.is_ok_and(|relayed| relayed.rest == Rest::More) {
                continue;
            }
            tokio::select! {
                _ = stop.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// Counts what was done, and says what went wrong; the relay itself says when a sink is out of order.
fn tell(sink: &SinkName, relayed: &Result<Relayed, StoreError>) {
    match relayed {
        Ok(Relayed { delivered, refused, parked, .. }) => {
            for (outcome, count) in [("delivered", *delivered), ("refused", *refused), ("parked", *parked)] {
                if count > 0 {
                    metrics::counter!(
                        "reprieve_events_total", "sink" => sink.to_string(), "outcome" => outcome
                    )
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
