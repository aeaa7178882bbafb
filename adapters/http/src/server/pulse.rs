//! What one connection does: for how long nothing has been open on it, and for how long its answers have been under way. The same
//! for every version of HTTP, because it is about requests and answers, not about frames: a ping is neither.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How much of an answer is handed over at once. What was handed over counts as written, so that it must not be much.
pub(super) const PIECE: usize = 16 * 1024;

/// For how long a connection may be at what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Without an open request.
    pub(super) idle: Duration,
    /// With one answer under way.
    pub(super) writing: Duration,
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Idle,
    NotRead,
    /// Another one needs its place.
    Displaced,
}

impl Over {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::NotRead => "not_read",
            Self::Displaced => "displaced",
        }
    }
}

/// What one connection does.
pub(crate) struct Pulse {
    state: Mutex<State>,
    displaced: Notify,
}

struct State {
    open: usize,
    handled: usize,
    quiet_since: Instant,
    /// When the answers that are under way began, the oldest first.
    answers: Vec<(u64, Instant)>,
    next: u64,
}

impl Pulse {
    pub(crate) fn new() -> Arc<Self> {
        let quiet_since = Instant::now();
        let state = State { open: 0, handled: 0, quiet_since, answers: Vec::new(), next: 0 };
        Arc::new(Self { state: Mutex::new(state), displaced: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Exchange {
        self.state().open += 1;
        Exchange { pulse: Arc::clone(self), answer: None }
    }

    /// A request is worked on for as long as this is kept.
    pub(crate) fn handling(self: &Arc<Self>) -> Handling {
        self.state().handled += 1;
        Handling(Arc::clone(self))
    }

    /// How easily it can be done without: whether a request is open, and since when none was. None if one is worked on.
    pub(super) fn dispensable(&self) -> Option<(bool, Instant)> {
        let state = self.state();
        (state.handled == 0).then_some((state.open > 0, state.quiet_since))
    }

    /// Another connection takes its place.
    pub(super) fn displace(&self) {
        self.displaced.notify_one();
    }

    /// When it has been at something for too long, or has been displaced.
    pub(super) async fn over(&self, patience: Patience) -> Over {
        let watched = async {
            loop {
                match self.looked_at(Instant::now(), patience) {
                    Ok(over) => return over,
                    Err(next) => tokio::time::sleep_until(next).await,
                }
            }
        };
        tokio::select! {
            over = watched => over,
            () = self.displaced.notified() => Over::Displaced,
        }
    }

    /// What it is over for, or when to look again. What begins after this look cannot be over before then.
    fn looked_at(&self, now: Instant, patience: Patience) -> Result<Over, Instant> {
        let state = self.state();
        if state.open == 0 {
            let end = state.quiet_since + patience.idle;
            return if now >= end { Ok(Over::Idle) } else { Err(end) };
        }
        let next = now + patience.idle.min(patience.writing);
        let Some((_, oldest)) = state.answers.first() else { return Err(next) };
        let end = *oldest + patience.writing;
        if now >= end { Ok(Over::NotRead) } else { Err(end.min(next)) }
    }
}

/// A request that is open until its answer is written.
pub(super) struct Exchange {
    pulse: Arc<Pulse>,
    answer: Option<u64>,
}

impl Exchange {
    /// The answer is there, and to be written.
    pub(super) fn answering(&mut self) {
        let mut state = self.pulse.state();
        let number = state.next;
        state.next += 1;
        state.answers.push((number, Instant::now()));
        self.answer = Some(number);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut state = self.pulse.state();
        state.answers.retain(|(number, _)| Some(*number) != self.answer);
        state.open -= 1;
        if state.open == 0 {
            state.quiet_since = Instant::now();
        }
    }
}

/// A request that is worked on.
pub(crate) struct Handling(Arc<Pulse>);

impl Drop for Handling {
    fn drop(&mut self) {
        self.0.state().handled -= 1;
    }
}

/// The body of an answer in small pieces. It is dropped once the last one was taken, or when nobody takes any more.
pub(super) struct Written<K> {
    body: Body,
    rest: Bytes,
    _exchange: Exchange,
    /// What is kept until then.
    _kept: Option<K>,
}

impl<K> Written<K> {
    pub(super) fn new(body: Body, exchange: Exchange, kept: Option<K>) -> Self {
        Self { body, rest: Bytes::new(), _exchange: exchange, _kept: kept }
    }
}

impl<K: Unpin> HttpBody for Written<K> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => {
                        let trailers = trailers.into_trailers().unwrap_or_else(|_| HeaderMap::new());
                        return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                    }
                },
                other => return Poll::Ready(other),
            }
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let of_body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower() + rest);
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    const PATIENCE: Patience = Patience { idle: Duration::from_secs(10), writing: Duration::from_secs(20) };

    fn at(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_an_open_request_is_over_after_its_time_and_not_before() {
        let pulse = Pulse::new();
        let open = pulse.begin();
        assert!(tokio::time::timeout(Duration::from_hours(1), pulse.over(PATIENCE)).await.is_err());
        let closed = Instant::now();
        drop(open);
        assert_eq!(pulse.over(PATIENCE).await, Over::Idle);
        assert_eq!(closed.elapsed(), PATIENCE.idle);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_answer_decides_whether_a_connection_is_read_from() {
        let pulse = Pulse::new();
        let (mut first, mut second) = (pulse.begin(), pulse.begin());
        first.answering();
        assert_eq!(pulse.looked_at(at(19), PATIENCE), Err(at(20)));
        tokio::time::advance(Duration::from_secs(15)).await;
        second.answering();
        drop(first);
        let begun = Instant::now();
        assert_eq!(pulse.over(PATIENCE).await, Over::NotRead);
        assert_eq!(begun.elapsed(), PATIENCE.writing);
        drop(second);
        assert_eq!(pulse.state().open, 0);
    }

    #[tokio::test]
    async fn a_connection_is_not_displaced_while_a_request_is_worked_on() {
        let pulse = Pulse::new();
        let open = pulse.begin();
        assert!(pulse.dispensable().unwrap().0);
        let handling = pulse.handling();
        assert_eq!(pulse.dispensable(), None);
        drop((handling, open));
        assert!(!pulse.dispensable().unwrap().0);
        pulse.displace();
        assert_eq!(pulse.over(PATIENCE).await, Over::Displaced);
    }

    #[tokio::test]
    async fn a_body_comes_in_small_pieces_and_says_how_long_it_is() {
        let text = Bytes::from(vec![b'a'; 2 * PIECE + 1]);
        let pulse = Pulse::new();
        let mut body = Written::<()>::new(Body::from(text.clone()), pulse.begin(), None);
        let mut lengths = Vec::new();
        let mut left = text.len() as u64;
        while !body.is_end_stream() {
            assert_eq!(body.size_hint().exact(), Some(left));
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            left -= piece.len() as u64;
            lengths.push(piece.len());
        }
        assert_eq!(lengths, [PIECE, PIECE, 1]);
        assert_eq!(pulse.state().open, 1);
        drop(body);
        assert_eq!(pulse.state().open, 0);
    }
}
