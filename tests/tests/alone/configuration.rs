//! Where the configuration comes from: defaults, then the file, then the environment, then options.

use std::fs;

use reprieve_tests::Sandbox;
use serde_json::{Value, json};

const AUDIT_KEY: &str = "8f1c0d3b5a79624ee0d1b2c3a4958677fedcba98765432100123456789abcdef";

fn in_force(sandbox: &Sandbox) -> Value {
    sandbox.json("config show")
}

#[test]
fn without_configuration_the_defaults_are_in_force_and_nothing_is_created() {
    let sandbox = Sandbox::new();
    let folder = sandbox.home().join(".local/share/reprieve");
    let shown = in_force(&sandbox);
    assert_eq!(
        shown,
        json!({
            "clock": {"tolerance_in_seconds": 5.0, "greatest_gap_in_hours": 48.0},
            "database": {
                "url": format!("sqlite:{}", folder.join("reprieve.db").display()),
                "timeout_in_seconds": 5.0,
                "connections": 10,
                "pooler": "detect",
            },
            "grace_period": {"default_in_days": 14.0, "minimum_in_days": 1.0, "maximum_in_days": 365.0},
            "identity": {"domain": "localhost"},
            "audit": {"key_file": folder.join("reprieve.db.audit-key")},
            "server": {"timeout_in_seconds": 10.0},
            "http": {
                "listen": "127.0.0.1:8080",
                "token_leeway_in_seconds": 30,
                "trusted_proxies": [],
                "connections": 4096,
                "connections_per_peer": 1024,
                "concurrent_requests": 512,
                "requests_per_peer": 64,
                "requests_per_second": 10,
                "burst": 50,
                "identity_domains": [],
                "initiations_per_minute": 600,
                "initiations_at_once": 1000,
                "body_limit_in_bytes": 16384,
                "header_timeout_in_seconds": 10.0,
                "write_timeout_in_seconds": 20.0,
                "request_timeout_in_seconds": 10.0,
                "shutdown_timeout_in_seconds": 30.0,
                "allowed_origins": [],
            },
            "telemetry": {"log_format": "text"},
            "reminders": {"days_before": [12.0, 10.0, 5.0]},
            "deletions": {},
            "erasure": {
                "lease_in_seconds": 120.0,
                "concurrency": 16,
                "poll_interval_in_seconds": 10.0,
                "first_retry_in_seconds": 10.0,
                "longest_retry_in_seconds": 21600.0,
                "patience_in_days": 3.0,
            },
            "ledger": {"file": folder.join("reprieve.db.erasure-ledger")},
            "journal": {"keep_in_days": 800.0},
            "receipts": {"key_file": folder.join("reprieve.db.receipt-key")},
            "events": {
                "source": "urn:reprieve",
                "lease_in_seconds": 60.0,
                "first_retry_in_seconds": 1.0,
                "longest_retry_in_seconds": 3600.0,
                "patience_in_days": 3.0,
                "pace_per_second": 1000,
                "hurry_after_in_seconds": 300.0,
            },
            "housekeeping": {
                "cancelled_processes_in_days": 30.0,
                "audit_trails_in_days": 731.0,
                "events_in_days": 7.0,
            },
            "workers": {
                "enabled": true,
                "reminders_every_in_seconds": 600.0,
                "deletions_every_in_seconds": 60.0,
                "erasures_every_in_seconds": 10.0,
                "outbox_every_in_seconds": 0.5,
                "housekeeping_every_in_seconds": 3600.0,
                "journal_every_in_seconds": 1.0,
            },
        })
    );
    assert!(sandbox.files().is_empty());
}

#[test]
fn what_is_shown_can_be_used_as_a_configuration_file() {
    let sandbox = Sandbox::new()
        .with("REPRIEVE__GRACE_PERIOD__DEFAULT_IN_DAYS", "2.5")
        .with("REPRIEVE__IDENTITY__DOMAIN", "example.org");
    let toml = sandbox.line("config show").succeeded().stdout;
    let expected = in_force(&sandbox);
    let other = Sandbox::new();
    fs::write(other.home().join("copy.toml"), toml).unwrap();
    assert_eq!(other.json("config show --config copy.toml"), expected);
}

