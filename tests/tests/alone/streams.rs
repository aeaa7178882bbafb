//! Standard output: colours for people at a terminal only, and readers that go away or disks that fill up behind it.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reprieve_tests::{Outcome, Sandbox};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const ESCAPE: char = '\u{1b}';

/// Runs a command with standard output on a terminal; returns what the terminal was sent.
fn on_a_terminal(command: &mut Command) -> String {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let terminal = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let outcome = command.stdout(Stdio::from(OwnedFd::from(terminal))).status().unwrap();
    // This process must not hold the terminal open, or reading would wait for more.
    command.stdout(Stdio::null());
    assert!(outcome.success());
    let (mut sent, mut bytes) = (Vec::new(), [0; 4096]);
    let mut controller = std::fs::File::from(controller);
    // The end of a terminal is an error on Linux.
    while let Ok(count @ 1..) = controller.read(&mut bytes) {
        sent.extend_from_slice(&bytes[..count]);
    }
    String::from_utf8(sent).unwrap()
}

#[test]
fn there_are_colours_at_a_terminal_and_only_there() {
    let sandbox = Sandbox::new();
    let _ = sandbox.line("identityDeletion init").succeeded();
    for line in ["identity status", "identityDeletion show", "identityDeletion list"] {
        let words: Vec<&str> = line.split(' ').collect();
        let shown = on_a_terminal(sandbox.command().args(&words).env("TERM", "xterm"));
        assert!(shown.contains("\u{1b}[33mActive") && shown.contains("\u{1b}[0m"), "{shown:?}");

        let no_color =
            on_a_terminal(sandbox.command().args(&words).env("TERM", "xterm").env("NO_COLOR", "1"));
        assert!(no_color.contains("Active") && !no_color.contains(ESCAPE), "{no_color:?}");
        let dumb = on_a_terminal(sandbox.command().args(&words).env("TERM", "dumb"));
        assert!(dumb.contains("Active") && !dumb.contains(ESCAPE), "{dumb:?}");
        let json = on_a_terminal(
            sandbox.command().args(&words).args(["--output", "json"]).env("CLICOLOR_FORCE", "1"),
        );
        assert!(json.contains("Active") && !json.contains(ESCAPE), "{json:?}");

        let piped = sandbox.line(line).succeeded().stdout;
        assert!(piped.contains("Active") && !piped.contains(ESCAPE), "{piped:?}");
    }
}

#[test]
fn failures_and_logs_have_no_colour_when_piped() {
    let sandbox = Sandbox::new();
    for line in ["identityDeletion cancel -vvv", "bogus"] {
        let outcome = sandbox.line(line);
        assert!(outcome.code != 0 && !outcome.stderr.contains(ESCAPE), "{outcome:?}");
    }
}

/// Whose reader has gone away.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full_disk() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let sandbox = Sandbox::new();
    for line in [
        "identity status",
        "identityDeletion init",
        "identityDeletion list --output json",
        "completions bash",
    ] {
        let outcome = sandbox.command().args(line.split(' ')).stdout(closed_pipe()).output().unwrap();
        assert_eq!((outcome.status.code(), outcome.stderr.as_slice()), (Some(0), &b""[..]), "{line}");
    }
    assert_eq!(sandbox.json("identity status")["status"], "ToBeDeleted");
    for line in ["--help", "--version", "identityDeletion --help"] {
        let outcome = sandbox.command().args(line.split(' ')).stdout(closed_pipe()).output().unwrap();
        assert_eq!((outcome.status.code(), outcome.stderr.as_slice()), (Some(0), &b""[..]), "{line}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_reported_as_done_but_not_shown() {
    let sandbox = Sandbox::new();
    for line in [
        "identity status",
        "identityDeletion init",
        "identityDeletion list --output json",
        "config show",
        "completions zsh",
        "man",
        "audit verify",
    ] {
        let outcome = sandbox.command().args(line.split(' ')).stdout(full_disk()).output().unwrap();
        let outcome = Outcome::from(outcome);
        assert_eq!(outcome.code, 70, "{line}: {outcome:?}");
        assert!(outcome.stderr.contains("error.reprieve.output.failed"), "{line}: {outcome:?}");
    }
    assert_eq!(sandbox.json("identity status")["status"], "ToBeDeleted");
}

#[test]
fn with_nowhere_to_write_the_exit_code_still_tells() {
    let sandbox = Sandbox::new();
    let run = |line: &str, stdout: fn() -> Stdio, stderr: fn() -> Stdio| {
        sandbox.command().args(line.split(' ')).stdout(stdout()).stderr(stderr()).status().unwrap().code()
    };
    for stderr in [closed_pipe, full_disk] {
        assert_eq!(run("identityDeletion cancel -vvv", closed_pipe, stderr), Some(1));
        assert_eq!(run("identity status -vvv", full_disk, stderr), Some(70));
        assert_eq!(run("identity status -vvv", closed_pipe, stderr), Some(0));
        assert_eq!(run("bogus", closed_pipe, stderr), Some(2));
    }
}

#[test]
fn standard_streams_may_be_closed_altogether() {
    let sandbox = Sandbox::new();
    let shell = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {} {line}", reprieve_tests::reprieve_binary().display())]);
        command.env_clear().env("HOME", sandbox.home()).status().unwrap().code()
    };
    assert_eq!(shell("identityDeletion init >&- 2>&- <&-"), Some(0));
    assert_eq!(shell("identityDeletion init >&- 2>&- <&-"), Some(1));
    // Whatever the closed descriptors were reused for, the database did not get the output.
    assert_eq!(sandbox.json("audit verify")["entries"], 1);
}

/// A quarter of the lease, as every other sink, or somebody else would take over while it waits.
#[test]
fn who_takes_no_events_is_given_up_before_the_lease_is_over() {
    let sandbox = Sandbox::new();
    sandbox.configure("[events]\nlease_in_seconds = 1\n[[events.sinks]]\nname = 'log'\ntype = 'stdout'");
    let _ = sandbox.line("identityDeletion init").succeeded();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let room = rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
    writer.write_all(&vec![b' '; room]).unwrap();
    let mut command = sandbox.command();
    command.args(["worker", "run", "outbox"]).stdout(Stdio::from(writer)).stderr(Stdio::piped());
    let start = Instant::now();
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("failure=timedOut")));
    let elapsed = start.elapsed();
    process.kill().unwrap();
    process.wait().unwrap();
    drop(reader);
    assert!(elapsed < Duration::from_secs(4), "{elapsed:?}");
}
