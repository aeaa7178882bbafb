//! Every mistake in the configuration is one clear line that names the key, and nothing is created.

use std::fs;

use reprieve_tests::{Outcome, Sandbox};

const INVALID: &str = "error.reprieve.configuration.invalid";

/// Refused, naming what is wrong, without secrets and before anything was created.
fn assert_refused(sandbox: &Sandbox, arguments: &[&str], named: &[&str]) {
    let before = sandbox.files();
    for command in [["identity", "status"], ["config", "show"], ["database", "migrate"], ["audit", "verify"]]
    {
        let outcome = sandbox.run(command.iter().chain(arguments)).failed(1, INVALID);
        for name in named {
            assert!(outcome.stderr.contains(name), "{name}: {outcome:?}");
        }
        assert!(!outcome.stderr.contains("hunter2"), "{outcome:?}");
    }
    assert_eq!(sandbox.files(), before);
}

fn refuses_file(content: impl AsRef<[u8]>, named: &[&str]) {
    let sandbox = Sandbox::new();
    fs::write(sandbox.home().join("c.toml"), content).unwrap();
    assert_refused(&sandbox, &["--config", "c.toml"], named);
}

fn refuses_variable(name: &str, value: &str, named: &[&str]) {
    assert_refused(&Sandbox::new().with(name, value), &[], named);
}

#[test]
fn a_key_that_is_not_known_is_named_once_and_so_is_where_it_stands() {
    for (toml, key) in [
        ("surprise = 1", "key surprise:"),
        ("[grace_period]\ndefault = 1", "key grace_period.default:"),
        ("[database]\nURL = 'x'", "key database.URL:"),
        ("[audit.key]\nvalue = 'hunter2'", "key audit.key:"),
        ("[identity]\ndomain = 'a'\nhunter = 1", "key identity.hunter:"),
    ] {
        refuses_file(toml, &[key, "c.toml"]);
    }
    for (name, named) in [
        ("REPRIEVE__SURPRISE", "key surprise:"),
        ("REPRIEVE__GRACE_PERIOD__DEFAULT", "key grace_period.default:"),
        ("REPRIEVE__GRACE__PERIOD", "key grace:"),
        ("REPRIEVE___DATABASE__URL", "key _database:"),
        // Not a name at all.
        ("REPRIEVE__", "REPRIEVE__"),
        ("REPRIEVE__GRACE_PERIOD____DEFAULT_IN_DAYS", "REPRIEVE__GRACE_PERIOD____DEFAULT_IN_DAYS"),
        ("REPRIEVE__DATABASE__", "REPRIEVE__DATABASE__"),
        ("reprieve____database", "reprieve____database"),
    ] {
        refuses_variable(name, "1", &[named]);
    }
}

#[test]
fn an_empty_variable_sets_nothing_and_an_empty_option_is_a_mistake() {
    let plain = Sandbox::new();
    let expected = plain.line("config show").succeeded().stdout;
    let empty = Sandbox::at(plain.home())
        .with("DATABASE_URL", "")
        .with("REPRIEVE_CONFIG", "")
        .with("REPRIEVE_SERVER", "")
        .with("REPRIEVE__AUDIT__KEY", "")
        .with("REPRIEVE__GRACE_PERIOD__DEFAULT_IN_DAYS", "")
        .with("reprieve__journal__url", "");
    assert_eq!(empty.line("config show").succeeded().stdout, expected);
    let _ = empty.line("identity status").succeeded();
    assert!(empty.database_file().is_file());
    for option in ["--config", "--database-url"] {
        let outcome = plain.run(["config", "show", option, ""]);
        assert_eq!(outcome.code, 2, "{option}: {outcome:?}");
        assert!(outcome.stderr.contains(option), "{outcome:?}");
    }
}

