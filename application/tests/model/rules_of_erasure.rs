//! What must hold of erasures in every state, and what must be possible.

use reprieve_domain::Status;
use stateright::Property;

use crate::rules::sound;
use crate::world::{State, World};

pub(crate) fn rules() -> Vec<Property<World>> {
    let mut rules = always();
    rules.extend(sometimes());
    rules
}

fn always() -> Vec<Property<World>> {
    vec![
        Property::always("no eraser is asked before the end", |_, state: &State| {
            !state.facts.asked_before_the_end
        }),
        Property::always("nothing is erased before store and journal say so", |_, state: &State| {
            !state.facts.asked_unrecorded
        }),
        Property::always("no eraser is asked after a cancel was acknowledged", |_, state: &State| {
            !state.facts.asked_after_a_cancel
        }),
        Property::always("nothing is acted on that does not verify", |_, state: &State| {
            !state.facts.acted_unverified
        }),
        Property::always("deleted means acknowledged or waived by all", |world: &World, state: &State| {
            let mut rows = state.store.rows.iter().chain(&state.store.closed);
            world.luck.hands > 0
                || rows.all(|row| row.status() != Status::Deleted || row.settled() == world.erasers)
        }),
        Property::always("deleted means gone", |_, state: &State| {
            let is_deleted = sound(state).any(|row| row.status() == Status::Deleted);
            let is_waived = sound(state).any(|row| row.tells("DataDeletionWaivedBySupport"));
            let is_gone =
                |number: usize| !state.has_data[number] || state.has_lied[number] || is_waived && number == 0;
            !is_deleted || (0..sound(state).map(|row| row.settled()).max().unwrap_or(0)).all(is_gone)
        }),
        Property::always("closed means deleted, with nothing left", |_, state: &State| {
            state.store.closed.as_ref().is_none_or(|closed| {
                closed.status() == Status::Deleted
                    && state.store.row(closed.number).is_none()
                    && state.store.tasks.iter().all(|task| task.process != closed.number)
            })
        }),
        Property::always("no step is taken twice", |world: &World, state: &State| {
            sound(state).all(|row| {
                row.settled() <= world.erasers
                    && ["DeletionStarted", "DeletionCompleted"].iter().all(|key| row.count(key) <= 1)
            })
        }),
        Property::always("who has lost the lease stores nothing", |_, state: &State| {
            !state.store.stored_without_lease
        }),
        Property::always("who asks again since is not removed", |_, state: &State| {
            !state.facts.removed_newcomer
        }),
        Property::always("what is stuck shows", |_, state: &State| {
            !is_stuck(state)
                || state.store.rows.iter().any(|row| row.events.contains(&"IdentityErasureStuck"))
        }),
    ]
}

fn is_stuck(state: &State) -> bool {
    state.store.tasks.iter().any(|task| task.is_stuck)
}

fn sometimes() -> Vec<Property<World>> {
    vec![
        Property::sometimes("a deletion comes to its end", |_, state: &State| state.store.closed.is_some()),
        Property::sometimes("a deletion comes to its end after a crash", |world: &World, state: &State| {
            state.store.closed.is_some() && state.luck.crashes < world.luck.crashes
        }),
        Property::sometimes("an erasure gets stuck", |_, state: &State| is_stuck(state)),
        Property::sometimes("what was stuck comes to its end after a retry", |_, state: &State| {
            state.facts.was_retried && state.store.closed.is_some()
        }),
        Property::sometimes("a deletion comes to its end without an eraser", |_, state: &State| {
            state.store.closed.as_ref().is_some_and(|row| row.tells("DataDeletionWaivedBySupport"))
        }),
        Property::sometimes("the person is back before everything is removed", |_, state: &State| {
            state.store.rows.len() == 2
        }),
        // No lease can prevent it: the worker slept between looking at its lease and asking. The eraser is told the
        // process, and can know that it is over.
        Property::sometimes("a worker that was asleep asks when all is over", |_, state: &State| {
            state.facts.asked_after_close
        }),
    ]
}
