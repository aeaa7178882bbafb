//! What nobody may exceed: the time and the size of a request, and requests a second for one identity.

use std::error::Error;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Extensions;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use http_body_util::LengthLimitError;
use reprieve_application::{Caller, Coded, ErrorCode};

use crate::Service;
use crate::finish::finish;
use crate::permits::{CANCELLING, Kept};
use crate::refusal::Refusal;
use crate::server::Origin;

/// How many callers are remembered before those who have been quiet are forgotten …
const CALLERS: usize = 10_000;
/// … and how often that is looked for.
const SWEPT_AFTER: Duration = Duration::from_secs(1);

/// How often one of many may ask.
pub(crate) struct RateLimit<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    message: &'static str,
    /// When those were last forgotten who have been quiet: to look at all of them for each request would be a burden.
    swept: Mutex<Instant>,
}

impl<K: Hash + Eq + Clone> RateLimit<K> {
    pub(crate) fn new(quota: Quota, message: &'static str) -> Self {
        Self {
            limiter: DefaultKeyedRateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            message,
            swept: Mutex::new(Instant::now()),
        }
    }

    /// Counts a request.
    pub(crate) fn check(&self, of: &K) -> Result<(), Refusal> {
        self.sweep();
        let Err(not_until) = self.limiter.check_key(of) else { return Ok(()) };
        let wait = not_until.wait_time_from(self.clock.now());
        let refusal = Refusal::new(ErrorCode::TooManyRequests, self.message);
        Err(refusal.after(wait.as_secs().saturating_add(1)))
    }

    fn sweep(&self) {
        if self.limiter.len() <= CALLERS {
            return;
        }
        if let Ok(mut swept) = self.swept.try_lock()
            && swept.elapsed() >= SWEPT_AFTER
        {
            *swept = Instant::now();
            self.limiter.retain_recent();
        }
    }
}

/// Turns requests away when too many are at hand: an answer that comes late helps nobody. Cancellations wait instead.
pub(crate) async fn concurrent_requests(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    let limit = service.settings.request_timeout;
    let answer = async {
        // Nothing is begun before all of the request is here, so that a client who takes its time is in nobody's way.
        let request = whole(request, service.settings.body_bytes).await?;
        let origin = origin(request.extensions())?;
        let permits = &service.permits;
        let cancels = is_cancellation(&request);
        let mut permit = if cancels { permits.cancel(&origin).await? } else { permits.work(&origin).await? };
        let work = async move {
            let mut response = next.run(request).await;
            if cancels && response.status().is_client_error() {
                permit.was_for_nothing();
            }
            response.extensions_mut().insert(Kept::new(permit));
            response
        };
        finish(work)
            .await
            .ok_or_else(|| Refusal::new(ErrorCode::SystemFailed, "the request was not answered"))
    };
    let timed_out = |_| {
        let message = format!("not answered within {} seconds", limit.as_secs_f64());
        Err(Refusal::new(ErrorCode::TimedOut, message).after(1))
    };
    tokio::time::timeout(limit, answer).await.unwrap_or_else(timed_out).unwrap_or_else(Refusal::into_response)
}

/// Whether a cancellation that comes too often is served all the same: there is something to be cancelled. That can be so only
/// once for each process, so that nobody is served without end.
///
/// # Errors
/// If there is not, or if the store fails.
pub(crate) async fn is_timely(
    service: &Service,
    caller: &Caller,
    too_often: Option<Refusal>,
) -> Result<(), Refusal> {
    let Some(refusal) = too_often else { return Ok(()) };
    match service.use_cases.cancelling.get_active.execute(caller).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == ErrorCode::NoActiveIdentityDeletionProcess => Err(refusal),
        Err(error) => Err(error.into()),
    }
}

/// Where a request comes from.
pub(crate) fn origin(extensions: &Extensions) -> Result<Origin, Refusal> {
    let missing = || Refusal::new(ErrorCode::SystemFailed, "a request has come from nowhere");
    extensions.get::<Origin>().cloned().ok_or_else(missing)
}

fn is_cancellation(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    CANCELLING.iter().any(|(method, path)| request.method() == method && route == Some(path))
}

/// The request with all of its body.
async fn whole(request: Request, limit: usize) -> Result<Request, Refusal> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, limit).await.map_err(|error| {
        let is_too_long = error.source().is_some_and(<dyn Error>::is::<LengthLimitError>);
        let code = if is_too_long { ErrorCode::PayloadTooLarge } else { ErrorCode::InvalidPropertyValue };
        Refusal::new(code, "the body cannot be read")
    })?;
    Ok(Request::from_parts(head, Body::from(body)))
}
