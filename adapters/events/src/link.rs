//! A connection that is opened when somebody needs it, and once however many do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use reprieve_domain::FailureCode;
use tokio::time::Instant;

/// For so long an attempt that failed is the answer to whoever comes: of a thousand who come at once, some come later.
const PAUSE: Duration = Duration::from_millis(100);

/// Something that is opened, and may be over some day.
pub(crate) trait Connected: Send + Sync + 'static {
    /// Whether it is good for anything still.
    fn is_open(&self) -> bool;
}

type Attempt<T> = Shared<BoxFuture<'static, Result<Arc<T>, Failed>>>;

#[derive(Debug, Clone)]
struct Failed {
    why: FailureCode,
    at: Instant,
}

/// The connection, if there is one.
pub(crate) struct Link<T: Connected>(Mutex<Option<Attempt<T>>>);

impl<T: Connected> Link<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The connection, which is opened like this if there is none. The attempt goes on if whoever began it goes away, so
    /// it has to come to an end by itself.
    pub(crate) async fn get<F>(&self, open: impl FnOnce() -> F) -> Result<Arc<T>, FailureCode>
    where
        F: Future<Output = Result<T, FailureCode>> + Send + 'static,
    {
        let attempt = {
            let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match current.as_ref().map(|attempt| (attempt, attempt.peek())) {
                Some((_, Some(Ok(connection)))) if connection.is_open() => return Ok(Arc::clone(connection)),
                Some((_, Some(Err(failed)))) if failed.at.elapsed() < PAUSE => {
                    return Err(failed.why.clone());
                }
                Some((attempt, None)) => attempt.clone(),
                _ => current.insert(begin(open())).clone(),
            }
        };
        attempt.await.map_err(|failed| failed.why)
    }

    /// The connection that is there, open or not.
    pub(crate) fn current(&self) -> Option<Arc<T>> {
        let current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref()?.peek()?.as_ref().ok().map(Arc::clone)
    }
}

fn begin<T: Connected>(open: impl Future<Output = Result<T, FailureCode>> + Send + 'static) -> Attempt<T> {
    let opening = tokio::spawn(open);
    let attempt = async {
        // What panics, or is ended with its runtime, has opened nothing.
        let opened = opening.await.unwrap_or_else(|_| Err(FailureCode::panicked()));
        opened.map(Arc::new).map_err(|why| Failed { why, at: Instant::now() })
    };
    attempt.boxed().shared()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    #[derive(Debug)]
    struct Thing(AtomicBool);

    impl Connected for Thing {
        fn is_open(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    async fn get(
        link: &Link<Thing>,
        attempts: &AtomicUsize,
        succeeds: bool,
    ) -> Result<Arc<Thing>, FailureCode> {
        link.get(|| {
            attempts.fetch_add(1, Ordering::Relaxed);
            async move {
                sleep(Duration::from_millis(10)).await;
                if succeeds { Ok(Thing(true.into())) } else { Err(FailureCode::unreachable()) }
            }
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn many_wait_for_one_attempt() {
        let (link, attempts) = (Link::new(), AtomicUsize::new(0));
        let connections = join_all((0..2000).map(|_| get(&link, &attempts, true))).await;
        let first = connections[0].as_ref().unwrap();
        assert!(connections.iter().all(|other| Arc::ptr_eq(first, other.as_ref().unwrap())));
        assert!(Arc::ptr_eq(first, &get(&link, &attempts, true).await.unwrap()));
        assert_eq!(attempts.into_inner(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn many_fail_with_one_attempt_and_the_next_one_is_made_later() {
        let (link, attempts) = (Link::new(), AtomicUsize::new(0));
        let connections = join_all((0..2000).map(|_| get(&link, &attempts, false))).await;
        assert!(connections.iter().all(|failed| *failed.as_ref().unwrap_err() == FailureCode::unreachable()));
        get(&link, &attempts, true).await.unwrap_err();
        assert_eq!(attempts.load(Ordering::Relaxed), 1);
        sleep(PAUSE).await;
        get(&link, &attempts, true).await.unwrap();
        assert_eq!(attempts.into_inner(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_opened_again() {
        let (link, attempts) = (Link::new(), AtomicUsize::new(0));
        let first = get(&link, &attempts, true).await.unwrap();
        first.0.store(false, Ordering::Relaxed);
        let second = get(&link, &attempts, true).await.unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        assert_eq!(attempts.into_inner(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_begins_an_attempt_may_go_away() {
        let (link, attempts) = (Link::new(), AtomicUsize::new(0));
        tokio::select! {
            biased;
            _ = get(&link, &attempts, true) => unreachable!(),
            () = std::future::ready(()) => {}
        }
        sleep(Duration::from_millis(20)).await;
        get(&link, &attempts, true).await.unwrap();
        assert_eq!(attempts.into_inner(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_panics_is_one_that_failed() {
        let link = Link::<Thing>::new();
        let failed = link.get(|| async { panic!("in an attempt") }).await;
        assert_eq!(failed.unwrap_err(), FailureCode::panicked());
    }
}