#[test]
fn the_later_source_wins_for_each_key_by_itself() {
    let sandbox = Sandbox::new();
    let usual = sandbox.home().join(".config/reprieve/reprieve.toml");
    fs::create_dir_all(usual.parent().unwrap()).unwrap();
    fs::write(
        &usual,
        "[grace_period]\ndefault_in_days = 20\nmaximum_in_days = 40\n[database]\nurl = 'sqlite:usual.db'\n",
    )
    .unwrap();
    let named = sandbox.home().join("named.toml");
    fs::write(&named, "[grace_period]\ndefault_in_days = 21\n[database]\nurl = 'sqlite:named.db'\n").unwrap();
    let value = |sandbox: &Sandbox, line: &str| {
        let shown = sandbox.json(line);
        let days = |key: &str| shown["grace_period"][key].as_f64().unwrap();
        (
            days("default_in_days"),
            days("maximum_in_days"),
            shown["database"]["url"].as_str().unwrap().to_owned(),
        )
    };

    assert_eq!(value(&sandbox, "config show"), (20.0, 40.0, "sqlite:usual.db".to_owned()));
    // A file that is named replaces the usual one.
    let line = "config show --config named.toml";
    assert_eq!(value(&sandbox, line), (21.0, 365.0, "sqlite:named.db".to_owned()));
    let by_variable = sandbox.variant().with("REPRIEVE_CONFIG", &named);
    assert_eq!(value(&by_variable, "config show"), (21.0, 365.0, "sqlite:named.db".to_owned()));
    assert_eq!(
        value(&by_variable, "config show --config .config/reprieve/reprieve.toml"),
        (20.0, 40.0, "sqlite:usual.db".to_owned())
    );

    let environment = sandbox
        .variant()
        .with("REPRIEVE__GRACE_PERIOD__DEFAULT_IN_DAYS", "30")
        .with("REPRIEVE__DATABASE__URL", "sqlite:environment.db");
    assert_eq!(value(&environment, "config show"), (30.0, 40.0, "sqlite:environment.db".to_owned()));

    // DATABASE_URL is the environment's spelling of the option.
    let database_url = environment.variant().with("DATABASE_URL", "sqlite:variable.db");
    assert_eq!(value(&database_url, "config show").2, "sqlite:variable.db");
    let line = "config show --database-url sqlite:option.db";
    assert_eq!(value(&database_url, line), (30.0, 40.0, "sqlite:option.db".to_owned()));
}

#[test]
fn the_configuration_that_is_shown_is_the_one_that_is_used() {
    let sandbox = Sandbox::new()
        .with("REPRIEVE__GRACE_PERIOD__DEFAULT_IN_DAYS", "3")
        .with("REPRIEVE__IDENTITY__DOMAIN", "id.example.org")
        .with("REPRIEVE__AUDIT__KEY", AUDIT_KEY);
    let init = sandbox.line("identityDeletion init --database-url sqlite:own.db").succeeded().stdout;
    assert!(init.ends_with(" (in 3 days)\n"), "{init}");
    let status = sandbox.json("identity status --database-url sqlite:own.db");
    assert!(status["address"].as_str().unwrap().starts_with("did:e:id.example.org:dids:"), "{status}");
    let files: Vec<_> = sandbox.files().into_keys().collect();
    let is_of_journal = |file: &&std::path::PathBuf| file.starts_with(sandbox.home().join(".local"));
    let files: Vec<_> = files.iter().filter(|file| !is_of_journal(file)).collect();
    assert_eq!(files, [&sandbox.home().join("own.db")], "a configured key needs no file");

    let file = sandbox.variant().with("REPRIEVE__AUDIT__KEY_FILE", "keys/audit");
    let outcome = file.line("identity status --database-url sqlite:own.db");
    let _ = outcome.failed(1, "error.reprieve.configuration.invalid");
}

#[test]
fn xdg_folders_are_respected_and_relative_ones_are_not() {
    let sandbox = Sandbox::new();
    let data = sandbox.home().join("data");
    let config = sandbox.home().join("config");
    fs::create_dir_all(config.join("reprieve")).unwrap();
    fs::write(config.join("reprieve/reprieve.toml"), "identity.domain = 'example.org'").unwrap();
    let xdg = sandbox.variant().with("XDG_DATA_HOME", &data).with("XDG_CONFIG_HOME", &config);
    let shown = in_force(&xdg);
    assert_eq!(shown["database"]["url"], format!("sqlite:{}", data.join("reprieve/reprieve.db").display()));
    assert_eq!(shown["identity"]["domain"], "example.org");

    let relative = sandbox.variant().with("XDG_DATA_HOME", "data").with("XDG_CONFIG_HOME", "config");
    assert_eq!(in_force(&relative), in_force(&sandbox));
}

#[test]
fn without_a_home_folder_the_database_must_be_named() {
    let sandbox = Sandbox::new();
    for home in [None, Some("relative")] {
        let run = |arguments: &[&str]| {
            let mut command = sandbox.command();
            command.env_remove("HOME").args(arguments);
            command.envs(home.map(|home| ("HOME", home)));
            reprieve_tests::Outcome::of(&mut command)
        };
        let outcome = run(&["identity", "status"]).failed(1, "error.reprieve.configuration.invalid");
        assert!(
            outcome.stderr.contains("database.url") && outcome.stderr.contains("--database-url"),
            "{outcome:?}"
        );
        assert!(sandbox.files().is_empty());
        // What needs no configuration does without.
        let _ = run(&["completions", "bash"]).succeeded();
        let _ = run(&["config", "show", "--database-url", "sqlite:a.db"]).succeeded();
    }
}

#[test]
fn secrets_are_hidden() {
    let sandbox = Sandbox::new().with("REPRIEVE__AUDIT__KEY", AUDIT_KEY);
    for url in [
        "postgres://ada:hunter2@db.example.org/reprieve",
        "postgresql://ada@db.example.org/reprieve?password=hunter2",
        "postgres://ada:hunter2@db.example.org/reprieve?sslmode=disable&password=hunter2",
    ] {
        for output in ["text", "json"] {
            let shown =
                sandbox.run(["config", "show", "--output", output, "--database-url", url]).succeeded();
            assert!(
                shown.stdout.contains("ada") && shown.stdout.contains("db.example.org/reprieve"),
                "{shown:?}"
            );
            assert!(!shown.stdout.contains("hunter2") && !shown.stdout.contains(AUDIT_KEY), "{shown:?}");
        }
    }
}
