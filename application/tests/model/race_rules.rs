//! What must hold in every state of the race, and what must be possible.

use reprieve_domain::Status;
use stateright::{Model as _, Property};

use crate::race::{Answer, Phase, REQUESTS, Race, Request, State};
use crate::store::{Row, at};

fn every_row(state: &State, holds: impl Fn(&Row) -> bool) -> bool {
    state.store.rows.iter().all(holds)
}

fn some_row(state: &State, holds: impl Fn(&Row) -> bool) -> bool {
    state.store.rows.iter().any(holds)
}

pub(crate) fn rules() -> Vec<Property<Race>> {
    let mut rules = always();
    rules.extend(sometimes());
    rules
}

fn always() -> Vec<Property<Race>> {
    vec![
        Property::always("no process is cancelled and deleted", |_, state: &State| {
            every_row(state, |row| !(row.tells("CancelledByOwner") && row.tells("DeletionStarted")))
        }),
        Property::always("at most one process is open", |_, state: &State| {
            state.store.rows.iter().filter(|row| row.process.is_open()).count() <= 1
        }),
        Property::always("process, trail and events are in step", |_, state: &State| {
            every_row(state, Row::is_in_step)
        }),
        Property::always("each instant lies on its side of the deadline", |_, state: &State| {
            every_row(state, |row| match row.process.0.state() {
                reprieve_domain::State::Active(_) => true,
                reprieve_domain::State::Cancelled(cancelled) => cancelled.at() < row.ends_at,
                reprieve_domain::State::Deleting(deleting) => deleting.started_at() >= row.ends_at,
                reprieve_domain::State::Deleted(_) => false,
            })
        }),
        Property::always("no deadline moves", |race: &Race, state: &State| {
            let is_kept = |row: &Row| {
                row.ends_at == row.promised && row.process.0.grace_period_ends_at() == row.promised
            };
            race.has_meddler || every_row(state, is_kept)
        }),
        Property::always("what was acknowledged happened", is_told_the_truth),
        Property::always("who was refused has changed nothing", |race: &Race, state: &State| {
            state.clients.iter().enumerate().all(|(client, told)| {
                told.told.iter().enumerate().all(|(number, answer)| {
                    matches!(answer, Answer::Done(_)) || !state.taken.contains_key(&race.key(client, number))
                })
            })
        }),
        Property::always("no request takes a step twice", |_, state: &State| {
            state.taken.values().all(|count| *count <= 1)
        }),
        Property::always(
            "what the domain allows the deadline does not refuse",
            |race: &Race, state: &State| race.has_meddler || !state.store.deadline_refused,
        ),
        Property::always("nobody gives up", |race: &Race, state: &State| {
            race.has_meddler || state.clients.iter().all(|client| !client.told.contains(&Answer::GaveUp))
        }),
        Property::always("it ends with nothing left to do", |race: &Race, state: &State| {
            let mut actions = Vec::new();
            race.actions(state, &mut actions);
            let last = at(state.sweep_clock().max(state.timer_clock()));
            !actions.is_empty()
                || state.clients.iter().all(|client| client.told.len() >= REQUESTS.len())
                    && every_row(state, |row| row.status() != Status::Active || row.ends_at > last)
        }),
    ]
}

fn is_told_the_truth(_: &Race, state: &State) -> bool {
    state.clients.iter().all(|client| {
        client.told.iter().zip(REQUESTS).all(|(answer, request)| {
            let Answer::Done(number) = answer else { return true };
            let key = match request {
                Request::Initiate => "StartedByOwner",
                Request::Cancel => "CancelledByOwner",
            };
            // Told before it was stored, it would be there in time unless somebody crashes or is faster.
            matches!(client.phase, Phase::Decided { .. })
                || some_row(state, |row| row.process.number() == *number && row.tells(key))
        })
    })
}

fn sometimes() -> Vec<Property<Race>> {
    vec![
        Property::sometimes("a cancel wins", |_, state: &State| {
            some_row(state, |row| row.status() == Status::Cancelled)
        }),
        Property::sometimes("a deletion wins", |_, state: &State| {
            some_row(state, |row| row.status() == Status::Deleting)
        }),
        Property::sometimes("a deletion wins over a cancel that was decided in time", |_, state: &State| {
            some_row(state, |row| row.status() == Status::Deleting)
                && state.clients.iter().any(|client| match &client.phase {
                    Phase::Decided { decided, .. } => decided.step.process().status() == Status::Cancelled,
                    _ => false,
                })
        }),
        Property::sometimes("the second of two processes is deleted", |race: &Race, state: &State| {
            race.is_one_caller
                || matches!(state.store.rows.as_slice(), [first, second]
                if first.status() == Status::Cancelled && second.status() == Status::Deleting)
        }),
        Property::sometimes("the second of two processes is cancelled", |race: &Race, state: &State| {
            race.is_one_caller
                || matches!(state.store.rows.as_slice(), [_, second] if second.status() == Status::Cancelled)
        }),
    ]
}
