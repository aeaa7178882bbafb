//! A deployment in which days pass in microseconds.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reprieve_application::ports::{
    AuditTrail, Clock, ClockGuard as _, DeletionProcesses, DeletionsSwitch as _, Eraser, ErasureTasks,
    Figures, Holds, Identities, Journal, Receipts, SwitchSetting, TaskStatus,
};
use reprieve_application::use_cases::{
    CancelIdentityDeletionProcess, CancelIdentityDeletionProcessError, ErasureSettings, ErasuresRun,
    Forgotten, InitiateIdentityDeletionProcess, InitiateIdentityDeletionProcessError, JournalKept, KeepHouse,
    KeepJournal, ManageHolds, NewHold, ReplayJournal, ReplayJournalPorts, Retention, RetryErasures,
    RunErasures, RunErasuresPorts, SendReminders, StartDueDeletions, StartDueDeletionsPorts, Swept,
    VerifiedAuditTrail, VerifyAuditTrail, VerifyAuditTrailError,
};
use reprieve_application::{
    Backoff, Caller, Erasers, GracePeriodSettings, JournaledAuditTrail, JournaledHolds, Journaling,
    KEEP_JOURNAL, PauseReason, ReminderSettings, StoreError,
};
use reprieve_domain::audit::{AuditKey, JournalEntry};
use reprieve_domain::{Address, DeletionProcess, DeletionProcessId, Timestamp};
use reprieve_persistence::{Clocks, ConnectionOptions, Database, DatabaseUrl, JournalDatabase, Store};
use reprieve_system::{JwsReceiptChecker, JwsReceiptSigner, SystemIds};
use reprieve_tests::{Sql, TestDatabase};

pub(crate) use super::eraser::TestEraser;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;
/// When the grace period of a process that was initiated at zero is over.
pub(crate) const END: i64 = 14 * DAY;

/// So many microseconds after an instant in 2027.
pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(1_800_000_000_000_000 + micros).unwrap()
}

pub(crate) fn address(number: usize) -> Address {
    format!("did:web:example.org:users:{number}").parse().unwrap()
}

pub(crate) fn caller(number: usize) -> Caller {
    Caller { address: address(number), device: "DVC0123456789abcdefg".parse().unwrap() }
}

fn receipt_signer() -> JwsReceiptSigner {
    JwsReceiptSigner::new(reprieve_application::SecretKey::new([7; 32]))
}

/// A clock that stands until it is set, and is wrong by so many microseconds.
pub(crate) struct TestClock(Arc<AtomicI64>, i64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::SeqCst) + self.1).unwrap()
    }
}

pub(crate) struct World {
    pub(crate) store: Arc<Store>,
    pub(crate) journal: Arc<JournalDatabase>,
    pub(crate) settings: ErasureSettings,
    pub(crate) most_per_hour: Option<NonZeroU32>,
    clock: Arc<TestClock>,
    erasers: Erasers,
    database: Arc<TestDatabase>,
    folder: Arc<tempfile::TempDir>,
}

/// With connections of its own.
async fn connect(database: &TestDatabase) -> Database {
    let options = ConnectionOptions {
        max_connections: 4,
        acquire_timeout: Duration::from_mins(1),
        ..ConnectionOptions::default()
    };
    Database::connect(&database.url().parse().unwrap(), &options).await.unwrap()
}

/// The bytes from 0 to 31.
pub(crate) const AUDIT_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub(crate) fn audit_key() -> AuditKey {
    AuditKey::new(&(0..32).collect::<Vec<u8>>()).unwrap()
}

/// A journal in this file.
pub(crate) fn journal_at(file: impl Into<std::path::PathBuf>) -> JournalDatabase {
    let options =
        ConnectionOptions { acquire_timeout: Duration::from_mins(1), ..ConnectionOptions::default() };
    JournalDatabase::new(DatabaseUrl::sqlite_file(file), options, audit_key())
}

async fn store(database: Database) -> Arc<Store> {
    let key = audit_key();
    Arc::new(
        database
            .into_store(key, Clocks::believed(Arc::new(Timestamp::from_unix_micros(0).unwrap())))
            .await
            .unwrap(),
    )
}

