//! What telling others costs, on PostgreSQL and `RabbitMQ`: how fast waiting events drain, compared with a program that does
//! nothing but publish and wait for confirmations, and what it takes from the use cases.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, PublisherConfirm};
use reprieve_application::ports::{Clock, Ids};
use reprieve_application::use_cases::{CancelIdentityDeletionProcess, InitiateIdentityDeletionProcess};
use reprieve_application::{Caller, GracePeriodSettings};
use reprieve_domain::audit::AuditKey;
use reprieve_persistence::{Clocks, ConnectionOptions, Database, Store};
use reprieve_system::{SystemClock, SystemIds};
use reprieve_tests::{AMQP_URL, Sandbox, Sql, TestDatabase, is_measuring, postgres_server, publish};
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;

/// How much waits, and how long and how often it is measured.
struct Plan {
    events: u64,
    drains: usize,
    clients: &'static [u64],
    turn: Duration,
    turns: usize,
}

const MEASURED: Plan =
    Plan { events: 100_000, drains: 5, clients: &[1, 16], turn: Duration::from_secs(3), turns: 11 };
const TRIED: Plan =
    Plan { events: 100, drains: 1, clients: &[2], turn: Duration::from_millis(100), turns: 1 };

/// How many messages the program that only publishes has on their way.
const ON_THE_WAY: usize = 2048;

const AUDIT_KEY: &str = "8f1c0d3b5a79624ee0d1b2c3a4958677fedcba98765432100123456789abcdef";

struct Broker {
    url: String,
    channel: Channel,
    queue: String,
    _connection: Connection,
}

struct Deployment {
    sandbox: Sandbox,
    sql: Sql,
    store: Arc<Store>,
    broker: Broker,
    _database: TestDatabase,
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let ready =
        runtime.block_on(async { Ok::<_, String>((postgres_server().await?, Broker::connect().await?)) });
    let (server, broker) = match ready {
        Ok(ready) => ready,
        Err(reason) if is_measuring() => return publish("relay", &format!("**Not measured**: {reason}.")),
        Err(reason) => return println!("relay: not run: {reason}"),
    };
    let plan = if is_measuring() { MEASURED } else { TRIED };
    let mut deployment = Deployment::on(&server, broker, &runtime);
    let mut drains = Vec::new();
    for round in 0..plan.drains {
        // Who comes second finds the machine as the first one left it, so they take turns at that, too.
        let bare_first =
            (round % 2 == 0).then(|| runtime.block_on(deployment.broker.publish_bare(plan.events)));
        let drained = deployment.drain(plan.events, &runtime);
        let bare =
            bare_first.unwrap_or_else(|| runtime.block_on(deployment.broker.publish_bare(plan.events)));
        drains.push((drained, bare));
    }
    let mut steps = Vec::new();
    for pace in [Pace::Kept, Pace::AsFastAsItGoes] {
        deployment.configure(pace);
        for clients in plan.clients {
            steps.push((*clients, pace, deployment.steps(*clients, &plan, &runtime)));
        }
    }
    runtime.block_on(deployment.broker.remove());
    if is_measuring() {
        publish("relay", &figures(&plan, &drains, &steps));
    } else {
        println!("relay: ok");
    }
}

/// How a relay treats what has just happened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// As it does by default.
    Kept,
    /// It tells at once whatever there is.
    AsFastAsItGoes,
}

/// Steps a second without and with somebody who tells of them, and the share of the events that was delivered meanwhile.
struct Turn {
    alone: f64,
    beside: f64,
    told: f64,
}

