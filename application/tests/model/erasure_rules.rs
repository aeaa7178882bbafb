//! What must hold in every state of an erasure, and what must be possible.

use reprieve_domain::Status;
use stateright::{Model as _, Property};

use crate::erasure::Erasing;
use crate::erasure_state::{Place, State};
use crate::store::Row;

pub(crate) fn rules() -> Vec<Property<Erasing>> {
    let mut rules = always();
    rules.extend(sometimes());
    rules
}

fn counts(state: &State, key: &str) -> usize {
    state.row().map_or(0, |row| row.count(key))
}

fn is_stuck(state: &State) -> bool {
    state.tasks.iter().flatten().any(|task| task.place == Place::Stuck)
}

fn always() -> Vec<Property<Erasing>> {
    vec![
        Property::always("nothing is erased before store and ledger say so", |_, state: &State| {
            !state.was_asked_too_early
        }),
        Property::always("process, trail and events are in step", |_, state: &State| {
            state.store.rows.iter().all(Row::is_in_step)
        }),
        Property::always("deleted means acknowledged by all and gone", |_, state: &State| {
            state.status() != Some(Status::Deleted)
                || counts(state, "DataDeleted") == 2
                    && state.erasers.iter().all(|eraser| !eraser.has_data || eraser.has_lied)
        }),
        Property::always("closed means deleted, with a receipt and nothing left", |_, state: &State| {
            let is_removed = state.store.rows.iter().all(|row| row.process.number() != 0);
            state.closed.as_ref().is_none_or(|closed| {
                closed.status() == Status::Deleted
                    && state.has_receipt
                    && is_removed
                    && state.tasks.iter().all(Option::is_none)
                    && (state.newcomer_was_told || !state.has_own_rows)
            })
        }),
        Property::always("no step is taken twice", |_, state: &State| {
            counts(state, "DataDeleted") <= 2
                && ["DeletionStarted", "DeletionCompleted"].iter().all(|key| counts(state, key) <= 1)
        }),
        Property::always("who has lost the lease stores nothing", |_, state: &State| {
            !state.stored_without_lease
        }),
        Property::always("what was acknowledged is not lost", |_, state: &State| {
            !state.newcomer_was_told || state.store.rows.iter().any(|row| row.process.number() == 1)
        }),
        Property::always("what is stuck shows", |_, state: &State| {
            let shows = |row: &Row| row.events.contains(&"IdentityErasureStuck");
            !is_stuck(state) || state.row().is_some_and(shows)
        }),
        Property::always("it ends closed, or stuck", |erasing: &Erasing, state: &State| {
            let mut actions = Vec::new();
            erasing.actions(state, &mut actions);
            actions.retain(|action| *action != crate::erasure::Action::ComeBack);
            !actions.is_empty() || state.closed.is_some() || is_stuck(state)
        }),
    ]
}

fn sometimes() -> Vec<Property<Erasing>> {
    vec![
        Property::sometimes("a deletion comes to its end", |_, state: &State| state.closed.is_some()),
        Property::sometimes(
            "a deletion comes to its end after a crash",
            |erasing: &Erasing, state: &State| {
                state.closed.is_some() && state.luck.crashes < erasing.luck.crashes
            },
        ),
        Property::sometimes("an erasure gets stuck", |_, state: &State| is_stuck(state)),
        Property::sometimes("what was stuck comes to its end after a retry", |_, state: &State| {
            state.was_retried && state.closed.is_some()
        }),
        Property::sometimes("the person is back before everything is removed", |_, state: &State| {
            state.newcomer_was_told && state.closed.is_none()
        }),
        // No lease can prevent it: the worker slept between looking at its lease and asking. The eraser is told the
        // process, and can know that it is over.
        Property::sometimes("a worker that was asleep asks when all is over", |_, state: &State| {
            state.was_asked_after_close
        }),
    ]
}
