//! What must hold when the database is put back, when the identity is held, and while deletions are paused.

use reprieve_domain::Status;
use stateright::Property;

use crate::calls::{Answer, Call, Save};
use crate::clocks::at;
use crate::jobs::Job;
use crate::rules::sound;
use crate::store::Store;
use crate::world::{State, World};

/// How much time a hold that goes leaves at least, in microseconds: seven days.
const LEFT: i64 = 7 * 86_400_000_000;

/// What became of a call, as far as it cannot be seen afterwards.
pub(crate) fn note(state: &mut State, before: &Store, (job, call): (Job, &Call), answer: &Answer) {
    let now = at(state.now);
    let stored = |save: &Save| {
        let step = save.step.audit_entry().action.message_key();
        let row = before.row(save.number());
        (step == "DeletionStarted", step == "DeletionCompleted", row.cloned())
    };
    let steps: Vec<_> = match (call, answer) {
        (Call::Save(save), Answer::Done) => vec![stored(save)],
        (Call::SaveAll(saves), Answer::Saved(outcomes)) => saves
            .iter()
            .zip(outcomes)
            .filter(|(_, is_saved)| **is_saved)
            .map(|(save, _)| stored(save))
            .collect(),
        _ => Vec::new(),
    };
    // A hold that was released counts as it is now, also if the journal does not know that yet.
    let is_newer = |held: &&crate::memory::Held| {
        let mut stored = before.holds.iter();
        !stored.any(|other| other.is_same(held) && other.0.revision > held.0.revision)
    };
    let remembered = before.memory.holds.iter().filter(is_newer);
    let is_held = before.holds.iter().chain(remembered).any(|held| held.0.hold.is_in_force(now));
    let facts = &mut state.facts;
    for (starts, completes, row) in steps.into_iter().filter(|(starts, completes, _)| *starts || *completes) {
        facts.started_while_held |= starts && is_held;
        facts.completed_while_held |=
            completes && row.as_ref().is_some_and(|row| row.process.is_suspended(now));
        facts.stored_while_paused |= before.is_paused() || before.has_lost_a_pause();
        // A replay is about what the database lacks.
        facts.acted_on_older |=
            !matches!(job, Job::Replay { .. }) && row.is_none_or(|row| !before.memory.is_contained_in(&row));
    }
    if let (Call::Close(..) | Call::Claim { .. }, Answer::Done | Answer::Claimed(_)) = (call, answer) {
        facts.stored_while_paused |= before.is_paused() || before.has_lost_a_pause();
    }
    facts.was_held |= matches!((call, answer), (Call::SaveHold(_), Answer::Done));
    if let (Job::Replay { .. }, Call::Save(save), Answer::Done) = (job, call, answer) {
        let process = save.step.process();
        let is_new = save.step.audit_entry().old_status.is_none() && process.status() == Status::Active;
        let has_started = before.memory.has_started(0);
        let left = now.checked_add_micros(LEFT).unwrap();
        facts.left_too_little_time |= is_new && !has_started && process.ends_at() < left;
    }
    let (Call::SaveHold(hold), Answer::Done) = (call, answer) else { return };
    let Some(Save { step, .. }) = &hold.step else { return };
    let process = step.process();
    let left = step.audit_entry().created_at.checked_add_micros(LEFT).unwrap();
    let earlier = before.row(hold.step.as_ref().map_or(0, Save::number));
    facts.left_too_little_time |= process.status() == Status::Active
        && earlier.is_none_or(|earlier| process.ends_at() < earlier.process.ends_at().min(left));
}

pub(crate) fn rules() -> Vec<Property<World>> {
    let mut rules = always();
    rules.extend(sometimes());
    rules
}

fn always() -> Vec<Property<World>> {
    vec![
        Property::always("nothing starts while it is held", |_, state: &State| {
            !state.facts.started_while_held
        }),
        Property::always("nothing is completed while it is held", |_, state: &State| {
            !state.facts.completed_while_held
        }),
        Property::always("no eraser is asked that was seen to be held", |_, state: &State| {
            !state.facts.asked_while_held
        }),
        Property::always("nothing irreversible is stored while deletions are paused", |_, state: &State| {
            !state.facts.stored_while_paused
        }),
        Property::always("no eraser is asked after the pause was seen", |_, state: &State| {
            !state.facts.asked_while_paused
        }),
        Property::always("an end that comes nearer, or anew, leaves seven days", |_, state: &State| {
            !state.facts.left_too_little_time
        }),
        Property::always(
            "nothing irreversible happens that the journal does not bear out",
            |_, state: &State| !state.facts.acted_on_older,
        ),
        Property::always(
            "what is asked for while it is held begins suspended",
            |world: &World, state: &State| {
                let ends_at = state.store.holds.iter().map(crate::memory::Held::ends_at).max();
                let mut active = state.store.rows.iter().filter(|row| row.status() == Status::Active);
                world.luck.restores > 0 || active.all(|row| Some(row.process.ends_at()) >= ends_at)
            },
        ),
        Property::always("the journal has nothing cancelled and deleted", |_, state: &State| {
            let memory = &state.store.memory;
            !memory.processes().any(|process| memory.has_cancelled(process) && memory.has_started(process))
        }),
    ]
}

fn sometimes() -> Vec<Property<World>> {
    vec![
        Property::sometimes("a cancellation that was lost is there again", |_, state: &State| {
            state.store.rows.iter().any(|row| row.tells("CancellationRestored"))
        }),
        Property::sometimes(
            "a deletion comes to its end after the database was put back",
            |_, state: &State| state.facts.was_put_back && state.store.closed.is_some(),
        ),
        Property::sometimes("a request that was lost is made again", |_, state: &State| {
            state.facts.was_put_back && state.store.row(8).is_some()
        }),
        Property::sometimes("a cancellation counts past the promised date", |_, state: &State| {
            sound(state).any(|row| {
                let is_late = row.promised <= at(state.now);
                row.status() == Status::Cancelled && is_late && row.process.ends_at() > row.promised
            })
        }),
        Property::sometimes("a deletion that was suspended comes to its end", |_, state: &State| {
            state.facts.was_held && state.store.closed.is_some()
        }),
        Property::sometimes("a hold comes first while the start is decided", |_, state: &State| {
            state.facts.was_held
                && state.actors.iter().any(|actor| match &actor.run {
                    crate::world::Run::At(trace) => trace.waiting.iter().any(|(_, call)| match call {
                        Call::SaveAll(saves) => saves.iter().any(|save| {
                            let row = state.store.row(save.number());
                            save.is_irreversible()
                                && row.is_some_and(|row| row.process.is_suspended(at(state.now)))
                        }),
                        _ => false,
                    }),
                    _ => false,
                })
        }),
        Property::sometimes("erasing waits for the end of a hold", |_, state: &State| {
            state
                .store
                .rows
                .iter()
                .any(|row| row.status() == Status::Deleting && row.process.is_suspended(at(state.now)))
        }),
        Property::sometimes("deletions are paused while something is erased", |_, state: &State| {
            state.store.is_paused() && state.store.rows.iter().any(|row| row.status() == Status::Deleting)
        }),
        Property::sometimes("a pause that was lost is resumed", |_, state: &State| {
            let setting = state.store.setting;
            state.facts.was_put_back && setting.is_some_and(|(_, is_paused)| !is_paused)
        }),
        Property::sometimes("a hold that was lost is there again", |_, state: &State| {
            state.facts.was_put_back
                && state
                    .store
                    .holds
                    .iter()
                    .any(|held| state.backup.is_none() && held.0.hold.is_in_force(at(state.now)))
        }),
    ]
}
