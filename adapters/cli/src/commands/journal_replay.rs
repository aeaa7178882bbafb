//! `reprieve journal replay`, and `reprieve ledger replay`, its older name

use std::fmt::Write as _;

use reprieve_application::ErrorCode;
use reprieve_application::use_cases::{
    CameBack, CancelledAgain, Elsewhere, LostRequest, ReplayAction, Replayed,
};
use serde_json::{Value, json};

use crate::arguments::ReplayArguments;
use crate::input::{Lines, parse};
use crate::{Failure, Host, Output};

pub(super) async fn run(
    host: &dyn Host,
    output: &mut Output<'_>,
    arguments: &ReplayArguments,
) -> Result<(), Failure> {
    let ReplayArguments { addresses, backup_taken_at, erasers, dry_run } = arguments;
    let backup_taken_at = backup_taken_at.as_deref().map(parse).transpose()?;
    let mut lines = None;
    let mut given = None;
    if let Some(file) = addresses {
        let addresses = lines.insert(Lines::open(file)?).by_ref();
        given = Some(Elsewhere { addresses, backup_taken_at });
    }
    let replay = host.replay_journal(erasers).await?;
    let replayed = replay.execute(given, *dry_run).await?;
    output.result(&to_json(&replayed, *dry_run), &to_text(&replayed, *dry_run))?;
    // What was compared before the file ended early is done, and was said.
    if let Some(failure) = lines.and_then(|lines| lines.failure) {
        return Err(failure);
    }
    what_failed(replayed).map_or(Ok(()), Err)
}

/// What needs operator action.
fn what_failed(replayed: Replayed) -> Option<Failure> {
    let Replayed { failed, first_failure, damaged, lost, contradictions, .. } = replayed;
    if let Some(first) = first_failure {
        // Nothing was asked for here, so nothing was refused.
        let code = Some(first.code).filter(|code| !code.is_refusal()).unwrap_or(ErrorCode::SystemFailed);
        let message = format!("could not be replayed: {failed}; the first because: {}", first.message);
        return Some(Failure::new(code, message));
    }
    let lost = lost.iter().filter(|lost| lost.made_again.is_none()).count();
    if lost + contradictions.len() > 0 {
        let message = format!(
            "requests that the database has lost: {lost}; processes of which journal and database contradict each other: {}",
            contradictions.len()
        );
        return Some(Failure::new(ErrorCode::DatabaseOlderThanJournal, message));
    }
    let lines: Vec<String> = damaged.iter().take(10).map(i64::to_string).collect();
    (!lines.is_empty()).then(|| {
        let more = if damaged.len() > lines.len() { " …" } else { "" };
        let message = format!(
            "{} entries of the journal cannot be read or are not sealed with this audit key and were left out: {}{more}",
            damaged.len(),
            lines.join(", ")
        );
        Failure::new(ErrorCode::JournalCorrupt, message)
    })
}

fn to_json(replayed: &Replayed, dry_run: bool) -> Value {
    let came_back: Vec<Value> = replayed
        .came_back
        .iter()
        .map(|CameBack { address, deleted_in, action }| match action {
            ReplayAction::Found => json!({"address": address, "deletedIn": deleted_in, "action": "found"}),
            ReplayAction::Started(process) => {
                json!({"address": address, "deletedIn": deleted_in, "action": "started", "processId": process})
            }
            ReplayAction::NewGracePeriodRuns(process) => json!({
                "address": address, "deletedIn": deleted_in, "action": "newGracePeriodRuns", "processId": process,
            }),
            ReplayAction::StillDeleting(process) => json!({
                "address": address, "deletedIn": deleted_in, "action": "stillDeleting", "processId": process,
            }),
        })
        .collect();
    let cancelled_again: Vec<Value> = replayed
        .cancelled_again
        .iter()
        .map(|CancelledAgain { address, process_id }| json!({"address": address, "processId": process_id}))
        .collect();
    let lost: Vec<Value> = replayed
        .lost
        .iter()
        .map(|LostRequest { process_id, address, created_at, grace_period_ends_at, made_again }| {
            json!({
                "processId": process_id, "address": address, "createdAt": created_at,
                "gracePeriodEndsAt": grace_period_ends_at, "madeAgain": made_again,
            })
        })
        .collect();
    json!({
        "dryRun": dry_run,
        "inJournal": replayed.in_journal,
        "inLedger": replayed.deleted,
        "compared": replayed.compared,
        "notAnAddress": replayed.not_an_address,
        "started": started(replayed),
        "failed": replayed.failed,
        "damagedLines": replayed.damaged,
        "cameBack": came_back,
        "cancelledAgain": cancelled_again,
        "accepted": replayed.accepted,
        "lostRequests": lost,
        "contradictions": replayed.contradictions,
        "pauseStoredAgain": replayed.lacked_pause && !dry_run,
    })
}

