//! The same request with the same key gets the same answer, byte for byte, whatever has happened meanwhile.

use reprieve_domain::Status;
use serde_json::json;

use crate::support::{
    CONNECTOR, DAY, Deployment, OWN_PROCESSES, Person, Request, SECOND, Server, cancel_of, on_each_database,
};

const REUSED: &str = "error.reprieve.http.idempotencyKeyReused";
const INVALID: &str = "error.reprieve.http.idempotencyKeyInvalid";

on_each_database!(
    an_answer_is_repeated_after_changes_restarts_and_elsewhere,
    a_refusal_uses_no_key_up_and_is_kept_nowhere,
    after_24_hours_a_key_is_free,
);

/// The changing requests, each for the own identity and as often as it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Change {
    ConnectorPost,
    ConnectorDelete,
    BackbonePost,
    BackboneCancel,
}

impl Change {
    pub(crate) const ALL: [Self; 4] =
        [Self::ConnectorPost, Self::ConnectorDelete, Self::BackbonePost, Self::BackboneCancel];

    /// Whether the request begins a process, rather than ending one.
    pub(crate) fn begins(self) -> bool {
        matches!(self, Self::ConnectorPost | Self::BackbonePost)
    }

    /// The request, of the own identity.
    pub(crate) fn request<'a>(self, server: &'a Server, own: &Person, id: &str) -> Request<'a> {
        match self {
            Self::ConnectorPost => server.post(CONNECTOR).with_core_key(),
            Self::ConnectorDelete => server.delete(CONNECTOR).with_core_key(),
            Self::BackbonePost => server.post(OWN_PROCESSES).by(own),
            Self::BackboneCancel => server.put(&cancel_of(id)).by(own),
        }
    }

    /// What has to be there before: the id of an Active process, or nothing.
    pub(crate) async fn prepare(self, deployment: &Deployment, server: &Server) -> String {
        if self.begins() { String::new() } else { server.initiated(&deployment.own).await }
    }
}

async fn statuses(deployment: &Deployment) -> Vec<Status> {
    deployment.stored(&deployment.own).await.iter().map(reprieve_domain::DeletionProcess::status).collect()
}

async fn an_answer_is_repeated_after_changes_restarts_and_elsewhere(deployment: Deployment) {
    let (mut server, another) = (deployment.start().await, deployment.start().await);
    let own = &deployment.own;
    let mut expected = Vec::new();
    for (number, change) in (1..).zip(Change::ALL) {
        let key = format!("{change:?}");
        let id = change.prepare(&deployment, &server).await;
        let first = change.request(&server, own, &id).once(&key).await;
        assert!(first.status < 300, "{first:?}");
        let again = async |server: &Server| change.request(server, own, &id).once(&key).await;
        assert_eq!(again(&server).await.repeated(), first.repeated());
        assert_eq!(again(&another).await.repeated(), first.repeated());

        // The process changes: what was begun is cancelled, and in the place of what was cancelled another one begins.
        deployment.clock.set(number * SECOND);
        let last = deployment.stored(own).await.pop().unwrap().id().to_string();
        if change.begins() {
            server.put(&cancel_of(&last)).by(own).await.result(200);
            expected.push(Status::Cancelled);
        } else {
            server.initiated(own).await;
            expected.extend([Status::Cancelled, Status::Active]);
        }
        assert_eq!(again(&server).await.repeated(), first.repeated());
        assert_eq!(statuses(&deployment).await, expected);

        // All that was in memory is gone.
        server = deployment.start().await;
        assert_eq!(again(&server).await.repeated(), first.repeated());
        assert_eq!(statuses(&deployment).await, expected);
        if !change.begins() {
            server.delete(CONNECTOR).with_core_key().await.result(200);
            *expected.last_mut().unwrap() = Status::Cancelled;
        }
        deployment.clock.set(number * SECOND + 1);
    }
}

