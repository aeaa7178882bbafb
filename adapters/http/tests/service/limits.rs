//! What nobody may exceed, and that others are served meanwhile.

use std::num::NonZeroU32;
use std::time::Duration;

use reprieve_http::Settings;
use serde_json::json;

use crate::support::{CONNECTOR, Deployment, OWN_PROCESSES, Person, Wire, cancel_of, settings, soon, until};

const TOO_LARGE: &str = "error.reprieve.http.payloadTooLarge";
const OVERLOADED: &str = "error.reprieve.http.overloaded";

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_however_it_comes() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start_with(Settings { body_bytes: 64, ..settings() }).await;
    let alice = Person::new();
    let body = |length: usize| format!("{{{}}}", " ".repeat(length - 2));
    for request in [
        server.post(OWN_PROCESSES).by(&alice),
        server.put(&cancel_of("IDP0123456789abcdefg")).by(&alice),
        server.post(CONNECTOR).with_core_key(),
        server.delete(CONNECTOR).with_core_key(),
    ] {
        request.body(body(65)).await.refused(413, TOO_LARGE);
    }
    // In chunks, without saying before how long it is going to be.
    let mut wire = Wire::connect(&server).await;
    let authorization = alice.authorization(server.clock.now());
    wire.send(format!(
        "POST {OWN_PROCESSES} HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n\
         transfer-encoding: chunked\r\n\r\n41\r\n{}\r\n0\r\n\r\n",
        body(65)
    ))
    .await;
    wire.reply("POST", OWN_PROCESSES).await.unwrap().refused(413, TOO_LARGE);
    assert_eq!(server.listed(&alice).await, json!([]));

    server.post(OWN_PROCESSES).by(&alice).body(body(64)).await.result(201);
}

#[tokio::test]
async fn a_body_that_is_no_body_is_refused() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let mut wire = Wire::connect(&server).await;
    let authorization = Person::new().authorization(server.clock.now());
    wire.send(format!(
        "POST {OWN_PROCESSES} HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n\
         transfer-encoding: chunked\r\n\r\nnonsense\r\n"
    ))
    .await;
    let reply = wire.reply("POST", OWN_PROCESSES).await.unwrap();
    reply.refused(400, "error.platform.validation.invalidPropertyValue");
}

#[tokio::test]
async fn more_requests_at_the_same_time_than_configured_are_turned_away() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start_with(Settings { concurrent_requests: 2, ..settings() }).await;
    let (alice, bob) = (Person::new(), Person::new());
    let mut hers = Wire::begun(&server, &alice, OWN_PROCESSES).await;
    let mut his = Wire::begun(&server, &bob, OWN_PROCESSES).await;
    for request in
        [server.get(OWN_PROCESSES).by(&alice), server.get(CONNECTOR).with_core_key(), server.get(CONNECTOR)]
    {
        let reply = request.await.refused(503, OVERLOADED);
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    // Whoever looks after the service sees it all the same.
    for path in ["/health/live", "/health/ready", "/docs", "/openapi.json"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    // And those that had begun are not harmed.
    for wire in [&mut hers, &mut his] {
        wire.send("{}").await;
        wire.reply("POST", OWN_PROCESSES).await.unwrap().result(201);
    }
    server.get(OWN_PROCESSES).by(&alice).await.result(200);
}

#[tokio::test]
async fn whoever_is_not_let_in_holds_nothing() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start_with(Settings { concurrent_requests: 1, ..settings() }).await;
    let mut wire = Wire::connect(&server).await;
    let head = format!("POST {OWN_PROCESSES} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n");
    wire.send(head).await;
    // Answered before its body has come.
    wire.reply("POST", OWN_PROCESSES).await.unwrap().refused(401, "error.platform.unauthorized");
    server.get(OWN_PROCESSES).by(&Person::new()).await.result(200);
}

#[tokio::test]
async fn whoever_asks_too_often_waits_and_others_do_not() {
    let deployment = Deployment::sqlite().await;
    let limits = Settings { requests_per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN, ..settings() };
    let server = deployment.start_with(limits).await;
    let (alice, bob) = (Person::new(), Person::new());
    let ask = |who: &str| match who {
        "alice" => server.get(OWN_PROCESSES).by(&alice),
        "the own identity" => server.get(CONNECTOR).with_core_key(),
        _ => server.get("/api/v1/DeletionProcesses/Figures").with_admin_key(),
    };
    for who in ["alice", "the own identity", "an administrator"] {
        let refused = soon(async {
            loop {
                let reply = ask(who).await;
                if reply.status == 429 {
                    break reply;
                }
            }
        });
        let reply = refused.await.refused(429, "error.reprieve.http.tooManyRequests");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    // The first that bob asks for, while alice has asked too often.
    server.post(OWN_PROCESSES).by(&bob).await.result(201);
    until(async || ask("alice").await.status == 200).await;
    // Whoever is not known does not use up what somebody may ask.
    assert_eq!(server.get(OWN_PROCESSES).await.status, 401);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_and_can_come_again() {
    let deployment = Deployment::sqlite().await;
    let limits = Settings { request_timeout: Duration::from_millis(200), ..settings() };
    let server = deployment.start_with(limits).await;
    let alice = Person::new();
    // The second half of its body never comes.
    let mut wire = Wire::begun(&server, &alice, OWN_PROCESSES).await;
    wire.send("{").await;
    let reply = wire.reply("POST", OWN_PROCESSES).await.unwrap();
    let reply = reply.refused(503, "error.reprieve.http.timedOut");
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert!(wire.is_closed().await);
    assert_eq!(server.listed(&alice).await, json!([]));
}
