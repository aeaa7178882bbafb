//! What happens when nobody cancels, a pass at a time: once, or again and again beside the service.

use std::sync::Arc;
use std::time::Duration;

use reprieve_application::ports::{Clock, Eraser, ErasureLedger, Ids};
use reprieve_application::use_cases::{
    ErasuresRun, Forgotten, KeepHouse, PlanErasure, ReplayLedger, ReplayLedgerPorts, RetryErasures,
    RunErasures, RunErasuresPorts, SendReminders, ShowErasures, ShowReceipt, StartDueDeletions, Swept,
};
use reprieve_application::{Erasers, ErrorCode, SecretKey};
use reprieve_cli::{Failure, PassSummary, WorkerKind};
use reprieve_erasure::HttpEraser;
use reprieve_persistence::Store;
use reprieve_system::{JwsReceiptSigner, LedgerFile, ReceiptKeyFile, SystemClock, SystemIds};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::worker_configuration::WorkerConfiguration;

/// Every kind of work.
const ALL: [WorkerKind; 4] =
    [WorkerKind::Reminders, WorkerKind::Deletions, WorkerKind::Erasures, WorkerKind::Housekeeping];

/// The workers, with all they need.
pub(crate) struct Workers {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    erasers: Erasers,
    configuration: WorkerConfiguration,
}

/// The erasers that are configured.
pub(crate) fn erasers(configuration: &WorkerConfiguration) -> Result<Erasers, Failure> {
    let invalid = |message: String| {
        Failure::new(ErrorCode::ConfigurationInvalid, format!("key erasure.erasers: {message}"))
    };
    let mut erasers: Vec<Arc<dyn Eraser>> = Vec::new();
    for options in &configuration.erasers {
        let eraser = HttpEraser::new(options.clone(), Arc::new(SystemClock));
        erasers.push(Arc::new(eraser.map_err(|error| invalid(error.to_string()))?));
    }
    Erasers::new(erasers).map_err(|error| invalid(error.to_string()))
}

/// The key that receipts are signed with; a new one if there is none yet.
pub(crate) fn receipt_key(configuration: &WorkerConfiguration) -> Result<SecretKey, Failure> {
    let file = ReceiptKeyFile::new(&configuration.receipt_key);
    Ok(match file.read()? {
        Some(key) => key,
        None => file.create()?,
    })
}

impl Workers {
    pub(crate) fn new(store: Arc<Store>, configuration: &WorkerConfiguration) -> Result<Self, Failure> {
        Ok(Self {
            store,
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            erasers: erasers(configuration)?,
            configuration: configuration.clone(),
        })
    }

    fn ledger(&self) -> Arc<dyn ErasureLedger> {
        Arc::new(LedgerFile::new(&self.configuration.ledger))
    }

    /// One pass.
    pub(crate) async fn pass(&self, worker: WorkerKind) -> Result<PassSummary, Failure> {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Ok(match worker {
            WorkerKind::Reminders => {
                let settings = self.configuration.reminders.clone();
                PassSummary::Reminders(SendReminders::new(store, clock, settings).execute().await?)
            }
            WorkerKind::Deletions => {
                let erasers = self.erasers.clone();
                PassSummary::Deletions(StartDueDeletions::new(store, clock, erasers).execute().await?)
            }
            WorkerKind::Erasures => {
                let ports = RunErasuresPorts {
                    tasks: store.clone(),
                    identities: store.clone(),
                    audit_trail: store,
                    ledger: self.ledger(),
                    signer: Arc::new(JwsReceiptSigner::new(receipt_key(&self.configuration)?)),
                    clock,
                    ids: self.ids.clone(),
                };
                let use_case = RunErasures::new(ports, self.erasers.clone(), self.configuration.erasure);
                PassSummary::Erasures(use_case.execute().await?)
            }
            WorkerKind::Housekeeping => {
                let retention = self.configuration.retention;
                PassSummary::Housekeeping(
                    KeepHouse::new(store.clone(), store, clock, retention).execute().await?,
                )
            }
        })
    }

