//! The recurring work, wired: what each kind of it needs, and what runs it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use clap::ValueEnum as _;
use futures_util::future::{join_all, try_join_all};
use reprieve_application::ports::{Clock, Eraser, EventSink, Ids};
use reprieve_application::use_cases::{
    ForgetJournal, GetSinkFigures, KeepHouse, PlanErasure, RelayEvents, ReplayJournal, ReplayJournalPorts,
    RunErasures, RunErasuresPorts, SendReminders, StartDueDeletions, StartDueDeletionsPorts, Swept,
};
use reprieve_application::{Erasers, ErrorCode, Journaling, PassSummary};
use reprieve_cli::{Failure, WorkerKind};
use reprieve_erasure::HttpEraser;
use reprieve_persistence::{Due, Store};
use reprieve_system::{SystemClock, SystemIds};
use reprieve_worker::{Driver, Mode, Next, Schedule, Sink, Work};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::configuration::Configuration;
use crate::event_configuration::EventConfiguration;
use crate::journal::OpenJournal;
use crate::receipts;
use crate::sinks::sink;
use crate::worker_configuration::WorkerConfiguration;

/// The workers, with all they need.
pub(crate) struct Workers {
    store: Arc<Store>,
    journal: OpenJournal,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    configuration: WorkerConfiguration,
    events: EventConfiguration,
    driver: Driver,
    /// How many deletions the last pass left to later ones because of the limit on starts.
    over_limit: AtomicU64,
    /// Made when they are needed: a command that shows what is under way needs none. Each keeps its connections from one
    /// pass to the next.
    erasers: OnceLock<Erasers>,
    sinks: OnceLock<Vec<Arc<dyn EventSink>>>,
}

pub(crate) fn invalid(message: &str) -> Failure {
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

/// The erasers for deletions that start now. Without any, a deletion would count as complete as soon as it has started.
pub(crate) fn erasers_to_start_with(configuration: &WorkerConfiguration) -> Result<Erasers, Failure> {
    enough_to_start_with(erasers(configuration)?, configuration)
}

fn enough_to_start_with(erasers: Erasers, configuration: &WorkerConfiguration) -> Result<Erasers, Failure> {
    if erasers.names().is_empty() && !configuration.without_erasers {
        return Err(invalid(
            "key erasure.erasers: is empty, so that a deletion would be complete although nothing was erased but \
             what is stored here; if that is all there is, set erasure.without_erasers to true",
        ));
    }
    Ok(erasers)
}

/// Starting deletions, for which erasers may be missing.
struct Deletions(Arc<Workers>);

impl Deletions {
    fn made(&self) -> Result<StartDueDeletions, Failure> {
        let store = &self.0.store;
        let ports = StartDueDeletionsPorts {
            processes: store.clone(),
            audit_trail: self.0.journal.audit_trail(),
            identities: store.clone(),
            holds: self.0.journal.holds(),
            switch: self.0.journal.switch(),
            clock: self.0.clock.clone(),
            clocks: store.clone(),
        };
        let most_per_hour = self.0.configuration.most_per_hour;
        Ok(StartDueDeletions::new(ports, self.0.erasers_to_start_with()?, most_per_hour))
    }
}

#[async_trait]
impl Work for Deletions {
    fn name(&self) -> &'static str {
        WorkerKind::Deletions.as_str()
    }

    async fn check(&self) -> Result<(), Failure> {
        self.made().map(drop)
    }

    async fn pass(&self, mode: &Mode) -> Result<(PassSummary, Next), Failure> {
        let passed = self.made()?.pass(mode).await?;
        if mode.is_recurring()
            && let PassSummary::Deletions(Swept { over_limit, .. }) = passed.0
        {
            self.0.note_over_limit(over_limit);
        }
        Ok(passed)
    }
}

/// Erasing, for which erasers or the key of the receipts may be missing.
struct Erasures(Arc<Workers>);

#[async_trait]
impl Work for Erasures {
    fn name(&self) -> &'static str {
        WorkerKind::Erasures.as_str()
    }

    async fn check(&self) -> Result<(), Failure> {
        self.0.erasers()?;
        receipts::check_signer(&self.0.store, &self.0.configuration).await.map(drop)
    }

    async fn pass(&self, mode: &Mode) -> Result<(PassSummary, Next), Failure> {
        let Workers { store, configuration, .. } = self.0.as_ref();
        let ports = RunErasuresPorts {
            tasks: store.clone(),
            switch: self.0.journal.switch(),
            holds: store.clone(),
            identities: store.clone(),
            audit_trail: self.0.journal.audit_trail(),
            signer: Arc::new(receipts::signer(store, configuration).await?),
            clock: self.0.clock.clone(),
            ids: self.0.ids.clone(),
        };
        RunErasures::new(ports, self.0.erasers()?, configuration.erasure).pass(mode).await
    }
}

/// Forgetting, in the database and then in the journal.
struct Housekeeping {
    keep: KeepHouse,
    forget: ForgetJournal,
    journaling: Journaling,
}

