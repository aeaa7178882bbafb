//! Where nothing goes wrong: the answers are those of a local database.

use reprieve_application::facade::IdentityDeletionFacade as _;
use reprieve_domain::{IdentityStatus, Status};
use serde_json::json;

use super::service::{Fate, Reply, active, cancel};
use super::{ALREADY_EXISTS, DEVICE, NONE_ACTIVE, NOW, OTHER_DEVICE, World};

#[tokio::test]
async fn a_person_asks_looks_and_changes_their_mind() {
    let World { service, facade, .. } = World::new().await;
    assert_eq!(facade.identity().await.unwrap().status(), IdentityStatus::Active);

    let initiated = facade.initiate(None).await.unwrap();
    assert_eq!((initiated.status, initiated.created_at), (Status::Active, NOW.parse().unwrap()));
    assert_eq!(initiated.created_by_device, DEVICE.parse().unwrap());
    assert!(initiated.grace_period_ends_at.is_some());

    let identity = facade.identity().await.unwrap();
    assert_eq!(identity.status(), IdentityStatus::ToBeDeleted);
    assert_eq!(identity.open_process.as_ref(), Some(&initiated));
    assert_eq!(facade.active().await.unwrap(), initiated);
    assert_eq!(facade.process(initiated.id.as_str()).await.unwrap(), initiated);

    let cancelled = facade.cancel().await.unwrap();
    assert_eq!((&cancelled.id, cancelled.status), (&initiated.id, Status::Cancelled));
    assert_eq!(cancelled.grace_period_ends_at, None);
    assert_eq!(cancelled.cancelled_by_device, Some(DEVICE.parse().unwrap()));
    assert_eq!(facade.processes().await.unwrap(), [cancelled]);
    assert_eq!(facade.identity().await.unwrap().status(), IdentityStatus::Active);
    assert_eq!(service.state().steps, 2);
}

#[tokio::test]
async fn the_requests_are_those_of_the_consumer_api() {
    let World { service, facade, .. } = World::new().await;
    facade.initiate(Some(1.5)).await.unwrap();
    facade.cancel().await.unwrap();
    facade.initiate(None).await.unwrap();
    let id = "IDP00000000000000000";
    facade.process(id).await.unwrap();
    let path = "/api/v2/Identities/Self/DeletionProcesses";
    let received = service.state().received.clone();
    let requests: Vec<_> =
        received.iter().map(|r| (r.method.as_str(), r.path.clone(), r.body.as_str())).collect();
    assert_eq!(
        requests,
        [
            ("GET", path.to_owned(), ""),
            ("POST", path.to_owned(), r#"{"lengthOfGracePeriodInDays":1.5}"#),
            ("GET", path.to_owned(), ""),
            ("PUT", format!("{path}/{id}/Cancel"), "{}"),
            ("GET", path.to_owned(), ""),
            ("POST", path.to_owned(), "{}"),
            ("GET", format!("{path}/{id}"), ""),
        ]
    );
    for request in &received {
        let changes = request.method != "GET";
        assert_eq!(request.header("idempotency-key").is_some(), changes, "{request:?}");
        assert_eq!(request.header("content-type"), changes.then_some("application/json"));
        assert_eq!(request.header("accept"), Some("application/json"));
        assert!(request.header("user-agent").unwrap().starts_with("reprieve/"));
    }
}

#[tokio::test]
async fn every_wish_has_an_idempotency_key_of_its_own_in_the_form_of_a_structured_field() {
    let World { service, facade, .. } = World::new().await;
    for _ in 0..3 {
        facade.initiate(None).await.unwrap();
        facade.cancel().await.unwrap();
    }
    let received = service.state().received.clone();
    let mut keys: Vec<&str> =
        received.iter().filter_map(|request| request.header("idempotency-key")).collect();
    assert!(keys.iter().all(|key| key.len() == 38 && key.starts_with('"') && key.ends_with('"')), "{keys:?}");
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 6);
}

