//! Who is let in, by the configuration of a running service.

use std::fs;

use reprieve_tests::{
    Identity, Issuer, Request, Sandbox, Service, on_both_databases, sha256_hex, unix_seconds,
};
use serde_json::{Value, json};

on_both_databases!(the_audit_trail_verifies_while_the_service_runs_and_after_it,);

const OWN: &str = "/api/core/v1/IdentityDeletionProcess";
const ALL: &str = "/api/v1/DeletionProcesses";
const SELF: &str = "/api/v2/Identities/Self/DeletionProcesses";

/// The configuration of an API key.
fn api_key(key: &str, scopes: &str, more: &str) -> String {
    let digest = sha256_hex(key);
    format!("[[http.api_keys]]\nname = '{key}'\nsha256 = '{digest}'\nscopes = [{scopes}]\n{more}\n")
}

#[test]
fn an_api_key_opens_what_its_scopes_say_until_it_expires() {
    let toml = [
        api_key("key-core", "'core'", ""),
        api_key("key-admin", "'admin'", ""),
        api_key("key-both", "'core', 'admin'", "expires_at = '2999-01-01T00:00:00Z'"),
        api_key("key-over", "'core', 'admin'", "expires_at = '2020-01-01T00:00:00Z'"),
    ];
    let service = Service::alone(Sandbox::new(), &toml.concat());
    let none = "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess";
    for key in ["key-core", "key-both"] {
        let _ = service.send(&Request::get(OWN).api_key(key)).failed(400, none);
    }
    for key in ["key-admin", "key-both"] {
        let _ = service.send(&Request::get(ALL).api_key(key)).result(200);
    }
    let lacks_scope = service.send(&Request::get(OWN).api_key("key-admin"));
    let _ = lacks_scope.failed(403, "error.connector.forbidden");
    let lacks_scope = service.send(&Request::get(ALL).api_key("key-core"));
    let _ = lacks_scope.failed(403, "error.platform.forbidden");

    for (path, code) in [(OWN, "error.connector.unauthorized"), (ALL, "error.platform.unauthorized")] {
        let request = Request::get(path);
        for request in [
            request.clone(),
            request.clone().api_key("key-over"),
            request.clone().api_key(""),
            request.clone().api_key("key-bot"),
            request.clone().api_key("KEY-BOTH"),
            // What the configuration shows is not the key.
            request.clone().api_key(&sha256_hex("key-both")),
            request.clone().api_key("key-both").api_key("key-both"),
            request.clone().bearer("key-both"),
        ] {
            let _ = service.send(&request).failed(401, code);
        }
    }
}

/// What a service says to each of these tokens: whether the processes of the identity are shown.
fn accepted(service: &Service, token: &str) -> bool {
    let reply = service.send(&Request::get(SELF).bearer(token));
    if reply.status == 200 {
        return true;
    }
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{reply:?}");
    let _ = reply.failed(401, "error.platform.unauthorized");
    false
}

