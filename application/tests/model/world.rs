//! Who takes part, what is the case at one instant, and what can happen next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reprieve_domain::{Identity, Status};

use crate::calls::{Answer, Call, Key, Reply, Save, With};
use crate::clocks::{Clock, FIRST, GRACE_PERIOD, at};
use crate::jobs::{Features, Outcome};
use crate::row::{Row, address, device, eraser, process_id};
use crate::store::{Caller, Mistake, Store};
use crate::tasks::NEVER;
use crate::trace::{Trace, Traces};

/// Somebody who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Asks for these, one after the other. Its processes have numbers from `first`.
    Owner { first: usize, requests: &'static [Request], has_keys: bool },
    /// Starts deletions.
    Starter,
    /// Erases, so many tasks at once.
    Eraser(u32),
    /// Does without the first eraser.
    Waiver,
    /// Has erasers asked again.
    Retrier,
    /// Writes the journal.
    Keeper,
    /// Does again what a database lacks that was put back.
    Replayer,
    /// Holds the identity, and releases it, one after the other.
    Holder(&'static [Order]),
    /// Pauses deletions, and has them go on, one after the other.
    Pauser(&'static [Order]),
}

/// What an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    /// Holds the identity until this instant.
    Hold(i64),
    Release,
    Pause,
    Resume,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Request {
    Initiate,
    Cancel,
    /// Initiates, once the first process has come to its end.
    ComeBack,
}

/// How often each kind of mishap may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Luck {
    pub(crate) crashes: u8,
    /// The store or the journal fails, before or after it has done what it was asked.
    pub(crate) breaks: u8,
    /// An eraser fails, or its answer is lost.
    pub(crate) failures: u8,
    /// An eraser is still at work.
    pub(crate) delays: u8,
    /// An eraser acknowledges and has erased nothing.
    pub(crate) lies: u8,
    /// A lease ends under a worker that is alive.
    pub(crate) early_ends: u8,
    /// Somebody changes a process in the database.
    pub(crate) hands: u8,
    /// The database is put back to what it was at some instant.
    pub(crate) restores: u8,
}

/// What is explored.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is so or not, by itself")]
pub(crate) struct World {
    pub(crate) roles: Vec<Role>,
    /// What everybody's clocks show; one first state for each.
    pub(crate) clocks: Vec<Vec<Clock>>,
    /// A process is there, and its grace period is over.
    pub(crate) is_ripe: bool,
    /// A process is there, and its grace period begins.
    pub(crate) is_asked: bool,
    /// The backup is of the beginning, and not of any instant.
    pub(crate) has_backup: bool,
    /// How many ticks pass.
    pub(crate) ticks: i64,
    /// The instants that there are, if they are not all of them.
    pub(crate) instants: &'static [i64],
    pub(crate) features: Features,
    /// Whoever has an answer goes on at once.
    pub(crate) is_prompt: bool,
    pub(crate) erasers: usize,
    pub(crate) luck: Luck,
    pub(crate) mistake: Option<Mistake>,
    pub(crate) traces: Traces,
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Run {
    Idle,
    At(Arc<Trace>),
    /// It has an answer and does not go on before the next tick.
    Asleep {
        trace: Arc<Trace>,
        call: usize,
        answer: Answer,
        since: i64,
    },
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct Actor {
    pub(crate) clock: Clock,
    pub(crate) run: Run,
    /// Nothing has changed since it began.
    pub(crate) is_still: bool,
    pub(crate) tries: u8,
    pub(crate) has_saved: bool,
    pub(crate) told: Vec<Outcome>,
}

/// What has happened and cannot be seen any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact, and states are compared by all of them")]
pub(crate) struct Facts {
    pub(crate) asked_before_the_end: bool,
    pub(crate) asked_unrecorded: bool,
    pub(crate) asked_after_a_cancel: bool,
    pub(crate) asked_after_close: bool,
    pub(crate) acted_unverified: bool,
    pub(crate) removed_newcomer: bool,
    pub(crate) told_what_is_not: bool,
    pub(crate) refused_what_is: bool,
    pub(crate) was_retried: bool,
    pub(crate) cancelled_too_late: bool,
    pub(crate) started_while_held: bool,
    pub(crate) asked_while_held: bool,
    pub(crate) completed_while_held: bool,
    pub(crate) stored_while_paused: bool,
    pub(crate) asked_while_paused: bool,
    /// The end came nearer than it was and than seven days.
    pub(crate) left_too_little_time: bool,
    /// Something irreversible was stored of a process that lacks what the journal has.
    pub(crate) acted_on_older: bool,
    pub(crate) was_put_back: bool,
    pub(crate) was_held: bool,
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) actors: Vec<Actor>,
    /// By the clock that decides.
    pub(crate) now: i64,
    pub(crate) luck: Luck,
    pub(crate) facts: Facts,
    pub(crate) has_data: [bool; 2],
    pub(crate) has_lied: [bool; 2],
    /// How often each request has taken a step.
    pub(crate) taken: BTreeMap<Key, u8>,
    /// Whose owner was told that they are cancelled, unless that was lost with the database, and the journal had not got it.
    pub(crate) cancelled: BTreeSet<usize>,
    /// What the database can be put back to.
    pub(crate) backup: Option<Arc<Store>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    Begin(usize),
    /// Somebody's call is answered.
    Do(usize, usize, How),
    Resume(usize),
    Tell(usize),
    Crash(usize),
    /// The lease or the wait of a task is over.
    EndWait(usize),
    Hand(Hand),
    BackUp,
    /// As the documentation says it: everything is stopped first.
    PutBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Well,
    /// And whoever asked goes on later.
    Asleep,
    Fails,
    /// It was done, but nobody hears of it.
    Lost,
    Replies(Reply),
}

/// What somebody does who can write to the database and has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hand {
    EndsNow(usize),
    StartsNow(usize),
    Revives(usize),
    Completes(usize),
}

impl World {
    pub(crate) fn last(&self) -> i64 {
        if let Some(last) = self.instants.last() {
            return *last;
        }
        FIRST + self.ticks + if self.is_ripe { GRACE_PERIOD } else { 0 }
    }

    pub(crate) fn next_instant(&self, now: i64) -> i64 {
        self.instants.iter().copied().find(|instant| *instant > now).unwrap_or(now + 1)
    }

    fn first_store(&self) -> Store {
        let mut store = Store::default();
        if self.is_ripe || self.is_asked {
            let days = reprieve_domain::GracePeriod::between(at(FIRST), at(FIRST + GRACE_PERIOD)).unwrap();
            let step = Identity::new(address()).initiate(process_id(0), device(), days, at(FIRST)).unwrap();
            let version = reprieve_application::ports::Version::EMPTY;
            let save = Save { step, version, with: With::Nothing, rows: <_>::default() };
            let caller = Caller { clock: Clock::default(), now: FIRST, mistake: None };
            store.perform(&Call::Save(Box::new(save)), caller);
        }
        store
    }

    /// What a worker could do if it began now.
    fn has_work(&self, state: &State, number: usize) -> bool {
        let actor = &state.actors[number];
        let now = actor.clock.moment(state.now).now();
        match self.roles[number] {
            Role::Owner { requests, .. } => match requests.get(actor.told.len()) {
                Some(Request::ComeBack) => {
                    state.store.row(0).is_none_or(|row| row.status() == Status::Deleted)
                }
                request => request.is_some(),
            },
            Role::Starter => {
                let is_due = |row: &Arc<Row>| row.status() == Status::Active && row.process.ends_at() <= now;
                !actor.is_still && state.store.rows.iter().any(is_due)
            }
            Role::Eraser(_) => !actor.is_still && state.store.tasks.iter().any(|task| task.is_due(now)),
            Role::Waiver => {
                actor.tries == 0 && state.store.row(0).is_some_and(|row| row.tells("DeletionStarted"))
            }
            Role::Retrier => actor.tries == 0 && state.store.tasks.iter().any(|task| task.is_stuck),
            Role::Keeper => {
                let store = &state.store;
                let lacks_holds = || store.holds.iter().any(|held| !store.memory.holds.contains(held));
                let lacks_setting = store.setting > store.memory.setting;
                !actor.is_still
                    && (store.all().any(|row| store.memory.lacks(row)) || lacks_holds() || lacks_setting)
            }
            Role::Replayer => {
                let is_stopped = || state.actors.iter().all(|actor| actor.run == Run::Idle);
                actor.tries == 0 && state.facts.was_put_back && is_stopped()
            }
            Role::Holder(orders) | Role::Pauser(orders) => usize::from(actor.tries) < orders.len(),
        }
    }

    fn calls(&self, state: &State, number: usize, trace: &Trace, actions: &mut Vec<Action>) {
        let luck = &state.luck;
        for (call, what) in &trace.waiting {
            let mut may = |how, is_possible: bool| {
                actions.extend(is_possible.then_some(Action::Do(number, *call, how)));
            };
            if matches!(what, Call::Erase { .. }) {
                may(How::Replies(Reply::Erased), true);
                may(How::Replies(Reply::Lost), luck.failures > 0);
                may(How::Replies(Reply::Failed), luck.failures > 0);
                may(How::Replies(Reply::Working), luck.delays > 0);
                may(How::Replies(Reply::Lie), luck.lies > 0);
            } else {
                may(How::Well, true);
                may(How::Fails, luck.breaks > 0);
                may(How::Lost, luck.breaks > 0);
            }
            let may_sleep = !self.is_prompt && state.now < self.last();
            may(How::Asleep, may_sleep && !matches!(what, Call::Erase { .. }));
        }
    }

    fn hands(state: &State, actions: &mut Vec<Action>) {
        for row in &state.store.rows {
            match row.status() {
                Status::Active => {
                    actions.push(Action::Hand(Hand::EndsNow(row.number)));
                    actions.push(Action::Hand(Hand::StartsNow(row.number)));
                }
                Status::Cancelled if state.store.open().is_none() => {
                    actions.push(Action::Hand(Hand::Revives(row.number)));
                }
                Status::Deleting => actions.push(Action::Hand(Hand::Completes(row.number))),
                Status::Cancelled | Status::Deleted => {}
            }
        }
    }
}

impl State {
    /// Whether somebody who lives has the task.
    pub(crate) fn is_held(&self, number: usize) -> bool {
        let task = &self.store.tasks[number];
        self.claims().any(|claim| claim == (task.process, task.kind, task.fence))
    }

    pub(crate) fn claims(&self) -> impl Iterator<Item = (usize, crate::tasks::Kind, i64)> {
        self.actors.iter().flat_map(|actor| {
            let (trace, answer) = match &actor.run {
                Run::Idle => return Vec::new(),
                Run::At(trace) => (trace, None),
                Run::Asleep { trace, answer, .. } => (trace, Some(answer)),
            };
            let mut claims = trace.claims.clone();
            if let Some(Answer::Claimed(tasks)) = answer {
                claims.extend(tasks.iter().map(|task| (task.process, task.kind, task.fence)));
            }
            claims
        })
    }
}

impl stateright::Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let store = self.first_store();
        let state = |clocks: &Vec<Clock>| State {
            store: store.clone(),
            actors: clocks
                .iter()
                .map(|clock| Actor {
                    clock: *clock,
                    run: Run::Idle,
                    is_still: false,
                    tries: 0,
                    has_saved: false,
                    told: Vec::new(),
                })
                .collect(),
            now: if self.is_ripe { FIRST + GRACE_PERIOD } else { FIRST },
            luck: self.luck,
            facts: Facts::default(),
            has_data: [true; 2],
            has_lied: [false; 2],
            taken: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            backup: self.has_backup.then(|| Arc::new(store.clone())),
        };
        self.clocks.iter().map(state).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // What a database lacks is done again while nothing else runs, as the documentation says it.
        let replays = |(role, actor): (&Role, &Actor)| *role == Role::Replayer && actor.run != Run::Idle;
        let is_replayed = self.roles.iter().zip(&state.actors).any(replays);
        if state.now < self.last() && !is_replayed {
            actions.push(Action::Tick);
        }
        for (number, actor) in state.actors.iter().enumerate() {
            match &actor.run {
                Run::Idle if is_replayed => {}
                Run::Idle => {
                    actions.extend(self.has_work(state, number).then_some(Action::Begin(number)));
                    continue;
                }
                Run::At(trace) if trace.outcome.is_some() => actions.push(Action::Tell(number)),
                Run::At(trace) => self.calls(state, number, trace, actions),
                Run::Asleep { since, .. } if state.now > *since => actions.push(Action::Resume(number)),
                Run::Asleep { .. } => {}
            }
            actions.extend((state.luck.crashes > 0).then_some(Action::Crash(number)));
        }
        for (number, task) in state.store.tasks.iter().enumerate() {
            let waits = !task.is_stuck && task.due_at != NEVER && !task.is_due(at(state.now));
            // What is put off is put off until then.
            let until = state.store.row(task.process).and_then(|row| row.process.suspension());
            let is_put_off = until.is_some_and(|held| held.until.unix_micros() == task.due_at);
            let may_end = task.lease_ends_at.is_none()
                || self.mistake != Some(Mistake::LeaseNeverEnds)
                    && (state.luck.early_ends > 0 || !state.is_held(number));
            actions.extend((waits && may_end && !is_put_off).then_some(Action::EndWait(number)));
        }
        if state.luck.hands > 0 {
            Self::hands(state, actions);
        }
        if state.luck.restores > 0 {
            actions.push(if state.backup.is_none() { Action::BackUp } else { Action::PutBack });
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        self.after(last, action)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        let mut rules = crate::rules::rules();
        rules.extend(crate::rules_of_erasure::rules());
        rules.extend(crate::rules_of_memory::rules());
        rules
    }
}

/// What a hand writes about the erasers.
pub(crate) fn pending(erasers: usize) -> Vec<reprieve_domain::ErasureRecord> {
    let record = |number| reprieve_domain::ErasureRecord {
        eraser: eraser(number),
        erasure: reprieve_domain::Erasure::Pending { failures: 0 },
    };
    (0..erasers).map(record).collect()
}