fn to_text(replayed: &Replayed, dry_run: bool) -> String {
    let mut text = String::new();
    if replayed.lacked_pause {
        text.push_str("Deletions are paused, as the journal has it: the database had lost that\n");
    }
    // Writing to a String cannot fail.
    for CameBack { address, deleted_in, action } in &replayed.came_back {
        let _ = write!(text, "{address}: deleted in {deleted_in}; ");
        let _ = match action {
            ReplayAction::Found => writeln!(text, "came back"),
            ReplayAction::Started(process) => writeln!(text, "is deleted again in {process}"),
            ReplayAction::NewGracePeriodRuns(process) => {
                writeln!(text, "left alone: the grace period of its newer process {process} runs")
            }
            ReplayAction::StillDeleting(process) => {
                writeln!(text, "is still being deleted in {process}: compare again when that is complete")
            }
        };
    }
    for CancelledAgain { address, process_id } in &replayed.cancelled_again {
        let _ = writeln!(text, "{address}: {process_id} had been cancelled, and is again");
    }
    for LostRequest { process_id, address, created_at, grace_period_ends_at, made_again } in &replayed.lost {
        let who = address.as_ref().map_or_else(|| "an identity".to_owned(), ToString::to_string);
        let _ = write!(
            text,
            "{process_id}: {who} had asked at {created_at} to be deleted at {grace_period_ends_at}, which the database has lost"
        );
        let _ = match made_again {
            Some(process) => writeln!(text, "; made again in {process}"),
            None => writeln!(text),
        };
    }
    for process in &replayed.contradictions {
        let _ = writeln!(text, "{process}: journal and database contradict each other; it stays quarantined");
    }
    let Replayed { in_journal, deleted, compared, not_an_address, came_back, failed, damaged, .. } = replayed;
    let _ = writeln!(
        text,
        "Processes in the journal: {in_journal}; cancelled again: {}; no different: {}; requests lost: {}; \
         contradictions: {}",
        replayed.cancelled_again.len(),
        replayed.accepted,
        replayed.lost.len(),
        replayed.contradictions.len(),
    );
    let _ = writeln!(
        text,
        "Deleted identities in the journal: {deleted}; compared: {compared}; not an address: {not_an_address}; \
         came back: {}; deleted again: {}; failed: {failed}; damaged lines: {}",
        came_back.len(),
        started(replayed),
        damaged.len()
    );
    if dry_run {
        text.push_str("Nothing was changed\n");
    }
    text
}