fn figures(plan: &Plan, drains: &[(Duration, Duration)], steps: &[(u64, Pace, Vec<Turn>)]) -> String {
    let target = |reached: bool| if reached { "reached" } else { "**missed**" };
    let mut ratios: Vec<f64> =
        drains.iter().map(|(drained, bare)| bare.as_secs_f64() / drained.as_secs_f64()).collect();
    let ratio = median(&mut ratios);
    let rate = |times: Vec<f64>| {
        let mut times = times;
        #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
        let events = plan.events as f64;
        events / median(&mut times)
    };
    let mut text = format!(
        "- **{ratio:.2} ×** the rate of a program that only publishes is that at which {} waiting events drain (median \
         of {} pairs, lowest {:.2}, highest {:.2}): {:.0} and {:.0} a second. Target: at least 0.5 ×, {}.\n",
        plan.events,
        plan.drains,
        ratios[0],
        ratios[ratios.len() - 1],
        rate(drains.iter().map(|(drained, _)| drained.as_secs_f64()).collect()),
        rate(drains.iter().map(|(_, bare)| bare.as_secs_f64()).collect()),
        target(ratio >= 0.5),
    );
    for (clients, pace, turns) in steps {
        let mut ratios: Vec<f64> = turns.iter().map(|turn| turn.beside / turn.alone).collect();
        let ratio = median(&mut ratios);
        let middle = |values: Vec<f64>| median(&mut { values });
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "- **{ratio:.2} ×** the steps a second that {clients} {} without a relay take with one that {} (median \
             of {} pairs, lowest {:.2}, highest {:.2}): {:.0} and {:.0}; {:.0} % of their events had arrived when they \
             stopped.{}",
            if *clients == 1 { "client takes" } else { "clients take" },
            match pace {
                Pace::Kept => "runs",
                Pace::AsFastAsItGoes => "keeps to no pace",
            },
            turns.len(),
            ratios[0],
            ratios[ratios.len() - 1],
            middle(turns.iter().map(|turn| turn.beside).collect()),
            middle(turns.iter().map(|turn| turn.alone).collect()),
            100.0 * middle(turns.iter().map(|turn| turn.told).collect()),
            match pace {
                Pace::Kept => format!(" Target: at least 0.9 ×, {}.", target(ratio >= 0.9)),
                Pace::AsFastAsItGoes => String::new(),
            },
        );
    }
    text
}

impl Broker {
    async fn connect() -> Result<Self, String> {
        let url = std::env::var(AMQP_URL).unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672".to_owned());
        let failed = |error| format!("no RabbitMQ: {error}");
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.map_err(failed)?;
        let channel = connection.create_channel().await.map_err(failed)?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(failed)?;
        let queue = format!("reprieve-bench-{}", std::process::id());
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(queue.as_str().into(), durable, FieldTable::default()).await.map_err(failed)?;
        Ok(Self { url, channel, queue, _connection: connection })
    }

    /// Takes everything out of the queue and returns how much it was.
    async fn purge(&self) -> u64 {
        let purged = self.channel.queue_purge(self.queue.as_str().into(), QueuePurgeOptions::default()).await;
        purged.unwrap().into()
    }

    async fn remove(&self) {
        let options = QueueDeleteOptions::default();
        self.channel.queue_delete(self.queue.as_str().into(), options).await.unwrap();
    }

    /// What a program takes that does nothing else: the same messages, persistent and confirmed.
    async fn publish_bare(&self, number: u64) -> Duration {
        let body = message();
        let start = Instant::now();
        let mut confirmations = VecDeque::new();
        for number in 0..number {
            if confirmations.len() == ON_THE_WAY {
                let oldest: Option<PublisherConfirm> = confirmations.pop_front();
                assert!(oldest.unwrap().await.unwrap().is_ack());
            }
            let properties = BasicProperties::default()
                .with_delivery_mode(2)
                .with_content_type("application/cloudevents+json".into())
                .with_message_id(format!("{number:032x}").into());
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            let sent =
                self.channel.basic_publish("".into(), self.queue.as_str().into(), options, &body, properties);
            confirmations.push_back(sent.await.unwrap());
        }
        for confirmation in confirmations {
            assert!(confirmation.await.unwrap().is_ack());
        }
        let took = start.elapsed();
        assert_eq!(self.purge().await, number);
        took
    }
}

