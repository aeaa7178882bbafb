//! Who gets which implementation of which port.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use reprieve_application::facade::{IdentityDeletionFacade, LocalIdentityDeletion};
use reprieve_application::ports::ClockGuard;
use reprieve_application::use_cases::{
    AdoptJournal, BackUpDatabase, FollowEvents, GenerateApiKey, IssueIdentityToken, ManageHolds,
    PauseDeletions, PlanErasure, ProvideOwnIdentity, RedeliverEvents, ReplayJournal, ResumeDeletions,
    RetryErasures, ShowErasures, ShowJournal, ShowParkedEvents, ShowReceipt, VerifyAuditTrail, WaiveErasure,
};
use reprieve_application::{Area, ErrorCode, Finding, OwnIdentity};
use reprieve_cli::{
    Command, ConfigurationInForce, EventLines, Failure, Host, PassSummary, Server, UntilToldToStop,
    WorkerKind,
};
use reprieve_domain::audit::AuditKey;
use reprieve_persistence::{ConnectionOptions, Database, SqliteBackups, Store};
use reprieve_remote::{RemoteIdentityDeletion, RemoteOptions};
use reprieve_system::{AuditKeyFile, JwtSigner, SystemClock, SystemIds, verify_receipt};

use crate::checks::{self, Opened, Stored};
use crate::configuration::{AuditKeySource, Configuration};
use crate::journal::{NotingSteps, OpenJournal};
use crate::workers::{self, Workers};
use crate::{following, receipts, serve};

/// A command asks one question after the other: one connection answers them all.
const ONE_CONNECTION: u32 = 1;

/// Opens what a command asks for. A configuration that is not valid stops only the commands that need it.
pub(crate) struct Wiring {
    configuration: Result<Configuration, Failure>,
    opened: OnceLock<Database>,
    journal: OnceLock<OpenJournal>,
    /// Whether a step may have been taken that the journal is to have.
    stepped: Arc<AtomicBool>,
}

/// One thread does for one command, another one beside it if it may have to wait for who reads; the service has one a core.
pub(crate) fn runtime(command: &Command) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = match command {
        Command::Start => tokio::runtime::Builder::new_multi_thread(),
        command if command.is_following() => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(1);
            builder
        }
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build().map_err(|error| {
        Failure::new(ErrorCode::SystemFailed, format!("the runtime cannot be started: {error}"))
    })
}

impl Wiring {
    pub(crate) fn new(configuration: Result<Configuration, Failure>) -> Self {
        Self { configuration, opened: OnceLock::new(), journal: OnceLock::new(), stepped: Arc::default() }
    }

    /// Writes into the journal what was done, and closes what was opened. A database that does not come to an end with what it is doing is left alone: what was
    /// acknowledged is stored.
    pub(crate) async fn close(self) {
        let Ok(configuration) = self.configuration else { return };
        let close = async {
            if let Some(journal) = self.journal.into_inner() {
                if self.stepped.load(Ordering::Relaxed) {
                    journal.catch_up(configuration.timeout).await;
                }
                journal.close().await;
            }
            if let Some(database) = self.opened.into_inner() {
                database.close().await;
            }
        };
        if tokio::time::timeout(2 * configuration.timeout, close).await.is_err() {
            tracing::warn!("the connections to the database were not closed in time");
        }
    }

    fn valid(&self) -> Result<&Configuration, Failure> {
        self.configuration.as_ref().map_err(Clone::clone)
    }

    /// Refuses a command that is about the own database, for somebody who may believe it is about the server's.
    fn local_only(&self, command: &str) -> Result<(), Failure> {
        match &self.valid()?.server {
            None => Ok(()),
            Some(RemoteOptions { server, .. }) => Err(Failure::new(
                ErrorCode::CommandLocalOnly,
                format!(
                    "`{command}` is about a database of one's own, but the server {server} is named; \
                     with `--server=` none is"
                ),
            )),
        }
    }

    async fn connect(&self, options: &ConnectionOptions) -> Result<Database, Failure> {
        let configuration = self.valid()?;
        let database = Database::connect(&configuration.database, options).await?;
        tracing::info!(database = %configuration.database, "connected");
        Ok(self.opened.get_or_init(|| database).clone())
    }

    /// The store for a command, which uses this many connections at most.
    async fn store(&self, max_connections: u32) -> Result<Store, Failure> {
        self.store_over(&self.valid()?.connection_options(max_connections)).await
    }

