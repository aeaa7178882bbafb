//! `reprieve start` with sinks: from a request to a webhook, without anybody doing anything.

use std::thread::sleep;
use std::time::{Duration, Instant};

use reprieve_tests::{
    Answer, Asked, Connection, EraserService, Request, Sandbox, Service, Stop, on_both_databases,
};
use serde_json::{Value, json};

on_both_databases!(
    a_webhook_is_told_what_a_request_has_done_with_its_trace,
    a_sink_that_is_down_holds_up_no_other_and_what_waits_too_long_is_parked_counted_and_sent_again,
    the_data_of_a_deleted_identity_stays_only_for_whoever_has_not_heard_of_it,
    a_worker_without_sinks_rests_until_it_is_told_to_stop,
    what_has_just_happened_is_told_at_its_pace_by_a_worker_and_all_of_it_by_one_pass,
);

const OWN: &str = "/api/core/v1/IdentityDeletionProcess";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// What has not happened after so long never will.
const PATIENCE: Duration = Duration::from_secs(50);
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn webhook(name: &str, receiver: &EraserService, more: &str) -> String {
    format!(
        "[[events.sinks]]\nname = '{name}'\ntype = 'webhook'\nurl = 'http://{}/hooks/{name}'\n{more}\n",
        receiver.address()
    )
}

fn signed(name: &str, receiver: &EraserService) -> String {
    webhook(name, receiver, &format!("secret = '{SECRET}'"))
}