fn with(claims: &Value, changes: &Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

#[test]
fn an_identity_is_known_by_a_token_that_it_has_signed_for_this_service() {
    let service = Service::alone(Sandbox::new(), "");
    let (ada, bob) = (Identity::new(1), Identity::new(2));
    let url = service.url();
    assert!(accepted(&service, &ada.token(url)));

    let claims = ada.claims(url);
    let now = unix_seconds();
    for changes in [
        json!({"aud": "https://elsewhere.example.org"}),
        json!({"aud": null}),
        json!({"aud": [url, "https://elsewhere.example.org"]}),
        json!({"nmshd_address": bob.address()}),
        json!({"device_id": null}),
        json!({"exp": now - 60, "iat": now - 120}),
        json!({"iat": now + 120, "exp": now + 240}),
        json!({"exp": now + 3600}),
    ] {
        assert!(!accepted(&service, &ada.sign(&with(&claims, &changes))), "{changes}");
    }
    // Signed by somebody else than its key says.
    let (stranger, own) = (bob.token(url), ada.token(url));
    let (signed, _) = own.rsplit_once('.').unwrap();
    let (_, signature) = stranger.rsplit_once('.').unwrap();
    assert!(!accepted(&service, &format!("{signed}.{signature}")));
}

#[test]
fn behind_another_name_a_token_has_to_name_that_one() {
    let toml = "http.public_url = 'https://reprieve.example.org'";
    let service = Service::alone(Sandbox::new(), toml);
    let ada = Identity::new(1);
    assert!(accepted(&service, &ada.token("https://reprieve.example.org")));
    assert!(!accepted(&service, &ada.token("https://reprieve.example.org/")));
    assert!(!accepted(&service, &ada.token(service.url())));
}

/// A service that knows an issuer, whose key is in a file.
fn with_issuer(issuer: &Issuer, more: &str) -> Service {
    let sandbox = Sandbox::new();
    let keys = sandbox.home().join("keys.json");
    fs::write(&keys, issuer.key_set()).unwrap();
    let toml = format!(
        "http.issuer = {{name = 'https://id.example.org', audiences = ['reprieve'], keys_file = '{}'}}\n{more}",
        keys.display()
    );
    Service::alone(sandbox, &toml)
}

fn issued(identity: &Identity) -> Value {
    with(&identity.claims("reprieve"), &json!({"iss": "https://id.example.org"}))
}

#[test]
fn an_identity_is_known_by_a_token_of_the_issuer() {
    let issuer = Issuer::new(1);
    let service = with_issuer(&issuer, "");
    let ada = Identity::new(1);
    let claims = issued(&ada);
    assert!(accepted(&service, &issuer.sign(&claims)));
    let old = with(&claims, &json!({"nmshd_address": null, "address": ada.address()}));
    assert!(accepted(&service, &issuer.sign(&old)));
    // For a whole day: an issuer can withdraw it.
    assert!(accepted(&service, &issuer.sign(&with(&claims, &json!({"exp": unix_seconds() + 86_400})))));

    for changes in [
        json!({"iss": "https://id.example.org/"}),
        json!({"iss": null}),
        json!({"aud": "somebody else"}),
        json!({"aud": null}),
        json!({"exp": unix_seconds() - 60}),
        json!({"exp": null}),
        json!({"nmshd_address": null}),
        json!({"nmshd_address": "ada"}),
        json!({"device_id": null}),
    ] {
        assert!(!accepted(&service, &issuer.sign(&with(&claims, &changes))), "{changes}");
    }
    assert!(!accepted(&service, &Issuer::new(2).sign(&claims)));
    // Whoever has an issuer does not take an identity's word for it.
    assert!(!accepted(&service, &ada.token(service.url())));
}

#[test]
fn while_the_keys_of_the_issuer_cannot_be_had_a_token_is_not_refused_for_good() {
    let issuer = Issuer::new(1);
    let sandbox = Sandbox::new();
    let toml =
        "http.issuer = {name = 'https://id.example.org', audiences = ['reprieve'], keys_file = 'nowhere'}";
    let service = Service::alone(sandbox, toml);
    let token = issuer.sign(&issued(&Identity::new(1)));
    let reply = service.send(&Request::get(SELF).bearer(&token));
    assert_eq!((reply.header("retry-after"), reply.header("www-authenticate")), (Some("60"), None));
    let _ = reply.failed(503, "error.reprieve.http.issuerUnavailable");
    // What needs no key of the issuer's is refused as ever.
    assert!(!accepted(&service, "a.b.c"));
}

#[test]
fn tokens_of_an_issuer_and_of_identities_can_be_accepted_beside_each_other() {
    let issuer = Issuer::new(1);
    let service = with_issuer(&issuer, "http.self_signed_tokens = true");
    let ada = Identity::new(1);
    assert!(accepted(&service, &issuer.sign(&issued(&ada))));
    assert!(accepted(&service, &ada.token(service.url())));
    // Each in its own way only.
    assert!(!accepted(&service, &ada.sign(&issued(&ada))));
    let for_service = with(&issued(&ada), &json!({"aud": service.url()}));
    assert!(!accepted(&service, &issuer.sign(&for_service)));
}

#[test]
fn nobody_learns_of_the_process_of_another() {
    let service = Service::alone(Sandbox::new(), "");
    let (ada, bob) = (Identity::new(1).token(service.url()), Identity::new(2).token(service.url()));
    let id = service.send(&Request::post(SELF).bearer(&ada)).result(201)["id"].clone();
    let id = id.as_str().unwrap();
    let path = format!("{SELF}/{id}");
    let unknown = format!("{SELF}/IDPaaaaaaaaaaaaaaaaa");
    let not_found = "error.platform.recordNotFound";
    let message = |path: &str, cancel: bool, id: &str| {
        let request = if cancel { Request::new("PUT", format!("{path}/Cancel")) } else { Request::get(path) };
        let reply = service.send(&request.bearer(&bob)).failed(404, not_found);
        reply.json()["error"]["message"].as_str().unwrap().replace(id, "")
    };
    for cancel in [false, true] {
        assert_eq!(message(&path, cancel, id), message(&unknown, cancel, "IDPaaaaaaaaaaaaaaaaa"));
    }
    assert_eq!(service.send(&Request::get(SELF).bearer(&bob)).result(200), json!([]));
    assert_eq!(service.send(&Request::get(path).bearer(&ada)).result(200)["status"], "Active");
}

fn the_audit_trail_verifies_while_the_service_runs_and_after_it(sandbox: &Sandbox) {
    let toml = api_key("key-both", "'core', 'admin'", "");
    let service = Service::configured(sandbox, &toml);
    for number in 0..3 {
        let token = Identity::new(number).token(service.url());
        let id = service.send(&Request::post(SELF).bearer(&token)).result(201)["id"].clone();
        let cancel = Request::new("PUT", format!("{SELF}/{}/Cancel", id.as_str().unwrap()));
        let _ = service.send(&cancel.bearer(&token)).result(200);
        let verified = sandbox.json("audit verify");
        assert_eq!(
            (&verified["processes"], &verified["entries"]),
            (&json!(number + 1), &json!(2 * number + 2))
        );
    }
    // What an operator sees is what was verified.
    let address = Identity::new(0);
    let logs = format!("/api/v1/Identities/{}/DeletionProcesses/AuditLogs", address.address());
    let logs = service.send(&Request::get(logs).api_key("key-both")).result(200);
    let keys: Vec<_> = logs.as_array().unwrap().iter().map(|entry| &entry["messageKey"]).collect();
    assert_eq!(keys, ["StartedByOwner", "CancelledByOwner"]);
    assert_eq!(service.stop().code, 0);
    assert_eq!(sandbox.json("audit verify")["entries"], 6);
}