    async fn store_over(&self, options: &ConnectionOptions) -> Result<Store, Failure> {
        let configuration = self.valid()?;
        let database = self.connect(options).await?;
        if configuration.database.file().is_some() {
            for migration in database.migrate().await? {
                tracing::info!(migration, "applied");
            }
        } else if !database.pending().await?.is_empty() {
            return Err(reprieve_persistence::DatabaseError::NotMigrated.into());
        }
        let key = match &configuration.audit_key {
            AuditKeySource::Configured(key) => key.clone(),
            AuditKeySource::File(file) => audit_key(&database, &AuditKeyFile::new(file)).await?,
        };
        Ok(database.into_store(key, configuration.clocks.clone()).await?)
    }

    /// The workers. A pass does several things at once.
    async fn workers(&self, command: &str) -> Result<Arc<Workers>, Failure> {
        self.local_only(command)?;
        let configuration = self.valid()?;
        let store = Arc::new(self.store(configuration.connections).await?);
        Ok(Workers::new(store.clone(), self.journal(&store)?, configuration))
    }

    /// The journal of this store, which is the only one of a command.
    fn journal(&self, store: &Arc<Store>) -> Result<OpenJournal, Failure> {
        let configuration = self.valid()?;
        Ok(self.journal.get_or_init(|| OpenJournal::new(store, configuration)).clone())
    }

    /// The own database.
    async fn own_store(&self, command: &str) -> Result<Arc<Store>, Failure> {
        self.local_only(command)?;
        Ok(Arc::new(self.store(ONE_CONNECTION).await?))
    }

    /// The own identity, and the store it is kept in.
    async fn own_identity(&self) -> Result<(Arc<Store>, OwnIdentity), Failure> {
        let domain = self.valid()?.identity_domain.clone();
        let store = Arc::new(self.store(ONE_CONNECTION).await?);
        let own = ProvideOwnIdentity::new(store.clone(), Arc::new(SystemIds), domain).execute().await?;
        Ok((store, own))
    }
}

/// The key in the file; a new one only for a database that has not seen one, because no other would do.
async fn audit_key(database: &Database, file: &AuditKeyFile) -> Result<AuditKey, Failure> {
    match known_audit_key(database, file).await? {
        Some(key) => Ok(key),
        None => Ok(file.create()?),
    }
}

/// The key in the file; none if there is none yet because the database has not seen one.
pub(crate) async fn known_audit_key(
    database: &Database,
    file: &AuditKeyFile,
) -> Result<Option<AuditKey>, Failure> {
    if let Some(key) = file.read()? {
        return Ok(Some(key));
    }
    if !database.has_audit_key().await? {
        return Ok(None);
    }
    // The file comes first: if somebody else has just made both, it is there now.
    let key = file.read()?;
    key.map(Some).ok_or_else(|| {
        Failure::new(
            ErrorCode::AuditKeyUnusable,
            format!(
                "the database was written with an audit key, but there is no file {}; set audit.key or audit.key_file",
                file.path().display()
            ),
        )
    })
}

#[async_trait]
impl Host for Wiring {
    async fn identity_deletion(&self) -> Result<Box<dyn IdentityDeletionFacade>, Failure> {
        let configuration = self.valid()?;
        let (store, own) = self.own_identity().await?;
        let ids = Arc::new(SystemIds);
        Ok(match configuration.server.clone() {
            None => {
                self.journal(&store)?;
                let clock = store.clock();
                let bounds = configuration.grace_period;
                let facade = Box::new(LocalIdentityDeletion::new(own.caller(), store, clock, ids, bounds));
                Box::new(NotingSteps { facade, stepped: self.stepped.clone() })
            }
            Some(server) => Box::new(RemoteIdentityDeletion::new(
                server,
                own,
                Arc::new(SystemClock),
                ids,
                Arc::new(JwtSigner),
            )?),
        })
    }

