//! Client and server must not disagree about what was done.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::facade::IdentityDeletionFacade as _;
use reprieve_domain::Status;
use serde_json::{Value, json};

use super::service::{Fate, Reply, Service, active, cancel};
use super::{ALREADY_EXISTS, DEVICE, NONE_ACTIVE, OTHER_DEVICE, UNAVAILABLE, UNEXPECTED, World, facade};
use crate::RemoteOptions;
use crate::pause::Pause;

const LOST: [Fate; 2] = [Fate::AnswerLost, Fate::AnswerCut];

/// Does not wait; something happens instead.
struct Meanwhile<F>(F);

#[async_trait]
impl<F: Fn() + Send + Sync> Pause for Meanwhile<F> {
    async fn pause(&self, _: Duration) {
        (self.0)();
    }
}

fn answering(result: &Value) -> Fate {
    Fate::Instead(Reply::new(200, json!({"result": result}).to_string()))
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_key_and_the_step_is_made_once() {
    for fate in LOST {
        let World { service, facade, .. } = World::new().await;
        service.plan([Fate::Usual, fate.clone()]);
        let initiated = facade.initiate(None).await.unwrap();
        service.plan([Fate::Usual, fate.clone(), fate]);
        let cancelled = facade.cancel().await.unwrap();
        assert_eq!((cancelled.status, cancelled.id), (Status::Cancelled, initiated.id));
        assert_eq!(service.state().steps, 2);
        let received = service.state().received.clone();
        let key = |position: usize| received[position].header("idempotency-key").unwrap();
        assert_eq!(key(1), key(2));
        assert_eq!([key(4), key(5)], [key(6); 2]);
        assert_ne!(key(1), key(4));
    }
}

#[tokio::test]
async fn a_request_that_was_ignored_is_sent_again() {
    let World { service, facade, .. } = World::with_active_process().await;
    service.plan([Fate::Usual, Fate::Ignored]);
    assert_eq!(facade.cancel().await.unwrap().status, Status::Cancelled);
    assert_eq!(service.state().steps, 1);
}

#[tokio::test]
async fn a_server_that_knows_no_keys_is_asked_what_became_of_a_cancellation() {
    for fate in LOST {
        let World { service, facade, .. } = World::with_active_process().await;
        service.state().knows_idempotency_keys = false;
        service.plan([Fate::Usual, fate]);
        assert_eq!(facade.cancel().await.unwrap().status, Status::Cancelled);
        assert_eq!(
            service.asked(),
            ["GET DeletionProcesses", "PUT Cancel", "PUT Cancel", "GET IDP0123456789abcdefg"]
        );
        assert_eq!(service.state().steps, 1);
    }
}

#[tokio::test]
async fn a_server_that_knows_no_keys_is_asked_what_became_of_an_initiation() {
    for fate in LOST {
        let World { service, facade, .. } = World::new().await;
        service.state().knows_idempotency_keys = false;
        service.plan([Fate::Usual, fate]);
        assert_eq!(facade.initiate(None).await.unwrap().status, Status::Active);
        assert_eq!(service.state().steps, 1);
    }
}

#[tokio::test]
async fn a_backbone_that_does_not_say_who_cancelled_is_believed() {
    let World { service, facade, .. } = World::with_active_process().await;
    service.state().knows_idempotency_keys = false;
    let mut cancelled = active("IDP0123456789abcdefg", DEVICE);
    cancel(&mut cancelled, DEVICE);
    cancelled["cancelledAt"].take();
    cancelled["cancelledByDevice"].take();
    service.plan([Fate::Usual, Fate::AnswerLost, Fate::Usual, answering(&cancelled)]);
    assert_eq!(facade.cancel().await.unwrap().status, Status::Cancelled);
    assert_eq!(service.asked().len(), 4);
}

#[tokio::test]
async fn a_repetition_does_not_start_again_what_was_cancelled_in_the_meantime() {
    let service = Arc::new(Service::start().await);
    let options = RemoteOptions {
        server: service.url.parse().unwrap(),
        timeout: Duration::from_mins(1),
        certificate_authorities: None,
    };
    let shared = service.clone();
    let facade = facade(options, Meanwhile(move || cancel(&mut shared.state().processes[0], OTHER_DEVICE)));
    service.plan([Fate::Usual, Fate::AnswerLost]);
    let initiated = facade.initiate(None).await.unwrap();
    let processes = facade.processes().await.unwrap();
    assert_eq!(processes.len(), 1, "{processes:?}");
    assert_eq!((&processes[0].id, processes[0].status), (&initiated.id, Status::Cancelled));
}

#[tokio::test]
async fn after_the_last_attempt_the_truth_is_read() {
    let World { service, facade, .. } = World::with_active_process().await;
    service.plan([Fate::Usual, Fate::AnswerLost, Fate::AnswerLost, Fate::AnswerLost, Fate::AnswerLost]);
    assert_eq!(facade.cancel().await.unwrap().status, Status::Cancelled);
    service.plan([Fate::Usual, Fate::Ignored, Fate::Ignored, Fate::Ignored, Fate::AnswerLost]);
    assert_eq!(facade.initiate(None).await.unwrap().status, Status::Active);
    assert_eq!(service.state().steps, 2);
}

#[tokio::test]
async fn what_was_not_done_is_not_claimed() {
    let World { service, facade, .. } = World::with_active_process().await;
    let ignored = || [Fate::Usual, Fate::Ignored, Fate::Ignored, Fate::Ignored, Fate::Ignored];
    service.plan(ignored());
    let failure = facade.cancel().await.unwrap_err();
    assert_eq!(failure.code.as_str(), UNAVAILABLE);
    assert!(
        failure.message.starts_with("this has not been done so far, the deletion process is still Active: ")
    );
    service.state().processes.clear();
    service.plan(ignored());
    let failure = facade.initiate(None).await.unwrap_err();
    assert_eq!(failure.code.as_str(), UNAVAILABLE);
    assert!(failure.message.contains("no open deletion process"), "{failure:?}");
    assert_eq!(service.state().steps, 0);
}

#[tokio::test]
async fn what_somebody_else_did_is_not_claimed_either() {
    let refused = |code| Fate::Instead(Reply::refusal(400, code));

    let World { service, facade, .. } = World::with_active_process().await;
    let mut cancelled = active("IDP0123456789abcdefg", DEVICE);
    cancel(&mut cancelled, OTHER_DEVICE);
    let code = "error.platform.validation.device.deletionProcessIsNotInRequiredStatus";
    service.plan([Fate::Usual, Fate::Ignored, refused(code), answering(&cancelled)]);
    assert_eq!(facade.cancel().await.unwrap_err().code.as_str(), NONE_ACTIVE);
    let ignored = || std::iter::repeat_n(Fate::Ignored, 4);
    service.plan([Fate::Usual].into_iter().chain(ignored()).chain([answering(&cancelled)]));
    let failure = facade.cancel().await.unwrap_err();
    assert_eq!(failure.code.as_str(), NONE_ACTIVE);
    assert!(failure.message.contains("Cancelled"), "{failure:?}");

    let World { service, facade, .. } = World::new().await;
    let theirs = json!([active("IDPaaaaaaaaaaaaaaaaa", OTHER_DEVICE)]);
    let code = "error.platform.validation.device.onlyOneActiveDeletionProcessAllowed";
    service.plan([Fate::Usual, Fate::Ignored, refused(code), answering(&theirs)]);
    assert_eq!(facade.initiate(None).await.unwrap_err().code.as_str(), ALREADY_EXISTS);
    service.plan([Fate::Usual].into_iter().chain(ignored()).chain([answering(&theirs)]));
    assert_eq!(facade.initiate(None).await.unwrap_err().code.as_str(), ALREADY_EXISTS);
}

#[tokio::test]
async fn a_process_that_was_there_before_is_not_taken_for_a_new_one() {
    let World { service, facade, .. } = World::with_active_process().await;
    service.plan([Fate::Usual, Fate::AnswerLost]);
    assert_eq!(facade.initiate(None).await.unwrap_err().code.as_str(), ALREADY_EXISTS);
    service.plan([Fate::Usual].into_iter().chain(std::iter::repeat_n(Fate::Ignored, 4)));
    assert_eq!(facade.initiate(None).await.unwrap_err().code.as_str(), ALREADY_EXISTS);
}

#[tokio::test]
async fn where_the_truth_cannot_be_read_nothing_is_claimed() {
    let World { service, facade, .. } = World::with_active_process().await;
    service.plan([Fate::Usual]);
    service.state().always = Fate::AnswerLost;
    let failure = facade.cancel().await.unwrap_err();
    assert_eq!(failure.code.as_str(), UNAVAILABLE);
    assert!(failure.message.starts_with("whether this is done is not known"), "{failure:?}");
    assert_eq!(service.asked().len(), 1 + 4 + 4, "the number of attempts is bounded");

    // A refusal after a lost answer may be the echo of a success.
    service.plan([
        Fate::Usual,
        Fate::AnswerLost,
        Fate::Instead(Reply::refusal(404, "error.platform.recordNotFound")),
    ]);
    service.state().processes = vec![active("IDP0123456789abcdefg", DEVICE)];
    assert_eq!(facade.cancel().await.unwrap_err().code.as_str(), UNAVAILABLE);
}

#[tokio::test]
async fn an_answer_that_cannot_be_understood_is_checked_against_the_truth() {
    for reply in [
        Reply::new(200, "<html>welcome to the network</html>"),
        Reply::new(200, "{}"),
        Reply::new(500, ""),
        Reply::new(302, "").with("location", "https://elsewhere.example"),
    ] {
        let World { service, facade, .. } = World::with_active_process().await;
        service.plan([Fate::Usual, Fate::DoneBut(reply.clone())]);
        assert_eq!(facade.cancel().await.unwrap().status, Status::Cancelled, "{reply:?}");
        service.plan([Fate::Usual, Fate::Instead(reply.clone())]);
        let failure = facade.initiate(None).await.unwrap_err();
        assert_eq!(failure.code.as_str(), UNEXPECTED, "{reply:?}");
        assert!(failure.message.starts_with("this has not been done so far"), "{failure:?}");
        assert_eq!(service.state().steps, 1);
    }
}
