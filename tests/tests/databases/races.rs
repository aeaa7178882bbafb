//! Races of separate processes: one winner at the deadline, one open process, one own identity.

use std::collections::BTreeMap;
use std::process::Stdio;

use reprieve_domain::Timestamp;
use reprieve_tests::{Contenders, Outcome, Random, Sandbox, Sql, on_both_databases, rounds};

const AUDIT_KEY: &str = "8f1c0d3b5a79624ee0d1b2c3a4958677fedcba98765432100123456789abcdef";
const PROCESSES: usize = 8;
const TASKS: usize = 32;
const ROUNDS: usize = 100;

const CREATED: &str = "2026-12-01T00:00:00Z";
const A_MICROSECOND_BEFORE: &str = "2026-12-14T23:59:59.999999Z";
const DEADLINE: &str = "2026-12-15T00:00:00Z";

const NONE_ACTIVE: &str = "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess";
const OPEN_ALREADY: &str = "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists";
const EXPIRED: &str = "error.platform.validation.device.gracePeriodHasAlreadyExpired";
const NOT_EXPIRED: &str = "error.platform.validation.device.gracePeriodHasNotYetExpired";
const NOT_REQUIRED_STATUS: &str = "error.platform.validation.device.deletionProcessIsNotInRequiredStatus";

fn with_key(sandbox: &Sandbox) -> Sandbox {
    let sandbox = sandbox.variant().with("REPRIEVE__AUDIT__KEY", AUDIT_KEY);
    let _ = sandbox.line("identity status").succeeded();
    sandbox
}

/// Status of the process, number of its audit entries and of its events.
fn stored(sql: &mut Sql, address: &str) -> (String, u64, u64) {
    let id = sql.text(&format!("SELECT id FROM deletion_processes WHERE address = '{address}'"));
    let status = sql.text(&format!("SELECT status FROM deletion_processes WHERE id = '{id}'"));
    let of_it = format!("WHERE process_id = '{id}'");
    (status, sql.count(&format!("audit_entries {of_it}")), sql.count(&format!("outbox {of_it}")))
}

fn verified(sandbox: &Sandbox, processes: usize, entries: usize) {
    let verified = sandbox.json("audit verify");
    assert_eq!((&verified["processes"], &verified["entries"]), (&processes.into(), &entries.into()));
}

on_both_databases!(
    at_the_deadline_exactly_one_wins_and_the_others_leave_nothing,
    on_the_wrong_side_of_the_deadline_nobody_wins,
    between_instances_that_are_seconds_apart_one_wins_and_no_cancellation_is_late,
    of_many_initiations_exactly_one_opens_a_process,
    a_cancelled_process_is_replaced_by_exactly_one,
    of_a_hold_and_a_start_one_comes_first,
    a_hold_misses_no_initiation_that_it_races_with,
    many_first_commands_agree_on_one_identity,
    many_initiations_of_the_binary_open_one_process,
);

