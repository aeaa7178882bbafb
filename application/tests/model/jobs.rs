//! What is run: the use cases themselves, wired to the ports of the model.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reprieve_application::ports::{AuditTrail, DeletionsSwitch, Eraser, Holds};
use reprieve_application::use_cases::{
    AnswerOnce, CancelIdentityDeletionProcess, Elsewhere, ErasureSettings, InitiateIdentityDeletionProcess,
    KeepJournal, ManageHolds, NewHold, Outcome as Once, PauseDeletions, ReplayJournal, ReplayJournalPorts,
    ResumeDeletions, RetryErasures, RunErasures, RunErasuresPorts, StartDueDeletions, StartDueDeletionsPorts,
    WaiveErasure,
};
use reprieve_application::{
    Answer, AnsweredRequest, Backoff, Caller, Coded, Erasers, ErrorCode, Fingerprint, GracePeriodSettings,
    IdempotencyKey, IdempotentRequest, JournaledAuditTrail, JournaledHolds, JournaledSwitch, Journaling,
    KEEP_JOURNAL, Recording,
};
use reprieve_domain::DeletionProcess;

use crate::calls::Key;
use crate::clocks::{FIRST, GRACE_PERIOD, at};
use crate::desk::Desk;
use crate::ports::{ModelEraser, Ports};
use crate::ports_of_memory::Unread;
use crate::row::{address, device, eraser, number_of, process_id};

/// What somebody does, from beginning to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Job {
    /// The owner asks for a deletion, which gets this number; under a key if the request may come again.
    Initiate {
        process: usize,
        key: Option<Key>,
    },
    Cancel {
        key: Option<Key>,
    },
    /// One pass of the worker that starts deletions, with so many erasers in force.
    Start {
        erasers: usize,
    },
    /// One pass of the worker that erases, with so many tasks at once.
    Erase {
        erasers: usize,
        concurrency: u32,
    },
    /// An operator does without an eraser.
    Waive {
        process: usize,
        eraser: usize,
    },
    /// An operator has erasers asked again.
    Retry {
        process: usize,
    },
    /// One pass of the worker that keeps the journal.
    Keep,
    /// An operator has done again what a restored database lacks; a request that is made again gets this number.
    Replay {
        process: usize,
    },
    /// An operator holds the identity until this instant.
    Hold {
        until: i64,
    },
    Release,
    Pause,
    Resume,
}

/// What a world has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is there or not, by itself")]
pub(crate) struct Features {
    pub(crate) are_clocks_right: bool,
    pub(crate) is_put_back: bool,
    pub(crate) is_held: bool,
    pub(crate) is_paused: bool,
    /// The audit trail is not compared with the journal.
    pub(crate) is_believed: bool,
}

/// What came of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// Done, to the process with this number.
    Done(usize),
    Refused,
    Failed,
    /// A pass, of which nobody is told.
    Over,
}

const REFUSED: u16 = 400;
const FAILED: u16 = 500;

/// An hour: a tick.
const HOUR: Duration = Duration::from_hours(1);

impl Job {
    pub(crate) fn run(
        self,
        desk: &Arc<Desk>,
        features: Features,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
        let next = match self {
            Self::Initiate { process, .. } | Self::Replay { process } => process,
            _ => 0,
        };
        let ports = Ports { desk: desk.clone(), next, features, seen: <_>::default() };
        match self {
            Self::Initiate { key, .. } => Box::pin(owner(ports, key, true)),
            Self::Cancel { key } => Box::pin(owner(ports, key, false)),
            Self::Start { erasers } => Box::pin(async move {
                let all = Arc::new(ports.clone());
                let ports = StartDueDeletionsPorts {
                    processes: all.clone(),
                    audit_trail: journaled(&all),
                    identities: all.clone(),
                    holds: held(&all),
                    switch: switch(&all),
                    clock: all.clone(),
                    clocks: all.clone(),
                };
                let _ = StartDueDeletions::new(ports, erasers_of(&all, erasers), None).execute().await;
                Outcome::Over
            }),
            Self::Erase { erasers, concurrency } => Box::pin(async move {
                let run = RunErasures::new(wired(&ports), erasers_of(&ports, erasers), settings(concurrency));
                let _ = run.execute().await;
                Outcome::Over
            }),
            Self::Waive { process, eraser: number } => Box::pin(async move {
                let ports = Arc::new(ports);
                let waive = WaiveErasure::new(ports.clone(), ports.clone(), ports);
                let code = "retired".parse().unwrap();
                let _ = waive.execute(&process_id(process), &eraser(number), &code, None).await;
                Outcome::Over
            }),
            Self::Retry { process } => Box::pin(async move {
                let ports = Arc::new(ports);
                let _ = RetryErasures::new(ports.clone(), ports).execute(&process_id(process), None).await;
                Outcome::Over
            }),
            Self::Keep => Box::pin(async move {
                let _ = KeepJournal::new(journaling(&Arc::new(ports))).execute().await;
                Outcome::Over
            }),
            Self::Replay { .. } => Box::pin(replay(Arc::new(ports))),
            Self::Hold { .. } | Self::Release | Self::Pause | Self::Resume => {
                Box::pin(self.operate(Arc::new(ports)))
            }
        }
    }
}

