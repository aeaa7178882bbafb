//! How far the journal is behind a service that takes a thousand steps a second, and what a journal that is down costs those
//! who cancel: `tests/campaigns/journal`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, UNIX_EPOCH};

use reprieve_tests::{Identity, PrivatePostgres, Request, Sandbox, Service};

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const PUBLIC_URL: &str = "https://reprieve.example.org";
const STEPS_PER_SECOND: u64 = 1000;
const CLIENTS: u64 = 16;
/// How long steps are taken.
const LOAD: Duration = Duration::from_secs(20);
/// How many cancel with the journal up, and as many with it down.
const CANCELLED: u64 = 1000;
/// How many deletions become due while the journal is down.
const RIPENING: u64 = 20;

/// A journal that can be stopped.
enum Journal {
    File(std::path::PathBuf),
    Server(Box<PrivatePostgres>),
}

impl Journal {
    fn url(&self) -> String {
        match self {
            Self::File(file) => format!("sqlite:{}", file.display()),
            Self::Server(server) => server.url(),
        }
    }

    /// A folder is where the file was, or the server is gone.
    fn stop(&self) {
        match self {
            Self::File(file) => {
                std::fs::rename(file.parent().unwrap(), file.parent().unwrap().with_extension("away"))
                    .unwrap();
                std::fs::create_dir_all(file).unwrap();
            }
            Self::Server(server) => server.stop_at_once(),
        }
    }

    fn start_again(&self) {
        match self {
            Self::File(file) => {
                let folder = file.parent().unwrap();
                std::fs::remove_dir_all(folder).unwrap();
                std::fs::rename(folder.with_extension("away"), folder).unwrap();
            }
            Self::Server(server) => server.start_again(),
        }
    }
}

fn main() {
    for (engine, sandbox) in [("SQLite", Sandbox::new()), ("PostgreSQL", Sandbox::unmigrated_postgres())] {
        let journal = if engine == "SQLite" {
            let folder = sandbox.home().join("elsewhere");
            std::fs::create_dir(&folder).unwrap();
            Journal::File(folder.join("journal"))
        } else {
            Journal::Server(Box::new(PrivatePostgres::start()))
        };
        measure(engine, &sandbox, &journal);
    }
}

fn measure(engine: &str, sandbox: &Sandbox, journal: &Journal) {
    let file = sandbox.home().join("reprieve.db");
    let sandbox = match engine {
        "SQLite" => sandbox.variant().on(format!("sqlite:{}", file.display())),
        _ => sandbox.variant(),
    };
    sandbox.configure(&format!(
        "http = {{public_url = '{PUBLIC_URL}', requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000}}
        grace_period.minimum_in_days = 0.000001
        erasure.without_erasers = true
        journal.url = '{}'
        workers.deletions_every_in_seconds = 1
        workers.erasures_every_in_seconds = 1",
        journal.url()
    ));
    drop(sandbox.line("database migrate").succeeded());
    let service = Service::start(&sandbox);
    let lag = lag(&sandbox, &service);
    println!("{engine}: {lag}");
    let up = cancels(&service, 1_000_000);
    // Grace periods that end while the journal is down.
    for number in 0..RIPENING {
        let request = Request::post(SELF).bearer(&token(2_000_000 + number));
        let days = 3.0 / 86_400.0;
        drop(service.send(&request.json(format!("{{\"lengthOfGracePeriodInDays\": {days}}}"))).result(201));
    }
    journal.stop();
    let down = cancels(&service, 3_000_000);
    sleep(Duration::from_secs(6));
    let started = started(&sandbox);
    journal.start_again();
    let since = Instant::now();
    while self::started(&sandbox) < RIPENING {
        assert!(since.elapsed() < Duration::from_mins(2), "deletions do not go on");
        sleep(Duration::from_millis(50));
    }
    println!("{engine}: journal up: {up}");
    println!("{engine}: journal down: {down}");
    println!(
        "{engine}: {started} of {RIPENING} deletions started while it was down, all of them {:.1} s after it was back",
        since.elapsed().as_secs_f64()
    );
    drop(service.stop());
    let verified = sandbox.json("audit verify");
    println!("{engine}: {verified}");
    assert_eq!((started, &verified["journal"]["compared"]), (0, &true.into()));
}

fn token(number: u64) -> String {
    Identity::new(number).token(PUBLIC_URL)
}

fn now() -> i64 {
    i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap()
}

