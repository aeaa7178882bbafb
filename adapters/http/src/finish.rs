//! What was begun is finished, whether or not somebody still waits for it.
//!
//! A client may hang up or run out of time in the middle of a statement. Dropped there, a connection to the database is not
//! sure to find back into its pool: over TLS, sqlx waits for ever for the farewell of one whose last answer was an error,
//! and after a few of those there is no connection left. So nothing that talks to the database is ever dropped half way: only
//! the waiting for it can be given up, and then a task of its own takes it over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use reprieve_application::TraceContext;
use tokio::runtime::Handle;
use tracing::{Instrument, Span};

/// Runs `work` to its end. If nobody waits for that any more, it goes on all the same. Nothing comes of work that panics.
///
/// The common case, in which somebody waits, costs no task.
pub(crate) fn finish<F>(work: F) -> Finish<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    Finish { work: Some(Box::pin(work)), span: Span::current(), trace: TraceContext::current() }
}

/// Waits for work that is finished also if this is dropped.
pub(crate) struct Finish<F: Future<Output: Send> + Send + 'static> {
    /// Until it is finished.
    work: Option<Pin<Box<F>>>,
    /// What a task of its own would not be part of by itself.
    span: Span,
    trace: Option<TraceContext>,
}

impl<F: Future<Output: Send> + Send + 'static> Future for Finish<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else { return Poll::Ready(None) };
        // As in a task: what has panicked is not looked at again.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        let output = match polled {
            Ok(polled) => Some(ready!(polled)),
            Err(_) => None,
        };
        self.work = None;
        Poll::Ready(output)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Finish<F> {
    fn drop(&mut self) {
        // Without a runtime nothing can go on.
        if let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) {
            let work = work.instrument(self.span.clone());
            match self.trace.take() {
                None => drop(runtime.spawn(work)),
                Some(trace) => drop(runtime.spawn(trace.scope(work))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[tokio::test(start_paused = true)]
    async fn work_for_which_nobody_waits_any_more_comes_to_its_end() {
        let (done, is_done) = oneshot::channel();
        let trace = TraceContext { parent: "00-1-2-01".to_owned(), state: None };
        let work = trace.clone().scope(async {
            finish(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                done.send(TraceContext::current())
            })
            .await
        });
        assert!(tokio::time::timeout(Duration::from_secs(1), work).await.is_err());
        assert_eq!(is_done.await, Ok(Some(trace)));
    }

    #[tokio::test]
    async fn work_is_done_once_and_hands_on_what_comes_of_it() {
        assert_eq!(finish(async { 1 }).await, Some(1));
        assert_eq!(finish(std::future::ready(2)).await, Some(2));
    }

    #[tokio::test]
    async fn nothing_comes_of_work_that_panics() {
        let work = async { panic!("on purpose") };
        assert_eq!(finish::<_>(work).await, None::<()>);
    }
}