    /// Passes until `stop` says so. A pass that runs then comes to its end.
    pub(crate) async fn run(&self, worker: WorkerKind, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.pass(worker).await {
                Ok(summary) => tell(worker, &summary),
                Err(failure) => {
                    count(worker, failure.code.as_str());
                    tracing::error!(?worker, code = %failure.code, message = failure.message, "a pass ended early");
                }
            }
            tokio::select! {
                _ = stop.changed() => {}
                () = tokio::time::sleep(self.pause(worker)) => {}
            }
        }
    }

    /// Up to a tenth longer than configured, so that not all instances come at once.
    fn pause(&self, worker: WorkerKind) -> Duration {
        let intervals = &self.configuration.intervals;
        let interval = match worker {
            WorkerKind::Reminders => intervals.reminders,
            WorkerKind::Deletions => intervals.deletions,
            WorkerKind::Erasures => intervals.erasures,
            WorkerKind::Housekeeping => intervals.housekeeping,
        };
        let chance = self.ids.random_bytes().map_or(0, |bytes| bytes[0]);
        interval + interval / 10 * u32::from(chance) / u32::from(u8::MAX)
    }

    /// Every kind of work, beside each other.
    pub(crate) fn spawn_all(self: &Arc<Self>, stop: &watch::Receiver<bool>) -> JoinSet<()> {
        if self.erasers.names().is_empty() {
            tracing::warn!("no eraser is configured: a deletion is complete as soon as it has started");
        }
        let mut running = JoinSet::new();
        for worker in ALL {
            let (workers, stop) = (self.clone(), stop.clone());
            running.spawn(async move { workers.run(worker, stop).await });
        }
        running
    }

    pub(crate) fn show_erasures(&self) -> ShowErasures {
        ShowErasures::new(self.store.clone())
    }

    pub(crate) fn retry_erasures(&self) -> RetryErasures {
        RetryErasures::new(self.store.clone(), self.clock.clone())
    }

    pub(crate) fn show_receipt(&self) -> ShowReceipt {
        ShowReceipt::new(self.store.clone())
    }

    pub(crate) fn replay_ledger(&self) -> ReplayLedger {
        let ports = ReplayLedgerPorts {
            ledger: self.ledger(),
            audit_trail: self.store.clone(),
            processes: self.store.clone(),
            identities: self.store.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        };
        ReplayLedger::new(ports, self.erasers.clone())
    }
}

/// Asks what the erasers would do, for which no database is needed.
pub(crate) fn plan_erasure(configuration: &WorkerConfiguration) -> Result<PlanErasure, Failure> {
    Ok(PlanErasure::new(erasers(configuration)?))
}

fn count(worker: WorkerKind, outcome: &'static str) {
    metrics::counter!("reprieve_worker_passes_total", "worker" => worker.as_str(), "outcome" => outcome)
        .increment(1);
}

/// Says what a pass did, if it did anything.
fn tell(worker: WorkerKind, summary: &PassSummary) {
    count(worker, "done");
    match summary {
        PassSummary::Reminders(Swept { stepped: 0, failed: 0, .. })
        | PassSummary::Deletions(Swept { stepped: 0, failed: 0, .. }) => {}
        PassSummary::Reminders(Swept { stepped, left_alone, failed, .. }) => {
            tracing::info!(sent = stepped, left_alone, failed, "reminders sent");
        }
        PassSummary::Deletions(Swept { stepped, left_alone, failed, .. }) => {
            tracing::info!(started = stepped, left_alone, failed, "deletions started");
        }
        PassSummary::Erasures(run) => tell_of_erasures(run),
        PassSummary::Housekeeping(forgotten) if *forgotten == Forgotten::default() => {}
        PassSummary::Housekeeping(Forgotten { cancelled_processes, audit_trails, events, answers }) => {
            tracing::info!(cancelled_processes, audit_trails, events, answers, "forgotten");
        }
    }
}

fn tell_of_erasures(run: &ErasuresRun) {
    let ErasuresRun { acknowledged, working, failed, stuck, completed, left_alone, broken, .. } = *run;
    for (outcome, number) in [("acknowledged", acknowledged), ("working", working), ("failed", failed)] {
        metrics::counter!("reprieve_erasures_total", "outcome" => outcome).increment(number);
    }
    if acknowledged + working + failed + completed + left_alone + broken > 0 {
        tracing::info!(acknowledged, working, failed, stuck, completed, left_alone, broken, "erasers asked");
    }
}
