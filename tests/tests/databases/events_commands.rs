//! `reprieve events …`, as a stranger runs it.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdout, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use reprieve_tests::{Sandbox, on_both_databases};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// What has not happened after so long never will.
const PATIENCE: Duration = Duration::from_secs(50);

on_both_databases!(
    events_are_shown_as_they_happen_until_it_is_told_to_stop,
    an_event_that_waits_for_somebody_is_shown_and_sent_again_once,
    what_is_followed_ends_when_nobody_reads_it,
);

/// A command that follows events, and what it shows.
struct Following {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn start(sandbox: &Sandbox, options: &[&str]) -> Self {
        let mut command = sandbox.command();
        command.args(["events", "follow"]).args(options).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    fn next(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// The exit code and all that was said on standard error.
    fn ended(mut self) -> (Option<i32>, String) {
        drop(self.lines);
        ended(&mut self.process)
    }
}

fn ended(process: &mut Child) -> (Option<i32>, String) {
    let start = Instant::now();
    let status = loop {
        match process.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > PATIENCE => {
                process.kill().unwrap();
                panic!("it does not end");
            }
            None => sleep(Duration::from_millis(5)),
        }
    };
    let mut stderr = String::new();
    process.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (status.code(), stderr)
}

fn init(sandbox: &Sandbox) {
    let _ = sandbox.line("identityDeletion init").succeeded();
}

fn cancel(sandbox: &Sandbox) {
    let _ = sandbox.line("identityDeletion cancel").succeeded();
}

fn events_are_shown_as_they_happen_until_it_is_told_to_stop(sandbox: &Sandbox) {
    init(sandbox);
    let address = sandbox.json("identity status")["address"].as_str().unwrap().to_owned();
    for signal in [Signal::TERM, Signal::INT] {
        let mut all = Following::start(sandbox, &["--from-beginning"]);
        let first = all.next();
        assert!(first.contains("  IdentityToBeDeleted  ") && first.contains(&address), "{first}");
        let mut documents = Following::start(sandbox, &["--from-beginning", "--output", "json"]);
        let types: Vec<Value> = (0..2)
            .map(|_| serde_json::from_str::<Value>(&documents.next()).unwrap()["type"].take())
            .collect();
        assert_eq!(types, ["transport.identityDeletionProcessStatusChanged", "reprieve.identityToBeDeleted"]);
        let before = sandbox.sql().count("outbox");
        for _ in 2..before {
            let _ = all.next();
        }
        cancel(sandbox);
        // Both commands run while this one does.
        let shown = if before > 1 { (all.next(), all.next()).1 } else { all.next() };
        assert!(shown.contains("  IdentityDeletionCancelled  "), "{shown}");
        init(sandbox);
        assert!(all.next().contains("  IdentityToBeDeleted  "));
        for following in [all, documents] {
            following.tell(signal);
            assert_eq!(following.ended(), (Some(0), String::new()));
        }
    }
    // Nothing of what was there before, unless somebody asks for it.
    let later = Following::start(sandbox, &[]);
    sleep(Duration::from_secs(1));
    later.tell(Signal::TERM);
    let mut later = later;
    assert!(later.lines.next().is_none());
    assert_eq!(later.ended(), (Some(0), String::new()));
}

fn what_is_followed_ends_when_nobody_reads_it(sandbox: &Sandbox) {
    init(sandbox);
    for options in [&["--from-beginning"][..], &["--from-beginning", "--output", "json"]] {
        let mut following = Following::start(sandbox, options);
        let _ = following.next();
        // Nobody sees that the reader has gone before there is something to be read.
        let Following { mut process, lines } = following;
        drop(lines);
        cancel(sandbox);
        init(sandbox);
        assert_eq!(ended(&mut process), (Some(0), String::new()));
    }
}

#[test]
fn a_pipe_that_is_full_does_not_keep_it_from_ending() {
    let sandbox = Sandbox::new();
    for _ in 0..5 {
        init(&sandbox);
        cancel(&sandbox);
    }
    let (reader, writer) = std::io::pipe().unwrap();
    let room = rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
    let mut command = sandbox.command();
    command.args(["events", "follow", "--from-beginning", "--output", "json"]);
    let mut process =
        command.stdout(Stdio::from(OwnedFd::from(writer))).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    let start = Instant::now();
    // A message does not fit any more.
    while rustix::io::ioctl_fionread(&reader).unwrap() < u64::try_from(room).unwrap() - 1000 {
        assert!(start.elapsed() < PATIENCE);
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_millis(200));
    assert_eq!(process.try_wait().unwrap(), None);
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    assert_eq!(ended(&mut process), (Some(0), String::new()));
    drop(reader);
}

fn an_event_that_waits_for_somebody_is_shown_and_sent_again_once(sandbox: &Sandbox) {
    init(sandbox);
    assert_eq!(sandbox.line("events parked").succeeded().stdout, "No events are parked\n");
    // Whoever follows gives events their places.
    let mut following = Following::start(sandbox, &["--from-beginning", "--output", "json"]);
    let message: Value = serde_json::from_str(&following.next()).unwrap();
    let id = message["id"].as_str().unwrap().strip_suffix("-status").unwrap().to_owned();
    following.tell(Signal::TERM);
    assert_eq!(following.ended(), (Some(0), String::new()));
    let mut sql = sandbox.sql();
    let address = sql.text("SELECT address FROM outbox");
    for sink in ["hook", "rabbit"] {
        sql.execute(&format!(
            "INSERT INTO event_retries (sink, sequence, address, attempts, failing_since, due_at, parked_at, failure) \
             VALUES ('{sink}', 1, '{address}', 23, 1796000000000000, 0, 1796259200000000, 'httpStatus500')"
        ));
    }
    let parked = sandbox.json("events parked --sink hook");
    let [parked] = parked.as_array().unwrap().as_slice() else { panic!("{parked}") };
    let shown = ["sink", "eventId", "kind", "attempts", "failure"].map(|name| parked[name].to_string());
    let expected = [
        "\"hook\"".to_owned(),
        format!("\"{id}\""),
        "\"IdentityToBeDeleted\"".to_owned(),
        "23".to_owned(),
        "\"httpStatus500\"".to_owned(),
    ];
    assert_eq!(shown, expected);
    assert!(sandbox.line("events parked").succeeded().stdout.contains(&id));

    let not_found = "error.runtime.recordNotFound";
    let _ = sandbox.line("events redeliver nothing").failed(1, not_found);
    let _ = sandbox.line(&format!("events redeliver {id} --sink other")).failed(1, not_found);
    let again = sandbox.line(&format!("events redeliver {id} --sink hook")).succeeded();
    assert_eq!(again.stdout, "Events to be sent again: 1\n");
    assert_eq!(sandbox.json("events redeliver --all")["sentAgain"], 2);
    assert_eq!(sandbox.json("events parked"), serde_json::json!([]));
}

#[test]
fn schemas_are_shown_without_any_database() {
    let sandbox = Sandbox::new();
    let all = sandbox.json("events schema");
    let all = all.as_object().unwrap();
    assert_eq!(all.len(), 10);
    for (name, schema) in all {
        for format in ["text", "json"] {
            let alone = sandbox.run(["events", "schema", name, "--output", format]).succeeded();
            assert_eq!(serde_json::from_str::<Value>(&alone.stdout).unwrap(), *schema);
        }
        assert_eq!(schema["properties"]["type"]["const"], name.as_str());
    }
    let unknown = sandbox.line("events schema reprieve.identityForgotten");
    let _ = unknown.failed(1, "error.runtime.validation.invalidPropertyValue");
    assert!(sandbox.files().is_empty());
}

#[test]
fn what_is_about_the_own_database_is_refused_if_a_server_is_named() {
    let sandbox = Sandbox::new();
    for line in ["events parked", "events redeliver --all", "events follow"] {
        let line = format!("{line} --server https://reprieve.example");
        let _ = sandbox.line(&line).failed(1, "error.reprieve.command.localOnly");
    }
}
