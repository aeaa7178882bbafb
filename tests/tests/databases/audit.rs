//! Whatever is done to the audit trail behind the binary's back, `audit verify` sees and names it.

use std::fs;

use reprieve_tests::{Sandbox, Sql, on_both_databases};

const BROKEN: &str = "error.reprieve.audit.trailBroken";

/// Bytes that nobody wrote, in the dialect at hand.
fn bytes(sql: &Sql) -> &'static str {
    if sql.is_postgres() { "decode('00ff', 'hex')" } else { "x'00ff'" }
}

/// What is put back: the processes before the steps that are to be journaled, because a trigger adds to those.
const TABLES: [&str; 3] = ["audit_entries", "deletion_processes", "unjournaled_steps"];

/// Tampers in a copy of the rows; verifying must name what `named` says. Then everything is put back.
fn assert_seen(sandbox: &Sandbox, tampering: &str, named: &str) {
    let mut sql = sandbox.sql();
    sql.drop_triggers();
    let dump = sql.dump();
    for table in TABLES {
        sql.execute(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}"));
    }
    assert!(sql.execute(tampering) > 0, "{tampering} does nothing");
    let outcome = sandbox.line("audit verify").failed(1, BROKEN);
    assert!(outcome.stderr.contains(named), "{tampering}: {named}: {outcome:?}");
    for table in TABLES {
        sql.execute(&format!(
            "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}; DROP TABLE kept_{table}"
        ));
    }
    assert_eq!(sql.dump(), dump);
}

/// Two processes; returns the ids of the cancelled and of the active one.
fn with_a_trail(sandbox: &Sandbox) -> (String, String) {
    let id = |line| sandbox.json(line)["id"].as_str().unwrap().to_owned();
    let cancelled = id("identityDeletion init");
    assert_eq!(id("identityDeletion cancel"), cancelled);
    let active = id("identityDeletion init");
    assert_eq!(sandbox.json("audit verify")["entries"], 3);
    (cancelled, active)
}

on_both_databases!(
    a_changed_entry_is_named,
    a_removed_entry_is_named,
    an_inserted_entry_is_named,
    a_process_that_is_not_what_its_trail_says_is_named,
    addresses_and_devices_are_nowhere_in_the_trail,
    another_or_no_audit_key_is_refused_and_none_is_made,
);

fn a_changed_entry_is_named(sandbox: &Sandbox) {
    let (id, _) = with_a_trail(sandbox);
    let bytes = bytes(&sandbox.sql());
    for column in sandbox.sql().columns("audit_entries") {
        let value = match column.as_str() {
            // They say which entry it is: tampering with them removes or inserts.
            "process_id" | "sequence" => continue,
            "created_at" => "created_at + 1",
            "additional_data" => "additional_data || ' '",
            "identity_hash" | "device_hash" | "hash" => bytes,
            // Texts, and a column that is still to come.
            _ => "'Deleted'",
        };
        for sequence in [1, 2] {
            let tampering = format!(
                "UPDATE audit_entries SET {column} = {value} WHERE process_id = '{id}' AND sequence = {sequence}"
            );
            assert_seen(sandbox, &tampering, &format!("entry {sequence} of process {id} was changed"));
        }
    }
    for column in ["old_status", "device_hash"] {
        let tampering =
            format!("UPDATE audit_entries SET {column} = NULL WHERE process_id = '{id}' AND sequence = 2");
        assert_seen(sandbox, &tampering, &format!("entry 2 of process {id} was changed"));
    }
    let order = format!("UPDATE audit_entries SET sequence = 3 - sequence WHERE process_id = '{id}'");
    // SQLite checks keys row by row.
    let order = if sandbox.sql().is_postgres() {
        "ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_pkey; ".to_owned() + &order
    } else {
        format!(
            "UPDATE audit_entries SET sequence = -sequence WHERE process_id = '{id}';
             UPDATE audit_entries SET sequence = 3 + sequence WHERE process_id = '{id}'"
        )
    };
    assert_seen(sandbox, &order, &format!("entry 1 of process {id} was changed"));
}

fn a_removed_entry_is_named(sandbox: &Sandbox) {
    let (id, active) = with_a_trail(sandbox);
    for (tampering, named) in [
        (
            "DELETE FROM audit_entries WHERE process_id = 'ID' AND sequence = 1",
            "entry 1 of process ID was removed",
        ),
        (
            "DELETE FROM audit_entries WHERE process_id = 'ID' AND sequence = 2",
            "entry 2 of process ID was removed",
        ),
        ("DELETE FROM audit_entries WHERE process_id = 'ID'", "entry 1 of process ID was removed"),
        (
            "UPDATE audit_entries SET sequence = 3 WHERE process_id = 'ID' AND sequence = 2",
            "entry 2 of process ID was removed",
        ),
        // The whole trail, and with it two processes.
        ("DELETE FROM audit_entries", "one more process has a fault"),
    ] {
        assert_seen(sandbox, &tampering.replace("'ID'", &format!("'{id}'")), &named.replace("ID", &id));
    }
    // Cut off at the end and the process put back to match, which needs the other one out of the way.
    let cut_off = format!(
        "DELETE FROM deletion_processes WHERE id = '{active}';
         DELETE FROM audit_entries WHERE process_id = '{active}' OR sequence = 2;
         UPDATE deletion_processes SET revision = 1, status = 'Active', cancelled_at = NULL,
            cancelled_by_device = NULL, audit_head = (SELECT hash FROM audit_entries)"
    );
    assert_seen(sandbox, &cut_off, &format!("entry 2 of process {id} was removed"));
}

