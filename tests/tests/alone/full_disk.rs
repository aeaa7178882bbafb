//! A disk that fills up, at every page: what was acknowledged is kept, what was not leaves nothing, and once there is
//! room again everything goes on.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use reprieve_tests::{Outcome, Sandbox, on_a_small_disk};

const FULL: &str = "error.reprieve.database.full";
const PAGE: u64 = 4096;
const DISK: u32 = 1024;
/// There is room enough once this often in a row there was.
const ENOUGH: [bool; 5] = [true; 5];

/// A file that leaves `pages` free on the disk as long as it is there.
struct Filler(PathBuf);

impl Filler {
    fn leaving(pages: u64, disk: &Path) -> Self {
        let df = Command::new("df").args(["--output=avail", "-B1"]).arg(disk).output().unwrap();
        let available: u64 =
            String::from_utf8(df.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap();
        let mut filler = File::create(disk.join("filler")).unwrap();
        let content = vec![0; usize::try_from(available.saturating_sub(pages * PAGE)).unwrap()];
        filler.write_all(&content).unwrap();
        Self(disk.join("filler"))
    }

    fn remove(self) {
        fs::remove_file(self.0).unwrap();
    }
}

fn fresh(disk: &Path) -> Sandbox {
    let home = disk.join("home");
    let _ = fs::remove_dir_all(&home);
    fs::create_dir(&home).unwrap();
    Sandbox::at(home)
}

/// Either done, or refused because the disk is full.
fn done(outcome: Outcome) -> bool {
    if outcome.code == 0 {
        // The journal, which is on the same disk, may have to wait for room.
        if !outcome.stderr.contains("not in the journal yet") {
            let _ = outcome.succeeded();
        }
        return true;
    }
    // The key file is made only once, beside the database.
    let no_key = outcome.stderr.contains(".audit-key cannot be used: No space left on device");
    let _ = outcome.failed(70, if no_key { "error.reprieve.audit.keyUnusable" } else { FULL });
    false
}

/// Process, audit trail and outbox agree, and the database is sound.
fn assert_consistent(sandbox: &Sandbox, processes: usize, entries: usize) {
    let list = sandbox.json("identityDeletion list");
    assert_eq!(list.as_array().unwrap().len(), processes);
    let verified = sandbox.json("audit verify");
    assert_eq!((&verified["processes"], &verified["entries"]), (&processes.into(), &entries.into()));
    let mut sql = sandbox.sql();
    assert_eq!(sql.text("PRAGMA integrity_check"), "ok");
    assert_eq!(sql.count("outbox"), entries as u64);
}

#[test]
#[ignore = "needs a mount namespace: tests/run"]
fn a_first_command_on_a_disk_that_fills_up_can_be_repeated_when_there_is_room() {
    let name = "full_disk::a_first_command_on_a_disk_that_fills_up_can_be_repeated_when_there_is_room";
    on_a_small_disk(name, DISK, |disk| {
        let mut outcomes = Vec::new();
        for pages in 0..200 {
            if outcomes.ends_with(&ENOUGH) {
                break;
            }
            let sandbox = fresh(disk);
            let filler = Filler::leaving(pages, disk);
            let initiated = done(sandbox.line("identityDeletion init"));
            filler.remove();
            outcomes.push(initiated);
            if !initiated {
                let _ = sandbox.line("identityDeletion init").succeeded();
            }
            assert_consistent(&sandbox, 1, 1);
        }
        assert!(!outcomes[0] && outcomes.ends_with(&ENOUGH) && outcomes.is_sorted(), "{outcomes:?}");
    });
}

#[test]
#[ignore = "needs a mount namespace: tests/run"]
fn a_cancel_on_a_disk_that_fills_up_is_done_or_leaves_nothing() {
    let name = "full_disk::a_cancel_on_a_disk_that_fills_up_is_done_or_leaves_nothing";
    on_a_small_disk(name, DISK, |disk| {
        let mut outcomes = Vec::new();
        for pages in 0..200 {
            if outcomes.ends_with(&ENOUGH) {
                break;
            }
            let sandbox = fresh(disk);
            let active = sandbox.json("identityDeletion init");
            let before = sandbox.sql().dump();
            let filler = Filler::leaving(pages, disk);
            let cancelled = done(sandbox.line("identityDeletion cancel"));
            filler.remove();
            outcomes.push(cancelled);
            if cancelled {
                assert_consistent(&sandbox, 1, 2);
                assert_eq!(sandbox.json("identity status")["status"], "Active");
            } else {
                assert_eq!(sandbox.sql().dump(), before);
                assert_eq!(sandbox.json("identityDeletion show"), active);
                assert_consistent(&sandbox, 1, 1);
                let _ = sandbox.line("identityDeletion cancel").succeeded();
                assert_consistent(&sandbox, 1, 2);
            }
        }
        assert!(!outcomes[0] && outcomes.ends_with(&ENOUGH) && outcomes.is_sorted(), "{outcomes:?}");
    });
}

#[test]
#[ignore = "needs a mount namespace: tests/run"]
fn a_disk_that_is_full_for_good_stops_every_step_and_loses_none() {
    let name = "full_disk::a_disk_that_is_full_for_good_stops_every_step_and_loses_none";
    on_a_small_disk(name, DISK, |disk| {
        let sandbox = fresh(disk);
        // Steps until nothing goes any more; a page becomes free now and then, as on any disk in use.
        let (mut entries, mut refused, mut open) = (0, 0, false);
        let mut filler = Filler::leaving(90, disk);
        while refused < 20 {
            let line = if open { "identityDeletion cancel" } else { "identityDeletion init" };
            if done(sandbox.line(line)) {
                entries += 1;
                open = !open;
            } else {
                refused += 1;
                filler.remove();
                filler = Filler::leaving(refused % 14, disk);
            }
        }
        filler.remove();
        assert!(entries > 0);
        assert_consistent(&sandbox, usize::div_ceil(entries, 2), entries);
        let _ =
            sandbox.line(if open { "identityDeletion cancel" } else { "identityDeletion init" }).succeeded();
    });
}
