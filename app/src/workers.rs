//! What happens when nobody cancels, a pass at a time: once, or again and again beside the service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};
use std::time::Duration;

use reprieve_application::ports::{Clock, Eraser, Ids, ReceiptChecker};
use reprieve_application::use_cases::{
    ErasuresRun, Forgotten, KeepHouse, PlanErasure, ReplayLedger, ReplayLedgerPorts, RunErasures,
    RunErasuresPorts, SendReminders, StartDueDeletions, Swept,
};
use reprieve_application::{Erasers, ErrorCode, Receipt};
use reprieve_cli::{Failure, PassSummary, WorkerKind};
use reprieve_erasure::HttpEraser;
use reprieve_persistence::Store;
use reprieve_system::{
    JwsReceiptChecker, JwsReceiptSigner, LedgerFile, ReceiptKeyFile, SystemClock, SystemIds,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::configuration::Configuration;
use crate::event_configuration::EventConfiguration;
use crate::outbox::Outbox;
use crate::worker_configuration::WorkerConfiguration;

/// Every kind of work.
const ALL: [WorkerKind; 5] = [
    WorkerKind::Reminders,
    WorkerKind::Deletions,
    WorkerKind::Erasures,
    WorkerKind::Outbox,
    WorkerKind::Housekeeping,
];

/// The workers, with all they need.
pub(crate) struct Workers {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    configuration: WorkerConfiguration,
    events: EventConfiguration,
    /// How long a pass may go on when it is told to stop.
    patience: Duration,
    /// Made when they are needed: whoever looks at what is under way needs none.
    erasers: OnceLock<Erasers>,
    outbox: OnceLock<Arc<Outbox>>,
    /// Why the last pass of a kind of work ended early, or the next one would.
    problems: Mutex<BTreeMap<&'static str, ErrorCode>>,
}

/// What is remembered of the deployment: which key receipts are signed with.
const RECEIPT_KEY: &str = "receipt_key";

fn another_receipt_key(file: &ReceiptKeyFile) -> Failure {
    let message = format!("receipts were signed with another key than {}", file.path().display());
    Failure::new(ErrorCode::ReceiptKeyUnusable, message)
}

fn invalid(message: &str) -> Failure {
    Failure::new(ErrorCode::ConfigurationInvalid, message)
}

/// The erasers that are configured.
fn erasers(configuration: &WorkerConfiguration) -> Result<Erasers, Failure> {
    let mut erasers: Vec<Arc<dyn Eraser>> = Vec::new();
    for options in &configuration.erasers {
        let eraser = HttpEraser::new(options.clone(), Arc::new(SystemClock))
            .map_err(|error| invalid(&format!("key erasure.erasers ({}): {error}", options.name)))?;
        erasers.push(Arc::new(eraser));
    }
    Erasers::new(erasers).map_err(|error| invalid(&format!("key erasure.erasers: {error}")))
}

/// The file with the key that receipts are signed with.
fn receipt_key_file(configuration: &WorkerConfiguration) -> Result<ReceiptKeyFile, Failure> {
    let file = configuration.receipt_key.as_ref();
    file.map(ReceiptKeyFile::new)
        .ok_or_else(|| invalid("key receipts.key_file: is not set, and without HOME there is no default"))
}

/// Who signs receipts, for whoever only reads them: a key that is not there is not made.
pub(crate) fn receipt_signer(configuration: &WorkerConfiguration) -> Result<JwsReceiptSigner, Failure> {
    let file = receipt_key_file(configuration)?;
    let key = file.read()?.ok_or_else(|| {
        Failure::new(
            ErrorCode::ReceiptKeyUnusable,
            format!("there is no key {}: it is made with the first deletion", file.path().display()),
        )
    })?;
    Ok(JwsReceiptSigner::new(key))
}

/// Checks receipts with the key of the deployment. Where that is not at hand, what they say is compared all the same, and
/// the first receipt that is met leaves a warning.
pub(crate) struct ReceiptCheck {
    checker: JwsReceiptChecker,
    without_key: Once,
    has_key: bool,
}

impl ReceiptChecker for ReceiptCheck {
    fn is_receipt(&self, signed: &str, receipt: &Receipt) -> bool {
        if !self.has_key {
            self.without_key.call_once(|| {
                tracing::warn!(
                    "there is no receipt key here: what the receipts say is compared, but not who signed them"
                );
            });
        }
        self.checker.is_receipt(signed, receipt)
    }
}

/// Checks the receipts of this deployment.
pub(crate) async fn receipt_checker(
    store: &Store,
    configuration: &WorkerConfiguration,
) -> Result<ReceiptCheck, Failure> {
    let file = configuration.receipt_key.as_ref().map(ReceiptKeyFile::new);
    let key = file.as_ref().map(ReceiptKeyFile::read).transpose()?.flatten();
    let signer = key.map(JwsReceiptSigner::new);
    if let (Some(signer), Some(file), Some(known)) = (&signer, &file, store.remembered(RECEIPT_KEY).await?)
        && signer.key_id() != known
    {
        return Err(another_receipt_key(file));
    }
    let checker = JwsReceiptChecker::new(signer.as_ref());
    Ok(ReceiptCheck { checker, without_key: Once::new(), has_key: signer.is_some() })
}

impl Workers {
    pub(crate) fn new(store: Arc<Store>, configuration: &Configuration) -> Self {
        Self {
            clock: store.clock(),
            store,
            ids: Arc::new(SystemIds),
            configuration: configuration.workers.clone(),
            events: configuration.events.clone(),
            patience: configuration.http.settings.shutdown_timeout,
            erasers: OnceLock::new(),
            outbox: OnceLock::new(),
            problems: Mutex::default(),
        }
    }

    /// The erasers in force; each keeps its connections from one pass to the next.
    fn erasers(&self) -> Result<Erasers, Failure> {
        if let Some(erasers) = self.erasers.get() {
            return Ok(erasers.clone());
        }
        let erasers = erasers(&self.configuration)?;
        Ok(self.erasers.get_or_init(|| erasers).clone())
    }

    /// Makes what can only be made of a configuration that is valid in all its parts, before anybody relies on it.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        self.outbox().map(drop)
    }

    /// Who tells the sinks; each keeps its connections from one pass to the next.
    fn outbox(&self) -> Result<Arc<Outbox>, Failure> {
        if let Some(outbox) = self.outbox.get() {
            return Ok(outbox.clone());
        }
        let outbox = Outbox::new(self.store.clone(), self.clock.clone(), self.ids.clone(), &self.events)?;
        Ok(self.outbox.get_or_init(|| Arc::new(outbox)).clone())
    }

    /// The erasers for deletions that start now. Without any, a deletion would count as complete as soon as it has started.
    fn erasers_to_start_with(&self) -> Result<Erasers, Failure> {
        let erasers = self.erasers()?;
        if erasers.names().is_empty() && !self.configuration.without_erasers {
            return Err(invalid(
                "key erasure.erasers: is empty, so that a deletion would be complete although nothing was erased but \
                 what is stored here; if that is all there is, set erasure.without_erasers to true",
            ));
        }
        Ok(erasers)
    }

    /// Who signs receipts. A deployment has one key for good: it is made once, and no other is taken for it.
    async fn signer(&self) -> Result<JwsReceiptSigner, Failure> {
        let file = receipt_key_file(&self.configuration)?;
        let signer = match self.known_signer(&file).await? {
            Some(signer) => signer,
            None => JwsReceiptSigner::new(file.create()?),
        };
        let key_id = signer.key_id();
        if self.store.remember(RECEIPT_KEY, &key_id).await? != key_id {
            return Err(another_receipt_key(&file));
        }
        Ok(signer)
    }

    /// The same, if there is a key already.
    async fn known_signer(&self, file: &ReceiptKeyFile) -> Result<Option<JwsReceiptSigner>, Failure> {
        let known = self.store.remembered(RECEIPT_KEY).await?;
        match (file.read()?.map(JwsReceiptSigner::new), known) {
            (Some(signer), Some(known)) if signer.key_id() != known => Err(another_receipt_key(file)),
            (None, Some(_)) => Err(Failure::new(
                ErrorCode::ReceiptKeyUnusable,
                format!(
                    "receipts were signed before, but there is no key {}; set receipts.key_file",
                    file.path().display()
                ),
            )),
            (signer, _) => Ok(signer),
        }
    }

    fn ledger(&self) -> Result<LedgerFile, Failure> {
        let file = self.configuration.ledger.as_ref();
        file.map(LedgerFile::new)
            .ok_or_else(|| invalid("key ledger.file: is not set, and without HOME there is no default"))
    }

    /// Whether a pass could do its work, as far as the configuration and the files that it names tell; makes nothing.
    pub(crate) async fn check(&self, worker: WorkerKind) -> Result<(), Failure> {
        match worker {
            WorkerKind::Deletions => self.erasers_to_start_with().map(drop),
            WorkerKind::Erasures => {
                self.erasers()?;
                self.ledger()?.check()?;
                self.known_signer(&receipt_key_file(&self.configuration)?).await.map(drop)
            }
            WorkerKind::Outbox => self.outbox().map(drop),
            WorkerKind::Reminders | WorkerKind::Housekeeping => Ok(()),
        }
    }

    /// Looks before anything runs what would keep a kind of work from being done. Whatever it is, cancellations are served.
    pub(crate) async fn check_all(&self) {
        for worker in ALL {
            let checked = self.check(worker).await;
            if let Err(Failure { code, message }) = &checked {
                tracing::error!(?worker, %code, message, "a worker cannot do its work");
            }
            self.note(worker, checked.err().map(|failure| failure.code));
        }
    }

    fn note(&self, worker: WorkerKind, problem: Option<ErrorCode>) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(code) => problems.insert(worker.as_str(), code),
            None => problems.remove(worker.as_str()),
        };
    }

    /// Which kinds of work are not done, and why.
    pub(crate) fn problems(&self) -> Vec<(&'static str, ErrorCode)> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.iter().map(|(worker, code)| (*worker, *code)).collect()
    }

    /// One pass.
    pub(crate) async fn pass(&self, worker: WorkerKind) -> Result<PassSummary, Failure> {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Ok(match worker {
            WorkerKind::Reminders => {
                let settings = self.configuration.reminders.clone();
                PassSummary::Reminders(
                    SendReminders::new(store.clone(), store.clone(), store.clone(), clock, store, settings)
                        .execute()
                        .await?,
                )
            }
            WorkerKind::Deletions => {
                let erasers = self.erasers_to_start_with()?;
                PassSummary::Deletions(
                    StartDueDeletions::new(
                        store.clone(),
                        store.clone(),
                        store.clone(),
                        clock,
                        store,
                        erasers,
                    )
                    .execute()
                    .await?,
                )
            }
            WorkerKind::Erasures => {
                let ports = RunErasuresPorts {
                    tasks: store.clone(),
                    identities: store.clone(),
                    audit_trail: store,
                    ledger: Arc::new(self.ledger()?),
                    signer: Arc::new(self.signer().await?),
                    clock,
                    ids: self.ids.clone(),
                };
                let use_case = RunErasures::new(ports, self.erasers()?, self.configuration.erasure);
                PassSummary::Erasures(use_case.execute().await?)
            }
            WorkerKind::Outbox => PassSummary::Outbox(self.outbox()?.pass().await),
            WorkerKind::Housekeeping => {
                let retention = self.configuration.retention;
                let sinks = self.events.sinks.iter().map(|sink| sink.name.clone()).collect();
                PassSummary::Housekeeping(
                    KeepHouse::new(store.clone(), store.clone(), clock, store, retention, sinks)
                        .execute()
                        .await?,
                )
            }
        })
    }

    /// Passes until `stop` says so. A pass that runs then comes to its end, if that is not long in coming; what is cut off
    /// is taken up by whoever comes next.
    pub(crate) async fn run(&self, worker: WorkerKind, mut stop: watch::Receiver<bool>) {
        let mut stopping = stop.clone();
        let too_late = async {
            // It is never closed before it says so.
            let _ = stopping.wait_for(|stop| *stop).await;
            tokio::time::sleep(self.patience).await;
        };
        let passes = async {
            if worker == WorkerKind::Outbox {
                return self.tell_sinks(&stop).await;
            }
            while !*stop.borrow() {
                match self.pass(worker).await {
                    Ok(summary) => {
                        // A pass that had nothing to do has not come across it.
                        self.note(worker, self.check(worker).await.err().map(|failure| failure.code));
                        tell(worker, &summary);
                    }
                    Err(failure) => {
                        self.note(worker, Some(failure.code));
                        count(worker, failure.code.as_str());
                        let Failure { code, message } = failure;
                        tracing::error!(?worker, %code, message, "a pass ended early");
                    }
                }
                tokio::select! {
                    _ = stop.changed() => {}
                    () = tokio::time::sleep(self.pause(worker)) => {}
                }
            }
        };
        tokio::select! {
            () = passes => {}
            () = too_late => tracing::warn!(?worker, "a pass was cut off"),
        }
    }

    /// A sink that is slow holds up no other, so there are no passes over all of them.
    async fn tell_sinks(&self, stop: &watch::Receiver<bool>) {
        match self.outbox() {
            Ok(outbox) => outbox.run(stop, &|| self.pause(WorkerKind::Outbox)).await,
            // It was made once before anything started.
            Err(Failure { code, message }) => tracing::error!(%code, message, "no sink is told anything"),
        }
    }

    /// Up to a tenth longer than configured, so that not all instances come at once.
    fn pause(&self, worker: WorkerKind) -> Duration {
        let intervals = &self.configuration.intervals;
        let interval = match worker {
            WorkerKind::Reminders => intervals.reminders,
            WorkerKind::Deletions => intervals.deletions,
            WorkerKind::Erasures => intervals.erasures,
            WorkerKind::Outbox => intervals.outbox,
            WorkerKind::Housekeeping => intervals.housekeeping,
        };
        let chance = self.ids.random_bytes().map_or(0, |bytes| bytes[0]);
        interval + interval / 10 * u32::from(chance) / u32::from(u8::MAX)
    }

    /// Every kind of work, beside each other.
    pub(crate) fn spawn_all(self: &Arc<Self>, stop: &watch::Receiver<bool>) -> JoinSet<()> {
        match self.erasers_to_start_with() {
            Ok(erasers) if erasers.names().is_empty() => {
                tracing::warn!("no eraser is configured: a deletion is complete as soon as it has started");
            }
            Ok(_) | Err(_) => {}
        }
        let mut running = JoinSet::new();
        for worker in ALL {
            let (workers, stop) = (self.clone(), stop.clone());
            running.spawn(async move { workers.keep_running(worker, stop).await });
        }
        running
    }

    /// An eraser of somebody else's may panic. That ends its pass and nothing else.
    async fn keep_running(self: Arc<Self>, worker: WorkerKind, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let (workers, mut stopping) = (self.clone(), stop.clone());
            let stopped = stop.clone();
            // It ends with this task, if that is cut off.
            let mut run = JoinSet::new();
            run.spawn(async move { workers.run(worker, stopped).await });
            if let Some(Err(_)) = run.join_next().await {
                count(worker, "panicked");
                tracing::error!(?worker, "a pass panicked");
            }
            // Whatever ends by itself begins again, but not at once, or it might do nothing else.
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => {}
                () = tokio::time::sleep(self.pause(worker)) => {}
            }
        }
    }

    pub(crate) fn replay_ledger(&self) -> Result<ReplayLedger, Failure> {
        let ports = ReplayLedgerPorts {
            ledger: Arc::new(self.ledger()?),
            audit_trail: self.store.clone(),
            processes: self.store.clone(),
            identities: self.store.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        };
        Ok(ReplayLedger::new(ports, self.erasers_to_start_with()?))
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
        // Who tells a sink counts by himself.
        PassSummary::Outbox(_)
        | PassSummary::Reminders(Swept { stepped: 0, failed: 0, .. })
        | PassSummary::Deletions(Swept { stepped: 0, failed: 0, .. }) => {}
        PassSummary::Reminders(Swept { stepped, left_alone, failed, .. }) => {
            tracing::info!(sent = stepped, left_alone, failed, "reminders sent");
        }
        PassSummary::Deletions(Swept { stepped, left_alone, failed, .. }) => {
            tracing::info!(started = stepped, left_alone, failed, "deletions started");
        }
        PassSummary::Erasures(run) => tell_of_erasures(run),
        PassSummary::Housekeeping(forgotten) if *forgotten == Forgotten::default() => {}
        PassSummary::Housekeeping(Forgotten {
            cancelled_processes,
            audit_trails,
            events,
            sinks,
            answers,
            quarantined,
        }) => {
            tracing::info!(
                cancelled_processes,
                audit_trails,
                events,
                sinks,
                answers,
                quarantined,
                "forgotten"
            );
        }
    }
}

fn tell_of_erasures(run: &ErasuresRun) {
    let ErasuresRun { acknowledged, working, failed, stuck, completed, left_alone, broken, .. } = *run;
    for (outcome, number) in [
        ("acknowledged", acknowledged),
        ("working", working),
        ("failed", failed),
        ("broken", broken),
        ("completed", completed),
    ] {
        metrics::counter!("reprieve_erasures_total", "outcome" => outcome).increment(number);
    }
    if acknowledged + working + failed + completed + left_alone + broken > 0 {
        tracing::info!(acknowledged, working, failed, stuck, completed, left_alone, broken, "erasers asked");
    }
}
