//! What nobody may exceed: requests at the same time in all, and requests a second for one identity.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use reprieve_application::ErrorCode;
use tokio::sync::Semaphore;

use crate::Service;
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
    let Ok(_permit) = semaphore.try_acquire() else {
        return Refusal::new(ErrorCode::Overloaded, "the service is overloaded").after(1).into_response();
    };
    let limit = service.settings.request_timeout;
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let message = format!("not answered within {} seconds", limit.as_secs_f64());
        Refusal::new(ErrorCode::TimedOut, message).after(1).into_response()
    })
}
