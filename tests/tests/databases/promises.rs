//! Retries are safe, a deadline once promised never moves, and nobody touches another's process.

use reprieve_tests::{Sandbox, on_both_databases};

const OPEN_ALREADY: &str = "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists";
const NONE_ACTIVE: &str = "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess";
const NOT_FOUND: &str = "error.runtime.recordNotFound";

on_both_databases!(
    initiating_again_never_moves_a_deadline,
    changed_settings_never_move_a_deadline,
    cancelling_again_is_refused_and_changes_nothing,
    somebody_elses_process_looks_like_none,
    the_own_identity_stays_the_same_whatever_is_configured_later,
);

fn initiating_again_never_moves_a_deadline(sandbox: &Sandbox) {
    let active = sandbox.json("identityDeletion init");
    let before = sandbox.sql().dump();
    for line in [
        "identityDeletion init",
        "identityDeletion init",
        "identityDeletion init --grace-period-in-days 1",
        "identityDeletion init --grace-period-in-days 365",
    ] {
        let _ = sandbox.line(line).failed(1, OPEN_ALREADY);
    }
    assert_eq!(sandbox.sql().dump(), before);
    assert_eq!(sandbox.json("identityDeletion show"), active);
}

fn changed_settings_never_move_a_deadline(sandbox: &Sandbox) {
    let active = sandbox.json("identityDeletion init");
    let before = sandbox.sql().dump();
    for (default, minimum, maximum) in
        [("1", "1", "365"), ("300", "1", "365"), ("30", "20", "40"), ("2", "1", "3")]
    {
        let changed = sandbox
            .variant()
            .with("REPRIEVE__GRACE_PERIOD__DEFAULT_IN_DAYS", default)
            .with("REPRIEVE__GRACE_PERIOD__MINIMUM_IN_DAYS", minimum)
            .with("REPRIEVE__GRACE_PERIOD__MAXIMUM_IN_DAYS", maximum);
        assert_eq!(changed.json("identityDeletion show"), active);
        let _ = changed.line("identityDeletion init").failed(1, OPEN_ALREADY);
        assert_eq!(changed.json("audit verify")["verified"], true);
    }
    assert_eq!(sandbox.sql().dump(), before);
}

fn cancelling_again_is_refused_and_changes_nothing(sandbox: &Sandbox) {
    let _ = sandbox.line("identityDeletion init").succeeded();
    let cancelled = sandbox.json("identityDeletion cancel");
    let before = sandbox.sql().dump();
    for _ in 0..3 {
        let _ = sandbox.line("identityDeletion cancel").failed(1, NONE_ACTIVE);
    }
    assert_eq!(sandbox.sql().dump(), before);
    assert_eq!(sandbox.json("identityDeletion list"), serde_json::json!([cancelled]));
    // It can be asked for again; that is another process.
    let second = sandbox.json("identityDeletion init");
    assert_ne!(second["id"], cancelled["id"]);
    assert_eq!(sandbox.json("identityDeletion list"), serde_json::json!([cancelled, second]));
}

fn somebody_elses_process_looks_like_none(sandbox: &Sandbox) {
    let own = sandbox.json("identityDeletion init");
    let others = own["id"].as_str().unwrap().to_owned();
    // It becomes somebody else's.
    sandbox.sql().execute("UPDATE deletion_processes SET address = 'did:web:other.example'");
    let before = sandbox.sql().dump();

    let theirs = sandbox.line(&format!("identityDeletion show {others}")).failed(1, NOT_FOUND);
    let nobodys = sandbox.line("identityDeletion show IDPzzzzzzzzzzzzzzzzz").failed(1, NOT_FOUND);
    assert_eq!(theirs.stderr.replace(&others, "IDPzzzzzzzzzzzzzzzzz"), nobodys.stderr);
    assert_eq!(sandbox.json("identityDeletion list"), serde_json::json!([]));
    assert_eq!(sandbox.json("identity status")["status"], "Active");
    let _ = sandbox.line("identityDeletion show").failed(1, NONE_ACTIVE);
    let _ = sandbox.line("identityDeletion cancel").failed(1, NONE_ACTIVE);
    assert_eq!(sandbox.sql().dump(), before);

    // And it is in nobody's way.
    let _ = sandbox.line("identityDeletion init").succeeded();
    let _ = sandbox.line("identityDeletion cancel").succeeded();
    let left =
        "deletion_processes WHERE address = 'did:web:other.example' AND status = 'Active' AND revision = 1";
    assert_eq!(sandbox.sql().count(left), 1);
}

fn the_own_identity_stays_the_same_whatever_is_configured_later(sandbox: &Sandbox) {
    let identity = sandbox.json("identity status");
    let other = sandbox.variant().with("REPRIEVE__IDENTITY__DOMAIN", "other.example");
    assert_eq!(other.json("identity status"), identity);
}

#[test]
fn database_and_key_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let _ = sandbox.line("identityDeletion init").succeeded();
    // While somebody has it open there are more files.
    let mut open = sandbox.sql();
    open.execute("PRAGMA user_version = 0");
    let _ = sandbox.line("identityDeletion cancel").succeeded();
    let files = sandbox.files();
    assert_eq!(files.keys().filter(|file| file.is_file()).count(), 5, "{files:?}");
    for (path, content) in &files {
        let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if content.is_some() { 0o600 } else { 0o700 }, "{path:?}");
    }
}
