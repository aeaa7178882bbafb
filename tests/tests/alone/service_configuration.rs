//! Every mistake in what the service is configured by is refused before anything is created, and its key is named.

use std::collections::BTreeSet;

use reprieve_tests::{Outcome, Sandbox, Service};
use serde_json::Value;

const INVALID: &str = "error.reprieve.configuration.invalid";
const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A configuration in which every key is set.
const EVERY_KEY: &str = "
    [http]
    listen = '127.0.0.1:0'
    public_url = 'https://reprieve.example.org'
    self_signed_tokens = true
    token_leeway_in_seconds = 10
    connections = 100
    connections_per_peer = 50
    concurrent_requests = 10
    requests_per_peer = 5
    trusted_proxies = ['10.0.0.0/8', '::1']
    operations_listen = '127.0.0.1:0'
    identity_domains = ['example.org']
    initiations_per_minute = 5
    initiations_at_once = 5
    requests_per_second = 5
    burst = 20
    body_limit_in_bytes = 1000
    header_timeout_in_seconds = 1.5
    write_timeout_in_seconds = 1.5
    request_timeout_in_seconds = 1.5
    shutdown_timeout_in_seconds = 1.5
    allowed_origins = ['https://app.example.org', 'http://localhost:3000']
    issuer = {name = 'https://issuer.example.org', audiences = ['reprieve'], keys_file = 'keys.json'}
    api_keys = [{name = 'a', sha256 = 'DIGEST', scopes = ['core', 'admin'], expires_at = '2999-01-01T00:00:00Z'}]
    [telemetry]
    log_format = 'json'
    otlp_endpoint = 'http://localhost:4318/v1/traces'
";

/// Wrong values of every key, and what names the key.
const WRONG: [(&str, &[&str], &str); 32] = [
    ("http.listen", &["8080", "'localhost'", "'127.0.0.1:99999'", "''"], "key http.listen"),
    (
        "http.public_url",
        &["1", "''", "'reprieve.example.org'", "'https://'", "'https://a.example.org/x'", "'ftp://a'"],
        "key http.public_url",
    ),
    ("http.self_signed_tokens", &["1", "'yes'"], "key http.self_signed_tokens"),
    ("http.token_leeway_in_seconds", &["-1", "'30'", "301", "1e9"], "key http.token_leeway_in_seconds"),
    ("http.connections", &["0", "-1", "'many'", "9223372036854775807"], "key http.connections"),
    ("http.connections_per_peer", &["0", "-1", "'many'"], "key http.connections_per_peer"),
    ("http.requests_per_peer", &["0", "-1", "9223372036854775807"], "key http.requests_per_peer"),
    (
        "http.trusted_proxies",
        &["'10.0.0.0/8'", "['10.0.0.0/33']", "['localhost']", "['']"],
        "key http.trusted_proxies",
    ),
    ("http.operations_listen", &["8080", "'localhost'", "''"], "key http.operations_listen"),
    (
        "http.identity_domains",
        &["'example.org'", "[1]", "['']", "['did:e:example.org']"],
        "key http.identity_domains",
    ),
    ("http.initiations_per_minute", &["0", "-1", "0.5"], "key http.initiations_per_minute"),
    ("http.initiations_at_once", &["0", "-1"], "key http.initiations_at_once"),
    (
        "http.write_timeout_in_seconds",
        &["0", "-1", "nan", "inf", "3601"],
        "key http.write_timeout_in_seconds",
    ),
    ("http.concurrent_requests", &["0", "-1", "9223372036854775807"], "key http.concurrent_requests"),
    ("http.requests_per_second", &["0", "-1", "0.5", "4294967296"], "key http.requests_per_second"),
    ("http.burst", &["0", "-1", "4294967296"], "key http.burst"),
    ("http.body_limit_in_bytes", &["0", "-1", "'16k'"], "key http.body_limit_in_bytes"),
    (
        "http.header_timeout_in_seconds",
        &["0", "-1", "nan", "inf", "3601"],
        "key http.header_timeout_in_seconds",
    ),
    (
        "http.request_timeout_in_seconds",
        &["0", "-1", "nan", "inf", "3601"],
        "key http.request_timeout_in_seconds",
    ),
    (
        "http.shutdown_timeout_in_seconds",
        &["0", "-1", "nan", "inf", "3601"],
        "key http.shutdown_timeout_in_seconds",
    ),
    (
        "http.allowed_origins",
        &[
            "'https://a.example.org'",
            "['']",
            "['*']",
            "['a.example.org']",
            "['https://a.example.org/']",
            "['https://a.example.org/path']",
            "['HTTPS://A.example.org']",
            "['https://a.example.org\\n']",
            "[1]",
        ],
        "key http.allowed_origins",
    ),
    ("http.issuer.name", &["1", "''"], "key http.issuer.name"),
    ("http.issuer.audiences", &["'reprieve'", "[]", "['']", "['a', '']"], "key http.issuer.audiences"),
    ("http.issuer.keys_file", &["1"], "key http.issuer.keys_file"),
    (
        "http.issuer.keys_trusted_for_in_minutes",
        &["0", "14", "-1", "1.5", "'60'", "99999999999"],
        "key http.issuer.keys_trusted_for_in_minutes",
    ),
    (
        "http.issuer.keys_url",
        // One is set already: only one can be.
        &["1", "'https://issuer.example.org/keys'"],
        "key http.issuer",
    ),
    ("http.api_keys.name", &["1", "''"], "key http.api_keys"),
    ("http.api_keys.sha256", &["1", "'0'", "'x'", "'DIGEST00'", "'rpv_secret'"], "key http.api_keys"),
    ("http.api_keys.scopes", &["'core'", "[]", "['root']", "[1]"], "key http.api_keys"),
    ("http.api_keys.expires_at", &["1", "''", "'tomorrow'", "'2026-12-07'"], "key http.api_keys"),
    ("telemetry.log_format", &["'xml'", "1", "''"], "key telemetry.log_format"),
    (
        "telemetry.otlp_endpoint",
        &["1", "''", "'localhost:4318'", "'ftp://localhost'", "'http://'"],
        "key telemetry.otlp_endpoint",
    ),
];