async fn a_refusal_uses_no_key_up_and_is_kept_nowhere(deployment: Deployment) {
    let server = deployment.start().await;
    let own = &deployment.own;
    let kept = async || deployment.count("answered_requests").await;
    for (change, status) in [(Change::ConnectorDelete, 400), (Change::BackboneCancel, 404)] {
        for _ in 0..2 {
            let reply =
                change.request(&server, own, "IDP0123456789abcdefg").once(&format!("{change:?}")).await;
            assert_eq!(reply.status, status);
        }
    }
    for request in [
        server.post(&format!("{CONNECTOR}?lengthOfGracePeriodInDays=0")).with_core_key(),
        server.post(OWN_PROCESSES).by(own).body(r#"{"lengthOfGracePeriodInDays": 0}"#),
    ] {
        assert_eq!(request.once("begin").await.status, 400);
    }
    assert_eq!(kept().await, 0);

    // The same key may begin a process, and then names that request.
    let begin = || server.post(OWN_PROCESSES).by(own).once("begin");
    let first = begin().await;
    first.result(201);
    assert_eq!(begin().await.repeated(), first.repeated());
    assert_eq!(kept().await, 1);
    // What was refused for want of a process is decided anew.
    let cancel = || server.delete(CONNECTOR).with_core_key().once("ConnectorDelete");
    let cancelled = cancel().await;
    cancelled.result(200);
    assert_eq!(cancel().await.repeated(), cancelled.repeated());
    assert_eq!(statuses(&deployment).await, [Status::Cancelled]);
}

async fn after_24_hours_a_key_is_free(deployment: Deployment) {
    let server = deployment.start().await;
    let alice = Person::new();
    let begin = async || server.post(OWN_PROCESSES).by(&alice).once("key").await;
    let first = begin().await;
    let id = first.result(201)["id"].as_str().unwrap().to_owned();
    server.put(&cancel_of(&id)).by(&alice).await.result(200);

    deployment.clock.set(DAY);
    assert_eq!(begin().await.repeated(), first.repeated());
    deployment.clock.set(DAY + 1);
    let second = begin().await;
    assert_ne!(second.result(201)["id"], json!(id));
    // And then it names the new request.
    deployment.clock.set(2 * DAY);
    assert_eq!(begin().await.repeated(), second.repeated());
    let reused = server.put(&cancel_of(&id)).by(&alice).once("key").await;
    reused.refused(422, REUSED);
}

#[tokio::test]
async fn a_key_names_one_request_and_no_other() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let own = &deployment.own;
    let length = |days: &str| format!("{CONNECTOR}?lengthOfGracePeriodInDays={days}");
    let body = |days: &str| format!(r#"{{"lengthOfGracePeriodInDays": {days}}}"#);

    server.post(&length("3")).with_core_key().once("a").await.result(200);
    for other in [
        server.post(&length("4")).with_core_key(),
        server.post(CONNECTOR).with_core_key(),
        server.delete(CONNECTOR).with_core_key(),
    ] {
        other.once("a").await.refused(422, REUSED);
    }
    server.delete(CONNECTOR).with_core_key().once("b").await.result(200);
    server.post(CONNECTOR).with_core_key().once("b").await.refused(422, REUSED);

    let begin = |days: &str| server.post(OWN_PROCESSES).by(own).body(body(days)).once("a");
    let id = begin("3").await.result(201)["id"].as_str().unwrap().to_owned();
    // Written in another way, it is the same.
    assert_eq!(begin("3.0").await.result(201)["id"], json!(id));
    for other in [begin("4"), begin("null"), server.put(&cancel_of(&id)).by(own).once("a")] {
        other.await.refused(422, REUSED);
    }
    server.put(&cancel_of(&id)).by(own).once("b").await.result(200);
    let another = server.put(&cancel_of("IDP0123456789abcdefg")).by(own).once("b").await;
    another.refused(422, REUSED);
    assert_eq!(statuses(&deployment).await, [Status::Cancelled; 2]);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_and_nothing_is_done() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let own = &deployment.own;
    let header = |change: Change, key: &[u8]| {
        change.request(&server, own, "IDP0123456789abcdefg").header("idempotency-key", key)
    };
    for change in Change::ALL {
        for key in [
            &b""[..],
            b"\"\"",
            b"\"open",
            b"a\"",
            b"\"a\" b",
            b"a, b",
            b"a;b",
            b"\xff",
            b"\"\xc3\xa9\"",
            &[b'a'; 256],
        ] {
            header(change, key).await.refused(400, INVALID);
        }
        header(change, b"a").header("idempotency-key", "a").await.refused(400, INVALID);
    }
    assert_eq!(statuses(&deployment).await, []);
    // With and without quotes, and with parameters that nobody has defined, it is the same key.
    let first = server.post(OWN_PROCESSES).by(own).once("a b").await;
    for key in [r#""a b""#, "a b", "\"a b\";x=1"] {
        let again = server.post(OWN_PROCESSES).by(own).header("idempotency-key", key).await;
        assert_eq!(again.repeated(), first.repeated());
    }
    let longest = "a".repeat(255);
    let refused = server.post(OWN_PROCESSES).by(own).once(&longest).await;
    refused.refused(400, "error.platform.validation.device.onlyOneActiveDeletionProcessAllowed");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_again_whatever_its_key() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    for _ in 0..2 {
        let unreadable = server.post(OWN_PROCESSES).by(&alice).once("key").body("{").await;
        unreadable.refused(400, "error.platform.validation.invalidPropertyValue");
    }
    // It has not used the key up.
    server.post(OWN_PROCESSES).by(&alice).once("key").await.result(201);
}
