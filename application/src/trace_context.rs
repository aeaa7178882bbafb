//! The trace that a request is a part of, for the events of the steps that it takes.
//!
//! It goes along beside the calls and not in their arguments: nothing is ever decided by it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;

/// Names a trace, as in the W3C recommendation *Trace Context*: its two header fields, as they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The field `traceparent`.
    pub parent: String,
    /// The field `tracestate`, if there is one.
    pub state: Option<String>,
}

thread_local! {
    static CURRENT: RefCell<Option<TraceContext>> = const { RefCell::new(None) };
}

/// Puts back what was there before, when a poll ends in whichever way.
struct Restore(Option<TraceContext>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

impl TraceContext {
    /// The one of the task that asks.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Runs a future as a part of this trace. What it spawns is no part of it.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _restore = Restore(CURRENT.replace(Some(self.clone())));
            future.as_mut().poll(context)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(parent: &str) -> TraceContext {
        TraceContext { parent: parent.to_owned(), state: None }
    }

    async fn parent_twice() -> [Option<String>; 2] {
        let before = TraceContext::current();
        tokio::task::yield_now().await;
        [before, TraceContext::current()].map(|trace| trace.map(|trace| trace.parent))
    }

    #[tokio::test]
    async fn each_future_sees_its_own_trace_whoever_runs_in_between() {
        let of = |parent: &str| trace(parent).scope(parent_twice());
        let nested = trace("c").scope(async { (of("d").await, parent_twice().await) });
        let (a, b, none, (d, c)) = tokio::join!(of("a"), of("b"), parent_twice(), nested);
        let both = |parent: &str| [Some(parent.to_owned()), Some(parent.to_owned())];
        assert_eq!((a, b, none), (both("a"), both("b"), [None, None]));
        assert_eq!((d, c), (both("d"), both("c")));
        assert_eq!(TraceContext::current(), None);
    }
}
