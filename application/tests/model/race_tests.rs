//! The race, as it should be and with mistakes.

use stateright::{Checker as _, HasDiscoveries, Model as _};

use crate::race::{Mistake, Race};

/// No clock differs; clients behind and a sweep ahead; clients ahead and a timer behind.
const CLOCKS: [[i64; 4]; 3] = [[0, 0, 0, 0], [-1, 0, 1, 0], [0, 1, 0, -1]];

fn sound() -> Race {
    Race { mistake: None, clocks: CLOCKS.into(), is_one_caller: false, has_meddler: false, crashes: 1 }
}

fn same_clocks() -> Race {
    Race { clocks: vec![CLOCKS[0]], ..sound() }
}

/// Explores everything. A model that explores less than it did has lost something.
fn explore(race: Race, at_least: usize) {
    let checker = race.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    let explored = checker.unique_state_count();
    assert!(explored >= at_least, "only {explored} states were explored");
}

#[track_caller]
fn assert_breaks(race: Race, rule: &'static str) {
    let finish = HasDiscoveries::AnyOf([rule].into());
    race.checker().finish_when(finish).threads(2).spawn_bfs().join().assert_any_discovery(rule);
}

fn with(mistake: Mistake) -> Race {
    Race { mistake: Some(mistake), ..same_clocks() }
}

#[test]
fn one_wins_at_the_deadline_whatever_the_clocks_and_crashes() {
    explore(sound(), 1_378_261);
}

#[test]
fn a_request_that_is_sent_twice_at_once_takes_one_step() {
    explore(Race { is_one_caller: true, ..same_clocks() }, 156_746);
}

#[test]
fn without_the_version_in_the_condition_both_win() {
    assert_breaks(with(Mistake::VersionNotChecked), "no process is cancelled and deleted");
}

#[test]
fn a_sweeper_that_trusts_what_it_has_picked_undoes_a_cancel() {
    assert_breaks(with(Mistake::SweeperKeepsNoLock), "no process is cancelled and deleted");
}

#[test]
fn without_the_unique_index_two_processes_are_open() {
    assert_breaks(with(Mistake::SecondOpenProcessAllowed), "at most one process is open");
}

#[test]
fn an_audit_entry_in_a_transaction_of_its_own_is_left_by_losers() {
    assert_breaks(with(Mistake::LoserLeavesTrail), "process, trail and events are in step");
}

#[test]
fn a_repeated_request_without_a_recorded_answer_cancels_the_next_process_too() {
    assert_breaks(with(Mistake::AnswerNotRecorded), "no request takes a step twice");
}

#[test]
fn a_repeated_request_without_a_recorded_answer_is_refused_what_it_has_done() {
    assert_breaks(with(Mistake::AnswerNotRecorded), "who was refused has changed nothing");
}

#[test]
fn who_answers_before_the_step_is_stored_has_told_a_lie() {
    assert_breaks(with(Mistake::AnswerBeforeSave), "what was acknowledged happened");
}

#[test]
fn who_takes_a_conflict_for_success_has_told_a_lie() {
    assert_breaks(with(Mistake::ConflictTakenForSuccess), "what was acknowledged happened");
}

/// As long as nobody changes the database by hand the version says all that the deadline says; the deadline in the
/// condition is for when somebody does.
#[test]
fn the_deadline_in_the_condition_matters_when_it_was_changed_by_hand() {
    let by_hand = Race { has_meddler: true, crashes: 0, ..same_clocks() };
    let rule = "each instant lies on its side of the deadline";
    let unguarded = Race { mistake: Some(Mistake::DeadlineNotInCondition), ..by_hand.clone() };
    assert_breaks(unguarded, rule);
    let finish = HasDiscoveries::AnyFailures;
    by_hand.checker().finish_when(finish).threads(2).spawn_bfs().join().assert_no_discovery(rule);
}
