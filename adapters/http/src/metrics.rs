//! Prometheus metrics.

use std::sync::Arc;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use reprieve_application::Coded;
use reprieve_application::ports::SinkFigures;
use reprieve_domain::Timestamp;
use tokio::sync::Mutex;

use crate::Service;

/// Upper bounds of the durations that are counted, in seconds.
const SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];

/// How long the figures of a scrape are good for the next one, in microseconds: counting them reads an index.
const FRESH: i64 = 10 * 1_000_000;

/// Counts how a use case ended, and hands the result on.
pub(crate) fn outcome<T, E: Coded>(use_case: &'static str, result: Result<T, E>) -> Result<T, E> {
    let outcome = result.as_ref().err().map_or("done", |error| error.code().as_str());
    metrics::counter!("reprieve_use_cases_total", "use_case" => use_case, "outcome" => outcome).increment(1);
    result
}

/// What is measured, and where it can be read. Clones are the same.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    counted: Arc<Mutex<Option<Timestamp>>>,
}

impl Metrics {
    /// Starts measuring, for the whole program.
    ///
    /// # Errors
    /// If somebody else has done so already.
    pub fn install() -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .install_recorder()?;
        metrics::describe_counter!("reprieve_http_requests_total", "Requests by method, route and status");
        metrics::describe_histogram!("reprieve_http_request_duration_seconds", "How long requests took");
        metrics::describe_gauge!("reprieve_http_requests_in_flight", "Requests that are being worked on");
        metrics::describe_counter!(
            "reprieve_http_connections_closed_total",
            "Connections that were closed for what their client did not do, by reason"
        );
        metrics::describe_counter!(
            "reprieve_http_unlogged_answers_total",
            "Answers to callers who are not known that have no line in the log"
        );
        metrics::describe_counter!(
            "reprieve_use_cases_total",
            "Use cases by outcome: done, or an error code"
        );
        metrics::describe_gauge!("reprieve_processes_open", "Deletion processes that are Active or Deleting");
        metrics::describe_gauge!("reprieve_processes_deleting", "Processes whose data is being erased");
        metrics::describe_gauge!(
            "reprieve_erasures_stuck",
            "Erasures that have failed for so long that somebody has to look after them"
        );
        metrics::describe_gauge!(
            "reprieve_quarantined_processes",
            "Processes that were found not to verify, and that nothing is done about"
        );
        metrics::describe_gauge!(
            "reprieve_deletions_paused",
            "1 while deletions are paused, so that none starts and no eraser is asked"
        );
        metrics::describe_gauge!(
            "reprieve_deletions_over_limit",
            "Deletions that the last pass left to later ones because of deletions.most_per_hour"
        );
        metrics::describe_gauge!("reprieve_processes_due", "Active processes whose grace period is over");
        metrics::describe_gauge!(
            "reprieve_processes_overdue",
            "Processes that have been due for more than an hour"
        );
        metrics::describe_gauge!("reprieve_events_waiting", "Events that a sink has not been told of yet");
        metrics::describe_gauge!(
            "reprieve_events_retrying",
            "Events that a sink has refused and is told of again"
        );
        metrics::describe_gauge!(
            "reprieve_events_parked",
            "Events that a sink has refused for so long that somebody has to look after them"
        );
        metrics::describe_gauge!(
            "reprieve_issuer_keys_age_seconds",
            "How long ago the keys were fetched that tokens of the issuer are verified with"
        );
        metrics::describe_gauge!("reprieve_database_connections_open", "Connections to the database");
        metrics::describe_gauge!("reprieve_database_connections_idle", "Connections that nobody uses");
        Ok(Self { handle, counted: Arc::default() })
    }

    /// Everything in the text format of Prometheus.
    pub(crate) fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }

    /// Brings the figures of the database up to date, unless they are fresh or being counted.
    pub(crate) async fn count(&self, service: &Service) {
        if let Some(age) = service.authentication.issuer_keys_age() {
            metrics::gauge!("reprieve_issuer_keys_age_seconds").set(age);
        }
        let connections = service.use_cases.health.connections();
        metrics::gauge!("reprieve_database_connections_open").set(connections.open);
        metrics::gauge!("reprieve_database_connections_idle").set(connections.idle);
        let Ok(mut counted) = self.counted.try_lock() else { return };
        let now = service.clock.now();
        if counted.is_some_and(|at| (0..FRESH).contains(&now.micros_since(at))) {
            return;
        }
        let figures = match service.use_cases.figures.execute().await {
            Ok(figures) => figures,
            Err(error) => return tracing::warn!(%error, "the figures cannot be counted"),
        };
        for (name, count) in [
            ("reprieve_processes_open", figures.open),
            ("reprieve_processes_deleting", figures.deleting),
            ("reprieve_erasures_stuck", figures.stuck),
            ("reprieve_quarantined_processes", figures.quarantined),
            ("reprieve_processes_due", figures.due),
            ("reprieve_processes_overdue", figures.overdue),
        ] {
            metrics::gauge!(name).set(floating(count));
        }
        // Where it cannot be found out the last that was known stays.
        if let Ok(pause) = service.use_cases.health.pause().await {
            metrics::gauge!("reprieve_deletions_paused").set(f64::from(u8::from(pause.is_some())));
        }
        let sinks = match service.use_cases.sink_figures.execute().await {
            Ok(sinks) => sinks,
            Err(error) => return tracing::warn!(%error, "the events cannot be counted"),
        };
        for SinkFigures { sink, waiting, retrying, parked } in sinks {
            for (name, count) in [
                ("reprieve_events_waiting", waiting),
                ("reprieve_events_retrying", retrying),
                ("reprieve_events_parked", parked),
            ] {
                metrics::gauge!(name, "sink" => sink.to_string()).set(floating(count));
            }
        }
        *counted = Some(now);
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows nothing but floating point")]
fn floating(count: u64) -> f64 {
    count as f64
}
