//! The database is put back to what it was, the identity is held and released, deletions are paused and go on.

use crate::clocks::{Clock, FIRST, GRACE_PERIOD};
use crate::jobs::Features;
use crate::race_tests::{assert_breaks, explore};
use crate::store::Mistake;
use crate::world::{Luck, Order, Request, Role, World};

const CANCELLER: Role = Role::Owner { first: 5, requests: &[Request::Cancel], has_keys: false };
const REQUESTER: Role = Role::Owner { first: 0, requests: &[Request::Initiate], has_keys: false };

/// The promised end of what is asked for at the first instant.
const PROMISED: i64 = FIRST + GRACE_PERIOD;
/// Seven days.
const WEEK: i64 = 7 * 24;

fn world(roles: Vec<Role>, features: Features) -> World {
    let clocks = vec![vec![Clock::default(); roles.len()]];
    let features = Features { are_clocks_right: true, ..features };
    World { roles, clocks, features, is_prompt: true, erasers: 1, ..World::default() }
}

/// Put back to the beginning.
fn restored(first: Role, others: &[Role], instants: &'static [i64]) -> World {
    let roles = [&[first, Role::Starter, Role::Keeper, Role::Replayer], others].concat();
    let features = Features { is_put_back: true, ..Features::default() };
    let luck = Luck { restores: 1, ..Luck::default() };
    World { luck, instants, has_backup: true, ..world(roles, features) }
}

fn cancelled() -> World {
    const INSTANTS: &[i64] = &[FIRST, PROMISED];
    World { is_asked: true, ..restored(CANCELLER, &[Role::Eraser(1)], INSTANTS) }
}

#[test]
fn who_had_cancelled_or_was_deleted_stays_so_when_the_database_is_put_back() {
    let possible = [
        "a cancel wins",
        "a cancellation that was lost is there again",
        "a deletion comes to its end after the database was put back",
    ];
    explore(cancelled(), 62_010, &possible);
}

#[test]
fn a_request_that_was_lost_is_made_again_with_a_week_to_cancel_it() {
    const INSTANTS: &[i64] = &[FIRST, PROMISED, PROMISED + WEEK];
    explore(
        restored(REQUESTER, &[], INSTANTS),
        10_824,
        &["a request that was lost is made again", "a deletion wins"],
    );
}

/// Whenever the backup was made.
#[test]
fn a_deletion_ends_once_also_if_the_database_is_put_back_while_it_goes_on() {
    const INSTANTS: &[i64] = &[PROMISED];
    let world = restored(Role::Eraser(1), &[], INSTANTS);
    let world = World { is_ripe: true, has_backup: false, ..world };
    explore(world, 20_038, &["a deletion comes to its end after the database was put back"]);
}

#[test]
fn without_the_journal_a_restored_database_deletes_who_had_cancelled() {
    let world = World { mistake: Some(Mistake::JournalForgets), ..cancelled() };
    assert_breaks(world, "no eraser is asked after a cancel was acknowledged");
}

const END: i64 = PROMISED + 2 * WEEK;
const HOLD_AND_RELEASE: &[Order] = &[Order::Hold(END), Order::Release];

fn held(owner: Role, orders: &'static [Order], instants: &'static [i64]) -> World {
    let features = Features { is_held: true, ..Features::default() };
    World { instants, ..world(vec![owner, Role::Starter, Role::Holder(orders)], features) }
}

#[test]
fn a_hold_suspends_the_open_process_and_leaves_a_week() {
    const INSTANTS: &[i64] = &[FIRST, PROMISED, PROMISED + WEEK, END];
    let possible = [
        "a cancel wins",
        "a deletion wins",
        "a cancellation counts past the promised date",
        "a hold comes first while the start is decided",
    ];
    let world = held(CANCELLER, HOLD_AND_RELEASE, INSTANTS);
    explore(World { is_asked: true, ..world }, 38_154, &possible);
}

#[test]
fn what_is_asked_for_while_it_is_held_begins_suspended() {
    const INSTANTS: &[i64] = &[FIRST, PROMISED, END];
    explore(held(REQUESTER, HOLD_AND_RELEASE, INSTANTS), 3_598, &["a deletion wins"]);
}

