//! Whatever isolation a server has by default, whichever pooler stands before it, however it caches a sequence: the same
//! course of life. The program finds out by itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use reprieve_tests::{
    Answer, Connection, Contenders, EraserService, Identity, POOLER, POSTGRES_URL, PoolMode,
    PrivatePgBouncer, PrivatePostgres, Request, Sandbox, Service, Stepper, TestDatabase, Told,
};

use crate::two_faults::{Found, in_parallel};

const ISOLATIONS: [&str; 3] = ["read committed", "repeatable read", "serializable"];
const POOLERS: [Option<PoolMode>; 3] = [None, Some(PoolMode::Session), Some(PoolMode::Transaction)];
const CACHES: [u32; 2] = [1, 100];

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const AUDIT_KEY: &str = "8f1c0d3b5a79624ee0d1b2c3a4958677fedcba98765432100123456789abcdef";
const CREATED: &str = "2026-12-01T00:00:00Z";
const A_MICROSECOND_BEFORE: &str = "2026-12-14T23:59:59.999999Z";
const DEADLINE: &str = "2026-12-15T00:00:00Z";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// What has not happened after so long never will.
const PATIENCE: Duration = Duration::from_secs(30);
const CONTENDERS: usize = 8;
const ROUNDS: u64 = 12;

struct Combination {
    isolation: &'static str,
    pooler: Option<PoolMode>,
    cache: u32,
}

fn all_combinations() -> bool {
    std::env::var_os("REPRIEVE_TEST_COMBINATIONS").is_some_and(|which| which == "all")
}

/// One of each mode. A session is held as long as its client is there: two services and the commands beside them.
fn bouncers(server: &PrivatePostgres) -> [(PoolMode, PrivatePgBouncer); 2] {
    [(PoolMode::Session, 60), (PoolMode::Transaction, 5)]
        .map(|(mode, connections)| (mode, PrivatePgBouncer::start(&server.address(), mode, connections)))
}

/// Every pair of two of these is in one of them, or every combination is, if the environment says so.
fn combinations() -> Vec<Combination> {
    let all = all_combinations();
    let mut combinations = Vec::new();
    for (row, isolation) in ISOLATIONS.into_iter().enumerate() {
        for (column, pooler) in POOLERS.into_iter().enumerate() {
            for (number, cache) in CACHES.into_iter().enumerate() {
                if all || (row + column) % 2 == number {
                    combinations.push(Combination { isolation, pooler, cache });
                }
            }
        }
    }
    combinations
}

#[test]
#[ignore = "needs the programs of PostgreSQL and PgBouncer: tests/run"]
fn the_same_course_of_life_behind_every_pooler_at_every_isolation() {
    let server = PrivatePostgres::start();
    let bouncers = bouncers(&server);
    let mut all = Vec::new();
    for Combination { isolation, pooler, cache } in combinations() {
        let address = bouncers
            .iter()
            .find(|(mode, _)| Some(*mode) == pooler)
            .map_or_else(|| server.address(), |(_, bouncer)| bouncer.address());
        let start = Instant::now();
        let name = format!("{isolation}, {pooler:?}, CACHE {cache}");
        let found = course_of_life(&server, &address, isolation, cache);
        println!("{name}: {} findings in {:?}", found.len(), start.elapsed());
        all.extend(found.into_iter().map(|line| format!("{name}: {line}")));
    }
    assert!(all.is_empty(), "found:\n{}", all.join("\n"));
}

