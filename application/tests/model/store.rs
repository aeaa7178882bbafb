//! The database and the journal of the model: what the ports promise of them, each call at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use reprieve_application::ports::{ErasureTask, Settlement, TaskOutcome, Version};
use reprieve_domain::{Deadline, State, Status, Step, Timestamp};

use crate::calls::{Answer, Call, Key, Refusal, Save, SaveHold, With};
use crate::clocks::{Clock, Untimely, guard};
use crate::memory::{Held, Memory, Setting, put};
use crate::row::{Row, number_of};
use crate::tasks::{Kind, Task};

/// What is wrong with the store, to see that the model would show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    VersionNotChecked,
    DeadlineNotChecked,
    ClocksNotCompared,
    SecondOpenProcessAllowed,
    LoserLeavesTrail,
    AnswerNotRecorded,
    FenceNotChecked,
    TasksNotStored,
    LeaseNeverEnds,
    AcknowledgementLeavesFenceOfFinish,
    CloseRemovesNewcomer,
    NothingIsVerified,
    PauseNotChecked,
    HoldsNotChecked,
    JournalForgets,
    JournalForgetsHolds,
    JournalForgetsPauses,
}

/// Everything that is stored of the one identity, the oldest process first.
#[derive(Debug, Clone, PartialEq, Hash, Default)]
pub(crate) struct Store {
    pub(crate) rows: Vec<Arc<Row>>,
    /// What was stored of a process until it was removed.
    pub(crate) closed: Option<Arc<Row>>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) answers: BTreeMap<Key, u16>,
    pub(crate) holds: Vec<Held>,
    /// How the switch that stops deletions is set, if it ever was.
    pub(crate) setting: Option<Setting>,
    /// What is remembered outside the database, and is not put back with it.
    pub(crate) memory: Memory,
    pub(crate) stored_without_lease: bool,
    pub(crate) has_trusted_a_wrong_clock: bool,
}

/// Who calls, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) clock: Clock,
    pub(crate) now: i64,
    pub(crate) mistake: Option<Mistake>,
}

impl Caller {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }
}

impl Store {
    pub(crate) fn row(&self, number: usize) -> Option<&Arc<Row>> {
        self.rows.iter().find(|row| row.number == number)
    }

    /// The database is put back to what it was. What lies outside of it stays.
    pub(crate) fn put_back(&mut self, backup: &Self) {
        let Self { memory, stored_without_lease, has_trusted_a_wrong_clock, .. } = self.clone();
        *self = Self { memory, stored_without_lease, has_trusted_a_wrong_clock, ..backup.clone() };
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.setting.is_some_and(|(_, is_paused)| is_paused)
    }

    /// Whether the journal has a pause that is not stored.
    pub(crate) fn has_lost_a_pause(&self) -> bool {
        self.memory.setting.is_some_and(|(_, is_paused)| is_paused) && self.setting < self.memory.setting
    }

