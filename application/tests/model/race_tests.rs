//! Who wins at the deadline: two owners, whoever starts deletions and whoever erases, with clocks that differ.

use stateright::{Checker as _, Expectation, HasDiscoveries, Model as _};

use crate::clocks::Clock;
use crate::store::Mistake;
use crate::world::{Luck, Request, Role, World};

const REQUESTS: &[Request] = &[Request::Initiate, Request::Cancel];
const FIRST_OWNER: Role = Role::Owner { first: 0, requests: REQUESTS, has_keys: false };
const SECOND_OWNER: Role = Role::Owner { first: 5, requests: REQUESTS, has_keys: false };
const RIGHT: Clock = Clock { offset: 0, error: 0 };

/// How far each clock is off: behind, right, ahead.
const OFFSETS: [i64; 3] = [-2, 0, 2];

/// Explores everything, and sees that all that is `possible` happens. A model that explores less than it did has lost
/// something.
#[track_caller]
pub(crate) fn explore(world: World, at_least: usize, possible: &[&'static str]) {
    let checker = world.checker().finish_when(HasDiscoveries::AnyFailures).threads(2).spawn_bfs().join();
    for rule in checker.model().properties() {
        match rule.expectation {
            Expectation::Always => checker.assert_no_discovery(rule.name),
            Expectation::Sometimes if possible.contains(&rule.name) => {
                checker.assert_any_discovery(rule.name);
            }
            Expectation::Sometimes | Expectation::Eventually => {}
        }
    }
    let explored = checker.unique_state_count();
    assert!(explored >= at_least, "only {explored} states were explored");
}

#[track_caller]
pub(crate) fn assert_breaks(world: World, rule: &'static str) {
    let finish = HasDiscoveries::AnyOf([rule].into());
    world.checker().finish_when(finish).threads(2).spawn_bfs().join().assert_any_discovery(rule);
}

fn race() -> World {
    World {
        roles: vec![FIRST_OWNER, SECOND_OWNER, Role::Starter],
        clocks: vec![vec![RIGHT; 3]],
        ticks: 3,
        erasers: 0,
        ..World::default()
    }
}

fn with(mistake: Mistake) -> World {
    World { mistake: Some(mistake), ..race() }
}

/// One owner, one eraser, and every combination of clocks that are off.
fn clocks() -> World {
    let mut clocks = Vec::new();
    for owner in OFFSETS {
        let worker = OFFSETS.map(|offset| Clock { offset, error: 0 });
        // What they take for the deciding clock is wrong, and their own is not.
        let misled = [-2, 2].map(|error| Clock { offset: 0, error });
        for worker in worker.into_iter().chain(misled) {
            clocks.push(vec![Clock { offset: owner, error: 0 }, worker, worker]);
        }
    }
    World {
        roles: vec![FIRST_OWNER, Role::Starter, Role::Eraser(1)],
        clocks,
        ticks: 4,
        erasers: 1,
        ..World::default()
    }
}

#[test]
fn one_wins_at_the_deadline() {
    let possible = [
        "a cancel wins",
        "a deletion wins",
        "a cancel that was decided in time comes too late",
        "the second of two processes is deleted",
    ];
    explore(race(), 60_148, &possible);
}

#[test]
fn nobody_is_erased_early_whatever_the_clocks_say() {
    let possible = ["a cancel wins", "a deletion comes to its end"];
    explore(clocks(), 67_448, &possible);
}

#[test]
fn a_request_that_is_sent_twice_at_once_takes_one_step() {
    let once = |first| Role::Owner { first, requests: REQUESTS, has_keys: true };
    let roles = vec![once(0), once(5), Role::Starter];
    explore(World { roles, ..race() }, 114_513, &["a cancel wins", "a deletion wins"]);
}

#[test]
fn an_answer_that_is_lost_changes_nothing() {
    let luck = Luck { breaks: 1, ..Luck::default() };
    let once = Role::Owner { first: 0, requests: REQUESTS, has_keys: true };
    let roles = vec![once, Role::Starter, Role::Eraser(1)];
    explore(
        World { roles, luck, erasers: 1, ..race() },
        48_903,
        &["a cancel wins", "a deletion comes to its end"],
    );
}

/// As long as all clocks agree, the deadline says all that the version says of a cancel and a start.
#[test]
fn without_the_version_in_the_condition_both_win() {
    let behind = Clock { offset: -2, error: 0 };
    let world = World { clocks: vec![vec![behind, RIGHT, RIGHT]], ..with(Mistake::VersionNotChecked) };
    let world = World { clocks: vec![vec![RIGHT, behind, RIGHT], world.clocks[0].clone()], ..world };
    assert_breaks(world, "no process is cancelled and deleted");
}

#[test]
fn without_the_unique_index_two_processes_are_open() {
    assert_breaks(with(Mistake::SecondOpenProcessAllowed), "at most one process is open");
}

#[test]
fn an_audit_entry_in_a_transaction_of_its_own_is_left_by_losers() {
    assert_breaks(with(Mistake::LoserLeavesTrail), "what is stored verifies");
}

#[test]
fn a_repeated_request_without_a_recorded_answer_takes_its_step_twice() {
    let once = |first| Role::Owner { first, requests: REQUESTS, has_keys: true };
    let roles = vec![once(0), once(5), Role::Starter];
    assert_breaks(World { roles, ..with(Mistake::AnswerNotRecorded) }, "no request takes a step twice");
}

#[test]
fn without_the_deadline_in_the_condition_a_wrong_estimate_deletes_early() {
    let world = World { mistake: Some(Mistake::DeadlineNotChecked), ..early() };
    assert_breaks(world, "no eraser is asked before the end");
}

#[test]
fn without_the_clocks_in_the_condition_a_wrong_clock_begins_something() {
    let world = World { mistake: Some(Mistake::ClocksNotCompared), ..early() };
    assert_breaks(world, "a wrong clock begins nothing");
}

/// The worker that starts deletions is ahead and does not know it.
fn early() -> World {
    let ahead = Clock { offset: 0, error: 2 };
    let wrong = Clock { offset: 2, error: 2 };
    World { clocks: vec![vec![RIGHT, ahead, ahead], vec![RIGHT, wrong, wrong]], ..clocks() }
}
