//! A device that fails beneath a running service, as an ordinary user can have it: a small library between the binary and
//! the system says what the device would.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use reprieve_tests::Sandbox;
use tempfile::TempDir;

use crate::two_faults::Course;

/// The library, built once. It goes away with the process of the tests.
fn library() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/failing_files.c");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.path().join("failing_files.so"))
            .arg(source);
        let status = compiler.arg("-ldl").status().unwrap();
        assert!(status.success(), "{compiler:?}: {status}");
        folder
    });
    folder.path().join("failing_files.so")
}

/// `fails` is a kind of call and the number of the error.
fn fails_twice(fails: &str, people: u64) {
    let sandbox = Sandbox::new();
    let told = sandbox.home().join("fails");
    let mut course = Course::new(&sandbox, people);
    course.command.env("LD_PRELOAD", library()).env("FAILING_FILES", &told);
    course.unharmed = 0;
    // What could not be made durable may be there all the same.
    course.exactly = !fails.starts_with("sync");
    course.run(&mut |begin, _| {
        if begin { fs::write(&told, fails).unwrap() } else { fs::remove_file(&told).unwrap() }
    });
}

#[test]
fn a_device_that_cannot_write_loses_nothing_that_one_person_was_told() {
    fails_twice("write 5", 1);
}

#[test]
fn a_device_that_cannot_write_loses_nothing_that_eight_people_were_told() {
    fails_twice("write 5", 8);
}

#[test]
fn a_device_that_cannot_make_durable_loses_nothing_that_one_person_was_told() {
    fails_twice("sync 5", 1);
}

#[test]
fn a_device_that_cannot_make_durable_loses_nothing_that_eight_people_were_told() {
    fails_twice("sync 5", 8);
}

/// As network file systems do.
#[test]
fn a_device_that_is_full_only_when_asked_for_durability_loses_nothing() {
    fails_twice("sync 28", 8);
}

/// EDQUOT.
#[test]
fn a_quota_that_is_used_up_loses_nothing() {
    fails_twice("write 122", 8);
}
