//! Everybody at once, on real databases: clients, sweepers, workers, housekeeping and operators on instances whose clocks
//! differ, killed at whatever they wait for, with leases that end early and erasers that do what they like.

use std::future::poll_fn;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::ports::{EraseAnswer, ErasePlan, EraseRequest, Eraser, Housekeeping};
use reprieve_application::use_cases::{ErasureSettings, Retention};
use reprieve_application::{Backoff, Coded, Erasers};
use reprieve_domain::{Address, EraserName, FailureCode};
use reprieve_tests::{Random, TestDatabase, rounds};
use tokio::task::{AbortHandle, JoinSet};

use super::guarantees::{Seen, Tally};
use super::on_each_database;
use super::world::{SECOND, World, at};

on_each_database!(
    whatever_happens_at_once_the_guarantees_hold,
    whoever_is_dropped_while_a_transaction_begins_takes_nothing_with_it,
);

/// In each everything comes to its end twice.
const ROUNDS: usize = 12;
const STEPS: usize = 60;
/// As many identities take part in a round, each in several processes, one after the other.
const IDENTITIES: usize = 4;
const ERASERS: [&str; 3] = ["files", "mail", "photos"];
/// 86.4 seconds, the shortest grace period there is.
const GRACE_PERIOD_IN_DAYS: f64 = 0.001;

/// What may begin; the numbers before it belong to what comes before. Of more than one, it is more often.
const CANCEL: usize = 3;
const SWEEP: usize = 6;
const REMIND: usize = 7;
const ERASE: usize = 8;
const KEEP_HOUSE: usize = 12;
const RETRY: usize = 13;

/// An eraser that does what it likes: erases or does not, says so or does not, now or much later.
struct Whim {
    name: EraserName,
    random: Arc<Mutex<Random>>,
    seen: Arc<Seen>,
    world: OnceLock<Weak<World>>,
    is_good: AtomicBool,
}

#[async_trait]
impl Eraser for Whim {
    fn name(&self) -> &EraserName {
        &self.name
    }

    async fn erase(&self, request: &EraseRequest) -> EraseAnswer {
        let world = self.world.get().and_then(Weak::upgrade).unwrap();
        self.seen.ask(&world, request).await;
        let is_good = self.is_good.load(Ordering::Relaxed);
        let (whim, count, delay) = {
            let mut random = self.random.lock().unwrap();
            (if is_good { 0 } else { random.below(10) }, random.below(1000), random.below(15_000))
        };
        if (4..8).contains(&whim) {
            tokio::time::sleep(Duration::from_micros(delay)).await;
        }
        match whim {
            0..=5 => {
                self.seen.acknowledge(request, &self.name, count);
                EraseAnswer::Erased { count }
            }
            6 | 8 => EraseAnswer::Failed(FailureCode::unreachable()),
            7 => EraseAnswer::Working { poll: None, ask_in: None },
            _ => EraseAnswer::Working {
                poll: Some(format!("https://erasers.example/{count}")),
                ask_in: Some(Duration::from_secs(5)),
            },
        }
    }

    async fn plan(&self, _: &Address) -> ErasePlan {
        ErasePlan::Unknown
    }
}

struct Round {
    instances: Vec<Arc<World>>,
    random: Arc<Mutex<Random>>,
    seen: Arc<Seen>,
    now: i64,
    running: JoinSet<()>,
    handles: Vec<AbortHandle>,
    /// How many were killed while they were at it.
    killed: usize,
}

