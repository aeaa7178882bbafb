//! Clocks that are wrong, seen by the real programs: of one service of three, of the database, of all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant, UNIX_EPOCH};

use reprieve_domain::Timestamp;
use reprieve_tests::{
    Answer, EraserService, FakeClock, Identity, PrivatePostgres, Random, Reply, Request, Sandbox, Service,
    rounds,
};

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const PUBLIC_URL: &str = "https://reprieve.example.org";
/// How wrong a clock is, in seconds.
const WRONG: [i64; 8] = [4, -4, 6, -6, 3600, -3600, 370 * 86_400, -370 * 86_400];
/// The grace period at each service, so that ends lie close together.
const GRACE: [Duration; 3] = [Duration::from_secs(9), Duration::from_secs(14), Duration::from_secs(20)];
const TOLERANCE: Duration = Duration::from_secs(5);
/// Longer than a request takes on a machine that is busy.
const ON_THE_WAY: Duration = Duration::from_secs(1);

/// When an eraser was first asked for a process.
type FirstAsked = Arc<Mutex<BTreeMap<String, Instant>>>;

/// Three services on one database, each with a clock of its own, and an eraser.
struct Deployment {
    services: Vec<Service>,
    clocks: Vec<FakeClock>,
    /// The database's, if it has one.
    database: Option<FakeClock>,
    first_asked: FirstAsked,
    sandboxes: Vec<Sandbox>,
    _eraser: EraserService,
    _server: Option<PrivatePostgres>,
}

/// A process, and what was promised.
struct Process {
    id: String,
    token: String,
    ends: Instant,
    /// How much longer or shorter the promise is than the grace period.
    is_off_by: Duration,
    promised: String,
    cancelled: bool,
}

/// A server whose clock jumps by a year takes what waits for a lock for what has waited for a year.
fn may_be_repeated(code: &str) -> bool {
    code.starts_with("error.reprieve.clock.") || code == "error.reprieve.database.unavailable"
}

/// Since 1970, by the right clock.
fn now() -> Duration {
    UNIX_EPOCH.elapsed().unwrap()
}

fn token(number: u64) -> String {
    Identity::new(number).token(PUBLIC_URL)
}

impl Deployment {
    fn postgres() -> Self {
        let clock = FakeClock::new();
        let server = PrivatePostgres::with_clock(&clock);
        let url = server.url();
        Self::on(Some(url), (0..3).map(|_| FakeClock::new()).collect(), Some(clock), Some(server))
    }

    /// All services and the database have the one clock of their machine.
    fn sqlite() -> Self {
        Self::on(None, vec![FakeClock::new()], None, None)
    }

    fn on(
        url: Option<String>,
        clocks: Vec<FakeClock>,
        database: Option<FakeClock>,
        server: Option<PrivatePostgres>,
    ) -> Self {
        let first_asked = FirstAsked::default();
        let noted = first_asked.clone();
        let eraser = EraserService::start(move |asked| {
            noted.lock().unwrap().entry(asked.process().to_owned()).or_insert_with(Instant::now);
            Answer::Erased(1)
        });
        let first = Sandbox::new();
        let url = url.unwrap_or_else(|| format!("sqlite:{}", first.home().join("reprieve.db").display()));
        let first = first.on(url);
        first.configure(&format!(
            "http = {{public_url = '{PUBLIC_URL}', requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000}}
            grace_period = {{minimum_in_days = 0.000001, default_in_days = 0.0001}}
            journal.url = 'sqlite:{home}/journal'
            receipts.key_file = '{home}/receipt-key'
            audit.key = '{key}'
            [workers]
            reminders_every_in_seconds = 0.2
            deletions_every_in_seconds = 0.2
            erasures_every_in_seconds = 0.2
            housekeeping_every_in_seconds = 0.2
            {eraser}",
            key = "0123456789abcdef".repeat(4),
            home = first.home().display(),
            eraser = eraser.toml("files", 20.0)
        ));
        drop(first.line("database migrate").succeeded());
        let sandboxes: Vec<_> =
            std::iter::once(first.variant()).chain((1..3).map(|_| first.variant())).collect();
        let services = sandboxes
            .iter()
            .enumerate()
            .map(|(number, sandbox)| {
                let mut command = sandbox.command();
                let days = GRACE[number].as_secs_f64() / 86_400.0;
                command.env("REPRIEVE__GRACE_PERIOD__DEFAULT_IN_DAYS", format!("{days:.12}"));
                clocks[number % clocks.len()].show_to(command.arg("start"));
                Service::try_start(&mut command).unwrap()
            })
            .collect();
        let sandboxes = std::iter::once(first).chain(sandboxes).collect();
        Self { services, clocks, database, first_asked, sandboxes, _eraser: eraser, _server: server }
    }

