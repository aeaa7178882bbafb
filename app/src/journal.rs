//! The journal: where it is, and what is written into it when a command has taken a step.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::facade::{IdentityData, IdentityDeletionFacade, ProcessData};
use reprieve_application::ports::{
    AuditTrail, DeletedOwnIdentity, DeletionsSwitch, ErasureLedger, Holds, Journal,
};
use reprieve_application::use_cases::KeepJournal;
use reprieve_application::{JournaledAuditTrail, JournaledHolds, JournaledSwitch, Journaling, NoJournal};
use reprieve_cli::Failure;
use reprieve_domain::Timestamp;
use reprieve_persistence::{DatabaseUrl, JournalDatabase, Store};
use reprieve_system::{LedgerFile, SystemIds};

use crate::configuration::Configuration;
use crate::journal_configuration::JournalPlace;

/// Passes of several kinds use it beside each other.
const CONNECTIONS: u32 = 4;

/// The journal of a store, and the ledger of an older version that it takes over.
#[derive(Clone)]
pub(crate) struct OpenJournal {
    store: Arc<Store>,
    database: Option<Arc<JournalDatabase>>,
    journaling: Journaling,
    ledger: Option<PathBuf>,
}

impl OpenJournal {
    /// Opens nothing before it is used.
    pub(crate) fn new(store: &Arc<Store>, configuration: &Configuration) -> Self {
        let url = match &configuration.journal.place {
            JournalPlace::Named(url) => Some(url.clone()),
            JournalPlace::Beside { folder, database } => {
                let place = std::path::absolute(database).unwrap_or_else(|_| database.clone());
                let name = store.journal_name(&place.to_string_lossy());
                let stem = database.file_stem().unwrap_or_default().to_string_lossy();
                let short = name.get(..16).unwrap_or(&name);
                Some(DatabaseUrl::sqlite_file(folder.join(format!("{stem}-{short}.journal"))))
            }
            JournalPlace::Unnamed => None,
        };
        let options = configuration.connection_options(CONNECTIONS);
        let database = url.map(|url| Arc::new(store.journal(url, options)));
        let journal: Arc<dyn Journal> = match &database {
            Some(database) => database.clone(),
            None => Arc::new(NoJournal),
        };
        let keep = configuration.journal.keep;
        let journaling = Journaling::new(journal, store.clone(), store.clock(), Arc::new(SystemIds), keep);
        Self { store: store.clone(), database, journaling, ledger: configuration.workers.ledger.clone() }
    }

    /// Where it is; none if no place is named.
    pub(crate) fn database(&self) -> Option<&JournalDatabase> {
        self.database.as_deref()
    }

    pub(crate) fn journaling(&self) -> Journaling {
        self.journaling.clone()
    }

    /// The audit trail, where nothing verifies that the journal does not bear out.
    pub(crate) fn audit_trail(&self) -> Arc<dyn AuditTrail> {
        Arc::new(JournaledAuditTrail::new(self.store.clone(), self.journaling()))
    }

    /// The holds, of which none is lost that the journal has.
    pub(crate) fn holds(&self) -> Arc<dyn Holds> {
        Arc::new(JournaledHolds::new(self.store.clone(), self.store.clone(), self.journaling()))
    }

    /// The switch that stops deletions, of which no pause is lost that the journal has.
    pub(crate) fn switch(&self) -> Arc<dyn DeletionsSwitch> {
        Arc::new(JournaledSwitch::new(self.store.clone(), self.journaling()))
    }

    /// Has the journal catch up with the database.
    pub(crate) fn keep(&self) -> KeepJournal {
        let keep = KeepJournal::new(self.journaling());
        match &self.ledger {
            Some(file) => {
                let ledger: Arc<dyn ErasureLedger> = Arc::new(LedgerFile::new(file));
                keep.with_ledger(ledger, self.store.clone())
            }
            None => keep,
        }
    }

    /// Has the journal catch up after a command has taken a step, which is done whatever becomes of this.
    pub(crate) async fn catch_up(&self, limit: Duration) {
        if self.database.is_none() {
            // The workers report it: without a journal they do nothing.
            return;
        }
        let consequence = "what was done is stored, but not in the journal yet: a worker writes it, and no deletion starts before";
        match tokio::time::timeout(limit, self.keep().execute()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let Failure { code, message } = error.into();
                tracing::warn!(%code, message, "{consequence}");
            }
            Err(_) => tracing::warn!("{consequence}"),
        }
    }

    pub(crate) async fn close(&self) {
        if let Some(database) = &self.database {
            database.close().await;
        }
    }
}

/// The questions of the own identity, and a note of whether they led to a step.
pub(crate) struct NotingSteps {
    pub(crate) facade: Box<dyn IdentityDeletionFacade>,
    pub(crate) stepped: Arc<AtomicBool>,
}

impl NotingSteps {
    fn note(&self, step: Result<ProcessData, Failure>) -> Result<ProcessData, Failure> {
        if step.is_ok() {
            self.stepped.store(true, Ordering::Relaxed);
        }
        step
    }
}

#[async_trait]
impl IdentityDeletionFacade for NotingSteps {
    fn now(&self) -> Timestamp {
        self.facade.now()
    }

    async fn identity(&self) -> Result<IdentityData, Failure> {
        self.facade.identity().await
    }

    async fn deleted_before(&self) -> Result<Option<DeletedOwnIdentity>, Failure> {
        self.facade.deleted_before().await
    }

    async fn deletion_was_shown(&self, deleted: &DeletedOwnIdentity) {
        self.facade.deletion_was_shown(deleted).await;
    }

    async fn initiate(&self, length_in_days: Option<f64>) -> Result<ProcessData, Failure> {
        self.note(self.facade.initiate(length_in_days).await)
    }

    async fn cancel(&self) -> Result<ProcessData, Failure> {
        self.note(self.facade.cancel().await)
    }

    async fn active(&self) -> Result<ProcessData, Failure> {
        self.facade.active().await
    }

    async fn process(&self, id: &str) -> Result<ProcessData, Failure> {
        self.facade.process(id).await
    }

    async fn processes(&self) -> Result<Vec<ProcessData>, Failure> {
        self.facade.processes().await
    }
}
