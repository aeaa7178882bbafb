//! Every command that a person or a script uses, word for word, in text and in JSON.

use reprieve_tests::{Sandbox, on_both_databases};
use serde_json::Value;

const NONE_ACTIVE: &str = "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess";
const OPEN_ALREADY: &str = "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists";

/// An instant as it is printed: `2026-12-07T20:03:07.123456Z`.
fn is_instant(text: &str) -> bool {
    let pattern = "0000-00-00T00:00:00.000000Z";
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 17 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The names of the members in their order; each value has the form its name promises.
fn members(process: &Value) -> Vec<&str> {
    let object = process.as_object().unwrap();
    for (name, value) in object {
        let text = value.as_str().unwrap();
        let sound = match name.as_str() {
            "id" => is_id(text, "IDP"),
            "createdByDevice" | "cancelledByDevice" => is_id(text, "DVC"),
            "createdAt" | "gracePeriodEndsAt" | "cancelledAt" => is_instant(text),
            "status" => ["Active", "Cancelled"].contains(&text),
            _ => false,
        };
        assert!(sound, "{name}: {text}");
    }
    object.keys().map(String::as_str).collect()
}

const ACTIVE: [&str; 5] = ["id", "status", "createdAt", "createdByDevice", "gracePeriodEndsAt"];
const CANCELLED: [&str; 6] =
    ["id", "status", "createdAt", "createdByDevice", "cancelledAt", "cancelledByDevice"];

on_both_databases!(
    the_whole_story_in_text,
    the_whole_story_in_json,
    a_length_may_be_asked_for_in_days_and_fractions,
    once_the_grace_period_is_over_it_says_so_and_cannot_be_cancelled,
    a_failure_in_json_is_one_error_object_on_standard_error,
);

fn the_whole_story_in_text(sandbox: &Sandbox) {
    let fresh = sandbox.line("identity status").succeeded().stdout;
    let address = fresh.strip_prefix("Identity Address: ").unwrap().strip_suffix('\n').unwrap();
    assert!(address.starts_with("did:e:localhost:dids:") && address.len() == 43, "{address}");
    assert_eq!(sandbox.line("identityDeletion list").succeeded().stdout, "No deletion processes\n");
    let _ = sandbox.line("identityDeletion show").failed(1, NONE_ACTIVE);
    let _ = sandbox.line("identityDeletion cancel").failed(1, NONE_ACTIVE);

    let init = sandbox.line("identityDeletion init").succeeded().stdout;
    let lines: Vec<&str> = init.lines().collect();
    let end = lines[1].strip_prefix("End of grace period: ").unwrap();
    let end = end.strip_suffix(" (in 14 days)").unwrap();
    assert!(lines.len() == 2 && lines[0] == "Identity deletion initiated" && is_instant(end), "{init}");
    let _ = sandbox.line("identityDeletion init").failed(1, OPEN_ALREADY);

    let end_line = format!("End of grace period: {end} (in 13 days and 23 hours)");
    let status = sandbox.line("identity status").succeeded().stdout;
    assert_eq!(
        status,
        format!("Identity Address: {address}\nIdentity deletion status: Active\n{end_line}\n")
    );

    let show = sandbox.line("identityDeletion show").succeeded().stdout;
    let lines: Vec<&str> = show.lines().collect();
    let id = lines[0].strip_prefix("Id: ").unwrap();
    let created_at = lines[2].strip_prefix("Created at: ").unwrap();
    let device = lines[3].strip_prefix("Created by device: ").unwrap();
    assert!(is_id(id, "IDP") && is_instant(created_at) && is_id(device, "DVC"), "{show}");
    assert_eq!((lines.len(), lines[1], lines[4]), (5, "Status: Active", end_line.as_str()));
    assert_eq!(sandbox.run(["identityDeletion", "show", id]).succeeded().stdout, show);

    let list = sandbox.line("identityDeletion list").succeeded().stdout;
    let heading = format!("{:<20}  Status     {:<27}  Ends or cancelled at\n", "Id", "Created at");
    assert_eq!(list, format!("{heading}{id}  Active     {created_at}  {end}\n"));

    assert_eq!(sandbox.line("identityDeletion cancel").succeeded().stdout, "Identity deletion cancelled\n");
    assert_eq!(sandbox.line("identity status").succeeded().stdout, fresh);
    let _ = sandbox.line("identityDeletion show").failed(1, NONE_ACTIVE);

    let show = sandbox.run(["identityDeletion", "show", id]).succeeded().stdout;
    let lines: Vec<&str> = show.lines().collect();
    let cancelled_at = lines[4].strip_prefix("Cancelled at: ").unwrap();
    assert!(is_instant(cancelled_at) && cancelled_at > created_at, "{show}");
    assert_eq!(
        (lines[1], lines[5]),
        ("Status: Cancelled", format!("Cancelled by device: {device}").as_str())
    );
    let list = sandbox.line("identityDeletion list").succeeded().stdout;
    assert_eq!(list, format!("{heading}{id}  Cancelled  {created_at}  {cancelled_at}\n"));

    let verified = sandbox.line("audit verify").succeeded().stdout;
    // And whether it was compared with a journal, which there need not be.
    assert!(verified.starts_with("Audit trail verified: 2 entries of 1 deletion processes\n"), "{verified}");
    assert_eq!(sandbox.line("database migrate").succeeded().stdout, "Database is up to date\n");
}

fn the_whole_story_in_json(sandbox: &Sandbox) {
    let fresh = sandbox.json("identity status");
    let names: Vec<&String> = fresh.as_object().unwrap().keys().collect();
    assert_eq!(names, ["address", "device", "status"]);
    assert_eq!(fresh["status"], "Active");
    assert_eq!(sandbox.json("identityDeletion list"), serde_json::json!([]));

    let active = sandbox.json("identityDeletion init");
    assert_eq!(members(&active), ACTIVE);
    assert_eq!((&active["status"], &active["createdByDevice"]), (&"Active".into(), &fresh["device"]));
    assert_eq!(sandbox.json("identityDeletion show"), active);

    let status = sandbox.json("identity status");
    let names: Vec<&String> = status.as_object().unwrap().keys().collect();
    assert_eq!(names, ["address", "device", "status", "identityDeletionProcess"]);
    assert_eq!((&status["address"], &status["status"]), (&fresh["address"], &"ToBeDeleted".into()));
    assert_eq!(status["identityDeletionProcess"], active);

    let cancelled = sandbox.json("identityDeletion cancel");
    assert_eq!(members(&cancelled), CANCELLED);
    for name in ["id", "createdAt", "createdByDevice"] {
        assert_eq!(cancelled[name], active[name]);
    }
    assert_eq!(cancelled["cancelledByDevice"], fresh["device"]);
    assert_eq!(sandbox.json("identity status"), fresh);

    let id = cancelled["id"].as_str().unwrap();
    assert_eq!(sandbox.json(&format!("identityDeletion show {id}")), cancelled);
    let second = sandbox.json("identityDeletion init");
    // The oldest first.
    assert_eq!(sandbox.json("identityDeletion list"), serde_json::json!([cancelled, second]));

    let verified = sandbox.json("audit verify");
    assert_eq!((&verified["verified"], &verified["processes"]), (&true.into(), &2.into()));
    assert_eq!(verified["entries"], 3);
    assert_eq!(sandbox.json("database migrate"), serde_json::json!({"applied": []}));
}

fn a_length_may_be_asked_for_in_days_and_fractions(sandbox: &Sandbox) {
    for (days, micros, words) in [
        ("1", 86_400_000_000_i64, "1 day"),
        ("365", 365 * 86_400_000_000, "365 days"),
        ("1.5", 129_600_000_000, "1 day and 12 hours"),
        ("1e1", 864_000_000_000, "10 days"),
        // Rounded to the nearest microsecond.
        ("1.00000000001", 86_400_000_001, "1 day"),
    ] {
        let line = format!("identityDeletion init --grace-period-in-days {days}");
        let text = sandbox.line(&line).succeeded().stdout;
        assert!(text.ends_with(&format!(" (in {words})\n")), "{days}: {text}");
        let stored = sandbox.sql().text(
            "SELECT CAST(grace_period_ends_at - created_at AS TEXT) FROM deletion_processes WHERE status = 'Active'",
        );
        assert_eq!(stored, micros.to_string(), "{days}");
        let _ = sandbox.line("identityDeletion cancel").succeeded();
    }
}

fn once_the_grace_period_is_over_it_says_so_and_cannot_be_cancelled(sandbox: &Sandbox) {
    let tiny = sandbox.variant().with("REPRIEVE__GRACE_PERIOD__MINIMUM_IN_DAYS", "0.00000000001");
    let active = tiny.json("identityDeletion init --grace-period-in-days 0.00000000001");
    let end = active["gracePeriodEndsAt"].as_str().unwrap();
    let line = format!("End of grace period: {end} (it is over: the deletion can no longer be cancelled)\n");
    assert!(sandbox.line("identity status").succeeded().stdout.ends_with(&line));
    assert!(sandbox.line("identityDeletion show").succeeded().stdout.ends_with(&line));

    let before = sandbox.sql().dump();
    let late = sandbox.line("identityDeletion cancel");
    let late = late.failed(1, "error.platform.validation.device.gracePeriodHasAlreadyExpired");
    assert!(late.stderr.contains(end), "the message says when it ended: {late:?}");
    assert_eq!(sandbox.sql().dump(), before);
}

fn a_failure_in_json_is_one_error_object_on_standard_error(sandbox: &Sandbox) {
    for (line, exit_code, code) in [
        ("identityDeletion cancel", 1, NONE_ACTIVE),
        ("identityDeletion show", 1, NONE_ACTIVE),
        ("identityDeletion show x", 1, "error.runtime.validation.invalidPropertyValue"),
        ("identityDeletion show IDPaaaaaaaaaaaaaaaaa", 1, "error.runtime.recordNotFound"),
        (
            "identityDeletion init --grace-period-in-days x",
            1,
            "error.runtime.validation.invalidPropertyValue",
        ),
        ("identity status --config none.toml", 1, "error.reprieve.configuration.invalid"),
        ("identity status --database-url sqlite:.", 70, "error.reprieve.database.unavailable"),
    ] {
        let outcome = sandbox.run(line.split(' ').chain(["--output", "json"]));
        assert_eq!((outcome.code, outcome.stdout.as_str()), (exit_code, ""), "{line}");
        let error: Value = serde_json::from_str(&outcome.stderr).unwrap();
        let names: Vec<&String> = error["error"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["code", "message"], "{line}");
        assert_eq!((error.as_object().unwrap().len(), &error["error"]["code"]), (1, &code.into()), "{line}");

        // The same in words.
        let text = sandbox.line(line).failed(exit_code, code).stderr;
        let message = error["error"]["message"].as_str().unwrap();
        assert_eq!(
            text,
            format!("This command failed with the code '{code}' and the message '{message}'.\n")
        );
    }
}
