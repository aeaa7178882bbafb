//! A database that a newer version has migrated is left alone.

use reprieve_tests::{Sandbox, on_both_databases};

const NEWER: &str = "error.reprieve.database.newerVersion";

on_both_databases!(a_database_of_a_newer_version_is_refused_by_name_and_left_alone,);

fn a_database_of_a_newer_version_is_refused_by_name_and_left_alone(sandbox: &Sandbox) {
    let _ = sandbox.line("identityDeletion init").succeeded();
    let applied = sandbox.sql().texts("SELECT version FROM seaql_migrations ORDER BY version");
    for future in ["m21000101_000001_travel_in_time", "m20000101_000001_before_all_others"] {
        sandbox.sql().execute(&format!("INSERT INTO seaql_migrations VALUES ('{future}', 1)"));
        let before = (sandbox.sql().dump(), sandbox.files());
        for line in [
            "identity status",
            "identityDeletion init",
            "identityDeletion cancel",
            "identityDeletion show",
            "identityDeletion list",
            "audit verify",
            "database migrate",
        ] {
            let outcome = sandbox.line(line).failed(70, NEWER);
            assert!(outcome.stderr.contains(future), "{outcome:?}");
        }
        assert_eq!((sandbox.sql().dump(), sandbox.files()), before);
        sandbox.sql().execute(&format!("DELETE FROM seaql_migrations WHERE version = '{future}'"));
    }
    assert_eq!(sandbox.sql().texts("SELECT version FROM seaql_migrations ORDER BY version"), applied);
    let _ = sandbox.line("identityDeletion cancel").succeeded();
}
