//! A host for the tests of commands. What a test does not give it, no command may ask for.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::facade::IdentityDeletionFacade;
use reprieve_application::ports::{
    Alongside, ClockGuard, ClockReadings, DeletionsSwitch, Eraser, ErasureTasks, EventDeliveries,
    JournalPage, KnownJournal, Loaded, MockAuditTrail, MockClock, MockClockGuard, MockDeletionProcesses,
    MockDeletionsSwitch, MockEraser, MockErasureTasks, MockEventDeliveries, MockHolds, MockIdentities,
    MockIds, MockJournal, MockJournaledTrail, MockReceipts, MockTokenSigner, Receipts, Version,
};
use reprieve_application::use_cases::{
    AdoptJournal, BackUpDatabase, FollowEvents, GenerateApiKey, IssueIdentityToken, KeepJournal, ManageHolds,
    PauseDeletions, PlanErasure, RedeliverEvents, ReplayJournal, ReplayJournalPorts, ResumeDeletions,
    RetryErasures, ShowErasures, ShowJournal, ShowParkedEvents, ShowReceipt, VerifyAuditTrail, WaiveErasure,
};
use reprieve_application::{
    Erasers, ErrorCode, Finding, Journaling, KEEP_JOURNAL, KeyPair, OperatorNote, OutgoingEvent, OwnIdentity,
    SecretKey, StoreError,
};
use reprieve_domain::audit::{JournalDates, JournalEntry, JournalKind, KeyedHash, Remembered};
use reprieve_domain::{Address, Event, EventKind, GracePeriod, Identity, Status, Timestamp};

use crate::{
    Arguments, Command, ConfigurationInForce, EventLines, Failure, Host, Output, OutputFormat, PassSummary,
    Server, UntilToldToStop, WorkerKind,
};

use clap::Parser as _;

/// The public key of the host.
pub(super) const PUBLIC_KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#;

/// What the signed text `genuine` says.
pub(super) const RECEIPT: &str = r#"{
    "processId": "IDP0123456789abcdefg",
    "deletionCompletedAt": "2026-12-07T20:03:07.500000Z",
    "erasures": [{"eraser": "mail", "count": 12}, {"eraser": "documents", "count": 0}],
    "auditHead": {"length": 5, "hash": "0a0b"}
}"#;

#[derive(Default)]
pub(super) struct TestHost {
    waiver_note: Option<&'static str>,
    clock_readings: Option<ClockReadings>,
    pass: Mutex<Option<PassSummary>>,
    tasks: Option<Arc<dyn ErasureTasks>>,
    switch: Option<Arc<dyn DeletionsSwitch>>,
    erasers: Erasers,
    receipts: Option<Arc<dyn Receipts>>,
    ledger: Option<Ledger>,
    deliveries: Option<Arc<dyn EventDeliveries>>,
    findings: Vec<Finding>,
    pauses_left: usize,
    pauses: Arc<Mutex<Vec<Duration>>>,
}