fn at_the_deadline_exactly_one_wins_and_the_others_leave_nothing(sandbox: &Sandbox) {
    let sandbox = with_key(sandbox);
    let mut contenders = Contenders::start(PROCESSES, &sandbox.database_url(), AUDIT_KEY);
    let mut single = Contenders::start(1, &sandbox.database_url(), AUDIT_KEY);
    let mut sql = sandbox.sql();
    let (mut winners, rounds) = (BTreeMap::new(), rounds(ROUNDS));
    for round in 0..rounds {
        let address = format!("did:web:example.org:{round}");
        assert_eq!(single.race(&[format!("initiate {address} {CREATED}")]), ["ok"]);
        let id = sql.text(&format!("SELECT id FROM deletion_processes WHERE address = '{address}'"));
        // Half of them cancel at the last moment that allows it, half start the deletion at the first; a few of
        // each are a microsecond off. Who sits in which process changes from round to round.
        let tasks: Vec<String> = (0..TASKS)
            .map(|number| match (number + round) % 16 {
                15 => format!("cancel {address} {DEADLINE}"),
                14 => format!("start {address} {A_MICROSECOND_BEFORE} {id}"),
                even if even % 2 == 0 => format!("cancel {address} {A_MICROSECOND_BEFORE}"),
                _ => format!("start {address} {DEADLINE} {id}"),
            })
            .collect();
        let outcomes = contenders.race(&tasks);

        let won: Vec<&String> = tasks
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| *outcome == "ok")
            .map(|(task, _)| task)
            .collect();
        assert_eq!(won.len(), 1, "round {round}: {outcomes:?}");
        let (winner, status) = match won[0].split(' ').next().unwrap() {
            "cancel" => ("cancel", "Cancelled"),
            _ => ("start", "Deleting"),
        };
        for (task, outcome) in tasks.iter().zip(&outcomes).filter(|(_, outcome)| *outcome != "ok") {
            let clean = if task.starts_with("cancel") {
                [NONE_ACTIVE, EXPIRED]
            } else {
                [NOT_REQUIRED_STATUS, NOT_EXPIRED]
            };
            assert!(clean.contains(&outcome.as_str()), "round {round}: {task}: {outcome}");
        }
        assert!(!won[0].starts_with("cancel") || won[0].contains(A_MICROSECOND_BEFORE), "{}", won[0]);
        assert!(!won[0].starts_with("start") || won[0].contains(DEADLINE), "{}", won[0]);
        assert_eq!(stored(&mut sql, &address), (status.to_owned(), 2, 2), "round {round}");
        *winners.entry(winner).or_insert(0) += 1;
    }
    // Otherwise this was no race.
    assert_eq!(winners.len(), 2, "{winners:?}");
    verified(&sandbox, rounds, 2 * rounds);
}

fn on_the_wrong_side_of_the_deadline_nobody_wins(sandbox: &Sandbox) {
    let sandbox = with_key(sandbox);
    let mut contenders = Contenders::start(PROCESSES, &sandbox.database_url(), AUDIT_KEY);
    let mut sql = sandbox.sql();
    for round in 0..rounds(ROUNDS) / 10 {
        let address = format!("did:web:example.org:{round}");
        let outcomes = contenders.race(&vec![format!("initiate {address} {CREATED}"); PROCESSES]);
        assert!(outcomes.contains(&"ok".to_owned()), "{outcomes:?}");
        let id = sql.text(&format!("SELECT id FROM deletion_processes WHERE address = '{address}'"));
        let late = format!("cancel {address} {DEADLINE}");
        let early = format!("start {address} {A_MICROSECOND_BEFORE} {id}");
        let tasks: Vec<String> = [late, early].into_iter().cycle().take(TASKS).collect();
        let outcomes = contenders.race(&tasks);
        let expected: Vec<&str> = [EXPIRED, NOT_EXPIRED].into_iter().cycle().take(TASKS).collect();
        assert_eq!(outcomes, expected, "round {round}");
        assert_eq!(stored(&mut sql, &address), ("Active".to_owned(), 1, 1), "round {round}");
    }
}