#[async_trait]
impl Work for Housekeeping {
    fn name(&self) -> &'static str {
        WorkerKind::Housekeeping.as_str()
    }

    async fn pass(&self, mode: &Mode) -> Result<(PassSummary, Next), Failure> {
        // What was forgotten could not be told from what was lost if the journal did not know it.
        self.journaling.check().await?;
        let passed = self.keep.pass(mode).await?;
        let processes = self.forget.execute().await?;
        if processes > 0 {
            tracing::info!(processes, "forgotten by the journal");
        }
        Ok(passed)
    }
}

/// Work that is done only beside the journal that the database knows, which a pass finds out when it has anything to do.
struct Journaled<W> {
    work: W,
    journaling: Journaling,
}

#[async_trait]
impl<W: Work> Work for Journaled<W> {
    fn name(&self) -> &'static str {
        self.work.name()
    }

    async fn check(&self) -> Result<(), Failure> {
        self.work.check().await?;
        Ok(self.journaling.check().await?)
    }

    async fn pass(&self, mode: &Mode) -> Result<(PassSummary, Next), Failure> {
        self.work.pass(mode).await
    }
}

impl Workers {
    pub(crate) fn new(store: Arc<Store>, journal: OpenJournal, configuration: &Configuration) -> Arc<Self> {
        let ids: Arc<dyn Ids> = Arc::new(SystemIds);
        Arc::new(Self {
            clock: store.clock(),
            store,
            journal,
            driver: Driver::new(ids.clone(), configuration.http.settings.shutdown_timeout),
            over_limit: AtomicU64::new(0),
            ids,
            configuration: configuration.workers.clone(),
            events: configuration.events.clone(),
            erasers: OnceLock::new(),
            sinks: OnceLock::new(),
        })
    }

    fn erasers(&self) -> Result<Erasers, Failure> {
        if let Some(erasers) = self.erasers.get() {
            return Ok(erasers.clone());
        }
        let erasers = erasers(&self.configuration)?;
        Ok(self.erasers.get_or_init(|| erasers).clone())
    }

    fn sinks(&self) -> Result<&[Arc<dyn EventSink>], Failure> {
        if let Some(sinks) = self.sinks.get() {
            return Ok(sinks);
        }
        let sinks = self.events.sinks.iter().map(|one| sink(one, &self.events, &self.clock));
        let sinks = sinks.collect::<Result<_, _>>()?;
        Ok(self.sinks.get_or_init(|| sinks))
    }

    fn erasers_to_start_with(&self) -> Result<Erasers, Failure> {
        enough_to_start_with(self.erasers()?, &self.configuration)
    }

    /// What a kind of work consists of, and when it is done: the one place that knows. Each sink is work of its own.
    fn work(self: &Arc<Self>, worker: WorkerKind) -> Result<(Vec<Box<dyn Work>>, Schedule), Failure> {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let intervals = &self.configuration.intervals;
        let every = |interval: Duration| Schedule { interval, wake_ups: None };
        let woken = |interval, due| Schedule { interval, wake_ups: Some(self.store.wake_ups(due)) };
        Ok(match worker {
            WorkerKind::Reminders => {
                let (settings, trail) = (self.configuration.reminders.clone(), self.journal.audit_trail());
                let work = SendReminders::new(store.clone(), trail, store.clone(), clock, store, settings);
                (vec![self.journaled(work)], every(intervals.reminders))
            }
            WorkerKind::Deletions => {
                (vec![self.journaled(Deletions(self.clone()))], every(intervals.deletions))
            }
            WorkerKind::Erasures => {
                (vec![self.journaled(Erasures(self.clone()))], woken(intervals.erasures, Due::Erasures))
            }
            WorkerKind::Outbox => {
                let relay = Arc::new(RelayEvents::new(store, clock, self.ids.clone(), self.events.settings));
                let pace = self.events.pace;
                let work = |sink: &Arc<dyn EventSink>| -> Box<dyn Work> {
                    Box::new(Sink { sink: sink.clone(), relay: relay.clone(), pace })
                };
                (self.sinks()?.iter().map(work).collect(), woken(intervals.outbox, Due::Events))
            }
            WorkerKind::Housekeeping => {
                let retention = self.configuration.retention;
                let sinks = self.events.sinks.iter().map(|sink| sink.name.clone()).collect();
                let journaling = self.journal.journaling();
                let forget = ForgetJournal::new(journaling.clone(), store.clone());
                let keep = KeepHouse::new(store.clone(), store.clone(), clock, store, retention, sinks);
                (
                    vec![self.journaled(Housekeeping { keep, forget, journaling })],
                    every(intervals.housekeeping),
                )
            }
            WorkerKind::Journal => (vec![Box::new(self.journal.keep())], every(intervals.journal)),
        })
    }

    /// Work that is done only beside the journal that the database knows.
    fn journaled(&self, work: impl Work + 'static) -> Box<dyn Work> {
        Box::new(Journaled { work, journaling: self.journal.journaling() })
    }

