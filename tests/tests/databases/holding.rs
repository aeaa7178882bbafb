//! Holds, by the commands and by the service: what operators do, and what the owner sees and can do.

use reprieve_tests::{Identity, Request, Sandbox, Service, on_both_databases, sha256_hex};
use serde_json::{Value, json};

on_both_databases!(
    an_operator_holds_an_identity_at_the_service_and_its_owner_sees_it,
    a_held_own_identity_says_so_and_can_be_cancelled_past_its_promised_date,
);

const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";
const UNTIL: &str = "2999-01-01T00:00:00Z";

/// As late as a hold may end, or a day earlier.
fn in_a_year(sandbox: &Sandbox) -> String {
    let clock = sandbox.json("clock show");
    let (year, rest) = clock["machine"].as_str().unwrap().split_at(4);
    format!("{}{}", year.parse::<u32>().unwrap() + 1, rest.replace("-02-29", "-02-28"))
}

fn an_operator_holds_an_identity_at_the_service_and_its_owner_sees_it(sandbox: &Sandbox) {
    let key = |key: &str, scope: &str| {
        format!("[[http.api_keys]]\nname = '{key}'\nsha256 = '{}'\nscopes = ['{scope}']\n", sha256_hex(key))
    };
    let service =
        Service::configured(sandbox, &[key("key-operate", "operate"), key("key-admin", "admin")].concat());
    let ada = Identity::new(1);
    let holds = format!("/api/v1/Identities/{}/Holds/legal", ada.address());
    let until = in_a_year(sandbox);
    let place = |until: &str, silent: bool| {
        let body = json!({"until": until, "silent": silent, "note": "a court asks"});
        Request::new("PUT", &holds).json(body.to_string())
    };
    // What reads all may not hold, and what holds may not read all.
    for (request, key) in [
        (place(&until, false), "key-admin"),
        (Request::new("DELETE", &holds), "key-admin"),
        (Request::get("/api/v1/Holds"), "key-admin"),
        (Request::get("/api/v1/DeletionProcesses"), "key-operate"),
    ] {
        let _ = service.send(&request.api_key(key)).failed(403, "error.platform.forbidden");
    }
    let operator = |request: Request| service.send(&request.api_key("key-operate"));
    let invalid = "error.platform.validation.invalidPropertyValue";
    for wrong in [UNTIL, "2020-01-01T00:00:00Z", "tomorrow", ""] {
        let _ = operator(place(wrong, false)).failed(400, invalid);
    }
    let _ = operator(Request::new("DELETE", &holds)).failed(404, "error.platform.recordNotFound");

    // Before anything is asked for.
    let held = operator(place(&until, false)).result(200);
    assert_eq!(
        (&held["code"], &held["silent"], held.get("suspendedUntil")),
        (&json!("legal"), &json!(false), None)
    );
    let ends_at = &held["endsAt"];
    let token = ada.token(service.url());
    let asked = service.send(&Request::post(SELF).bearer(&token)).result(201);
    let own = format!("{SELF}/{}", asked["id"].as_str().unwrap());
    let shown = || service.send(&Request::get(&own).bearer(&token)).result(200);
    assert_eq!((&shown()["suspendedUntil"], &asked["status"]), (ends_at, &json!("Active")));
    assert_eq!(shown()["gracePeriodEndsAt"], asked["gracePeriodEndsAt"], "the promise stays");

    // Silently, and not any more.
    let held = operator(place(&until, true)).result(200);
    assert_eq!(&held["suspendedUntil"], ends_at);
    assert_eq!(shown().get("suspendedUntil"), None);
    let listed = operator(Request::get("/api/v1/Holds")).result(200);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["note"], "a court asks");
    let released = operator(Request::new("DELETE", &holds)).result(200);
    assert_eq!(released.get("suspendedUntil"), None, "the promised date is far away");
    assert_eq!(operator(Request::get("/api/v1/Holds")).result(200), json!([]));
    drop(service.stop());
    drop(sandbox.line("audit verify").succeeded());
    let kinds = "SELECT message_key FROM audit_entries ORDER BY sequence";
    let expected = ["StartedByOwner", "HoldPlacedBySupport", "HoldReleasedBySupport"];
    assert_eq!(sandbox.sql().texts(kinds), expected);
}

fn a_held_own_identity_says_so_and_can_be_cancelled_past_its_promised_date(sandbox: &Sandbox) {
    sandbox.configure(&format!(
        "grace_period = {{minimum_in_days = 0.000001, default_in_days = 0.00001}}
        reminders.days_before = []
        erasure.without_erasers = true
        journal.url = 'sqlite:{}/journal'",
        sandbox.home().display()
    ));
    let sandbox = sandbox.variant();
    let address = sandbox.json("identity status")["address"].as_str().unwrap().to_owned();
    drop(sandbox.line("identityDeletion init").succeeded());
    let until = in_a_year(&sandbox);
    let line = ["hold", "place", &address, "--code", "legal", "--until", &until, "--output", "json"];
    let held: Value = serde_json::from_str(&sandbox.run(line).succeeded().stdout).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1));
    drop(sandbox.line("worker run deletions --once").succeeded());
    let status = sandbox.line("identity status").succeeded().stdout;
    assert!(status.contains("End of grace period: ") && status.contains("(it is over)"), "{status}");
    let line = format!("Deletion suspended until: {}", held["endsAt"].as_str().unwrap());
    assert!(status.contains(&line) && status.contains("it can be cancelled until then"), "{status}");
    let process = &sandbox.json("identity status")["identityDeletionProcess"];
    assert_eq!((&process["suspendedUntil"], &process["status"]), (&held["endsAt"], &json!("Active")));
    drop(sandbox.line("identityDeletion cancel").succeeded());
    let cancelled = &sandbox.json("identityDeletion list")[0];
    assert_eq!((&cancelled["status"], cancelled.get("suspendedUntil")), (&json!("Cancelled"), None));
    drop(sandbox.line("audit verify").succeeded());

    // Released past the promised date: seven days are left.
    drop(sandbox.line("identityDeletion init").succeeded());
    let process = &sandbox.json("identity status")["identityDeletionProcess"];
    assert_eq!(process["suspendedUntil"], held["endsAt"]);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let released = sandbox.json(&format!("hold release {address} --code legal"));
    assert!(
        released["suspendedUntil"].as_str().unwrap() > released["endsAt"].as_str().unwrap(),
        "{released}"
    );
    assert_eq!(sandbox.json("hold list"), json!([]));
    drop(sandbox.line("worker run deletions --once").succeeded());
    let status = sandbox.line("identity status").succeeded().stdout;
    assert!(status.contains("in 6 days") || status.contains("in 7 days"), "{status}");
    drop(sandbox.line("audit verify").succeeded());
}
