//! A database whose files are removed, moved or replaced beneath a running service: nothing is acknowledged that a restart on
//! the configured path would not find.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use reprieve_tests::{Sandbox, Service, Stepper};

use crate::two_faults::Course;

/// How a file that is gone can be brought back: by another name of it.
fn kept(file: &Path) -> PathBuf {
    file.with_file_name("kept")
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(suffix);
    name.into()
}

/// Removes a file, or brings it back.
fn unlink(begin: bool, file: &Path) {
    if begin {
        let _ = fs::remove_file(kept(file));
        fs::hard_link(file, kept(file)).unwrap();
        fs::remove_file(file).unwrap();
    } else {
        fs::rename(kept(file), file).unwrap();
    }
}

/// Moves a file or a folder away, or back.
fn move_away(begin: bool, file: &Path) {
    let away = file.with_extension("away");
    let (from, to) = if begin { (file, &*away) } else { (&*away, file) };
    fs::rename(from, to).unwrap();
}

/// Puts a copy in the place of a file, or the file again.
fn replace(begin: bool, file: &Path) {
    if begin {
        move_away(true, file);
        fs::copy(file.with_extension("away"), file).unwrap();
    } else {
        move_away(false, file);
    }
}

type Fault = fn(bool, &Path);

const UNLINKED: Fault = unlink;
const MOVED: Fault = move_away;
const REPLACED: Fault = replace;
const FOLDER_MOVED: Fault = |begin, database| move_away(begin, database.parent().unwrap());

fn twice_and_put_back(fault: Fault) {
    let sandbox = Sandbox::new();
    let file = sandbox.database_file();
    for people in [1, 8] {
        let mut course = Course::new(&sandbox, people);
        (course.unharmed, course.exactly) = (0, false);
        course.run(&mut |begin, _| fault(begin, &file));
        // The next ones are others.
        fs::remove_dir_all(file.parent().unwrap()).unwrap();
    }
}

/// Whoever is told something while it lasts finds it where the service is configured to look.
fn and_never_put_back(fault: Fault) {
    let sandbox = Sandbox::new();
    sandbox.configure(Stepper::TOML);
    let service = Service::start(&sandbox);
    let mut before = Stepper::new(service.address(), 1);
    assert_eq!(before.until_refused(1, 6), []);
    fault(true, &sandbox.database_file());
    let mut during = Stepper::new(service.address(), 2);
    let refused = (0..20).filter_map(|_| during.step().err()).count();
    service.kill();
    let told = during.told();
    println!("{refused} refused, {} acknowledged", told.steps());
    if sandbox.database_file().is_file() {
        let lost = told.missing_in(&sandbox);
        assert!(lost.is_empty(), "{}", lost.join("\n"));
    } else {
        assert_eq!(told.steps(), 0, "acknowledged, and there is no database at all");
    }
}

/// The log and its index, unlinked one after the other and never put back: whether the service goes on or waits for a restart,
/// it has kept what it has acknowledged, before as well.
fn twice_until_a_restart(suffix: &str) {
    for people in [1, 8] {
        let sandbox = Sandbox::new();
        let file = beside(&sandbox.database_file(), suffix);
        let mut course = Course::new(&sandbox, people);
        (course.unharmed, course.exactly, course.until_restart) = (0, false, true);
        course.run(&mut |begin, _| {
            if begin {
                fs::remove_file(&file).unwrap();
            }
        });
    }
}

#[test]
fn a_log_that_is_unlinked_twice_takes_nothing_along() {
    twice_until_a_restart("-wal");
}

#[test]
fn an_index_that_is_unlinked_twice_takes_nothing_along() {
    twice_until_a_restart("-shm");
}

/// Commands find another index beside the database than the service has. Whoever is told something, finds it.
#[test]
fn an_index_that_is_unlinked_with_commands_beside_the_service() {
    let sandbox = Sandbox::new();
    sandbox.configure(Stepper::TOML);
    let _ = sandbox.line("identity status").succeeded();
    let service = Service::start(&sandbox);
    let mut person = Stepper::new(service.address(), 1);
    assert_eq!(person.until_refused(1, 6), []);
    fs::remove_file(beside(&sandbox.database_file(), "-shm")).unwrap();
    let (mut initiated, mut cancelled) = (0, 0);
    for _ in 0..6 {
        let _ = person.step();
        initiated += usize::from(sandbox.line("identityDeletion init").code == 0);
        let _ = person.step();
        cancelled += usize::from(sandbox.line("identityDeletion cancel").code == 0);
    }
    service.kill();
    let mut found = person.told().missing_in(&sandbox);
    println!("{} steps and {initiated} + {cancelled} commands were acknowledged", person.told().steps());
    let list = sandbox.json("identityDeletion list");
    let of_status =
        |status: &str| list.as_array().unwrap().iter().filter(|one| one["status"] == status).count();
    if list.as_array().unwrap().len() < initiated || of_status("Cancelled") < cancelled {
        found.push(format!(
            "of commands only {} + {} are stored",
            list.as_array().unwrap().len(),
            of_status("Cancelled")
        ));
    }
    let verified = sandbox.line("audit verify");
    if verified.code != 0 {
        found.push(verified.stderr);
    }
    if sandbox.sql().text("PRAGMA integrity_check") != "ok" {
        found.push("the file is damaged".to_owned());
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A restart follows the link, wherever it leads by then.
#[test]
fn a_link_that_comes_to_lead_elsewhere() {
    let sandbox = Sandbox::new();
    sandbox.configure(Stepper::TOML);
    let _ = sandbox.line("identity status").succeeded();
    let link = sandbox.database_file();
    let (one, other) = (link.with_extension("one"), link.with_extension("other"));
    fs::rename(&link, &one).unwrap();
    fs::copy(&one, &other).unwrap();
    symlink(&one, &link).unwrap();
    let service = Service::start(&sandbox);
    let mut person = Stepper::new(service.address(), 1);
    assert_eq!(person.until_refused(1, 6), []);
    for _ in 0..2 {
        fs::remove_file(&link).unwrap();
        symlink(&other, &link).unwrap();
        assert!((0..4).all(|_| person.step().is_err()));
        fs::remove_file(&link).unwrap();
        symlink(&one, &link).unwrap();
        assert_eq!(person.until_refused(1, 6), []);
    }
    service.kill();
    let lost = person.told().missing_in(&sandbox);
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

macro_rules! faults {
    ($($name:ident: $fault:expr;)+) => {
        $(mod $name {
            #[test]
            fn twice_and_put_back() {
                super::twice_and_put_back($fault);
            }

            #[test]
            fn and_never_put_back() {
                super::and_never_put_back($fault);
            }
        })+
    };
}

faults!(
    a_database_that_is_unlinked: super::UNLINKED;
    a_database_that_is_moved: super::MOVED;
    a_database_that_is_replaced_by_a_copy: super::REPLACED;
    a_folder_that_is_moved: super::FOLDER_MOVED;
);
