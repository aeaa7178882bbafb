//! `kill -9` of workers at random moments, and databases and erasers that go away meanwhile: nobody is erased who is not to
//! be, nothing counts as done that is not, and everything comes to its end.

mod deployment;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use reprieve_tests::{
    Answer, Asked, EraserService, Moments, Outcome, PrivatePostgres, Sandbox, Sql, eraser_toml,
    on_both_databases, rounds,
};

use self::deployment::{Deployment, in_journal, pass};

pub(crate) const ERASERS: [&str; 2] = ["files", "mail"];
const TIMEOUT_IN_SECONDS: f64 = 0.1;
/// What has not come to its end after so long never will.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

on_both_databases!(an_eraser_that_is_down_is_asked_until_it_is_up,);

/// Erasers that do what they like, and look around when they are asked.
struct Erasers {
    services: Vec<(&'static str, EraserService)>,
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Erasers {
    fn start(sandbox: &Sandbox, looks_into_database: bool) -> Self {
        let (wrong, moments) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Moments::new())));
        let services = ERASERS.map(|name| {
            let (sandbox, wrong, moments) = (sandbox.variant(), wrong.clone(), moments.clone());
            // One connection for all, because on PostgreSQL each takes longer than an eraser may take to answer.
            let database: Mutex<Option<Sql>> = Mutex::default();
            let decide = move |asked: &Asked| {
                let process = asked.process();
                let complain = |what: &str| wrong.lock().unwrap().push(format!("{process} {what}"));
                if !in_journal(&sandbox).contains(process) {
                    complain("is not in the journal");
                }
                // Whoever is killed while it asks may be overtaken: then it is deleted already.
                let early = format!(
                    "deletion_processes WHERE id = '{process}' AND status NOT IN ('Deleting', 'Deleted')"
                );
                let is_early =
                    || database.lock().unwrap().get_or_insert_with(|| sandbox.sql()).count(&early) > 0;
                if looks_into_database && is_early() {
                    complain("is not being deleted");
                }
                if asked.header("idempotency-key").is_some_and(|key| key != process) {
                    complain("has another key");
                }
                let mut moments = moments.lock().unwrap();
                match moments.below(24) {
                    0 => Answer::Failed,
                    1 => Answer::HangUp,
                    2 => Answer::Working,
                    3 => Answer::Late(Duration::from_millis(moments.below(130))),
                    4..12 => Answer::Late(Duration::from_millis(moments.below(8))),
                    _ => Answer::Erased(1),
                }
            };
            (name, EraserService::start(decide))
        });
        Self { services: services.into(), wrong }
    }

    fn toml(&self) -> String {
        self.services.iter().map(|(name, service)| service.toml(name, TIMEOUT_IN_SECONDS)).collect()
    }

    /// Which eraser acknowledged in which process, whether or not anybody heard it.
    fn acknowledged(&self) -> BTreeSet<(String, String)> {
        let mut acknowledged = BTreeSet::new();
        for (name, service) in &self.services {
            for (asked, answer) in service.asked() {
                if matches!(answer, Answer::Erased(_) | Answer::Late(_)) {
                    acknowledged.insert((asked.process().to_owned(), (*name).to_owned()));
                }
            }
        }
        acknowledged
    }

    fn assert_nothing_wrong(&self) {
        assert_eq!(*self.wrong.lock().unwrap(), [] as [String; 0]);
    }
}

