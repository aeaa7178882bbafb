//! A cancel over HTTP beside the use case called directly, on the same database: 16 clients, each with a connection that
//! is kept open and a token signed by an identity of its own for every cancel. The service is the binary, in a process of
//! its own; both ways take turns.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reprieve_application::use_cases::{CancelIdentityDeletionProcessById, InitiateIdentityDeletionProcess};
use reprieve_application::{Caller, GracePeriodSettings};
use reprieve_persistence::{Clocks, ConnectionOptions, Database, Store};
use reprieve_system::{AuditKeyFile, SystemClock, SystemIds};
use reprieve_tests::{Identity, POSTGRES_URL, Request, Sandbox, Service, is_measuring, publish};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

const CLIENTS: usize = 16;

/// How much is done.
struct Plan {
    rounds: usize,
    cancels_of_a_client: usize,
}

/// What a process that is to be cancelled is called, and by whom.
struct Task {
    caller: Caller,
    process_id: String,
    /// As it is sent.
    request: Vec<u8>,
}

/// The database, the service on it, and the use cases on it.
struct Bench {
    service: Service,
    runtime: Runtime,
    initiate: Arc<InitiateIdentityDeletionProcess>,
    cancel: Arc<CancelIdentityDeletionProcessById>,
    identities: u64,
}

impl Bench {
    fn new(sandbox: Sandbox, key_file: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let (url, key_file) = (sandbox.database_url(), AuditKeyFile::new(sandbox.home().join(key_file)));
        let service = Service::alone(sandbox, "");
        let store: Arc<Store> = runtime.block_on(async {
            let database =
                Database::connect(&url.parse().unwrap(), &ConnectionOptions::default()).await.unwrap();
            Arc::new(
                database
                    .into_store(
                        key_file.read().unwrap().unwrap(),
                        Clocks::compared(Arc::new(SystemClock), Clocks::TOLERANCE, Clocks::GREATEST_GAP),
                    )
                    .await
                    .unwrap(),
            )
        });
        let clock = Arc::new(SystemClock);
        let settings = GracePeriodSettings::from_days(14.0, 1.0, 365.0).unwrap();
        Self {
            service,
            initiate: Arc::new(InitiateIdentityDeletionProcess::new(
                store.clone(),
                clock.clone(),
                Arc::new(SystemIds),
                settings,
            )),
            cancel: Arc::new(CancelIdentityDeletionProcessById::new(store.clone(), store, clock)),
            runtime,
            identities: 0,
        }
    }