/// Three instances, 4 seconds apart, and ten deadlines a round that each of them sees pass at another time.
fn between_instances_that_are_seconds_apart_one_wins_and_no_cancellation_is_late(sandbox: &Sandbox) {
    const DEADLINES: usize = 10;
    let sandbox = with_key(sandbox);
    let mut instances = Contenders::start(3, &sandbox.database_url(), AUDIT_KEY);
    let (mut sql, mut random) = (sandbox.sql(), Random::new());
    let deadline: Timestamp = DEADLINE.parse().unwrap();
    // Of each deadline as many are before it by every clock, by one, by two, or by none.
    let rounds = rounds(ROUNDS / 5);
    for round in 0..rounds {
        let addresses: Vec<String> =
            (0..DEADLINES).map(|number| format!("did:web:example.org:{round}-{number}")).collect();
        let asked: Vec<String> =
            addresses.iter().map(|address| format!("initiate {address} {CREATED}")).collect();
        assert!(instances.race(&asked).iter().all(|outcome| outcome == "ok"));
        let mut tasks = Vec::new();
        for (number, address) in addresses.iter().enumerate() {
            let id = sql.text(&format!("SELECT id FROM deletion_processes WHERE address = '{address}'"));
            let latest = [-4, 0, 4, 8][(number + round) % 4] * 1_000_000;
            let by_the_first = latest - i64::try_from(random.below(4_000_000)).unwrap() - 4_000_000;
            let shown = [0, 1, 2].map(|instance: i64| {
                deadline.checked_add_micros(by_the_first + instance * 4_000_000).unwrap()
            });
            tasks.extend(shown.iter().map(|now| format!("cancel {address} {now}")));
            tasks.extend(shown.iter().map(|now| format!("start {address} {now} {id}")));
        }
        let outcomes = instances.race(&tasks);
        for (address, outcomes) in addresses.iter().zip(outcomes.chunks(6)) {
            let won = outcomes.iter().filter(|outcome| *outcome == "ok").count();
            assert_eq!(won, 1, "round {round}: {address}: {outcomes:?}");
            let clean = [NONE_ACTIVE, EXPIRED, NOT_REQUIRED_STATUS, NOT_EXPIRED];
            assert!(
                outcomes.iter().all(|outcome| outcome == "ok" || clean.contains(&outcome.as_str())),
                "round {round}: {outcomes:?}"
            );
            assert_eq!(stored(&mut sql, address).1, 2, "round {round}: {address}");
        }
    }
    let late = "deletion_processes WHERE status = 'Cancelled' AND cancelled_at >= grace_period_ends_at";
    let early = "deletion_processes WHERE status = 'Deleting' AND deletion_started_at < grace_period_ends_at";
    assert_eq!((sql.count(late), sql.count(early)), (0, 0));
    for status in ["Cancelled", "Deleting"] {
        // Otherwise this was no race.
        assert!(sql.count(&format!("deletion_processes WHERE status = '{status}'")) > 0, "none is {status}");
    }
    verified(&sandbox, rounds * DEADLINES, 2 * rounds * DEADLINES);
}

fn of_many_initiations_exactly_one_opens_a_process(sandbox: &Sandbox) {
    let sandbox = with_key(sandbox);
    let mut contenders = Contenders::start(PROCESSES, &sandbox.database_url(), AUDIT_KEY);
    let (mut sql, rounds) = (sandbox.sql(), rounds(ROUNDS));
    for round in 0..rounds {
        let address = format!("did:web:example.org:{round}");
        let tasks = vec![format!("initiate {address} {CREATED}"); TASKS];
        let outcomes = contenders.race(&tasks);
        let count = |wanted: &str| outcomes.iter().filter(|outcome| *outcome == wanted).count();
        assert_eq!((count("ok"), count(OPEN_ALREADY)), (1, TASKS - 1), "round {round}: {outcomes:?}");
        assert_eq!(stored(&mut sql, &address), ("Active".to_owned(), 1, 1), "round {round}");
    }
    verified(&sandbox, rounds, rounds);
}

