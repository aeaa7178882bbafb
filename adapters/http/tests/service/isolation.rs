//! Nobody sees or changes another's process: not at any route, and not by another's idempotency key.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    CONNECTOR, DOCUMENT, Deployment, OWN_PROCESSES, Person, cancel_of, on_each_database, own_process,
};

on_each_database!(no_route_shows_or_changes_what_is_somebody_elses, a_key_means_nothing_to_anybody_else);

/// Every documented operation, asked for this person's process.
fn every_request(person: &Person, id: &str) -> Vec<(Method, String)> {
    let mut requests = Vec::new();
    for (path, operations) in DOCUMENT["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let path = path.replace("{id}", id).replace("{address}", person.address.as_str());
            requests.push((method.to_uppercase().parse().unwrap(), path));
        }
    }
    assert!(requests.len() >= 15);
    requests
}

async fn no_route_shows_or_changes_what_is_somebody_elses(deployment: Deployment) {
    let server = deployment.start().await;
    let (alice, bob) = (Person::new(), Person::new());
    let id = server.initiated(&alice).await;
    let before = deployment.stored(&alice).await;
    // The figures count everybody's processes and show nobody's.
    for (method, path) in every_request(&alice, &id).into_iter().filter(|(_, path)| path != "/metrics") {
        let request = || server.request(method.as_str(), &path);
        for (who, request) in [
            ("nobody", request()),
            ("bob", request().by(&bob)),
            ("the own identity", request().by(&deployment.own)),
            ("the holder of a key for the own identity", request().with_core_key()),
            ("both", request().with_core_key().by(&bob)),
        ] {
            let reply = request.await;
            let shown = [alice.address.as_str(), &alice.device].iter().any(|mark| reply.body.contains(*mark));
            assert!(!shown, "{method} {path} by {who}: {}", reply.body);
            assert!(!(reply.status < 300 && reply.body.contains(&id)), "{method} {path} by {who}");
            assert_eq!(deployment.stored(&alice).await, before, "{method} {path} by {who}");
        }
    }
    // What is alice's still is hers to change.
    server.put(&cancel_of(&id)).by(&alice).await.result(200);
}

async fn a_key_means_nothing_to_anybody_else(deployment: Deployment) {
    let server = deployment.start().await;
    let (alice, bob) = (Person::new(), Person::new());
    let begin = async |person: &Person| server.post(OWN_PROCESSES).by(person).once("key").await.result(201);
    let (hers, his) = (begin(&alice).await, begin(&bob).await);
    assert_ne!(hers["id"], his["id"]);
    // Nor is the own identity at the Backbone's routes the same caller as the key that acts for it at the Connector's.
    let of_own = server.post(CONNECTOR).with_core_key().once("key").await.result(200);
    let as_itself = server.post(OWN_PROCESSES).by(&deployment.own).once("key").await;
    as_itself.refused(400, "error.platform.validation.device.onlyOneActiveDeletionProcessAllowed");

    let id = hers["id"].as_str().unwrap();
    let by_bob = server.put(&cancel_of(id)).by(&bob).once("cancel").await;
    by_bob.refused(404, "error.platform.recordNotFound");
    server.put(&cancel_of(id)).by(&alice).once("cancel").await.result(200);
    assert_eq!(server.get(&own_process(id)).by(&alice).await.result(200)["status"], "Cancelled");
    assert_eq!(server.listed(&bob).await, json!([his]));
    assert_eq!(server.get(CONNECTOR).with_core_key().await.result(200), of_own);
}
