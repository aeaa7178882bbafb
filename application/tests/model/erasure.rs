//! What comes after the deadline: a sweep, two workers, two erasers, a ledger, leases that end, crashes and retries.
//!
//! It is about one process whose grace period is over. Time passes without being counted: whatever is due later may be
//! due at once, and a lease may end at any moment, also while its worker is busy.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use reprieve_domain::Status;

use crate::erasure_state::{Eraser, Luck, Place, Reply, State, Worker};
use crate::store::{Decided, Guards, Loaded, Store, at, device, erasers, grace_period, process_id};

/// The number of erasers, and of the task that ends it all.
pub(crate) const FINISH: usize = 2;
/// The end of the grace period, and the time in this model.
pub(crate) const NOW: i64 = crate::store::GRACE_PERIOD;

/// What is wrong with the system, to see that the model would show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    FenceNotChecked,
    LedgerAfterErasing,
    ClosedWithoutAcknowledgements,
    AcknowledgedBeforeErasing,
    TasksAfterTheStep,
    LeaseNeverEnds,
    AcknowledgementLeavesFenceOfFinish,
    CloseRemovesNewcomer,
}

/// What is explored, and how much of what goes wrong by itself.
#[derive(Debug, Clone)]
pub(crate) struct Erasing {
    pub(crate) mistake: Option<Mistake>,
    pub(crate) luck: Luck,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Sweep,
    MakeTasks,
    Claim(usize, usize),
    Work(usize),
    Ask(usize, Reply),
    Crash(usize),
    CrashSweep,
    EndLease(usize),
    Retry,
    ComeBack,
}

impl Erasing {
    pub(crate) fn has(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn sweep(&self, state: &mut State) {
        let loaded = state.store.load();
        let step = loaded.identity().start_deletion(&process_id(0), erasers(), at(NOW)).unwrap();
        state.store.save(&loaded.decided(step), Guards::ALL).unwrap();
        if self.has(Mistake::TasksAfterTheStep) {
            state.has_tasks_in_mind = true;
        } else {
            state.make_tasks();
        }
    }
}

impl stateright::Model for Erasing {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let step =
            Loaded::NOBODY.identity().initiate(process_id(0), device(), grace_period(), at(0)).unwrap();
        let mut store = Store::default();
        store.save(&Loaded::NOBODY.decided(step), Guards::ALL).unwrap();
        vec![State {
            store,
            tasks: [None; 3],
            is_in_ledger: false,
            has_own_rows: true,
            has_receipt: false,
            ledger_has_it: false,
            erasers: [Eraser { has_data: true, has_lied: false }; 2],
            workers: [Worker::Idle, Worker::Idle],
            has_tasks_in_mind: false,
            luck: self.luck,
            closed: None,
            newcomer_was_told: false,
            was_asked_too_early: false,
            was_asked_after_close: false,
            stored_without_lease: false,
            was_retried: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let luck = &state.luck;
        if state.status() == Some(Status::Active) {
            actions.push(Action::Sweep);
        }
        if state.has_tasks_in_mind {
            actions.push(Action::MakeTasks);
            actions.extend((luck.crashes > 0).then_some(Action::CrashSweep));
        }
        for (number, worker) in state.workers.iter().enumerate() {
            match worker {
                Worker::Idle => {
                    let due = |task: &usize| state.tasks[*task].is_some_and(|task| task.place == Place::Due);
                    actions.extend((0..3).filter(due).map(|task| Action::Claim(number, task)));
                    continue;
                }
                Worker::Ready(claim, _) if claim.task != FINISH => {
                    let replies = [
                        (Reply::Erased, true),
                        (Reply::Lost, luck.failures > 0),
                        (Reply::Failed, luck.failures > 0),
                        (Reply::Working, luck.delays > 0),
                        (Reply::Lie, luck.lies > 0),
                    ];
                    actions.extend(
                        replies.iter().filter(|(_, may)| *may).map(|(reply, _)| Action::Ask(number, *reply)),
                    );
                }
                _ => actions.push(Action::Work(number)),
            }
            actions.extend((luck.crashes > 0).then_some(Action::Crash(number)));
        }
        for (number, task) in state.tasks.iter().enumerate() {
            let is_claimed = task.is_some_and(|task| task.place == Place::Claimed);
            let may_end = luck.early_ends > 0 || !state.holder(number);
            if is_claimed && may_end && !self.has(Mistake::LeaseNeverEnds) {
                actions.push(Action::EndLease(number));
            }
        }
        if luck.retries > 0 && state.tasks.iter().flatten().any(|task| task.place == Place::Stuck) {
            actions.push(Action::Retry);
        }
        if !state.newcomer_was_told && state.status() == Some(Status::Deleted) {
            actions.push(Action::ComeBack);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Sweep => self.sweep(&mut state),
            Action::MakeTasks => {
                state.has_tasks_in_mind = false;
                state.make_tasks();
            }
            Action::CrashSweep => {
                state.luck.crashes -= 1;
                state.has_tasks_in_mind = false;
            }
            Action::Claim(worker, task) => state.claim(worker, task),
            Action::Work(worker) => self.work(&mut state, worker),
            Action::Ask(worker, reply) => self.ask(&mut state, worker, reply),
            Action::Crash(worker) => {
                state.luck.crashes -= 1;
                state.workers[worker] = Worker::Idle;
            }
            Action::EndLease(task) => {
                state.luck.early_ends -= u8::from(state.holder(task));
                state.tasks[task].as_mut()?.place = Place::Due;
            }
            Action::Retry => {
                state.luck.retries -= 1;
                state.was_retried = true;
                for task in state.tasks.iter_mut().flatten().filter(|task| task.place == Place::Stuck) {
                    task.place = Place::Due;
                    task.is_unfinished = false;
                }
            }
            Action::ComeBack => {
                let step =
                    state.store.load().identity().initiate(process_id(1), device(), grace_period(), at(NOW));
                let decided = Decided::new(step.unwrap(), 0);
                state.store.save(&decided, Guards::ALL).unwrap();
                state.newcomer_was_told = true;
                state.has_own_rows = true;
            }
        }
        // Which of two workers is which makes no difference.
        state.workers.sort_by_cached_key(fingerprint);
        Some(state)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        crate::erasure_rules::rules()
    }
}

fn fingerprint(worker: &Worker) -> u64 {
    let mut hasher = DefaultHasher::new();
    worker.hash(&mut hasher);
    hasher.finish()
}

/// A process as it was loaded for a task.
pub(crate) fn loaded(state: &State) -> Option<Loaded> {
    let row = state.store.rows.iter().find(|row| row.process.number() == 0)?;
    Some(Loaded { open: Some(row.process.clone()), version: row.version })
}
