//! The ports, each call of which goes over the desk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use reprieve_application::ports::{
    Alongside, AnsweredRequests, AuditTrail, Clock, ClockGuard, ClockReadings, ComparedEvents, Decided, Due,
    DueProcesses, EraseAnswer, ErasePlan, EraseRequest, Eraser, ErasureTask, ErasureTasks, Found, Identities,
    Ids, Loaded, Position, Quarantined, RandomSourceFailed, ReceiptSigner, RetriedTasks, Settlement,
    TaskStatus, Version, Waiver,
};
use reprieve_application::{AnsweredRequest, IdempotencyKey, KeyPair, Receipt, StoreError};
use reprieve_domain::audit::{
    Chain, DoubtedProcess, ErasureLedgerEntry, Fault, InvalidLedgerEntry, KeyedHash, SealedEntry,
};
use reprieve_domain::{
    Address, DeletionProcess, DeletionProcessId, DeviceId, EraserName, FailureCode, Identity, Moment, Step,
    TaskKind, Timestamp,
};

use crate::calls::{Answer, Call, Reply, Save, With};
use crate::desk::Desk;
use crate::jobs::Features;
use crate::row::{Row, address, key, number_of, process_id};
use crate::tasks::Kind;

/// What was verified last of each process, and whether the journal knows of its deletion.
pub(crate) type Seen = BTreeMap<usize, (Arc<Row>, bool)>;

/// Every port of one run.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) desk: Arc<Desk>,
    /// The id that is drawn.
    pub(crate) next: usize,
    pub(crate) features: Features,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

impl Ports {
    pub(crate) async fn ask(&self, call: Call) -> Result<Answer, StoreError> {
        match self.desk.ask(call).await {
            Answer::Refused(refusal) => Err(refusal.into()),
            answer => Ok(answer),
        }
    }
}

pub(crate) fn numbers(ids: &[DeletionProcessId]) -> Vec<usize> {
    ids.iter().map(|id| number_of(id.as_str())).collect()
}

pub(crate) fn save(step: &Step, version: Version, alongside: Alongside<'_>) -> Save {
    let with = match alongside {
        Alongside::Nothing => With::Nothing,
        Alongside::Answer(answered) => {
            With::Answer((answered.request.key.0[0], answered.request.key.0[1]), answered.answer.status)
        }
        Alongside::Task(task, outcome, now) => With::Task(task.clone(), outcome.clone(), now),
        Alongside::Waiver(waiver) => {
            With::Waiver(waiver.waived_at, Kind::Erase(number_of(waiver.eraser.as_str())))
        }
    };
    Save { step: step.clone(), version, with, rows: <_>::default() }
}

impl Clock for Ports {
    fn now(&self) -> Timestamp {
        self.desk.moment().now()
    }

    fn moment(&self) -> Moment {
        self.desk.moment()
    }
}

#[async_trait]
impl ClockGuard for Ports {
    async fn check(&self) -> Result<(), StoreError> {
        if self.features.are_clocks_right {
            return Ok(());
        }
        self.ask(Call::CheckClocks).await.map(drop)
    }

    async fn compare(&self) -> Result<ClockReadings, StoreError> {
        unreachable!("operators ask")
    }

    async fn confirm(&self, _: Timestamp) -> Result<(), StoreError> {
        unreachable!("operators ask")
    }
}

impl Ids for Ports {
    fn deletion_process_id(&self) -> Result<DeletionProcessId, RandomSourceFailed> {
        Ok(process_id(self.next))
    }

    fn device_id(&self) -> Result<DeviceId, RandomSourceFailed> {
        unreachable!("nobody gets a device")
    }

    fn name(&self, _: &str) -> Result<String, RandomSourceFailed> {
        unreachable!("nothing gets a name")
    }

    fn key_pair(&self) -> Result<KeyPair, RandomSourceFailed> {
        unreachable!("nobody gets keys")
    }

    fn random_bytes(&self) -> Result<[u8; 32], RandomSourceFailed> {
        Ok([0; 32])
    }
}

