//! Runs a use case by hand: over the desk go its calls, and back come the answers, in the order that the model likes.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use reprieve_domain::Moment;

use crate::calls::{Answer, Call};
use crate::jobs::{Features, Job, Outcome};

/// Where the ports of one run leave their calls.
pub(crate) struct Desk(Mutex<Inner>);

struct Inner {
    moment: Moment,
    is_clock_read: bool,
    slots: Vec<Slot>,
}

#[derive(Default)]
struct Slot {
    call: Option<Call>,
    answer: Option<Answer>,
    waker: Option<Waker>,
}

/// What a use case was answered, and when it went on.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) call: usize,
    pub(crate) answer: Answer,
    pub(crate) moment: Moment,
}

/// How far a use case has come.
pub(crate) struct Played {
    /// What it waits for, by the number of the call.
    pub(crate) waiting: Vec<(usize, Call)>,
    pub(crate) outcome: Option<Outcome>,
    /// Whether it has looked at the clock since the last answer.
    pub(crate) has_read_clock: bool,
}

impl Desk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(crate) fn moment(&self) -> Moment {
        let mut inner = self.inner();
        inner.is_clock_read = true;
        inner.moment
    }

    pub(crate) async fn ask(&self, call: Call) -> Answer {
        let number = {
            let mut inner = self.inner();
            inner.slots.push(Slot { call: Some(call), ..Slot::default() });
            inner.slots.len() - 1
        };
        std::future::poll_fn(|context| {
            let slot = &mut self.inner().slots[number];
            if let Some(answer) = slot.answer.take() {
                return Poll::Ready(answer);
            }
            slot.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// Runs a job from its start, with these answers, to where it waits for another one.
pub(crate) fn play(job: Job, features: Features, begun: Moment, answers: &[Answered]) -> Played {
    let inner = Inner { moment: begun, is_clock_read: false, slots: Vec::new() };
    let desk = Arc::new(Desk(Mutex::new(inner)));
    let mut future: Pin<Box<dyn Future<Output = Outcome> + Send>> = job.run(&desk, features);
    let mut context = Context::from_waker(Waker::noop());
    let mut poll = future.as_mut().poll(&mut context);
    for Answered { call, answer, moment } in answers {
        let waker = {
            let mut inner = desk.inner();
            inner.moment = *moment;
            inner.is_clock_read = false;
            let slot = &mut inner.slots[*call];
            assert!(slot.call.take().is_some(), "a use case does not do the same twice");
            slot.answer = Some(answer.clone());
            slot.waker.take()
        };
        waker.unwrap().wake();
        poll = future.as_mut().poll(&mut context);
    }
    let outcome = match poll {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    };
    let mut inner = desk.inner();
    let has_read_clock = inner.is_clock_read;
    let slots = inner.slots.iter_mut().enumerate();
    let waiting = slots.filter_map(|(number, slot)| slot.call.take().map(|call| (number, call))).collect();
    Played { waiting, outcome, has_read_clock }
}