/// In a hurry, with these sinks.
fn configured(sandbox: &Sandbox, sections: &str, sinks: &str) -> Sandbox {
    sandbox.configure(&format!(
        "http = {{requests_per_second = 1000000, burst = 1000000, initiations_at_once = 1000000}}
        {sections}
        [workers]
        outbox_every_in_seconds = 0.02
        [events]
        source = 'https://reprieve.example'
        allowed_private_hosts = ['127.0.0.1']
        first_retry_in_seconds = 0.01
        longest_retry_in_seconds = 0.05
        patience_in_days = 0.000005
        {sinks}"
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

fn types(receiver: &EraserService) -> Vec<String> {
    let taken = receiver.asked().into_iter().filter(|(_, answer)| *answer == Answer::Erased(0));
    taken.map(|(asked, _)| asked.body["type"].as_str().unwrap().to_owned()).collect()
}

fn is_signed(asked: &Asked) -> bool {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, asked.header(name).unwrap().parse().unwrap());
    }
    standardwebhooks::Webhook::new(SECRET).unwrap().verify(&asked.content, &headers).is_ok()
}

fn measured(connection: &mut Connection, name: &str) -> Option<f64> {
    let metrics = connection.send(&Request::get("/metrics")).unwrap().body;
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn a_webhook_is_told_what_a_request_has_done_with_its_trace(sandbox: &Sandbox) {
    let receiver = EraserService::start(|_| Answer::Erased(0));
    let connector = EraserService::start(|_| Answer::Erased(0));
    let sinks = signed("crm", &receiver)
        + &webhook(
            "old",
            &connector,
            "format = 'connector'\ntypes = ['transport.identityDeletionProcessStatusChanged']\n\
             headers = { 'X-API-KEY' = 'known' }",
        );
    let service =
        Service::try_start(configured(sandbox, "", &sinks).command().args(["start", "-v"])).unwrap();
    let traced = |request: Request| request.header("traceparent", TRACE).header("tracestate", "a=b");
    let initiated = service.send(&traced(Request::post(OWN))).result(200);
    let cancelled = service.send(&Request::new("DELETE", OWN)).result(200);
    receiver.wait_until_asked(4);
    connector.wait_until_asked(2);
    let outcome = service.stop();
    assert_eq!(outcome.code, 0, "{outcome:?}");

    let asked = receiver.asked();
    let bodies: Vec<&Value> = asked.iter().map(|(asked, _)| &asked.body).collect();
    let status = "transport.identityDeletionProcessStatusChanged";
    assert_eq!(
        types(&receiver),
        [status, "reprieve.identityToBeDeleted", status, "reprieve.identityDeletionCancelled"]
    );
    for (asked, _) in &asked {
        assert!(is_signed(asked), "{asked:?}");
        assert_eq!(asked.header("webhook-id").unwrap(), asked.body["id"]);
        assert_eq!(asked.header("content-type"), Some("application/cloudevents+json"));
        assert_eq!(asked.body["source"], "https://reprieve.example");
        assert_eq!(asked.body["subject"], initiated["id"]);
    }
    for (body, trace) in bodies.iter().zip([json!(TRACE), json!(TRACE), Value::Null, Value::Null]) {
        assert_eq!(body["traceparent"], trace);
        assert_eq!(body["tracestate"].is_string(), trace.is_string());
    }
    // What the Connector would send, and whose it is.
    for (index, process) in [(0, &initiated), (1, &cancelled)] {
        let (asked, _) = &connector.asked()[index];
        assert_eq!(asked.header("x-api-key"), Some("known"));
        let mut data = asked.body["data"].clone();
        assert_eq!(data["eventTargetAddress"], bodies[1]["data"]["address"]);
        data.as_object_mut().unwrap().shift_remove("eventTargetAddress");
        assert_eq!(asked.body, json!({"trigger": status, "data": asked.body["data"]}));
        assert_eq!(&data, process);
    }
    // Nobody reads in a log who is going to be deleted, or how requests are signed.
    let address = bodies[1]["data"]["address"].as_str().unwrap();
    for secret in [address, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "known"] {
        assert!(!outcome.stderr.contains(secret), "{}", outcome.stderr);
    }
}

fn a_sink_that_is_down_holds_up_no_other_and_what_waits_too_long_is_parked_counted_and_sent_again(
    sandbox: &Sandbox,
) {
    let receiver = EraserService::start(|_| Answer::Erased(0));
    let down = EraserService::start(|_| Answer::Failed);
    let sinks = signed("up", &receiver) + &signed("down", &down);
    let sandbox = configured(sandbox, "", &sinks);
    let service = Service::try_start(sandbox.command().arg("start")).unwrap();
    let _ = service.send(&Request::post(OWN)).result(200);
    let _ = service.send(&Request::new("DELETE", OWN)).result(200);
    receiver.wait_until_asked(4);
    let mut connection = service.connect();
    let parked = |sandbox: &Sandbox| sandbox.json("events parked").as_array().unwrap().len();
    wait_until("what is parked", || parked(&sandbox) == 2);
    wait_until("the measure", || {
        measured(&mut connection, "reprieve_events_parked{sink=\"down\"}") == Some(2.0)
    });
    assert_eq!(measured(&mut connection, "reprieve_events_parked{sink=\"up\"}"), Some(0.0));
    assert_eq!(
        measured(&mut connection, "reprieve_events_total{sink=\"up\",outcome=\"delivered\"}"),
        Some(2.0)
    );
    // It is not tried any more by itself.
    let asked = down.asked().len();
    sleep(Duration::from_millis(300));
    assert_eq!(down.asked().len(), asked);
    down.will(|_| Answer::Erased(0));
    assert_eq!(sandbox.json("events redeliver --all --sink down")["sentAgain"], 2);
    wait_until("what is sent again", || types(&down).len() == 4);
    assert_eq!(types(&down), types(&receiver));
    wait_until("the end", || sandbox.sql().count("event_retries") == 0);
    service.tell(Stop::Terminate);
    assert_eq!(service.wait().code, 0);
}

fn what_has_just_happened_is_told_at_its_pace_by_a_worker_and_all_of_it_by_one_pass(sandbox: &Sandbox) {
    const STEPS: usize = 10;
    const PAUSE: Duration = Duration::from_millis(100);
    let receiver = EraserService::start(|_| Answer::Erased(0));
    sandbox.configure(&format!(
        "[workers]\noutbox_every_in_seconds = {}\n\
         [events]\npace_per_second = 10\nallowed_private_hosts = ['127.0.0.1']\n{}",
        PAUSE.as_secs_f64(),
        signed("crm", &receiver)
    ));
    let sandbox = sandbox.variant();
    let steps = || {
        for _ in 0..STEPS / 2 {
            let _ = sandbox.json("identityDeletion init");
            let _ = sandbox.json("identityDeletion cancel");
        }
    };
    steps();
    let pass = sandbox.json("worker run outbox --once");
    assert_eq!(pass["sinks"][0]["delivered"], STEPS, "{pass}");
    steps();
    let start = Instant::now();
    let mut worker = sandbox.command().args(["worker", "run", "outbox"]).spawn().unwrap();
    // Each step has two messages.
    receiver.wait_until_asked(4 * STEPS);
    let took = start.elapsed();
    worker.kill().unwrap();
    worker.wait().unwrap();
    // A pass tells of one step, and after the last one nobody waits.
    assert!(took >= PAUSE * u32::try_from(STEPS - 1).unwrap(), "{took:?}");
}

/// The service began again and again once, with nothing to do, and a processor was busy with that.
fn a_worker_without_sinks_rests_until_it_is_told_to_stop(sandbox: &Sandbox) {
    let service = Service::try_start(sandbox.command().arg("start")).unwrap();
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", service.process_id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // Of the processor, own and kernel's, in hundredths of a second.
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    sleep(Duration::from_secs(1));
    assert!(ticks() - before < 50, "{before} {}", ticks());
    assert_eq!(service.stop().code, 0);
}

fn the_data_of_a_deleted_identity_stays_only_for_whoever_has_not_heard_of_it(sandbox: &Sandbox) {
    let receiver = EraserService::start(|_| Answer::Erased(0));
    let down = EraserService::start(|_| Answer::Failed);
    let eraser = EraserService::start(|_| Answer::Erased(7));
    let sections = format!(
        "grace_period = {{minimum_in_days = 0.000001, default_in_days = 0.00001}}
        housekeeping = {{events_in_days = 0}}
        reminders = {{days_before = []}}
        journal.url = 'sqlite:{home}/journal'
        receipts.key_file = '{home}/receipt-key'",
        home = sandbox.home().display(),
    );
    let hurry = "[workers]\noutbox_every_in_seconds = 0.02\ndeletions_every_in_seconds = 0.02\n\
                 erasures_every_in_seconds = 0.02\nhousekeeping_every_in_seconds = 0.02";
    let sinks = signed("up", &receiver) + &signed("down", &down) + &eraser.toml("files", 20.0);
    let sandbox = configured(sandbox, &sections, &sinks);
    let file = sandbox.home().join(".config/reprieve/reprieve.toml");
    let toml = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, toml.replace("[workers]\n        outbox_every_in_seconds = 0.02", hurry)).unwrap();
    let service = Service::try_start(sandbox.command().arg("start")).unwrap();
    let _ = service.send(&Request::post(OWN)).result(200);
    wait_until("the end of the identity", || {
        types(&receiver).last().is_some_and(|last| last == "reprieve.identityDeleted")
    });
    // Three events: it was to be deleted, it was being deleted, it is deleted.
    wait_until("what is parked", || sandbox.json("events parked").as_array().unwrap().len() == 3);
    assert_eq!(sandbox.sql().count("outbox"), 3);
    down.will(|_| Answer::Erased(0));
    let _ = sandbox.line("events redeliver --all").succeeded();
    wait_until("nothing that is left", || {
        sandbox.sql().count("outbox") + sandbox.sql().count("event_retries") == 0
    });
    assert_eq!(types(&down), types(&receiver));
    assert_eq!(service.stop().code, 0);
}
