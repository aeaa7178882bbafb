//! What the service tells about itself: metrics and logs. Both are the process's own, so one test runs at a time.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, in helpers as well as in test functions"
)]

#[path = "service/support/mod.rs"]
#[expect(dead_code, unused_imports, unused_macros, reason = "the tests of the interfaces need more of it")]
mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use support::{
    ADMIN_KEY, AUDIENCE, CONNECTOR, CORE_KEY, DAY, Deployment, OWN_PROCESSES, Person, SECOND, Server, Wire,
    cancel_of, own_process, processes_of, until,
};

static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Everything that is measured, by name and labels.
async fn metrics(server: &Server) -> BTreeMap<String, f64> {
    let reply = server.get("/metrics").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let lines = reply.body.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn requests_and_use_cases_are_counted_under_names_that_tell_nobodys() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    let before = metrics(&server).await;
    let id = server.initiated(&alice).await;
    server.post(OWN_PROCESSES).by(&alice).await;
    server.get(&own_process(&id)).by(&alice).await;
    server.get(&processes_of(&alice)).with_admin_key().await;
    server.get(&format!("/{}", alice.address)).await;
    server.request("BREW", CONNECTOR).await;
    let after = metrics(&server).await;

    let counted = |name: &str| {
        let value = |metrics: &BTreeMap<String, f64>| metrics.get(name).copied().unwrap_or_default();
        value(&after) - value(&before)
    };
    let request = |method: &str, route: &str, status: &str| {
        counted(&format!(
            r#"reprieve_http_requests_total{{method="{method}",route="{route}",status="{status}"}}"#
        ))
    };
    let use_case = |name: &str, outcome: &str| {
        counted(&format!(r#"reprieve_use_cases_total{{use_case="{name}",outcome="{outcome}"}}"#))
    };
    let only_one = "error.platform.validation.device.onlyOneActiveDeletionProcessAllowed";
    let exists = "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists";
    for (what, value, expected) in [
        ("an initiation", request("POST", OWN_PROCESSES, "201"), 1.0),
        ("a refusal", request("POST", OWN_PROCESSES, "400"), 1.0),
        ("a path with an id", request("GET", &format!("{OWN_PROCESSES}/{{id}}"), "200"), 1.0),
        (
            "a path with an address",
            request("GET", "/api/v1/Identities/{address}/DeletionProcesses", "200"),
            1.0,
        ),
        ("a path that leads nowhere", request("GET", "none", "404"), 1.0),
        ("a method that nobody knows", request("other", CONNECTOR, "405"), 1.0),
        ("the metrics themselves", request("GET", "/metrics", "200"), 1.0),
        ("a use case that was done", use_case("initiate", "done"), 1.0),
        ("a use case that was refused", use_case("initiate", exists), 1.0),
        ("a code of an interface", use_case("initiate", only_one), 0.0),
    ] {
        assert!((value - expected).abs() < f64::EPSILON, "{what}: {value}");
    }
    let duration = format!(r#"{{method="POST",route="{OWN_PROCESSES}"}}"#);
    assert!((counted(&format!("reprieve_http_request_duration_seconds_count{duration}")) - 2.0).abs() < 0.1);
    assert!(counted(&format!("reprieve_http_request_duration_seconds_sum{duration}")) > 0.0);
    assert!(after["reprieve_database_connections_open"] >= 1.0);
    assert!(after.contains_key("reprieve_database_connections_idle"));
    for name in after.keys() {
        for mark in ["did:", &alice.device, &id, "IDP", "DVC"] {
            assert!(!name.contains(mark), "{name}");
        }
    }
}

#[tokio::test]
async fn figures_are_counted_again_after_ten_seconds_and_kept_while_the_database_is_gone() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let figures = async || {
        let metrics = metrics(&server).await;
        ["open", "due", "overdue"].map(|name| format!("{}", metrics[&format!("reprieve_processes_{name}")]))
    };
    // Some time after whatever another test has counted.
    let start = 100 * DAY;
    deployment.clock.set(start);
    server.initiated(&Person::new()).await;
    assert_eq!(figures().await, ["1", "0", "0"]);
    server.initiated(&Person::new()).await;
    deployment.clock.set(start + 10 * SECOND - 1);
    assert_eq!(figures().await, ["1", "0", "0"]);
    deployment.clock.set(start + 10 * SECOND);
    assert_eq!(figures().await, ["2", "0", "0"]);
    deployment.clock.set(start + 14 * DAY);
    assert_eq!(figures().await, ["2", "2", "0"]);
    deployment.clock.set(start + 14 * DAY + 3600 * SECOND);
    assert_eq!(figures().await, ["2", "2", "2"]);
    // A clock that was put back does not make old figures fresh for ever.
    deployment.clock.set(start);
    assert_eq!(figures().await, ["2", "0", "0"]);

    deployment.clock.set(start + 20 * DAY);
    server.store.clone().close().await;
    assert_eq!(figures().await, ["2", "0", "0"]);
    assert!(metrics(&server).await["reprieve_database_connections_open"].abs() < 0.1);
}

#[tokio::test]
async fn a_client_that_leaves_is_not_counted_for_ever() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    // The request that asks is one of them.
    let others = async || format!("{}", metrics(&server).await["reprieve_http_requests_in_flight"] - 1.0);
    until(async || others().await == "0").await;
    let leaving = Wire::begun(&server, &Person::new(), OWN_PROCESSES).await;
    assert_eq!(others().await, "1");
    drop(leaving);
    until(async || others().await == "0").await;
}

/// What was logged, as the service logs it.
#[derive(Clone)]
struct Log(Arc<Mutex<Vec<u8>>>);

static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log(Arc::default());
    let filter = Targets::new().with_target("reprieve", Level::TRACE).with_default(Level::WARN);
    let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(log.clone());
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    log
});

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_names_every_request_and_failure_and_nobody() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let log = &*LOG;
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let (alice, own) = (Person::new(), &deployment.own);
    let token = alice.authorization(server.clock.now());
    let forged = format!("{token}forged");
    let id = server.initiated(&alice).await;
    let mut failures = Vec::new();
    for (number, request) in [
        server.post(OWN_PROCESSES).header("authorization", &token).once("a secret of alice"),
        server.get(OWN_PROCESSES).header("authorization", &forged),
        server.put(&cancel_of("IDP0123456789abcdefg")).by(&alice).once("another secret"),
        server.post(OWN_PROCESSES).by(&alice).body(r#"{"lengthOfGracePeriodInDays": "alice@example.org"}"#),
        server.post(&format!("{CONNECTOR}?lengthOfGracePeriodInDays=alice@example.org")).with_core_key(),
        server.get(CONNECTOR).with_key("a guessed key"),
        server.get(CONNECTOR).with_admin_key(),
        server.get(&format!("/{}?address={0}", alice.address)),
        server.get(&format!("/api/v1/Identities/{}x/DeletionProcesses", alice.address)).with_admin_key(),
        server.get(&format!("{}/{id}x", processes_of(&alice))).with_admin_key(),
    ]
    .into_iter()
    .enumerate()
    {
        failures.push(request.header("x-request-id", format!("request-{number}")).await);
    }
    // Rows that this program has not written, and then no database at all.
    let marks = ["alice@example.org", "Alice Example"];
    for (column, mark, path) in [
        ("created_by_device", marks[0], OWN_PROCESSES),
        ("status", marks[1], OWN_PROCESSES),
        ("status = 'Active', address", marks[0], "/api/v1/DeletionProcesses"),
    ] {
        deployment.run_sql(&format!("UPDATE deletion_processes SET {column} = '{mark}'")).await;
        failures.push(server.get(path).by(&alice).with_admin_key().await);
    }
    server.store.clone().close().await;
    failures.push(server.get(OWN_PROCESSES).by(&alice).await);
    failures.push(server.post(OWN_PROCESSES).by(&alice).once("a third secret").await);
    failures.push(server.get("/health/ready").await);

    let text = log.text();
    for failure in &failures {
        assert!(failure.status >= 400, "{failure:?}");
        let request_id = failure.header("x-request-id").unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(request_id)).collect();
        assert!(lines.iter().any(|line| line.contains(r#""message":"answered""#)), "{request_id}");
        // The health of the service has no envelope.
        if let Some(error_id) = failure.json().pointer("/error/id") {
            let named = format!(r#""error_id":{error_id},"code":"{}""#, failure.code());
            assert!(lines.iter().any(|line| line.contains(&named)), "{named}");
        }
    }
    let secrets =
        [alice.address.as_str(), own.address.as_str(), &alice.device, &own.device, CORE_KEY, ADMIN_KEY];
    let parts = token.trim_start_matches("Bearer ").split('.');
    for secret in
        secrets.into_iter().chain(marks).chain(parts).chain(["secret", "guessed", "forged", AUDIENCE])
    {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
