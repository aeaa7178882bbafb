//! `reprieve api-key generate`

use reprieve_application::ErrorCode;
use reprieve_domain::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::arguments::ApiKeyScope;
use crate::{Failure, Host, Output};

/// What the configuration of a service says about a key, as a TOML document.
#[derive(Serialize)]
struct Configuration<'a> {
    http: Http<'a>,
}

#[derive(Serialize)]
struct Http<'a> {
    api_keys: [Entry<'a>; 1],
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    sha256: &'a str,
    scopes: &'a [ApiKeyScope],
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

pub(super) fn generate(
    host: &dyn Host,
    output: &mut Output<'_>,
    name: &str,
    scopes: &[ApiKeyScope],
    expires_in_days: Option<u32>,
) -> Result<(), Failure> {
    let mut scopes = scopes.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    let generated = host.generate_api_key().execute(expires_in_days)?;
    let (key, sha256, expires_at) = (generated.key.expose(), generated.key.sha256(), generated.expires_at);
    let entry = Entry { name, sha256: &sha256, scopes: &scopes, expires_at };
    let toml = toml::to_string(&Configuration { http: Http { api_keys: [entry] } }).map_err(|error| {
        Failure::new(ErrorCode::InvalidPropertyValue, format!("the name cannot be written as TOML: {error}"))
    })?;
    let mut json = json!({"key": key, "name": name, "sha256": sha256, "scopes": scopes});
    if let (Some(expires_at), Some(members)) = (expires_at, json.as_object_mut()) {
        members.insert("expiresAt".to_owned(), json!(expires_at));
    }
    output.result(
        &json,
        &format!(
            "API key: {key}\n\
             It is kept nowhere and cannot be shown again.\n\
             SHA-256: {sha256}\n\
             \n\
             For the configuration of the service:\n\
             \n\
             {toml}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use crate::commands::test_host::run;
    use serde_json::{Value, json};

    const KEY: &str = "rpv_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const SHA256: &str = "802133f03f75600849aa418688d01657cbfa747cb335f5327ade9d412c467ad5";

    #[tokio::test]
    async fn what_is_for_the_configuration_is_toml_and_does_not_contain_the_key() {
        let line = [
            "api-key",
            "generate",
            "--name",
            "ops \"1\"\n[x]",
            "--scope",
            "admin",
            "--expires-in-days",
            "30",
        ];
        let text = run(&line).await.unwrap();
        let (shown, toml) = text.split_once("For the configuration of the service:\n\n").unwrap();
        assert!(shown.starts_with(&format!("API key: {KEY}\n")), "{text}");
        assert!(!toml.contains("rpv_"), "{text}");
        let configuration: Value = toml::from_str(toml).unwrap();
        assert_eq!(
            configuration,
            json!({"http": {"api_keys": [{
                "name": "ops \"1\"\n[x]", "sha256": SHA256, "scopes": ["admin"],
                "expires_at": "2027-01-06T20:03:07.500000Z",
            }]}})
        );
    }

    #[tokio::test]
    async fn without_options_a_key_opens_the_own_identity_and_does_not_expire() {
        let text = run(&["api-key", "generate", "--output", "json"]).await.unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json, json!({"key": KEY, "name": "default", "sha256": SHA256, "scopes": ["core"]}));
    }

    #[tokio::test]
    async fn a_scope_that_is_given_twice_is_there_once() {
        let line = ["api-key", "generate", "--scope", "admin", "--scope", "core", "--scope", "admin"];
        assert!(run(&line).await.unwrap().contains("scopes = [\"core\", \"admin\"]\n"));
    }
}