fn a_cancelled_process_is_replaced_by_exactly_one(sandbox: &Sandbox) {
    let sandbox = with_key(sandbox);
    let mut contenders = Contenders::start(PROCESSES, &sandbox.database_url(), AUDIT_KEY);
    let address = "did:web:example.org";
    let tasks: Vec<String> = (0..TASKS)
        .map(|number| format!("{} {address} {CREATED}", if number % 2 == 0 { "initiate" } else { "cancel" }))
        .collect();
    let mut steps = 0;
    for round in 0..rounds(ROUNDS) / 4 {
        let outcomes = contenders.race(&tasks);
        let done: Vec<&str> = tasks
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| *outcome == "ok")
            .map(|(task, _)| &task[..4])
            .collect();
        steps += done.len() as u64;
        for (task, outcome) in tasks.iter().zip(&outcomes).filter(|(_, outcome)| *outcome != "ok") {
            let clean = if task.starts_with("cancel") { NONE_ACTIVE } else { OPEN_ALREADY };
            assert_eq!(outcome, clean, "round {round}: {task}");
        }
        let mut sql = sandbox.sql();
        assert!(sql.count("deletion_processes WHERE status = 'Active'") <= 1);
        // Every step that was acknowledged, and no other.
        assert_eq!((sql.count("audit_entries"), sql.count("outbox")), (steps, steps));
    }
    assert_eq!(sandbox.json("audit verify")["entries"], steps);
}

/// Whatever has started before the hold stays started, and is held; after it, nothing starts until it ends.
fn of_a_hold_and_a_start_one_comes_first(sandbox: &Sandbox) {
    const UNTIL: &str = "2026-12-20T00:00:00Z";
    const BEFORE_UNTIL: &str = "2026-12-19T23:59:59.999999Z";
    let sandbox = with_key(sandbox);
    let mut contenders = Contenders::start(PROCESSES, &sandbox.database_url(), AUDIT_KEY);
    let mut single = Contenders::start(1, &sandbox.database_url(), AUDIT_KEY);
    let mut sql = sandbox.sql();
    let mut winners = BTreeMap::new();
    for round in 0..rounds(ROUNDS) {
        let address = format!("did:web:example.org:{round}");
        assert_eq!(single.race(&[format!("initiate {address} {CREATED}")]), ["ok"]);
        let id = sql.text(&format!("SELECT id FROM deletion_processes WHERE address = '{address}'"));
        let (hold, start) =
            (format!("hold {address} {DEADLINE} {UNTIL}"), format!("start {address} {DEADLINE} {id}"));
        // One among many, in turn: one that comes alone hardly ever comes first.
        let (one, many) = if round % 2 == 0 { (&hold, &start) } else { (&start, &hold) };
        let task = |number| if (number + round) % PROCESSES == 0 { one.clone() } else { many.clone() };
        let tasks: Vec<String> = (0..PROCESSES).map(task).collect();
        let outcomes = contenders.race(&tasks);
        let won = |kind: &str| {
            let of_kind = tasks.iter().zip(&outcomes).filter(|(task, _)| task.starts_with(kind));
            of_kind.filter(|(_, outcome)| *outcome == "ok").count()
        };
        assert_eq!(won("hold"), tasks.iter().filter(|task| **task == hold).count(), "{outcomes:?}");
        let started = won("start");
        assert!(started <= 1, "{outcomes:?}");
        let first =
            format!("SELECT message_key FROM audit_entries WHERE process_id = '{id}' AND sequence = 2");
        let first = sql.text(&first);
        assert_eq!(first == "DeletionStarted", started == 1, "{outcomes:?}");
        if started == 0 {
            // Past the promised date, and before the end of the hold.
            let late = format!("start {address} {BEFORE_UNTIL} {id}");
            assert_eq!(single.race(&[late]), [NOT_EXPIRED]);
            assert_eq!(single.race(&[format!("cancel {address} {BEFORE_UNTIL}")]), ["ok"]);
        }
        *winners.entry(first).or_insert(0) += 1;
    }
    assert_eq!(winners.len(), 2, "{winners:?}");
    let _ = sandbox.line("audit verify").succeeded();
}

