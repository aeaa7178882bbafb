//! What the body of an initiation may say, and what it may not.

use serde_json::json;

use crate::support::{DAY, Deployment, OWN_PROCESSES, Person, after};

#[tokio::test]
async fn a_body_may_be_left_out_be_empty_or_name_a_length() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let deep = format!("{{\"more\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    for (body, micros) in [
        (None, 14 * DAY),
        (Some(""), 14 * DAY),
        (Some(deep.as_str()), 14 * DAY),
        (Some(" \t\r\n"), 14 * DAY),
        (Some("{}"), 14 * DAY),
        (Some(r#" { "more": [{"deep": null}] } "#), 14 * DAY),
        (Some(r#"{"lengthOfGracePeriodInDays":null}"#), 14 * DAY),
        (Some(r#"{"lengthOfGracePeriodInDays":14}"#), 14 * DAY),
        (Some(r#"{"lengthOfGracePeriodInDays":1}"#), DAY),
        (Some(r#"{"lengthOfGracePeriodInDays":1.5}"#), DAY + DAY / 2),
        (Some(r#"{"lengthOfGracePeriodInDays":1.000000000011574074}"#), DAY + 1),
        (Some(r#"{"lengthOfGracePeriodInDays":3.65e2}"#), 365 * DAY),
        (Some(r#"{"length\u004ffGracePeriodInDays":2}"#), 2 * DAY),
    ] {
        let mut request = server.post(OWN_PROCESSES).by(&Person::new());
        if let Some(body) = body {
            request = request.body(body);
        }
        let process = request.await.result(201);
        assert_eq!(process["gracePeriodEndsAt"], json!(after(micros)), "{body:?}");
    }
}

#[tokio::test]
async fn a_body_that_says_something_else_begins_nothing() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    for body in [
        &b"null"[..],
        b"[]",
        b"[14]",
        b"14",
        b"\"14\"",
        b"true",
        b"{",
        b"{}}",
        b"{} {}",
        b"{'lengthOfGracePeriodInDays':1}",
        b"\xef\xbb\xbf{}",
        b"\xff",
        b"{\"\xff\":1}",
        b"lengthOfGracePeriodInDays=14",
        br#"{"lengthOfGracePeriodInDays":"14"}"#,
        br#"{"lengthOfGracePeriodInDays":true}"#,
        br#"{"lengthOfGracePeriodInDays":[14]}"#,
        br#"{"lengthOfGracePeriodInDays":{}}"#,
        br#"{"lengthOfGracePeriodInDays":NaN}"#,
        br#"{"lengthOfGracePeriodInDays":1e999}"#,
        br#"{"lengthOfGracePeriodInDays":0}"#,
        br#"{"lengthOfGracePeriodInDays":-1}"#,
        br#"{"lengthOfGracePeriodInDays":-0.0}"#,
        br#"{"lengthOfGracePeriodInDays":0.999}"#,
        br#"{"lengthOfGracePeriodInDays":365.001}"#,
        br#"{"lengthOfGracePeriodInDays":1e300}"#,
        br#"{"lengthOfGracePeriodInDays":14,"lengthOfGracePeriodInDays":15}"#,
    ] {
        let reply = server.post(OWN_PROCESSES).by(&alice).body(body).await;
        reply.refused(400, "error.platform.validation.invalidPropertyValue");
    }
    assert_eq!(server.listed(&alice).await, json!([]));
}

#[tokio::test]
async fn a_second_process_does_not_begin_and_moves_no_deadline() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    server.initiated(&alice).await;
    let before = server.listed(&alice).await;
    deployment.clock.set(DAY);
    let again = server.post(OWN_PROCESSES).by(&alice.with_another_device()).json(&json!({
        "lengthOfGracePeriodInDays": 30,
    }));
    again.await.refused(400, "error.platform.validation.device.onlyOneActiveDeletionProcessAllowed");
    assert_eq!(server.listed(&alice).await, before);
}
