//! Proving who asks.

use std::collections::HashSet;
use std::process::Command;

use reprieve_application::facade::IdentityDeletionFacade as _;
use reprieve_application::ports::Clock as _;
use reprieve_domain::{Status, Timestamp};

use super::service::{Fate, Reply};
use super::{NOW, StoppedClock, UNAUTHORIZED, World};

#[tokio::test]
async fn every_request_has_a_fresh_token_for_this_server() {
    let World { service, facade, .. } = World::new().await;
    service.plan([Fate::Usual, Fate::AnswerLost]);
    facade.initiate(None).await.unwrap();
    facade.cancel().await.unwrap();
    let received = service.state().received.clone();
    let ids: HashSet<String> = received.iter().map(|request| request.token()[3].clone()).collect();
    assert_eq!(ids.len(), received.len());
    for request in received {
        let [audience, issued_at, expires_at, _] = request.token();
        assert_eq!(audience, service.url);
        assert_eq!(
            (issued_at.as_str(), expires_at.as_str()),
            ("2026-12-07T20:03:07.000000Z", "2026-12-07T20:08:07.000000Z")
        );
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_set_right_by_the_servers() {
    for hours in [-48, -1, 1, 48] {
        let World { service, facade, .. } = World::with_active_process().await;
        let servers_now = StoppedClock.now().checked_add_micros(hours * 3_600_000_000).unwrap();
        service.state().now = servers_now;
        assert_eq!(facade.cancel().await.unwrap().status, Status::Cancelled);
        assert_eq!(
            service.asked(),
            ["GET DeletionProcesses", "GET DeletionProcesses", "PUT Cancel"],
            "once is enough"
        );
        let off = facade.now().micros_since(servers_now);
        assert!((-1_000_000..=0).contains(&off), "what is left is said by the server's clock");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_twice_is_not_sent_a_third_time() {
    let World { service, facade, .. } = World::with_active_process().await;
    service.state().always = Fate::Instead(Reply::refusal(401, "error.platform.unauthorized"));
    let failure = facade.cancel().await.unwrap_err();
    assert_eq!(failure.code.as_str(), UNAUTHORIZED);
    assert!(failure.message.contains("error.platform.unauthorized"), "{failure:?}");
    assert_eq!(service.asked().len(), 2);
    assert_eq!(service.state().steps, 0);
}

#[tokio::test]
async fn one_refusal_of_a_token_is_forgiven_and_the_key_stays_the_same() {
    let World { service, facade, .. } = World::with_active_process().await;
    let unauthorized = || Fate::Instead(Reply::new(401, "").with("date", "yesterday"));
    service.plan([unauthorized(), Fate::Usual, unauthorized()]);
    assert_eq!(facade.cancel().await.unwrap().status, Status::Cancelled);
    assert_eq!(facade.now(), NOW.parse::<Timestamp>().unwrap());
    let received = service.state().received.clone();
    assert_eq!(received[2].header("idempotency-key"), received[3].header("idempotency-key"));
}

#[tokio::test]
async fn an_identity_that_is_not_let_in_asks_once() {
    let World { service, facade, .. } = World::with_active_process().await;
    service.state().always = Fate::Instead(Reply::refusal(403, "error.platform.forbidden"));
    assert_eq!(facade.identity().await.unwrap_err().code.as_str(), UNAUTHORIZED);
    assert_eq!(service.asked().len(), 1);
}

#[test]
fn what_is_not_encrypted_goes_through_no_proxy() {
    // The environment of this process is everybody's, so another one is started; nobody listens on that port.
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "tests::steps::a_person_asks_looks_and_changes_their_mind"]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        again.env(name, "http://127.0.0.1:1");
    }
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