#[test]
fn a_folder_is_no_configuration_file() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.home().join("folder")).unwrap();
    assert_refused(&sandbox, &["--config", "folder"], &["folder is a folder, not a configuration file"]);
    assert_refused(&sandbox, &["--config", "nowhere"], &["there is no configuration file nowhere"]);
}

#[test]
fn a_value_of_the_wrong_type_is_named_but_not_quoted() {
    for (toml, key) in [
        ("grace_period = 3", "key grace_period: is not a table"),
        ("[grace_period]\ndefault_in_days = 'hunter2'", "key grace_period.default_in_days: is not a number"),
        ("[database]\ntimeout_in_seconds = true", "key database.timeout_in_seconds: is not a number"),
        ("[database]\nurl = ['hunter2']", "key database.url: is not a string"),
        ("[audit]\nkey = 12", "key audit.key: is not a string"),
        ("[audit]\nkey_file = 12", "key audit.key_file: is not a string"),
        ("[identity]\ndomain = 2026-12-07T20:03:07Z", "key identity.domain: is not a string"),
        ("database = 'hunter2'", "key database: is not a table"),
    ] {
        refuses_file(toml, &[key, "c.toml"]);
    }
    for (name, value, key) in [
        (
            "REPRIEVE__GRACE_PERIOD__DEFAULT_IN_DAYS",
            "soon",
            "key grace_period.default_in_days: is not a number",
        ),
        ("REPRIEVE__GRACE_PERIOD", "3", "key grace_period: is not a table"),
        ("REPRIEVE__AUDIT__KEY", "{a=\"hunter2\"}", "key audit.key: is not a string"),
        ("REPRIEVE__DATABASE", "hunter2", "key database: is not a table"),
    ] {
        refuses_variable(name, value, &[key]);
    }
}

#[test]
fn a_bad_value_is_refused() {
    for (toml, key) in [
        ("grace_period.default_in_days = nan", "grace_period"),
        ("grace_period.default_in_days = inf", "grace_period"),
        ("grace_period.default_in_days = -1", "grace_period"),
        ("grace_period.default_in_days = 0", "grace_period"),
        ("grace_period.default_in_days = 0.5", "between 1 and 365"),
        ("grace_period.default_in_days = 366", "between 1 and 365"),
        ("grace_period.minimum_in_days = nan", "grace_period"),
        ("grace_period.minimum_in_days = -1", "grace_period"),
        ("grace_period.minimum_in_days = 0", "grace_period"),
        ("grace_period.maximum_in_days = inf", "grace_period"),
        ("grace_period.maximum_in_days = 1e300", "grace_period"),
        (
            "grace_period = {minimum_in_days = 20, maximum_in_days = 10, default_in_days = 15}",
            "longer than the maximum",
        ),
        ("database.timeout_in_seconds = 0", "database.timeout_in_seconds"),
        ("database.timeout_in_seconds = -1", "database.timeout_in_seconds"),
        ("database.timeout_in_seconds = nan", "database.timeout_in_seconds"),
        ("database.timeout_in_seconds = inf", "database.timeout_in_seconds"),
        ("database.timeout_in_seconds = 1e9", "database.timeout_in_seconds"),
        ("identity.domain = ''", "identity.domain"),
        ("identity.domain = 'Not A Host'", "identity.domain"),
        ("identity.domain = 'EXAMPLE.org'", "identity.domain"),
        ("identity.domain = 'example.org:80'", "identity.domain"),
        (
            "identity.domain = 'a-host-name-that-makes-an-address-longer-than-eighty-characters.example.org'",
            "identity.domain",
        ),
        ("audit.key = 'hunter2'", "audit.key"),
        ("audit.key = ''", "audit.key"),
        ("audit.key = '0000000000000000000000000000000000000000000000000000000000000000'", "audit.key"),
        ("audit = {key = 'hunter2', key_file = 'a'}", "audit.key_file"),
        ("database.url = ''", "database.url"),
        ("database.url = 'mysql://ada:hunter2@localhost/x'", "database.url"),
        ("database.url = 'hunter2'", "database.url"),
        ("database.url = 'sqlite:'", "database.url"),
        ("database.url = 'sqlite::memory:'", "database.url"),
        ("database.url = 'sqlite:a.db?mode=hunter2'", "database.url"),
        ("database.url = 'postgres://ada:hunter2@[::1/x'", "database.url"),
        ("database.url = 'postgres://ada:hunter2@localhost:99999/x'", "database.url"),
    ] {
        refuses_file(toml, &[key]);
    }
    for (name, value, key) in [
        ("REPRIEVE__GRACE_PERIOD__MAXIMUM_IN_DAYS", "-3", "grace_period"),
        ("REPRIEVE__AUDIT__KEY", "hunter2", "audit.key"),
        ("DATABASE_URL", "hunter2", "database.url"),
    ] {
        refuses_variable(name, value, &[key]);
    }
    let both = Sandbox::new().with("REPRIEVE__AUDIT__KEY", "hunter2").with("REPRIEVE__AUDIT__KEY_FILE", "a");
    assert_refused(&both, &[], &["audit.key", "audit.key_file", "only one"]);
}

