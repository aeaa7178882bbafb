//! Erasures, as they should be and with mistakes.

use stateright::{Checker as _, Expectation, HasDiscoveries, Model as _};

use crate::erasure::{Erasing, Mistake};
use crate::erasure_state::Luck;

/// Nothing goes wrong by itself.
const LUCKY: Luck = Luck { crashes: 0, failures: 0, delays: 0, lies: 0, early_ends: 0, retries: 0 };
const CRASHING: Luck = Luck { crashes: 2, early_ends: 1, ..LUCKY };
const FAILING: Luck = Luck { failures: 2, retries: 1, early_ends: 1, ..LUCKY };
const CRASHING_AND_FAILING: Luck = Luck { crashes: 1, failures: 2, retries: 1, ..LUCKY };
const LYING: Luck = Luck { failures: 1, delays: 1, lies: 1, early_ends: 1, ..LUCKY };

/// Explores everything, and sees that all that is `possible` happens. A model that explores less than it did has lost
/// something.
#[track_caller]
fn explore(luck: Luck, at_least: usize, possible: &[&'static str]) {
    let checker = Erasing { mistake: None, luck }.checker().threads(2).spawn_bfs().join();
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
fn assert_breaks(mistake: Mistake, luck: Luck, rule: &'static str) {
    let finish = HasDiscoveries::AnyOf([rule].into());
    let erasing = Erasing { mistake: Some(mistake), luck };
    erasing.checker().finish_when(finish).threads(2).spawn_bfs().join().assert_any_discovery(rule);
}

#[test]
fn a_deletion_ends_once_and_completely_whoever_crashes_or_loses_the_lease() {
    let possible = [
        "a deletion comes to its end after a crash",
        "the person is back before everything is removed",
        "a worker that was asleep asks when all is over",
    ];
    explore(CRASHING, 209_438, &possible);
}

#[test]
fn a_deletion_ends_or_is_stuck_for_all_to_see_whatever_fails() {
    let possible = ["an erasure gets stuck", "what was stuck comes to its end after a retry"];
    explore(FAILING, 274_665, &possible);
}

#[test]
fn failures_and_crashes_together_change_nothing() {
    let possible =
        ["what was stuck comes to its end after a retry", "a deletion comes to its end after a crash"];
    explore(CRASHING_AND_FAILING, 180_613, &possible);
}

#[test]
fn an_eraser_that_lies_or_dawdles_or_answers_late_deceives_nobody_but_for_its_own_data() {
    explore(LYING, 565_390, &["a deletion comes to its end"]);
}

#[test]
fn without_the_fence_somebody_stores_what_is_not_theirs_any_more() {
    assert_breaks(Mistake::FenceNotChecked, FAILING, "who has lost the lease stores nothing");
}

#[test]
fn who_erases_before_the_ledger_says_so_leaves_what_a_backup_brings_back() {
    let rule = "nothing is erased before store and ledger say so";
    assert_breaks(Mistake::LedgerAfterErasing, LUCKY, rule);
}

#[test]
fn who_closes_without_asking_the_domain_deletes_too_early() {
    let rule = "closed means deleted, with a receipt and nothing left";
    assert_breaks(Mistake::ClosedWithoutAcknowledgements, LUCKY, rule);
}

#[test]
fn who_acknowledges_first_and_crashes_has_erased_nothing() {
    let rule = "deleted means acknowledged by all and gone";
    assert_breaks(Mistake::AcknowledgedBeforeErasing, CRASHING, rule);
}

#[test]
fn tasks_that_come_after_the_step_are_lost_in_a_crash() {
    assert_breaks(Mistake::TasksAfterTheStep, CRASHING, "it ends closed, or stuck");
}

#[test]
fn without_an_end_of_the_lease_a_crash_is_for_ever() {
    assert_breaks(Mistake::LeaseNeverEnds, CRASHING, "it ends closed, or stuck");
}

/// One worker finds an erasure pending, the other has it acknowledged and makes the end due, the first puts the end to
/// sleep: nobody ever wakes it up.
#[test]
fn an_acknowledgement_must_take_the_end_from_whoever_looked_before_it() {
    let mistake = Mistake::AcknowledgementLeavesFenceOfFinish;
    assert_breaks(mistake, LUCKY, "it ends closed, or stuck");
}

/// Between Deleted and closed the identity has no open process, and may ask for a new one.
#[test]
fn who_removes_all_of_an_identity_removes_what_it_asked_for_since() {
    assert_breaks(Mistake::CloseRemovesNewcomer, LUCKY, "what was acknowledged is not lost");
}
