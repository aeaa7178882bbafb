//! `reprieve start` with its workers: from a request to a receipt, without anybody doing anything.

use std::thread::sleep;
use std::time::{Duration, Instant};

use reprieve_tests::{
    Answer, Connection, EraserService, Identity, Request, Sandbox, Service, Stop, on_both_databases,
};

on_both_databases!(
    what_nobody_cancels_is_deleted_when_its_time_is_over,
    an_eraser_that_fails_for_too_long_is_stuck_until_somebody_sees_to_it,
    an_eraser_that_can_never_acknowledge_is_waived_and_the_deletion_completes,
    what_keeps_workers_from_their_work_is_reported_at_the_start_and_cancelling_goes_on,
    a_pass_that_runs_when_the_service_is_told_to_end_comes_to_its_end,
);

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const OWN: &str = "/api/core/v1/IdentityDeletionProcess";
/// What has not happened after so long never will.
const PATIENCE: Duration = Duration::from_secs(50);
const TIMEOUT_IN_SECONDS: f64 = 20.0;

/// Everything in a hurry, and whatever else is to be configured.
fn configured(sandbox: &Sandbox, eraser: &EraserService, sections: &str) -> Sandbox {
    sandbox.configure(&format!(
        "http = {{requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000}}
        grace_period = {{minimum_in_days = 0.000001, default_in_days = 0.00001}}
        journal.url = 'sqlite:{home}/journal'
        receipts.key_file = '{home}/receipt-key'
        {sections}
        [workers]
        reminders_every_in_seconds = 0.1
        deletions_every_in_seconds = 0.1
        erasures_every_in_seconds = 0.1
        housekeeping_every_in_seconds = 0.1
        {eraser}",
        home = sandbox.home().display(),
        eraser = eraser.toml("files", TIMEOUT_IN_SECONDS)
    ));
    sandbox.variant()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} does not come");
        sleep(Duration::from_millis(10));
    }
}