#[test]
fn a_file_that_is_not_toml_is_refused_by_line_without_quoting_it() {
    for (toml, line) in [
        ("[audit\nkey = 'hunter2'", "line 1"),
        ("[audit]\nkey = 'hunter2", "line 2"),
        ("[audit]\nkey = 'hunter2' hunter2", "line 2"),
        ("[audit]\nkey = hunter2", "line 2"),
        ("[audit]\nkey = 'a'\nkey = 'hunter2'", "line 3"),
        ("[audit]\n\"hunter2 = 1", "line 2"),
        ("hunter2", "line 1"),
        ("= 'hunter2'", "line 1"),
        ("[audit]\nkey = \"\\hunter2\"", "line 2"),
        ("[database]\ntimeout_in_seconds = 5_hunter2", "line 2"),
        ("audit.key = 1\n[audit]\nkey = 'hunter2'", "c.toml"),
    ] {
        refuses_file(toml, &["c.toml", line]);
    }
    refuses_file([0xff, 0xfe, b'\n'], &["c.toml", "UTF-8"]);
    refuses_file("a = 1\0", &["c.toml"]);
}

#[test]
fn a_file_that_was_named_must_be_there_and_be_a_file() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.home().join("folder")).unwrap();
    for name in ["none.toml", "folder", "folder/none.toml", "/dev/null"] {
        assert_refused(&sandbox, &["--config", name], &[name]);
        assert_refused(&sandbox.variant().with("REPRIEVE_CONFIG", name), &[], &[name]);
    }
}

#[test]
fn what_is_no_file_in_the_usual_place_of_the_file_is_refused() {
    let sandbox = Sandbox::new();
    let usual = sandbox.home().join(".config/reprieve/reprieve.toml");
    fs::create_dir_all(&usual).unwrap();
    assert_refused(&sandbox, &[], &["reprieve.toml cannot be read"]);
    fs::remove_dir(&usual).unwrap();
    std::os::unix::fs::symlink("nowhere", &usual).unwrap();
    assert_refused(&sandbox, &[], &["reprieve.toml cannot be read"]);
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    // Permissions do not stop root, but nobody can read this one from its start.
    assert_refused(&Sandbox::new(), &["--config", "/proc/self/mem"], &["/proc/self/mem cannot be read"]);
}

#[test]
fn a_mistake_in_the_configuration_does_not_stop_what_needs_none() {
    let sandbox = Sandbox::new().with("REPRIEVE__SURPRISE", "1");
    for line in ["completions bash", "man", "--help", "--version"] {
        let Outcome { code, stderr, .. } = sandbox.line(line);
        assert_eq!((code, stderr.as_str()), (0, ""), "{line}");
    }
}
