//! How long and how often a server is asked.

use std::time::Duration;

use reprieve_application::facade::IdentityDeletionFacade as _;
use reprieve_domain::Status;

use super::service::{Fate, Reply};
use super::{Recorder, UNAVAILABLE, World, facade};
use crate::RemoteOptions;

fn busy(status: u16) -> Fate {
    Fate::Instead(Reply::refusal(status, "error.platform.busy"))
}

fn busy_for(seconds: &str) -> Fate {
    Fate::Instead(Reply::new(503, "").with("retry-after", seconds))
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test]
async fn a_server_that_cannot_answer_now_is_asked_again_after_a_while() {
    for status in [408, 409, 429, 502, 503, 504] {
        let World { service, facade, pauses } = World::with_active_process().await;
        service.plan([Fate::Usual, busy(status), busy(status), busy(status)]);
        assert_eq!(facade.cancel().await.unwrap().status, Status::Cancelled, "{status}");
        assert_eq!(*pauses.lock().unwrap(), [millis(250), millis(500), millis(1000)]);
        let received = service.state().received.clone();
        let keys: Vec<_> = received[1..].iter().map(|request| request.header("idempotency-key")).collect();
        assert_eq!(keys, [keys[0]; 4]);
    }
}

#[tokio::test]
async fn how_long_it_asks_to_be_left_alone_is_honoured() {
    let world = World::with_active_process().await;
    world.service.plan([busy_for("7"), busy_for("0"), busy_for("Mon, 07 Dec 2026 20:03:12 GMT")]);
    world.facade.cancel().await.unwrap();
    assert_eq!(world.pauses(), [Duration::from_secs(7), millis(500), Duration::from_secs(5)]);
}

#[tokio::test]
async fn a_server_that_asks_to_be_left_alone_for_long_is_left_alone() {
    let world = World::with_active_process().await;
    world.service.plan([busy_for("3600")]);
    let failure = world.facade.cancel().await.unwrap_err();
    assert_eq!(failure.code.as_str(), UNAVAILABLE);
    assert!(failure.message.contains("it asks to wait 3600 s"), "{failure:?}");
    assert_eq!(world.pauses(), [Duration::ZERO; 0]);
    assert_eq!(world.service.asked().len(), 1);
}

#[tokio::test]
async fn too_many_requests_were_not_looked_at() {
    let world = World::with_active_process().await;
    world.service.plan([Fate::Usual, busy(429), busy(429), busy(429), busy(429)]);
    let failure = world.facade.cancel().await.unwrap_err();
    assert_eq!(failure.code.as_str(), UNAVAILABLE);
    assert!(failure.message.contains("status 429 with the code 'error.platform.busy'"), "{failure:?}");
    assert_eq!(world.service.asked().len(), 5, "there is nothing to read again");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_given_up() {
    // Nobody listens on the port of tcpmux, which takes an administrator.
    let server = "http://127.0.0.1:1".parse().unwrap();
    let pauses = std::sync::Arc::default();
    let options = RemoteOptions { server, timeout: Duration::from_mins(1), certificate_authorities: None };
    let failure = facade(options, Recorder(std::sync::Arc::clone(&pauses))).cancel().await.unwrap_err();
    assert_eq!(failure.code.as_str(), UNAVAILABLE);
    assert!(failure.message.starts_with("the server http://127.0.0.1:1 cannot be reached: "), "{failure:?}");
    assert_eq!(pauses.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_lost_one() {
    // The others may take long as well where the machine is busy, and are asked for again then.
    let world = World::with_timeout(millis(1000)).await;
    world.service.plan([Fate::Usual, Fate::AnswerWithheld]);
    assert_eq!(world.facade.initiate(None).await.unwrap().status, Status::Active);
    assert_eq!(world.service.state().steps, 1);
}
