//! What an eraser is asked.

use hyper::Method;
use reprieve_application::ports::{EraseAnswer, ErasePlan, Eraser as _};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use super::service::{Received, Reply, Service};
use super::*;
use crate::HttpEraserError;

/// Whether an eraser that uses the published library accepts it.
fn is_signed(request: &Received) -> bool {
    let webhook = Webhook::new(SECRET).unwrap();
    webhook.verify(request.body.as_bytes(), &request.headers).is_ok()
}

/// Where the address is, other than in the body.
fn headers_with_address(request: &Received) -> Vec<&str> {
    let has = |value: &&hyper::header::HeaderValue| value.to_str().unwrap().contains("ada");
    request.headers.iter().filter(|(_, value)| has(value)).map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn a_request_to_erase_is_signed_and_the_same_when_it_is_repeated() {
    let service = Service::start([Reply::new(503, ""), Reply::Closed, Reply::new(204, "")]).await;
    let eraser = eraser(&format!("{}/erase?tenant=1", service.url));
    for _ in 0..3 {
        eraser.erase(&request(None)).await;
    }
    let received = service.received();
    assert_eq!(received.len(), 3, "nobody asks again but the worker");
    for request in &received {
        assert!(is_signed(request), "{request:?}");
        assert_eq!((&request.method, request.url.as_str()), (&Method::POST, "/erase?tenant=1"));
        assert_eq!(request.header("idempotency-key"), Some(PROCESS));
        assert_eq!(request.header("webhook-id"), Some("IDP0123456789abcdefg_files~v2_eu"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("user-agent"), Some(concat!("reprieve/", env!("CARGO_PKG_VERSION"))));
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body, json!({"processId": PROCESS, "address": ADDRESS}));
        assert_eq!(headers_with_address(request), [""; 0]);
    }
}

#[tokio::test]
async fn what_was_changed_on_the_way_is_not_signed() {
    let service = Service::start([Reply::new(204, "")]).await;
    eraser(&service.url).erase(&request(None)).await;
    let received = service.received().remove(0);
    assert!(is_signed(&received));
    let mut other = received.clone();
    other.body = other.body.replace("ada", "bob");
    assert!(!is_signed(&other));
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut other = received.clone();
        other.headers.insert(name, "1".parse().unwrap());
        assert!(!is_signed(&other), "{name}");
    }
}

#[tokio::test]
async fn a_question_how_far_it_is_is_signed_and_names_nobody() {
    let service = Service::start([Reply::new(202, ""), Reply::new(200, r#"{"count":2}"#)]).await;
    let eraser = eraser(&format!("{}/erase", service.url));
    let poll = format!("{}/jobs/1", service.url);
    let answer = eraser.erase(&request(Some(&poll))).await;
    assert_eq!(answer, EraseAnswer::Working { poll: Some(poll.clone()), ask_in: None });
    assert_eq!(eraser.erase(&request(Some(&poll))).await, EraseAnswer::Erased { count: 2 });
    let received = service.received();
    for request in &received {
        assert!(is_signed(request), "{request:?}");
        assert_eq!((&request.method, request.url.as_str()), (&Method::GET, "/jobs/1"));
        assert_eq!(request.body, "");
        assert_eq!(headers_with_address(request), [""; 0]);
        let id = request.header("webhook-id").unwrap();
        assert!(id.starts_with("poll_IDP0123456789abcdefg_") && id.ends_with("_files~v2_eu"), "{id}");
    }
    assert_ne!(
        received[0].header("webhook-id"),
        received[1].header("webhook-id"),
        "each is a message of its own"
    );
}

#[tokio::test]
async fn a_plan_is_asked_for_with_the_address_in_one_header_only() {
    let service = Service::start([Reply::new(200, r#"{"count":7}"#)]).await;
    let address = ADDRESS.parse().unwrap();
    assert_eq!(eraser(&format!("{}/erase", service.url)).plan(&address).await, ErasePlan::Count(7));
    let received = service.received().remove(0);
    assert!(is_signed(&received));
    assert_eq!(
        (&received.method, received.url.as_str(), received.body.as_str()),
        (&Method::GET, "/erase", "")
    );
    assert_eq!(received.header("reprieve-address"), Some(ADDRESS));
    assert_eq!(headers_with_address(&received), ["reprieve-address"]);

    let mut silent = options(&service.url);
    silent.asks_plan = false;
    let silent = HttpEraser::new(silent, Arc::new(RealClock)).unwrap();
    assert_eq!(silent.plan(&address).await, ErasePlan::Unknown);
    assert_eq!(service.received().len(), 1, "who cannot say is not asked");
}

#[tokio::test]
async fn a_place_to_ask_at_on_another_server_is_not_asked() {
    let (service, other) = (Service::start([]).await, Service::start([Reply::new(204, "")]).await);
    let eraser = eraser(&service.url);
    for poll in [&other.url, "https://127.0.0.1/", "http://localhost/", "nonsense://"] {
        assert_eq!(
            eraser.erase(&request(Some(poll))).await,
            failed(FailureCode::unexpected_answer()),
            "{poll}"
        );
    }
    assert_eq!((service.received().len(), other.received().len()), (0, 0));
}

#[test]
fn who_is_deleted_is_not_sent_in_the_clear_over_a_network() {
    let try_new = |url: &str, allow_plaintext| {
        let options = HttpEraserOptions { allow_plaintext, ..options(url) };
        HttpEraser::new(options, Arc::new(RealClock))
    };
    for url in ["http://eraser.example", "http://10.0.0.1", "http://localhost.example"] {
        assert!(matches!(try_new(url, false), Err(HttpEraserError::PlainHttp)), "{url}");
        assert!(try_new(url, true).is_ok(), "{url}");
    }
    for url in ["http://localhost:1", "http://127.0.0.2", "http://[::1]", "https://eraser.example"] {
        assert!(try_new(url, false).is_ok(), "{url}");
    }
}

#[test]
fn no_secret_is_shown() {
    let options = options("http://localhost/erase?key=hidden");
    let eraser = HttpEraser::new(options.clone(), Arc::new(RealClock)).unwrap();
    for text in [format!("{options:?}"), format!("{eraser:?}"), format!("{eraser:#?}")] {
        assert!(text.contains("SigningSecret"), "{text}");
        for secret in [&SECRET[6..], SECRET, "hidden", "49, 242, 144"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