/// The configuration with one value replaced, or added.
fn with(key: &str, value: &str) -> String {
    let (table, member) = key.rsplit_once('.').unwrap();
    let mut found = false;
    let mut lines: Vec<String> = EVERY_KEY.lines().map(str::to_owned).collect();
    for line in &mut lines {
        let line_key = line.trim().split(' ').next().unwrap().to_owned();
        if ["http", "telemetry"].contains(&table) && line_key == member {
            *line = format!("{member} = {value}");
            found = true;
        } else if table.strip_prefix("http.") == Some(line_key.as_str()) {
            *line = inline_table_with(line, member, value);
            found = true;
        }
    }
    assert!(found, "{key}");
    lines.join("\n").replace("DIGEST", DIGEST)
}

/// A line with an inline table, in which one member has another value.
fn inline_table_with(line: &str, member: &str, value: &str) -> String {
    let start = format!("{member} = ");
    match line.find(&start) {
        Some(at) => {
            let (before, rest) = line.split_at(at + start.len());
            let length = if rest.starts_with('[') {
                rest.find(']').unwrap() + 1
            } else {
                rest.find([',', '}']).unwrap()
            };
            format!("{before}{value}{}", &rest[length..])
        }
        None => line.replace('}', &format!(", {member} = {value}}}")),
    }
}

/// What becomes of a service with this configuration.
fn refused(sandbox: &Sandbox, toml: &str) -> Outcome {
    sandbox.configure(toml);
    let before = sandbox.files();
    let mut command = sandbox.command();
    let started = Service::try_start_as_configured(command.args(["start", "--database-url", "sqlite:a.db"]));
    let outcome = started.err().unwrap_or_else(|| panic!("accepted: {toml}")).failed(1, INVALID);
    assert_eq!(sandbox.files(), before, "{outcome:?}");
    outcome
}

#[test]
fn a_wrong_value_of_any_key_is_refused_and_the_key_is_named() {
    let sandbox = Sandbox::new();
    for (key, values, named) in WRONG {
        for value in values {
            let outcome = refused(&sandbox, &with(key, value));
            assert!(outcome.stderr.contains(named), "{key} = {value}: {outcome:?}");
        }
    }
}

#[test]
fn every_key_that_there_is_has_wrong_values() {
    let sandbox = Sandbox::new();
    sandbox.configure(&EVERY_KEY.replace("DIGEST", DIGEST));
    let shown = sandbox.json("config show");
    let mut keys = BTreeSet::new();
    for section in ["http", "telemetry"] {
        collect(section, &shown[section], &mut keys);
    }
    // The one that excludes another.
    keys.insert("http.issuer.keys_url".to_owned());
    let tested: BTreeSet<String> = WRONG.iter().map(|(key, ..)| (*key).to_owned()).collect();
    assert_eq!(keys, tested);
}

fn collect(path: &str, value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                collect(&format!("{path}.{name}"), value, keys);
            }
        }
        Value::Array(elements) if elements.iter().all(Value::is_object) => {
            for element in elements {
                collect(path, element, keys);
            }
        }
        _ => {
            keys.insert(path.to_owned());
        }
    }
}

#[test]
fn what_only_makes_no_sense_together_is_refused() {
    let key =
        |name: &str, digest: &str| format!("{{name = '{name}', sha256 = '{digest}', scopes = ['core']}}");
    let other = DIGEST.replace('0', "f");
    for (toml, named) in [
        // Nobody could tell in a log which of two keys it was.
        (format!("http.api_keys = [{}, {}]", key("a", DIGEST), key("a", &other)), "http.api_keys"),
        (format!("http.api_keys = [{}, {}]", key("a", DIGEST), key("b", DIGEST)), "http.api_keys"),
        ("http.issuer = {name = 'a', audiences = ['b']}".to_owned(), "http.issuer"),
        (
            "http.issuer = {name = 'a', audiences = ['b'], keys_url = 'http://issuer.example.org/keys'}"
                .to_owned(),
            "http.issuer.keys_url",
        ),
        (
            "http.issuer = {name = 'a', audiences = ['b'], keys_url = 'not a url'}".to_owned(),
            "http.issuer.keys_url",
        ),
        (format!("http = {{listen = '0.0.0.0:0', api_keys = [{}]}}", key("a", DIGEST)), "http.public_url"),
        ("http.surprise = 1".to_owned(), "http.surprise"),
        ("http.api_keys = [{name = 'a'}]".to_owned(), "http.api_keys"),
        ("http.issuer = {name = 'a', audience = 'b'}".to_owned(), "http.issuer.audience"),
        ("telemetry.surprise = 1".to_owned(), "telemetry.surprise"),
        ("database.connections = 0".to_owned(), "database.connections"),
        ("database.connections = 1001".to_owned(), "database.connections"),
    ] {
        let outcome = refused(&Sandbox::new(), &toml);
        assert!(outcome.stderr.contains(&format!("key {named}")), "{toml}: {outcome:?}");
    }
}

#[test]
fn a_configuration_in_which_every_key_is_set_is_in_force() {
    let sandbox = Sandbox::new();
    let service = Service::configured(&sandbox, &EVERY_KEY.replace("DIGEST", DIGEST));
    // Nobody listens at the endpoint; that is no reason not to serve.
    assert_eq!(service.stop().code, 0);
}
