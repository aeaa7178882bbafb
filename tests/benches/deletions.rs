//! What a pass of `reprieve worker run deletions --once` costs, on PostgreSQL: whether it depends on how much there is that
//! is not due, how much memory the process needs, and what several workers at once are good for.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reprieve_tests::{Sandbox, Sql, TestDatabase, is_measuring, postgres_server, publish};
use wait4::Wait4;

/// When the processes that are not due end their grace period: in 2100.
const LATER: u64 = 4_102_444_800_000_000;

/// How much is stored and due, and how often it is measured.
struct Plan {
    few: u64,
    many: u64,
    due: u64,
    rounds: usize,
    due_for_workers: u64,
}

const MEASURED: Plan = Plan { few: 10_000, many: 1_000_000, due: 1_000, rounds: 15, due_for_workers: 4_000 };
const TRIED: Plan = Plan { few: 10, many: 100, due: 10, rounds: 1, due_for_workers: 40 };

struct Deployment {
    sandbox: Sandbox,
    sql: Sql,
    /// How many processes were made due so far.
    made: u64,
    _database: TestDatabase,
}

/// What one pass took.
struct Cost {
    wall: Duration,
    /// In KiB.
    peak_memory: u64,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = match runtime.block_on(postgres_server()) {
        Ok(server) => server,
        Err(reason) if is_measuring() => {
            return publish("deletions", &format!("**Not measured**: {reason}."));
        }
        Err(reason) => return println!("deletions: not run: {reason}"),
    };
    let plan = if is_measuring() { MEASURED } else { TRIED };
    let mut few = Deployment::with(&server, plan.few, &runtime);
    let mut many = Deployment::with(&server, plan.many, &runtime);
    let (mut on_few, mut on_many) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        // Who comes second finds the machine as the first one left it, so they take turns at that, too.
        if round % 2 == 0 {
            on_few.push(few.pass(plan.due));
            on_many.push(many.pass(plan.due));
        } else {
            on_many.push(many.pass(plan.due));
            on_few.push(few.pass(plan.due));
        }
    }
    let mut gains = Vec::new();
    for _ in 0..plan.rounds.div_ceil(2) {
        let alone = many.workers(1, plan.due_for_workers);
        let together = many.workers(4, plan.due_for_workers);
        gains.push(alone.as_secs_f64() / together.as_secs_f64());
    }
    for deployment in [&mut few, &mut many] {
        deployment.check();
    }
    if is_measuring() {
        publish("deletions", &figures(&plan, &on_few, &on_many, gains));
    } else {
        println!("deletions: ok");
    }
}

fn figures(plan: &Plan, on_few: &[Cost], on_many: &[Cost], mut gains: Vec<f64>) -> String {
    let milliseconds = |cost: &Cost| cost.wall.as_secs_f64() * 1000.0;
    let mut ratios: Vec<f64> =
        on_few.iter().zip(on_many).map(|(few, many)| milliseconds(many) / milliseconds(few)).collect();
    let ratio = median(&mut ratios);
    let gain = median(&mut gains);
    let memory = |costs: &[Cost]| mebibytes(costs.iter().map(|cost| cost.peak_memory).max().unwrap_or(0));
    let target = |reached: bool| if reached { "reached" } else { "**missed**" };
    let row = |stored: u64, costs: &[Cost]| {
        let mut times: Vec<f64> = costs.iter().map(milliseconds).collect();
        format!("| {stored} | {:.0} ms | {:.1} MiB |\n", median(&mut times), memory(costs))
    };
    format!(
        "- **{ratio:.2} ×** the time with {} Active processes is what a pass takes with {} (median of {} pairs, lowest \
         {:.2}, highest {:.2}), both with {} that are due. Target: at most 1.5 ×, {}.\n\
         - **{:.1} MiB** of memory at most. Target: less than 60 MB, {}.\n\
         - Four workers start **{gain:.2} ×** as many deletions a second as one, of {} that are due; none was started \
         twice. Target: more than 1 ×, {}.\n\n\
         | Active processes | a pass, the process included | peak memory |\n|---|---|---|\n{}{}",
        plan.few,
        plan.many,
        plan.rounds,
        ratios[0],
        ratios[ratios.len() - 1],
        plan.due,
        target(ratio <= 1.5),
        memory(on_few).max(memory(on_many)),
        target(memory(on_few).max(memory(on_many)) < 57.2),
        plan.due_for_workers,
        target(gain > 1.0),
        row(plan.few, on_few),
        row(plan.many, on_many),
    )
}

