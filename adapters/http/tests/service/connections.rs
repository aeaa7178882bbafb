//! Connections: whoever holds one without asking for anything loses it.

use std::time::Duration;

use reprieve_http::Settings;

use crate::support::{Deployment, OWN_PROCESSES, Person, Wire, settings, soon, until};

const LIVE: &str = "/health/live";

/// What every request to HTTP/2 begins with, and the first frame after it: no settings.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn whoever_sends_the_head_of_a_request_too_slowly_loses_the_connection() {
    let deployment = Deployment::sqlite().await;
    let limits = Settings { header_timeout: Duration::from_millis(200), ..settings() };
    let server = deployment.start_with(limits).await;
    for beginning in [
        &b""[..],
        b"G",
        b"P",
        b"GET /health/live HTTP/1.1\r\n",
        b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-slow: ",
        b"PRI * HTTP/2.0\r\n",
        HTTP2,
    ] {
        let mut wire = Wire::connect(&server).await;
        wire.send(beginning).await;
        // Others are served meanwhile.
        assert_eq!(server.get(LIVE).await.status, 200);
        assert!(wire.is_closed().await, "{}", String::from_utf8_lossy(beginning));
    }
}

#[tokio::test]
async fn a_connection_that_is_not_used_any_more_is_closed() {
    let deployment = Deployment::sqlite().await;
    let limits = Settings { header_timeout: Duration::from_millis(200), ..settings() };
    let server = deployment.start_with(limits).await;
    let mut wire = Wire::connect(&server).await;
    for _ in 0..2 {
        wire.send(format!("GET {LIVE} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert_eq!(wire.reply("GET", LIVE).await.unwrap().status, 200);
    }
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let large = format!("x-large: {}\r\n", "a".repeat(1024 * 1024));
    let many = "x-many: a\r\n".repeat(1000);
    for headers in [large, many] {
        let mut wire = Wire::connect(&server).await;
        wire.send(format!("GET {LIVE} HTTP/1.1\r\nhost: x\r\n{headers}\r\n")).await;
        // Whoever still sends may not get to see the answer.
        if let Some(reply) = wire.any_reply().await {
            assert_eq!(reply.status, 431);
        }
        assert!(wire.is_closed().await);
    }
    assert_eq!(server.get(LIVE).await.status, 200);
}

#[tokio::test]
async fn more_connections_than_configured_wait_while_something_is_done_on_the_others() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start_with(Settings { connections: 1, ..settings() }).await;
    let lock = deployment.lock().await;
    let asked = deployment.clock.asked();
    let mut first = Wire::asked(&server, &Person::new(), "POST", OWN_PROCESSES, "").await;
    until(async || deployment.clock.asked() >= asked + 2).await;
    let mut second = Wire::connect(&server).await;
    second.send(format!("GET {LIVE} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    let mut answer = std::pin::pin!(second.reply("GET", LIVE));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut answer).await;
    assert!(early.is_err());
    drop(lock);
    first.reply("POST", OWN_PROCESSES).await.unwrap().result(201);
    // It is idle now, and so it goes.
    assert_eq!(soon(answer).await.unwrap().status, 200);
    assert!(first.is_closed().await);
}

#[tokio::test]
async fn for_one_connection_more_one_goes_on_which_nothing_is_done() {
    let deployment = Deployment::sqlite().await;
    for limits in
        [Settings { connections: 2, ..settings() }, Settings { connections_per_peer: 2, ..settings() }]
    {
        let server = deployment.start_with(limits).await;
        let mut idle = Wire::connect(&server).await;
        idle.send(format!("GET {LIVE} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert_eq!(idle.reply("GET", LIVE).await.unwrap().status, 200);
        let mut silent = Wire::connect(&server).await;
        assert_eq!(server.get(LIVE).await.status, 200);
        assert!(idle.is_closed().await);
        silent.send(format!("GET {LIVE} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert_eq!(silent.reply("GET", LIVE).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn over_http2_as_over_http1_a_ping_is_no_request() {
    let deployment = Deployment::sqlite().await;
    let limits = Settings { header_timeout: Duration::from_millis(300), ..settings() };
    let server = deployment.start_with(limits).await;
    let mut wire = Wire::connect(&server).await;
    wire.send(HTTP2).await;
    let pinging = async {
        loop {
            wire.send(b"\0\0\x08\x06\0\0\0\0\0anybody?").await;
            if wire.is_closed_within(Duration::from_millis(50)).await {
                break;
            }
        }
    };
    soon(pinging).await;
}
