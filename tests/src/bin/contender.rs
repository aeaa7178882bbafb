//! One of several processes that race on one database: `contender DATABASE_URL AUDIT_KEY`.
//!
//! Each line on standard input is one round: tasks between semicolons, each `initiate ADDRESS INSTANT`,
//! `cancel ADDRESS INSTANT`, `start ADDRESS INSTANT PROCESS` or `hold ADDRESS INSTANT UNTIL`, carried out at that instant. It answers `ready`, waits
//! for one more line, lets all tasks go at once, and answers with `ok` or an error code for each.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use reprieve_application::use_cases::{
    CancelIdentityDeletionProcess, InitiateIdentityDeletionProcess, ManageHolds, NewHold, RipeProcess,
    StartIdentityDeletion,
};
use reprieve_application::{Caller, Coded, GracePeriodSettings};
use reprieve_domain::Timestamp;
use reprieve_persistence::{Clocks, ConnectionOptions, Database, Store};
use reprieve_system::{SystemIds, parse_audit_key};
use tokio::sync::Barrier;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, key] = arguments.as_slice() else { panic!("usage: contender DATABASE_URL AUDIT_KEY") };
    // Whoever waits for a lock waits long enough: losing must be a decision, not impatience.
    let options = ConnectionOptions {
        max_connections: 2,
        acquire_timeout: Duration::from_mins(1),
        ..ConnectionOptions::default()
    };
    let database = Database::connect(&url.parse().unwrap(), &options).await.unwrap();
    let store = Arc::new(
        database
            .into_store(
                parse_audit_key(key).unwrap(),
                Clocks::believed(Arc::new(Timestamp::from_unix_micros(0).unwrap())),
            )
            .await
            .unwrap(),
    );

    let mut lines = std::io::stdin().lock().lines();
    while let Some(Ok(round)) = lines.next() {
        let tasks: Vec<&str> = round.split(';').collect();
        let start = Arc::new(Barrier::new(tasks.len() + 1));
        let running: Vec<_> = tasks
            .into_iter()
            .map(|task| {
                let (store, start, task) = (store.clone(), start.clone(), task.to_owned());
                tokio::spawn(async move {
                    start.wait().await;
                    outcome(store, &task).await
                })
            })
            .collect();
        say("ready");
        lines.next().unwrap().unwrap();
        start.wait().await;
        let mut outcomes = Vec::new();
        for task in running {
            outcomes.push(task.await.unwrap());
        }
        say(&outcomes.join(" "));
    }
}

async fn outcome(store: Arc<Store>, task: &str) -> &'static str {
    let words: Vec<&str> = task.split(' ').collect();
    let (address, now) = (words[1].parse().unwrap(), Arc::new(words[2].parse::<Timestamp>().unwrap()));
    let caller = Caller { address, device: "DVC0123456789abcdefg".parse().unwrap() };
    match words[0] {
        "initiate" => {
            let settings = GracePeriodSettings::from_days(14.0, 1.0, 365.0).unwrap();
            let use_case = InitiateIdentityDeletionProcess::new(store, now, Arc::new(SystemIds), settings);
            code(use_case.execute(&caller, None).await)
        }
        "cancel" => code(CancelIdentityDeletionProcess::new(store, now).execute(&caller).await),
        "hold" => {
            let (code_of_hold, ends_at) = ("legal".parse().unwrap(), words[3].parse().unwrap());
            let new = NewHold {
                address: caller.address,
                code: code_of_hold,
                ends_at,
                is_silent: false,
                note: None,
            };
            code(ManageHolds::new(store.clone(), store, now).place(&new).await)
        }
        "start" => {
            let ripe = RipeProcess { address: caller.address, process_id: words[3].parse().unwrap() };
            code(StartIdentityDeletion::new(store.clone(), store, now).execute(&ripe, &BTreeSet::new()).await)
        }
        other => panic!("no such task: {other}"),
    }
}

fn code<T>(result: Result<T, impl Coded>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.code().as_str(),
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}
