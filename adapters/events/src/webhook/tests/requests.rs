//! What a receiver is sent.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use hyper::Method;
use reprieve_application::{Coded as _, ErrorCode};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use super::service::{Received, Reply, Service};
use super::*;
use crate::WebhookSinkError;

/// Whether a receiver that uses the published library accepts it.
fn is_signed(request: &Received) -> bool {
    Webhook::new(SECRET).unwrap().verify(&request.body, &request.headers).is_ok()
}

fn json_of(request: &Received) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// Where the address is, other than in the body.
fn headers_with_address(request: &Received) -> Vec<&str> {
    let has = |value: &&hyper::header::HeaderValue| value.to_str().unwrap().contains("ada");
    request.headers.iter().filter(|(_, value)| has(value)).map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn a_message_is_a_signed_cloud_event_and_the_same_when_it_is_repeated() {
    let service = Service::start([Reply::new(503, ""), Reply::Closed, Reply::new(204, "")]).await;
    let sink = sink(&format!("{}/hook?tenant=1", service.url));
    for expected in
        [refused(FailureCode::http_status(503)), refused(FailureCode::unexpected_answer()), Ok(())]
    {
        assert_eq!(sink.send(&deleted()).await, expected);
    }
    let received = service.received();
    assert_eq!(received.len(), 3, "nobody tells again but the worker");
    for request in &received {
        assert!(is_signed(request), "{request:?}");
        assert_eq!((&request.method, request.url.as_str()), (&Method::POST, "/hook?tenant=1"));
        assert_eq!(request.header("webhook-id"), Some(ID));
        assert_eq!(request.header("content-type"), Some("application/cloudevents+json"));
        assert_eq!(request.header("user-agent"), Some(concat!("reprieve/", env!("CARGO_PKG_VERSION"))));
        assert_eq!(request.header("referer"), None);
        assert_eq!(
            json_of(request),
            json!({
                "specversion": "1.0",
                "id": ID,
                "source": SOURCE,
                "type": "reprieve.identityDeleted",
                "subject": PROCESS,
                "time": "2026-12-07T20:03:07.500000Z",
                "datacontenttype": "application/json",
                "sequence": "0000000000000000042",
                "data": {"address": ADDRESS, "processId": PROCESS},
            })
        );
        assert_eq!(headers_with_address(request), [""; 0]);
    }
}

#[tokio::test]
async fn what_was_changed_on_the_way_is_not_signed() {
    let service = Service::start([Reply::new(204, "")]).await;
    sink(&service.url).send(&deleted()).await.unwrap();
    let received = service.received().remove(0);
    assert!(is_signed(&received));
    let mut other = received.clone();
    other.body[20] ^= 1;
    assert!(!is_signed(&other));
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut other = received.clone();
        other.headers.insert(name, "1".parse().unwrap());
        assert!(!is_signed(&other), "{name}");
    }
}

#[tokio::test]
async fn two_messages_of_one_event_are_sent_one_after_the_other() {
    let service = Service::start([
        Reply::new(200, vec![b' '; 32 << 10]),
        Reply::new(200, vec![b' '; 32 << 10]),
        Reply::new(200, vec![b' '; 32 << 10]),
        Reply::new(500, ""),
        Reply::new(500, ""),
    ])
    .await;
    let sink = sink(&service.url);
    assert_eq!(sink.send(&to_be_deleted()).await, Ok(()));
    let received = service.received();
    assert!(received.iter().all(is_signed));
    let seen: Vec<_> =
        received.iter().map(|request| (request.header("webhook-id").unwrap(), json_of(request))).collect();
    let status = format!("{ID}-status");
    assert_eq!((seen[0].0, seen[1].0), (status.as_str(), ID));
    assert_eq!(seen[0].1["type"], "transport.identityDeletionProcessStatusChanged");
    assert_eq!(seen[1].1["type"], "reprieve.identityToBeDeleted");
    assert_eq!(seen[1].1["traceparent"], to_be_deleted().trace.unwrap().parent);
    assert_eq!(service.connections(), 1, "the connection is used again");

    assert_eq!(sink.send(&to_be_deleted()).await, refused(FailureCode::http_status(500)));
    assert_eq!(service.received().len(), 4);
    assert_eq!(sink.send(&to_be_deleted()).await, refused(FailureCode::http_status(500)));
    assert_eq!(service.received().len(), 5, "the second message waits for the first");
}

