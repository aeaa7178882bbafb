//! A disk without room beneath a running service.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use reprieve_tests::{Sandbox, on_a_small_disk};

use crate::two_faults::Course;

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

mod as_root {
    use reprieve_tests::{on_a_small_disk, on_a_small_ext4};

    use super::{DISK, filled_up_twice};

    fn on_ext4(name: &str, people: u64) {
        let run = |disk: &std::path::Path| filled_up_twice(disk, people, |_, _| {});
        if rustix::process::geteuid().is_root() {
            on_a_small_ext4(name, DISK, run);
        } else {
            println!("nobody but root mounts an ext4 file system: a tmpfs instead");
            on_a_small_disk(name, DISK, run);
        }
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
