//! The form of a failure, whoever refuses: the way in, a route, or whatever stands around all routes.

use std::collections::HashSet;

use crate::support::{
    CONNECTOR, Deployment, OWN_PROCESSES, Person, SECOND, after, cancel_of, own_process, processes_of,
};

#[tokio::test]
async fn every_failure_has_the_same_form_a_name_of_its_own_and_the_time() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    server.initiated(&alice).await;
    deployment.clock.set(SECOND);
    let nobodys = "IDP0123456789abcdefg";
    let mut ids = HashSet::new();
    for request in [
        server.get("/nowhere"),
        server.put(CONNECTOR),
        server.get(CONNECTOR),
        server.get(CONNECTOR).with_admin_key(),
        server.get(CONNECTOR).with_core_key(),
        server.post(CONNECTOR).with_core_key().body("{"),
        server.post(CONNECTOR).with_core_key().body(" ".repeat(20_000)),
        server.post(CONNECTOR).with_core_key().once(""),
        server.get(OWN_PROCESSES),
        server.get(&own_process("%FF")).by(&alice),
        server.get(&own_process(nobodys)).by(&alice),
        server.post(OWN_PROCESSES).by(&alice),
        server.post(OWN_PROCESSES).by(&alice).once("key"),
        server.put(&cancel_of(nobodys)).by(&alice).once("key"),
        server.get(&processes_of(&alice)).with_core_key(),
    ] {
        let reply = request.await;
        assert!(reply.status >= 400, "{reply:?}");
        let error = &reply.json()["error"];
        let expected = format!(
            r#"{{"error":{{"id":{},"code":{},"message":{},"docs":"","time":"{}","data":null}}}}"#,
            error["id"],
            error["code"],
            error["message"],
            after(SECOND)
        );
        assert_eq!(reply.body, expected);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert!(!error["message"].as_str().unwrap().is_empty(), "{reply:?}");
        assert!(ids.insert(error["id"].to_string()), "{reply:?}");
    }
}
