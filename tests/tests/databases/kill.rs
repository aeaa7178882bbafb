//! `kill -9` at random moments: what was acknowledged is there, what was not is there entirely or not at all.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use reprieve_tests::{Moments, Outcome, Sandbox, Sql, rounds};

/// How far a database has come, after checking that it is consistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    processes: u64,
    steps: u64,
    open: bool,
}

impl State {
    fn after_a_step(self) -> Self {
        if self.open {
            Self { steps: self.steps + 1, open: false, ..self }
        } else {
            Self { processes: self.processes + 1, steps: self.steps + 1, open: true }
        }
    }
}

/// Waits until the server has noticed that its client is gone: what it was doing then, it finishes.
fn wait_for_the_server(sql: &mut Sql) {
    let others = "pg_stat_activity WHERE datname = current_database() AND application_name = 'reprieve'";
    while sql.is_postgres() && sql.count(others) > 0 {}
}

fn state(sandbox: &Sandbox) -> State {
    let mut sql = sandbox.sql();
    wait_for_the_server(&mut sql);
    if !sql.is_postgres() {
        assert_eq!(sql.text("PRAGMA integrity_check"), "ok");
    }
    // Every step is a revision, an audit entry and an event, or nothing of these.
    let steps = sql.count("audit_entries");
    assert_eq!(
        sql.text("SELECT CAST(coalesce(sum(revision), 0) AS TEXT) FROM deletion_processes"),
        steps.to_string()
    );
    assert_eq!(
        sql.count(
            "audit_entries JOIN outbox ON outbox.process_id = audit_entries.process_id
                AND outbox.revision = audit_entries.sequence AND outbox.occurred_at = audit_entries.created_at"
        ),
        steps
    );
    assert_eq!(sql.count("outbox"), steps);
    let open = sql.count("deletion_processes WHERE status = 'Active'");
    assert!(open <= 1, "{open} open processes");
    State { processes: sql.count("deletion_processes"), steps, open: open == 1 }
}

fn verify(sandbox: &Sandbox, state: State) {
    let verified = sandbox.json("audit verify");
    assert_eq!(
        (&verified["processes"], &verified["entries"]),
        (&state.processes.into(), &state.steps.into())
    );
}

/// Starts a command and kills it after `delay`, unless it ends before; returns what it managed to say.
fn killed_after(sandbox: &Sandbox, line: &str, delay: Duration) -> Outcome {
    let mut command = sandbox.command();
    command.args(line.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    // Not to wait for anything: the moment is the point.
    sleep(delay);
    process.kill().unwrap();
    process.wait_with_output().unwrap().into()
}

fn steps_that_are_killed(sandbox: &Sandbox, kills: u32) {
    let mut moments = Moments::new();
    let _ = sandbox.line("identity status").succeeded();
    let (mut acknowledged, mut silent, mut nothing) = (0, 0, 0);
    let mut before = state(sandbox);
    for round in 0..kills {
        let (line, answer) = if before.open {
            ("identityDeletion cancel", "Identity deletion cancelled\n")
        } else {
            ("identityDeletion init", "Identity deletion initiated\n")
        };
        let outcome = killed_after(sandbox, line, moments.draw());
        let after = state(sandbox);
        let done = after == before.after_a_step();
        assert!(done || after == before, "round {round}: {before:?}, then {after:?}");
        let answered = outcome.code == 0 || outcome.stdout.starts_with(answer);
        assert!(done || !answered, "round {round}: acknowledged and lost: {outcome:?}");
        moments.learn(answered);
        match (answered, done) {
            (true, _) => acknowledged += 1,
            (false, true) => silent += 1,
            (false, false) => nothing += 1,
        }
        if round % 20 == 0 {
            verify(sandbox, after);
        }
        before = after;
    }
    println!("{acknowledged} acknowledged, {silent} done without a word, {nothing} not done");
    assert!(acknowledged > 0 && nothing > 0, "the moments were not random");
    verify(sandbox, before);
    // And it goes on.
    let line = if before.open { "identityDeletion cancel" } else { "identityDeletion init" };
    let _ = sandbox.line(line).succeeded();
    verify(sandbox, before.after_a_step());
}

fn first_commands_that_are_killed(sandbox: impl Fn() -> Sandbox, kills: u32) {
    let mut moments = Moments::new();
    for round in 0..kills {
        let sandbox = sandbox();
        let killed = killed_after(&sandbox, "identityDeletion init", moments.draw());
        moments.learn(killed.code == 0);
        let again = sandbox.line("identityDeletion init");
        let refused = "activeIdentityDeletionProcessAlreadyExists";
        assert!(
            again.code == 0 || again.stderr.contains(refused),
            "round {round}: {killed:?}, then {again:?}"
        );
        // What was acknowledged was there the second time.
        assert!(killed.code != 0 || again.code == 1, "round {round}: {killed:?}, then {again:?}");
        let after = state(&sandbox);
        assert_eq!(after, State { processes: 1, steps: 1, open: true }, "round {round}");
        verify(&sandbox, after);
    }
}

#[test]
fn whatever_is_killed_when_nothing_acknowledged_is_lost_on_sqlite() {
    steps_that_are_killed(&Sandbox::new(), rounds(200));
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn whatever_is_killed_when_nothing_acknowledged_is_lost_on_postgres() {
    steps_that_are_killed(&Sandbox::postgres(), rounds(100));
}

#[test]
fn a_first_command_that_was_killed_stands_in_nobodys_way_on_sqlite() {
    first_commands_that_are_killed(Sandbox::new, rounds(50));
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn a_first_command_that_was_killed_stands_in_nobodys_way_on_postgres() {
    first_commands_that_are_killed(Sandbox::postgres, rounds(15));
}
