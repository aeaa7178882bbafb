//! What `tests/campaigns/failover` has beside the cluster: it makes the load, watches the servers, says how long a
//! fail-over took, and compares what is stored in the end with what was acknowledged.
//!
//! `failover-witness CLIENTS PUBLIC-URL NODE=postgres://… … SERVICE=ADDRESS:PORT …` answers `ready` as soon as every client of
//! every service has taken a step. Then it reads lines:
//!
//! - `fault KIND NODE`: something is about to be done, after which this node will be the primary. It answers with one line,
//!   when every client has taken a step again.
//! - `end postgres://…`: it stops, compares with this database, answers with lines, and ends with 1 if anything is not as it
//!   has to be.

mod fail_over;
mod load;
mod nodes;
mod stored;

use std::collections::BTreeMap;
use std::io::BufRead;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use fail_over::{FailOver, figures};
use load::{Load, Service};
use nodes::Nodes;

/// Before this there is nothing to fail over.
const UNTIL_READY: Duration = Duration::from_secs(50);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(clients), Some(public_url)) = (arguments.next(), arguments.next()) else {
        panic!("usage: failover-witness CLIENTS PUBLIC-URL NODE=postgres://… … SERVICE=ADDRESS:PORT …");
    };
    let clients: u64 = clients.parse().unwrap();
    let (mut urls, mut services) = (BTreeMap::new(), Vec::new());
    for argument in arguments {
        let (name, value) = argument.split_once('=').unwrap();
        if value.starts_with("postgres://") {
            urls.insert(name.to_owned(), value.to_owned());
        } else {
            services.push((name.to_owned(), value.parse().unwrap()));
        }
    }
    let start = Instant::now();
    let nodes = Nodes::watch(&urls);
    let load = Load::new(&services, clients, &public_url);
    thread::scope(|scope| {
        load.start(scope);
        let outcome = testify(start, &nodes, &load);
        load.end();
        outcome
    })
}

/// Answers what is asked on standard input.
fn testify(start: Instant, nodes: &Nodes, load: &Load) -> ExitCode {
    if !load.wait_for_everybody_since(start, UNTIL_READY) {
        eprintln!("not every client has taken a step in {} s", UNTIL_READY.as_secs());
        return ExitCode::FAILURE;
    }
    let steps: usize = load.services().iter().map(Service::steps).sum();
    println!("ready: {steps} steps in {:.1} s", start.elapsed().as_secs_f64());
    let mut fail_overs: Vec<FailOver> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["fault", kind, node] => {
                let fail_over = FailOver::observe(kind, node, nodes, load);
                println!("{:3}  {}", fail_overs.len() + 1, fail_over.line());
                fail_overs.push(fail_over);
            }
            ["end", url] => return verdict(url, &fail_overs, load),
            _ => panic!("what is {line:?}?"),
        }
    }
    ExitCode::FAILURE
}

fn verdict(url: &str, fail_overs: &[FailOver], load: &Load) -> ExitCode {
    load.end();
    let mut good = true;
    for (number, service) in load.services().iter().enumerate() {
        let (quick, lines) = figures(service, number, fail_overs);
        let (right, account) = stored::compare(url, service, fail_overs);
        good &= quick && right;
        for line in lines.into_iter().chain(account) {
            println!("{line}");
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