    /// Fresh identities, each with an Active process and a request to cancel it.
    fn tasks(&mut self, count: usize) -> Vec<Task> {
        let share = count / CLIENTS;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (initiate, url) = (self.initiate.clone(), self.service.url().to_owned());
                let identities = self.identities..;
                let identities: Vec<_> = identities.take(share).map(Identity::new).collect();
                self.identities += share as u64;
                self.runtime.spawn(async move {
                    let mut tasks = Vec::new();
                    for identity in identities {
                        tasks.push(task(&initiate, &identity, &url).await);
                    }
                    tasks
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| self.runtime.block_on(client).unwrap()).collect()
    }

    /// All clients in one thread, as those who measure servers do it: with a thread each, the machine would be busy
    /// switching between them.
    fn over_http(&self, tasks: &[Task]) -> (Duration, Vec<Duration>) {
        let address = self.service.address();
        let clients = tasks.chunks(tasks.len() / CLIENTS).map(|tasks| async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut times, mut answer) = (Vec::with_capacity(tasks.len()), Vec::new());
            for task in tasks {
                let started = Instant::now();
                stream.write_all(&task.request).await.unwrap();
                assert_eq!(status(&mut stream, &mut answer).await, "200");
                times.push(started.elapsed());
            }
            times
        });
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let started = Instant::now();
        let times = runtime.block_on(join_all(clients));
        (started.elapsed(), times.concat())
    }

    fn directly(&self, tasks: Vec<Task>) -> (Duration, Vec<Duration>) {
        let started = Instant::now();
        let mut tasks = tasks.into_iter().peekable();
        let share = tasks.len() / CLIENTS;
        let mut clients = Vec::new();
        while tasks.peek().is_some() {
            let (share, cancel): (Vec<Task>, _) = (tasks.by_ref().take(share).collect(), self.cancel.clone());
            clients.push(self.runtime.spawn(async move {
                let mut times = Vec::new();
                for task in share {
                    let started = Instant::now();
                    cancel.execute(&task.caller, &task.process_id, None).await.unwrap();
                    times.push(started.elapsed());
                }
                times
            }));
        }
        let times = clients.into_iter().flat_map(|client| self.runtime.block_on(client).unwrap()).collect();
        (started.elapsed(), times)
    }

    /// Mebibytes.
    fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.service.process_id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
    }

    fn measure(mut self, plan: &Plan) -> String {
        let count = CLIENTS * plan.cancels_of_a_client;
        let (mut http, mut direct, mut ratios, mut memory) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for round in 0..plan.rounds {
            let (first, second) = (self.tasks(count), self.tasks(count));
            let run_http = |tasks: &[Task]| self.over_http(tasks);
            // Neither is always the first.
            let (over_http, directly) = if round % 2 == 0 {
                let over_http = run_http(&first);
                (over_http, self.directly(second))
            } else {
                let directly = self.directly(second);
                (run_http(&first), directly)
            };
            ratios.push(directly.0.as_secs_f64() / over_http.0.as_secs_f64());
            http.push(over_http);
            direct.push(directly);
            memory.push(self.memory());
        }
        let mut text = String::new();
        ratios.sort_by(f64::total_cmp);
        let ratio = ratios[ratios.len() / 2];
        let reached = if ratio >= 0.7 { "reached" } else { "**missed**" };
        let times = |all: &[(Duration, Vec<Duration>)]| {
            let mut times: Vec<f64> =
                all.iter().flat_map(|(_, times)| times).map(|time| time.as_secs_f64() * 1e3).collect();
            times.sort_by(f64::total_cmp);
            (times[times.len() / 2], times[times.len() * 99 / 100])
        };
        let a_second = |all: &[(Duration, Vec<Duration>)]| {
            let seconds: f64 = all.iter().map(|(all, _)| all.as_secs_f64()).sum();
            #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
            let cancels = (count * all.len()) as f64;
            cancels / seconds
        };
        let (p50, p99) = times(&http);
        writeln!(
            text,
            "- **{ratio:.2} ×** the cancels a second of the use case called directly (lowest and highest of {} rounds: \
             {:.2} and {:.2}). Target: at least 0.7 ×, {reached}.\n- The p99 of a cancel over HTTP is **{:.1} ×** its \
             p50. Target: less than 5 ×, {}.\n- The service has **{:.1} MiB** of memory after the first round, \
             **{:.1} MiB** half way and **{:.1} MiB** after the last.\n\n| | cancels a second | p50 / p99 |\n|---|---|---|",
            plan.rounds,
            ratios[0],
            ratios[ratios.len() - 1],
            p99 / p50,
            if p99 < 5.0 * p50 { "reached" } else { "**missed**" },
            memory[0],
            memory[memory.len() / 2],
            memory[memory.len() - 1],
        )
        .unwrap();
        for (name, all) in [("over HTTP", &http), ("the use case", &direct)] {
            let (p50, p99) = times(all);
            writeln!(text, "| {name} | {:.0} | {p50:.2} / {p99:.2} ms |", a_second(all)).unwrap();
        }
        assert_eq!(self.service.stop().code, 0);
        text
    }
}

/// The status of an answer, when all of it is there.
async fn status<'a>(stream: &mut TcpStream, answer: &'a mut Vec<u8>) -> &'a str {
    answer.clear();
    loop {
        assert_ne!(stream.read_buf(answer).await.unwrap(), 0, "the connection has ended");
        let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&answer[..end]).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if answer.len() == end + 4 + length.parse::<usize>().unwrap() {
            return std::str::from_utf8(&answer["HTTP/1.1 ".len()..][..3]).unwrap();
        }
    }
}

async fn task(initiate: &InitiateIdentityDeletionProcess, identity: &Identity, url: &str) -> Task {
    let caller = Caller {
        address: identity.address().parse().unwrap(),
        device: "DVC0123456789abcdefg".parse().unwrap(),
    };
    let process_id = initiate.execute(&caller, None).await.unwrap().id().to_string();
    let path = format!("/api/v2/Identities/Self/DeletionProcesses/{process_id}/Cancel");
    let request = Request::new("PUT", path).bearer(&identity.token(url));
    let request = request.bytes(url.trim_start_matches("http://"));
    Task { caller, process_id, request }
}

fn main() {
    let plan = if is_measuring() {
        Plan { rounds: 20, cancels_of_a_client: 100 }
    } else {
        Plan { rounds: 1, cancels_of_a_client: 1 }
    };
    let bench = Bench::new(Sandbox::new(), ".local/share/reprieve/reprieve.db.audit-key");
    let figures = bench.measure(&plan);
    if is_measuring() {
        publish("the service on SQLite", &figures);
    }
    if std::env::var_os(POSTGRES_URL).is_some() {
        let bench = Bench::new(Sandbox::postgres(), ".local/share/reprieve/audit-key");
        let figures = bench.measure(&plan);
        if is_measuring() {
            publish("the service on PostgreSQL", &figures);
        }
    } else if is_measuring() {
        publish("the service on PostgreSQL", &format!("Not measured: {POSTGRES_URL} is not set."));
    }
}
