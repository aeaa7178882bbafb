//! The session that the README shows, word for word.

use reprieve_tests::Sandbox;

#[test]
fn a_person_asks_looks_and_changes_their_mind_on_a_fresh_machine() {
    let sandbox = Sandbox::new();

    let init = sandbox.run(["identityDeletion", "init"]).succeeded().stdout;
    let mut lines = init.lines();
    assert_eq!(lines.next(), Some("Identity deletion initiated"));
    let end = lines.next().unwrap();
    assert!(end.starts_with("End of grace period: 20") && end.ends_with("Z (in 14 days)"), "{end}");
    assert_eq!(lines.next(), None);

    let status = sandbox.run(["identity", "status"]).succeeded().stdout;
    let lines: Vec<&str> = status.lines().collect();
    assert!(lines[0].starts_with("Identity Address: did:e:localhost:dids:"), "{status}");
    assert_eq!(lines[1], "Identity deletion status: Active");
    assert_eq!(lines[2], end.replace("in 14 days", "in 13 days and 23 hours"));

    let cancel = sandbox.run(["identityDeletion", "cancel"]).succeeded().stdout;
    assert_eq!(cancel, "Identity deletion cancelled\n");

    let after = sandbox.run(["identity", "status"]).succeeded().stdout;
    assert_eq!(after, format!("{}\n", lines[0]));

    let again = sandbox.run(["identityDeletion", "cancel"]);
    let code = "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess";
    assert!(again.failed(1, code).stderr.starts_with("This command failed with the code '"));
}
