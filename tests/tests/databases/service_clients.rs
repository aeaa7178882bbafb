//! The command line as a client of a running service: what it issues is accepted, and what it asks for is done there.

use reprieve_tests::{Request, Sandbox, Service, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(a_command_that_names_a_service_acts_there_as_the_own_identity,);

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";

fn own_token(sandbox: &Sandbox, audience: &str) -> String {
    let token = sandbox.json(&format!("identity token --audience {audience}"));
    token["token"].as_str().unwrap_or_else(|| panic!("{token}")).to_owned()
}

#[test]
fn a_token_of_the_own_identity_is_accepted_by_the_service_it_names_and_by_no_other() {
    let (sandbox, elsewhere) = (Sandbox::new(), Sandbox::new());
    let (service, other) = (Service::alone(Sandbox::new(), ""), Service::start(&elsewhere));
    let token = own_token(&sandbox, service.url());
    let initiated = service.send(&Request::post(SELF).bearer(&token)).result(201);
    assert_eq!(service.send(&Request::get(SELF).bearer(&token)).result(200), json!([initiated]));
    let _ = other.send(&Request::get(SELF).bearer(&token)).failed(401, "error.platform.unauthorized");

    // Everybody is somebody else.
    let stranger = own_token(&elsewhere, service.url());
    assert_eq!(service.send(&Request::get(SELF).bearer(&stranger)).result(200), json!([]));
}

#[test]
fn an_api_key_opens_what_it_was_generated_for_once_it_is_configured() {
    let sandbox = Sandbox::new();
    let printed = sandbox.line("api-key generate --name operator --scope admin").succeeded().stdout;
    let (said, toml) = printed.split_once("[[http.api_keys]]").unwrap();
    let key = said.lines().find_map(|line| line.strip_prefix("API key: ")).unwrap();
    let service = Service::configured(&sandbox, &format!("[[http.api_keys]]{toml}"));
    let _ = service.send(&Request::get("/api/v1/DeletionProcesses").api_key(key)).result(200);
    let own = Request::get("/api/core/v1/IdentityDeletionProcess").api_key(key);
    let _ = service.send(&own).failed(403, "error.connector.forbidden");
}

fn a_command_that_names_a_service_acts_there_as_the_own_identity(server: &Sandbox) {
    let service = Service::start(server);
    let local = Sandbox::new();
    let remote = local.variant().with("REPRIEVE_SERVER", service.url());
    let init = remote.line("identityDeletion init --grace-period-in-days 13").succeeded();
    assert!(init.stdout.starts_with("Identity deletion initiated\n"), "{init:?}");
    let process = remote.json("identityDeletion show");
    assert_eq!(process["status"], "Active");
    let status = remote.json("identity status");
    let stored = server.sql().texts("SELECT address || ' ' || id || ' ' || status FROM deletion_processes");
    let expected =
        |status_of: &str| [format!("{} {} {status_of}", text(&status["address"]), text(&process["id"]))];
    assert_eq!(stored, expected("Active"));
    // The service's own identity has nothing to do with it, and neither has the local database.
    assert_ne!(server.json("identity status")["address"], status["address"]);
    assert_eq!(local.json("identityDeletion list"), json!([]));

    let again = remote.line("identityDeletion init");
    let exists = "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists";
    let _ = again.failed(1, exists);
    let cancel = remote.line("identityDeletion cancel").succeeded();
    assert_eq!(cancel.stdout, "Identity deletion cancelled\n");
    let stored = server.sql().texts("SELECT address || ' ' || id || ' ' || status FROM deletion_processes");
    assert_eq!(stored, expected("Cancelled"));
    assert_eq!(server.json("audit verify")["entries"], 2);

    assert_eq!(service.stop().code, 0);
    let _ = remote.line("identityDeletion list").failed(70, "error.reprieve.server.unavailable");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}