#[test]
fn nothing_is_asked_or_completed_while_the_identity_is_held() {
    const INSTANTS: &[i64] = &[PROMISED, END];
    let roles = vec![Role::Starter, Role::Eraser(1), Role::Holder(HOLD_AND_RELEASE)];
    let features = Features { is_held: true, ..Features::default() };
    let world = World { instants: INSTANTS, is_ripe: true, ..world(roles, features) };
    let possible = ["a deletion that was suspended comes to its end", "erasing waits for the end of a hold"];
    explore(world, 4_532, &possible);
}

#[test]
fn without_a_look_at_the_holds_a_request_that_began_before_is_not_suspended() {
    const INSTANTS: &[i64] = &[FIRST, PROMISED, END];
    let world = held(REQUESTER, &[Order::Hold(END)], INSTANTS);
    let world = World { mistake: Some(Mistake::HoldsNotChecked), ..world };
    assert_breaks(world, "what is asked for while it is held begins suspended");
}

fn hold_lost() -> World {
    const INSTANTS: &[i64] = &[FIRST, PROMISED, END];
    let roles = vec![Role::Starter, Role::Keeper, Role::Holder(&[Order::Hold(END)])];
    let features = Features { is_put_back: true, is_held: true, ..Features::default() };
    let luck = Luck { restores: 1, ..Luck::default() };
    World { luck, instants: INSTANTS, has_backup: true, is_asked: true, ..world(roles, features) }
}

#[test]
fn a_hold_is_not_lost_when_the_database_is_put_back() {
    explore(hold_lost(), 32_863, &["a hold that was lost is there again"]);
}

#[test]
fn without_the_holds_of_the_journal_a_restored_database_deletes_who_is_held() {
    // Of an open process the step is remembered as well, which alone would keep it.
    let roles = vec![REQUESTER, Role::Starter, Role::Keeper, Role::Holder(&[Order::Hold(END)])];
    let clocks = vec![vec![Clock::default(); roles.len()]];
    let mistake = Some(Mistake::JournalForgetsHolds);
    let world = World { roles, clocks, mistake, is_asked: false, ..hold_lost() };
    assert_breaks(world, "nothing starts while it is held");
}

fn paused() -> World {
    let roles = vec![CANCELLER, Role::Starter, Role::Eraser(1), Role::Pauser(&[Order::Pause, Order::Resume])];
    let features = Features { is_paused: true, ..Features::default() };
    World { instants: &[FIRST, PROMISED], is_asked: true, ..world(roles, features) }
}

#[test]
fn while_deletions_are_paused_nothing_irreversible_happens() {
    let possible =
        ["a cancel wins", "a deletion comes to its end", "deletions are paused while something is erased"];
    explore(paused(), 2_529, &possible);
}

#[test]
fn without_the_switch_in_the_transaction_a_start_comes_after_the_pause() {
    let world = World { mistake: Some(Mistake::PauseNotChecked), ..paused() };
    assert_breaks(world, "nothing irreversible is stored while deletions are paused");
}

/// Put back to before the pause.
fn pause_lost() -> World {
    const INSTANTS: &[i64] = &[PROMISED];
    let roles = vec![Role::Starter, Role::Keeper, Role::Pauser(&[Order::Pause, Order::Resume])];
    let features = Features { is_put_back: true, is_paused: true, ..Features::default() };
    let luck = Luck { restores: 1, ..Luck::default() };
    World { luck, instants: INSTANTS, has_backup: true, is_ripe: true, ..world(roles, features) }
}

#[test]
fn a_pause_is_not_lost_when_the_database_is_put_back() {
    explore(pause_lost(), 6_459, &["a pause that was lost is resumed", "a deletion wins"]);
}

#[test]
fn without_the_pauses_of_the_journal_a_restored_database_deletes_while_deletions_are_paused() {
    let world = World { mistake: Some(Mistake::JournalForgetsPauses), ..pause_lost() };
    assert_breaks(world, "nothing irreversible is stored while deletions are paused");
}