/// What the types of events of the host look like.
pub(super) const SCHEMAS: [(&str, &str); 2] =
    [("a.happened", r#"{"title": "a"}"#), ("b.happened", r#"{"title": "b", "a": 1}"#)];

/// An event with this place.
pub(super) fn outgoing(sequence: i64) -> OutgoingEvent {
    OutgoingEvent {
        id: format!("EVT{sequence}"),
        sequence,
        event: Event {
            process_id: "IDP0123456789abcdefg".parse().unwrap(),
            address: "did:web:example.org".parse().unwrap(),
            occurred_at: now(),
            kind: EventKind::IdentityDeleted,
        },
        process: None,
        trace: None,
    }
}

/// What a row is that is no event. It is not to be trusted, not even to be one line.
pub(super) fn corrupt() -> StoreError {
    StoreError::Corrupt {
        table: "outbox",
        key: "8".to_owned(),
        column: "payload".to_owned(),
        problem: "not an\nevent".to_owned(),
    }
}

/// Goes on for some pauses and notes them.
struct Pauses {
    left: usize,
    noted: Arc<Mutex<Vec<Duration>>>,
}

#[async_trait]
impl UntilToldToStop for Pauses {
    async fn pause(&mut self, pause: Duration) -> bool {
        self.noted.lock().unwrap().push(pause);
        self.left -= 1;
        self.left > 0
    }
}

/// A journal with two deleted identities, neither of which is stored when the replay begins.
#[derive(Clone, Copy)]
pub(super) struct Ledger {
    /// Has a process whose grace period is over.
    pub(super) ripe: &'static str,
    /// Has a process whose grace period runs.
    pub(super) running: &'static str,
    /// Whether anything may be saved.
    pub(super) may_save: bool,
}

impl TestHost {
    pub(super) fn with_pass(self, pass: PassSummary) -> Self {
        Self { pass: Mutex::new(Some(pass)), ..self }
    }

    /// What the clocks show.
    pub(super) fn with_clock_readings(self, readings: ClockReadings) -> Self {
        Self { clock_readings: Some(readings), ..self }
    }

    /// What the waiver must say that is stored.
    pub(super) fn with_waiver_note(self, note: Option<&'static str>) -> Self {
        Self { waiver_note: note, ..self }
    }

    pub(super) fn with_tasks(self, tasks: MockErasureTasks) -> Self {
        Self { tasks: Some(Arc::new(tasks)), ..self }
    }

    pub(super) fn with_switch(self, switch: MockDeletionsSwitch) -> Self {
        Self { switch: Some(Arc::new(switch)), ..self }
    }

    fn switch(&self) -> Arc<dyn DeletionsSwitch> {
        self.switch.clone().unwrap_or_else(|| {
            let mut switch = MockDeletionsSwitch::new();
            switch.expect_pause_in_force().returning(|| Ok(None));
            Arc::new(switch)
        })
    }

    pub(super) fn with_erasers(self, erasers: impl IntoIterator<Item = MockEraser>) -> Self {
        let erasers = erasers.into_iter().map(|eraser| Arc::new(eraser) as Arc<dyn Eraser>);
        Self { erasers: Erasers::new(erasers).unwrap(), ..self }
    }

    pub(super) fn with_receipts(self, receipts: MockReceipts) -> Self {
        Self { receipts: Some(Arc::new(receipts)), ..self }
    }

    pub(super) fn with_ledger(self, ledger: Ledger) -> Self {
        Self { ledger: Some(ledger), ..self }
    }

    pub(super) fn with_deliveries(self, deliveries: MockEventDeliveries) -> Self {
        Self { deliveries: Some(Arc::new(deliveries)), ..self }
    }

    pub(super) fn with_findings(self, findings: Vec<Finding>) -> Self {
        Self { findings, ..self }
    }

    /// What goes on without an end is told to stop at this pause.
    pub(super) fn stopping_after(self, pauses: usize) -> Self {
        Self { pauses_left: pauses, ..self }
    }

    /// The pauses that were made.
    pub(super) fn pauses(&self) -> Vec<Duration> {
        self.pauses.lock().unwrap().clone()
    }
}

fn now() -> Timestamp {
    "2026-12-07T20:03:07.5Z".parse().unwrap()
}

fn clock() -> Arc<MockClock> {
    let mut clock = MockClock::new();
    clock.expect_now().returning(now);
    clock.expect_moment().returning(|| now().into());
    Arc::new(clock)
}

fn ids() -> Arc<MockIds> {
    let mut ids = MockIds::new();
    ids.expect_random_bytes().returning(|| Ok([0; 32]));
    Arc::new(ids)
}

/// Runs a command line and returns what it writes on standard output.
pub(super) async fn run(line: &[&str]) -> Result<String, Failure> {
    let (result, out) = run_on(&TestHost::default(), line).await;
    result.map(|()| out)
}

/// Runs a command line; returns how it ends, and what it writes on standard output until then.
pub(super) async fn run_on(host: &TestHost, line: &[&str]) -> (Result<(), Failure>, String) {
    let arguments = Arguments::try_parse_from(["reprieve"].iter().chain(line)).unwrap();
    let (command, format): (Command, OutputFormat) = (arguments.command, arguments.options.output);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let result = super::run(&command, host, &mut Output::new(format, &mut out, &mut err)).await;
    (result, String::from_utf8(out).unwrap())
}

/// An identity whose deletion waits for an eraser.
fn waiting_for(eraser: &str, address: &Address) -> Identity {
    let (begin, end) = ("2026-11-01T00:00:00Z".parse().unwrap(), "2026-11-15T00:00:00Z".parse().unwrap());
    let length = GracePeriod::between(begin, end).unwrap();
    let (id, device) = ("IDP0123456789abcdefg".parse().unwrap(), "DVC0123456789abcdefg".parse().unwrap());
    let process = Identity::new(address.clone()).initiate(id, device, length, begin).unwrap().into_process();
    let erasers = [eraser.parse().unwrap()].into();
    let (id, identity) = (process.id().clone(), Identity::with_open_process(process).unwrap());
    let process = identity.start_deletion(&id, erasers, end).unwrap().into_process();
    Identity::with_open_process(process).unwrap()
}

impl Ledger {
    fn hash(self, address: &Address) -> KeyedHash {
        match address.as_str() {
            text if text == self.ripe => [1; 32].into(),
            text if text == self.running => [2; 32].into(),
            _ => [0; 32].into(),
        }
    }

    fn identity(self, address: &Address) -> Identity {
        let (id, begin, end) = if address.as_str() == self.ripe {
            ("IDP00000000000000003", "2026-11-01T00:00:00Z", "2026-11-15T00:00:00Z")
        } else {
            ("IDP00000000000000004", "2026-12-01T00:00:00Z", "2026-12-15T00:00:00Z")
        };
        let begin = begin.parse().unwrap();
        let length = GracePeriod::between(begin, end.parse().unwrap()).unwrap();
        let device = "DVC0123456789abcdefg".parse().unwrap();
        let step =
            Identity::new(address.clone()).initiate(id.parse().unwrap(), device, length, begin).unwrap();
        Identity::with_open_process(step.into_process()).unwrap()
    }

    fn replay(self) -> ReplayJournal {
        let entry = |process: &str, hash: u8| JournalEntry {
            process_id: process.parse().unwrap(),
            identity_hash: [hash; 32].into(),
            kind: JournalKind::Forgotten,
            branch: 0,
            revision: 3,
            entry_hash: [3; 32].into(),
            status: Status::Deleted,
            dates: JournalDates {
                created_at: "2026-10-01T00:00:00Z".parse().unwrap(),
                grace_period_ends_at: "2026-10-15T00:00:00Z".parse().unwrap(),
                suspended_until: None,
                cancelled_at: None,
                deletion_started_at: Some("2026-10-15T00:01:00Z".parse().unwrap()),
                deletion_completed_at: Some("2026-10-15T00:02:00Z".parse().unwrap()),
            },
        };
        let entries = [entry("IDP00000000000000001", 1), entry("IDP00000000000000002", 2)];
        let processes = entries.clone().map(|entry| entry.process_id);
        let mut journal = MockJournal::new();
        journal.expect_id().returning(|| Ok(Some("known".to_owned())));
        journal.expect_newest().returning(|| Ok(2));
        journal.expect_page().returning(move |after, _| {
            let page = JournalPage { processes: processes.to_vec(), damaged: Vec::new(), last: Some(2) };
            Ok(if after < 2 { page } else { JournalPage::default() })
        });
        journal.expect_remembered().returning(move |ids| {
            let remembered = |entry: &JournalEntry| {
                let remembered = Remembered { entries: vec![entry.clone()], is_damaged: false };
                (entry.process_id.clone(), remembered)
            };
            Ok(entries.iter().filter(|entry| ids.contains(&entry.process_id)).map(remembered).collect())
        });
        journal.expect_pause().returning(|| Ok(<_>::default()));
        let mut trail = MockJournaledTrail::new();
        trail.expect_pause_setting().returning(|| Ok(None));
        let known = || KnownJournal { id: Some("known".to_owned()), position: 2, ..KnownJournal::default() };
        trail.expect_known_journal().returning(move || Ok(known()));
        trail.expect_forgotten().returning(|_| Ok(Vec::new()));
        trail.expect_unjournaled().returning(|_, _| Ok(Vec::new()));
        trail.expect_note_journaled().returning(|_| Ok(()));
        trail.expect_unjournaled_holds().returning(|_| Ok(Vec::new()));
        trail.expect_doubted().returning(|_, _| Ok(Vec::new()));
        trail.expect_quarantine().returning(|_| Ok(()));
        trail.expect_accounts().returning(|_| Ok(BTreeMap::new()));
        trail.expect_note_current().returning(|_| Ok(()));
        let keep = Journaling::new(Arc::new(journal), Arc::new(trail), clock(), ids(), KEEP_JOURNAL);
        let mut audit_trail = MockAuditTrail::new();
        audit_trail.expect_identity_hash().returning(move |address| self.hash(address));
        audit_trail.expect_verified().returning(move |ids| {
            let ripe = self.identity(&self.ripe.parse().unwrap()).into_open_process().unwrap();
            let version = Version { length: 1, hash: [4; 32].into() };
            Ok([(ids[0].clone(), Ok(Loaded { value: ripe, version }))].into())
        });
        let mut processes = MockDeletionProcesses::new();
        processes.expect_addresses().returning(|_, _| Ok(vec![]));
        processes.expect_list().returning(|_| Ok(vec![]));
        let mut identities = MockIdentities::new();
        identities.expect_load().returning(move |address| {
            let version = Version { length: 1, hash: [4; 32].into() };
            Ok(Loaded { value: self.identity(address), version })
        });
        identities.expect_save().times(usize::from(self.may_save)).returning(|_, _, _| Ok(()));
        let ports = ReplayJournalPorts {
            keep: KeepJournal::new(keep),
            audit_trail: Arc::new(audit_trail),
            processes: Arc::new(processes),
            identities: Arc::new(identities),
            clock: clock(),
            ids: ids(),
        };
        ReplayJournal::new(ports, <_>::default())
    }
}

#[async_trait]
impl Host for TestHost {
    async fn issue_identity_token(&self) -> Result<IssueIdentityToken, Failure> {
        let identity = OwnIdentity {
            address: "did:web:example.org".parse().unwrap(),
            device: "DVC0123456789abcdefg".parse().unwrap(),
            keys: KeyPair { secret: SecretKey::new([7; 32]), public: [9; 32] },
        };
        let mut signer = MockTokenSigner::new();
        signer.expect_sign().returning(|claims, _| format!("token-for-{}", claims.audience));
        Ok(IssueIdentityToken::new(identity, clock(), ids(), Arc::new(signer)))
    }

    fn generate_api_key(&self) -> GenerateApiKey {
        GenerateApiKey::new(clock(), ids())
    }

    async fn run_pass(&self, worker: WorkerKind) -> Result<PassSummary, Failure> {
        let pass = self.pass.lock().unwrap().take().unwrap();
        let kind = match pass {
            PassSummary::Reminders(_) => WorkerKind::Reminders,
            PassSummary::Deletions(_) => WorkerKind::Deletions,
            PassSummary::Erasures(_) => WorkerKind::Erasures,
            PassSummary::Outbox(_) => WorkerKind::Outbox,
            PassSummary::Housekeeping(_) => WorkerKind::Housekeeping,
            PassSummary::Journal(_) => WorkerKind::Journal,
        };
        assert_eq!(worker, kind);
        Ok(pass)
    }

    async fn run_worker(&self, _: WorkerKind) -> Result<(), Failure> {
        Ok(())
    }

    async fn plan_erasure(&self) -> Result<PlanErasure, Failure> {
        Ok(PlanErasure::new(self.erasers.clone()))
    }

    async fn clocks(&self) -> Result<Arc<dyn ClockGuard>, Failure> {
        let mut clocks = MockClockGuard::new();
        let readings = self.clock_readings.clone().unwrap();
        clocks.expect_compare().returning(move || Ok(readings.clone()));
        clocks.expect_confirm().returning(|_| Ok(()));
        Ok(Arc::new(clocks))
    }

    async fn show_erasures(&self) -> Result<ShowErasures, Failure> {
        Ok(ShowErasures::new(self.tasks.clone().unwrap(), self.switch()))
    }

    async fn pause_deletions(&self) -> Result<PauseDeletions, Failure> {
        Ok(PauseDeletions::new(self.switch(), clock()))
    }

    async fn resume_deletions(&self) -> Result<ResumeDeletions, Failure> {
        Ok(ResumeDeletions::new(self.switch(), clock()))
    }

    async fn holds(&self) -> Result<ManageHolds, Failure> {
        let mut holds = MockHolds::new();
        holds.expect_of().returning(|_| Ok(HashMap::new()));
        holds.expect_list().returning(|_, _, _| Ok(Vec::new()));
        holds.expect_save().returning(|_, _, _, _| Ok(()));
        let mut identities = MockIdentities::new();
        identities.expect_load().returning(|address| {
            Ok(Loaded { value: Identity::new(address.clone()), version: Version::EMPTY })
        });
        Ok(ManageHolds::new(Arc::new(holds), Arc::new(identities), clock()))
    }

    async fn retry_erasures(&self) -> Result<RetryErasures, Failure> {
        Ok(RetryErasures::new(self.tasks.clone().unwrap(), clock()))
    }

    async fn waive_erasure(&self) -> Result<WaiveErasure, Failure> {
        let mut identities = MockIdentities::new();
        identities.expect_load().returning(|address| {
            let version = Version { length: 2, hash: [4; 32].into() };
            Ok(Loaded { value: waiting_for("mail", address), version })
        });
        let note = self.waiver_note;
        identities.expect_save().returning(move |_, _, alongside| match alongside {
            Alongside::Waiver(waiver) if waiver.note.as_ref().map(OperatorNote::as_str) == note => Ok(()),
            other => panic!("{other:?}"),
        });
        Ok(WaiveErasure::new(self.tasks.clone().unwrap(), Arc::new(identities), clock()))
    }

    async fn show_receipt(&self) -> Result<ShowReceipt, Failure> {
        Ok(ShowReceipt::new(self.receipts.clone().unwrap()))
    }

    fn receipt_public_key(&self) -> Result<String, Failure> {
        Ok(PUBLIC_KEY.to_owned())
    }

    fn verify_receipt(&self, signed: &str, public_key: Option<&Path>) -> Result<serde_json::Value, Failure> {
        if signed == "genuine" && public_key.is_none() {
            Ok(serde_json::from_str(RECEIPT).unwrap())
        } else {
            Err(Failure::new(ErrorCode::ReceiptInvalid, "the receipt is not signed with this key"))
        }
    }

    async fn replay_journal(&self, _: &[String]) -> Result<ReplayJournal, Failure> {
        Ok(self.ledger.unwrap().replay())
    }

    async fn show_journal(&self) -> Result<ShowJournal, Failure> {
        unreachable!("no command here asks for it")
    }

    async fn adopt_journal(&self) -> Result<AdoptJournal, Failure> {
        unreachable!("no command here asks for it")
    }

    fn event_schemas(&self) -> Vec<(&'static str, &'static str)> {
        SCHEMAS.to_vec()
    }

    async fn show_parked_events(&self) -> Result<ShowParkedEvents, Failure> {
        Ok(ShowParkedEvents::new(self.deliveries.clone().unwrap()))
    }

    async fn redeliver_events(&self) -> Result<RedeliverEvents, Failure> {
        Ok(RedeliverEvents::new(self.deliveries.clone().unwrap(), clock()))
    }

    async fn follow_events(&self, from_beginning: bool) -> Result<FollowEvents, Failure> {
        Ok(FollowEvents::new(self.deliveries.clone().unwrap(), from_beginning))
    }

    fn event_lines(&self) -> Result<EventLines, Failure> {
        Ok(Box::new(|event| ["-status", ""].map(|end| format!(r#"{{"id":"{}{end}"}}"#, event.id)).to_vec()))
    }

    fn until_told_to_stop(&self) -> Result<Box<dyn UntilToldToStop>, Failure> {
        Ok(Box::new(Pauses { left: self.pauses_left, noted: self.pauses.clone() }))
    }

    async fn identity_deletion(&self) -> Result<Box<dyn IdentityDeletionFacade>, Failure> {
        unreachable!("no command here asks for it")
    }

    async fn audit_trail(&self) -> Result<VerifyAuditTrail, Failure> {
        unreachable!("no command here asks for it")
    }

    async fn migrate(&self) -> Result<Vec<String>, Failure> {
        unreachable!("no command here asks for it")
    }

    async fn back_up_database(&self) -> Result<BackUpDatabase, Failure> {
        unreachable!("no command here asks for it")
    }

    async fn check(&self, _: bool) -> Result<Vec<Finding>, Failure> {
        Ok(self.findings.clone())
    }

    async fn bind(&self) -> Result<Box<dyn Server>, Failure> {
        unreachable!("no command here asks for it")
    }

    fn configuration(&self) -> Result<ConfigurationInForce, Failure> {
        unreachable!("no command here asks for it")
    }
}
