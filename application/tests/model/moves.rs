//! What becomes of a state when something happens.

use std::sync::Arc;

use reprieve_domain::{Erasure, NewTask, Status, TaskKind};

use crate::calls::{Answer, Call, Refusal, Reply, With};
use crate::clocks::at;
use crate::jobs::{Job, Outcome};
use crate::row::eraser;
use crate::store::{Caller, Store};
use crate::tasks::Task;
use crate::trace::Trace;
use crate::world::{Action, Hand, How, Order, Request, Role, Run, State, World, pending};

impl World {
    pub(crate) fn after(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now = self.next_instant(state.now),
            Action::Begin(actor) => self.begin(&mut state, actor),
            Action::Do(actor, call, how) => self.perform(&mut state, actor, call, how)?,
            Action::Resume(actor) => {
                let Run::Asleep { trace, call, answer, .. } = state.actors[actor].run.clone() else {
                    return None;
                };
                state.actors[actor].run = Run::At(trace.after(call, &answer, state.now));
                self.end_pass(&mut state, actor);
            }
            Action::Tell(actor) => Self::tell(&mut state, actor),
            Action::Crash(actor) => {
                state.luck.crashes -= 1;
                state.actors[actor].run = Run::Idle;
                state.actors[actor].is_still = false;
            }
            Action::EndWait(task) => {
                state.luck.early_ends -=
                    u8::from(state.store.tasks[task].lease_ends_at.is_some() && state.is_held(task));
                let task = &mut state.store.tasks[task];
                (task.due_at, task.lease_ends_at) = (0, None);
                task.since = task.since.map(|since| since.min(at(state.now - 1).unix_micros()));
            }
            Action::Hand(hand) => {
                state.luck.hands -= 1;
                self.touch(&mut state, hand)?;
            }
            Action::BackUp => state.backup = Some(Arc::new(state.store.clone())),
            Action::PutBack => Self::put_back(&mut state)?,
        }
        if state.store != last.store || state.now != last.now {
            for actor in &mut state.actors {
                actor.is_still = false;
            }
        }
        self.normalize(&mut state);
        Some(state)
    }

    /// Fences that nobody remembers count from the start again, and which of two workers is which makes no difference.
    fn normalize(&self, state: &mut State) {
        let claims: Vec<_> = state.claims().map(|(process, kind, _)| (process, kind)).collect();
        for task in &mut state.store.tasks {
            if !claims.contains(&(task.process, task.kind)) {
                task.fence = 0;
            }
        }
        let first = self.roles.iter().position(|role| matches!(role, Role::Eraser(_)));
        let last = self.roles.iter().rposition(|role| matches!(role, Role::Eraser(_)));
        if let (Some(first), Some(last)) = (first, last)
            && first < last
        {
            state.actors[first..=last].sort_by_key(|actor| match &actor.run {
                Run::Idle => (u64::from(actor.is_still), 0),
                Run::At(trace) => (trace.fingerprint(), 1),
                Run::Asleep { trace, .. } => (trace.fingerprint(), 2),
            });
        }
    }

    fn job(&self, state: &State, number: usize) -> Option<Job> {
        let actor = &state.actors[number];
        Some(match self.roles[number] {
            Role::Owner { first, requests, has_keys } => {
                let key = has_keys.then(|| (0, u8::try_from(actor.told.len()).unwrap()));
                match requests.get(actor.told.len())? {
                    Request::Initiate | Request::ComeBack => {
                        Job::Initiate { process: first + usize::from(actor.tries), key }
                    }
                    Request::Cancel => Job::Cancel { key },
                }
            }
            Role::Starter => Job::Start { erasers: self.erasers },
            Role::Eraser(concurrency) => Job::Erase { erasers: self.erasers, concurrency },
            Role::Waiver => Job::Waive { process: 0, eraser: 0 },
            Role::Retrier => Job::Retry { process: 0 },
            Role::Keeper => Job::Keep,
            Role::Replayer => Job::Replay { process: 8 },
            Role::Holder(orders) | Role::Pauser(orders) => match orders.get(usize::from(actor.tries))? {
                Order::Hold(until) => Job::Hold { until: *until },
                Order::Release => Job::Release,
                Order::Pause => Job::Pause,
                Order::Resume => Job::Resume,
            },
        })
    }

    fn begin(&self, state: &mut State, number: usize) {
        let Some(job) = self.job(state, number) else { return };
        let now = state.now;
        let is_worker = matches!(self.roles[number], Role::Starter | Role::Eraser(_) | Role::Keeper);
        let actor = &mut state.actors[number];
        actor.is_still = is_worker;
        actor.has_saved = false;
        // Whoever asks again gets another number.
        let counts = !is_worker && !matches!(job, Job::Cancel { .. });
        actor.tries += u8::from(counts);
        actor.run = Run::At(self.traces.begin(job, self.features, now, actor.clock));
    }

    fn perform(&self, state: &mut State, number: usize, call: usize, how: How) -> Option<()> {
        let Run::At(trace) = state.actors[number].run.clone() else { return None };
        let what = trace.call(call);
        let answer = match how {
            How::Replies(reply) => Self::ask(state, &trace, what, reply),
            How::Fails => Answer::Refused(Refusal::Unavailable),
            How::Well | How::Asleep => self.store(state, number, &trace, what),
            How::Lost => {
                let answer = self.store(state, number, &trace, what);
                if matches!(answer, Answer::Refused(_)) {
                    return None;
                }
                Answer::Refused(Refusal::Unavailable)
            }
        };
        if matches!(how, How::Fails | How::Lost) {
            state.luck.breaks -= 1;
            // Whatever it finds or does not find, it will have to look again.
            state.actors[number].is_still = false;
        }
        let after = trace.after(call, &answer, state.now);
        state.actors[number].run = if how == How::Asleep {
            // When it goes on makes no difference if it does not look at the clock.
            if !after.has_read_clock {
                return None;
            }
            Run::Asleep { trace, call, answer, since: state.now }
        } else {
            Run::At(after)
        };
        self.end_pass(state, number);
        Some(())
    }

    /// Whatever ran has ended. What was acknowledged is lost, unless the backup or the journal has it.
    fn put_back(state: &mut State) -> Option<()> {
        let backup = state.backup.take()?;
        state.luck.restores -= 1;
        state.facts.was_put_back = true;
        for actor in &mut state.actors {
            (actor.run, actor.is_still, actor.has_saved) = (Run::Idle, false, false);
        }
        state.store.put_back(&backup);
        let State { store, cancelled, .. } = state;
        cancelled.retain(|number| {
            store.memory.has_cancelled(*number)
                || store.row(*number).is_some_and(|row| row.status() == Status::Cancelled)
        });
        Some(())
    }

    /// Nobody is told what came of a pass.
    fn end_pass(&self, state: &mut State, number: usize) {
        let actor = &mut state.actors[number];
        if !matches!(self.roles[number], Role::Owner { .. })
            && matches!(&actor.run, Run::At(trace) if trace.outcome.is_some())
        {
            actor.run = Run::Idle;
        }
    }

    fn store(&self, state: &mut State, number: usize, trace: &Trace, call: &Call) -> Answer {
        let caller = Caller { clock: state.actors[number].clock, now: state.now, mistake: self.mistake };
        let before = state.store.clone();
        let answer = state.store.perform(call, caller);
        crate::rules_of_memory::note(state, &before, (trace.job(), call), &answer);
        match (call, &answer) {
            (Call::Save(save), Answer::Done) => {
                state.actors[number].has_saved = true;
                let process = save.step.process();
                if process.status() == Status::Cancelled {
                    let ends_at = process.ends_at();
                    let is_new = save.step.audit_entry().action.message_key() == "CancelledByOwner";
                    state.facts.cancelled_too_late |= is_new && !caller.clock.is_before(ends_at, state.now);
                }
                if let With::Answer(key, _) = &save.with {
                    *state.taken.entry(*key).or_default() += 1;
                }
                state.facts.acted_unverified |= save.is_irreversible() && !trace.has_verified(save.number());
            }
            (Call::SaveAll(steps), Answer::Saved(saved)) => {
                for (save, _) in steps.iter().zip(saved).filter(|(_, is_saved)| **is_saved) {
                    state.facts.acted_unverified |=
                        save.is_irreversible() && !trace.has_verified(save.number());
                }
            }
            (Call::Close(task, _), Answer::Done) => {
                let process = crate::row::number_of(task.process_id.as_str());
                state.facts.acted_unverified |= !trace.has_verified(process);
                let open = |store: &Store| store.rows.iter().filter(|row| row.is_open()).count();
                state.facts.removed_newcomer |= open(&state.store) < open(&before);
            }
            (Call::Retry(..), Answer::Retried(_)) => state.facts.was_retried = true,
            _ => {}
        }
        answer
    }

    /// The eraser acts, and the worker has its answer, in memory.
    fn ask(state: &mut State, trace: &Trace, call: &Call, reply: Reply) -> Answer {
        let Call::Erase { eraser, process } = *call else { unreachable!("only erasers reply") };
        let store = &state.store;
        let row = store.row(process).or(store.closed.as_ref().filter(|row| row.number == process));
        let facts = &mut state.facts;
        facts.asked_before_the_end |= row.is_none_or(|row| at(state.now) < row.promised);
        facts.asked_unrecorded |=
            row.is_none_or(|row| !row.tells("DeletionStarted") || !store.memory.bears_out(row));
        facts.asked_while_held |= row.is_some_and(|row| row.process.is_suspended(at(state.now)))
            && !trace.has_seen_no_suspension(process, at(state.now));
        facts.asked_while_paused |= store.has_lost_a_pause();
        facts.asked_while_paused |= store.is_paused() && !trace.has_seen_no_pause();
        facts.asked_after_a_cancel |= state.cancelled.contains(&process);
        facts.asked_after_close |= store.closed.as_ref().is_some_and(|row| row.number == process);
        facts.acted_unverified |= !trace.has_verified(process);
        let luck = &mut state.luck;
        match reply {
            Reply::Erased => state.has_data[eraser] = false,
            Reply::Lost => {
                state.has_data[eraser] = false;
                luck.failures -= 1;
            }
            Reply::Failed => luck.failures -= 1,
            Reply::Working => luck.delays -= 1,
            Reply::Lie => {
                state.has_lied[eraser] = true;
                luck.lies -= 1;
            }
        }
        Answer::Replied(reply)
    }

    fn tell(state: &mut State, number: usize) {
        let Run::At(trace) = state.actors[number].run.clone() else { return };
        let Some(outcome) = trace.outcome else { return };
        let actor = &mut state.actors[number];
        let step = match trace.job() {
            Job::Initiate { .. } => "StartedByOwner",
            _ => "CancelledByOwner",
        };
        let key = match trace.job() {
            Job::Initiate { key, .. } | Job::Cancel { key } => key,
            _ => None,
        };
        match outcome {
            Outcome::Done(process) => {
                let tells = state.store.row(process).map(|row| row.tells(step));
                // What is gone with its identity has told it.
                state.facts.told_what_is_not |= !tells.unwrap_or(state.store.closed.is_some());
                if step == "CancelledByOwner" {
                    state.cancelled.insert(process);
                }
            }
            Outcome::Refused => {
                let has_taken = key.is_some_and(|key| state.taken.contains_key(&key));
                state.facts.refused_what_is |= actor.has_saved || has_taken;
            }
            Outcome::Failed | Outcome::Over => {}
        }
        actor.told.push(outcome);
        actor.has_saved = false;
        actor.run = Run::Idle;
    }

    /// Whoever writes to the database changes whatever makes sense there; what is sealed cannot be made anew.
    fn touch(&self, state: &mut State, hand: Hand) -> Option<()> {
        let now = at(state.now);
        let (Hand::EndsNow(number)
        | Hand::StartsNow(number)
        | Hand::Revives(number)
        | Hand::Completes(number)) = hand;
        let row = state.store.row(number)?.touched(|record| match hand {
            Hand::EndsNow(_) => record.grace_period_ends_at = now,
            Hand::StartsNow(_) => {
                record.grace_period_ends_at = record.grace_period_ends_at.min(now);
                record.status = Status::Deleting;
                record.deletion_started_at = Some(now);
                record.erasures = Some(pending(self.erasers));
            }
            Hand::Revives(_) => {
                record.status = Status::Active;
                (record.cancelled_at, record.cancelled_by_device) = (None, None);
            }
            Hand::Completes(_) => {
                record.status = Status::Deleted;
                record.deletion_completed_at = Some(now);
                for erasure in record.erasures.iter_mut().flatten() {
                    erasure.erasure = Erasure::Acknowledged { at: now, count: 1 };
                }
            }
        })?;
        *state.store.rows.iter_mut().find(|row| row.number == number)? = row;
        if let Hand::StartsNow(_) = hand {
            let kinds = (0..self.erasers).map(|number| TaskKind::Erase(eraser(number)));
            for kind in std::iter::once(TaskKind::Finish).chain(kinds) {
                state.store.tasks.push(Task::new(number, &NewTask { kind, due_at: Some(now) }));
            }
        }
        if let Hand::Completes(_) = hand {
            for task in &mut state.store.tasks {
                task.due_at = now.unix_micros();
            }
        }
        Some(())
    }
}
