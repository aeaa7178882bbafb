//! What whoever runs the service sees of one identity, and how much there is to do.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{
    CONNECTOR, CORE_KEY, DAY, Deployment, EXPIRED_KEY, Person, SECOND, after, cancel_of, on_each_database,
    processes_of,
};

const FIGURES: &str = "/api/v1/DeletionProcesses/Figures";
const INVALID_VALUE: &str = "error.platform.validation.invalidPropertyValue";

on_each_database!(the_audit_log_tells_the_whole_story, the_audit_log_outlives_the_identity);

/// Cancelled, then begun again and gone through to the end.
async fn whole_story(deployment: &Deployment, person: &Person) {
    let server = deployment.start().await;
    let first = server.initiated(person).await;
    deployment.clock.set(SECOND);
    server.put(&cancel_of(&first)).by(person).await.result(200);
    deployment.clock.set(2 * SECOND);
    server.initiated(person).await;
    let (files, end) = ("files".parse().unwrap(), 2 * SECOND + 14 * DAY);
    deployment
        .step(person, |identity, open| {
            identity.remind(open.id(), reprieve_domain::Reminder::First, after(3 * SECOND)).unwrap()
        })
        .await;
    deployment.clock.set(end);
    deployment.start_deletion(person).await;
    deployment
        .step(person, |identity, open| {
            let failure = "timeout".parse().unwrap();
            identity.record_erasure_failure(open.id(), &files, failure, after(end + 1)).unwrap()
        })
        .await;
    deployment
        .step(person, |identity, open| identity.record_erasure(open.id(), &files, 7, after(end + 2)).unwrap())
        .await;
    deployment.step(person, |identity, open| identity.complete(open.id(), after(end + 3)).unwrap()).await;
}

/// The entries of both processes, without their ids.
fn whole_story_as_told() -> Value {
    let entry = |micros, old: &str, new: &str, data: Value, key: &str| {
        json!({
            "createdAt": after(micros), "oldStatus": old, "newStatus": new,
            "additionalData": data, "messageKey": key,
        })
    };
    let end = 2 * SECOND + 14 * DAY;
    json!([
        entry(0, "", "Active", json!({"gracePeriodEndsAt": after(14 * DAY)}), "StartedByOwner"),
        entry(SECOND, "Active", "Cancelled", json!({}), "CancelledByOwner"),
        entry(2 * SECOND, "", "Active", json!({"gracePeriodEndsAt": after(end)}), "StartedByOwner"),
        entry(3 * SECOND, "Active", "Active", json!({}), "GracePeriodReminder1Sent"),
        entry(end, "Active", "Deleting", json!({"erasers": "files"}), "DeletionStarted"),
        entry(
            end + 1,
            "Deleting",
            "Deleting",
            json!({"aggregateType": "files", "errorMessage": "timeout"}),
            "ErrorDuringDeletion"
        ),
        entry(
            end + 2,
            "Deleting",
            "Deleting",
            json!({"aggregateType": "files", "count": "7"}),
            "DataDeleted"
        ),
        entry(end + 3, "Deleting", "Deleted", json!({}), "DeletionCompleted"),
    ])
}

/// Takes the ids out of a list of entries; all of them are different.
fn without_ids(mut entries: Value) -> Value {
    let list = entries.as_array_mut().unwrap();
    let ids: BTreeSet<String> = list
        .iter_mut()
        .map(|entry| entry.as_object_mut().unwrap().remove("id").unwrap().to_string())
        .collect();
    assert_eq!(ids.len(), list.len());
    entries
}

async fn the_audit_log_tells_the_whole_story(deployment: Deployment) {
    let (alice, bob) = (Person::new(), Person::new());
    whole_story(&deployment, &alice).await;
    let server = deployment.start().await;
    server.initiated(&bob).await;

    let listed = server.get(&processes_of(&alice)).with_admin_key().await.result(200);
    let [first, second] = listed.as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&first["status"], &second["status"]), (&json!("Cancelled"), &json!("Deleted")));
    assert_eq!(second["gracePeriodReminder1SentAt"], json!(after(3 * SECOND)));
    // What the administrator sees is what the identity sees.
    assert_eq!(listed, server.listed(&alice).await);

    let mut told = Vec::new();
    for process in [first, second] {
        let path = format!("{}/{}", processes_of(&alice), process["id"].as_str().unwrap());
        let mut shown = server.get(&path).with_admin_key().await.result(200);
        told.extend(shown.as_object_mut().unwrap().remove("auditLog").unwrap().as_array().unwrap().clone());
        assert_eq!(shown, *process);
    }
    let log = server.get(&format!("{}/AuditLogs", processes_of(&alice))).with_admin_key().await.result(200);
    assert_eq!(json!(told), log);
    assert_eq!(without_ids(log), whole_story_as_told());
}