/// A message as it is sent.
fn message() -> Vec<u8> {
    let text = r#"{"specversion":"1.0","id":"11b5e0957ff30828dc871246544cac2c-status","source":"urn:reprieve","type":"transport.identityDeletionProcessStatusChanged","subject":"IDP1cKJQsgwCBIzbCdUn","time":"2026-11-28T10:26:03.714509Z","datacontenttype":"application/json","sequence":"0000000000000000001","data":{"eventTargetAddress":"did:web:example.org:users:12345","id":"IDP1cKJQsgwCBIzbCdUn","status":"Active","createdAt":"2026-11-28T10:26:03.714509Z","createdByDevice":"DVClx8qnpQcIySOKf1pF","gracePeriodEndsAt":"2026-12-12T10:26:03.714509Z"}}"#;
    text.as_bytes().to_vec()
}

impl Deployment {
    fn on(server: &str, broker: Broker, runtime: &Runtime) -> Self {
        let database = runtime.block_on(TestDatabase::postgres_on(server));
        let sandbox = Sandbox::new().on(database.url()).with("REPRIEVE__AUDIT__KEY", AUDIT_KEY);
        let migrated = sandbox.run(["database", "migrate"]);
        assert_eq!(migrated.code, 0, "{migrated:?}");
        let options = ConnectionOptions {
            max_connections: 16,
            acquire_timeout: Duration::from_mins(1),
            ..ConnectionOptions::default()
        };
        let key: Vec<u8> = (0..32)
            .map(|index| u8::from_str_radix(&AUDIT_KEY[2 * index..2 * index + 2], 16).unwrap())
            .collect();
        let store = runtime.block_on(async {
            let opened = Database::connect(&database.url().parse().unwrap(), &options).await.unwrap();
            opened
                .into_store(
                    AuditKey::new(&key).unwrap(),
                    Clocks::compared(Arc::new(SystemClock), Clocks::TOLERANCE, Clocks::GREATEST_GAP),
                )
                .await
                .unwrap()
        });
        let sql = Sql::open(database.url());
        let deployment = Self { sandbox, sql, store: Arc::new(store), broker, _database: database };
        deployment.configure(Pace::Kept);
        deployment
    }

    fn configure(&self, pace: Pace) {
        let pace = match pace {
            Pace::Kept => "",
            Pace::AsFastAsItGoes => "[events]\nhurry_after_in_seconds = 0\n",
        };
        self.sandbox.configure(&format!(
            "{pace}[[events.sinks]]\nname = 'rabbit'\ntype = 'amqp'\nurl = '{}'\nrouting_key = '{}'\n\
             types = ['transport.identityDeletionProcessStatusChanged']\n",
            self.broker.url, self.broker.queue
        ));
    }

