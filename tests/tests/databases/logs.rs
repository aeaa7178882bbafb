//! No personal data and no secret in logs, whatever is done and however much is logged.

use reprieve_tests::Sandbox;

const AUDIT_KEY: &str = "8f1c0d3b5a79624ee0d1b2c3a4958677fedcba98765432100123456789abcdef";

/// What nobody may find in a log: the own identity's texts and keys, in the forms in which programs print bytes.
fn forbidden(sandbox: &Sandbox) -> Vec<String> {
    let mut sql = sandbox.sql();
    let address = sql.text("SELECT address FROM own_identity");
    let mut forbidden = vec![AUDIT_KEY.to_owned(), sql.text("SELECT device FROM own_identity")];
    // The part of an address that identifies somebody, whatever stands before it.
    forbidden.push(address.rsplit(':').next().unwrap().to_owned());
    for key in ["secret_key", "public_key"] {
        let hex = if sql.is_postgres() { format!("encode({key}, 'hex')") } else { format!("hex({key})") };
        let hex = sql.text(&format!("SELECT {hex} FROM own_identity"));
        forbidden.push(as_list(&hex));
        forbidden.push(hex);
    }
    forbidden
}

/// The bytes as `Debug` prints them, without the brackets.
fn as_list(hex: &str) -> String {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap().to_string();
    (0..hex.len()).step_by(2).map(byte).collect::<Vec<_>>().join(", ")
}

/// Runs every command of a story, failures included; returns all that was written on standard error.
fn story(sandbox: &Sandbox) -> String {
    let mut log = String::new();
    for line in [
        "identity status",
        "identityDeletion show",
        "identityDeletion cancel",
        "identityDeletion init",
        "identityDeletion init",
        "identityDeletion show",
        "identityDeletion show x",
        "identityDeletion show IDPaaaaaaaaaaaaaaaaa",
        "identityDeletion list",
        "identity status",
        "identityDeletion cancel",
        "identityDeletion cancel",
        "identityDeletion init --grace-period-in-days x",
        "identityDeletion init --grace-period-in-days 0",
        "audit verify",
        "database migrate",
        "config show",
    ] {
        for output in ["text", "json"] {
            let outcome = sandbox.run(line.split(' ').chain(["-vvv", "--output", output]));
            assert!([0, 1].contains(&outcome.code), "{line}: {outcome:?}");
            log.push_str(&outcome.stderr);
        }
    }
    // Damage of every kind, whose report must not quote the row.
    let mut sql = sandbox.sql();
    for (damage, repair) in [
        (
            "UPDATE deletion_processes SET status = 'Odd'",
            "UPDATE deletion_processes SET status = 'Cancelled'",
        ),
        ("UPDATE audit_entries SET message_key = 'Odd' WHERE sequence = 1", ""),
        (
            "UPDATE own_identity SET device = device || '!'",
            "UPDATE own_identity SET device = substr(device, 1, 20)",
        ),
        ("UPDATE own_identity SET address = address || '!'", ""),
    ] {
        sql.execute(damage);
        for line in ["identity status", "identityDeletion list", "audit verify"] {
            log.push_str(&sandbox.run(line.split(' ').chain(["-vvv"])).stderr);
        }
        if !repair.is_empty() {
            sql.execute(repair);
        }
    }
    log
}

fn assert_clean(log: &str, forbidden: &[String]) {
    // Something is logged at all, and the damage was seen.
    for expected in ["connected", "error.reprieve.database.corrupt", "error.reprieve.audit.trailBroken"] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    let lower = log.to_lowercase();
    for text in forbidden {
        assert!(!lower.contains(&text.to_lowercase()), "{text} is in the log:\n{log}");
    }
}

fn leave_nothing_behind(sandbox: &Sandbox, also_forbidden: &str) {
    let _ = sandbox.line("identity status").succeeded();
    let mut forbidden = forbidden(sandbox);
    forbidden.push(also_forbidden.to_owned());
    assert_clean(&story(sandbox), &forbidden);
}

#[test]
fn logs_have_no_personal_data_and_no_secret_on_sqlite() {
    let sandbox = Sandbox::new().with("RUST_LOG", "trace").with("REPRIEVE__AUDIT__KEY", AUDIT_KEY);
    leave_nothing_behind(&sandbox, AUDIT_KEY);
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn logs_have_no_personal_data_and_no_secret_on_postgres() {
    let sandbox = Sandbox::postgres().with("RUST_LOG", "trace").with("REPRIEVE__AUDIT__KEY", AUDIT_KEY);
    // As a parameter, because the URL may have a password already; a server that trusts takes any.
    let url = sandbox.database_url();
    let separator = if url.contains('?') { '&' } else { '?' };
    let sandbox = sandbox.on(format!("{url}{separator}password=hunter2"));
    leave_nothing_behind(&sandbox, "hunter2");
}
