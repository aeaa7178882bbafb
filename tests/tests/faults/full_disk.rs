//! A disk without room beneath a running service.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reprieve_tests::{Sandbox, Service, Stepper, Told, on_a_small_disk};

use crate::two_faults::{Course, all_go_on};

const DISK: u32 = 8 << 10;

/// Takes all the room, up to the last block.
pub(crate) fn fill(filler: &Path) {
    let mut file = File::create(filler).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    // Some file systems give away room before they have it.
    let _ = file.sync_all();
}

/// A home folder on a disk, which is filled and emptied again.
pub(crate) fn filled_up_twice(disk: &Path, people: u64, prepare: impl FnOnce(&mut Course, &Path)) {
    let home = disk.join("home");
    fs::create_dir(&home).unwrap();
    let sandbox = Sandbox::at(home);
    let mut course = Course::new(&sandbox, people);
    prepare(&mut course, disk);
    let filler: PathBuf = disk.join("filler");
    course.run(&mut |begin, _| if begin { fill(&filler) } else { fs::remove_file(&filler).unwrap() });
}

#[test]
#[ignore = "needs a mount namespace: tests/run"]
fn what_one_person_is_told_is_stored() {
    on_a_small_disk("full_disk::what_one_person_is_told_is_stored", DISK, |disk| {
        filled_up_twice(disk, 1, |_, _| {});
    });
}

#[test]
#[ignore = "needs a mount namespace: tests/run"]
fn what_eight_people_are_told_is_stored() {
    on_a_small_disk("full_disk::what_eight_people_are_told_is_stored", DISK, |disk| {
        filled_up_twice(disk, 8, |_, _| {});
    });
}

/// Who cannot write the log either must not fall over it.
#[test]
#[ignore = "needs a mount namespace: tests/run"]
fn a_service_whose_log_is_on_the_full_disk_goes_on() {
    on_a_small_disk("full_disk::a_service_whose_log_is_on_the_full_disk_goes_on", DISK, |disk| {
        filled_up_twice(disk, 8, |course, disk| {
            let plain = &course.command;
            let mut logging = std::process::Command::new("sh");
            logging.args(["-c", "exec \"$@\" 2> \"$LOG\"", "sh"]).arg(plain.get_program());
            logging.args(plain.get_args()).arg("-vv").env_clear().env("LOG", disk.join("log"));
            logging.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
            logging.env("PATH", "/usr/bin:/bin").current_dir(course.sandbox.home());
            course.command = logging;
        });
    });
}

/// Whoever runs passes of workers instead of a service.
#[test]
#[ignore = "needs a mount namespace: tests/run"]
fn a_pass_that_was_refused_twice_is_made_up_for() {
    on_a_small_disk("full_disk::a_pass_that_was_refused_twice_is_made_up_for", DISK, |disk| {
        let home = disk.join("home");
        fs::create_dir(&home).unwrap();
        let sandbox = Sandbox::at(home);
        sandbox.configure("grace_period = {minimum_in_days = 0.000001, default_in_days = 0.000001}");
        let _ = sandbox.line("identityDeletion init").succeeded();
        std::thread::sleep(Duration::from_millis(100));
        let filler = disk.join("filler");
        for _ in 1..=2 {
            fill(&filler);
            for _ in 1..=2 {
                let outcome = sandbox.line("worker run deletions --once");
                let said = outcome.stdout.clone() + &outcome.stderr;
                assert!(outcome.code == 70 && said.contains("error.reprieve.database."), "{outcome:?}");
            }
            fs::remove_file(&filler).unwrap();
            assert_eq!(sandbox.json("identityDeletion list")[0]["status"], "Active");
            assert_eq!(sandbox.json("audit verify")["entries"], 1);
        }
        assert_eq!(sandbox.line("worker run deletions --once").code, 0);
        assert_eq!(sandbox.json("identityDeletion list")[0]["status"], "Deleting");
        assert_eq!(sandbox.json("audit verify")["entries"], 2);
    });
}

/// The workers of a service meet the full disk as well, and nobody is forgotten over it.
#[test]
#[ignore = "needs a mount namespace: tests/run"]
fn what_was_due_while_there_was_no_room_is_deleted_when_there_is() {
    on_a_small_disk(
        "full_disk::what_was_due_while_there_was_no_room_is_deleted_when_there_is",
        DISK,
        |disk| {
            let home = disk.join("home");
            fs::create_dir(&home).unwrap();
            let (sandbox, elsewhere) = (Sandbox::at(home), Sandbox::new());
            sandbox.configure(&format!(
                "{}grace_period = {{minimum_in_days = 0.000001, default_in_days = 0.00002}}
            journal.url = 'sqlite:{elsewhere}/journal'
            receipts.key_file = '{elsewhere}/receipt-key'
            [workers]
            deletions_every_in_seconds = 0.1
            erasures_every_in_seconds = 0.1",
                Stepper::TOML,
                elsewhere = elsewhere.home().display()
            ));
            let service = Service::start(&sandbox);
            let filler = disk.join("filler");
            let mut told = 0;
            for round in 1..=2_u64 {
                let mut people: Vec<Stepper> =
                    (0..20).map(|number| Stepper::new(service.address(), 100 * round + number)).collect();
                all_go_on(&mut people, 0);
                told += Told::together(&people).initiated.len();
                fill(&filler);
                // Longer than anybody's grace period, and many passes.
                std::thread::sleep(Duration::from_secs(4));
                fs::remove_file(&filler).unwrap();
                let start = Instant::now();
                let deleted = || sandbox.sql().count("closed_processes");
                while deleted() < told as u64 {
                    let waited = start.elapsed() < Duration::from_secs(20);
                    assert!(waited, "only {} of {told} are deleted", deleted());
                    std::thread::sleep(Duration::from_millis(100));
                }
                println!("{round}: everybody is deleted after {:?}", start.elapsed());
            }
            service.kill();
            assert_eq!(sandbox.sql().count("closed_processes"), told as u64);
            assert_eq!(sandbox.sql().count("deletion_processes"), 0);
            let _ = sandbox.line("audit verify").succeeded();
        },
    );
}

mod as_root {
    use reprieve_tests::on_a_small_ext4;

    use super::{DISK, filled_up_twice};

    fn on_ext4(name: &str, people: u64) {
        on_a_small_ext4(name, DISK, |disk| filled_up_twice(disk, people, |_, _| {}));
    }

    #[test]
    #[ignore = "needs root: tests/run"]
    fn what_one_person_is_told_is_stored_on_ext4() {
        on_ext4("full_disk::as_root::what_one_person_is_told_is_stored_on_ext4", 1);
    }

    #[test]
    #[ignore = "needs root: tests/run"]
    fn what_eight_people_are_told_is_stored_on_ext4() {
        on_ext4("full_disk::as_root::what_eight_people_are_told_is_stored_on_ext4", 8);
    }
}