    fn ask(&self, service: usize, request: &Request) -> Reply {
        self.services[service % self.services.len()].send(request)
    }

    /// Asks for a deletion after so long; nothing if that is refused because of the clocks.
    fn initiate(&self, service: usize, number: u64) -> Option<Process> {
        let grace = GRACE[service];
        let token = token(number);
        let asked_at = now();
        let request = Request::post(SELF).bearer(&token);
        let reply = self.ask(service, &request);
        if reply.status != 201 {
            let code = reply.code().unwrap_or_default();
            assert!(reply.status == 503 && may_be_repeated(&code), "{reply:?}");
            return None;
        }
        let result = reply.result(201);
        let id = result["id"].as_str().unwrap().to_owned();
        // What was promised counts: it was dated by a clock that may be wrong by less than the tolerance.
        let end: Timestamp = result["gracePeriodEndsAt"].as_str().unwrap().parse().unwrap();
        let end = Duration::from_micros(end.unix_micros().try_into().unwrap());
        let ends = Instant::now() + end.saturating_sub(now());
        let is_off_by = end.abs_diff(asked_at + grace);
        Some(Process { id, token, ends, is_off_by, promised: result.to_string(), cancelled: false })
    }

    /// As a client does: once more, if the service says that it cannot answer now.
    fn cancel(&self, service: usize, process: &Process) -> Reply {
        let request = Request::new("PUT", format!("{SELF}/{}/Cancel", process.id)).bearer(&process.token);
        let mut reply = self.ask(service, &request);
        for _ in 0..3 {
            if reply.status != 503 {
                break;
            }
            sleep(Duration::from_millis(100));
            reply = self.ask(service, &request);
        }
        reply
    }

    fn set_right(&self) {
        self.clocks.iter().chain(&self.database).for_each(|clock| clock.set(0));
    }

    fn sql(&self) -> reprieve_tests::Sql {
        self.sandboxes[0].sql()
    }

    fn was_erased(&self, process: &Process) -> Option<Instant> {
        self.first_asked.lock().unwrap().get(&process.id).copied()
    }
}

/// Everything at random, on PostgreSQL: one service of three, several, or the database are wrong, jumping while they run.
#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn campaign_of_clocks_that_are_compared() {
    run(&Deployment::postgres(), true);
}

/// The same on SQLite, where there is one clock.
#[test]
#[ignore = "needs libfaketime: tests/run"]
fn campaign_of_a_clock_that_is_the_only_one() {
    run(&Deployment::sqlite(), false);
}

