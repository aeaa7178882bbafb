//! What comes after the deadline: two workers, two erasers, a ledger, leases that end, crashes and retries.

use crate::clocks::Clock;
use crate::race_tests::{assert_breaks, explore};
use crate::store::Mistake;
use crate::world::{Luck, Request, Role, World};

const LUCKY: Luck =
    Luck { crashes: 0, breaks: 0, failures: 0, delays: 0, lies: 0, early_ends: 0, hands: 0, restores: 0 };
const CRASHING: Luck = Luck { crashes: 2, early_ends: 1, ..LUCKY };
const FAILING: Luck = Luck { failures: 2, crashes: 1, early_ends: 1, ..LUCKY };
const LYING: Luck = Luck { failures: 1, delays: 1, lies: 1, early_ends: 1, ..LUCKY };
const BREAKING: Luck = Luck { breaks: 1, early_ends: 1, ..LUCKY };

const NEWCOMER: Role = Role::Owner { first: 5, requests: &[Request::ComeBack], has_keys: false };

fn erasing(luck: Luck, others: &[Role], erasers: usize) -> World {
    let mut roles = vec![Role::Starter, Role::Eraser(1), Role::Eraser(1)];
    roles.extend(others);
    let clocks = vec![vec![Clock::default(); roles.len()]];
    World { roles, clocks, is_ripe: true, ticks: 0, erasers, luck, ..World::default() }
}

fn with(mistake: Mistake, luck: Luck) -> World {
    World { mistake: Some(mistake), ..erasing(luck, &[NEWCOMER], 1) }
}

#[test]
fn a_deletion_ends_once_and_completely_whoever_crashes_or_loses_the_lease() {
    let possible = [
        "a deletion comes to its end after a crash",
        "the person is back before everything is removed",
        "a worker that was asleep asks when all is over",
    ];
    explore(erasing(CRASHING, &[NEWCOMER], 1), 37_286, &possible);
}

#[test]
fn a_deletion_ends_once_with_two_erasers() {
    explore(
        erasing(Luck { crashes: 1, ..LUCKY }, &[], 2),
        8_703,
        &["a deletion comes to its end after a crash"],
    );
}

#[test]
fn a_worker_that_does_two_things_at_once_does_each_as_well() {
    let roles = vec![Role::Starter, Role::Eraser(2)];
    let clocks = vec![vec![Clock::default(); 2]];
    let luck = LUCKY;
    let world = World { roles, clocks, ..erasing(luck, &[], 2) };
    explore(world, 7_822, &["a deletion comes to its end"]);
}

#[test]
fn a_deletion_ends_or_is_stuck_for_all_to_see_whatever_fails() {
    let possible = ["an erasure gets stuck", "what was stuck comes to its end after a retry"];
    explore(erasing(FAILING, &[Role::Retrier], 1), 112_945, &possible);
}

#[test]
fn a_store_that_fails_before_or_after_it_has_stored_changes_nothing() {
    explore(erasing(BREAKING, &[], 1), 7_081, &["a deletion comes to its end"]);
}

#[test]
fn an_eraser_that_is_waived_is_not_waited_for() {
    let luck = Luck { failures: 1, early_ends: 1, ..LUCKY };
    let possible = ["a deletion comes to its end without an eraser"];
    explore(erasing(luck, &[Role::Waiver], 1), 47_600, &possible);
}

#[test]
fn an_eraser_that_lies_or_dawdles_deceives_nobody_but_for_its_own_data() {
    explore(erasing(LYING, &[], 1), 19_540, &["a deletion comes to its end"]);
}

#[test]
fn without_the_fence_somebody_stores_what_is_not_theirs_any_more() {
    assert_breaks(with(Mistake::FenceNotChecked, FAILING), "who has lost the lease stores nothing");
}

#[test]
fn tasks_that_are_not_stored_with_the_step_are_never_done() {
    assert_breaks(with(Mistake::TasksNotStored, LUCKY), "it ends, closed or stuck");
}

#[test]
fn without_an_end_of_the_lease_a_crash_is_for_ever() {
    assert_breaks(with(Mistake::LeaseNeverEnds, CRASHING), "it ends, closed or stuck");
}

/// One worker finds an erasure pending, the other has it acknowledged and makes the end due, the first puts the end to
/// sleep: nobody ever wakes it up.
#[test]
fn an_acknowledgement_must_take_the_end_from_whoever_looked_before_it() {
    let mistake = Some(Mistake::AcknowledgementLeavesFenceOfFinish);
    assert_breaks(World { mistake, ..erasing(LUCKY, &[], 2) }, "it ends, closed or stuck");
}

/// Between Deleted and closed the identity has no open process, and may ask for a new one.
#[test]
fn who_removes_all_of_an_identity_removes_what_it_asked_for_since() {
    assert_breaks(with(Mistake::CloseRemovesNewcomer, LUCKY), "who asks again since is not removed");
}
