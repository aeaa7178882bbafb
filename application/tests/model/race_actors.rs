//! What clients, sweep and timer do, one action that nobody can look into after the other.

use reprieve_domain::Status;

use crate::race::{Answer, Key, Mistake, Phase, REQUESTS, Race, Request, State, Sweep, Timer};
use crate::store::{Decided, Guards, Loaded, Refusal, Row, at, device, erasers, grace_period, process_id};

/// How often a client decides anew: more often than anybody can be in its way.
const ATTEMPTS: u8 = 4;

impl Race {
    pub(crate) fn key(&self, client: usize, number: usize) -> Key {
        (if self.is_one_caller { 0 } else { client }, number)
    }

    fn has(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn guards(&self) -> Guards {
        Guards {
            version: !self.has(Mistake::VersionNotChecked),
            deadline: !self.has(Mistake::DeadlineNotInCondition),
            one_open: !self.has(Mistake::SecondOpenProcessAllowed),
            trail_with_process: !self.has(Mistake::LoserLeavesTrail),
        }
    }

    pub(crate) fn client(&self, state: &mut State, client: usize) {
        let number = state.clients[client].told.len();
        let Some(request) = REQUESTS.get(number).copied() else { return };
        let key = self.key(client, number);
        let phase = state.clients[client].phase.clone();
        state.clients[client].phase = match phase {
            Phase::Idle => match (state.answers.get(&key), request) {
                (Some(answer), _) => Phase::Answering(*answer),
                (None, Request::Initiate) => Phase::Loaded { loaded: Loaded::NOBODY, attempt: 1 },
                (None, Request::Cancel) => Phase::Asked { attempt: 1 },
            },
            Phase::Asked { attempt } => Phase::Loaded { loaded: state.store.load(), attempt },
            Phase::Loaded { loaded, attempt } => {
                let now = at(state.now + state.clocks[client]);
                let id = process_id(client * REQUESTS.len() + number);
                let step = match request {
                    Request::Initiate => loaded.identity().initiate(id, device(), grace_period(), now).ok(),
                    Request::Cancel => loaded.identity().cancel(device(), now).ok(),
                };
                match step {
                    Some(step) => Phase::Decided { decided: loaded.decided(step), attempt },
                    None if self.has(Mistake::AnswerNotRecorded) => Phase::Answering(Answer::Refused),
                    // Refused, perhaps because the same request was faster.
                    None => Phase::Answering(*state.answers.entry(key).or_insert(Answer::Refused)),
                }
            }
            Phase::Decided { decided, attempt } => self.save(state, key, &decided, attempt),
            Phase::Answering(answer) => {
                state.clients[client].told.push(answer);
                Phase::Idle
            }
        };
        if self.has(Mistake::AnswerBeforeSave)
            && let Phase::Decided { decided, .. } = &state.clients[client].phase
        {
            let done = Answer::Done(decided.process.number());
            state.clients[client].told.push(done);
        }
    }

    /// Stores the step and the answer together.
    fn save(&self, state: &mut State, key: Key, decided: &Decided, attempt: u8) -> Phase {
        if let Some(answer) = state.answers.get(&key) {
            return Phase::Answering(*answer);
        }
        let done = Answer::Done(decided.process.number());
        match state.store.save(decided, self.guards()) {
            Ok(()) => {
                *state.taken.entry(key).or_default() += 1;
                if !self.has(Mistake::AnswerNotRecorded) {
                    state.answers.insert(key, done);
                }
                Phase::Answering(done)
            }
            Err(_) if self.has(Mistake::ConflictTakenForSuccess) => Phase::Answering(done),
            Err(Refusal::Conflict | Refusal::OpenProcessExists) if attempt < ATTEMPTS => {
                Phase::Asked { attempt: attempt + 1 }
            }
            Err(_) => Phase::Answering(Answer::GaveUp),
        }
    }

    pub(crate) fn sweep(&self, state: &mut State) {
        let now = state.sweep_clock();
        let start = |loaded: &Loaded| {
            let identity = loaded.identity();
            let process = identity.open_process()?;
            let step = identity.start_deletion(process.id(), erasers(), at(now)).ok()?;
            Some(loaded.decided(step))
        };
        state.sweep = match &state.sweep {
            Sweep::Idle => {
                let keeps_no_lock = self.has(Mistake::SweeperKeepsNoLock);
                let kept = if keeps_no_lock { start(&state.store.load()) } else { None };
                Sweep::Picked { ends_by: now, kept }
            }
            Sweep::Picked { kept: Some(decided), .. } => {
                let decided = decided.clone();
                let _ = state.store.save(&decided, Guards { version: false, ..self.guards() });
                Sweep::Idle
            }
            Sweep::Picked { ends_by, kept: None } => {
                if state.is_due(*ends_by)
                    && let Some(decided) = start(&state.store.load())
                {
                    // What a transaction has locked nobody else can have changed.
                    assert!(state.store.save(&decided, self.guards()).is_ok() || self.mistake.is_some());
                }
                Sweep::Idle
            }
        };
    }

    pub(crate) fn timer(&self, state: &mut State) {
        let now = at(state.timer_clock());
        state.timer = match &state.timer {
            Timer::Idle => {
                let due = |row: &Row| row.status() == Status::Active && row.ends_at <= now;
                state.store.rows.iter().position(due).map_or(Timer::Idle, Timer::Found)
            }
            Timer::Found(row) => Timer::Loaded(*row, state.store.load()),
            Timer::Loaded(row, loaded) => {
                let id = state.store.rows[*row].process.0.id();
                match loaded.identity().start_deletion(id, erasers(), now) {
                    Ok(step) => Timer::Decided(*row, loaded.decided(step)),
                    Err(_) => Timer::Idle,
                }
            }
            Timer::Decided(row, decided) => {
                let (row, decided) = (*row, decided.clone());
                match state.store.save(&decided, self.guards()) {
                    Ok(()) => Timer::Idle,
                    Err(_) => Timer::Found(row),
                }
            }
        };
    }
}
