//! Who wins at the deadline: two clients, a sweep and a timer, with clocks that differ, crashes and lost answers.
//!
//! Between any two actions of one actor the others may do whatever they like. What an action does is what the store
//! promises to do at once, or what nobody else can see.

use std::collections::BTreeMap;

use crate::store::{Decided, Loaded, Store, at};
use reprieve_domain::Status;

/// The last instant: time for two grace periods, one after the other.
pub(crate) const HORIZON: i64 = 4;

/// What is wrong with the system, to see that the model would show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    VersionNotChecked,
    DeadlineNotInCondition,
    SecondOpenProcessAllowed,
    LoserLeavesTrail,
    SweeperKeepsNoLock,
    AnswerNotRecorded,
    AnswerBeforeSave,
    ConflictTakenForSuccess,
}

/// What is explored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Race {
    pub(crate) mistake: Option<Mistake>,
    /// How far each clock is from the true time: two clients, sweep, timer.
    pub(crate) clocks: Vec<[i64; 4]>,
    /// Both clients send the same requests, with the same idempotency keys.
    pub(crate) is_one_caller: bool,
    /// Somebody shortens a grace period in the database, by hand.
    pub(crate) has_meddler: bool,
    pub(crate) crashes: u8,
}

/// What a client asks for, in this order.
pub(crate) const REQUESTS: [Request; 2] = [Request::Initiate, Request::Cancel];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Request {
    Initiate,
    Cancel,
}

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    /// Done, to the process with this number.
    Done(usize),
    Refused,
    GaveUp,
}

/// Names a request: who sent it, and which of theirs it is.
pub(crate) type Key = (usize, usize);

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Phase {
    Idle,
    Asked { attempt: u8 },
    Loaded { loaded: Loaded, attempt: u8 },
    Decided { decided: Decided, attempt: u8 },
    Answering(Answer),
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct Client {
    pub(crate) phase: Phase,
    pub(crate) told: Vec<Answer>,
}

/// Steps whatever is due in one transaction.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Sweep {
    Idle,
    Picked { ends_by: i64, kept: Option<Decided> },
}

/// Starts the deletion of the one process it was set for.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Timer {
    Idle,
    Found(usize),
    Loaded(usize, Loaded),
    Decided(usize, Decided),
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) answers: BTreeMap<Key, Answer>,
    /// How often each request has taken a step.
    pub(crate) taken: BTreeMap<Key, u8>,
    pub(crate) clients: [Client; 2],
    pub(crate) sweep: Sweep,
    pub(crate) timer: Timer,
    pub(crate) now: i64,
    pub(crate) clocks: [i64; 4],
    crashes: u8,
    may_meddle: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    Client(usize),
    Sweep,
    Timer,
    CrashClient(usize),
    CrashSweep,
    CrashTimer,
    Meddle,
}

impl State {
    pub(crate) fn sweep_clock(&self) -> i64 {
        self.now + self.clocks[2]
    }

    pub(crate) fn timer_clock(&self) -> i64 {
        self.now + self.clocks[3]
    }

    pub(crate) fn is_due(&self, by: i64) -> bool {
        self.store.rows.iter().any(|row| row.status() == Status::Active && row.ends_at <= at(by))
    }
}

impl stateright::Model for Race {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let client = Client { phase: Phase::Idle, told: Vec::new() };
        let begin = |clocks: &[i64; 4]| State {
            store: Store::default(),
            answers: BTreeMap::new(),
            taken: BTreeMap::new(),
            clients: [client.clone(), client.clone()],
            sweep: Sweep::Idle,
            timer: Timer::Idle,
            now: 0,
            clocks: *clocks,
            crashes: self.crashes,
            may_meddle: self.has_meddler,
        };
        self.clocks.iter().map(begin).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < HORIZON {
            actions.push(Action::Tick);
        }
        let may_crash = state.crashes > 0;
        for (number, client) in state.clients.iter().enumerate() {
            let is_idle = matches!(client.phase, Phase::Idle);
            if !is_idle || client.told.len() < REQUESTS.len() {
                actions.push(Action::Client(number));
            }
            if may_crash && !is_idle {
                actions.push(Action::CrashClient(number));
            }
        }
        match &state.sweep {
            Sweep::Idle if !state.is_due(state.sweep_clock()) => {}
            Sweep::Idle => actions.push(Action::Sweep),
            Sweep::Picked { .. } => actions.extend([Action::Sweep, Action::CrashSweep]),
        }
        match &state.timer {
            Timer::Idle if !state.is_due(state.timer_clock()) => {}
            Timer::Idle => actions.push(Action::Timer),
            _ => actions.extend([Action::Timer, Action::CrashTimer]),
        }
        if !may_crash {
            actions.retain(|action| !matches!(action, Action::CrashSweep | Action::CrashTimer));
        }
        if state.may_meddle && state.store.load().open.is_some() {
            actions.push(Action::Meddle);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::Client(client) => self.client(&mut state, client),
            Action::Sweep => self.sweep(&mut state),
            Action::Timer => self.timer(&mut state),
            Action::CrashClient(client) => state.clients[client].phase = Phase::Idle,
            Action::CrashSweep => state.sweep = Sweep::Idle,
            Action::CrashTimer => state.timer = Timer::Idle,
            Action::Meddle => {
                state.may_meddle = false;
                let now = at(state.now);
                let row = state.store.rows.iter_mut().find(|row| row.status() == Status::Active)?;
                if row.ends_at <= now || now <= row.process.0.created_at() {
                    return None;
                }
                row.ends_at = now;
            }
        }
        if matches!(action, Action::CrashClient(_) | Action::CrashSweep | Action::CrashTimer) {
            state.crashes -= 1;
        }
        Some(state)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        crate::race_rules::rules()
    }
}
