//! Runs passes until the shutdown.

use std::collections::BTreeMap;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use reprieve_application::ports::Ids;
use reprieve_application::{ErrorCode, Failure};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{Mode, Next, Work};

/// However often something is committed, passes begin no more often than this, unless the interval is shorter.
const BETWEEN_WAKE_UPS: Duration = Duration::from_millis(200);

/// When passes begin.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The longest pause after a pass, but for up to a tenth of it.
    pub interval: Duration,
    /// Changes whenever something was committed that the work is about; absent if only the interval counts.
    pub wake_ups: Option<watch::Receiver<u64>>,
}

/// Runs passes, and remembers why those of a kind of work fail.
pub struct Driver {
    ids: Arc<dyn Ids>,
    /// How long a pass may go on once the shutdown has begun.
    grace: Duration,
    problems: Mutex<BTreeMap<&'static str, ErrorCode>>,
}

impl Driver {
    /// With the source of the jitter, and how long a pass may go on once the shutdown has begun.
    #[must_use]
    pub fn new(ids: Arc<dyn Ids>, grace: Duration) -> Self {
        Self { ids, grace, problems: Mutex::default() }
    }

    /// Which kinds of work are not done, and why.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, ErrorCode)> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.iter().map(|(worker, code)| (*worker, *code)).collect()
    }

    /// Finds out, before anything runs, what would keep the work from being done.
    pub async fn check(&self, work: &dyn Work) {
        let problem = work.check().await.err().map(|failure| failure.code);
        self.note(work.name(), problem);
    }

    /// Remembers that there can be no such work, and why.
    pub fn cannot(&self, worker: &'static str, problem: ErrorCode) {
        self.note(worker, Some(problem));
    }

    /// Runs passes until the shutdown, whose sender must not be dropped before. A pass that runs then may come to its end
    /// within the grace; what is cut off is taken up by the next worker.
    pub async fn run(&self, work: &dyn Work, schedule: Schedule, shutdown: watch::Receiver<bool>) {
        let mut stopping = shutdown.clone();
        let too_late = async {
            let _ = stopping.wait_for(|stop| *stop).await;
            tokio::time::sleep(self.grace).await;
        };
        tokio::select! {
            () = self.passes(work, schedule, shutdown) => {}
            () = too_late => tracing::warn!(worker = %work.name(), "a pass was cut off"),
        }
    }

    async fn passes(&self, work: &dyn Work, schedule: Schedule, mut shutdown: watch::Receiver<bool>) {
        let Schedule { interval, mut wake_ups } = schedule;
        let mut last: Option<Instant> = None;
        while !*shutdown.borrow() {
            let (pause, began) = (self.pause(interval), Instant::now());
            let elapsed = last.replace(began).map_or(pause, |last| pause.min(began - last));
            // What has been committed up to here is seen by this pass.
            if let Some(wake_ups) = &mut wake_ups {
                wake_ups.mark_unchanged();
            }
            let next = self.pass(work, &Mode::Recurring { elapsed, shutdown: shutdown.clone() }).await;
            let woken = async {
                match next {
                    Next::AtOnce => return,
                    Next::Soon => {}
                    Next::WhenWoken => committed(wake_ups.as_mut()).await,
                    Next::AfterInterval => pending().await,
                }
                tokio::time::sleep_until(began + BETWEEN_WAKE_UPS).await;
            };
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => {}
                () = tokio::time::sleep(pause) => {}
                () = woken => {}
            }
        }
    }

    /// A pass may panic, in an eraser from elsewhere for example. That ends the pass and nothing else. After a failure only
    /// the interval counts, so that commits do not repeat it.
    async fn pass(&self, work: &dyn Work, mode: &Mode) -> Next {
        let worker = work.name();
        let (outcome, next) = match AssertUnwindSafe(work.pass(mode)).catch_unwind().await {
            Ok(Ok((_, next))) => {
                // A pass that had nothing to do has not come across it.
                self.note(worker, work.check().await.err().map(|failure| failure.code));
                ("done", next)
            }
            Ok(Err(Failure { code, message })) => {
                let is_known = self.note(worker, Some(code));
                if code != ErrorCode::DeletionsPaused {
                    tracing::error!(%worker, %code, message, "a pass ended early");
                } else if !is_known {
                    // An operator has ordered it, and knows.
                    tracing::warn!(%worker, %code, message, "a worker pauses");
                }
                (code.as_str(), Next::AfterInterval)
            }
            Err(_) => {
                tracing::error!(%worker, "a pass panicked");
                ("panicked", Next::AfterInterval)
            }
        };
        metrics::counter!("reprieve_worker_passes_total", "worker" => worker, "outcome" => outcome)
            .increment(1);
        next
    }

    /// Returns whether that is what was noted before.
    fn note(&self, worker: &'static str, problem: Option<ErrorCode>) -> bool {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match problem {
            Some(code) => problems.insert(worker, code),
            None => problems.remove(worker),
        };
        before == problem
    }

    /// Up to a tenth longer than configured, so that not all instances come at once.
    fn pause(&self, interval: Duration) -> Duration {
        let chance = self.ids.random_bytes().map_or(0, |bytes| bytes[0]);
        interval + interval / 10 * u32::from(chance) / u32::from(u8::MAX)
    }
}

/// Until something has been committed since the last pass began.
async fn committed(wake_ups: Option<&mut watch::Receiver<u64>>) {
    let Some(wake_ups) = wake_ups else { return pending().await };
    if wake_ups.changed().await.is_err() {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