    /// Everything that is stored of processes, those that are closed included.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.rows.iter().chain(&self.closed)
    }

    pub(crate) fn open(&self) -> Option<&Arc<Row>> {
        self.rows.iter().find(|row| row.is_open())
    }

    /// Does what is asked. What an eraser is asked is no matter of the store.
    pub(crate) fn perform(&mut self, call: &Call, caller: Caller) -> Answer {
        let mut after = self.clone();
        match after.try_perform(call, caller) {
            Ok(answer) => {
                *self = after;
                answer
            }
            Err(refusal) => {
                if caller.makes(Mistake::LoserLeavesTrail)
                    && let Call::Save(save) = call
                    && let Some(row) = self.rows.iter_mut().find(|row| row.number == save.number())
                {
                    *row = Arc::new(Row::after(Some(row), &save.step));
                }
                Answer::Refused(refusal)
            }
        }
    }

    fn try_perform(&mut self, call: &Call, caller: Caller) -> Result<Answer, Refusal> {
        Ok(match call {
            Call::CheckClocks if !caller.clock.is_right() && !caller.makes(Mistake::ClocksNotCompared) => {
                return Err(Refusal::Clocks);
            }
            Call::CheckClocks => Answer::Done,
            Call::Load => {
                let open = self.open().cloned();
                let holds = if open.is_some() { Vec::new() } else { self.holds.clone() };
                Answer::Loaded(open, holds)
            }
            Call::Save(save) => {
                self.save(save, caller)?;
                Answer::Done
            }
            Call::SaveAll(steps) => {
                if steps.iter().any(|save| self.is_kept_by_a_pause(save, caller)) {
                    return Err(Refusal::Paused);
                }
                let saved = steps.iter().map(|save| {
                    let mut after = self.clone();
                    let is_saved = after.save(save, caller).is_ok();
                    if is_saved {
                        *self = after;
                    }
                    is_saved
                });
                Answer::Saved(saved.collect())
            }
            Call::FindDue(ends_by) => {
                let is_due =
                    |row: &&Arc<Row>| row.status() == Status::Active && row.process.ends_at() <= *ends_by;
                Answer::Found(self.rows.iter().filter(is_due).map(|row| row.number).collect())
            }
            Call::Verify(numbers) => {
                let rows = numbers.iter().filter_map(|number| self.row(*number)).cloned();
                let verifies = |row: &Row| row.verified().is_ok() || caller.makes(Mistake::NothingIsVerified);
                let is_journaled = |row: &Row| !row.tells("DeletionStarted") || self.memory.bears_out(row);
                let looked_at = rows.map(|row| (row.clone(), verifies(&row), is_journaled(&row)));
                Answer::Verified(looked_at.collect())
            }
            Call::Claim { .. } | Call::Close(..)
                if self.is_paused() && !caller.makes(Mistake::PauseNotChecked) =>
            {
                return Err(Refusal::Paused);
            }
            Call::Claim { due_at, lease_ends_at, limit } => self.claim(*due_at, *lease_ends_at, *limit),
            Call::Settle(task, settlement) => {
                let settled = self.fenced(task, caller)?;
                settled.settle(settlement);
                if *settlement == Settlement::Known {
                    self.tasks.retain(|other| !other.is(task));
                    self.wake_finish(task.process_id.as_str(), crate::clocks::at(caller.now), caller);
                }
                Answer::Done
            }
            Call::Close(task, version) => {
                self.close(task, *version, caller)?;
                Answer::Done
            }
            Call::Erase { .. } => unreachable!("an eraser is asked"),
            Call::ListTasks(number) => Answer::Listed(self.tasks.iter().any(|task| task.process == *number)),
            Call::Retry(number, now) => {
                let mut retried = 0;
                let erases = |task: &&mut Task| task.process == *number && task.kind != Kind::Finish;
                for task in self.tasks.iter_mut().filter(erases) {
                    if task.lease_ends_at.is_some_and(|ends_at| ends_at > now.unix_micros()) {
                        continue;
                    }
                    if task.is_stuck {
                        (task.is_stuck, task.failures, task.since) = (false, 0, None);
                    }
                    task.due_at = task.due_at.min(now.unix_micros());
                    retried += 1;
                }
                Answer::Retried(retried)
            }
            Call::FindAnswer(key) => Answer::Answered(self.answers.get(key).copied()),
            Call::KeepAnswer(key, answer) => {
                self.answer(*key, *answer, caller)?;
                Answer::Done
            }
            of_memory => return self.try_remember(of_memory, caller),
        })
    }

    /// What is about the journal, holds and pauses.
    fn try_remember(&mut self, call: &Call, caller: Caller) -> Result<Answer, Refusal> {
        Ok(match call {
            Call::Remember(_) if caller.makes(Mistake::JournalForgets) => Answer::Remembered(Vec::new()),
            Call::Remember(numbers) => Answer::Remembered(self.memory.of(numbers.as_deref())),
            Call::Append(entries) => {
                self.memory.append(entries);
                Answer::Done
            }
            Call::Account(numbers) => {
                let is_asked =
                    |row: &&Arc<Row>| numbers.as_ref().is_none_or(|some| some.contains(&row.number));
                Answer::Accounted(self.all().filter(is_asked).cloned().collect())
            }
            Call::ListHolds => Answer::Holds(self.holds.clone()),
            Call::RememberHolds if caller.makes(Mistake::JournalForgetsHolds) => Answer::Holds(Vec::new()),
            Call::RememberHolds => Answer::Holds(self.memory.holds.clone()),
            Call::ListUnjournaledHolds => {
                let is_known = |held: &&Held| !self.memory.holds.contains(*held);
                Answer::Holds(self.holds.iter().filter(is_known).cloned().collect())
            }
            Call::AppendHolds(holds) => {
                for held in holds {
                    put(&mut self.memory.holds, held);
                }
                Answer::Done
            }
            Call::RestoreHolds(holds) => {
                for held in holds {
                    put(&mut self.holds, held);
                }
                Answer::Done
            }
            Call::SaveHold(hold) => {
                self.save_hold(hold, caller)?;
                Answer::Done
            }
            Call::FindSuspension(number) => {
                let suspension = self.row(*number).and_then(|row| row.process.suspension());
                Answer::Suspended(suspension.map(|held| held.until.unix_micros()))
            }
            Call::FindPause => Answer::Paused(self.is_paused()),
            Call::FindSetting => Answer::Setting(self.setting),
            Call::RememberSetting if caller.makes(Mistake::JournalForgetsPauses) => Answer::Setting(None),
            Call::RememberSetting => Answer::Setting(self.memory.setting),
            Call::AppendSetting(setting) => {
                self.memory.setting = self.memory.setting.max(Some(*setting));
                Answer::Done
            }
            Call::RestoreSetting(setting) => {
                self.setting = self.setting.max(Some(*setting));
                Answer::Done
            }
            Call::SetPause(is_paused, now) => {
                let is_changed = *is_paused || self.is_paused();
                if is_changed {
                    let earliest = self.setting.map_or(i64::MIN, |(changed_at, _)| changed_at + 1);
                    self.setting = Some((now.unix_micros().max(earliest), *is_paused));
                }
                Answer::Paused(is_changed)
            }
            other => unreachable!("{other:?} is about something else"),
        })
    }

    fn answer(&mut self, key: Key, answer: u16, caller: Caller) -> Result<(), Refusal> {
        if caller.makes(Mistake::AnswerNotRecorded) {
            return Ok(());
        }
        if self.answers.contains_key(&key) {
            return Err(Refusal::AlreadyAnswered);
        }
        self.answers.insert(key, answer);
        Ok(())
    }

    fn is_kept_by_a_pause(&self, save: &Save, caller: Caller) -> bool {
        self.is_paused() && save.is_irreversible() && !caller.makes(Mistake::PauseNotChecked)
    }

    /// No hold is in force that the step does not know.
    fn is_held(&self, step: &Step, is_new: bool) -> bool {
        let process = step.process();
        let known = match step.deadline() {
            Deadline::IsReachedAt(now) => now,
            _ if is_new => process.suspension().map_or(process.created_at(), |held| held.until),
            _ => return false,
        };
        self.holds.iter().any(|held| held.ends_at() > known)
    }

    /// What was put off until the end of one suspension is put off until that of another.
    fn save_hold(&mut self, hold: &SaveHold, caller: Caller) -> Result<(), Refusal> {
        let SaveHold { record, replaced, step, now } = hold;
        let wanted = Held(record.clone());
        let stored = self.holds.iter().find(|other| other.is_same(&wanted)).map(|other| other.0.revision);
        if stored != *replaced || step.is_none() && self.open().is_some() {
            return Err(Refusal::Conflict);
        }
        self.holds.retain(|other| !other.is_same(&wanted));
        put(&mut self.holds, &wanted);
        let Some(step) = step else { return Ok(()) };
        let until = |store: &Self| store.row(step.number()).and_then(|row| row.process.suspension());
        let before = until(self);
        self.save(step, caller)?;
        let after = until(self);
        let now = now.unix_micros();
        let mine = |task: &&mut Task| {
            task.process == step.number() && !task.is_stuck && task.lease_ends_at.is_none()
        };
        for task in self.tasks.iter_mut().filter(mine) {
            if before.is_some_and(|held| held.until.unix_micros() == task.due_at) {
                task.since = task.since.map(|since| since - (task.due_at - now).max(0));
                task.due_at = task.due_at.min(now);
            }
            if let Some(held) = after.map(|held| held.until.unix_micros())
                && task.due_at < held
            {
                task.since = task.since.map(|since| since + (held - now));
                task.due_at = held;
            }
        }
        Ok(())
    }

    fn save(&mut self, save: &Save, caller: Caller) -> Result<(), Refusal> {
        if self.is_kept_by_a_pause(save, caller) {
            return Err(Refusal::Paused);
        }
        match &save.with {
            With::Nothing => {}
            With::Answer(key, answer) => self.answer(*key, *answer, caller)?,
            With::Task(task, outcome, _) => {
                self.fenced(task, caller)?.fail(outcome);
                if *outcome == TaskOutcome::Acknowledged {
                    self.tasks.retain(|other| !other.is(task));
                }
            }
            With::Waiver(_, kind) => {
                self.tasks.retain(|task| task.process != save.number() || task.kind != *kind);
            }
        }
        let is_new = save.step.audit_entry().old_status.is_none();
        let before =
            if is_new { None } else { Some(self.row(save.number()).cloned().ok_or(Refusal::Conflict)?) };
        if is_new {
            if self.open().is_some() && !caller.makes(Mistake::SecondOpenProcessAllowed) {
                return Err(Refusal::OpenProcessExists);
            }
        } else if before.as_ref().is_some_and(|row| row.head != save.version)
            && !caller.makes(Mistake::VersionNotChecked)
        {
            return Err(Refusal::Conflict);
        }
        let ends_at = before.as_ref().map_or(save.step.process().ends_at(), |row| row.process.ends_at());
        if self.is_held(&save.step, is_new) && !caller.makes(Mistake::HoldsNotChecked) {
            return Err(if is_new { Refusal::OpenProcessExists } else { Refusal::Conflict });
        }
        match guard(&save.step, ends_at, caller.clock, caller.now) {
            Err(Untimely::Deadline) if !caller.makes(Mistake::DeadlineNotChecked) => {
                return Err(Refusal::Conflict);
            }
            Err(Untimely::Clocks) if !caller.makes(Mistake::ClocksNotCompared) => {
                return Err(Refusal::Clocks);
            }
            Err(Untimely::Clocks) => self.has_trusted_a_wrong_clock = true,
            _ => {}
        }
        let row = save.row_after(before);
        match self.rows.iter_mut().find(|row| row.number == save.number()) {
            Some(stored) => *stored = row,
            None => self.rows.push(row),
        }
        if !caller.makes(Mistake::TasksNotStored) {
            self.tasks.extend(save.step.tasks().iter().map(|task| Task::new(save.number(), task)));
            self.tasks.sort_by_key(|task| (task.process, task.kind));
        }
        match &save.with {
            With::Task(task, TaskOutcome::Acknowledged, now) => {
                self.wake_finish(task.process_id.as_str(), *now, caller);
            }
            With::Waiver(at, _) => self.wake_finish(save.step.process().id().as_str(), *at, caller),
            _ => {}
        }
        Ok(())
    }

    fn claim(&mut self, due_at: Timestamp, lease_ends_at: Timestamp, limit: u32) -> Answer {
        let mut due: Vec<_> = self.tasks.iter_mut().filter(|task| task.is_due(due_at)).collect();
        due.sort_by_key(|task| (task.due_at, task.process, task.kind));
        due.truncate(limit.try_into().unwrap());
        let claimed = due.into_iter().map(|task| {
            task.due_at = lease_ends_at.unix_micros();
            task.lease_ends_at = Some(lease_ends_at.unix_micros());
            task.fence += 1;
            *task
        });
        Answer::Claimed(claimed.collect())
    }

    /// The task, if this claim is still its last one.
    fn fenced(&mut self, task: &ErasureTask, caller: Caller) -> Result<&mut Task, Refusal> {
        let stored = self.tasks.iter_mut().find(|stored| stored.is(task)).ok_or(Refusal::LeaseLost)?;
        if stored.fence != task.fence {
            if !caller.makes(Mistake::FenceNotChecked) {
                return Err(Refusal::LeaseLost);
            }
            self.stored_without_lease = true;
        }
        Ok(stored)
    }

    fn wake_finish(&mut self, process: &str, now: Timestamp, caller: Caller) {
        let number = number_of(process);
        let is_finish = |task: &&mut Task| task.process == number && task.kind == Kind::Finish;
        for task in self.tasks.iter_mut().filter(is_finish) {
            task.due_at = now.unix_micros();
            task.lease_ends_at = None;
            task.fence += i64::from(!caller.makes(Mistake::AcknowledgementLeavesFenceOfFinish));
        }
    }

    fn close(&mut self, task: &ErasureTask, version: Version, caller: Caller) -> Result<(), Refusal> {
        let number = number_of(task.process_id.as_str());
        let row = self.row(number).cloned();
        let is_verified = |row: &Arc<Row>| row.status() == Status::Deleted && row.head == version;
        let Some(row) = row.filter(is_verified) else {
            self.fenced(task, caller)?;
            return Err(Refusal::Conflict);
        };
        self.fenced(task, caller)?;
        self.tasks.retain(|task| task.process != number);
        let goes = |row: &Row| {
            row.number == number
                || row.status() == Status::Cancelled
                || caller.makes(Mistake::CloseRemovesNewcomer)
        };
        self.rows.retain(|row| !goes(row));
        if let State::Deleted(deleted) = row.process.state() {
            self.holds.retain(|held| held.ends_at() > deleted.completed_at());
        }
        self.closed = Some(row);
        Ok(())
    }
}

impl Save {
    /// Whether it leads to what cannot be undone.
    pub(crate) fn is_irreversible(&self) -> bool {
        matches!(self.step.audit_entry().action.message_key(), "DeletionStarted" | "DeletionCompleted")
    }

    pub(crate) fn number(&self) -> usize {
        number_of(self.step.process().id().as_str())
    }

    fn row_after(&self, before: Option<Arc<Row>>) -> Arc<Row> {
        let mut rows = self.rows.lock().unwrap();
        let after = |before: &Option<Arc<Row>>| Arc::new(Row::after(before.as_deref(), &self.step));
        rows.entry(before).or_insert_with_key(after).clone()
    }
}
