//! A file that must not grow any more: the system says EFBIG, which SQLite takes for an error of the device.

use std::process::Command;

use reprieve_tests::{Sandbox, Service, Stepper};

use crate::two_faults::Course;

/// Less than the files of the database have, more than the log of a test.
const LIMIT: u64 = 96 << 10;

/// Everybody but the tests' own programs ends at the limit by a signal, unless it is ignored.
pub(crate) fn ignoring_the_signal(plain: &Command) -> Command {
    let mut ignoring = Command::new("sh");
    ignoring.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(plain.get_program()).args(plain.get_args());
    ignoring.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    ignoring.current_dir(plain.get_current_dir().unwrap());
    ignoring
}

fn limit(process: u32, bytes: Option<u64>) {
    let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &process.to_string(), &format!("--fsize={limit}:unlimited")]);
    let status = prlimit.status().unwrap();
    assert!(status.success(), "{prlimit:?}: {status}");
}

fn limited_twice(people: u64) {
    let sandbox = Sandbox::new();
    let mut course = Course::new(&sandbox, people);
    course.command = ignoring_the_signal(&course.command);
    course.run(&mut |begin, process| limit(process, begin.then_some(LIMIT)));
}

#[test]
fn what_one_person_is_told_is_stored() {
    limited_twice(1);
}

#[test]
fn what_eight_people_are_told_is_stored() {
    limited_twice(8);
}

/// Dying is allowed, losing is not.
#[test]
fn a_service_that_does_not_ignore_the_signal_loses_nothing_either() {
    let sandbox = Sandbox::new();
    sandbox.configure(Stepper::TOML);
    let service = Service::start(&sandbox);
    let mut person = Stepper::new(service.address(), 1);
    assert_eq!(person.until_refused(1, 10), []);
    limit(service.process_id(), Some(LIMIT));
    let _ = person.until_refused(2, 500);
    service.kill();
    let lost = person.told().missing_in(&sandbox);
    assert!(lost.is_empty(), "{lost:?}");
    let service = Service::start(&sandbox);
    person.turn_to(service.address());
    assert_eq!(person.until_refused(1, 10), []);
}