/// The value of a measure, if it is there.
fn measured(connection: &mut Connection, name: &str) -> Option<u64> {
    let metrics = connection.send(&Request::get("/metrics")).unwrap().body;
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn what_nobody_cancels_is_deleted_when_its_time_is_over(sandbox: &Sandbox) {
    let eraser = EraserService::start(|_| Answer::Erased(7));
    let sandbox = configured(sandbox, &eraser, "");
    let service = Service::try_start(sandbox.command().args(["start", "-vvv"])).unwrap();
    let identity = Identity::new(1);
    let token = identity.token(service.url());
    let initiated = service.send(&Request::post(SELF).bearer(&token)).result(201);
    let id = initiated["id"].as_str().unwrap();
    assert_eq!(initiated["status"], "Active");
    wait_until("the end", || {
        service.send(&Request::get(SELF).bearer(&token)).result(200) == serde_json::json!([])
    });

    let [(asked, _)] = eraser.asked().try_into().unwrap();
    assert_eq!((asked.what.as_str(), asked.process()), ("POST /erase", id));
    assert_eq!(asked.body["address"], identity.address());
    assert_eq!(asked.header("idempotency-key"), Some(id));
    assert_eq!(asked.header("webhook-id"), Some(format!("{id}_files").as_str()));
    assert!(asked.header("webhook-signature").unwrap().starts_with("v1,"));
    let receipt = sandbox.line(&format!("receipt show {id}")).succeeded().stdout;
    std::fs::write(sandbox.home().join("receipt"), receipt).unwrap();
    let verified = sandbox.json("receipt verify receipt");
    assert_eq!(verified["receipt"]["erasures"][0]["count"], 7);

    let mut connection = service.connect();
    wait_until("the count", || {
        measured(&mut connection, "reprieve_erasures_total{outcome=\"acknowledged\"}") == Some(1)
    });
    for worker in ["reminders", "deletions", "erasures", "housekeeping"] {
        let passes = format!("reprieve_worker_passes_total{{worker=\"{worker}\",outcome=\"done\"}}");
        assert!(measured(&mut connection, &passes) > Some(0), "{passes}");
    }
    let ended = service.stop();
    assert_eq!(ended.code, 0);
    for said in ["erasers asked", "deletions started"] {
        assert!(ended.stderr.contains(said), "{said}");
    }
    let private = identity.address().rsplit(':').next().unwrap();
    assert!(!ended.stderr.contains(private), "{private} is in the log");
}

fn an_eraser_that_fails_for_too_long_is_stuck_until_somebody_sees_to_it(sandbox: &Sandbox) {
    let eraser = EraserService::start(|_| Answer::Failed);
    let hurry = "erasure.first_retry_in_seconds = 0.01\nerasure.patience_in_days = 0.000001";
    let sandbox = configured(sandbox, &eraser, hurry);
    let service = Service::start(&sandbox);
    let initiated = service.send(&Request::post(OWN)).result(200);
    let id = initiated["id"].as_str().unwrap();
    let is_stuck = || {
        let tasks = sandbox.json("deletions show");
        tasks.as_array().unwrap().iter().any(|task| task["state"] == "stuck")
    };
    wait_until("that it is stuck", is_stuck);
    assert!(sandbox.line("deletions show").succeeded().stdout.contains("stuck since"));
    let mut connection = service.connect();
    assert_eq!(measured(&mut connection, "reprieve_erasures_stuck"), Some(1));
    assert!(measured(&mut connection, "reprieve_erasures_total{outcome=\"failed\"}") > Some(1));
    // It is not asked again by itself.
    let times = eraser.asked().len();
    sleep(Duration::from_millis(300));
    assert_eq!(eraser.asked().len(), times);
    assert_eq!(sandbox.sql().count("deletion_processes WHERE status = 'Deleting'"), 1);

    eraser.will(|_| Answer::Erased(1));
    let retried = sandbox.line(&format!("deletions retry {id} --eraser files")).succeeded();
    assert_eq!(retried.stdout, "Erasers asked again: 1\n");
    wait_until("the end", || sandbox.json("deletions show") == serde_json::json!([]));
    assert!(sandbox.line(&format!("receipt show {id}")).succeeded().stdout.len() > 100);
    assert_eq!(service.stop().code, 0);
    assert_eq!(sandbox.json("audit verify")["processes"], 1);
}

/// What the operator writes is found nowhere else, and nowhere at all in the end.
fn an_eraser_that_can_never_acknowledge_is_waived_and_the_deletion_completes(sandbox: &Sandbox) {
    let note = "asked Ada Lovelace";
    let eraser = EraserService::start(|_| Answer::Failed);
    let sandbox = configured(sandbox, &eraser, "erasure.first_retry_in_seconds = 1000");
    let service = Service::try_start(sandbox.command().args(["start", "-vvv"])).unwrap();
    let id = service.send(&Request::post(OWN)).result(200)["id"].as_str().unwrap().to_owned();
    wait_until("a failure", || {
        let tasks = sandbox.json("deletions show");
        tasks.as_array().unwrap().iter().any(|task| task["failures"] == 1)
    });
    let waive = format!("deletions waive {id} --eraser");
    let not_found = "error.runtime.recordNotFound";
    let _ = sandbox.line(&format!("{waive} mail --code retired")).failed(1, not_found);
    let mut words: Vec<&str> = waive.split(' ').collect();
    words.extend(["files", "--code", "retired", "--note", note]);
    let waived = sandbox.run(words).succeeded();
    assert_eq!((waived.stdout.as_str(), waived.stderr.as_str()), ("Erasure waived: files (retired)\n", ""));
    wait_until("the end", || sandbox.json("deletions show") == serde_json::json!([]));
    let _ = sandbox.line(&format!("{waive} files --code retired")).failed(1, not_found);
    let receipt = sandbox.line(&format!("receipt show {id}")).succeeded().stdout;
    std::fs::write(sandbox.home().join("receipt"), receipt).unwrap();
    let verified = sandbox.json("receipt verify receipt");
    let erasures = &verified["receipt"]["erasures"];
    assert_eq!((&erasures[0]["eraser"], &erasures[0]["code"]), (&"files".into(), &"retired".into()));
    assert!(sandbox.line("receipt verify receipt").succeeded().stdout.contains("code: retired"));
    let _ = sandbox.line("audit verify").succeeded();
    assert_eq!(sandbox.sql().count("erasure_waivers"), 0);
    assert!(
        sandbox
            .sql()
            .text("SELECT max(data) FROM outbox WHERE event_type = 'IdentityErasureWaived'")
            .contains("retired")
    );
    // That the identity is gone is said once.
    let new = sandbox.line("identity status");
    assert_eq!(new.code, 0);
    assert!(new.stdout.starts_with("Identity Address: did:e:") && new.stdout.lines().count() == 1, "{new:?}");
    let receipt = std::fs::read_to_string(sandbox.home().join("receipt")).unwrap();
    let said = format!(
        "The identity that was kept here before is deleted (process {id}). This one is new.\n\
         Receipt of the deletion: {}\n",
        receipt.trim()
    );
    assert_eq!(new.stderr, said);
    assert_eq!(sandbox.line("identity status").succeeded().stderr, "");
    service.tell(Stop::Terminate);
    let ended = service.wait();
    assert_eq!(ended.code, 0);
    assert!(!ended.stderr.contains(note) && !ended.stdout.contains(note), "{ended:?}");
}

fn what_keeps_workers_from_their_work_is_reported_at_the_start_and_cancelling_goes_on(sandbox: &Sandbox) {
    let home = sandbox.home().display().to_string();
    std::fs::write(sandbox.home().join("file"), "").unwrap();
    // The deletions have no eraser, and a file is in the way of the journal.
    sandbox.configure(&format!(
        "http = {{requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000}}
        journal.url = 'sqlite:{home}/file/journal'
        receipts.key_file = '{home}/receipt-key'
        erasure.without_erasers = false"
    ));
    let sandbox = sandbox.variant();
    let service = Service::start(&sandbox);
    let ready = service.send(&Request::get("/health/ready"));
    let body: serde_json::Value = serde_json::from_str(&ready.body).unwrap();
    let invalid = "error.reprieve.configuration.invalid";
    let unavailable = "error.reprieve.journal.unavailable";
    assert_eq!(
        (ready.status, body),
        (
            200,
            serde_json::json!({"status": "up", "workers": [
                {"worker": "deletions", "code": invalid}, {"worker": "erasures", "code": unavailable},
                {"worker": "housekeeping", "code": unavailable}, {"worker": "journal", "code": unavailable},
                {"worker": "reminders", "code": unavailable},
            ]})
        )
    );
    let _ = service.send(&Request::post(OWN)).result(200);
    let _ = service.send(&Request::new("DELETE", OWN)).result(200);
    let ended = service.stop();
    assert_eq!(ended.code, 0);
    for code in [invalid, unavailable] {
        assert!(ended.stderr.lines().any(|line| line.contains("WARN") && line.contains(code)), "{ended:?}");
    }
    let ends = |worker: &str, exit_code: i32, code: &str| {
        let outcome = sandbox.line(&format!("worker run {worker}"));
        let failure = format!("This command failed with the code '{code}'");
        assert!(outcome.code == exit_code && outcome.stderr.contains(&failure), "{outcome:?}");
    };
    ends("deletions", 1, invalid);
    ends("erasures", 70, unavailable);
    std::fs::remove_file(sandbox.home().join("file")).unwrap();
    std::fs::write(sandbox.home().join("receipt-key"), "no key").unwrap();
    ends("erasures", 70, "error.reprieve.receipt.keyUnusable");
    assert!(!sandbox.home().join("file").exists(), "looking makes nothing");
}

fn a_pass_that_runs_when_the_service_is_told_to_end_comes_to_its_end(sandbox: &Sandbox) {
    let eraser = EraserService::start(|_| Answer::Late(Duration::from_millis(500)));
    let sandbox = configured(sandbox, &eraser, "");
    let service = Service::start(&sandbox);
    let _ = service.send(&Request::post(OWN)).result(200);
    eraser.wait_until_asked(1);
    service.tell(Stop::Terminate);
    let ended = service.wait();
    assert_eq!(ended.code, 0, "{ended:?}");
    // What was acknowledged meanwhile was heard, and finished in the same pass.
    assert_eq!(sandbox.json("deletions show"), serde_json::json!([]));
    assert_eq!(sandbox.sql().count("audit_entries WHERE message_key = 'DataDeleted'"), 1);
    assert_eq!(eraser.asked().len(), 1);
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn two_services_share_the_work() {
    const MANY: u64 = 40;
    let eraser = EraserService::start(|_| Answer::Late(Duration::from_millis(30)));
    let database = Sandbox::postgres();
    let sandbox = configured(&database, &eraser, "erasure.concurrency = 2");
    let services = [Service::start(&sandbox), Service::start(&sandbox)];
    for number in 0..MANY {
        let token = Identity::new(number).token(services[0].url());
        let _ = services[0].send(&Request::post(SELF).bearer(&token)).result(201);
    }
    let mut sql = sandbox.sql();
    wait_until("the end", || sql.count("closed_processes") == MANY);
    let mut connections = services.each_ref().map(Service::connect);
    let mut shares = || {
        connections.each_mut().map(|connection| {
            measured(connection, "reprieve_erasures_total{outcome=\"acknowledged\"}").unwrap_or_default()
        })
    };
    wait_until("the count", || shares().iter().sum::<u64>() == MANY);
    assert!(shares().iter().all(|share| *share > 0), "{:?}", shares());
    assert_eq!(eraser.asked().len() as u64, MANY, "everybody once");
    for service in services {
        assert_eq!(service.stop().code, 0);
    }
    assert_eq!(sandbox.json("audit verify")["processes"], MANY);
}