impl World {
    /// At zero, with these erasers.
    pub(crate) async fn new(database: TestDatabase, erasers: &[Arc<TestEraser>]) -> Self {
        let erasers = erasers.iter().map(|eraser| eraser.clone() as Arc<dyn Eraser>);
        Self::with(database, Erasers::new(erasers).unwrap()).await
    }

    pub(crate) async fn with(database: TestDatabase, erasers: Erasers) -> Self {
        let connected = connect(&database).await;
        connected.migrate().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self {
            store: store(connected).await,
            journal: Arc::new(journal_at(folder.path().join("journal"))),
            settings: ErasureSettings {
                lease: Duration::from_mins(2),
                concurrency: 4,
                poll_interval: Duration::from_secs(10),
                backoff: Backoff {
                    first: Duration::from_secs(10),
                    longest: Duration::from_hours(1),
                    patience: Duration::from_hours(24),
                },
            },
            clock: Arc::new(TestClock(Arc::new(AtomicI64::new(at(0).unix_micros())), 0)),
            most_per_hour: None,
            erasers,
            database: Arc::new(database),
            folder: Arc::new(folder),
        }
    }

    /// Another instance of the same deployment, whose clock is wrong by so many microseconds.
    pub(crate) async fn instance(&self, micros_off: i64) -> Self {
        self.instance_on(self.database.clone(), micros_off).await
    }

    /// The same deployment on this database, which may have been put back.
    pub(crate) async fn instance_on(&self, database: Arc<TestDatabase>, micros_off: i64) -> Self {
        Self {
            store: store(connect(&database).await).await,
            journal: self.journal.clone(),
            settings: self.settings,
            most_per_hour: self.most_per_hour,
            clock: Arc::new(TestClock(self.clock.0.clone(), micros_off)),
            erasers: self.erasers.clone(),
            database,
            folder: self.folder.clone(),
        }
    }

    pub(crate) fn database(&self) -> Arc<TestDatabase> {
        self.database.clone()
    }

    /// Closes the connections to the database.
    pub(crate) async fn close(&self) {
        self.store.as_ref().clone().close().await;
    }

    /// Takes other erasers into force; returns those before.
    pub(crate) fn configure(&mut self, erasers: Erasers) -> Erasers {
        std::mem::replace(&mut self.erasers, erasers)
    }

    pub(crate) fn set(&self, micros: i64) {
        self.set_to(at(micros));
    }

