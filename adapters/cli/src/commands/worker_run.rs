//! `reprieve worker run`

use std::fmt::Write as _;

use reprieve_application::ports::SinkFigures;
use reprieve_application::use_cases::{ErasuresRun, JournalKept, Relayed, Swept};
use reprieve_application::{ErrorCode, StoreError};
use serde_json::{Map, Value, json};

use crate::{Failure, Host, Output, PassSummary, SinkPass, WorkerKind};

pub(super) async fn run(
    host: &dyn Host,
    output: &mut Output<'_>,
    worker: WorkerKind,
    once: bool,
) -> Result<(), Failure> {
    if !once {
        host.run_worker(worker).await?;
        let text = format!("Worker stopped: {}\n", worker.as_str());
        return output.result(&json!({"worker": worker, "stopped": true}), &text);
    }
    let pass = host.run_pass(worker).await?;
    let (json, text) = summary(&pass);
    output.result(&json, &text)?;
    match what_failed(pass) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn summary(pass: &PassSummary) -> (Value, String) {
    match pass {
        PassSummary::Reminders(Swept { stepped, left_alone, failed, .. }) => (
            json!({"worker": WorkerKind::Reminders, "sent": stepped, "leftAlone": left_alone, "failed": failed}),
            format!("Reminders sent: {stepped}; left alone: {left_alone}; failed: {failed}\n"),
        ),
        PassSummary::Deletions(Swept { stepped, left_alone, failed, over_limit, .. }) => (
            json!({
                "worker": WorkerKind::Deletions, "started": stepped, "leftAlone": left_alone, "failed": failed,
                "overLimit": over_limit,
            }),
            format!(
                "Deletions started: {stepped}; left alone: {left_alone}{}; failed: {failed}\n",
                if *over_limit > 0 { format!("; over the limit: {over_limit}") } else { String::new() }
            ),
        ),
        PassSummary::Erasures(run) => {
            let ErasuresRun { acknowledged, working, failed, stuck, completed, left_alone, broken, .. } = run;
            (
                json!({
                    "worker": WorkerKind::Erasures, "completed": completed, "acknowledged": acknowledged,
                    "working": working, "failed": failed, "stuck": stuck, "leftAlone": left_alone, "broken": broken,
                }),
                format!(
                    "Deletions completed: {completed}; erasers acknowledged: {acknowledged}; working: {working}; \
                     failed: {failed}, of which stuck: {stuck}; left alone: {left_alone}; broken: {broken}\n"
                ),
            )
        }
        PassSummary::Outbox(sinks) => outbox(sinks),
        PassSummary::Journal(JournalKept { journaled, older, forgotten, faulty, taken_over }) => (
            json!({
                "worker": WorkerKind::Journal, "journaled": journaled, "older": older, "forgotten": forgotten,
                "faulty": faulty, "takenOver": taken_over,
            }),
            format!(
                "Processes journaled: {journaled}; forgotten: {forgotten}; older than the journal: {older}; \
                 faulty: {faulty}; lines of a ledger taken over: {taken_over}\n"
            ),
        ),
        PassSummary::Housekeeping(forgotten) => {
            let (processes, trails) = (forgotten.cancelled_processes, forgotten.audit_trails);
            let (events, sinks, answers) = (forgotten.events, forgotten.sinks, forgotten.answers);
            (
                json!({
                    "worker": WorkerKind::Housekeeping, "cancelledProcesses": processes, "auditTrails": trails,
                    "events": events, "sinks": sinks, "answers": answers, "quarantined": forgotten.quarantined,
                }),
                format!(
                    "Forgotten: cancelled processes: {processes}; audit trails: {trails}; events: {events}; \
                     sinks: {sinks}; answers: {answers}; quarantined: {}\n",
                    forgotten.quarantined
                ),
            )
        }
    }
}

fn outbox(sinks: &[SinkPass]) -> (Value, String) {
    let mut text = String::new();
    let mut all = Vec::with_capacity(sinks.len());
    for SinkPass { sink, relayed, figures } in sinks {
        let mut json = Map::from_iter([("sink".to_owned(), sink.as_str().into())]);
        let mut parts: Vec<(&str, &str, u64)> = Vec::new();
        if let Ok(Relayed { delivered, refused, .. }) = relayed {
            parts.extend([("delivered", "delivered", *delivered), ("refused", "refused", *refused)]);
        }
        if let Some(SinkFigures { waiting, retrying, parked, .. }) = figures {
            let now = [("waiting", *waiting), ("to be tried again", *retrying), ("parked", *parked)];
            let members = ["waiting", "retrying", "parked"];
            parts.extend(now.into_iter().zip(members).map(|((text, count), member)| (text, member, count)));
        }
        for (_, member, count) in &parts {
            json.insert((*member).to_owned(), (*count).into());
        }
        let failing = relayed.as_ref().is_ok_and(|relayed| relayed.is_failing);
        json.insert("failing".to_owned(), failing.into());
        let counts: Vec<String> = parts.iter().map(|(text, _, count)| format!("{text}: {count}")).collect();
        let out_of_order = if failing { "; nothing can be delivered now" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Sink {sink}: {}{out_of_order}", counts.join("; "));
        all.push(Value::Object(json));
    }
    if sinks.is_empty() {
        text.push_str("No sink is configured\n");
    }
    (json!({"worker": WorkerKind::Outbox, "sinks": all}), text)
}

/// Events that are parked wait for somebody; those that were refused are tried again.
fn events_that_failed(sinks: Vec<SinkPass>) -> Option<Failure> {
    let parked: u64 = sinks.iter().filter_map(|pass| Some(pass.relayed.as_ref().ok()?.parked)).sum();
    let (mut failed, mut first) = (0, None);
    for error in sinks.into_iter().filter_map(|pass| pass.relayed.err()) {
        failed += 1;
        first.get_or_insert(error);
    }
    if failed > 0 {
        return Some(failure(failed, first));
    }
    (parked > 0).then(|| {
        let message = format!(
            "events are parked: {parked}; see `reprieve events parked` and `reprieve events redeliver`"
        );
        Failure::new(ErrorCode::EventsParked, message)
    })
}

/// What somebody has to look after. That an eraser failed is not: it is asked again, until it is stuck.
fn what_failed(pass: PassSummary) -> Option<Failure> {
    let (count, first) = match pass {
        PassSummary::Reminders(swept) | PassSummary::Deletions(swept) => (swept.failed, swept.first_failure),
        PassSummary::Erasures(run) if run.broken == 0 && run.stuck > 0 => {
            let message = format!(
                "erasures are stuck: {}; see `reprieve deletions show` and `reprieve deletions retry`",
                run.stuck
            );
            return Some(Failure::new(ErrorCode::ErasureStuck, message));
        }
        PassSummary::Erasures(run) => (run.broken, run.first_failure),
        PassSummary::Outbox(sinks) => return events_that_failed(sinks),
        PassSummary::Journal(kept) => return older_than_journal(kept.older),
        PassSummary::Housekeeping(_) => return None,
    };
    (count > 0).then(|| failure(count, first))
}

/// What an operator has to decide on.
fn older_than_journal(processes: u64) -> Option<Failure> {
    (processes > 0).then(|| {
        let message = format!(
            "the database lacks what its journal has of {processes} processes: it was put back to an earlier state; see \
             `reprieve journal replay`"
        );
        Failure::new(ErrorCode::DatabaseOlderThanJournal, message)
    })
}

fn failure(count: u64, first: Option<StoreError>) -> Failure {
    let first = first.map(Failure::from);
    // Nobody asked for anything here, so nothing was refused.
    let code = first.as_ref().map(|first| first.code).filter(|code| !code.is_refusal());
    let reason = first.map(|first| format!("; the first because: {}", first.message)).unwrap_or_default();
    Failure::new(code.unwrap_or(ErrorCode::SystemFailed), format!("could not be done: {count}{reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test_host::{TestHost, run, run_on};
    use crate::exit_code;
    use reprieve_application::SinkName;
    use reprieve_application::use_cases::Forgotten;

    fn swept(failed: u64, first_failure: Option<StoreError>) -> Swept {
        Swept { stepped: 3, left_alone: 1, failed, first_failure, over_limit: 9 }
    }

    fn erasures(broken: u64, first_failure: Option<StoreError>) -> ErasuresRun {
        ErasuresRun {
            acknowledged: 5,
            working: 4,
            failed: 3,
            stuck: 2,
            completed: 1,
            left_alone: 6,
            broken,
            first_failure,
        }
    }

    fn forgotten() -> Forgotten {
        Forgotten { cancelled_processes: 1, audit_trails: 2, events: 3, sinks: 5, answers: 4, quarantined: 0 }
    }

    /// A sink that was told something, and is out of order if it has ever failed.
    fn told(sink: &str, parked: u64) -> SinkPass {
        let sink: SinkName = sink.parse().unwrap();
        let relayed = Relayed { delivered: 3, refused: 2, is_failing: parked > 0, ..Relayed::default() };
        SinkPass {
            figures: Some(SinkFigures { sink: sink.clone(), waiting: 4, retrying: 2, parked }),
            relayed: Ok(relayed),
            sink,
        }
    }

    fn pass(worker: &str) -> PassSummary {
        match worker {
            "reminders" => PassSummary::Reminders(swept(0, None)),
            "deletions" => PassSummary::Deletions(swept(0, None)),
            "erasures" => PassSummary::Erasures(ErasuresRun { stuck: 0, ..erasures(0, None) }),
            "outbox" => PassSummary::Outbox(vec![told("mail", 0), told("files", 7)]),
            "journal" => {
                PassSummary::Journal(JournalKept { journaled: 1, forgotten: 2, ..JournalKept::default() })
            }
            _ => PassSummary::Housekeeping(forgotten()),
        }
    }

    #[tokio::test]
    async fn a_pass_says_what_it_did() {
        for (worker, text, json) in [
            (
                "reminders",
                "Reminders sent: 3; left alone: 1; failed: 0\n",
                json!({"worker": "reminders", "sent": 3, "leftAlone": 1, "failed": 0}),
            ),
            (
                "deletions",
                "Deletions started: 3; left alone: 1; over the limit: 9; failed: 0\n",
                json!({"worker": "deletions", "started": 3, "leftAlone": 1, "failed": 0, "overLimit": 9}),
            ),
            (
                "erasures",
                "Deletions completed: 1; erasers acknowledged: 5; working: 4; failed: 3, of which stuck: 0; \
                 left alone: 6; broken: 0\n",
                json!({
                    "worker": "erasures", "completed": 1, "acknowledged": 5, "working": 4, "failed": 3, "stuck": 0,
                    "leftAlone": 6, "broken": 0,
                }),
            ),
            (
                "housekeeping",
                "Forgotten: cancelled processes: 1; audit trails: 2; events: 3; sinks: 5; answers: 4; quarantined: 0\n",
                json!({
                    "worker": "housekeeping", "cancelledProcesses": 1, "auditTrails": 2, "events": 3, "sinks": 5,
                    "answers": 4, "quarantined": 0,
                }),
            ),
            (
                "journal",
                "Processes journaled: 1; forgotten: 2; older than the journal: 0; faulty: 0; \
                 lines of a ledger taken over: 0\n",
                json!({
                    "worker": "journal", "journaled": 1, "older": 0, "forgotten": 2, "faulty": 0, "takenOver": 0,
                }),
            ),
            (
                "outbox",
                "Sink mail: delivered: 3; refused: 2; waiting: 4; to be tried again: 2; parked: 0\n\
                 Sink files: delivered: 3; refused: 2; waiting: 4; to be tried again: 2; parked: 7; \
                 nothing can be delivered now\n",
                json!({
                    "worker": "outbox", "sinks": [
                        {
                            "sink": "mail", "delivered": 3, "refused": 2, "waiting": 4, "retrying": 2, "parked": 0,
                            "failing": false,
                        },
                        {
                            "sink": "files", "delivered": 3, "refused": 2, "waiting": 4, "retrying": 2, "parked": 7,
                            "failing": true,
                        },
                    ],
                }),
            ),
        ] {
            let line = ["worker", "run", worker, "--once", "--output"];
            let host = TestHost::default().with_pass(pass(worker));
            let (result, out) = run_on(&host, &[&line[..], &["text"]].concat()).await;
            assert_eq!((result, out.as_str()), (Ok(()), text));
            let host = TestHost::default().with_pass(pass(worker));
            let (result, out) = run_on(&host, &[&line[..], &["json"]].concat()).await;
            assert_eq!((result, serde_json::from_str::<Value>(&out).unwrap()), (Ok(()), json));
        }
    }

    #[tokio::test]
    async fn a_pass_in_which_something_failed_says_what_it_did_and_fails() {
        let full = || Some(StoreError::Full("no space".into()));
        for (worker, pass, code) in [
            ("reminders", PassSummary::Reminders(swept(2, full())), ErrorCode::DatabaseFull),
            ("deletions", PassSummary::Deletions(swept(2, full())), ErrorCode::DatabaseFull),
            ("erasures", PassSummary::Erasures(erasures(2, full())), ErrorCode::DatabaseFull),
            ("deletions", PassSummary::Deletions(swept(2, None)), ErrorCode::SystemFailed),
            (
                "deletions",
                PassSummary::Deletions(swept(2, Some(StoreError::OpenProcessExists))),
                ErrorCode::SystemFailed,
            ),
        ] {
            let host = TestHost::default().with_pass(pass);
            let (result, out) = run_on(&host, &["worker", "run", worker, "--once"]).await;
            let failure = result.unwrap_err();
            assert_eq!((failure.code, exit_code(failure.code)), (code, 70));
            assert!(failure.message.starts_with("could not be done: 2"), "{}", failure.message);
            assert!(out.ends_with(": 2\n"), "{out}");
        }
    }

    #[tokio::test]
    async fn a_database_that_was_put_back_is_something_to_look_after() {
        let kept = JournalKept { older: 3, ..JournalKept::default() };
        let host = TestHost::default().with_pass(PassSummary::Journal(kept));
        let (result, out) = run_on(&host, &["worker", "run", "journal", "--once"]).await;
        let failure = result.unwrap_err();
        assert_eq!((failure.code, exit_code(failure.code)), (ErrorCode::DatabaseOlderThanJournal, 70));
        assert!(out.contains("older than the journal: 3"), "{out}");
    }

    #[tokio::test]
    async fn an_eraser_that_got_stuck_is_something_to_look_after() {
        let host = TestHost::default().with_pass(PassSummary::Erasures(erasures(0, None)));
        let (result, out) = run_on(&host, &["worker", "run", "erasures", "--once"]).await;
        assert_eq!(result.unwrap_err().code, ErrorCode::ErasureStuck);
        assert!(out.contains("of which stuck: 2"), "{out}");
    }

    #[tokio::test]
    async fn events_that_were_parked_are_something_to_look_after() {
        let mut pass = told("mail", 9);
        pass.relayed = Ok(Relayed { parked: 1, ..Relayed::default() });
        let host = TestHost::default().with_pass(PassSummary::Outbox(vec![told("files", 1), pass]));
        let (result, out) = run_on(&host, &["worker", "run", "outbox", "--once"]).await;
        let failure = result.unwrap_err();
        assert_eq!((failure.code, exit_code(failure.code)), (ErrorCode::EventsParked, 70));
        assert!(failure.message.starts_with("events are parked: 1;") && out.contains("parked: 9"), "{out}");
    }

    #[tokio::test]
    async fn a_sink_that_could_not_be_told_does_not_hide_the_others() {
        let broken = SinkPass {
            sink: "mail".parse().unwrap(),
            relayed: Err(StoreError::Full("no space".into())),
            figures: None,
        };
        let host = TestHost::default().with_pass(PassSummary::Outbox(vec![broken, told("files", 0)]));
        let (result, out) = run_on(&host, &["worker", "run", "outbox", "--once"]).await;
        assert_eq!(result.unwrap_err().code, ErrorCode::DatabaseFull);
        assert!(out.contains("Sink files: delivered: 3"), "{out}");
        let host = TestHost::default().with_pass(PassSummary::Outbox(Vec::new()));
        let (result, out) = run_on(&host, &["worker", "run", "outbox", "--once"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "No sink is configured\n"));
    }

    #[tokio::test]
    async fn a_worker_that_was_told_to_stop_says_that_it_did() {
        assert_eq!(run(&["worker", "run", "erasures"]).await.unwrap(), "Worker stopped: erasures\n");
        let out = run(&["worker", "run", "erasures", "--output", "json"]).await.unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&out).unwrap(),
            json!({"worker": "erasures", "stopped": true})
        );
    }
}
