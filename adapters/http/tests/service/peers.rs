//! Peers have shares, and a cancellation that is in time needs none: it is served whatever else is asked.

use std::num::NonZeroU32;

use reprieve_http::Settings;
use serde_json::json;

use crate::support::{
    CONNECTOR, Deployment, OWN_PROCESSES, Person, Wire, cancel_of, on_each_database, settings, until,
};

const TOO_MANY: &str = "error.reprieve.http.tooManyRequests";

on_each_database!(a_cancellation_that_comes_too_often_is_served_if_there_is_something_to_cancel,);

/// Nobody may ask twice.
fn once() -> Settings {
    Settings { requests_per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN, ..settings() }
}

async fn a_cancellation_that_comes_too_often_is_served_if_there_is_something_to_cancel(
    deployment: Deployment,
) {
    let (server, alice) = (deployment.start().await, Person::new());
    let (id, strict) = (server.initiated(&alice).await, deployment.start_with(once()).await);
    let nothing = cancel_of("IDP0123456789abcdefg");
    until(async || strict.get(OWN_PROCESSES).by(&alice).await.status == 429).await;
    strict.put(&cancel_of(&id)).by(&alice).await.result(200);
    // Now there is nothing any more.
    until(async || strict.put(&nothing).by(&alice).await.status == 429).await;
    let refused = strict.put(&cancel_of(&id)).by(&alice).await;
    assert!([400, 429].contains(&refused.status), "{refused:?}");

    server.post(CONNECTOR).with_core_key().await.result(200);
    until(async || strict.get(CONNECTOR).with_core_key().await.status == 429).await;
    strict.delete(CONNECTOR).with_core_key().await.result(200);
}

#[tokio::test]
async fn a_cancellation_is_served_while_nothing_else_can_be() {
    let deployment = Deployment::sqlite().await;
    let limits = Settings { concurrent_requests: 1, ..settings() };
    let (server, alice) = (deployment.start_with(limits).await, Person::new());
    let id = server.initiated(&alice).await;
    let lock = deployment.lock().await;
    let asked = deployment.clock.asked();
    let mut working = Wire::asked(&server, &Person::new(), "POST", OWN_PROCESSES, "").await;
    until(async || deployment.clock.asked() >= asked + 2).await;
    server.get(OWN_PROCESSES).by(&alice).await.refused(503, "error.reprieve.http.overloaded");
    // It waits for the database like the other one, and is not turned away.
    let mut cancelling = Wire::asked(&server, &alice, "PUT", &cancel_of(&id), "").await;
    until(async || deployment.clock.asked() >= asked + 4).await;
    drop(lock);
    cancelling.reply("PUT", &cancel_of(&id)).await.unwrap().result(200);
    working.reply("POST", OWN_PROCESSES).await.unwrap().result(201);
}

#[tokio::test]
async fn a_peer_behind_a_proxy_that_is_named_has_a_share_of_its_own() {
    let deployment = Deployment::sqlite().await;
    let limits = Settings {
        requests_per_peer: 1,
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..settings()
    };
    let server = deployment.start_with(limits).await;
    let lock = deployment.lock().await;
    let asked = deployment.clock.asked();
    let of_peer = "x-forwarded-for: 203.0.113.1\r\n";
    let mut working = Wire::asked(&server, &Person::new(), "POST", OWN_PROCESSES, of_peer).await;
    until(async || deployment.clock.asked() >= asked + 2).await;
    let person = Person::new();
    let list = |peer: &str| server.get(OWN_PROCESSES).by(&person).header("x-forwarded-for", peer);
    // What the client has written itself stands further left.
    let reply = list("203.0.113.2, 203.0.113.1").await.refused(429, TOO_MANY);
    assert_eq!(reply.header("retry-after"), Some("1"));
    list("203.0.113.1, 203.0.113.2").await.result(200);
    drop(lock);
    working.reply("POST", OWN_PROCESSES).await.unwrap().result(201);
}

#[tokio::test]
async fn a_peer_cannot_have_as_many_identities_deleted_as_it_makes_up() {
    let deployment = Deployment::sqlite().await;
    let limits = Settings {
        initiations_per_minute: NonZeroU32::MIN,
        initiations_at_once: NonZeroU32::MIN.saturating_add(1),
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..settings()
    };
    let server = deployment.start_with(limits).await;
    let initiate = async |person: &Person, peer: &'static str| {
        server.post(OWN_PROCESSES).by(person).header("x-forwarded-for", peer).await
    };
    let people: Vec<_> = (0..3).map(|_| Person::new()).collect();
    let id = initiate(&people[0], "203.0.113.1").await.result(201)["id"].as_str().unwrap().to_owned();
    initiate(&people[1], "203.0.113.1").await.result(201);
    initiate(&people[2], "203.0.113.1").await.refused(429, TOO_MANY);
    initiate(&people[2], "203.0.113.2").await.result(201);
    server.put(&cancel_of(&id)).by(&people[0]).header("x-forwarded-for", "203.0.113.1").await.result(200);
}

#[tokio::test]
async fn identities_of_other_domains_than_those_named_may_look_back_and_cancel_and_not_begin() {
    let deployment = Deployment::sqlite().await;
    let (server, alice) = (deployment.start().await, Person::new());
    let id = server.initiated(&alice).await;
    let limits = Settings { identity_domains: vec!["example.org".to_owned()], ..settings() };
    let strict = deployment.start_with(limits).await;
    strict.post(OWN_PROCESSES).by(&Person::new()).await.refused(403, "error.platform.forbidden");
    assert_eq!(strict.listed(&alice).await[0]["id"], json!(id));
    strict.put(&cancel_of(&id)).by(&alice).await.result(200);
    let host = alice.address.as_str().split(':').nth(2).unwrap().to_owned();
    let limits = Settings { identity_domains: vec!["example.org".to_owned(), host], ..settings() };
    strict.post(OWN_PROCESSES).by(&alice).await.refused(403, "error.platform.forbidden");
    deployment.start_with(limits).await.initiated(&alice).await;
}

#[tokio::test]
async fn with_a_listener_for_operations_the_other_has_health_and_no_metrics() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start_with(Settings { operations_apart: true, ..settings() }).await;
    assert_eq!(server.get("/health/live").await.status, 200);
    server.get("/metrics").await.refused(404, "error.connector.http.routeDoesNotExist");
}