fn started(sandbox: &Sandbox) -> u64 {
    sandbox.sql().count("audit_entries WHERE message_key = 'DeletionStarted'")
}

/// Every client asks and cancels in turn, each time for another identity, at the pace of all of them together.
fn lag(sandbox: &Sandbox, service: &Service) -> String {
    let (steps, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (start, lags) = (Instant::now(), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (steps, is_over) = (&steps, &is_over);
            scope.spawn(move || {
                let mut connection = service.connect();
                for round in 0.. {
                    let token = token(client * 50_000 + round);
                    let asked = Request::post(SELF).bearer(&token);
                    let begun = connection.send(&asked).unwrap().result(201);
                    let path = format!("{SELF}/{}/Cancel", begun["id"].as_str().unwrap());
                    pace(start, steps);
                    drop(connection.send(&Request::new("PUT", path).bearer(&token)).unwrap().result(200));
                    pace(start, steps);
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let mut sql = sandbox.sql();
        // The newest of the steps that are not journaled is not counted: it may be younger than the question.
        let oldest = "SELECT CAST(min(created_at) AS text) FROM unjournaled_steps \
                      JOIN audit_entries ON audit_entries.process_id = unjournaled_steps.process_id \
                      AND sequence = revision HAVING count(*) > 0";
        while start.elapsed() < LOAD {
            let asked_at = now();
            let found = sql.texts(oldest);
            let lag = found.first().map_or(0, |oldest| asked_at - oldest.parse::<i64>().unwrap()).max(0);
            lags.lock().unwrap().push(lag);
            sleep(Duration::from_millis(50));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let (steps, elapsed) = (steps.load(Ordering::Relaxed), start.elapsed());
    let since = Instant::now();
    let mut sql = sandbox.sql();
    while sql.count("unjournaled_steps") > 0 {
        assert!(since.elapsed() < Duration::from_mins(1), "the journal does not catch up");
        sleep(Duration::from_millis(20));
    }
    let mut lags = lags.into_inner().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
    let rate = steps as f64 / elapsed.as_secs_f64();
    format!(
        "{rate:.0} steps a second: the journal is behind by {} (median), {} (99 %), {} (greatest of {}); it has all {:.2} s after the last",
        seconds(quantile(&mut lags, 0.5)),
        seconds(quantile(&mut lags, 0.99)),
        seconds(quantile(&mut lags, 1.0)),
        lags.len(),
        since.elapsed().as_secs_f64()
    )
}

/// Waits until the next step is due.
fn pace(start: Instant, steps: &AtomicU64) {
    let number = steps.fetch_add(1, Ordering::Relaxed);
    let due = start + Duration::from_micros(number * 1_000_000 / STEPS_PER_SECOND);
    sleep(due.saturating_duration_since(Instant::now()));
}

/// Four clients cancel; each cancellation is timed.
fn cancels(service: &Service, first: u64) -> String {
    let (times, failed) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (times, failed) = (&times, &failed);
            scope.spawn(move || {
                let mut connection = service.connect();
                for round in 0..CANCELLED / 4 {
                    let token = token(first + client * CANCELLED + round);
                    let begun = connection.send(&Request::post(SELF).bearer(&token)).unwrap().result(201);
                    let path = format!("{SELF}/{}/Cancel", begun["id"].as_str().unwrap());
                    let request = Request::new("PUT", path).bearer(&token);
                    let start = Instant::now();
                    let reply = connection.send(&request).unwrap();
                    let took = i64::try_from(start.elapsed().as_micros()).unwrap();
                    times.lock().unwrap().push(took);
                    failed.fetch_add(u64::from(reply.status != 200), Ordering::Relaxed);
                }
            });
        }
    });
    let mut times = times.into_inner().unwrap();
    let failed = failed.into_inner();
    format!(
        "{} of {CANCELLED} cancellations succeed, median {}, 99 % {}",
        CANCELLED - failed,
        seconds(quantile(&mut times, 0.5)),
        seconds(quantile(&mut times, 0.99))
    )
}

fn quantile(values: &mut [i64], share: f64) -> i64 {
    values.sort_unstable();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small number is one of its places"
    )]
    let place = ((values.len() - 1) as f64 * share).round() as usize;
    values[place]
}

fn seconds(micros: i64) -> String {
    format!("{}.{:03} s", micros / 1_000_000, micros % 1_000_000 / 1000)
}
