//! How far a use case has come: the answers it was given. Each sequence of answers is played once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use reprieve_domain::Timestamp;

use crate::calls::{Answer, Call};
use crate::clocks::Clock;
use crate::desk::{Answered, Played, play};
use crate::jobs::{Features, Job, Outcome};
use crate::tasks::Kind;

/// One point in the run of a use case.
pub(crate) struct Trace {
    job: Job,
    features: Features,
    begun: i64,
    clock: Clock,
    before: Option<(Arc<Trace>, Answered)>,
    after: Mutex<HashMap<(usize, Answer, i64), Arc<Trace>>>,
    pub(crate) waiting: Vec<(usize, Call)>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) has_read_clock: bool,
    /// What it has claimed, with the fence.
    pub(crate) claims: Vec<(usize, Kind, i64)>,
    /// Which processes it has seen verified, the newest of each last.
    seen: Vec<(usize, bool)>,
    /// What it has seen of the pause and of suspensions since it claimed something.
    looks: Vec<Look>,
    fingerprint: u64,
}

/// What is looked at before an eraser is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Pause(bool),
    /// Until when a process is suspended.
    Suspension(usize, Option<i64>),
}

/// Every first point.
#[derive(Default)]
pub(crate) struct Traces(Mutex<HashMap<(Job, i64, Clock), Arc<Trace>>>);

impl Traces {
    pub(crate) fn begin(&self, job: Job, features: Features, now: i64, clock: Clock) -> Arc<Trace> {
        let mut traces = self.0.lock().unwrap();
        let trace = traces.entry((job, now, clock)).or_insert_with(|| {
            let mut hasher = DefaultHasher::new();
            let played = play(job, features, clock.moment(now), &[]);
            (job, clock, played.has_read_clock.then_some(now)).hash(&mut hasher);
            Arc::new(Trace::new(job, features, now, clock, None, played, hasher.finish()))
        });
        trace.clone()
    }
}

impl Trace {
    fn new(
        job: Job,
        features: Features,
        begun: i64,
        clock: Clock,
        before: Option<(Arc<Self>, Answered)>,
        played: Played,
        fingerprint: u64,
    ) -> Self {
        let known = |(trace, _): &(Arc<Self>, Answered)| {
            (trace.claims.clone(), trace.seen.clone(), trace.looks.clone())
        };
        let (mut claims, mut seen, mut looks) = before.as_ref().map(known).unwrap_or_default();
        match before.as_ref().map(|(_, answered)| &answered.answer) {
            Some(Answer::Claimed(tasks)) => {
                looks.clear();
                claims.extend(tasks.iter().map(|task| (task.process, task.kind, task.fence)));
            }
            Some(Answer::Verified(rows)) => {
                seen.extend(rows.iter().map(|(row, ..)| (row.number, row.verified().is_ok())));
            }
            Some(Answer::Paused(is_paused)) => looks.push(Look::Pause(*is_paused)),
            Some(Answer::Suspended(until)) => {
                let asked = before.as_ref().map(|(trace, answered)| trace.call(answered.call));
                if let Some(Call::FindSuspension(process)) = asked {
                    looks.push(Look::Suspension(*process, *until));
                }
            }
            _ => {}
        }
        let Played { waiting, outcome, has_read_clock } = played;
        Self {
            job,
            features,
            begun,
            clock,
            before,
            after: Mutex::default(),
            waiting,
            outcome,
            has_read_clock,
            claims,
            seen,
            looks,
            fingerprint,
        }
    }

    /// After an answer to a call, when the use case goes on `now`.
    pub(crate) fn after(self: &Arc<Self>, call: usize, answer: &Answer, now: i64) -> Arc<Self> {
        let key = (call, answer.clone(), now);
        if let Some(after) = self.after.lock().unwrap().get(&key) {
            return after.clone();
        }
        let answered = Answered { call, answer: answer.clone(), moment: self.clock.moment(now) };
        let mut answers = vec![answered.clone()];
        let mut trace = self;
        while let Some((before, answered)) = &trace.before {
            answers.push(answered.clone());
            trace = before;
        }
        answers.reverse();
        let played = play(self.job, self.features, self.clock.moment(self.begun), &answers);
        let mut hasher = DefaultHasher::new();
        // What it does not look at makes no difference.
        let seen = played.has_read_clock.then_some(now);
        (self.fingerprint, call, answer, seen).hash(&mut hasher);
        let before = Some((self.clone(), answered));
        let after =
            Self::new(self.job, self.features, self.begun, self.clock, before, played, hasher.finish());
        self.after.lock().unwrap().entry(key).or_insert_with(|| Arc::new(after)).clone()
    }

    pub(crate) fn call(&self, number: usize) -> &Call {
        &self.waiting.iter().find(|(waiting, _)| *waiting == number).unwrap().1
    }

    /// Whether the newest look at the process has found it sound.
    pub(crate) fn has_verified(&self, process: usize) -> bool {
        self.seen.iter().rev().find(|(number, _)| *number == process).is_some_and(|(_, is_sound)| *is_sound)
    }

    /// Whether it has seen, since it claimed something, that deletions were not paused.
    pub(crate) fn has_seen_no_pause(&self) -> bool {
        let mut looks = self.looks.iter().rev();
        looks.find_map(|look| if let Look::Pause(is_paused) = look { Some(!is_paused) } else { None })
            == Some(true)
    }

    /// Whether it has seen, since it claimed something, that the process was not suspended at this instant.
    pub(crate) fn has_seen_no_suspension(&self, process: usize, now: Timestamp) -> bool {
        let of = |look: &Look| match look {
            Look::Suspension(number, until) if *number == process => Some(*until),
            _ => None,
        };
        let seen = self.looks.iter().rev().find_map(of);
        seen.is_some_and(|until| until.is_none_or(|until| until <= now.unix_micros()))
    }

    pub(crate) fn job(&self) -> Job {
        self.job
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.waiting.iter().map(|(_, call)| call);
        formatter
            .debug_struct("Trace")
            .field("job", &self.job)
            .field("waiting", &waiting.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Trace {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Hash for Trace {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.fingerprint.hash(hasher);
    }
}