async fn the_audit_log_outlives_the_identity(deployment: Deployment) {
    let alice = Person::new();
    whole_story(&deployment, &alice).await;
    // As it is forgotten: what was not verified before is ignored.
    deployment
        .run_sql("INSERT INTO processes_being_forgotten (process_id) SELECT id FROM deletion_processes")
        .await;
    deployment.run_sql("DELETE FROM deletion_processes").await;

    let server = deployment.start().await;
    assert_eq!(server.get(&processes_of(&alice)).with_admin_key().await.result(200), json!([]));
    let log = server.get(&format!("{}/AuditLogs", processes_of(&alice))).with_admin_key().await.result(200);
    assert_eq!(without_ids(log), whole_story_as_told());
}

#[tokio::test]
async fn an_identity_that_was_never_heard_of_has_nothing() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    for address in [Person::new().address.as_str(), "did:web:example.org", "did:web:localhost%253A8443:a"] {
        let path = format!("/api/v1/Identities/{address}/DeletionProcesses");
        assert_eq!(server.get(&path).with_admin_key().await.result(200), json!([]));
        assert_eq!(server.get(&format!("{path}/AuditLogs")).with_admin_key().await.result(200), json!([]));
        let one = server.get(&format!("{path}/IDP0123456789abcdefg")).with_admin_key().await;
        one.refused(404, "error.platform.recordNotFound");
    }
}

#[tokio::test]
async fn a_process_is_found_under_its_own_identity_only() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let (alice, bob) = (Person::new(), Person::new());
    let id = server.initiated(&alice).await;
    let asked = server.get(&format!("{}/{id}", processes_of(&bob))).with_admin_key().await;
    asked.refused(404, "error.platform.recordNotFound");
}

#[tokio::test]
async fn malformed_addresses_and_ids_are_refused() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    for address in [
        "x",
        "did:",
        "did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f78",
        "did:E:prod.enmeshed.eu:dids:06a391378e5df5c1399f77",
        "did:web:a%2Fb",
        "%FF",
        "%00",
        &format!("did:web:{}", "a".repeat(2000)),
    ] {
        let path = format!("/api/v1/Identities/{address}/DeletionProcesses");
        for path in [path.clone(), format!("{path}/AuditLogs"), format!("{path}/IDP0123456789abcdefg")] {
            server.get(&path).with_admin_key().await.refused(400, INVALID_VALUE);
        }
    }
    for id in ["x", "auditlogs", "IDP0123456789abcdefgh"] {
        let path = format!("{}/{id}", processes_of(&Person::new()));
        server.get(&path).with_admin_key().await.refused(400, "error.platform.validation.invalidId");
    }
}

#[tokio::test]
async fn only_an_api_key_with_the_scope_admin_opens_the_routes() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let person = &deployment.own;
    for path in [
        processes_of(person),
        format!("{}/AuditLogs", processes_of(person)),
        format!("{}/IDP0123456789abcdefg", processes_of(person)),
        "/api/v1/Identities/nonsense/DeletionProcesses".to_owned(),
        "/api/v1/DeletionProcesses?limit=nonsense".to_owned(),
        FIGURES.to_owned(),
    ] {
        let request = || server.get(&path);
        for request in [
            request(),
            request().with_key("another key"),
            request().with_key(EXPIRED_KEY),
            request().with_admin_key().with_admin_key(),
            request().by(person),
        ] {
            request.await.refused(401, "error.platform.unauthorized");
        }
        request().with_key(CORE_KEY).await.refused(403, "error.platform.forbidden");
    }
}

#[tokio::test]
async fn figures_follow_the_clock_and_the_processes() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let hour = 3600 * SECOND;
    let figures = async || {
        let figures = server.get(FIGURES).with_admin_key().await.result(200);
        ["open", "due", "overdue"].map(|name| figures[name].as_u64().unwrap())
    };
    assert_eq!(figures().await, [0, 0, 0]);
    let (alice, bob) = (Person::new(), Person::new());
    let id = server.initiated(&alice).await;
    server.initiated(&bob).await;
    server.post(CONNECTOR).with_core_key().await.result(200);
    assert_eq!(figures().await, [3, 0, 0]);
    server.put(&cancel_of(&id)).by(&alice).await.result(200);
    let end = 14 * DAY;
    for (micros, expected) in
        [(end - 1, [2, 0, 0]), (end, [2, 2, 0]), (end + hour - 1, [2, 2, 0]), (end + hour, [2, 2, 2])]
    {
        deployment.clock.set(micros);
        assert_eq!(figures().await, expected, "{micros}");
    }
    deployment.start_deletion(&bob).await;
    assert_eq!(figures().await, [2, 1, 1]);
}