fn a_hold_misses_no_initiation_that_it_races_with(sandbox: &Sandbox) {
    const UNTIL: &str = "2027-01-20T00:00:00Z";
    let sandbox = with_key(sandbox);
    let mut contenders = Contenders::start(PROCESSES, &sandbox.database_url(), AUDIT_KEY);
    let mut sql = sandbox.sql();
    let mut begun = BTreeMap::new();
    for round in 0..rounds(ROUNDS) {
        let address = format!("did:web:example.org:{round}");
        let (hold, initiate) =
            (format!("hold {address} {CREATED} {UNTIL}"), format!("initiate {address} {CREATED}"));
        // One among many, in turn: one that comes alone hardly ever comes first.
        let (one, many) = if round % 2 == 0 { (&hold, &initiate) } else { (&initiate, &hold) };
        let task = |number| if (number + round) % PROCESSES == 0 { one.clone() } else { many.clone() };
        let tasks: Vec<String> = (0..PROCESSES).map(task).collect();
        let outcomes = contenders.race(&tasks);
        for (task, outcome) in tasks.iter().zip(&outcomes) {
            assert!(outcome == "ok" || *task == initiate && outcome == OPEN_ALREADY, "{outcomes:?}");
        }
        let id = sql.text(&format!("SELECT id FROM deletion_processes WHERE address = '{address}'"));
        let of_it = format!("suspensions WHERE process_id = '{id}' AND suspended_until = 1800403200000000");
        assert_eq!(sql.count(&of_it), 1, "{outcomes:?}");
        let first = format!(
            "audit_entries WHERE process_id = '{id}' AND sequence = 1 AND additional_data LIKE '%suspendedUntil%'"
        );
        *begun.entry(sql.count(&first)).or_insert(0) += 1;
    }
    // It began suspended, or was suspended by the hold.
    assert_eq!(begun.len(), 2, "{begun:?}");
    let _ = sandbox.line("audit verify").succeeded();
}

fn many_first_commands_agree_on_one_identity(sandbox: &Sandbox) {
    // Of a fresh SQLite file also the tables, everywhere the key and the identity.
    let running: Vec<_> = (0..16)
        .map(|_| {
            let mut command = sandbox.command();
            command.args(["identity", "status"]).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let addresses: Vec<String> = running
        .into_iter()
        .map(|process| Outcome::from(process.wait_with_output().unwrap()).succeeded().stdout)
        .collect();
    assert!(addresses[0].starts_with("Identity Address: did:e:"), "{addresses:?}");
    assert!(addresses.iter().all(|address| *address == addresses[0]), "{addresses:?}");
    assert_eq!(sandbox.line("identity status").succeeded().stdout, addresses[0]);
    // No temporary key file is left.
    assert!(sandbox.files().keys().all(|file| file.extension() != Some("tmp".as_ref())));
}

fn many_initiations_of_the_binary_open_one_process(sandbox: &Sandbox) {
    for _ in 0..3 {
        let running: Vec<_> = (0..16)
            .map(|_| {
                let mut command = sandbox.command();
                command.args(["identityDeletion", "init"]).stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        let outcomes: Vec<Outcome> =
            running.into_iter().map(|process| process.wait_with_output().unwrap().into()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.code == 0).count(), 1, "{outcomes:?}");
        for outcome in outcomes.into_iter().filter(|outcome| outcome.code != 0) {
            let _ = outcome.failed(1, OPEN_ALREADY);
        }
        let _ = sandbox.line("identityDeletion cancel").succeeded();
    }
    assert_eq!(sandbox.json("audit verify")["entries"], 6);
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn many_migrations_at_once_migrate_once() {
    let sandbox = Sandbox::unmigrated_postgres();
    let running: Vec<_> = (0..16)
        .map(|_| {
            let mut command = sandbox.command();
            command.args(["database", "migrate"]).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let outputs: Vec<String> = running
        .into_iter()
        .map(|process| Outcome::from(process.wait_with_output().unwrap()).succeeded().stdout)
        .collect();
    let applied = outputs.iter().filter(|output| output.starts_with("Applied ")).count();
    assert_eq!(applied, 1, "{outputs:?}");
}