impl Job {
    async fn operate(self, ports: Arc<Ports>) -> Outcome {
        let code = || "legal".parse().unwrap();
        let holds = ManageHolds::new(ports.clone(), ports.clone(), ports.clone());
        match self {
            Self::Hold { until } => {
                let (address, ends_at) = (address(), at(until));
                let new = NewHold { address, code: code(), ends_at, is_silent: false, note: None };
                drop(holds.place(&new).await);
            }
            Self::Release => drop(holds.release(&address(), &code(), None).await),
            Self::Pause => {
                let _ = PauseDeletions::new(switch(&ports), ports).execute(&"moved".parse().unwrap()).await;
            }
            _ => drop(ResumeDeletions::new(switch(&ports), ports).execute(None).await),
        }
        Outcome::Over
    }
}

async fn replay(ports: Arc<Ports>) -> Outcome {
    let named = Elsewhere { addresses: [address().to_string()], backup_taken_at: None };
    let of = ReplayJournalPorts {
        keep: KeepJournal::new(journaling(&ports)),
        audit_trail: ports.clone(),
        processes: ports.clone(),
        identities: ports.clone(),
        clock: ports.clone(),
        ids: ports.clone(),
    };
    let erasers = erasers_of(&ports, 1).names();
    let _ = ReplayJournal::new(of, erasers).execute(Some(named), false).await;
    Outcome::Over
}

fn journaling(ports: &Arc<Ports>) -> Journaling {
    Journaling::new(ports.clone(), ports.clone(), Arc::new(Unread), ports.clone(), KEEP_JOURNAL)
}

/// As the workers have it.
fn journaled(ports: &Arc<Ports>) -> Arc<dyn AuditTrail> {
    if ports.features.is_believed {
        return ports.clone();
    }
    Arc::new(JournaledAuditTrail::new(ports.clone(), journaling(ports)))
}

fn switch(ports: &Arc<Ports>) -> Arc<dyn DeletionsSwitch> {
    Arc::new(JournaledSwitch::new(ports.clone(), journaling(ports)))
}

fn held(ports: &Arc<Ports>) -> Arc<dyn Holds> {
    Arc::new(JournaledHolds::new(ports.clone(), ports.clone(), journaling(ports)))
}

fn erasers_of(ports: &Ports, count: usize) -> Erasers {
    let one = |number| Arc::new(ModelEraser(ports.clone(), eraser(number))) as Arc<dyn Eraser>;
    Erasers::new((0..count).map(one)).unwrap()
}

fn wired(ports: &Ports) -> RunErasuresPorts {
    let ports = Arc::new(ports.clone());
    RunErasuresPorts {
        tasks: ports.clone(),
        switch: switch(&ports),
        holds: ports.clone(),
        identities: ports.clone(),
        audit_trail: journaled(&ports),
        signer: ports.clone(),
        clock: ports.clone(),
        ids: ports,
    }
}

/// Every wait is at least a tick, and whoever has failed for a tick has lost patience.
fn settings(concurrency: u32) -> ErasureSettings {
    let backoff = Backoff { first: 2 * HOUR, longest: 2 * HOUR, patience: HOUR };
    ErasureSettings { lease: HOUR, concurrency, poll_interval: HOUR, backoff }
}

fn answer(status: u16) -> Answer {
    Answer { status, body: String::new() }
}

/// A request as it was answered.
pub(crate) fn answered(key: Key, status: u16) -> AnsweredRequest {
    AnsweredRequest { request: request(key), answer: answer(status) }
}

fn request(key: Key) -> IdempotentRequest {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&[key.0, key.1]);
    let (key, fingerprint) = (IdempotencyKey(bytes), Fingerprint(bytes));
    IdempotentRequest { key, fingerprint, address: address(), received_at: at(FIRST) }
}

/// What the owner asks, and what an adapter makes of the answer.
async fn owner(ports: Ports, key: Option<Key>, initiates: bool) -> Outcome {
    let ports = Arc::new(ports);
    let request = key.map(request);
    let told = |process: &DeletionProcess| answer(u16::try_from(number_of(process.id().as_str())).unwrap());
    let recording = request.as_ref().map(|request| Recording { request, answer: &told });
    let operation = async {
        let caller = Caller { address: address(), device: device() };
        let result = if initiates {
            #[expect(clippy::cast_precision_loss, reason = "it is a small number")]
            let days = GRACE_PERIOD as f64 / 24.0;
            let settings = GracePeriodSettings::from_days(days, days, days).unwrap();
            let initiate =
                InitiateIdentityDeletionProcess::new(ports.clone(), ports.clone(), ports.clone(), settings);
            let done = initiate.execute_recorded(&caller, None, recording.as_ref()).await;
            done.map_err(|error| error.code())
        } else {
            let cancel = CancelIdentityDeletionProcess::new(ports.clone(), ports.clone());
            let done = cancel.execute_recorded(&caller, recording.as_ref()).await;
            done.map_err(|error| error.code())
        };
        match result {
            Ok(process) => Once::Done(told(&process)),
            Err(
                ErrorCode::ActiveIdentityDeletionProcessAlreadyExists
                | ErrorCode::NoActiveIdentityDeletionProcess
                | ErrorCode::GracePeriodHasAlreadyExpired,
            ) => Once::Refused(answer(REFUSED)),
            Err(_) => Once::Failed(answer(FAILED)),
        }
    };
    let answer = match &request {
        Some(request) => AnswerOnce::new(ports.clone(), ports.clone()).execute(request, operation).await,
        None => match operation.await {
            Once::Done(answer) | Once::Refused(answer) | Once::Failed(answer) => Ok(answer),
        },
    };
    match answer.map(|answer| answer.status) {
        Ok(REFUSED) => Outcome::Refused,
        Ok(FAILED) | Err(_) => Outcome::Failed,
        Ok(number) => Outcome::Done(number.into()),
    }
}
