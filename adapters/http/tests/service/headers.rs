//! What goes beside requests and answers.

use std::collections::HashSet;

use crate::support::{CONNECTOR, Deployment, OWN_PROCESSES, Request, Server};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// One request for each way there is to be answered.
fn requests(server: &Server) -> Vec<Request<'_>> {
    vec![
        server.get("/health/live"),
        server.get("/docs"),
        server.get("/nowhere"),
        server.put(CONNECTOR),
        server.get(CONNECTOR),
        server.get(CONNECTOR).with_core_key(),
        server.post(CONNECTOR).with_core_key().body("{"),
        server.get(OWN_PROCESSES),
        server.request("HEAD", "/health/live"),
        server.request("OPTIONS", CONNECTOR),
        server.request("BREW", CONNECTOR),
    ]
}

#[tokio::test]
async fn the_name_that_a_client_gives_its_request_comes_back() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    for name in ["a", "8e03978e-40d5-43e8-bc93-6894a57f9324", "a.b:c/d+e=f_g", &"a".repeat(128)] {
        for request in requests(&server) {
            let reply = request.header("x-request-id", name).await;
            assert_eq!(reply.header("x-request-id"), Some(name));
        }
    }
}

#[tokio::test]
async fn a_name_that_is_none_is_replaced() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let is_new = |name: &str| {
        name.strip_prefix("REQ")
            .is_some_and(|rest| rest.len() == 17 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    let mut names = HashSet::new();
    for name in [
        &b""[..],
        b"a b",
        b"a\tb",
        b"\"a\"",
        b"a;b",
        b"a%0d",
        b"<a>",
        b"{\"a\":1}",
        b"\xff",
        b"\xc3\xa9",
        &[b'a'; 129],
    ] {
        for request in requests(&server) {
            let reply = request.header("x-request-id", name).await;
            let given = reply.header("x-request-id").unwrap().to_owned();
            assert!(is_new(&given), "{given}");
            assert!(names.insert(given));
        }
    }
    for request in requests(&server) {
        assert!(names.insert(request.await.header("x-request-id").unwrap().to_owned()));
    }
}

#[tokio::test]
async fn the_trace_of_a_request_is_told_if_it_is_one() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    for request in requests(&server) {
        let reply = request.header("traceparent", &parent).await;
        assert_eq!(reply.header("x-trace-id"), Some(TRACE));
    }
    for parent in [
        String::new(),
        "00".to_owned(),
        parent.replace("00-4", "ff-4"),
        parent.replace(TRACE, &"0".repeat(32)),
        parent.replace(TRACE, &TRACE.to_uppercase()),
        parent.replace("00f067aa0ba902b7", "0000000000000000"),
        parent.replace("-01", "-1"),
    ] {
        let reply = server.get(CONNECTOR).header("traceparent", &parent).await;
        assert_eq!(reply.header("x-trace-id"), None, "{parent}");
    }
    assert_eq!(server.get(CONNECTOR).await.header("x-trace-id"), None);
}

#[tokio::test]
async fn pages_of_other_origins_are_told_nothing_by_default() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    for request in requests(&server) {
        let request = request.header("origin", "https://app.example.org");
        let reply = request.header("access-control-request-method", "POST").await;
        let told = reply.headers.keys().find(|name| name.as_str().starts_with("access-control"));
        assert_eq!(told, None);
    }
}