fn run(deployment: &Deployment, is_compared: bool) {
    let mut random = Random::new();
    let count: u64 = rounds(60);
    let mut processes: Vec<Process> = Vec::new();
    let (mut refused_to_begin, mut cancelled) = (0, 0);
    let mut wrong = 0;
    let mut states = Vec::new();
    for number in 0..count {
        if number % 5 == 0 {
            deployment.set_right();
            wrong = WRONG[usize::try_from(random.below(WRONG.len() as u64)).unwrap()];
            let which = random.below(5);
            states.push((Instant::now(), format!("{which}: {wrong}")));
            match which {
                0 => wrong = 0,
                1 if is_compared => deployment.database.as_ref().unwrap().set(wrong),
                2 if is_compared => deployment.clocks.iter().for_each(|clock| clock.set(wrong)),
                // A single clock that is ahead by less than the gap is believed, which cannot be helped.
                _ if !is_compared => {
                    if (6..=3600).contains(&wrong) {
                        wrong = 370 * 86_400;
                    }
                    deployment.clocks[0].set(wrong);
                }
                _ => deployment.clocks[usize::try_from(random.below(3)).unwrap()].set(wrong),
            }
        }
        let service = usize::try_from(random.below(3)).unwrap();
        match deployment.initiate(service, number + 1) {
            // The promise is as long as it should be, by a clock that nothing speaks against until it is set.
            Some(_) if !is_compared && wrong.abs() > 5 => {}
            Some(process) => {
                assert!(process.is_off_by <= TOLERANCE + ON_THE_WAY, "{wrong}: {}", process.promised);
                processes.push(process);
            }
            None => refused_to_begin += 1,
        }
        // Somebody changes their mind.
        let open: Vec<usize> = (0..processes.len())
            .filter(|index| !processes[*index].cancelled && Instant::now() < processes[*index].ends)
            .collect();
        if random.below(3) == 0 && !open.is_empty() {
            let index = open[usize::try_from(random.below(open.len() as u64)).unwrap()];
            let is_timely = Instant::now() + TOLERANCE + ON_THE_WAY < processes[index].ends;
            let reply = deployment.cancel(usize::try_from(random.below(3)).unwrap(), &processes[index]);
            match reply.status {
                200 => {
                    processes[index].cancelled = true;
                    cancelled += 1;
                }
                // A single clock that has been set back and right again was believed while it was behind.
                _ => assert!(
                    !is_timely,
                    "{wrong}: a timely cancel is refused: {reply:?}; promised {} and in {:?}; erased {:?} before the end; {:?}",
                    processes[index].promised,
                    processes[index].ends - Instant::now(),
                    deployment.was_erased(&processes[index]).map(|erased| processes[index].ends - erased),
                    states
                        .iter()
                        .map(|(at, what): &(Instant, String)| format!("{:?} ago: {what}", at.elapsed()))
                        .collect::<Vec<_>>(),
                ),
            }
        }
        sleep(Duration::from_millis(150 + random.below(100)));
    }
    // With the clocks right, everybody who is due is deleted.
    deployment.set_right();
    let noted = deployment.sandboxes[0].json("clock show");
    assert_eq!(noted["doubt"], serde_json::Value::Null, "{noted}");
    let last = processes.iter().map(|process| process.ends).max().unwrap();
    sleep(last.saturating_duration_since(Instant::now()) + Duration::from_secs(1));
    let is_due = |process: &&Process| !process.cancelled;
    let start = Instant::now();
    let left =
        || processes.iter().filter(is_due).filter(|process| deployment.was_erased(process).is_none()).count();
    while left() > 0 && start.elapsed() < Duration::from_secs(30) {
        sleep(Duration::from_millis(50));
    }
    let took = start.elapsed();
    assert_eq!(left(), 0, "of {} processes, some are not deleted", processes.len());
    for process in &processes {
        match deployment.was_erased(process) {
            Some(erased) => {
                assert!(!process.cancelled, "{} was cancelled and is erased", process.id);
                let early = process.ends.saturating_duration_since(erased);
                assert!(early <= TOLERANCE, "{} is erased {early:?} before its end", process.id);
            }
            None => assert!(process.cancelled),
        }
    }
    // Nothing was forgotten, and everything verifies.
    let trails: BTreeSet<String> =
        deployment.sql().texts("SELECT DISTINCT process_id FROM audit_entries").into_iter().collect();
    assert!(processes.iter().all(|process| trails.contains(&process.id)), "a trail was forgotten");
    drop(deployment.sandboxes[0].line("audit verify").succeeded());
    println!(
        "{} processes, {refused_to_begin} not begun, {cancelled} cancelled, the last deleted after {took:?}",
        processes.len()
    );
}

