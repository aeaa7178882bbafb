//! Wrong usage, help, completions and manual pages. None of it opens a database.

use std::io::Write;
use std::process::{Command, Stdio};

use reprieve_tests::Sandbox;

/// Every command, and what stands between it and the program.
const COMMANDS: [&str; 27] = [
    "",
    "identity",
    "identity status",
    "identityDeletion",
    "identityDeletion init",
    "identityDeletion cancel",
    "identityDeletion show",
    "identityDeletion list",
    "check",
    "audit",
    "audit verify",
    "deletions retry",
    "deletions waive",
    "events",
    "events schema",
    "events parked",
    "events redeliver",
    "events follow",
    "database",
    "database migrate",
    "database backup",
    "config",
    "config show",
    "completions",
    "man",
    "help",
    "help identityDeletion init",
];

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(' ').filter(|word| !word.is_empty())
}

#[test]
fn wrong_usage_is_exit_code_2_with_help_on_standard_error() {
    let sandbox = Sandbox::new();
    for line in [
        "",
        "identity",
        "identityDeletion",
        "bogus",
        "identitydeletion cancel",
        "identity status bogus",
        "identityDeletion init 14",
        "identityDeletion init --grace-period-in-days",
        "identityDeletion init --grace-period-in-days 1 --grace-period-in-days 2",
        "identityDeletion show a b",
        "identityDeletion cancel --force",
        "events",
        "events redeliver",
        "events redeliver a --all",
        "events parked --limit 0",
        "--output xml identity status",
        "--output",
        "completions",
        "completions tcsh",
        "--config",
        "man --directory",
    ] {
        let outcome = sandbox.run(words(line));
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{line}: {outcome:?}");
        assert!(outcome.stderr.contains("--help"), "{line}: {outcome:?}");
    }
    assert!(sandbox.files().is_empty());
}

#[test]
fn every_command_has_help() {
    let sandbox = Sandbox::new();
    for command in COMMANDS.iter().filter(|command| !command.starts_with("help")) {
        let long = sandbox.run(words(command).chain(["--help"])).succeeded().stdout;
        let usage = format!("Usage: reprieve {command}").trim_end().to_owned();
        assert!(long.contains(&usage), "{command}: {long}");
        let short = sandbox.run(words(command).chain(["-h"])).succeeded().stdout;
        assert!(short.contains(&usage), "{command}: {short}");
        let asked = sandbox.run(["help"].into_iter().chain(words(command))).succeeded().stdout;
        assert_eq!(asked, long, "{command}");
        for option in ["--config <FILE>", "--database-url <URL>", "--output <FORMAT>", "--verbose"] {
            assert!(long.contains(option), "{command}: {option}");
        }
    }
    assert!(sandbox.files().is_empty());
}

#[test]
fn help_never_shows_what_the_environment_says_about_the_database() {
    let sandbox = Sandbox::new().with("DATABASE_URL", "postgres://ada:hunter2@db.example.org/reprieve");
    for line in ["--help", "identity status --help", "", "bogus", "--output x"] {
        let outcome = sandbox.run(words(line));
        assert!(!format!("{outcome:?}").contains("hunter2"), "{line}: {outcome:?}");
    }
}

#[test]
fn the_version_is_the_packages() {
    let version = Sandbox::new().line("--version").succeeded().stdout;
    assert_eq!(version, format!("reprieve {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_shell_gets_its_completions_and_bash_can_read_its() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.run(["completions", shell]).succeeded().stdout;
        for word in ["identityDeletion", "cancel", "grace-period-in-days", "database-url"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        let json = sandbox.json(&format!("completions {shell}"));
        assert_eq!(json, serde_json::json!({"shell": shell, "script": script}));
    }
    let script = sandbox.line("completions bash").succeeded().stdout;
    let mut bash = Command::new("bash").args(["-n", "-s"]).stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
    assert!(sandbox.files().is_empty());
}

#[test]
fn bash_completes_a_command() {
    let sandbox = Sandbox::new();
    let script = sandbox.line("completions bash").succeeded().stdout;
    let ask = "COMP_WORDS=(reprieve identityDeletion c); COMP_CWORD=2; _reprieve reprieve c identityDeletion; echo ${COMPREPLY[*]}";
    // By standard input: it is longer than an argument may be.
    let mut bash = Command::new("bash");
    let mut bash = bash.args(["--norc", "-s"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(format!("{script}\n{ask}\n").as_bytes()).unwrap();
    let answer = bash.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(answer.stdout).unwrap(), "cancel\n");
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let sandbox = Sandbox::new();
    let page = sandbox.line("man").succeeded().stdout;
    assert!(page.contains(".TH reprieve 1") && page.contains("reprieve\\-identityDeletion(1)"), "{page}");
    assert_eq!(sandbox.json("man"), serde_json::json!({"page": page}));
    assert!(sandbox.files().is_empty());

    let written = sandbox.line("man --directory pages/man1").succeeded().stdout;
    assert_eq!(written, "Manual pages written to pages/man1\n");
    for command in COMMANDS.iter().filter(|command| !command.starts_with("help")) {
        let name = words(command).fold("reprieve".to_owned(), |name, word| format!("{name}-{word}"));
        let file = sandbox.home().join(format!("pages/man1/{name}.1"));
        let page = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(&format!(".TH {name} 1")) && page.contains(".SH OPTIONS"), "{name}");
    }
    // Writing them again is no mistake.
    let _ = sandbox.line("man --directory pages/man1").succeeded();
}

#[test]
fn manual_pages_that_cannot_be_written_are_reported() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.home().join("file"), "").unwrap();
    for folder in ["file", "file/below"] {
        let outcome = sandbox.run(["man", "--directory", folder]);
        let _ = outcome.failed(70, "error.reprieve.system.failed");
    }
}
