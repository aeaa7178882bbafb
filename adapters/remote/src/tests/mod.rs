//! Against a real HTTP server on a loopback port that plays the service.

mod lost_answers;
mod patience;
mod service;
mod steps;
mod strange_answers;
mod tls;
mod tokens;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::ports::{Clock, Ids, RandomSourceFailed, TokenSigner};
use reprieve_application::{IdentityTokenClaims, KeyPair, OwnIdentity, SecretKey};
use reprieve_domain::{DeletionProcessId, DeviceId, Timestamp};

use crate::pause::Pause;
use crate::{RemoteIdentityDeletion, RemoteOptions};
use service::Service;

const NOW: &str = "2026-12-07T20:03:07.123456Z";
const DEVICE: &str = "DVC0123456789abcdefg";
const OTHER_DEVICE: &str = "DVCzzzzzzzzzzzzzzzzz";

const NONE_ACTIVE: &str = "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess";
const ALREADY_EXISTS: &str =
    "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists";
const UNAVAILABLE: &str = "error.reprieve.server.unavailable";
const UNEXPECTED: &str = "error.reprieve.server.unexpectedAnswer";
const UNAUTHORIZED: &str = "error.reprieve.server.unauthorized";

/// A service and somebody who asks it.
struct World {
    service: Service,
    facade: RemoteIdentityDeletion,
    /// For how long was waited.
    pauses: Arc<Mutex<Vec<Duration>>>,
}

impl World {
    async fn new() -> Self {
        Self::with_timeout(Duration::from_mins(1)).await
    }

    async fn with_timeout(timeout: Duration) -> Self {
        let service = Service::start().await;
        let options =
            RemoteOptions { server: service.url.parse().unwrap(), timeout, certificate_authorities: None };
        let pauses = Arc::new(Mutex::new(Vec::new()));
        Self { facade: facade(options, Recorder(pauses.clone())), service, pauses }
    }

    /// With an Active process.
    async fn with_active_process() -> Self {
        let world = Self::new().await;
        world.service.state().processes.push(service::active("IDP0123456789abcdefg", DEVICE));
        world
    }

    fn pauses(&self) -> Vec<Duration> {
        self.pauses.lock().unwrap().clone()
    }
}

fn facade(options: RemoteOptions, pause: impl Pause + 'static) -> RemoteIdentityDeletion {
    let identity = OwnIdentity {
        address: "did:web:example.org".parse().unwrap(),
        device: DEVICE.parse().unwrap(),
        keys: KeyPair { secret: SecretKey::new([7; 32]), public: [9; 32] },
    };
    let ids = Arc::new(CountingIds::default());
    let signer = Arc::new(TestSigner);
    RemoteIdentityDeletion::with_pause(
        options,
        identity,
        Arc::new(StoppedClock),
        ids,
        signer,
        Box::new(pause),
    )
    .unwrap()
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW.parse().unwrap()
    }
}

/// Never the same bytes twice.
#[derive(Default)]
struct CountingIds(AtomicU8);

impl Ids for CountingIds {
    fn deletion_process_id(&self) -> Result<DeletionProcessId, RandomSourceFailed> {
        unreachable!("the server draws them")
    }

    fn device_id(&self) -> Result<DeviceId, RandomSourceFailed> {
        unreachable!("there is one")
    }

    fn name(&self, _: &str) -> Result<String, RandomSourceFailed> {
        unreachable!("nothing is named here")
    }

    fn key_pair(&self) -> Result<KeyPair, RandomSourceFailed> {
        unreachable!("there is one")
    }

    fn random_bytes(&self) -> Result<[u8; 32], RandomSourceFailed> {
        Ok([self.0.fetch_add(1, Ordering::Relaxed); 32])
    }
}

/// Writes what a token says so that the service can read it; nobody verifies a signature here.
struct TestSigner;

impl TokenSigner for TestSigner {
    fn sign(&self, claims: &IdentityTokenClaims, _: &KeyPair) -> String {
        let IdentityTokenClaims { audience, issued_at, expires_at, id, .. } = claims;
        format!("{audience}|{issued_at}|{expires_at}|{}", id[0])
    }
}

/// Does not wait, but remembers for how long it should have.
struct Recorder(Arc<Mutex<Vec<Duration>>>);

#[async_trait]
impl Pause for Recorder {
    async fn pause(&self, length: Duration) {
        self.0.lock().unwrap().push(length);
    }
}