    pub(crate) fn set_to(&self, instant: Timestamp) {
        self.clock.0.store(instant.unix_micros(), Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn initiate(&self, number: usize) -> DeletionProcess {
        self.initiate_for(number, 14.0).await
    }

    pub(crate) async fn initiate_for(&self, number: usize, days: f64) -> DeletionProcess {
        self.try_initiate_for(number, days).await.unwrap()
    }

    pub(crate) async fn try_initiate_for(
        &self,
        number: usize,
        days: f64,
    ) -> Result<DeletionProcess, InitiateIdentityDeletionProcessError> {
        let settings = GracePeriodSettings::from_days(14.0, 0.001, 365.0).unwrap();
        let use_case = InitiateIdentityDeletionProcess::new(
            self.store.clone(),
            self.clock.clone(),
            Arc::new(SystemIds),
            settings,
        );
        use_case.execute(&caller(number), Some(days)).await
    }

    pub(crate) async fn cancel(
        &self,
        number: usize,
    ) -> Result<DeletionProcess, CancelIdentityDeletionProcessError> {
        CancelIdentityDeletionProcess::new(self.store.clone(), self.clock.clone())
            .execute(&caller(number))
            .await
    }

    pub(crate) async fn remind(&self) -> Swept {
        self.remind_by(ReminderSettings::default()).await
    }

    pub(crate) async fn remind_by(&self, settings: ReminderSettings) -> Swept {
        SendReminders::new(
            self.store.clone(),
            self.audit_trail(),
            self.store.clone(),
            self.clock.clone(),
            self.store.clone(),
            settings,
        )
        .execute()
        .await
        .unwrap()
    }

    pub(crate) async fn start_deletions(&self) -> Swept {
        self.try_start_deletions().await.unwrap()
    }

    pub(crate) async fn try_start_deletions(&self) -> Result<Swept, StoreError> {
        let ports = StartDueDeletionsPorts {
            processes: self.store.clone(),
            audit_trail: self.audit_trail(),
            identities: self.store.clone(),
            holds: self.holds(),
            switch: self.store.clone(),
            clock: self.clock.clone(),
            clocks: self.store.clone(),
        };
        StartDueDeletions::new(ports, self.erasers.clone(), self.most_per_hour).execute().await
    }

    pub(crate) fn erasures(&self) -> RunErasures {
        let ports = RunErasuresPorts {
            tasks: self.store.clone(),
            switch: self.store.clone(),
            holds: self.store.clone(),
            identities: self.store.clone(),
            audit_trail: self.audit_trail(),
            signer: Arc::new(receipt_signer()),
            clock: self.clock.clone(),
            ids: Arc::new(SystemIds),
        };
        RunErasures::new(ports, self.erasers.clone(), self.settings)
    }

    pub(crate) async fn erase(&self) -> ErasuresRun {
        self.erasures().execute().await.unwrap()
    }

    /// Leaves a record of the clock, which the stores of the tests do without.
    pub(crate) async fn confirm_clock(&self) {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let clocks = Clocks::compared(clock, Clocks::TOLERANCE, Clocks::GREATEST_GAP);
        let store = connect(&self.database).await.into_store(audit_key(), clocks).await.unwrap();
        for _ in 0..2 {
            store.confirm(self.clock.now()).await.unwrap();
        }
        store.close().await;
    }

    /// Leaves a record of a pause that is over.
    pub(crate) async fn pause_and_resume(&self) {
        let reason: PauseReason = "a drill".parse().unwrap();
        for setting in [SwitchSetting::Paused(reason.clone()), SwitchSetting::Resumed(Some(reason))] {
            assert!(self.store.set(&setting, self.now()).await.unwrap());
        }
    }

    pub(crate) fn manage_holds(&self) -> ManageHolds {
        ManageHolds::new(self.store.clone(), self.store.clone(), self.clock.clone())
    }

    /// Places a hold until this instant, in microseconds of the world.
    pub(crate) async fn hold(&self, number: usize, code: &str, until: i64) {
        let ends_at = at(until);
        let new = NewHold {
            address: address(number),
            code: code.parse().unwrap(),
            ends_at,
            is_silent: false,
            note: None,
        };
        self.manage_holds().place(&new).await.unwrap();
    }

    pub(crate) fn retry(&self) -> RetryErasures {
        RetryErasures::new(self.store.clone(), self.clock.clone())
    }

    pub(crate) async fn keep_house(&self) -> Forgotten {
        self.keep_house_by(Retention::default()).await
    }

    pub(crate) async fn keep_house_by(&self, retention: Retention) -> Forgotten {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        KeepHouse::new(store.clone(), store.clone(), clock, store, retention, Vec::new())
            .execute()
            .await
            .unwrap()
    }

    pub(crate) fn replay(&self) -> ReplayJournal {
        let ports = ReplayJournalPorts {
            keep: KeepJournal::new(self.journaling()),
            audit_trail: self.store.clone(),
            processes: self.store.clone(),
            identities: self.store.clone(),
            clock: self.clock.clone(),
            ids: Arc::new(SystemIds),
        };
        ReplayJournal::new(ports, self.erasers.names())
    }

    /// Every process of an identity, oldest first.
    pub(crate) async fn processes(&self, number: usize) -> Vec<DeletionProcess> {
        DeletionProcesses::list(self.store.as_ref(), &address(number)).await.unwrap()
    }

    pub(crate) async fn open_process(&self, number: usize) -> Option<DeletionProcess> {
        Identities::load(self.store.as_ref(), &address(number)).await.unwrap().value.into_open_process()
    }

    /// What the audit trail says was done, oldest first.
    pub(crate) async fn audited(&self, number: usize) -> Vec<String> {
        let entries = self.store.entries(&address(number), None).await.unwrap();
        entries.into_iter().map(|entry| entry.message_key).collect()
    }

    /// Whether the process was begun after the identity was deleted, as often as it was.
    pub(crate) async fn is_newer_than_all_deletions(&self, process: &DeletionProcessId) -> bool {
        let sql = format!(
            "SELECT CAST(count(*) AS text) FROM closed_processes WHERE status = 'Deleted' AND identity_hash = \
             (SELECT identity_hash FROM audit_entries WHERE process_id = '{process}' AND sequence = 1) AND logical_time >= \
             (SELECT logical_time FROM deletion_processes WHERE id = '{process}')"
        );
        self.with_sql(move |database| database.texts(&sql)).await == ["0"]
    }

    pub(crate) fn journaling(&self) -> Journaling {
        let ids = Arc::new(SystemIds);
        Journaling::new(self.journal.clone(), self.store.clone(), self.clock.clone(), ids, KEEP_JOURNAL)
    }

    /// The audit trail as workers see it.
    pub(crate) fn audit_trail(&self) -> Arc<dyn AuditTrail> {
        Arc::new(JournaledAuditTrail::new(self.store.clone(), self.journaling()))
    }

    pub(crate) fn holds(&self) -> Arc<dyn Holds> {
        Arc::new(JournaledHolds::new(self.store.clone(), self.store.clone(), self.journaling()))
    }

    pub(crate) async fn keep_journal(&self) -> JournalKept {
        KeepJournal::new(self.journaling()).execute().await.unwrap()
    }

    /// The newest entry of each process that the journal has.
    pub(crate) async fn in_journal(&self) -> Vec<JournalEntry> {
        if self.journal.id().await.unwrap().is_none() {
            return Vec::new();
        }
        let page = self.journal.page(0, u32::MAX).await.unwrap();
        let remembered = self.journal.remembered(&page.processes).await.unwrap();
        remembered.into_values().filter_map(|known| known.newest().cloned()).collect()
    }

    /// Of each process whose deletion the journal knows to have started.
    pub(crate) async fn deletions_in_journal(&self) -> Vec<JournalEntry> {
        self.in_journal().await.into_iter().filter(JournalEntry::has_started).collect()
    }

    /// What is still to be done, of one process or of all.
    pub(crate) async fn tasks(&self, process: Option<&DeletionProcess>) -> Vec<TaskStatus> {
        let process = process.map(DeletionProcess::id);
        ErasureTasks::list(self.store.as_ref(), process, 1000).await.unwrap()
    }

    pub(crate) async fn receipt(&self, process: &DeletionProcess) -> Option<String> {
        self.receipt_of(process.id()).await
    }

    pub(crate) async fn receipt_of(&self, process: &DeletionProcessId) -> Option<String> {
        Receipts::find(self.store.as_ref(), process).await.unwrap()
    }

    /// The trail of everything is what was written, and so are the receipts.
    pub(crate) async fn verify(&self) {
        self.verified().await.unwrap();
    }

    pub(crate) async fn verified(&self) -> Result<VerifiedAuditTrail, VerifyAuditTrailError> {
        let checker = JwsReceiptChecker::new(Some(&receipt_signer()));
        VerifyAuditTrail::new(self.store.clone()).with_receipts(Arc::new(checker)).execute().await
    }

    /// The same, and nothing is missing that the journal has.
    pub(crate) async fn compared(&self) -> Result<VerifiedAuditTrail, VerifyAuditTrailError> {
        VerifyAuditTrail::new(self.store.clone()).with_journal(self.journaling()).execute().await
    }

    pub(crate) async fn figures(&self) -> Figures {
        DeletionProcesses::figures(self.store.as_ref(), self.now(), self.now()).await.unwrap()
    }

    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    /// The events of an identity, as they are stored.
    pub(crate) async fn events(&self, number: usize) -> Vec<serde_json::Value> {
        let sql = format!("SELECT data FROM outbox WHERE address = '{}' ORDER BY position", address(number));
        let texts = self.with_sql(move |database| database.texts(&sql)).await;
        texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    /// Looks at the database from outside. The connection blocks, so it has a thread of its own.
    pub(crate) async fn with_sql<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Sql) -> T + Send + 'static,
    ) -> T {
        let url = self.database.url().to_owned();
        let looked = tokio::task::spawn_blocking(move || {
            std::thread::spawn(move || look(&mut Sql::open(&url))).join().unwrap()
        });
        looked.await.unwrap()
    }
}