#[async_trait]
impl Identities for Ports {
    async fn load(&self, _: &Address) -> Result<Loaded<Identity>, StoreError> {
        let Answer::Loaded(row, holds) = self.ask(Call::Load).await? else { unreachable!() };
        let holds = holds.into_iter().map(|held| held.0.hold).collect();
        Ok(row.map_or_else(
            || Loaded { value: Identity::new(address()).with_holds(holds), version: Version::EMPTY },
            |row| Loaded {
                value: Identity::with_open_process(row.process.clone()).unwrap(),
                version: row.head,
            },
        ))
    }

    /// The models say what becomes of those who ask in time of what is stored.
    async fn load_doubted(&self, _: &Address) -> Result<Option<DoubtedProcess>, StoreError> {
        Ok(None)
    }

    async fn save<'a>(
        &self,
        step: &Step,
        version: Version,
        alongside: Alongside<'a>,
    ) -> Result<(), StoreError> {
        self.ask(Call::Save(Box::new(save(step, version, alongside)))).await.map(drop)
    }

    async fn save_all(&self, steps: &[Decided]) -> Result<Vec<Result<bool, StoreError>>, StoreError> {
        let asked = steps.iter().map(|(step, version)| save(step, *version, Alongside::Nothing));
        let Answer::Saved(saved) = self.ask(Call::SaveAll(asked.collect())).await? else { unreachable!() };
        Ok(saved.into_iter().map(Ok).collect())
    }
}

#[async_trait]
impl DueProcesses for Ports {
    async fn find_due(&self, _: Due, _: Option<Position>, _: u32) -> Result<Found, StoreError> {
        unreachable!("no reminder is sent")
    }

    async fn find_ripe(&self, ends_by: Timestamp, _: Option<Position>, _: u32) -> Result<Found, StoreError> {
        let Answer::Found(found) = self.ask(Call::FindDue(ends_by)).await? else { unreachable!() };
        Ok(Found { processes: found.into_iter().map(process_id).collect(), ..Found::default() })
    }

    async fn count_ripe(&self, _: Timestamp) -> Result<u64, StoreError> {
        unreachable!("starts are not limited")
    }

    async fn count_started_after(&self, _: Timestamp) -> Result<u64, StoreError> {
        unreachable!("starts are not limited")
    }
}

#[async_trait]
impl AuditTrail for Ports {
    async fn chains(&self, _: Option<String>, _: u32) -> Result<Vec<Chain>, StoreError> {
        unreachable!("nobody verifies everything")
    }

    async fn entries<'a>(
        &self,
        _: &Address,
        _: Option<&'a DeletionProcessId>,
    ) -> Result<Vec<SealedEntry>, StoreError> {
        unreachable!("nobody reads the trail")
    }

    fn identity_hash(&self, address: &Address) -> KeyedHash {
        key().pseudonym_of_identity(address)
    }

    fn verify_ledger_entry(&self, entry: &ErasureLedgerEntry) -> Result<(), InvalidLedgerEntry> {
        key().verify_ledger_entry(entry)
    }

    fn verify(&self, _: &Chain) -> Result<Option<Receipt>, Fault> {
        unreachable!("nobody verifies everything")
    }

    async fn verified(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Result<Loaded<DeletionProcess>, Fault>>, StoreError> {
        if processes.is_empty() {
            return Ok(BTreeMap::new());
        }
        let Answer::Verified(rows) = self.ask(Call::Verify(numbers(processes))).await? else {
            unreachable!()
        };
        let seen = rows.iter().map(|(row, _, is_journaled)| (row.number, (row.clone(), *is_journaled)));
        self.seen.lock().unwrap().extend(seen);
        let verified = rows.into_iter().map(|(row, is_believed, _)| {
            let as_it_is = || Loaded { value: row.process.clone(), version: row.head };
            let verified = match row.verified() {
                Err(_) if is_believed => Ok(as_it_is()),
                verified => verified.clone(),
            };
            (row.process.id().clone(), verified)
        });
        Ok(verified.collect())
    }

    async fn compared_events(&self, _: Option<i64>, _: u32) -> Result<ComparedEvents, StoreError> {
        unreachable!("nobody verifies everything")
    }

    async fn contradictions(&self) -> Result<Vec<Fault>, StoreError> {
        unreachable!("nobody verifies everything")
    }
}

