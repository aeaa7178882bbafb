//! What hostile clients do to a service, at length: `tests/http-attacks [ATTACK …]`. Every attack is bounded, goes against a service
//! of its own on this machine, and says what it came to; the exit code is 1 if that is more than is allowed.

use std::process::ExitCode;
use std::time::Duration;

use reprieve_tests::attacks::{
    Flood, active_people, every_connection, idle_connections, made_up_identities, shut_windows,
};
use reprieve_tests::{PrivatePostgres, Request, Sandbox, Service};

const ATTACKS: [&str; 6] = ["windows", "idle", "identities", "cancellations", "full", "refusals"];
const MEBIBYTE: u64 = 1024 * 1024;
const PEOPLE: u64 = 100;
const IDENTITIES: usize = 4_000;
const CONNECTIONS: usize = 20;
const REFUSALS: usize = 20_000;

fn main() -> ExitCode {
    let named: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = named.iter().find(|name| !ATTACKS.contains(&name.as_str())) {
        println!("tests/http-attacks: {unknown} is none of {}", ATTACKS.join(", "));
        return ExitCode::from(2);
    }
    let mut all_hold = true;
    for attack in ATTACKS.into_iter().filter(|name| named.is_empty() || named.iter().any(|one| one == name)) {
        for (figure, holds) in run(attack) {
            println!("{attack}: {figure}: {}", if holds { "holds" } else { "TOO MUCH" });
            all_hold &= holds;
        }
    }
    ExitCode::from(u8::from(!all_hold))
}

/// Each figure, and whether it is one that is allowed.
fn run(attack: &str) -> Vec<(String, bool)> {
    match attack {
        "windows" => ["/openapi.json", "/docs", "/metrics", "/health/ready"]
            .into_iter()
            .map(|path| {
                let service = Service::alone(Sandbox::new(), "");
                let shut = shut_windows(&service, 150, path, Duration::from_mins(1));
                let closed = shut.closed_after.is_some_and(|after| after <= Duration::from_secs(30));
                let figure = format!("{path}: {} MiB, {:?}", shut.grown / MEBIBYTE, shut.closed_after);
                (figure, closed && shut.grown <= 64 * MEBIBYTE)
            })
            .collect(),
        "idle" => {
            let service = Service::alone(Sandbox::new(), "");
            let idle = idle_connections(&service, 4096, Duration::from_secs(20));
            let in_time = idle.probe.max(idle.cancel) <= Duration::from_secs(1);
            vec![(format!("{idle:?}"), in_time && idle.left == 0)]
        }
        "identities" => vec![flooded(Sandbox::new(), Flood::Initiations), on_postgres(Flood::Initiations)],
        "cancellations" => {
            vec![flooded(Sandbox::new(), Flood::Cancellations), on_postgres(Flood::Cancellations)]
        }
        "full" => vec![on_full_postgres()],
        _ => vec![refused()],
    }
}

fn on_postgres(flood: Flood) -> (String, bool) {
    let server = PrivatePostgres::start();
    flooded(migrated(&server), flood)
}

fn migrated(server: &PrivatePostgres) -> Sandbox {
    let sandbox = Sandbox::new().on(server.url());
    let _ = sandbox.line("database migrate").succeeded();
    sandbox
}

fn flooded(sandbox: Sandbox, flood: Flood) -> (String, bool) {
    let service = Service::alone(sandbox, "");
    flood_of(&service, flood)
}

fn flood_of(service: &Service, flood: Flood) -> (String, bool) {
    let people = active_people(service, 0xa11ce, PEOPLE);
    let flooded = made_up_identities(service, flood, CONNECTIONS, IDENTITIES, &people);
    let holds = flooded.failed.is_empty() && flooded.percentile(99) <= Duration::from_secs(2);
    (flooded.to_string(), holds)
}

/// The server has no connection left for anybody.
fn on_full_postgres() -> (String, bool) {
    let server = PrivatePostgres::start();
    let service = Service::alone(migrated(&server), "");
    let people = active_people(&service, 0xa11ce, PEOPLE);
    let taken = every_connection(&server.url());
    let flooded = made_up_identities(&service, Flood::Initiations, CONNECTIONS, IDENTITIES, &people);
    drop(taken);
    let holds = flooded.failed.is_empty() && flooded.percentile(99) <= Duration::from_secs(2);
    (flooded.to_string(), holds)
}

/// How much the log grows with requests without credentials.
fn refused() -> (String, bool) {
    let service = Service::alone(Sandbox::new(), "http = {self_signed_tokens = true}");
    let mut connection = service.connect();
    let request = Request::get("/api/v2/Identities/Self/DeletionProcesses");
    for _ in 0..REFUSALS {
        assert_eq!(connection.send(&request).unwrap().status, 401);
    }
    let logged = service.stop().stderr.len();
    (format!("{REFUSALS} refusals, {} KiB of log", logged / 1024), logged < 1024 * 1024)
}