#[tokio::test]
async fn a_refusal_has_the_code_of_a_local_database() {
    let World { service, facade, .. } = World::with_active_process().await;
    let code = |failure: reprieve_application::Failure| failure.code.as_str();
    assert_eq!(code(facade.initiate(None).await.unwrap_err()), ALREADY_EXISTS);
    assert_eq!(
        code(facade.process("IDPzzzzzzzzzzzzzzzzz").await.unwrap_err()),
        "error.runtime.recordNotFound"
    );
    service.plan([
        Fate::Usual,
        Fate::Instead(Reply::refusal(400, "error.platform.validation.invalidPropertyValue")),
    ]);
    assert_eq!(
        code(facade.initiate(Some(0.1)).await.unwrap_err()),
        "error.runtime.validation.invalidPropertyValue"
    );
    let expired = "error.platform.validation.device.gracePeriodHasAlreadyExpired";
    service.plan([Fate::Usual, Fate::Instead(Reply::refusal(400, expired))]);
    let failure = facade.cancel().await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.message.as_str()), (expired, "no"));
    facade.cancel().await.unwrap();
    for failure in [facade.cancel().await.unwrap_err(), facade.active().await.unwrap_err()] {
        assert_eq!(code(failure), NONE_ACTIVE);
    }
    assert_eq!(service.state().steps, 1);
}

#[tokio::test]
async fn what_cannot_be_asked_is_not() {
    let World { service, facade, .. } = World::with_active_process().await;
    let invalid = "error.runtime.validation.invalidPropertyValue";
    for days in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(facade.initiate(Some(days)).await.unwrap_err().code.as_str(), invalid);
    }
    for id in ["", "IDP", "../../../Cancel", "IDP0123456789abcdef/"] {
        assert_eq!(facade.process(id).await.unwrap_err().code.as_str(), invalid);
    }
    assert_eq!(service.asked(), [""; 0]);
}

#[tokio::test]
async fn a_deletion_that_has_started_is_shown_and_not_cancelled() {
    let World { service, facade, .. } = World::with_active_process().await;
    service.state().processes[0]["status"] = "Deleting".into();
    assert_eq!(facade.identity().await.unwrap().status(), IdentityStatus::Deleting);
    let failure = facade.cancel().await.unwrap_err();
    assert_eq!(failure.code.as_str(), NONE_ACTIVE);
    assert!(failure.message.contains("Deleting"), "{failure:?}");
    assert_eq!(facade.active().await.unwrap_err().code.as_str(), NONE_ACTIVE);
    assert_eq!(service.asked(), ["GET DeletionProcesses"; 3]);
}

#[tokio::test]
async fn somebody_who_was_faster_is_no_disaster() {
    let World { service, facade, .. } = World::with_active_process().await;
    let refusal =
        Reply::refusal(400, "error.platform.validation.device.deletionProcessIsNotInRequiredStatus");
    service.plan([Fate::Usual, Fate::Instead(refusal)]);
    assert_eq!(facade.cancel().await.unwrap_err().code.as_str(), NONE_ACTIVE);
    assert_eq!(service.asked().len(), 2, "without a lost answer there is nothing to read again");
}

#[tokio::test]
async fn the_oldest_comes_first() {
    let World { service, facade, .. } = World::new().await;
    let mut newer = active("IDPaaaaaaaaaaaaaaaaa", OTHER_DEVICE);
    newer["createdAt"] = json!("2026-12-08T00:00:00Z");
    let mut older = active("IDPbbbbbbbbbbbbbbbbb", DEVICE);
    cancel(&mut older, OTHER_DEVICE);
    service.state().processes = vec![newer, older];
    let processes = facade.processes().await.unwrap();
    let statuses: Vec<Status> = processes.iter().map(|process| process.status).collect();
    assert_eq!(statuses, [Status::Cancelled, Status::Active]);
}
