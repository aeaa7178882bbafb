//! `--server`: the same commands, answered by a running service instead of the own database.

use reprieve_tests::{Outcome, Sandbox, Service, on_both_databases};

on_both_databases!(
    every_command_says_the_same_as_it_says_without_a_server,
    a_deletion_that_was_cancelled_there_is_cancelled_here,
    identities_of_different_machines_do_not_meet,
);

/// One after the other, refusals included.
const COMMANDS: [&str; 12] = [
    "identity status",
    "identityDeletion cancel",
    "identityDeletion show",
    "identityDeletion init --grace-period-in-days 30",
    "identityDeletion init",
    "identity status",
    "identityDeletion show",
    "identityDeletion show IDPzzzzzzzzzzzzzzzzz",
    "identityDeletion show IDP",
    "identityDeletion cancel",
    "identityDeletion list",
    "identityDeletion init --grace-period-in-days 1000",
];

/// Somebody else's machine, whose commands ask this service.
fn client_of(service: &Service) -> Sandbox {
    Sandbox::new().with("REPRIEVE_SERVER", service.url())
}

/// The lines, without what differs from one run to the next: ids, instants, addresses.
fn words(outcome: &Outcome) -> (i32, Vec<String>, Vec<String>) {
    let lines = |text: &str| {
        text.lines()
            .map(|line| {
                let word = |word: &str| {
                    let word = word.trim_matches(['"', ',', '\'', '.']);
                    let varies = ["IDP", "DVC", "did:", "202"].iter().any(|start| word.starts_with(start));
                    if varies && word.len() > 10 { "…".to_owned() } else { word.to_owned() }
                };
                line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
            })
            .collect()
    };
    (outcome.code, lines(&outcome.stdout), lines(&outcome.stderr))
}

fn every_command_says_the_same_as_it_says_without_a_server(sandbox: &Sandbox) {
    let service = Service::start(sandbox);
    for format in ["text", "json"] {
        let (here, there) = (Sandbox::new(), client_of(&service));
        for command in COMMANDS {
            let command = format!("{command} --output {format}");
            assert_eq!(words(&there.line(&command)), words(&here.line(&command)), "{command}");
        }
    }
}

fn a_deletion_that_was_cancelled_there_is_cancelled_here(sandbox: &Sandbox) {
    let service = Service::start(sandbox);
    let client = client_of(&service);
    let _ = client.line("identityDeletion init").succeeded();
    let cancelled = client.json("identityDeletion cancel");
    assert_eq!(cancelled["status"], "Cancelled");
    let id = cancelled["id"].as_str().unwrap();
    assert_eq!(client.json(&format!("identityDeletion show {id}")), cancelled);
    // It is kept where it was decided, and nowhere else.
    assert_eq!(
        sandbox.sql().count(&format!("deletion_processes WHERE id = '{id}' AND status = 'Cancelled'")),
        1
    );
    let own = client.line("identityDeletion list --server=").succeeded().stdout;
    assert_eq!(own, "No deletion processes\n");
}

fn identities_of_different_machines_do_not_meet(sandbox: &Sandbox) {
    let service = Service::start(sandbox);
    let (ada, bob) = (client_of(&service), client_of(&service));
    let process = ada.json("identityDeletion init");
    let none = "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess";
    let _ = bob.line("identityDeletion cancel").failed(1, none);
    let _ = bob
        .line(&format!("identityDeletion show {}", process["id"].as_str().unwrap()))
        .failed(1, "error.runtime.recordNotFound");
    assert_eq!(bob.json("identityDeletion list"), serde_json::json!([]));
    assert_eq!(ada.json("identityDeletion show"), process);
}

#[test]
fn without_the_service_nothing_is_done_and_the_server_is_named() {
    let sandbox = Sandbox::new();
    let service = Service::start(&sandbox);
    let client = client_of(&service);
    let _ = client.line("identityDeletion init").succeeded();
    service.kill();
    let outcome = client.line("identityDeletion cancel").failed(70, "error.reprieve.server.unavailable");
    assert!(outcome.stderr.contains("http://127.0.0.1:"), "{outcome:?}");
    for command in
        ["audit verify", "database migrate", "database backup x", "start", "check", "check --ready"]
    {
        let _ = client.line(command).failed(1, "error.reprieve.command.localOnly");
    }
}
