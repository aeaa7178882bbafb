//! What nobody may exceed: requests at the same time in all, and requests a second for one identity.

use std::error::Error;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use http_body_util::LengthLimitError;
use reprieve_application::ErrorCode;
use tokio::sync::Semaphore;

use crate::Service;
use crate::finish::finish;
use crate::refusal::Refusal;

/// How many callers are remembered before those who have been quiet are forgotten.
const CALLERS: usize = 10_000;

/// How often one caller may ask.
pub(crate) struct RateLimit {
    limiter: DefaultKeyedRateLimiter<String>,
    clock: DefaultClock,
}

impl RateLimit {
    pub(crate) fn new(requests_per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let quota = Quota::per_second(requests_per_second).allow_burst(burst);
        Self { limiter: DefaultKeyedRateLimiter::keyed(quota), clock: DefaultClock::default() }
    }

    /// Counts a request of this caller.
    pub(crate) fn check(&self, caller: &str) -> Result<(), Refusal> {
        if self.limiter.len() > CALLERS {
            self.limiter.retain_recent();
        }
        let Err(not_until) = self.limiter.check_key(&caller.to_owned()) else { return Ok(()) };
        let wait = not_until.wait_time_from(self.clock.now());
        let refusal = Refusal::new(ErrorCode::TooManyRequests, "too many requests of this identity");
        Err(refusal.after(wait.as_secs().saturating_add(1)))
    }
}

/// Turns requests away when too many are at hand: an answer that comes late helps nobody.
pub(crate) async fn concurrent_requests(
    State((service, semaphore)): State<(Arc<Service>, Arc<Semaphore>)>,
    request: Request,
    next: Next,
) -> Response {
    let limit = service.settings.request_timeout;
    let answer = async {
        // Nothing is begun before all of the request is here, so that a client who takes its time is in nobody's way.
        let request = whole(request, service.settings.body_bytes).await?;
        let overloaded = || Refusal::new(ErrorCode::Overloaded, "the service is overloaded").after(1);
        let permit = semaphore.try_acquire_owned().map_err(|_| overloaded())?;
        let work = async move {
            let response = next.run(request).await;
            drop(permit);
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