    async fn issue_identity_token(&self) -> Result<IssueIdentityToken, Failure> {
        let (_, own) = self.own_identity().await?;
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds));
        Ok(IssueIdentityToken::new(own, clock, ids, Arc::new(JwtSigner)))
    }

    fn generate_api_key(&self) -> GenerateApiKey {
        GenerateApiKey::new(Arc::new(SystemClock), Arc::new(SystemIds))
    }

    async fn audit_trail(&self) -> Result<VerifyAuditTrail, Failure> {
        let store = self.own_store("audit verify").await?;
        let receipts = receipts::receipt_checker(&store, &self.valid()?.workers).await?;
        let journaling = self.journal(&store)?.journaling();
        Ok(VerifyAuditTrail::new(store).with_receipts(Arc::new(receipts)).with_journal(journaling))
    }

    async fn run_pass(&self, worker: WorkerKind) -> Result<PassSummary, Failure> {
        let workers = self.workers("worker").await?;
        // What the journal pass has written is in it already.
        self.stepped.store(worker != WorkerKind::Journal, Ordering::Relaxed);
        workers.pass(worker).await
    }

    async fn run_worker(&self, worker: WorkerKind) -> Result<(), Failure> {
        let workers = self.workers("worker").await?;
        workers.check(worker).await?;
        let shutdown = serve::shutdown_signal()?;
        let _sharing = workers.share_wake_ups();
        workers.run(worker, shutdown).await;
        Ok(())
    }

    async fn plan_erasure(&self) -> Result<PlanErasure, Failure> {
        self.local_only("deletions plan")?;
        workers::plan_erasure(&self.valid()?.workers)
    }

    async fn clocks(&self) -> Result<Arc<dyn ClockGuard>, Failure> {
        Ok(self.own_store("clock").await?)
    }

    async fn show_erasures(&self) -> Result<ShowErasures, Failure> {
        let store = self.own_store("deletions show").await?;
        let switch = self.journal(&store)?.switch();
        Ok(ShowErasures::new(store, switch))
    }

    async fn pause_deletions(&self) -> Result<PauseDeletions, Failure> {
        let store = self.own_store("deletions pause").await?;
        let switch = self.journal(&store)?.switch();
        self.stepped.store(true, Ordering::Relaxed);
        Ok(PauseDeletions::new(switch, store.clock()))
    }

    async fn resume_deletions(&self) -> Result<ResumeDeletions, Failure> {
        let store = self.own_store("deletions resume").await?;
        let switch = self.journal(&store)?.switch();
        self.stepped.store(true, Ordering::Relaxed);
        Ok(ResumeDeletions::new(switch, store.clock()))
    }

    async fn holds(&self) -> Result<ManageHolds, Failure> {
        let store = self.own_store("hold").await?;
        let _ = self.journal(&store)?;
        self.stepped.store(true, Ordering::Relaxed);
        let clock = store.clock();
        Ok(ManageHolds::new(store.clone(), store, clock))
    }

    async fn retry_erasures(&self) -> Result<RetryErasures, Failure> {
        let store = self.own_store("deletions retry").await?;
        let clock = store.clock();
        Ok(RetryErasures::new(store, clock))
    }

    async fn waive_erasure(&self) -> Result<WaiveErasure, Failure> {
        let store = self.own_store("deletions waive").await?;
        let _ = self.journal(&store)?;
        self.stepped.store(true, Ordering::Relaxed);
        let clock = store.clock();
        Ok(WaiveErasure::new(store.clone(), store, clock))
    }

    async fn show_receipt(&self) -> Result<ShowReceipt, Failure> {
        Ok(ShowReceipt::new(self.own_store("receipt show").await?))
    }

    fn receipt_public_key(&self) -> Result<String, Failure> {
        Ok(receipts::receipt_signer(&self.valid()?.workers)?.public_key_jwk())
    }

    fn verify_receipt(&self, signed: &str, public_key: Option<&Path>) -> Result<serde_json::Value, Failure> {
        let public_key = match public_key {
            None => self.receipt_public_key()?,
            Some(file) => std::fs::read_to_string(file).map_err(|error| {
                Failure::new(
                    ErrorCode::ReceiptKeyUnusable,
                    format!("the public key {} cannot be read: {error}", file.display()),
                )
            })?,
        };
        Ok(verify_receipt(signed, &public_key)?)
    }

    async fn replay_journal(&self, erasers: &[String]) -> Result<ReplayJournal, Failure> {
        let workers = self.workers("journal replay").await?;
        // What an older version has left is taken over, and what is lacking is noticed, before anything is done about it.
        self.stepped.store(true, Ordering::Relaxed);
        workers.replay_journal(erasers)
    }

    async fn show_journal(&self) -> Result<ShowJournal, Failure> {
        self.local_only("journal status")?;
        let store = Arc::new(self.store(ONE_CONNECTION).await?);
        Ok(ShowJournal::new(self.journal(&store)?.journaling()))
    }

    async fn adopt_journal(&self) -> Result<AdoptJournal, Failure> {
        self.local_only("journal adopt")?;
        let store = Arc::new(self.store(ONE_CONNECTION).await?);
        self.stepped.store(true, Ordering::Relaxed);
        Ok(AdoptJournal::new(self.journal(&store)?.journaling(), store.clock()))
    }

    fn event_schemas(&self) -> Vec<(&'static str, &'static str)> {
        following::schemas()
    }

    async fn show_parked_events(&self) -> Result<ShowParkedEvents, Failure> {
        Ok(ShowParkedEvents::new(self.own_store("events parked").await?))
    }

    async fn redeliver_events(&self) -> Result<RedeliverEvents, Failure> {
        let store = self.own_store("events redeliver").await?;
        let clock = store.clock();
        Ok(RedeliverEvents::new(store, clock))
    }

    async fn follow_events(&self, from_beginning: bool) -> Result<FollowEvents, Failure> {
        Ok(FollowEvents::new(self.own_store("events follow").await?, from_beginning))
    }

    fn event_lines(&self) -> Result<EventLines, Failure> {
        Ok(following::lines(&self.valid()?.events))
    }

    fn until_told_to_stop(&self) -> Result<Box<dyn UntilToldToStop>, Failure> {
        following::until_told_to_stop()
    }

    async fn migrate(&self) -> Result<Vec<String>, Failure> {
        self.local_only("database migrate")?;
        let options = self.valid()?.connection_options(ONE_CONNECTION);
        Ok(self.connect(&options).await?.migrate().await?)
    }

    async fn back_up_database(&self) -> Result<BackUpDatabase, Failure> {
        self.local_only("database backup")?;
        let configuration = self.valid()?;
        let Some(file) = configuration.database.file() else {
            let message =
                "PostgreSQL is backed up with its own tools: pg_dump copies a database while it is in use";
            return Err(Failure::new(ErrorCode::BackupNotSupported, message));
        };
        // Connecting would create it.
        if let Err(error) = std::fs::metadata(file) {
            let message = format!("there is no database to be copied: {}: {error}", file.display());
            return Err(Failure::new(ErrorCode::DatabaseUnavailable, message));
        }
        let options = configuration.connection_options(ONE_CONNECTION);
        let database = self.connect(&options).await?;
        let key = match &configuration.audit_key {
            AuditKeySource::Configured(key) => Some(key.clone()),
            AuditKeySource::File(file) => AuditKeyFile::new(file).read()?,
        };
        Ok(BackUpDatabase::new(Arc::new(SqliteBackups::new(
            database,
            file.to_owned(),
            key,
            configuration.clocks.clone(),
            options,
        ))))
    }

    async fn bind(&self) -> Result<Box<dyn Server>, Failure> {
        self.local_only("start")?;
        let configuration = self.valid()?;
        let store = Arc::new(self.store_over(&configuration.service_connection_options()).await?);
        let journal = self.journal(&store)?;
        Ok(Box::new(serve::bind(configuration, store, &journal).await?))
    }

    async fn check(&self, only_ready: bool) -> Result<Vec<Finding>, Failure> {
        let configuration = match self.valid() {
            Ok(configuration) => configuration,
            Err(failure) => return Ok(vec![Finding::failed(Area::Configuration, failure)]),
        };
        self.local_only("check")?;
        let Opened { findings, database, store, is_new } = checks::open(configuration).await;
        if let Some(database) = database {
            let _ = self.opened.set(database);
        }
        if only_ready {
            return Ok(findings);
        }
        let stored = match store {
            Some(store) => {
                let journal = self.journal(&store)?;
                Stored::Open(store, journal)
            }
            None if is_new => Stored::New,
            None => Stored::Unknown,
        };
        Ok(checks::all(configuration, findings, stored).await)
    }

    fn configuration(&self) -> Result<ConfigurationInForce, Failure> {
        Ok(self.valid()?.in_force())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration;
    use reprieve_cli::{GlobalOptions, OutputFormat};

    #[tokio::test]
    async fn what_is_about_the_own_database_is_refused_if_a_server_is_named_and_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (file, database) = (folder.path().join("empty.toml"), folder.path().join("reprieve.db"));
        std::fs::write(&file, "").unwrap();
        let wiring = Wiring::new(configuration::load(&GlobalOptions {
            config: Some(file),
            database_url: Some(format!("sqlite:{}", database.display())),
            server: Some("https://reprieve.example".to_owned()),
            output: OutputFormat::Text,
            verbose: 0,
        }));
        for refused in [
            wiring.audit_trail().await.map(drop).unwrap_err(),
            wiring.migrate().await.map(drop).unwrap_err(),
            wiring.back_up_database().await.map(drop).unwrap_err(),
            wiring.bind().await.map(drop).unwrap_err(),
            wiring.check(true).await.map(drop).unwrap_err(),
        ] {
            assert_eq!(refused.code, ErrorCode::CommandLocalOnly);
            assert!(refused.message.contains("https://reprieve.example"), "{refused:?}");
        }
        assert!(!database.exists());
    }
}
