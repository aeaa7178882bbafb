//! All processes, page by page.

use std::collections::HashSet;

use reprieve_application::GracePeriodSettings;
use reprieve_application::use_cases::InitiateIdentityDeletionProcess;
use reprieve_system::SystemIds;
use serde_json::Value;
use std::sync::Arc;

use crate::support::{DAY, Deployment, Person, Server, after, cancel_of, on_each_database};

const ALL: &str = "/api/v1/DeletionProcesses";
const INVALID_VALUE: &str = "error.platform.validation.invalidPropertyValue";

on_each_database!(
    turning_pages_misses_nothing_and_shows_nothing_twice_while_others_change,
    pages_are_filtered
);

/// Creates processes whose deadlines are the ones asked for, in days from the start.
async fn initiated(
    deployment: &Deployment,
    deadlines: impl IntoIterator<Item = f64>,
) -> Vec<(Person, String)> {
    let settings = GracePeriodSettings::from_days(14.0, 1.0, 365.0).unwrap();
    let store = Arc::new(deployment.store.clone());
    let use_case =
        InitiateIdentityDeletionProcess::new(store, deployment.clock.clone(), Arc::new(SystemIds), settings);
    let mut processes = Vec::new();
    for days in deadlines {
        let person = Person::new();
        let process = use_case.execute(&person.caller(), Some(days)).await.unwrap();
        processes.push((person, process.id().to_string()));
    }
    processes
}

/// One page: its processes, and how to ask for the next one.
async fn page(server: &Server, query: &str) -> (Vec<Value>, Option<String>) {
    let mut page = server.get(&format!("{ALL}?{query}")).with_admin_key().await.result(200);
    let Value::Array(processes) = page["deletionProcesses"].take() else { panic!("{page}") };
    (processes, page["nextCursor"].as_str().map(str::to_owned))
}

fn ids(processes: &[Value]) -> Vec<String> {
    processes.iter().map(|process| process["id"].as_str().unwrap().to_owned()).collect()
}

/// Turns all pages, and lets something happen between any two. No process is shown twice.
async fn walked(server: &Server, query: &str, mut meanwhile: impl AsyncFnMut()) -> Vec<Value> {
    let (mut seen, mut seen_ids, mut cursor) = (Vec::new(), HashSet::new(), String::new());
    loop {
        let (processes, next) = page(server, &format!("{query}{cursor}")).await;
        for process in processes {
            assert!(seen_ids.insert(process["id"].to_string()), "{process} is shown twice");
            seen.push(process);
        }
        let Some(next) = next else { return seen };
        cursor = format!("&cursor={next}");
        meanwhile().await;
    }
}

async fn turning_pages_misses_nothing_and_shows_nothing_twice_while_others_change(deployment: Deployment) {
    // Many share a deadline, so that pages end among them.
    let there = initiated(&deployment, (0..250_u32).map(|number| f64::from(number / 60 + 2))).await;
    let server = deployment.start().await;
    let mut others = there.iter().step_by(7);
    let seen = walked(&server, "limit=37", async || {
        // Somebody changes their mind, and others come, before and after where the page has ended.
        for (person, id) in others.by_ref().take(5) {
            server.put(&cancel_of(id)).by(person).await.result(200);
        }
        initiated(&deployment, [1.0, 3.0, 9.0]).await;
    })
    .await;
    let address_of = |id: &String| {
        let process = seen.iter().find(|process| process["id"] == **id)?;
        process["address"].as_str()
    };
    for (person, id) in &there {
        assert_eq!(address_of(id), Some(person.address.as_str()));
    }
    // In the order of their deadlines, which are not shown once a process is cancelled.
    let deadlines: Vec<_> = seen.iter().filter_map(|process| process["gracePeriodEndsAt"].as_str()).collect();
    assert!(deadlines.is_sorted());
}

async fn pages_are_filtered(deployment: Deployment) {
    let processes = initiated(&deployment, [2.0, 4.0, 6.0, 8.0]).await;
    let id = |number: usize| processes[number].1.clone();
    let server = deployment.start().await;
    server.put(&cancel_of(&id(1))).by(&processes[1].0).await.result(200);
    deployment.clock.set(3 * DAY);
    deployment.start_deletion(&processes[0].0).await;
    let (before, at) = (after(6 * DAY), after(6 * DAY + 1));
    for (query, expected) in [
        (String::new(), vec![id(0), id(1), id(2), id(3)]),
        ("status=Active".to_owned(), vec![id(2), id(3)]),
        ("status=Approved".to_owned(), vec![id(2), id(3)]),
        ("status=Cancelled".to_owned(), vec![id(1)]),
        ("status=Deleting".to_owned(), vec![id(0)]),
        ("status=Deleted".to_owned(), vec![]),
        (format!("endsBefore={before}"), vec![id(0), id(1)]),
        (format!("endsBefore={at}"), vec![id(0), id(1), id(2)]),
        (format!("endsBefore={at}&status=Active"), vec![id(2)]),
    ] {
        let (all, next) = page(&server, &query).await;
        assert_eq!((ids(&all), next), (expected.clone(), None), "{query}");
        let one_by_one = walked(&server, &format!("{query}&limit=1"), async || {}).await;
        assert_eq!(ids(&one_by_one), expected, "{query}");
    }
}

#[tokio::test]
async fn a_full_page_that_is_the_last_one_says_so() {
    let deployment = Deployment::sqlite().await;
    initiated(&deployment, [2.0, 3.0]).await;
    let server = deployment.start().await;
    for (limit, shown, is_last) in [(1, 1, false), (2, 2, true), (3, 2, true), (1000, 2, true)] {
        let (processes, next) = page(&server, &format!("limit={limit}")).await;
        assert_eq!((processes.len(), next.is_none()), (shown, is_last), "{limit}");
    }
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=1.5",
        "limit=",
        "limit=x",
        "limit=99999999999",
        "limit=1&limit=2",
        "status=",
        "status=active",
        "status=Gone",
        "status=Active'--",
        "endsBefore=",
        "endsBefore=tomorrow",
        "endsBefore=2026-12-07",
        "endsBefore=2026-12-07T20:03:07",
        "endsBefore=2026-12-07T20:03:07+01:00",
        "endsBefore=99999-12-07T20:03:07Z",
        "cursor=",
        "cursor=x",
        "cursor=AAAA",
        "cursor=%FF",
        // 99999999999999999999 IDP0123456789abcdefg
        "cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTkgSURQMDEyMzQ1Njc4OWFiY2RlZmc",
        // 9223372036854775807 IDP0123456789abcdefg
        "cursor=OTIyMzM3MjAzNjg1NDc3NTgwNyBJRFAwMTIzNDU2Nzg5YWJjZGVmZw",
    ] {
        server.get(&format!("{ALL}?{query}")).with_admin_key().await.refused(400, INVALID_VALUE);
    }
    // A time zone is no problem if its sign survives the query.
    page(&server, "endsBefore=2026-12-07T20:03:07%2B01:00&unknown=1").await;
}