/// The contract of the store as well, each isolation behind each pooler; that takes minutes, so only if every combination is
/// asked for.
#[test]
#[ignore = "needs the programs of PostgreSQL and PgBouncer: tests/campaigns/poolers"]
fn the_contract_of_the_store_holds_behind_every_pooler_at_every_isolation() {
    if !all_combinations() {
        println!("only in tests/campaigns/poolers: one combination is in the tests of the store");
        return;
    }
    let server = PrivatePostgres::start();
    let bouncers = bouncers(&server);
    let mut failed = Vec::new();
    for isolation in ISOLATIONS {
        let mut sql = reprieve_tests::Sql::open(&server.url());
        sql.execute(&format!("ALTER SYSTEM SET default_transaction_isolation = '{isolation}'"));
        sql.execute("SELECT pg_reload_conf()");
        drop(sql);
        for pooler in POOLERS {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["test", "-q", "--locked", "-p", "reprieve-persistence", "--test", "contract", "--"]);
            // Those of outages count and cut connections, which are the pooler's here.
            cargo.args(["--include-ignored", "postgres", "--skip", "outages::", "--test-threads", "4"]);
            cargo.env(POSTGRES_URL, server.url()).env_remove(POOLER);
            if let Some((_, bouncer)) = bouncers.iter().find(|(mode, _)| Some(*mode) == pooler) {
                cargo.env(POOLER, bouncer.address());
            }
            let start = Instant::now();
            let output = cargo.output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let result = said.lines().find(|line| line.starts_with("test result")).unwrap_or(&said);
            println!("{isolation}, {pooler:?}: {result} ({:?})", start.elapsed());
            if !output.status.success() {
                let errors = String::from_utf8_lossy(&output.stderr);
                failed.push(format!("{isolation}, {pooler:?}:\n{said}{errors}"));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn course_of_life(server: &PrivatePostgres, address: &str, isolation: &str, cache: u32) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(TestDatabase::postgres_on(&server.url()));
    let direct = Sandbox::new().on(database.url()).with("REPRIEVE__AUDIT__KEY", AUDIT_KEY);
    let mut sql = direct.sql();
    let name = sql.text("SELECT current_database()::text");
    sql.execute(&format!("ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'"));
    let sandbox = direct.variant().on(format!("postgres://postgres@{address}/{name}"));
    for expected in ["Applied m20", "Database is up to date"] {
        let migrated = sandbox.line("database migrate");
        if migrated.code != 0 || !migrated.stdout.starts_with(expected) {
            return vec![format!("not migrated: {}{}", migrated.stdout, migrated.stderr)];
        }
    }
    sql.execute(&format!("ALTER SEQUENCE outbox_position_seq CACHE {cache}"));
    let (receiver, eraser) =
        (EraserService::start(|_| Answer::Erased(0)), EraserService::start(|_| Answer::Erased(7)));
    configure(&sandbox, &receiver, &eraser);
    let services: Vec<Service> = (0..2)
        .map_while(|_| {
            Service::try_start(sandbox.command().arg("start")).map_err(|said| println!("{said:?}")).ok()
        })
        .collect();
    let [one, other] = services.as_slice() else { return vec!["a service does not start".to_owned()] };
    let addresses = [one.address(), other.address()];

    let mut found = Found::default();
    let mut told = races_over_http(addresses, &mut found);
    let mut people = Stepper::several(addresses[0], 8);
    for refusal in in_parallel(&mut people, |person| turning(person, addresses)).into_iter().flatten() {
        found.push(format!("a step was refused with {refusal}"));
    }
    let stepped = Told::together(&people);
    told.initiated.extend(stepped.initiated);
    told.cancelled.extend(stepped.cancelled);
    found.extend(told.missing_in(&direct));
    races_of_processes(&sandbox, &direct, &mut found);
    let initiated = sandbox.line("identityDeletion init --grace-period-in-days 0.000002");
    if initiated.code != 0 {
        found.push(format!("init: {}", initiated.stderr));
    }
    wait_until("the own identity is deleted", &mut found, || {
        sql.count("closed_processes WHERE receipt IS NOT NULL") >= 1
    });
    wait_until("every event is told", &mut found, || {
        let events = sql.count("outbox");
        let mut ids: Vec<String> = told_events(&receiver).into_iter().map(|event| event.id).collect();
        ids.sort();
        ids.dedup();
        ids.len() as u64 >= events
    });
    in_order(&receiver, &mut found);
    end(services, &mut found);
    commands_work(&sandbox, &mut found);
    drop(sql);
    found.lines()
}

/// In a hurry, with one sink and one eraser.
fn configure(sandbox: &Sandbox, receiver: &EraserService, eraser: &EraserService) {
    sandbox.configure(&format!(
        "{toml}grace_period = {{minimum_in_days = 0.000001}}
        journal.url = 'sqlite:{home}/journal'
        receipts.key_file = '{home}/receipt-key'
        [workers]
        reminders_every_in_seconds = 0.2
        deletions_every_in_seconds = 0.2
        erasures_every_in_seconds = 0.2
        housekeeping_every_in_seconds = 0.5
        outbox_every_in_seconds = 0.05
        [events]
        source = 'https://reprieve.example'
        allowed_private_hosts = ['127.0.0.1']
        [[events.sinks]]
        name = 'crm'
        type = 'webhook'
        url = 'http://{receiver}/hooks'
        secret = '{SECRET}'
        {eraser}",
        toml = Stepper::TOML,
        home = sandbox.home().display(),
        receiver = receiver.address(),
        eraser = eraser.toml("files", 20.0),
    ));
}

fn end(services: Vec<Service>, found: &mut Found) {
    for service in services {
        let outcome = service.stop();
        if outcome.code != 0 {
            found.push(format!("a service ended with {}", outcome.code));
        }
        let failed = outcome.stderr.lines().filter(|line| line.contains("error.reprieve.database.")).count();
        if failed > 0 {
            found.push("something failed on the database, by the log of a service".to_owned());
            outcome
                .stderr
                .lines()
                .filter(|line| line.contains("error.reprieve.database."))
                .take(3)
                .for_each(|line| println!("{line}"));
        }
    }
}

fn commands_work(sandbox: &Sandbox, found: &mut Found) {
    for line in [
        "audit verify",
        "worker run housekeeping --once",
        "worker run deletions --once",
        "worker run outbox --once",
        "config show",
        "identity status",
    ] {
        let outcome = sandbox.line(line);
        if outcome.code != 0 {
            found.push(format!("{line}: {}", outcome.stderr));
        }
    }
}

/// Takes steps at both services in turn.
fn turning(person: &mut Stepper, addresses: [SocketAddr; 2]) -> Vec<reprieve_tests::Refusal> {
    let mut refused = Vec::new();
    for number in 0..14 {
        person.turn_to(addresses[number % 2]);
        refused.extend(person.step().err());
    }
    refused
}

/// Of many who initiate, one opens a process, and of many who cancel it, one does; the others are told so.
fn races_over_http(addresses: [SocketAddr; 2], found: &mut Found) -> Told {
    let mut told = Told::default();
    for round in 0..ROUNDS {
        let token = Identity::new((99 << 32) + round).token("https://reprieve.example.org");
        let (won, _) = race(addresses, &Request::post(SELF).bearer(&token), 201, found);
        let Some(id) = won else { continue };
        told.initiated.push(id.clone());
        let cancel = Request::new("PUT", format!("{SELF}/{id}/Cancel")).bearer(&token);
        if let (Some(id), _) = race(addresses, &cancel, 200, found) {
            told.cancelled.push(id);
        }
    }
    told
}

fn race(
    addresses: [SocketAddr; 2],
    request: &Request,
    won: u16,
    found: &mut Found,
) -> (Option<String>, usize) {
    let barrier = Barrier::new(CONTENDERS);
    let replies: Vec<_> = thread::scope(|scope| {
        let racing: Vec<_> = (0..CONTENDERS)
            .map(|number| {
                let (barrier, address) = (&barrier, addresses[number % 2]);
                scope.spawn(move || {
                    let mut connection = Connection::open(address).unwrap();
                    barrier.wait();
                    connection.send(request).unwrap()
                })
            })
            .collect();
        racing.into_iter().map(|racing| racing.join().unwrap()).collect()
    });
    let winners: Vec<_> = replies.iter().filter(|reply| reply.status == won).collect();
    if winners.len() != 1 {
        found.push(format!("{} won a race for {won} that one should win", winners.len()));
    }
    for reply in replies.iter().filter(|reply| reply.status != won && reply.status != 400) {
        found.push(format!("lost a race for {won} with {} {:?}", reply.status, reply.code()));
    }
    let id = winners.first().map(|reply| reply.json()["result"]["id"].as_str().unwrap().to_owned());
    (id, winners.len())
}

/// Cancels and starts of separate processes at the deadline: one wins.
fn races_of_processes(sandbox: &Sandbox, direct: &Sandbox, found: &mut Found) {
    let mut contenders = Contenders::start(4, &sandbox.database_url(), AUDIT_KEY);
    let mut sql = direct.sql();
    for round in 0..ROUNDS {
        let address = format!("did:web:example.org:{round}");
        let initiated = contenders.race(&vec![format!("initiate {address} {CREATED}"); 8]);
        if initiated.iter().filter(|outcome| *outcome == "ok").count() != 1 {
            found.push(format!("initiations: {initiated:?}"));
        }
        let id = sql.text(&format!("SELECT id FROM deletion_processes WHERE address = '{address}'"));
        let cancel = format!("cancel {address} {A_MICROSECOND_BEFORE}");
        let start = format!("start {address} {DEADLINE} {id}");
        let tasks: Vec<String> = [cancel, start].into_iter().cycle().take(16).collect();
        let outcomes = contenders.race(&tasks);
        if outcomes.iter().filter(|outcome| *outcome == "ok").count() != 1 {
            found.push("not one wins between cancels and starts at the deadline".to_owned());
        }
        for outcome in outcomes.iter().filter(|outcome| outcome.starts_with("error.reprieve.")) {
            found.push(format!("between cancels and starts at the deadline: {outcome}"));
        }
    }
}

struct Event {
    id: String,
    process: String,
    kind: String,
    sequence: String,
}

fn told_events(receiver: &EraserService) -> Vec<Event> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let asked = receiver.asked();
    let events = asked.iter().map(|(asked, _)| Event {
        id: text(&asked.body["id"]),
        process: text(&asked.body["subject"]),
        kind: text(&asked.body["type"]),
        sequence: text(&asked.body["sequence"]),
    });
    events.filter(|event| event.kind.starts_with("reprieve.")).collect()
}

/// Of each process what came first is told first, and has the smaller number.
fn in_order(receiver: &EraserService, found: &mut Found) {
    let mut processes = BTreeMap::<String, Vec<Event>>::new();
    for event in told_events(receiver) {
        let of_it = processes.entry(event.process.clone()).or_default();
        if of_it.iter().all(|known| known.id != event.id) {
            of_it.push(event);
        }
    }
    for events in processes.values() {
        if events[0].kind != "reprieve.identityToBeDeleted" {
            found.push(format!("{} is told first", events[0].kind));
        }
        if !events.is_sorted_by(|one, next| one.sequence < next.sequence) {
            found.push("what is told later has a smaller sequence".to_owned());
        }
    }
}

fn wait_until(what: &str, found: &mut Found, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > PATIENCE {
            found.push(format!("within {PATIENCE:?} it does not come to this: {what}"));
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
}
