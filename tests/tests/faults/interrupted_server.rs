//! A PostgreSQL server that ends connections, or itself, and comes back; and one that has no room any more.

use std::time::Duration;

use std::fs;

use reprieve_tests::{PrivatePostgres, Sandbox, Service, Sql, Stepper, Told, on_a_small_disk_for_servers};

use crate::full_disk::fill;
use crate::two_faults::{Course, Found, all_go_on, in_parallel, not_ready_soon};
use crate::vanished_server::Reached;

/// From the moment the server is back.
const AGAIN: Duration = Duration::from_secs(2);

#[test]
#[ignore = "needs the programs of PostgreSQL: tests/run"]
fn connections_that_the_server_ends_are_replaced() {
    let server = PrivatePostgres::start();
    let reached = Reached::over_a_proxy(server.address());
    let service = Service::start(&reached.sandbox);
    let mut people = Stepper::several(service.address(), 8);
    let mut found = Found::default();
    let mut sql = Sql::open(&server.url());
    for round in 1..=2 {
        all_go_on(&mut people, 6);
        let ended = sql.count(
            "(SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'reprieve') AS ended",
        );
        let again = in_parallel(&mut people, |person| person.until_acknowledged(Duration::from_secs(10)));
        println!("{round}: {ended} connections ended; served again: {again:?}");
        if ended == 0 || again.iter().any(|again| again.as_ref().map_or(true, |after| *after > AGAIN)) {
            found.push(format!("{round}: not everybody is served within {AGAIN:?}"));
        }
        found.extend(not_ready_soon(&service, 200).map(|seen| format!("after {round}: {seen}")));
    }
    service.kill();
    found.extend(Told::together(&people).missing_in(&reached.sandbox));
    let _ = reached.sandbox.line("audit verify").succeeded();
    found.assert_none();
}

#[test]
#[ignore = "needs the programs of PostgreSQL: tests/run"]
fn a_server_that_stops_as_by_a_power_failure_is_waited_for() {
    let server = PrivatePostgres::start();
    let reached = Reached::over_a_proxy(server.address());
    let stored = |told: &Told| told.missing_in(&reached.sandbox);
    let (stop, start) = (|| server.stop_at_once(), || server.start_again());
    crate::read_only_server::interrupted_twice(&reached, AGAIN, stop, start, stored);
}

/// 53100: the tables are on a small disk.
#[test]
#[ignore = "needs the programs of PostgreSQL and a mount namespace: tests/run"]
fn a_server_without_room_for_tables_loses_nothing_that_people_were_told() {
    let name = "interrupted_server::a_server_without_room_for_tables_loses_nothing_that_people_were_told";
    on_a_small_disk_for_servers(name, 8 << 10, |disk| {
        for people in [1, 8] {
            let server = PrivatePostgres::start();
            let folder = server.folder_on(disk);
            let mut sql = Sql::open(&server.url());
            sql.execute(&format!("CREATE TABLESPACE small LOCATION '{}'", folder.display()));
            sql.execute("ALTER DATABASE postgres SET default_tablespace = small");
            let sandbox = Sandbox::new().on(server.url());
            let _ = sandbox.line("database migrate").succeeded();
            let filler = disk.join("filler");
            Course::new(&sandbox, people)
                .run(&mut |begin, _| if begin { fill(&filler) } else { fs::remove_file(&filler).unwrap() });
            drop(server);
            fs::remove_dir_all(folder).unwrap();
        }
    });
}
