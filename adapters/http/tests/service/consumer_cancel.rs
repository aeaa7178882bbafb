//! Cancelling: only what is Active, and only before the grace period ends.

use serde_json::json;

use crate::support::{
    DAY, Deployment, OWN_PROCESSES, Person, after, cancel_of, on_each_database, own_process,
};

const NOT_IN_REQUIRED_STATUS: &str = "error.platform.validation.device.deletionProcessIsNotInRequiredStatus";
const EXPIRED: &str = "error.platform.validation.device.gracePeriodHasAlreadyExpired";

on_each_database!(the_last_microsecond_is_in_time_and_the_deadline_is_not);

async fn the_last_microsecond_is_in_time_and_the_deadline_is_not(deployment: Deployment) {
    let server = deployment.start().await;
    let (early, late) = (Person::new(), Person::new());
    let (cancelled, kept) = (server.initiated(&early).await, server.initiated(&late).await);

    deployment.clock.set(14 * DAY - 1);
    let process = server.put(&cancel_of(&cancelled)).by(&early).await.result(200);
    assert_eq!(process["cancelledAt"], json!(after(14 * DAY - 1)));

    deployment.clock.set(14 * DAY);
    let before = server.listed(&late).await;
    let refusal = server.put(&cancel_of(&kept)).by(&late).await.refused(400, EXPIRED);
    let ended_at = after(14 * DAY).to_string();
    assert!(refusal.message().contains(&ended_at), "{}", refusal.message());
    assert_eq!(server.listed(&late).await, before);
}

#[tokio::test]
async fn a_cancelled_process_is_not_cancelled_again() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    let id = server.initiated(&alice).await;
    server.put(&cancel_of(&id)).by(&alice).await.result(200);
    deployment.clock.set(1);
    for _ in 0..2 {
        let refusal = server.put(&cancel_of(&id)).by(&alice).await.refused(400, NOT_IN_REQUIRED_STATUS);
        assert!(refusal.message().contains("Cancelled"), "{}", refusal.message());
        // A new process changes nothing about the old one.
        server.post(OWN_PROCESSES).by(&alice).await;
    }
    let process = server.get(&own_process(&id)).by(&alice).await.result(200);
    assert_eq!(process["cancelledAt"], json!(after(0)));
    assert_eq!(server.listed(&alice).await[1]["status"], "Active");
}

#[tokio::test]
async fn a_body_may_be_left_out_or_be_an_object() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    let mut id = server.initiated(&alice).await;
    for body in ["[]", "null", "{", "1", "\"x\"", "{} {}"] {
        let reply = server.put(&cancel_of(&id)).by(&alice).body(body).await;
        reply.refused(400, "error.platform.validation.invalidPropertyValue");
    }
    assert_eq!(server.listed(&alice).await[0]["status"], "Active");
    for body in ["", " ", "{}", r#"{"more":1}"#] {
        server.put(&cancel_of(&id)).by(&alice).body(body).await.result(200);
        id = server.initiated(&alice).await;
    }
}
