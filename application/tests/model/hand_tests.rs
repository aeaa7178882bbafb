//! A hand in the database, which has no key: it changes a process at any moment.

use crate::clocks::Clock;
use crate::jobs::Features;
use crate::race_tests::{assert_breaks, explore};
use crate::store::Mistake;
use crate::world::{Luck, Request, Role, World};

fn believed() -> World {
    let features = Features { is_believed: true, ..Features::default() };
    World { mistake: Some(Mistake::NothingIsVerified), features, ..touched() }
}

fn touched() -> World {
    let owner = Role::Owner { first: 0, requests: &[Request::Initiate, Request::Cancel], has_keys: false };
    World {
        roles: vec![owner, Role::Starter, Role::Eraser(1)],
        clocks: vec![vec![Clock::default(); 3]],
        ticks: 3,
        erasers: 1,
        luck: Luck { hands: 1, ..Luck::default() },
        ..World::default()
    }
}

#[test]
fn what_a_hand_has_changed_is_not_acted_on() {
    explore(touched(), 173_265, &["a cancel wins", "a deletion comes to its end"]);
}

#[test]
fn what_is_not_verified_deletes_whom_a_hand_likes() {
    assert_breaks(believed(), "nothing is acted on that does not verify");
}

#[test]
fn what_is_not_verified_deletes_who_has_cancelled_and_is_made_active_by_a_hand() {
    assert_breaks(believed(), "no eraser is asked after a cancel was acknowledged");
}