/// What was known of the clock of a primary says nothing of that of the standby that takes over.
#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_standby_with_another_clock_takes_over() {
    for wrong in [3600, -3600, 4] {
        let (right, other) = (FakeClock::new(), FakeClock::new());
        let primary = PrivatePostgres::with_clock(&right);
        let standby = primary.standby_with_clock(&other);
        other.set(wrong);
        let url = format!(
            "postgres://postgres@{},{}/postgres?target_session_attrs=read-write",
            primary.address(),
            standby.address()
        );
        let deployment = Deployment::on(Some(url), vec![FakeClock::new()], None, None);
        let begun: Vec<_> = (1..=3).map(|number| deployment.initiate(1, number).unwrap()).collect();
        primary.stop_at_once();
        standby.promote();
        let start = Instant::now();
        let refused = loop {
            let reply = deployment.ask(0, &Request::post(SELF).bearer(&token(9)));
            let code = reply.code().unwrap_or_default();
            if reply.status == 201 || code.starts_with("error.reprieve.clock.") {
                break reply.status != 201;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{reply:?}");
        };
        assert_eq!(refused, wrong != 4, "{wrong}");
        // The machine says that it is in time, so that it is.
        let cancelled = deployment.cancel(0, &begun[0]);
        assert_eq!(cancelled.status, 200, "{wrong}: {cancelled:?}");
        // Nobody is deleted before the end by more than the tolerance, and nobody at all while the clocks disagree.
        sleep(Duration::from_secs(2));
        assert!(begun.iter().all(|process| deployment.was_erased(process).is_none()), "{wrong}");
        other.set(0);
        let start = Instant::now();
        while begun[1..].iter().any(|process| deployment.was_erased(process).is_none()) {
            assert!(start.elapsed() < Duration::from_mins(1), "{wrong}");
            sleep(Duration::from_millis(100));
        }
        assert!(
            begun[1..]
                .iter()
                .all(|process| deployment.was_erased(process).unwrap() + TOLERANCE >= process.ends)
        );
        assert!(deployment.was_erased(&begun[0]).is_none());
        primary.start_again();
    }
}

/// A single pass on a machine whose clock is wrong; and a machine that slept for a month.
#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_single_pass_by_a_clock_that_is_wrong_starts_nothing() {
    let server = PrivatePostgres::start();
    for url in [Some(server.url()), None] {
        let is_postgres = url.is_some();
        let sandbox = Sandbox::new();
        let url = url.unwrap_or_else(|| format!("sqlite:{}", sandbox.home().join("reprieve.db").display()));
        let sandbox = sandbox.on(url);
        sandbox.configure(
            "erasure.without_erasers = true\nreceipts.key_file = 'receipt-key'\njournal.url = 'sqlite:journal'\n",
        );
        drop(sandbox.line("database migrate").succeeded());
        drop(sandbox.line("identityDeletion init").succeeded());
        let clock = FakeClock::new();
        let run = |line: &str| {
            let mut command = sandbox.command();
            clock.show_to(command.args(line.split(' ')));
            reprieve_tests::Outcome::of(&mut command)
        };
        for (seconds, on_postgres) in [
            (370 * 86_400, "disagrees"),
            (-370 * 86_400, "disagrees"),
            (16 * 86_400, "disagrees"),
            (-6, "disagrees"),
        ] {
            clock.set(seconds);
            for worker in ["deletions", "reminders", "housekeeping"] {
                let pass = run(&format!("worker run {worker} --once"));
                match (is_postgres, seconds > 0) {
                    (true, _) => drop(pass.failed(70, &format!("error.reprieve.clock.{on_postgres}"))),
                    (false, true) => drop(pass.failed(70, "error.reprieve.clock.ahead")),
                    (false, false) => drop(pass.succeeded()),
                }
            }
            assert_eq!(sandbox.sql().count("deletion_processes WHERE status = 'Active'"), 1);
        }
        // On SQLite the machine may have slept for a month: a day later it is believed, and sooner if somebody says so.
        if !is_postgres {
            clock.set(30 * 86_400);
            drop(run("worker run deletions --once").failed(70, "error.reprieve.clock.ahead"));
            clock.set(30 * 86_400 + 86_000);
            drop(run("worker run deletions --once").failed(70, "error.reprieve.clock.ahead"));
            clock.set(31 * 86_400 + 60);
            drop(run("worker run deletions --once").succeeded());
            assert_eq!(sandbox.sql().count("deletion_processes WHERE status = 'Deleting'"), 1);
        }
        // And what the owner thinks of it counts.
        clock.set(0);
        let cancelled = sandbox.line("identityDeletion cancel");
        if is_postgres {
            drop(cancelled.succeeded());
        }
        assert!(sandbox.line("audit verify").code == 0);
    }
}
