//! What must hold of requests, deadlines and clocks in every state, and what must be possible.

use std::sync::Arc;

use reprieve_domain::{State as Process, Status};
use stateright::{Model as _, Property};

use crate::clocks::at;
use crate::jobs::Outcome;
use crate::row::Row;
use crate::world::{Role, State, World};

/// What nobody has changed by hand.
pub(crate) fn sound(state: &State) -> impl Iterator<Item = &Arc<Row>> {
    state.store.rows.iter().chain(&state.store.closed).filter(|row| row.verified().is_ok())
}

pub(crate) fn rules() -> Vec<Property<World>> {
    let mut rules = always();
    rules.extend(sometimes());
    rules
}

fn always() -> Vec<Property<World>> {
    vec![
        Property::always("no process is cancelled and deleted", |_, state: &State| {
            let rows = state.store.rows.iter().chain(&state.store.closed);
            !rows.into_iter().any(|row| row.tells("CancelledByOwner") && row.tells("DeletionStarted"))
        }),
        Property::always("at most one process is open", |_, state: &State| {
            state.store.rows.iter().filter(|row| row.is_open()).count() <= 1
        }),
        Property::always("each step has one event", |_, state: &State| {
            state.store.rows.iter().chain(&state.store.closed).all(|row| row.is_in_step())
        }),
        Property::always("what is stored verifies", |world: &World, state: &State| {
            world.luck.hands > 0 || state.store.rows.iter().all(|row| row.verified().is_ok())
        }),
        Property::always("each instant lies on its side of the deadline", |_, state: &State| {
            sound(state).all(|row| match row.process.state() {
                Process::Active(_) => true,
                Process::Cancelled(cancelled) => cancelled.at() < row.process.ends_at(),
                Process::Deleting(deleting) => deleting.started_at() >= row.promised,
                Process::Deleted(deleted) => deleted.started_at() >= row.promised,
            })
        }),
        Property::always("no deletion starts before the end by the deciding clock", |_, state: &State| {
            sound(state).all(|row| !row.tells("DeletionStarted") || at(state.now) >= row.promised)
        }),
        Property::always("a cancel counts only if it is in time by a clock", |_, state: &State| {
            !state.facts.cancelled_too_late
        }),
        Property::always("no deadline moves", |_, state: &State| {
            sound(state).all(|row| row.process.grace_period_ends_at() == row.promised)
        }),
        Property::always("what was acknowledged happened", |_, state: &State| !state.facts.told_what_is_not),
        Property::always("who was refused has changed nothing", |_, state: &State| {
            !state.facts.refused_what_is
        }),
        Property::always("no request takes a step twice", |_, state: &State| {
            state.taken.values().all(|count| *count <= 1)
        }),
        Property::always("a wrong clock begins nothing", |_, state: &State| {
            !state.store.has_trusted_a_wrong_clock
        }),
        Property::always("nobody gives up", |world: &World, state: &State| {
            let is_failed = |outcome: &Outcome| *outcome == Outcome::Failed;
            world.luck.breaks > 0
                || world.luck.hands > 0
                || state
                    .actors
                    .iter()
                    .all(|actor| !actor.clock.is_right() || !actor.told.iter().any(is_failed))
        }),
        Property::always("it ends, closed or stuck", ends),
    ]
}

/// Where nothing can happen any more, every process is closed, or its grace period runs, or it is stuck for all to see.
fn ends(world: &World, state: &State) -> bool {
    let mut actions = Vec::new();
    world.actions(state, &mut actions);
    // Who is wrong about the time may wait for longer than the model lasts.
    let workers = world.roles.iter().zip(&state.actors);
    let mut workers = workers.filter(|(role, _)| matches!(role, Role::Starter | Role::Eraser(_)));
    if workers.any(|(_, actor)| actor.clock != <_>::default()) {
        return true;
    }
    let is_erased = world.roles.iter().any(|role| matches!(role, Role::Eraser(_)));
    !actions.is_empty()
        || state.store.is_paused()
        || state.store.has_lost_a_pause()
        || state.store.rows.iter().any(|row| !state.store.memory.is_contained_in(row))
        || state.store.tasks.iter().any(|task| task.is_stuck)
        || state.store.rows.iter().all(|row| match row.status() {
            Status::Cancelled => true,
            Status::Active => row.process.ends_at() > at(state.now),
            Status::Deleting | Status::Deleted => !is_erased || row.process.is_suspended(at(state.now)),
        } || row.verified().is_err())
}

fn sometimes() -> Vec<Property<World>> {
    vec![
        Property::sometimes("a cancel wins", |_, state: &State| {
            state.store.rows.iter().any(|row| row.status() == Status::Cancelled)
        }),
        Property::sometimes("a deletion wins", |_, state: &State| {
            sound(state).any(|row| row.tells("DeletionStarted"))
        }),
        Property::sometimes("a cancel that was decided in time comes too late", |_, state: &State| {
            state.actors.iter().any(|actor| match &actor.run {
                crate::world::Run::At(trace) => trace.waiting.iter().any(|(_, call)| match call {
                    crate::calls::Call::Save(save) => {
                        save.step.process().status() == Status::Cancelled
                            && state.store.row(save.number()).is_some_and(|row| row.tells("DeletionStarted"))
                    }
                    _ => false,
                }),
                _ => false,
            })
        }),
        Property::sometimes("the second of two processes is deleted", |_, state: &State| {
            let mut rows = state.store.rows.iter();
            rows.any(|row| row.status() == Status::Cancelled) && rows.any(|row| row.tells("DeletionStarted"))
        }),
        Property::sometimes("a cancel counts after the end by the deciding clock", |_, state: &State| {
            state.actors.iter().any(|actor| !actor.clock.is_right())
                && state
                    .cancelled
                    .iter()
                    .any(|number| state.store.row(*number).is_some_and(|row| row.promised <= at(state.now)))
        }),
    ]
}
