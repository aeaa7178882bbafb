//! Bad input of every kind: one clear line, nothing on standard output, nothing changed.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use proptest::prelude::*;
use reprieve_tests::{Outcome, Sandbox, on_both_databases};

const INVALID: &str = "error.runtime.validation.invalidPropertyValue";

fn state(sandbox: &Sandbox) -> (reprieve_tests::Files, String) {
    // In this order: the test's own connection leaves the files as they are.
    let dump = sandbox.sql().dump();
    (sandbox.files(), dump)
}

on_both_databases!(
    an_id_that_is_none_is_refused_and_changes_nothing,
    a_length_that_is_none_is_refused_and_changes_nothing,
);

fn an_id_that_is_none_is_refused_and_changes_nothing(sandbox: &Sandbox) {
    let known = sandbox.json("identityDeletion init")["id"].as_str().unwrap().to_owned();
    let before = state(sandbox);
    let lower = known.to_lowercase();
    for id in [
        "",
        " ",
        "x",
        "IDP",
        "IDPaaaaaaaaaaaaaaaa",
        "IDPaaaaaaaaaaaaaaaaaa",
        "idpaaaaaaaaaaaaaaaaa",
        "DVCaaaaaaaaaaaaaaaaa",
        "IDPaaaaaaaaaaaaaaaa\u{e9}",
        "IDPaaaaaaaaaaaaaaaa-",
        "IDP aaaaaaaaaaaaaaaa",
        "IDPaaaaaaaaaaaaaaaaa\n",
        "%",
        "'; DROP TABLE deletion_processes; --",
        "\u{202e}",
        "\u{1f480}",
        lower.as_str(),
        &"x".repeat(100_000),
    ] {
        let _ = sandbox.run(["identityDeletion", "show", id]).failed(1, INVALID);
    }
    // Well-formed and not there.
    let _ =
        sandbox.line("identityDeletion show IDPaaaaaaaaaaaaaaaaa").failed(1, "error.runtime.recordNotFound");
    assert_eq!(state(sandbox), before);
}

fn a_length_that_is_none_is_refused_and_changes_nothing(sandbox: &Sandbox) {
    let _ = sandbox.line("identity status").succeeded();
    let before = state(sandbox);
    for days in [
        "",
        " ",
        "abc",
        "-1",
        "-0",
        "0",
        "0.0",
        "nan",
        "NaN",
        "-nan",
        "inf",
        "-inf",
        "infinity",
        "1e999",
        "-1e999",
        "1e-999",
        "0.999999",
        "365.00001",
        "1e18",
        "14 ",
        " 14",
        "14d",
        "1,5",
        "0x10",
        "1_000",
        "\u{661}\u{664}",
        "14\n15",
        "'14'",
        "99999999999999999999999999999999999999999999999",
    ] {
        let option = format!("--grace-period-in-days={days}");
        let _ = sandbox.run(["identityDeletion", "init", &option]).failed(1, INVALID);
    }
    assert_eq!(state(sandbox), before);
}

#[test]
fn arguments_that_are_no_unicode_are_wrong_usage() {
    let sandbox = Sandbox::new();
    let bytes = OsStr::from_bytes(b"\xff\xfe");
    let word = OsStr::new;
    for arguments in [
        vec![bytes],
        vec![word("identityDeletion"), bytes],
        vec![word("identityDeletion"), word("show"), bytes],
        vec![word("identityDeletion"), word("init"), word("--grace-period-in-days"), bytes],
        vec![word("identity"), word("status"), word("--output"), bytes],
        vec![word("identity"), word("status"), word("--database-url"), bytes],
    ] {
        let outcome = sandbox.run(&arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{arguments:?}: {outcome:?}");
    }
    // A path may be any bytes.
    let outcome = sandbox.run([word("config"), word("show"), word("--config"), bytes]);
    let _ = outcome.failed(1, "error.reprieve.configuration.invalid");
    assert!(sandbox.files().is_empty());
}

/// Any text or bytes. None is a path out of the home folder: manual pages and databases are created wherever they are
/// told to be.
fn noise() -> impl Strategy<Value = OsString> {
    prop_oneof![
        "[^/.\0]{0,12}".prop_map(OsString::from),
        prop::collection::vec(1_u8..=255, 0..8).prop_map(|bytes| {
            OsString::from_vec(bytes.into_iter().filter(|byte| !b"/.".contains(byte)).collect())
        }),
        prop::num::f64::ANY.prop_map(|number| format!("{number:e}").replace('.', "").into()),
    ]
}

/// A word that means something somewhere, noise, or an option with noise as its value.
fn word() -> impl Strategy<Value = OsString> {
    let known = prop::sample::select(vec![
        "identity",
        "status",
        "init",
        "man",
        "help",
        "bash",
        "pages",
        "--help",
        "--version",
        "-v",
        "-vvv",
        "--output",
        "json",
        "--output=json",
        "--config",
        "--database-url",
        "--database-url=sqlite:a.db",
        "--directory",
        "--database-url=sqlite:a.db?mode=ro",
        "sqlite:",
        "--grace-period-in-days",
        "--grace-period-in-days=2",
        "-1",
        "nan",
        "1e999",
        "IDPaaaaaaaaaaaaaaaaa",
        "--",
        "-",
        "",
    ]);
    let options =
        vec!["--grace-period-in-days=", "--output=", "--config=", "--database-url=sqlite:", "--directory="];
    let option = (prop::sample::select(options), noise()).prop_map(|(option, value)| {
        let mut option = OsString::from(option);
        option.push(value);
        option
    });
    prop_oneof![2 => known.prop_map(OsString::from), 1 => noise(), 2 => option]
}

/// A command with noise where it takes something, and then perhaps a word that belongs to it or not.
fn arguments() -> impl Strategy<Value = Vec<OsString>> {
    let command = prop::sample::select(vec![
        "identityDeletion init --grace-period-in-days=",
        "identityDeletion show ",
        "completions ",
        "man --directory=",
        "config show --config=",
        "identity status --database-url=sqlite:",
        "identity status --database-url=postgres:",
        "identity status",
        "identityDeletion init",
        "identityDeletion cancel",
        "identityDeletion list",
        "audit verify",
        "database migrate",
        "",
    ]);
    let more = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(word(), 1..4)];
    (command, noise(), more).prop_map(|(command, noise, more)| {
        let mut words: Vec<OsString> = command.split(' ').map(OsString::from).collect();
        if command.ends_with(['=', ' ', ':']) {
            words.last_mut().unwrap().push(noise);
        } else if command.is_empty() {
            words.clear();
        }
        words.extend(more);
        words
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_arguments_make_the_binary_panic(arguments in arguments()) {
        let sandbox = Sandbox::new();
        let output = sandbox.command().args(&arguments).output().unwrap();
        let outcome = Outcome::from(output);
        prop_assert!([0, 1, 2, 70].contains(&outcome.code), "{:?}", outcome);
        prop_assert!(!outcome.stderr.contains("panicked"), "{:?}", outcome);
        // Success is silent on standard error (but for logs), and a failure on standard output.
        prop_assert!(outcome.code == 0 || outcome.stdout.is_empty(), "{:?}", outcome);
        prop_assert!(outcome.code == 0 || !outcome.stderr.is_empty(), "{:?}", outcome);
        for file in sandbox.files().into_keys() {
            prop_assert!(file.starts_with(sandbox.home()));
        }
    }
}
