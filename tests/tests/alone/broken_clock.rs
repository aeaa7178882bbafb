//! A clock that shows what cannot be: every command says so, and does nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use reprieve_tests::{Outcome, Sandbox, faketime};

const UNUSABLE: &str = "error.reprieve.clock.unusable";

/// Debian's `nobody`.
const NOBODY: u32 = 65534;

const LINES: [&str; 26] = [
    "identity status",
    "identity token --audience https://reprieve.example",
    "identityDeletion init",
    "identityDeletion cancel",
    "identityDeletion show",
    "identityDeletion list",
    "--server http://127.0.0.1:1 identityDeletion init",
    "api-key generate",
    "start",
    "worker run reminders --once",
    "worker run deletions --once",
    "worker run erasures --once",
    "worker run outbox --once",
    "worker run housekeeping --once",
    "deletions show",
    "deletions retry IDP0123456789abcdefg",
    "deletions waive IDP0123456789abcdefg --eraser files --code retired",
    "deletions plan did:web:example.org",
    "events parked",
    "events redeliver --all",
    "receipt show IDP0123456789abcdefg",
    "ledger replay --dry-run",
    "audit verify",
    "database migrate",
    "database backup copy.db",
    "config show",
];

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// The command line, at this instant, as the user of the test or as nobody. What changes the user does so at the right time.
fn at(sandbox: &Sandbox, instant: &str, as_nobody: bool, line: &str) -> Outcome {
    let reprieve = sandbox.command();
    let mut command = if as_nobody {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            &NOBODY.to_string(),
            "--regid",
            &NOBODY.to_string(),
            "--clear-groups",
            "--",
        ]);
        command.args(["env", &format!("LD_PRELOAD={}", faketime())]).arg(reprieve.get_program());
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(sandbox.home());
        command.envs(reprieve.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    } else {
        let mut command = reprieve;
        command.env("LD_PRELOAD", faketime());
        command
    };
    command
        .args(line.split(' '))
        .env("FAKETIME", format!("@{instant}"))
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Outcome::of(&mut command)
}

fn owned_by_nobody() -> Sandbox {
    let sandbox = Sandbox::new();
    chown(sandbox.home(), Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(sandbox.home(), fs::Permissions::from_mode(0o700)).unwrap();
    sandbox
}

#[test]
#[ignore = "needs libfaketime: tests/run"]
fn at_an_impossible_time_every_command_says_so_and_does_nothing() {
    for instant in
        ["1969-12-31 23:59:59", "1900-01-01 00:00:00", "2019-12-31 23:59:59", "9999-12-31 23:59:58"]
    {
        let sandbox = Sandbox::new();
        let lines = if instant.starts_with("1969") { &LINES[..] } else { &LINES[2..9] };
        for line in lines {
            let outcome = at(&sandbox, instant, false, line).failed(70, UNUSABLE);
            assert!(outcome.stderr.contains("the clock of this machine shows "), "{outcome:?}");
        }
        assert!(sandbox.files().is_empty(), "{instant}: {:?}", sandbox.files());
    }
}

#[test]
#[ignore = "needs libfaketime: tests/run"]
fn at_an_impossible_time_what_is_there_stays_as_it_is() {
    let sandbox = Sandbox::new();
    let _ = sandbox.line("identityDeletion init").succeeded();
    let before = sandbox.files();
    for instant in ["1969-06-01 00:00:00", "9500-01-01 00:00:00"] {
        for line in
            ["identityDeletion cancel", "worker run deletions --once", "worker run housekeeping --once"]
        {
            let _ = at(&sandbox, instant, false, line).failed(70, UNUSABLE);
        }
    }
    assert_eq!(sandbox.files(), before);
    let _ = sandbox.line("identityDeletion cancel").succeeded();
}

#[test]
#[ignore = "needs libfaketime: tests/run"]
fn far_times_that_can_be_are_only_far() {
    for instant in [
        "2020-01-01 00:00:01",
        "2038-01-19 03:14:08",
        "2262-04-12 00:00:00",
        "2555-01-01 00:00:00",
        "8999-01-01 00:00:00",
    ] {
        let sandbox = Sandbox::new();
        let _ = at(&sandbox, instant, false, "identityDeletion init --grace-period-in-days 365").succeeded();
        let status = at(&sandbox, instant, false, "identity status").succeeded();
        assert!(status.stdout.contains("(in 36"), "{instant}: {status:?}");
        let _ =
            at(&sandbox, instant, false, "identity token --audience https://reprieve.example").succeeded();
        for worker in ["reminders", "deletions", "outbox", "housekeeping"] {
            let pass = at(&sandbox, instant, false, &format!("worker run {worker} --once"));
            assert!(
                pass.code != -1 && pass.code != 101 && !pass.stderr.contains("panicked"),
                "{instant}: {pass:?}"
            );
        }
        let _ = at(&sandbox, instant, false, "identityDeletion cancel").succeeded();
        let _ = at(&sandbox, instant, false, "audit verify").succeeded();
    }
}

#[test]
#[ignore = "needs libfaketime: tests/run"]
fn an_ordinary_user_is_told_the_same() {
    if !is_root() {
        // Then the other tests have shown it.
        return;
    }
    let sandbox = owned_by_nobody();
    for instant in ["1969-12-31 23:59:59", "1900-01-01 00:00:00", "9999-12-31 23:59:58"] {
        for line in &LINES[2..9] {
            let _ = at(&sandbox, instant, true, line).failed(70, UNUSABLE);
        }
    }
    assert!(sandbox.files().is_empty(), "{:?}", sandbox.files());
    let _ = at(&sandbox, "2262-04-12 00:00:00", true, "identityDeletion init").succeeded();
}