    fn relay(&self) -> Command {
        let mut command = self.sandbox.command();
        command.args(["worker", "run", "outbox"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// How long it takes until so many events, of half as many identities, have been told of.
    fn drain(&mut self, events: u64, runtime: &Runtime) -> Duration {
        self.forget();
        self.sql.execute(&format!(
            "INSERT INTO outbox (process_id, revision, address, event_type, occurred_at, data, event_id, process) \
             SELECT id, 1, address, 'IdentityToBeDeleted', 1796673787000000, \
                 '{{\"processId\":\"' || id || '\",\"address\":\"' || address || '\",\"occurredAt\":\"2026-12-07T20:03:07.123456Z\",\
                 \"type\":\"IdentityToBeDeleted\",\"gracePeriodEndsAt\":\"2026-12-21T20:03:07.123456Z\"}}', md5(n::text), \
                 '{{\"status\":\"Active\",\"createdAt\":\"2026-12-07T20:03:07.123456Z\",\"createdByDevice\":\"DVC0123456789abcdefg\",\
                 \"gracePeriodEndsAt\":\"2026-12-21T20:03:07.123456Z\"}}' \
             FROM (SELECT n, 'IDP' || lpad(n::text, 17, '0') AS id, 'did:web:example.org:users:' || n / 2 AS address \
                   FROM generate_series(1, {events}) AS n) AS numbers"
        ));
        self.sql.execute("VACUUM ANALYZE outbox");
        self.sql.execute("CHECKPOINT");
        let mut relay = self.relay();
        relay.arg("--once");
        let start = Instant::now();
        assert!(relay.status().unwrap().success());
        let took = start.elapsed();
        assert_eq!(runtime.block_on(self.broker.purge()), events);
        took
    }

    /// Nothing waits any more.
    fn forget(&mut self) {
        self.sql.execute("TRUNCATE outbox");
        self.sql.execute("UPDATE event_sinks SET settled_to = (SELECT last FROM event_sequence)");
    }

    fn steps(&mut self, clients: u64, plan: &Plan, runtime: &Runtime) -> Vec<Turn> {
        let next = Arc::new(AtomicU64::new(clients * 1_000_000_000));
        let mut turns = Vec::new();
        for turn in 0..plan.turns {
            let mut alone = None;
            if turn % 2 == 0 {
                alone = Some(self.alone(clients, plan.turn, &next, runtime).0);
            }
            let (beside, told) = self.beside(clients, plan.turn, &next, runtime);
            let alone = alone.unwrap_or_else(|| self.alone(clients, plan.turn, &next, runtime).0);
            turns.push(Turn { alone, beside, told });
        }
        turns
    }

    fn alone(
        &mut self,
        clients: u64,
        turn: Duration,
        next: &Arc<AtomicU64>,
        runtime: &Runtime,
    ) -> (f64, u64) {
        self.forget();
        self.sql.execute("CHECKPOINT");
        runtime.block_on(steps(&self.store, clients, turn, next))
    }

    fn beside(
        &mut self,
        clients: u64,
        turn: Duration,
        next: &Arc<AtomicU64>,
        runtime: &Runtime,
    ) -> (f64, f64) {
        self.forget();
        self.sql.execute("CHECKPOINT");
        let relay = self.relay().spawn().unwrap();
        // It has to connect, once.
        std::thread::sleep(Duration::from_millis(300));
        let (rate, steps) = runtime.block_on(steps(&self.store, clients, turn, next));
        let told = runtime.block_on(self.broker.purge());
        end(relay);
        #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
        let share = told as f64 / steps as f64;
        (rate, share)
    }
}

/// Gives the sink back, so that the next one need not wait for the lease.
fn end(mut relay: Child) {
    kill_process(Pid::from_child(&relay), Signal::TERM).unwrap();
    relay.wait().unwrap();
}

/// How many steps a second so many clients take together, each for one new identity after the other, and how many it were.
async fn steps(store: &Arc<Store>, clients: u64, turn: Duration, next: &Arc<AtomicU64>) -> (f64, u64) {
    let is_over = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::new(SystemClock), Arc::new(SystemIds));
        let initiate = InitiateIdentityDeletionProcess::new(
            store.clone(),
            clock.clone(),
            ids,
            GracePeriodSettings::from_days(14.0, 1.0, 365.0).unwrap(),
        );
        let cancel = CancelIdentityDeletionProcess::new(store.clone(), clock);
        let (next, is_over) = (next.clone(), is_over.clone());
        running.spawn(async move {
            let mut steps = 0;
            while !is_over.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let caller = Caller {
                    address: format!("did:web:example.org:users:{number}").parse().unwrap(),
                    device: "DVC0123456789abcdefg".parse().unwrap(),
                };
                initiate.execute(&caller, None).await.unwrap();
                cancel.execute(&caller).await.unwrap();
                steps += 2;
            }
            steps
        });
    }
    tokio::time::sleep(turn).await;
    is_over.store(true, Ordering::Relaxed);
    let mut steps = 0;
    while let Some(taken) = running.join_next().await {
        steps += taken.unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
    let rate = steps as f64 / start.elapsed().as_secs_f64();
    (rate, steps)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