#[tokio::test]
async fn a_receiver_of_the_connector_is_sent_what_it_knows() {
    let service = Service::start([Reply::new(200, ""), Reply::new(200, "")]).await;
    let mut options = options(&service.url);
    let triggers = [EventType::StatusChanged].into();
    options.messages = Messages::new(SOURCE, Some(triggers), Format::Connector);
    options.secret = None;
    options.headers = BTreeMap::from([("X-API-KEY".to_owned(), "its key".into())]);
    let unsigned = sink_with(options.clone());
    assert!(unsigned.wants(&to_be_deleted()) && !unsigned.wants(&deleted()));
    assert_eq!(unsigned.send(&to_be_deleted()).await, Ok(()));
    assert_eq!(unsigned.send(&deleted()).await, Ok(()), "what is not wanted is not sent");
    options.secret = Some(SECRET.parse().unwrap());
    assert_eq!(sink_with(options).send(&to_be_deleted()).await, Ok(()));

    let received = service.received();
    assert_eq!(received.len(), 2);
    for request in &received {
        assert_eq!(
            json_of(request),
            json!({
                "trigger": "transport.identityDeletionProcessStatusChanged",
                "data": {
                    "eventTargetAddress": ADDRESS,
                    "id": PROCESS,
                    "status": "Active",
                    "createdAt": "2026-12-07T20:03:07.500000Z",
                    "createdByDevice": "DVC0123456789abcdefg",
                    "gracePeriodEndsAt": "2026-12-21T20:03:07.500000Z",
                },
            })
        );
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("x-api-key"), Some("its key"));
        assert_eq!(request.header("webhook-id"), Some(format!("{ID}-status").as_str()));
    }
    assert_eq!(received[0].header("webhook-signature"), None);
    assert!(is_signed(&received[1]));
}

#[test]
fn options_that_would_do_harm_are_refused() {
    let error = |change: &dyn Fn(&mut WebhookSinkOptions)| {
        let mut options = options("https://a.example/hidden?hidden");
        change(&mut options);
        let error = WebhookSink::new(options, Arc::new(RealClock)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigurationInvalid, "{error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
        error
    };
    let set_url = |options: &mut WebhookSinkOptions, url: &str| options.url = url.parse().unwrap();
    for url in ["http://a.example", "http://10.0.0.1", "http://localhost.example"] {
        assert!(matches!(error(&|options| set_url(options, url)), WebhookSinkError::PlainHttp), "{url}");
    }
    for format in [Format::CloudEvents, Format::Connector] {
        let mut options = options("https://a.example");
        (options.secret, options.messages) = (None, messages(format));
        let is_missing =
            matches!(WebhookSink::new(options, Arc::new(RealClock)), Err(WebhookSinkError::SecretMissing));
        assert_eq!(is_missing, format == Format::CloudEvents);
    }
    for (name, value) in [("webhook-id", "hidden"), ("a b", "hidden"), ("a", "hidden\n")] {
        let error = error(&|options| {
            options.headers.insert(name.to_owned(), value.into());
        });
        assert!(matches!(error, WebhookSinkError::Header(_)), "{error}");
    }
    let missing = error(&|options| options.certificate_authorities = Some("/nowhere/authorities.pem".into()));
    assert!(missing.to_string().contains("authorities.pem"), "{missing}");
}

#[test]
fn plain_http_may_be_allowed() {
    for (url, allow_plaintext) in
        [("http://a.example", true), ("http://127.0.0.1:1", false), ("http://[::1]", false)]
    {
        let options = WebhookSinkOptions { allow_plaintext, ..options(url) };
        assert!(WebhookSink::new(options, Arc::new(RealClock)).is_ok(), "{url}");
    }
}

#[test]
fn no_secret_is_shown() {
    let mut options = options("http://127.0.0.1/hidden?key=hidden");
    options.headers = BTreeMap::from([("x-api-key".to_owned(), "hidden".into())]);
    options.concurrency = NonZeroUsize::new(3).unwrap();
    let sink = sink_with(options.clone());
    assert_eq!((sink.name().as_str(), sink.concurrency()), ("crm", 3));
    for text in [format!("{options:?}"), format!("{sink:?}"), format!("{sink:#?}")] {
        assert!(text.contains("SigningSecret") && text.contains("crm"), "{text}");
        for secret in [&SECRET[6..], SECRET, "hidden", "49, 242, 144"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
