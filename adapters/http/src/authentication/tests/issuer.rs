//! An issuer on this machine, for the tests of its keys.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use url::Url;

use super::super::{Authentication, AuthenticationSettings, KeysLocation};
use super::{MICROS, NOW, Signer, TestClock, issued_claims, key_set_text, settings, with};

pub(super) const MINUTE: i64 = 60 * MICROS;

/// An issuer on this machine.
#[derive(Clone)]
pub(super) struct Issuer {
    pub(super) url: Url,
    requests: Arc<AtomicUsize>,
    answer: Arc<Mutex<(StatusCode, Vec<u8>)>>,
    /// Whether there are answers.
    gate: watch::Sender<bool>,
    /// That somebody waits for one.
    pub(super) arrived: Arc<Notify>,
}

impl Issuer {
    /// An issuer with one key, which answers at once.
    pub(super) async fn start(kid: &str, signer: &Signer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            url: format!("http://{}/keys", listener.local_addr().unwrap()).parse().unwrap(),
            requests: Arc::default(),
            answer: Arc::default(),
            gate: watch::Sender::new(true),
            arrived: Arc::default(),
        };
        issuer.has_keys(&[(kid, signer)]);
        let router = Router::new().fallback(answer).with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        issuer
    }

    pub(super) fn answers(&self, status: StatusCode, body: impl Into<Vec<u8>>) {
        *self.answer.lock().unwrap() = (status, body.into());
    }

    pub(super) fn has_keys(&self, keys: &[(&str, &Signer)]) {
        self.answers(StatusCode::OK, key_set_text(keys));
    }

    pub(super) fn close(&self) {
        self.gate.send_replace(false);
    }

    pub(super) fn open(&self) {
        self.gate.send_replace(true);
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn settings(&self) -> AuthenticationSettings {
        settings(KeysLocation::Url(self.url.clone()))
    }
}

async fn answer(State(issuer): State<Issuer>) -> Response {
    issuer.requests.fetch_add(1, Ordering::SeqCst);
    issuer.arrived.notify_one();
    issuer.gate.subscribe().wait_for(|open| *open).await.unwrap();
    let (status, body) = issuer.answer.lock().unwrap().clone();
    if status.is_redirection() {
        return (status, [(LOCATION, String::from_utf8(body).unwrap())]).into_response();
    }
    (status, body).into_response()
}

pub(super) fn token(kid: &str, signer: &Signer) -> String {
    // Good for long: these tests let time pass.
    let claims = with(issued_claims(), json!({"exp": NOW + 100_000}));
    signer.token(&json!({"alg": signer.alg(), "kid": kid}), &claims)
}

/// An issuer with the key "one", and authentication that asks it.
pub(super) async fn start() -> (Issuer, Arc<TestClock>, Authentication) {
    let issuer = Issuer::start("one", &Signer::ed25519(1)).await;
    let clock = TestClock::new();
    let authentication = Authentication::new(issuer.settings(), clock.clone()).unwrap();
    (issuer, clock, authentication)
}
