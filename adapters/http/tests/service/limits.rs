//! What nobody may exceed, and that others are served meanwhile.

use std::num::NonZeroU32;
use std::time::Duration;

use reprieve_http::Settings;
use serde_json::json;

use crate::support::{
    CONNECTOR, CORE_KEY, Deployment, OWN_PROCESSES, Person, Wire, cancel_of, settings, soon, until,
};

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
    // In chunks, without saying before how long it is going to be; what is too much already is not waited for.
    let chunks = format!("transfer-encoding: chunked\r\n\r\n41\r\n{}", body(65));
    let mut wire = Wire::asked(&server, &alice, "POST", OWN_PROCESSES, &chunks).await;
    wire.reply("POST", OWN_PROCESSES).await.unwrap().refused(413, TOO_LARGE);
    assert_eq!(server.listed(&alice).await, json!([]));

    server.post(OWN_PROCESSES).by(&alice).body(body(64)).await.result(201);
}

#[tokio::test]
async fn a_body_that_is_no_body_is_refused() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let chunks = "transfer-encoding: chunked\r\n\r\nnonsense";
    let mut wire = Wire::asked(&server, &Person::new(), "POST", OWN_PROCESSES, chunks).await;
    let reply = wire.reply("POST", OWN_PROCESSES).await.unwrap();
    reply.refused(400, "error.platform.validation.invalidPropertyValue");
    let more = format!("x-api-key: {CORE_KEY}\r\n{chunks}");
    let mut wire = Wire::asked(&server, &Person::new(), "POST", CONNECTOR, &more).await;
    let reply = wire.reply("POST", CONNECTOR).await.unwrap();
    reply.refused(400, "error.runtime.validation.invalidPropertyValue");
}

#[tokio::test]
async fn more_requests_at_the_same_time_than_configured_are_turned_away() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start_with(Settings { concurrent_requests: 2, ..settings() }).await;
    let lock = deployment.lock().await;
    let mut working = Vec::new();
    for _ in 0..2 {
        let asked = deployment.clock.asked();
        working.push(Wire::asked(&server, &Person::new(), "POST", OWN_PROCESSES, "").await);
        // Who calls was looked at, and when the process begins; now the database is in the way.
        until(async || deployment.clock.asked() >= asked + 2).await;
    }
    let person = Person::new();
    for request in
        [server.get(OWN_PROCESSES).by(&person), server.get(CONNECTOR).with_core_key(), server.get(CONNECTOR)]
    {
        let reply = request.await.refused(503, OVERLOADED);
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    // Whoever looks after the service sees it all the same.
    for path in ["/health/live", "/docs", "/openapi.json"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    // Nothing can be stored for as long as the lock is held, which is another matter than too many requests.
    let ready = server.get("/health/ready").await;
    assert_eq!((ready.status, &ready.json()["code"]), (503, &json!("error.reprieve.database.unavailable")));
    // And those that had begun are not harmed.
    drop(lock);
    for wire in &mut working {
        wire.reply("POST", OWN_PROCESSES).await.unwrap().result(201);
    }
    server.get(OWN_PROCESSES).by(&person).await.result(200);
}

#[tokio::test]
async fn whoever_takes_their_time_to_send_a_body_is_in_nobodys_way() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start_with(Settings { concurrent_requests: 1, ..settings() }).await;
    let (alice, bob) = (Person::new(), Person::new());
    let mut slow = Wire::begun(&server, &alice, OWN_PROCESSES).await;
    server.get(OWN_PROCESSES).by(&bob).await.result(200);
    slow.send("{}").await;
    slow.reply("POST", OWN_PROCESSES).await.unwrap().result(201);
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