fn spawn(sandbox: &Sandbox, line: &str) -> Child {
    let mut command = sandbox.command();
    command.args(line.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn killed(mut worker: Child) -> Outcome {
    worker.kill().unwrap();
    worker.wait_with_output().unwrap().into()
}

/// No process is Deleted that is not erased: what is stored just now.
fn nothing_counts_as_done_that_is_not(sql: &mut Sql) {
    let all = ERASERS.len();
    let too_early = sql.texts(&format!(
        "SELECT process_id FROM audit_entries GROUP BY process_id
         HAVING sum(CASE WHEN message_key = 'DeletionCompleted' THEN 1 ELSE 0 END) > 0
            AND sum(CASE WHEN message_key = 'DataDeleted' THEN 1 ELSE 0 END) <> {all}"
    ));
    assert_eq!(too_early, [] as [String; 0]);
    // What is being deleted has its tasks.
    assert_eq!(
        sql.count(
            "deletion_processes WHERE status IN ('Deleting', 'Deleted') AND NOT EXISTS
             (SELECT 1 FROM erasure_tasks WHERE process_id = deletion_processes.id AND eraser = '')"
        ),
        0
    );
}

fn workers_that_are_killed(sandbox: &Sandbox, kills: u64) {
    let erasers = Erasers::start(sandbox, true);
    let mut deployment = Deployment::new(sandbox, &erasers.toml());
    let sandbox = deployment.sandbox.variant();
    let mut sql = sandbox.sql();
    let (mut of_kind, mut moments) = ([Moments::new(), Moments::new()], Moments::new());
    let (mut ended, mut cut_off) = (0, 0);
    for round in 0..kills {
        if Deployment::left(&mut sql) < 16 {
            deployment.initiate(5);
        }
        let kind = usize::from(moments.below(3) > 0);
        let (worker, once) = (["deletions", "erasures"][kind], &mut of_kind[kind]);
        if round % 20 == 19 {
            let worker = spawn(&sandbox, &format!("worker run {worker}"));
            sleep(Duration::from_millis(moments.below(300)));
            killed(worker);
        } else {
            let line = format!("worker run {worker} --once");
            let count = if sql.is_postgres() && moments.below(4) == 0 { 2 } else { 1 };
            let workers: Vec<Child> = (0..count).map(|_| spawn(&sandbox, &line)).collect();
            // Not to wait for anything: the moment is the point.
            sleep(once.draw());
            for outcome in workers.into_iter().map(killed) {
                assert!([0, -1].contains(&outcome.code), "round {round}: {outcome:?}");
                once.learn(outcome.code == 0);
                *(if outcome.code == 0 { &mut ended } else { &mut cut_off }) += 1;
            }
        }
        nothing_counts_as_done_that_is_not(&mut sql);
        erasers.assert_nothing_wrong();
    }
    println!("{ended} ended, {cut_off} killed, {} identities", deployment.identities);
    assert!(ended > 0 && cut_off > 0 && deployment.identities > 12, "the moments were not random");
    deployment.come_to_the_end();
    erasers.assert_nothing_wrong();
    deployment.check(&erasers.acknowledged());
}

#[test]
fn workers_that_are_killed_leave_nothing_half_done_on_sqlite() {
    workers_that_are_killed(&Sandbox::new(), rounds(200));
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn workers_that_are_killed_leave_nothing_half_done_on_postgres() {
    workers_that_are_killed(&Sandbox::postgres(), rounds(100));
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_database_that_fails_under_a_worker_loses_nothing_and_is_come_back_to() {
    let server = PrivatePostgres::start();
    let sandbox = Sandbox::new().on(server.url());
    let _ = sandbox.line("database migrate").succeeded();
    let erasers = Erasers::start(&sandbox, false);
    let mut deployment = Deployment::new(&sandbox, &erasers.toml());
    deployment.initiate(40);
    let _ = pass(&deployment.sandbox, "deletions");
    let running = spawn(&deployment.sandbox, "worker run erasures");
    let mut moments = Moments::new();
    for times in 1..=3 {
        erasers.services[0].1.wait_until_asked(times * 8);
        sleep(Duration::from_millis(moments.below(50)));
        server.stop_at_once();
        let cut_off = deployment.sandbox.line("worker run erasures --once");
        assert_eq!((cut_off.code, cut_off.stdout.as_str()), (70, ""), "{cut_off:?}");
        server.start_again();
        nothing_counts_as_done_that_is_not(&mut deployment.sandbox.sql());
    }
    let (start, mut sql) = (Instant::now(), deployment.sandbox.sql());
    while Deployment::left(&mut sql) > 0 {
        assert!(start.elapsed() < PATIENCE, "{:#}", deployment.sandbox.json("deletions show"));
        sleep(Duration::from_millis(20));
    }
    killed(running);
    erasers.assert_nothing_wrong();
    deployment.check(&erasers.acknowledged());
}

fn an_eraser_that_is_down_is_asked_until_it_is_up(sandbox: &Sandbox) {
    let up = EraserService::start(|_| Answer::Erased(1));
    let down = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let toml = up.toml("files", TIMEOUT_IN_SECONDS) + &eraser_toml(down, "mail", TIMEOUT_IN_SECONDS);
    let mut deployment = Deployment::new(sandbox, &toml);
    deployment.initiate(1);
    let sandbox = deployment.sandbox.variant();
    let once = |worker: &str| pass(&sandbox, worker);
    assert_eq!(once("deletions"), "Deletions started: 1; left alone: 0; failed: 0\n");
    let asked = |completed, acknowledged, failed| {
        format!(
            "Deletions completed: {completed}; erasers acknowledged: {acknowledged}; working: 0; failed: {failed}, \
             of which stuck: 0; left alone: 0; broken: 0\n"
        )
    };
    assert_eq!(once("erasures"), asked(0, 1, 1));
    assert_eq!(sandbox.sql().count("audit_entries WHERE message_key = 'ErrorDuringDeletion'"), 1);
    sleep(Duration::from_millis(210));
    assert_eq!(once("erasures"), asked(0, 0, 1));
    let mail = EraserService::start_at(TcpListener::bind(down).unwrap(), |_| Answer::Erased(1));
    sleep(Duration::from_millis(410));
    assert_eq!(once("erasures"), asked(1, 1, 0));
    assert_eq!((up.asked().len(), mail.asked().len()), (1, 1));
    assert_eq!(
        (once("deletions"), once("erasures")),
        ("Deletions started: 0; left alone: 0; failed: 0\n".into(), asked(0, 0, 0))
    );
    let process = mail.asked()[0].0.process().to_owned();
    deployment.check(&ERASERS.map(|eraser| (process.clone(), eraser.to_owned())).into());
}
