//! Against a real server on this machine.

mod answers;
mod requests;
mod service;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use reprieve_application::ports::{Clock, EraseAnswer, EraseRequest};
use reprieve_domain::{FailureCode, Timestamp};

use crate::{HttpEraser, HttpEraserOptions};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ADDRESS: &str = "did:web:example.org:users:ada";
const PROCESS: &str = "IDP0123456789abcdefg";

/// The published verifier compares with the real time.
struct RealClock;

impl Clock for RealClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the published verifier of signatures reads the real clock"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_unix_micros(since.as_micros().try_into().unwrap()).unwrap()
    }
}

fn options(url: &str) -> HttpEraserOptions {
    HttpEraserOptions {
        name: "files.v2_eu".parse().unwrap(),
        url: url.parse().unwrap(),
        secret: SECRET.parse().unwrap(),
        timeout: Duration::from_secs(20),
        asks_plan: true,
        allow_plaintext: false,
        certificate_authorities: None,
    }
}

fn eraser(url: &str) -> HttpEraser {
    HttpEraser::new(options(url), Arc::new(RealClock)).unwrap()
}

fn request(poll: Option<&str>) -> EraseRequest {
    EraseRequest {
        address: ADDRESS.parse().unwrap(),
        process_id: PROCESS.parse().unwrap(),
        poll: poll.map(ToOwned::to_owned),
    }
}

fn failed(code: FailureCode) -> EraseAnswer {
    EraseAnswer::Failed(code)
}
