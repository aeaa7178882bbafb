//! What was begun is finished, whether or not somebody still waits for it.
//!
//! A client may hang up or run out of time in the middle of a statement. Dropped there, a connection to the database is not
//! sure to find back into its pool: over TLS, sqlx waits for ever for the farewell of one whose last answer was an error,
//! and after a few of those there is no connection left. So nothing that talks to the database is ever dropped half way: it
//! runs in a task of its own, and only the waiting for it can be given up.

use reprieve_application::TraceContext;
use tracing::Instrument;

/// Runs `work` to its end. If nobody waits for that any more, it goes on all the same. Nothing comes of work that panics.
pub(crate) async fn finish<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let work = work.in_current_span();
    // A task of its own is no part of a trace by itself.
    let task = match TraceContext::current() {
        None => tokio::spawn(work),
        Some(trace) => tokio::spawn(trace.scope(work)),
    };
    task.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[tokio::test(start_paused = true)]
    async fn work_for_which_nobody_waits_any_more_comes_to_its_end() {
        let (done, is_done) = oneshot::channel();
        let work = finish(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            done.send("done")
        });
        assert!(tokio::time::timeout(Duration::from_secs(1), work).await.is_err());
        assert_eq!(is_done.await, Ok("done"));
    }
}