    /// Whether a pass could do its work, as far as the configuration and the files that it names tell; makes nothing.
    pub(crate) async fn check(self: &Arc<Self>, worker: WorkerKind) -> Result<(), Failure> {
        let (work, _) = self.work(worker)?;
        try_join_all(work.iter().map(|work| work.check())).await.map(drop)
    }

    /// Finds out, before anything runs, which work cannot be done; cancellations are served in any case. Why is logged by the
    /// checks of the deployment.
    pub(crate) async fn check_all(self: &Arc<Self>) {
        let check = async |worker: &WorkerKind| match self.work(*worker) {
            Ok((work, _)) => {
                join_all(work.iter().map(|work| self.driver.check(work.as_ref()))).await;
            }
            Err(failure) => self.driver.cannot(worker.as_str(), failure.code),
        };
        join_all(WorkerKind::value_variants().iter().map(check)).await;
    }

    /// Which kinds of work are not done, and why.
    pub(crate) fn problems(&self) -> Vec<(&'static str, ErrorCode)> {
        self.driver.problems()
    }

    /// How many deletions are left to later passes because of the limit on starts.
    pub(crate) fn over_limit(&self) -> u64 {
        self.over_limit.load(Ordering::Relaxed)
    }

    /// Says so when the limit is reached, and not with each pass.
    fn note_over_limit(&self, over_limit: u64) {
        let before = self.over_limit.swap(over_limit, Ordering::Relaxed);
        if before == 0 && over_limit > 0 {
            tracing::warn!(over_limit, "deletions.most_per_hour is reached: the rest starts later");
        }
    }

    /// One pass, with all there is to be done.
    pub(crate) async fn pass(self: &Arc<Self>, worker: WorkerKind) -> Result<PassSummary, Failure> {
        let (work, _) = self.work(worker)?;
        let mut sinks = Vec::new();
        for (summary, _) in try_join_all(work.iter().map(|work| work.pass(&Mode::Once))).await? {
            match summary {
                PassSummary::Outbox(passes) => sinks.extend(passes),
                summary => return Ok(summary),
            }
        }
        let figures = GetSinkFigures::new(self.store.clone()).execute().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the events cannot be counted");
            Vec::new()
        });
        for pass in &mut sinks {
            pass.figures = figures.iter().find(|figures| figures.sink == pass.sink).cloned();
        }
        Ok(PassSummary::Outbox(sinks))
    }

    /// Passes of one kind of work until the shutdown, whose sender must not be dropped before.
    pub(crate) async fn run(self: Arc<Self>, worker: WorkerKind, mut shutdown: watch::Receiver<bool>) {
        match self.work(worker) {
            Ok((work, schedule)) => {
                let run = |work| self.driver.run(work, schedule.clone(), shutdown.clone());
                join_all(work.iter().map(|work| run(work.as_ref()))).await;
            }
            // It was made once before anything started.
            Err(Failure { code, message }) => {
                tracing::error!(worker = worker.as_str(), %code, message, "a worker cannot do its work");
            }
        }
        // Without sinks there is nothing to run.
        let _ = shutdown.wait_for(|stop| *stop).await;
    }

    /// Shares wake-ups with other instances until what is returned is dropped.
    pub(crate) fn share_wake_ups(&self) -> JoinSet<()> {
        self.store.share_wake_ups(true)
    }

    /// Every kind of work, beside each other.
    pub(crate) fn spawn_all(self: &Arc<Self>, shutdown: &watch::Receiver<bool>) -> JoinSet<()> {
        if self.erasers_to_start_with().is_ok_and(|erasers| erasers.names().is_empty()) {
            tracing::warn!("no eraser is configured: a deletion is complete as soon as it has started");
        }
        WorkerKind::value_variants()
            .iter()
            .map(|worker| self.clone().run(*worker, shutdown.clone()))
            .collect()
    }

    pub(crate) fn replay_journal(&self, erasers: &[String]) -> Result<ReplayJournal, Failure> {
        let mut names = self.erasers_to_start_with()?.names();
        if !erasers.is_empty() {
            if let Some(unknown) =
                erasers.iter().find(|name| !names.iter().any(|known| known.as_str() == *name))
            {
                let message = format!("there is no eraser {unknown:?} in erasure.erasers");
                return Err(Failure::new(ErrorCode::InvalidPropertyValue, message));
            }
            names.retain(|name| erasers.iter().any(|wanted| wanted == name.as_str()));
        }
        let ports = ReplayJournalPorts {
            keep: self.journal.keep(),
            audit_trail: self.store.clone(),
            processes: self.store.clone(),
            identities: self.store.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        };
        Ok(ReplayJournal::new(ports, names))
    }
}

/// Asks what the erasers would do, for which no database is needed.
pub(crate) fn plan_erasure(configuration: &WorkerConfiguration) -> Result<PlanErasure, Failure> {
    Ok(PlanErasure::new(erasers(configuration)?))
}