impl Deployment {
    /// With so many processes that are not due.
    fn with(server: &str, active: u64, runtime: &tokio::runtime::Runtime) -> Self {
        let database = runtime.block_on(TestDatabase::postgres_on(server));
        let sandbox = Sandbox::new().on(database.url()).with("REPRIEVE__ERASURE__WITHOUT_ERASERS", "true");
        let journal = format!("sqlite:{}", sandbox.home().join("journal").display());
        let sandbox = sandbox.with("REPRIEVE__JOURNAL__URL", journal);
        let migrated = sandbox.run(["database", "migrate"]);
        assert_eq!(migrated.code, 0, "{migrated:?}");
        let mut sql = Sql::open(database.url());
        fill(&mut sql, "N", active, LATER);
        sql.execute("VACUUM ANALYZE");
        sql.execute("CHECKPOINT");
        Self { sandbox, sql, made: 0, _database: database }
    }

    /// Makes so many more due, over an hour of some time ago.
    fn make_due(&mut self, due: u64) {
        self.made += 1;
        let kind = char::from(b'A' + u8::try_from(self.made % 26).unwrap());
        let kind = format!("{kind}{}", self.made);
        fill(&mut self.sql, &kind, due, 1_700_000_000_000_000);
        self.sql.execute("CHECKPOINT");
    }

    fn worker(&self) -> Command {
        let mut command = self.sandbox.command();
        command.args(["worker", "run", "deletions", "--once", "--output", "json"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    fn pass(&mut self, due: u64) -> Cost {
        self.make_due(due);
        let start = Instant::now();
        let process = self.worker().spawn().unwrap();
        let usage = process.wait4().unwrap();
        let wall = start.elapsed();
        assert!(usage.status.success());
        assert_eq!(self.waiting(), 0);
        Cost { wall, peak_memory: usage.rusage.maxrss / 1024 }
    }

    /// So many workers at the same time, until nothing is due.
    fn workers(&mut self, number: u64, due: u64) -> Duration {
        self.make_due(due);
        let start = Instant::now();
        let processes: Vec<_> = (0..number).map(|_| self.worker().spawn().unwrap()).collect();
        for mut process in processes {
            assert!(process.wait().unwrap().success());
        }
        let wall = start.elapsed();
        assert_eq!(self.waiting(), 0);
        wall
    }

    /// How many processes are due still.
    fn waiting(&mut self) -> u64 {
        self.sql
            .count(&format!("deletion_processes WHERE status = 'Active' AND grace_period_ends_at < {LATER}"))
    }

    /// Nothing was started twice, and nothing that was not due.
    fn check(&mut self) {
        let started = self.sql.count("deletion_processes WHERE status = 'Deleting'");
        assert_eq!(self.sql.count("audit_entries WHERE message_key = 'DeletionStarted'"), started);
        assert_eq!(self.sql.count("outbox WHERE event_type = 'IdentityDeletionStarted'"), started);
        assert_eq!(self.sql.count("erasure_tasks"), started);
        assert_eq!(
            self.sql.count(&format!(
                "deletion_processes WHERE status = 'Deleting' AND grace_period_ends_at >= {LATER}"
            )),
            0
        );
    }
}

/// Processes as they are stored, with the audit entries and events of their initiation; hashes are of the right length
/// and nothing else.
fn fill(sql: &mut Sql, kind: &str, number: u64, ends_at: u64) {
    let digits = 17 - kind.len();
    let id = format!("'IDP{kind}' || lpad(n::text, {digits}, '0')");
    let hash = |text: &str| format!("sha256(({text})::bytea)");
    let statements = [
        format!(
            "INSERT INTO deletion_processes (id, address, status, created_at, created_by_device, \
             grace_period_ends_at, revision, audit_head, audit_seal) \
             SELECT {id}, 'did:web:example.org:users:{kind}:' || n, 'Active', {ends_at} + n - 1209600000000, \
             'DVC0123456789abcdefg', {ends_at} + n, 1, {}, {} FROM generate_series(1, {number}) AS n",
            hash(&id),
            hash(&format!("'seal' || {id}")),
        ),
        format!(
            "INSERT INTO audit_entries (process_id, sequence, created_at, new_status, message_key, additional_data, \
             identity_hash, device_hash, hash) \
             SELECT {id}, 1, {ends_at} + n - 1209600000000, 'Active', 'StartedByOwner', '{{}}', {}, {}, {} \
             FROM generate_series(1, {number}) AS n",
            hash(&format!("'identity' || {id}")),
            hash("'device'"),
            hash(&id),
        ),
        format!(
            "INSERT INTO outbox (process_id, revision, address, event_type, occurred_at, data) \
             SELECT {id}, 1, 'did:web:example.org:users:{kind}:' || n, 'IdentityToBeDeleted', \
             {ends_at} + n - 1209600000000, '{{}}' FROM generate_series(1, {number}) AS n"
        ),
    ];
    for statement in statements {
        sql.execute(&statement);
    }
}

#[expect(clippy::cast_precision_loss, reason = "processes are smaller than 2^52 KiB")]
fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
