//! enmeshed's Connector: one route, the own identity, an API key with the scope core.

use serde_json::json;

use crate::support::{ADMIN_KEY, CONNECTOR, DAY, Deployment, EXPIRED_KEY, SECOND, START, after};

const NO_ACTIVE: &str = "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess";
const EXISTS: &str = "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists";
const INVALID_VALUE: &str = "error.runtime.validation.invalidPropertyValue";

#[tokio::test]
async fn a_process_begins_is_shown_and_is_cancelled_in_the_connectors_words() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let device = &deployment.own.device;

    let begun = server.post(CONNECTOR).with_core_key().await;
    let result = begun.result(200);
    let id = result["id"].as_str().unwrap();
    let ends_at = after(14 * DAY);
    let begins = format!(r#"{{"result":{{"id":"{id}","status":"#);
    let created = format!(r#""createdAt":"{START}","createdByDevice":"{device}""#);
    assert_eq!(begun.body, format!(r#"{begins}"Active",{created},"gracePeriodEndsAt":"{ends_at}"}}}}"#));

    let shown = server.get(CONNECTOR).with_core_key().await;
    assert_eq!((shown.status, &shown.body), (200, &begun.body));

    deployment.clock.set(SECOND);
    let cancelled = server.delete(CONNECTOR).with_core_key().await;
    assert_eq!(cancelled.status, 200);
    let at = after(SECOND);
    assert_eq!(
        cancelled.body,
        format!(r#"{begins}"Cancelled",{created},"cancelledAt":"{at}","cancelledByDevice":"{device}"}}}}"#)
    );
    server.get(CONNECTOR).with_core_key().await.refused(400, NO_ACTIVE);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_shown_or_cancelled_and_what_is_cannot_begin_again() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    server.get(CONNECTOR).with_core_key().await.refused(400, NO_ACTIVE);
    server.delete(CONNECTOR).with_core_key().await.refused(400, NO_ACTIVE);
    let begun = server.post(CONNECTOR).with_core_key().await.result(200);
    server.post(CONNECTOR).with_core_key().await.refused(400, EXISTS);
    assert_eq!(server.get(CONNECTOR).with_core_key().await.result(200), begun);
    server.delete(CONNECTOR).with_core_key().await.result(200);
    server.delete(CONNECTOR).with_core_key().await.refused(400, NO_ACTIVE);
}

#[tokio::test]
async fn the_length_of_the_grace_period_may_be_asked_for() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    for (length, micros) in [
        ("1", DAY),
        ("1.5", DAY + DAY / 2),
        ("14", 14 * DAY),
        ("365", 365 * DAY),
        ("1e2", 100 * DAY),
        ("1.000000000011574074", DAY + 1),
    ] {
        let path = format!("{CONNECTOR}?lengthOfGracePeriodInDays={length}&more=");
        let process = server.post(&path).with_core_key().await.result(200);
        assert_eq!(process["gracePeriodEndsAt"], json!(after(micros)), "{length}");
        server.delete(CONNECTOR).with_core_key().await.result(200);
    }
}

#[tokio::test]
async fn a_length_that_is_none_begins_nothing() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    for query in [
        "=",
        "=abc",
        "=nan",
        "=NaN",
        "=inf",
        "=-inf",
        "=-1",
        "=-0",
        "=0",
        "=1e999",
        "=-1e999",
        "=1e-999",
        "=0.999",
        "=365.001",
        "=1,5",
        "=0x10",
        "=1_000",
        "=%31%30%FF",
        "=+1",
        "=%201",
        "=null",
        "=1&lengthOfGracePeriodInDays=2",
        "",
    ] {
        let path = format!("{CONNECTOR}?lengthOfGracePeriodInDays{query}");
        server.post(&path).with_core_key().await.refused(400, INVALID_VALUE);
    }
    server.get(CONNECTOR).with_core_key().await.refused(400, NO_ACTIVE);
}

#[tokio::test]
async fn a_body_is_not_needed_but_must_be_json() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    for body in [&b"{"[..], b"{]", b"nope", b"{} {}", b"{\"a\":}", b"\xff", b"\xef\xbb\xbf{}", b"'a'"] {
        for method in ["POST", "DELETE"] {
            let reply = server.request(method, CONNECTOR).with_core_key().body(body).await;
            reply.refused(400, "error.connector.validation.invalidJsonInPayload");
        }
    }
    server.get(CONNECTOR).with_core_key().await.refused(400, NO_ACTIVE);
    for body in ["", " \r\n", "{}", "null", "[1]", r#"{"lengthOfGracePeriodInDays": 1}"#] {
        let process = server.post(CONNECTOR).with_core_key().body(body).await.result(200);
        assert_eq!(process["gracePeriodEndsAt"], json!(after(14 * DAY)), "{body}");
        server.delete(CONNECTOR).with_core_key().body(body).await.result(200);
    }
}

#[tokio::test]
async fn only_an_api_key_with_the_scope_core_opens_the_route() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    for method in ["POST", "GET", "DELETE"] {
        let request = || server.request(method, CONNECTOR);
        for request in [
            request(),
            request().with_key(""),
            request().with_key("another key"),
            request().with_key(EXPIRED_KEY),
            request().with_core_key().with_core_key(),
            request().with_core_key().with_admin_key(),
            request().by(&deployment.own),
            request().header("x-api-key", b"\xff"),
        ] {
            request.await.refused(401, "error.connector.unauthorized");
        }
        request().with_key(ADMIN_KEY).await.refused(403, "error.connector.forbidden");
    }
    server.get(CONNECTOR).with_core_key().await.refused(400, NO_ACTIVE);
}