fn an_inserted_entry_is_named(sandbox: &Sandbox) {
    let (id, _) = with_a_trail(sandbox);
    let columns =
        "created_at, old_status, new_status, message_key, additional_data, identity_hash, device_hash, hash";
    let copy = |process: &str, sequence: i32| {
        format!(
            "INSERT INTO audit_entries (process_id, sequence, {columns})
             SELECT '{process}', {sequence}, {columns} FROM audit_entries WHERE process_id = '{id}' AND sequence = 2"
        )
    };
    for sequence in [3, 4, 99] {
        assert_seen(sandbox, &copy(&id, sequence), &format!("entry {sequence} of process {id} was inserted"));
    }
    for sequence in [0, -1] {
        assert_seen(sandbox, &copy(&id, sequence), &format!("entry {sequence} of process {id} was inserted"));
    }
    // For a process that does not exist.
    let nobody = "IDPzzzzzzzzzzzzzzzzz";
    assert_seen(sandbox, &copy(nobody, 1), &format!("entry 1 of process {nobody} was inserted"));
    // With the process adjusted, so that the number of entries is right.
    let adjusted = format!("{}; UPDATE deletion_processes SET revision = 3 WHERE id = '{id}'", copy(&id, 3));
    assert_seen(sandbox, &adjusted, &format!("entry 3 of process {id} was changed"));
}

fn a_process_that_is_not_what_its_trail_says_is_named(sandbox: &Sandbox) {
    let (id, active) = with_a_trail(sandbox);
    let bytes = bytes(&sandbox.sql());
    for (change, named) in [
        ("status = 'Deleted'", "process ID is not what its audit entry 2 says"),
        ("grace_period_ends_at = grace_period_ends_at + 1", "process ID is not what its audit entry 1 says"),
        ("grace_period_ends_at = -1", "process ID is not what its audit entry 1 says"),
        ("revision = 1", "entry 2 of process ID was inserted"),
        ("revision = 3", "entry 3 of process ID was removed"),
        ("revision = 9223372036854775807", "entry 3 of process ID was removed"),
        ("revision = -9223372036854775808", "entry 1 of process ID was inserted"),
        ("revision = 0", "entry 1 of process ID was inserted"),
        (&format!("audit_head = {bytes}"), "entry 3 of process ID was removed"),
        (&format!("audit_seal = {bytes}"), "entry 3 of process ID was removed"),
    ] {
        let tampering = format!("UPDATE deletion_processes SET {change} WHERE id = '{id}'");
        assert_seen(sandbox, &tampering, &named.replace("ID", &id));
    }
    let odd = format!("UPDATE deletion_processes SET status = 'Odd' WHERE id = '{active}'");
    assert_seen(sandbox, &odd, &format!("process {active} is not what its audit entry 1 says"));
    let removed = format!("DELETE FROM deletion_processes WHERE id = '{id}'");
    assert_seen(sandbox, &removed, &format!("entry 1 of process {id} was inserted"));
}

fn addresses_and_devices_are_nowhere_in_the_trail(sandbox: &Sandbox) {
    with_a_trail(sandbox);
    let identity = sandbox.json("identity status");
    let address = identity["address"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let device = identity["device"].as_str().unwrap().to_owned();
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let trail = sandbox.sql().rows("audit_entries").join("\n").to_lowercase();
    for personal in [&address, &hex(&address), &device, &hex(&device)] {
        assert!(!trail.contains(&personal.to_lowercase()), "{personal} is in {trail}");
    }
    // Of the same identity and device, so that the trail can be followed, but not to whom.
    let mut sql = sandbox.sql();
    for column in ["identity_hash", "device_hash"] {
        assert_eq!(sql.count(&format!("(SELECT DISTINCT {column} FROM audit_entries) AS hashes")), 1);
    }
}

fn another_or_no_audit_key_is_refused_and_none_is_made(sandbox: &Sandbox) {
    with_a_trail(sandbox);
    let key_file =
        sandbox.files().into_keys().find(|file| file.to_str().unwrap().ends_with("audit-key")).unwrap();
    let key = fs::read_to_string(&key_file).unwrap();
    let before = sandbox.sql().dump();
    let commands = ["audit verify", "identity status", "identityDeletion cancel", "identityDeletion init"];
    let all_refused = |code: &str| {
        for line in commands {
            let _ = sandbox.line(line).failed(70, code);
        }
        assert_eq!(sandbox.sql().dump(), before);
    };

    fs::remove_file(&key_file).unwrap();
    all_refused("error.reprieve.audit.keyUnusable");
    assert!(!key_file.exists(), "a new key would be none");
    fs::write(&key_file, "8f1c0d3b5a79624ee0d1b2c3a4958677fedcba98765432100123456789abcdef\n").unwrap();
    all_refused("error.reprieve.audit.keyMismatch");
    for broken in ["", "hunter2", &key[1..], &"00".repeat(32), "\u{e9}"] {
        fs::write(&key_file, broken).unwrap();
        all_refused("error.reprieve.audit.keyUnusable");
    }
    fs::remove_file(&key_file).unwrap();
    fs::create_dir(&key_file).unwrap();
    all_refused("error.reprieve.audit.keyUnusable");
    fs::remove_dir(&key_file).unwrap();
    fs::write(&key_file, key).unwrap();
    assert_eq!(sandbox.json("audit verify")["entries"], 3);
}