#[async_trait]
impl ErasureTasks for Ports {
    async fn claim(
        &self,
        due_at: Timestamp,
        lease_ends_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<Result<ErasureTask, StoreError>>, StoreError> {
        let claim = Call::Claim { due_at, lease_ends_at, limit };
        let Answer::Claimed(tasks) = self.ask(claim).await? else { unreachable!() };
        Ok(tasks.into_iter().map(|task| Ok(task.claimed())).collect())
    }

    async fn settle(
        &self,
        task: &ErasureTask,
        settlement: Settlement,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        self.ask(Call::Settle(task.clone(), settlement)).await.map(drop)
    }

    async fn close(&self, task: &ErasureTask, receipt: &Receipt, _: &str) -> Result<(), StoreError> {
        self.ask(Call::Close(task.clone(), receipt.audit_head)).await.map(drop)
    }

    async fn retry<'a>(
        &self,
        process: &DeletionProcessId,
        _: Option<&'a EraserName>,
        now: Timestamp,
    ) -> Result<RetriedTasks, StoreError> {
        let retry = Call::Retry(number_of(process.as_str()), now);
        let Answer::Retried(due) = self.ask(retry).await? else { unreachable!() };
        Ok(RetriedTasks { due, being_performed: 0 })
    }

    async fn waivers<'a>(&self, _: Option<&'a DeletionProcessId>, _: u32) -> Result<Vec<Waiver>, StoreError> {
        unreachable!("nobody looks")
    }

    async fn quarantined<'a>(
        &self,
        _: Option<&'a DeletionProcessId>,
        _: u32,
    ) -> Result<Vec<Quarantined>, StoreError> {
        unreachable!("nobody looks")
    }

    async fn list<'a>(
        &self,
        process: Option<&'a DeletionProcessId>,
        _: u32,
    ) -> Result<Vec<TaskStatus>, StoreError> {
        let process_id = process.unwrap().clone();
        let list = Call::ListTasks(number_of(process_id.as_str()));
        let Answer::Listed(is_there) = self.ask(list).await? else { unreachable!() };
        let task = TaskStatus {
            process_id,
            address: address(),
            kind: TaskKind::Finish,
            failures: 0,
            unfinished_since: None,
            stuck_since: None,
            due_at: None,
        };
        Ok(is_there.then_some(task).into_iter().collect())
    }
}

impl ReceiptSigner for Ports {
    fn sign(&self, receipt: &Receipt) -> String {
        receipt.process_id.to_string()
    }
}

#[async_trait]
impl AnsweredRequests for Ports {
    async fn find(&self, key: &IdempotencyKey) -> Result<Option<AnsweredRequest>, StoreError> {
        let key = (key.0[0], key.0[1]);
        let Answer::Answered(status) = self.ask(Call::FindAnswer(key)).await? else { unreachable!() };
        Ok(status.map(|status| crate::jobs::answered(key, status)))
    }

    async fn keep(&self, answered: &AnsweredRequest) -> Result<(), StoreError> {
        let key = (answered.request.key.0[0], answered.request.key.0[1]);
        self.ask(Call::KeepAnswer(key, answered.answer.status)).await.map(drop)
    }

    async fn forget(&self, _: &IdempotencyKey, _: Timestamp) -> Result<(), StoreError> {
        unreachable!("no day passes")
    }

    async fn forget_before(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        unreachable!("no day passes")
    }
}

/// One eraser of a run.
pub(crate) struct ModelEraser(pub(crate) Ports, pub(crate) EraserName);

#[async_trait]
impl Eraser for ModelEraser {
    fn name(&self) -> &EraserName {
        &self.1
    }

    async fn erase(&self, request: &EraseRequest) -> EraseAnswer {
        let (eraser, process) = (number_of(self.1.as_str()), number_of(request.process_id.as_str()));
        let Answer::Replied(reply) = self.0.desk.ask(Call::Erase { eraser, process }).await else {
            unreachable!()
        };
        match reply {
            Reply::Erased | Reply::Lie => EraseAnswer::Erased { count: 1 },
            Reply::Lost | Reply::Failed => EraseAnswer::Failed(FailureCode::unreachable()),
            Reply::Working => EraseAnswer::Working { poll: None, ask_in: None },
        }
    }

    async fn plan(&self, _: &Address) -> ErasePlan {
        ErasePlan::Unknown
    }
}