fn started(replayed: &Replayed) -> usize {
    replayed.came_back.iter().filter(|came_back| matches!(came_back.action, ReplayAction::Started(_))).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test_host::{Ledger, TestHost, run_on};

    const RIPE: &str = "did:web:ripe.example";
    const RUNNING: &str = "did:web:running.example";
    const UNKNOWN: &str = "did:web:unknown.example";

    fn host(may_save: bool) -> TestHost {
        TestHost::default().with_ledger(Ledger { ripe: RIPE, running: RUNNING, may_save })
    }

    fn file() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{RIPE}\n\n{RUNNING}\n{UNKNOWN}\nnobody\n")).unwrap();
        file
    }

    async fn replay(may_save: bool, options: &[&str]) -> (Result<(), Failure>, String) {
        let file = file();
        let line = [
            "ledger",
            "replay",
            "--backup-taken-at",
            "2026-01-01T00:00:00Z",
            "--addresses",
            file.path().to_str().unwrap(),
        ];
        run_on(&host(may_save), &[&line[..], options].concat()).await
    }

    #[tokio::test]
    async fn what_came_back_is_deleted_again_and_listed() {
        let (result, out) = replay(true, &[]).await;
        result.unwrap();
        assert_eq!(
            out,
            "did:web:ripe.example: deleted in IDP00000000000000001; is deleted again in IDP00000000000000003\n\
             did:web:running.example: deleted in IDP00000000000000002; left alone: the grace period of its newer \
             process IDP00000000000000004 runs\n\
             Processes in the journal: 2; cancelled again: 0; no different: 0; requests lost: 0; contradictions: 0\n\
             Deleted identities in the journal: 2; compared: 4; not an address: 1; came back: 2; deleted again: 1; \
             failed: 0; damaged lines: 0\n"
        );
    }

    #[tokio::test]
    async fn a_program_is_told_the_same() {
        let (result, out) = replay(true, &["--output", "json"]).await;
        result.unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&out).unwrap(),
            json!({
                "dryRun": false, "inJournal": 2, "inLedger": 2, "compared": 4, "notAnAddress": 1, "started": 1, "failed": 0,
                "damagedLines": [], "cancelledAgain": [], "accepted": 0, "lostRequests": [], "contradictions": [],
                "pauseStoredAgain": false,
                "cameBack": [
                    {
                        "address": RIPE, "deletedIn": "IDP00000000000000001", "action": "started",
                        "processId": "IDP00000000000000003",
                    },
                    {
                        "address": RUNNING, "deletedIn": "IDP00000000000000002", "action": "newGracePeriodRuns",
                        "processId": "IDP00000000000000004",
                    },
                ],
            })
        );
    }

    #[tokio::test]
    async fn a_dry_run_changes_nothing_and_says_so() {
        let (result, out) = replay(false, &["--dry-run"]).await;
        result.unwrap();
        assert!(
            out.starts_with("did:web:ripe.example: deleted in IDP00000000000000001; came back\n"),
            "{out}"
        );
        assert!(
            out.ends_with(
                "came back: 2; deleted again: 0; failed: 0; damaged lines: 0\nNothing was changed\n"
            ),
            "{out}"
        );
        let (result, out) = replay(false, &["--dry-run", "--output", "json"]).await;
        result.unwrap();
        let json: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&json["dryRun"], &json["started"]), (&json!(true), &json!(0)));
        assert_eq!(
            json["cameBack"][0],
            json!({"address": RIPE, "deletedIn": "IDP00000000000000001", "action": "found"})
        );
    }

    #[tokio::test]
    async fn without_a_file_only_what_is_stored_is_compared() {
        let (result, out) = run_on(&host(false), &["ledger", "replay"]).await;
        result.unwrap();
        assert_eq!(
            out,
            "Processes in the journal: 2; cancelled again: 0; no different: 0; requests lost: 0; contradictions: 0\n\
             Deleted identities in the journal: 2; compared: 0; not an address: 0; came back: 0; deleted again: 0; \
             failed: 0; damaged lines: 0\n"
        );
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_opened_is_named_before_anything_is_done() {
        // A host without a ledger panics when it is asked for one.
        let line =
            ["ledger", "replay", "--backup-taken-at", "2026-01-01T00:00:00Z", "--addresses", "/no/such/file"];
        let (result, out) = run_on(&TestHost::default(), &line).await;
        let failure = result.unwrap_err();
        assert_eq!((failure.code, out.as_str()), (ErrorCode::InvalidPropertyValue, ""));
        assert!(failure.message.starts_with("/no/such/file cannot be read: "), "{}", failure.message);
    }

    #[tokio::test]
    async fn a_file_that_ends_early_is_a_failure_after_what_was_done_is_said() {
        // A directory can be opened like a file, and not be read.
        let (result, out) = run_on(
            &host(false),
            &["ledger", "replay", "--backup-taken-at", "2026-01-01T00:00:00Z", "--addresses", "/"],
        )
        .await;
        assert!(result.unwrap_err().message.starts_with("/ cannot be read: "));
        assert!(out.contains("Deleted identities in the journal: 2; compared: 0"), "{out}");
    }
}
