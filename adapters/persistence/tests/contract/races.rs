//! Many at once, over separate connections: one wins, and the others leave no trace.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reprieve_application::ports::{AuditTrail, Clock, EventDeliveries, Identities, Ids, RandomSourceFailed};
use reprieve_application::use_cases::{
    CancelIdentityDeletionProcess, InitiateIdentityDeletionProcess, RipeProcess, StartIdentityDeletion,
    VerifiedAuditTrail, VerifyAuditTrail,
};
use reprieve_application::{Caller, Coded, ErrorCode, GracePeriodSettings, KeyPair};
use reprieve_domain::{DeletionProcess, DeletionProcessId, DeviceId, Event, EventKind, Status, Timestamp};
use reprieve_persistence::Store;
use reprieve_tests::rounds;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{ENDS_AT, Opened, address, at, device, erasers, on_each_database, process_id};

on_each_database!(
    of_cancels_and_starts_at_the_deadline_one_wins,
    of_initiations_one_wins,
    of_cancels_and_initiations_none_is_lost_or_done_twice,
);

const ROUNDS: usize = 100;
const CONTENDERS: usize = 32;

type Outcome = Result<DeletionProcess, ErrorCode>;

pub(crate) struct StoppedClock(pub(crate) Timestamp);

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Counts, so that every id is new.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Ids for Counter {
    fn deletion_process_id(&self) -> Result<DeletionProcessId, RandomSourceFailed> {
        Ok(process_id(self.0.fetch_add(1, Ordering::Relaxed)))
    }

    fn device_id(&self) -> Result<DeviceId, RandomSourceFailed> {
        unreachable!("no device is made here")
    }

    fn key_pair(&self) -> Result<KeyPair, RandomSourceFailed> {
        unreachable!("no key is made here")
    }

    fn name(&self, _: &str) -> Result<String, RandomSourceFailed> {
        unreachable!("nothing is named here")
    }

    fn random_bytes(&self) -> Result<[u8; 32], RandomSourceFailed> {
        unreachable!("nothing is drawn here")
    }
}

fn caller(number: usize) -> Caller {
    Caller { address: address(number), device: device() }
}

async fn cancel(identities: Arc<dyn Identities>, number: usize, now: i64) -> Outcome {
    let use_case = CancelIdentityDeletionProcess::new(identities, Arc::new(StoppedClock(at(now))));
    use_case.execute(&caller(number)).await.map_err(|error| error.code())
}

async fn start(store: Arc<Store>, number: usize, now: i64) -> Outcome {
    let use_case = StartIdentityDeletion::new(store.clone(), store, Arc::new(StoppedClock(at(now))));
    let ripe = RipeProcess { address: address(number), process_id: process_id(number) };
    use_case.execute(&ripe, &erasers(&["files"])).await.map_err(|error| error.code())
}

async fn initiate(identities: Arc<dyn Identities>, ids: Arc<Counter>, number: usize) -> Outcome {
    let settings = GracePeriodSettings::from_days(14.0, 1.0, 365.0).unwrap();
    let clock = Arc::new(StoppedClock(at(0)));
    let use_case = InitiateIdentityDeletionProcess::new(identities, clock, ids, settings);
    use_case.execute(&caller(number), None).await.map_err(|error| error.code())
}

/// Lets all of them loose at the same moment, every other one over the second store.
async fn race<F>(stores: &[Store; 2], contender: impl Fn(usize, Arc<Store>) -> F) -> Vec<Outcome>
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(CONTENDERS));
    let mut tasks = JoinSet::new();
    for number in 0..CONTENDERS {
        let [one, other] = stores;
        let store = if number % 2 == 0 { one } else { other };
        let (contender, barrier) = (contender(number, Arc::new(store.clone())), barrier.clone());
        tasks.spawn(async move {
            barrier.wait().await;
            contender.await
        });
    }
    tasks.join_all().await
}

/// The one that won, and what the others were told.
fn winner(outcomes: Vec<Outcome>) -> (DeletionProcess, Vec<ErrorCode>) {
    let (mut won, mut lost) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(process) => won.push(process),
            Err(code) => lost.push(code),
        }
    }
    assert_eq!(won.len(), 1, "{won:?}");
    (won.remove(0), lost)
}

async fn rows(opened: &Opened) -> (i64, i64, i64) {
    let count = async |table| opened.sql.value::<i64>(&format!("SELECT count(*) FROM {table}")).await;
    (count("deletion_processes").await, count("audit_entries").await, count("outbox").await)
}

async fn verified(opened: &Opened) -> VerifiedAuditTrail {
    let audit_trail: Arc<dyn AuditTrail> = Arc::new(opened.store.clone());
    VerifyAuditTrail::new(audit_trail).execute().await.unwrap()
}

