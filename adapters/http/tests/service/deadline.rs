//! From the end of the grace period on, nothing an identity asks for changes anything, whichever way it asks.

use serde_json::Value;

use crate::support::{
    CONNECTOR, DAY, Deployment, OWN_PROCESSES, Server, cancel_of, on_each_database, own_process,
};

const EXISTS: &str = "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists";
const NO_ACTIVE: &str = "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess";
const ONLY_ONE: &str = "error.platform.validation.device.onlyOneActiveDeletionProcessAllowed";
const EXPIRED: &str = "error.platform.validation.device.gracePeriodHasAlreadyExpired";
const NOT_IN_REQUIRED_STATUS: &str = "error.platform.validation.device.deletionProcessIsNotInRequiredStatus";

on_each_database!(nothing_is_changed_once_the_grace_period_is_over);

/// Asks for every change there is, at both interfaces, with and without a key: each is refused, and nothing changes.
async fn nothing_changes(
    deployment: &Deployment,
    server: &Server,
    id: &str,
    (connector, backbone): (&str, &str),
) {
    let own = &deployment.own;
    let before = deployment.stored(own).await;
    for key in [None, Some("a"), Some("a")] {
        for (request, code) in [
            (server.post(CONNECTOR).with_core_key(), EXISTS),
            (server.delete(CONNECTOR).with_core_key(), connector),
            (server.post(OWN_PROCESSES).by(own), ONLY_ONE),
            (server.put(&cancel_of(id)).by(own), backbone),
        ] {
            let request = match key {
                Some(key) => request.once(&format!("{key} {code} {}", before[0].status())),
                None => request,
            };
            request.await.refused(400, code);
            assert_eq!(deployment.stored(own).await, before);
        }
    }
}

async fn nothing_is_changed_once_the_grace_period_is_over(deployment: Deployment) {
    let server = deployment.start().await;
    let own = &deployment.own;
    let id = server.initiated(own).await;
    let status =
        async || -> Value { server.get(&own_process(&id)).by(own).await.result(200)["status"].clone() };

    for micros in [14 * DAY, 14 * DAY + 1, 400 * DAY] {
        deployment.clock.set(micros);
        nothing_changes(&deployment, &server, &id, (EXPIRED, EXPIRED)).await;
        assert_eq!(status().await, "Active");
    }
    deployment.start_deletion(own).await;
    nothing_changes(&deployment, &server, &id, (NO_ACTIVE, NOT_IN_REQUIRED_STATUS)).await;
    assert_eq!(status().await, "Deleting");
    server.get(CONNECTOR).with_core_key().await.refused(400, NO_ACTIVE);
}
