//! Requests with one key that come at the same time, and requests whose answer is lost: one step, one answer.

use std::future::IntoFuture as _;
use std::time::Duration;

use futures_util::future::join_all;
use reprieve_domain::{DeletionProcess, Status};
use reprieve_http::Settings;

use crate::idempotency::Change;
use crate::support::{
    Deployment, OWN_PROCESSES, Person, Reply, Server, Wire, cancel_of, on_each_database, settings, until,
};

const CONTENDERS: usize = 32;

on_each_database!(
    of_many_requests_with_one_key_one_takes_the_step_and_all_get_its_answer,
    a_lost_answer_is_found_again,
    whoever_leaves_at_any_moment_can_ask_again,
    what_was_not_answered_in_time_can_come_again,
);

async fn audit_log(server: &Server, person: &Person) -> usize {
    let path = format!("{}/AuditLogs", crate::support::processes_of(person));
    server.get(&path).with_admin_key().await.result(200).as_array().unwrap().len()
}

async fn of_many_requests_with_one_key_one_takes_the_step_and_all_get_its_answer(deployment: Deployment) {
    let instances = [deployment.start().await, deployment.start().await];
    let own = &deployment.own;
    let mut entries = 0;
    for change in Change::ALL {
        let id = change.prepare(&deployment, &instances[0]).await;
        let requests = (0..CONTENDERS).map(|number| {
            change.request(&instances[number % 2], own, &id).once(&format!("{change:?}")).into_future()
        });
        let replies: Vec<Reply> = join_all(requests).await;
        assert!(replies[0].status < 300, "{change:?}: {:?}", replies[0]);
        assert!(replies.iter().all(|reply| reply.repeated() == replies[0].repeated()), "{change:?}");
        if change.begins() {
            instances[0].delete(crate::support::CONNECTOR).with_core_key().await.result(200);
        }
        // Each process begins once and is cancelled once.
        entries += 2;
        assert_eq!(audit_log(&instances[0], own).await, entries, "{change:?}");
    }
    let processes = deployment.stored(own).await;
    assert_eq!(processes.len(), Change::ALL.len());
    assert!(processes.iter().all(|process| process.status() == Status::Cancelled));
}

/// Sends a request, for whoever may not wait for its answer.
async fn sent(server: &Server, person: &Person, method: &str, path: &str, key: &str) -> Wire {
    Wire::asked(server, person, method, path, &format!("idempotency-key: {key}\r\n")).await
}

async fn a_lost_answer_is_found_again(deployment: Deployment) {
    let server = deployment.start().await;
    let alice = Person::new();
    let status = async || deployment.stored(&alice).await.last().map(DeletionProcess::status);

    let unread = sent(&server, &alice, "POST", OWN_PROCESSES, "begin").await;
    until(async || status().await == Some(Status::Active)).await;
    drop(unread);
    let begun = server.post(OWN_PROCESSES).by(&alice).once("begin").await.result(201);
    let id = begun["id"].as_str().unwrap();

    let unread = sent(&server, &alice, "PUT", &cancel_of(id), "cancel").await;
    until(async || status().await == Some(Status::Cancelled)).await;
    drop(unread);
    let cancelled = server.put(&cancel_of(id)).by(&alice).once("cancel").await.result(200);
    assert_eq!(cancelled["id"], begun["id"]);
    assert_eq!(deployment.stored(&alice).await.len(), 1);
    assert_eq!(audit_log(&server, &alice).await, 2);
}

async fn whoever_leaves_at_any_moment_can_ask_again(deployment: Deployment) {
    let server = deployment.start().await;
    // Long enough for the last ones to leave when everything is done.
    for moment in 0..24 {
        let alice = Person::new();
        let leaving = sent(&server, &alice, "POST", OWN_PROCESSES, "key").await;
        tokio::time::sleep(Duration::from_micros(moment * 400)).await;
        drop(leaving);
        let begun = server.post(OWN_PROCESSES).by(&alice).once("key").await;
        begun.result(201);
        assert_eq!(server.post(OWN_PROCESSES).by(&alice).once("key").await.repeated(), begun.repeated());
        assert_eq!(deployment.stored(&alice).await.len(), 1);
        assert_eq!(audit_log(&server, &alice).await, 1);
    }
}

async fn what_was_not_answered_in_time_can_come_again(deployment: Deployment) {
    let limits = Settings { request_timeout: Duration::from_millis(300), ..settings() };
    let (hurried, patient) = (deployment.start_with(limits).await, deployment.start().await);
    let alice = Person::new();
    let lock = deployment.lock().await;
    for _ in 0..2 {
        let reply = hurried.post(OWN_PROCESSES).by(&alice).once("key").await;
        reply.refused(503, "error.reprieve.http.timedOut");
    }
    drop(lock);
    // Whether one of the two is still at work in the database or not.
    let begun = patient.post(OWN_PROCESSES).by(&alice).once("key").await;
    begun.result(201);
    assert_eq!(patient.post(OWN_PROCESSES).by(&alice).once("key").await.repeated(), begun.repeated());
    assert_eq!(deployment.stored(&alice).await.len(), 1);
    assert_eq!(audit_log(&patient, &alice).await, 1);
}
