//! `kill -9` of whoever tells sinks of events at random moments, and brokers that are killed meanwhile: every event arrives
//! at every sink, those of one identity in their order, and whatever arrives again has the id and the content it had.

mod sinks;

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use reprieve_application::ports::{Clock, Ids};
use reprieve_application::use_cases::{CancelIdentityDeletionProcess, InitiateIdentityDeletionProcess};
use reprieve_application::{Caller, GracePeriodSettings};
use reprieve_domain::audit::AuditKey;
use reprieve_persistence::{Clocks, ConnectionOptions, Database, Store};
use reprieve_system::{SystemClock, SystemIds};
use reprieve_tests::{PrivateNats, PrivateRabbitMq, Random, Sandbox, rounds};

use self::sinks::{Expected, Sinks};

/// While one relay lives.
const STEPS: u64 = 50;
const IDENTITIES: usize = 200;
const WORKERS: usize = 4;
const KILLS: u64 = 80;
/// What has not arrived so long after the last kill never will.
const PATIENCE: Duration = Duration::from_mins(10);

const AUDIT_KEY: &str = "8f1c0d3b5a79624ee0d1b2c3a4958677fedcba98765432100123456789abcdef";

fn audit_key() -> AuditKey {
    let bytes = (0..32).map(|index| u8::from_str_radix(&AUDIT_KEY[2 * index..2 * index + 2], 16).unwrap());
    AuditKey::new(&bytes.collect::<Vec<u8>>()).unwrap()
}

async fn store(url: &str) -> Arc<Store> {
    let options = ConnectionOptions {
        max_connections: 4,
        acquire_timeout: Duration::from_mins(1),
        ..ConnectionOptions::default()
    };
    let database = Database::connect(&url.parse().unwrap(), &options).await.unwrap();
    Arc::new(
        database
            .into_store(
                audit_key(),
                Clocks::compared(Arc::new(SystemClock), Clocks::TOLERANCE, Clocks::GREATEST_GAP),
            )
            .await
            .unwrap(),
    )
}

/// Initiates and cancels, as fast as there is time for until everybody has been killed.
async fn step(store: Arc<Store>, worker: usize, count: u64) {
    let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::new(SystemClock), Arc::new(SystemIds));
    let bounds = GracePeriodSettings::from_days(14.0, 1.0, 365.0).unwrap();
    let initiate = InitiateIdentityDeletionProcess::new(store.clone(), clock.clone(), ids, bounds);
    let cancel = CancelIdentityDeletionProcess::new(store, clock);
    // About as long as it takes to kill everybody.
    let pace = Duration::from_millis(350 * WORKERS as u64 / STEPS);
    for number in (0..IDENTITIES / WORKERS).cycle().take(usize::try_from(count / 2).unwrap()) {
        let identity = worker + WORKERS * number;
        let caller = Caller {
            address: format!("did:web:example.org:{identity}").parse().unwrap(),
            device: "DVC0123456789abcdefg".parse().unwrap(),
        };
        initiate.execute(&caller, None).await.unwrap();
        tokio::time::sleep(pace).await;
        cancel.execute(&caller).await.unwrap();
        tokio::time::sleep(pace).await;
    }
}

/// Every second one keeps to no pace, so that much is on its way when it is killed.
fn start(sandbox: &Sandbox, sinks: &Sinks, number: u64) -> Relay {
    let mut command = sandbox.command();
    let relay = command
        .env("REPRIEVE__EVENTS__HURRY_AFTER_IN_SECONDS", if number.is_multiple_of(2) { "300" } else { "0" })
        .args(["worker", "run", "outbox"])
        .stdout(sinks.standard_output())
        .stderr(Stdio::null())
        .spawn();
    Relay(relay.unwrap())
}

/// Killed when it is dropped, also where the test has failed.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs PostgreSQL, RabbitMQ and NATS: tests/run"]
fn every_event_arrives_everywhere_in_its_order_whoever_is_killed() {
    let sandbox = Sandbox::postgres().with("REPRIEVE__AUDIT__KEY", AUDIT_KEY);
    let (rabbit, mut nats) = (PrivateRabbitMq::start(), PrivateNats::start());
    let sinks = Sinks::start(&sandbox, &rabbit, &nats);
    sandbox.configure(&sinks.toml());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(store(&sandbox.database_url()));
    let mut random = Random::new();
    // Each worker ends what it begins.
    let kills = rounds(KILLS).next_multiple_of(40);
    let steps = kills * STEPS;
    let stepping: Vec<_> = (0..WORKERS)
        .map(|worker| runtime.spawn(step(store.clone(), worker, steps / WORKERS as u64)))
        .collect();
    let (mut running, mut restarting) = (Some(rabbit), None);
    for number in 0..kills {
        match number {
            _ if number == kills / 4 => nats.kill(),
            _ if number == kills / 4 + 5 => nats.start_again(),
            // While it starts, others are killed.
            _ if number == kills / 2 => {
                let mut rabbit = running.take().unwrap();
                rabbit.kill();
                restarting = Some(thread::spawn(move || {
                    rabbit.start_again();
                    rabbit
                }));
            }
            _ => {}
        }
        let relay = start(&sandbox, &sinks, number);
        sleep(Duration::from_millis(random.below(700)));
        drop(relay);
    }
    let rabbit = restarting.unwrap().join().unwrap();
    for stepped in stepping {
        runtime.block_on(stepped).unwrap();
    }
    let expected = Expected::read(&sandbox);
    assert_eq!(expected.events() as u64, steps);
    // To no pace, which on a busy machine may leave much for minutes.
    let relay = start(&sandbox, &sinks, kills + 1);
    let (begin, mut sql) = (Instant::now(), sandbox.sql());
    let left = "event_sinks WHERE settled_to < (SELECT max(position) FROM outbox)";
    while sql.count("outbox WHERE sequence IS NULL") + sql.count(left) + sql.count("event_retries") > 0 {
        assert!(begin.elapsed() < PATIENCE, "{}", sandbox.line("worker run outbox --once").stdout);
        sleep(Duration::from_millis(50));
    }
    drop(relay);
    assert_eq!(sql.count("event_sinks"), 4);
    for (sink, arrived) in runtime.block_on(sinks.arrived(&rabbit, &nats)) {
        expected.check(sink, &arrived);
    }
}
