//! A PostgreSQL server that can only be read for a while, because it says so or because the address leads to another one.

use std::thread;
use std::time::{Duration, Instant};

use reprieve_tests::{PrivatePostgres, Service, Sql, Stepper, Told};

use crate::two_faults::{Found, all_go_on, in_parallel, not_ready_soon};
use crate::vanished_server::Reached;

/// From the moment the server can be written to until everybody who asks is served.
const AGAIN: Duration = Duration::from_secs(2);
const PEOPLE: u64 = 8;

/// Steps, a time of reading only, steps again; twice, and a look at what is stored.
pub(crate) fn interrupted_twice(
    reached: &Reached,
    again: Duration,
    begin: impl Fn(),
    end: impl Fn(),
    stored: impl Fn(&Told) -> Vec<String>,
) {
    let service = Service::start(&reached.sandbox);
    let mut people = Stepper::several(service.address(), PEOPLE);
    let mut found = Found::default();
    for round in 1..=2 {
        all_go_on(&mut people, 6);
        begin();
        for refusals in in_parallel(&mut people, |person| person.until_refused(3, 200)) {
            if refusals.len() < 3 {
                found.push(format!("{round}: not refused"));
            }
            for refusal in refusals {
                if refusal.status != 503 || !refusal.code.starts_with("error.reprieve.database.") {
                    found.push(format!("{round}: refused with {refusal}"));
                }
            }
        }
        found.extend(not_ready_soon(&service, 503).map(|seen| format!("during {round}: {seen}")));
        end();
        let start = Instant::now();
        let served = in_parallel(&mut people, |person| person.until_acknowledged(Duration::from_secs(10)));
        println!("{round}: everybody is served again after {:?}: {served:?}", start.elapsed());
        let nobody = served.iter().all(Result::is_err);
        for served in served {
            match served {
                Ok(after) if after <= again => {}
                Ok(_) => found.push(format!("{round}: served again, but not within {again:?}")),
                Err(refusal) => found.push(format!("{round}: not served again: {refusal}")),
            }
        }
        found.extend(not_ready_soon(&service, 200).map(|seen| format!("after {round}: {seen}")));
        if nobody {
            break;
        }
        for refusal in in_parallel(&mut people, |person| person.until_refused(1, 10)).iter().flatten() {
            found.push(format!("after {round}, when it served again: {refusal}"));
        }
    }
    service.kill();
    found.extend(stored(&Told::together(&people)));
    let _ = reached.sandbox.line("audit verify").succeeded();
    found.assert_none();
}

#[test]
#[ignore = "needs the programs of PostgreSQL: tests/run"]
fn a_server_that_is_read_only_by_default_for_a_while_is_waited_for() {
    let server = PrivatePostgres::start();
    let reached = Reached::over_a_proxy(server.address());
    let read_only = |on: &str| {
        let mut sql = Sql::open(&server.url());
        sql.execute("SET default_transaction_read_only = off");
        sql.execute(&format!("ALTER SYSTEM SET default_transaction_read_only = {on}"));
        sql.execute("SELECT pg_reload_conf()");
        while Sql::open(&server.url()).text("SHOW default_transaction_read_only") != on {
            thread::sleep(Duration::from_millis(5));
        }
    };
    let stored = |told: &Told| told.differs_from(&reached.sandbox);
    interrupted_twice(&reached, AGAIN, || read_only("on"), || read_only("off"), stored);
}

/// As after a fail-over that a virtual address takes part in, too early at first.
#[test]
#[ignore = "needs the programs of PostgreSQL: tests/run"]
fn an_address_that_leads_to_a_standby_and_then_to_a_primary_is_followed() {
    let primary = PrivatePostgres::start();
    let standby = primary.standby();
    let reached = Reached::over_a_proxy(primary.address());
    follow(&standby, &primary);
    let to_standby = || {
        reached.proxy.lead_to(standby.address());
        reached.proxy.cut();
    };
    // Nobody cuts the connections to the standby.
    let to_primary = || reached.proxy.lead_to(primary.address());
    let stored = |told: &Told| told.differs_from(&reached.sandbox);
    interrupted_twice(&reached, AGAIN, to_standby, to_primary, stored);
    drop(standby);
}

#[test]
#[ignore = "needs the programs of PostgreSQL: tests/run"]
fn a_standby_that_is_promoted_is_written_to() {
    let primary = PrivatePostgres::start();
    let standby = primary.standby();
    let reached = Reached::over_a_proxy(primary.address());
    follow(&standby, &primary);
    let service = Service::start(&reached.sandbox);
    let mut people = Stepper::several(service.address(), PEOPLE);
    let mut found = Found::default();
    all_go_on(&mut people, 6);
    // What was acknowledged and had not reached the standby would be lost with the primary, which is not the subject here.
    follow(&standby, &primary);
    reached.proxy.lead_to(standby.address());
    primary.stop_at_once();
    reached.proxy.cut();
    let refused = in_parallel(&mut people, |person| person.until_refused(2, 0));
    for refusal in refused.iter().flatten().filter(|refusal| refusal.status != 503) {
        found.push(format!("refused with {refusal}"));
    }
    standby.promote();
    let start = Instant::now();
    let served = in_parallel(&mut people, |person| person.until_acknowledged(Duration::from_secs(10)));
    println!("everybody is served after {:?}: {served:?}", start.elapsed());
    if served.iter().any(|served| served.as_ref().map_or(true, |after| *after > AGAIN)) {
        found.push(format!("not everybody is served within {AGAIN:?}"));
    }
    found.extend(not_ready_soon(&service, 200));
    service.kill();
    found.extend(Told::together(&people).missing_in(&reached.sandbox));
    found.assert_none();
    primary.start_again();
}

/// Waits until the standby has what the primary has.
fn follow(standby: &PrivatePostgres, primary: &PrivatePostgres) {
    let position = Sql::open(&primary.url()).text("SELECT pg_current_wal_lsn()::text");
    let mut sql = Sql::open(&standby.url());
    let start = Instant::now();
    while sql.text(&format!("SELECT (pg_last_wal_replay_lsn() >= '{position}')::text")) != "true" {
        assert!(start.elapsed() < Duration::from_secs(30), "the standby does not follow");
        thread::sleep(Duration::from_millis(10));
    }
}