impl Round {
    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.random.lock().unwrap().below(bound as u64)).unwrap()
    }

    fn set(&mut self, now: i64) {
        self.now = self.now.max(now);
        self.instances[0].set(self.now);
    }

    /// To the microsecond at which some deadline is over, or one more, or one less; there everybody wants to be the first.
    fn race_at_a_deadline(&mut self, identities: &Range<usize>) {
        let now = at(self.now).unix_micros();
        let coming: Vec<i64> = self.seen.deadlines().into_iter().filter(|deadline| *deadline > now).collect();
        let Some(deadline) = coming.get(self.below(coming.len().max(1))) else { return };
        self.set(deadline - at(0).unix_micros() - 1 + i64::try_from(self.below(3)).unwrap());
        for number in identities.clone() {
            for action in [CANCEL, SWEEP] {
                self.begin(number, action);
            }
        }
    }

    /// Something begins; whatever else runs goes on.
    fn begin(&mut self, number: usize, action: usize) {
        let (world, seen) = (self.instances[self.below(self.instances.len())].clone(), self.seen.clone());
        let handle = match action {
            0..CANCEL => self.running.spawn(async move {
                match world.try_initiate_for(number, GRACE_PERIOD_IN_DAYS).await {
                    Ok(process) => seen.tell(number, process, "StartedByOwner"),
                    Err(error) => assert!(error.code().is_refusal(), "{error:?}"),
                }
            }),
            CANCEL..SWEEP => self.running.spawn(async move {
                match world.cancel(number).await {
                    Ok(process) => seen.tell(number, process, "CancelledByOwner"),
                    Err(error) => assert!(error.code().is_refusal(), "{error:?}"),
                }
            }),
            SWEEP..REMIND => self.running.spawn(async move { sweep(&world).await }),
            REMIND..ERASE => self.running.spawn(async move { assert_eq!(world.remind().await.failed, 0) }),
            ERASE..KEEP_HOUSE => self.running.spawn(async move { erase(&world).await }),
            KEEP_HOUSE..RETRY => self.running.spawn(async move {
                let minute = Duration::from_mins(1);
                let retention =
                    Retention { cancelled_processes: minute, events: minute, ..Retention::default() };
                world.keep_house_by(retention).await;
            }),
            _ => self.running.spawn(async move { retry(&world).await }),
        };
        self.handles.push(handle);
    }

    fn kill_one(&mut self) {
        self.handles.retain(|handle| !handle.is_finished());
        if let Some(handle) = self.handles.get(self.below(self.handles.len().max(1))) {
            handle.abort();
            self.killed += 1;
        }
    }

    async fn disorder(&mut self, identities: &Range<usize>) {
        for _ in 0..STEPS {
            self.begin(identities.start + self.below(identities.len()), self.below(RETRY + 1));
            match self.below(16) {
                0 => self.race_at_a_deadline(identities),
                // Longer than a lease.
                2 => self.set(self.now + 3 * SECOND),
                3 => self.set(self.now + 30 * SECOND),
                4..=6 => self.kill_one(),
                _ => {}
            }
            match self.below(3) {
                0 => {}
                1 => tokio::task::yield_now().await,
                _ => tokio::time::sleep(Duration::from_micros(self.below(3000) as u64)).await,
            }
        }
        if self.below(2) == 0 {
            self.running.abort_all();
        }
        while let Some(ended) = self.running.join_next().await {
            assert!(ended.is_ok() || ended.as_ref().unwrap_err().is_cancelled(), "{ended:?}");
        }
        // What a server was doing for those who were killed, it finishes. With SQLite, whoever writes next waits for it.
        let others = "pg_stat_activity WHERE datname = current_database() AND application_name = 'reprieve' \
                      AND state = 'active'";
        self.instances[0]
            .with_sql(move |database| while database.is_postgres() && database.count(others) > 0 {})
            .await;
    }

    async fn come_to_the_end(&mut self, identities: &Range<usize>, whims: &[Arc<Whim>]) {
        for pass in 0.. {
            let left = self.instances[0].tasks(None).await;
            assert!(pass < 50, "it does not come to its end: {left:?}");
            for whim in whims {
                whim.is_good.store(pass > 3, Ordering::Relaxed);
            }
            self.set(self.now + 100 * SECOND);
            let world = &self.instances[0];
            sweep(world).await;
            erase(world).await;
            retry(world).await;
            let mut is_over = world.tasks(None).await.is_empty();
            for number in identities.clone() {
                is_over &= world.open_process(number).await.is_none();
            }
            if is_over {
                break;
            }
        }
        for whim in whims {
            whim.is_good.store(false, Ordering::Relaxed);
        }
    }
}

async fn sweep(world: &World) {
    let swept = world.start_deletions().await;
    assert_eq!(swept.failed, 0, "{swept:?}");
}

async fn erase(world: &World) {
    let run = world.erase().await;
    assert_eq!(run.broken, 0, "{run:?}");
}

async fn retry(world: &World) {
    for task in world.tasks(None).await.into_iter().filter(|task| task.stuck_since.is_some()) {
        // Somebody else may have done so.
        if let Err(error) = world.retry().execute(&task.process_id, None).await {
            assert!(error.code().is_refusal(), "{error:?}");
        }
    }
}

async fn whatever_happens_at_once_the_guarantees_hold(database: TestDatabase) {
    let (random, seen) = (Arc::new(Mutex::new(Random::new())), Arc::new(Seen::default()));
    let whims = ERASERS.map(|name| {
        let (name, random, seen) = (name.parse().unwrap(), random.clone(), seen.clone());
        Arc::new(Whim { name, random, seen, world: OnceLock::new(), is_good: AtomicBool::new(false) })
    });
    let erasers = whims.iter().map(|whim| whim.clone() as Arc<dyn Eraser>);
    let mut world = World::with(database, Erasers::new(erasers).unwrap()).await;
    let seconds = Duration::from_secs;
    world.settings = ErasureSettings {
        lease: seconds(2),
        concurrency: 3,
        poll_interval: seconds(1),
        backoff: Backoff { first: seconds(1), longest: seconds(8), patience: seconds(20) },
    };
    let mut instances = Vec::new();
    for micros_off in [0, -1, 1] {
        instances.push(Arc::new(world.instance(micros_off).await));
    }
    let world = Arc::new(world);
    for whim in &whims {
        assert!(whim.world.set(Arc::downgrade(&world)).is_ok());
    }
    let mut round = Round {
        instances,
        random,
        seen: seen.clone(),
        now: 0,
        running: JoinSet::new(),
        handles: Vec::new(),
        killed: 0,
    };
    let mut tally = Tally::default();
    for number in 0..rounds(ROUNDS) {
        let identities = number * IDENTITIES..(number + 1) * IDENTITIES;
        for _ in 0..2 {
            round.disorder(&identities).await;
            round.come_to_the_end(&identities, &whims).await;
        }
        seen.check(&world, identities, &ERASERS, &mut tally).await;
    }
    println!("{} killed, {tally:?}", round.killed);
    let Tally { cancelled, deleted, came_back, failures } = tally;
    assert!([round.killed, cancelled, deleted, came_back, failures].iter().all(|count| *count > 5));
}

async fn whoever_is_dropped_while_a_transaction_begins_takes_nothing_with_it(database: TestDatabase) {
    let world = World::with(database, Erasers::default()).await;
    let elsewhere = world.instance(0).await;
    for number in 0..120_usize {
        let mut transaction = world.store.sinks(&[], at(0));
        // At whatever it waits for first, or second, and so on.
        let mut left = number % 6;
        poll_fn(|context| {
            let is_over = transaction.as_mut().poll(context).is_ready() || left == 0;
            left = left.saturating_sub(1);
            if is_over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        drop(transaction);
        // What is acknowledged then is there for others, too.
        let process = world.initiate(number).await;
        assert_eq!(elsewhere.open_process(number).await, Some(process), "{number}");
    }
}