async fn of_cancels_and_starts_at_the_deadline_one_wins(opened: Opened) {
    let stores = [opened.store.clone(), opened.another_store().await];
    for (round, steps) in (0..rounds(ROUNDS)).zip((2..).step_by(2)) {
        opened.initiated(&address(round), round).await;
        // Each is in time by its own clock. Every store has as many of either kind.
        let outcomes = race(&stores, |number, identities| async move {
            if number / 2 % 2 == 0 {
                cancel(identities, round, ENDS_AT - 1).await
            } else {
                start(identities, round, ENDS_AT).await
            }
        })
        .await;
        let (won, lost) = winner(outcomes);
        assert_eq!(opened.processes(&address(round)).await, [won]);
        for code in lost {
            let expected =
                [ErrorCode::NoActiveIdentityDeletionProcess, ErrorCode::DeletionProcessIsNotInRequiredStatus];
            assert!(expected.contains(&code), "{code}");
        }
        let processes = i64::try_from(round).unwrap() + 1;
        assert_eq!(rows(&opened).await, (processes, steps, steps));
    }
    assert_eq!(verified(&opened).await, VerifiedAuditTrail { processes: 100, entries: 200, journal: None });
}

async fn of_initiations_one_wins(opened: Opened) {
    let stores = [opened.store.clone(), opened.another_store().await];
    let ids = Arc::new(Counter::default());
    for (round, steps) in (0..rounds(ROUNDS)).zip(1..) {
        let outcomes = race(&stores, |_, identities| initiate(identities, ids.clone(), round)).await;
        let (won, lost) = winner(outcomes);
        assert_eq!(opened.load(&address(round)).await.value.open_process(), Some(&won));
        for code in lost {
            assert_eq!(code, ErrorCode::ActiveIdentityDeletionProcessAlreadyExists);
        }
        assert_eq!(rows(&opened).await, (steps, steps, steps));
    }
    assert_eq!(verified(&opened).await, VerifiedAuditTrail { processes: 100, entries: 100, journal: None });
}

/// The identities whose events do not tell of one process after the other.
async fn out_of_order(opened: &Opened) -> Vec<String> {
    let told = opened.store.since(0, 1_000_000).await.unwrap();
    let mut open: BTreeMap<String, Option<DeletionProcessId>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for waiting in told {
        let Event { process_id, kind, .. } = waiting.event.unwrap().event;
        let before = open.get(&waiting.address).cloned().flatten();
        let is_next = match kind {
            EventKind::IdentityToBeDeleted { .. } => before.is_none(),
            _ => before.as_ref() == Some(&process_id),
        };
        if !is_next {
            wrong.push(waiting.address.clone());
        }
        let is_open = matches!(kind, EventKind::IdentityToBeDeleted { .. });
        open.insert(waiting.address, is_open.then_some(process_id));
    }
    wrong
}

/// Here several may win, one after the other: every success is in the database, and nothing else is.
async fn of_cancels_and_initiations_none_is_lost_or_done_twice(opened: Opened) {
    // As an administrator may do: each connection draws so many positions at once.
    opened.sql.run_either("SELECT 1", "ALTER SEQUENCE outbox_position_seq CACHE 100").await;
    let stores = [opened.store.clone(), opened.another_store().await];
    let ids = Arc::new(Counter::default());
    for round in 0..rounds(ROUNDS) {
        let outcomes = race(&stores, |number, identities| {
            let ids = ids.clone();
            async move {
                if number / 2 % 2 == 0 {
                    cancel(identities, round, 1).await
                } else {
                    initiate(identities, ids, round).await
                }
            }
        })
        .await;
        let won: Vec<_> = outcomes.into_iter().flatten().collect();
        let initiated = won.iter().filter(|process| process.status() == Status::Active).count();
        let cancelled: Vec<_> = won.iter().filter(|process| process.status() == Status::Cancelled).collect();
        let processes = opened.processes(&address(round)).await;
        assert_eq!(processes.len(), initiated);
        assert_eq!(
            processes.iter().filter(|process| process.status() == Status::Cancelled).count(),
            cancelled.len()
        );
        assert!(cancelled.iter().all(|process| processes.contains(process)));
        assert!(initiated - cancelled.len() <= 1, "more than one is open");
    }
    assert_eq!(out_of_order(&opened).await, Vec::<String>::new());
    let (processes, entries, events) = rows(&opened).await;
    assert_eq!(entries, events);
    let verified = verified(&opened).await;
    assert_eq!(
        (i64::try_from(verified.processes), i64::try_from(verified.entries)),
        (Ok(processes), Ok(entries))
    );
}
