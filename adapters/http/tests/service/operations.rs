//! Whether the service runs, and whether it can do its work.

use serde_json::json;

use crate::support::{
    CONNECTOR, Deployment, OWN_PROCESSES, Person, cancel_of, on_each_database, processes_of,
};

const LIVE: &str = "/health/live";
const READY: &str = "/health/ready";

on_each_database!(a_database_that_is_not_of_this_version_makes_it_not_ready);

#[tokio::test]
async fn a_service_that_can_work_is_live_and_ready_and_asks_nobody_who_they_are() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    for path in [LIVE, READY] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"status":"up"}"#));
    }
}

async fn a_database_that_is_not_of_this_version_makes_it_not_ready(deployment: Deployment) {
    let server = deployment.start().await;
    for (sql, code) in [
        ("INSERT INTO seaql_migrations VALUES ('m99991231_000001_later', 0)", "newerVersion"),
        ("DELETE FROM seaql_migrations", "notMigrated"),
        ("DROP TABLE seaql_migrations", "notMigrated"),
    ] {
        deployment.run_sql(sql).await;
        let reply = server.get(READY).await;
        let expected = json!({"status": "down", "code": format!("error.reprieve.database.{code}")});
        assert_eq!((reply.status, reply.json()), (503, expected), "{sql}");
        assert_eq!(server.get(LIVE).await.status, 200);
    }
}

/// Everything but `/health/live` says so, and says when to ask again.
async fn without_its_database(deployment: &Deployment, server: &crate::support::Server) {
    let code = "error.reprieve.database.unavailable";
    let ready = server.get(READY).await;
    assert_eq!((ready.status, ready.json()), (503, json!({"status": "down", "code": code})));
    assert_eq!(server.get(LIVE).await.status, 200);
    for request in [
        server.post(CONNECTOR).with_core_key(),
        server.get(CONNECTOR).with_core_key(),
        server.get(OWN_PROCESSES).by(&Person::new()),
        server.post(OWN_PROCESSES).by(&deployment.own).once("key"),
        server.get("/api/v1/DeletionProcesses").with_admin_key(),
    ] {
        let reply = request.await.refused(503, code);
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert_eq!(reply.message(), "the database is not available");
    }
}

#[tokio::test]
async fn without_its_connections_it_is_not_ready() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    server.store.clone().close().await;
    without_its_database(&deployment, &server).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn without_its_database_it_is_not_ready() {
    let deployment = Deployment::postgres().await;
    let server = deployment.start().await;
    deployment.drop_database().await;
    without_its_database(&deployment, &server).await;
}

#[tokio::test]
async fn a_row_that_nobody_can_have_written_harms_its_identity_alone() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let (alice, bob) = (Person::new(), Person::new());
    let id = server.initiated(&alice).await;
    server.initiated(&bob).await;
    for (column, value) in [("status", "Active"), ("created_by_device", alice.device.as_str())] {
        deployment.run_sql(&format!("UPDATE deletion_processes SET {column} = 'x' WHERE id = '{id}'")).await;
        for request in [
            server.get(OWN_PROCESSES).by(&alice),
            server.post(OWN_PROCESSES).by(&alice),
            server.get(&processes_of(&alice)).with_admin_key(),
        ] {
            let reply = request.await.refused(500, "error.reprieve.database.corrupt");
            assert_eq!(reply.header("retry-after"), None);
        }
        assert_eq!(server.listed(&bob).await[0]["status"], "Active");
        assert_eq!(server.get(READY).await.status, 200);
        let repaired = format!("UPDATE deletion_processes SET {column} = '{value}' WHERE id = '{id}'");
        deployment.run_sql(&repaired).await;
    }
    // What is stored decides nothing then: the audit trail proves that it is in time.
    deployment.run_sql(&format!("UPDATE deletion_processes SET status = 'x' WHERE id = '{id}'")).await;
    let cancelled = server.put(&cancel_of(&id)).by(&alice).once("key").await.result(200);
    assert_eq!(cancelled["status"], "Cancelled");
}
