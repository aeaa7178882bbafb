//! The keys of an issuer, kept and renewed.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reprieve_application::ports::Clock;
use reprieve_domain::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::key_source::{KeySource, KeysUnavailable};
use super::signed_token::Header;
use super::token_rules::Keys;
use super::verified_tokens::VerifiedTokens;
use super::{KeySet, TokenRefused};

const SECOND: i64 = 1_000_000;
/// The least time between two attempts to renew the keys, in microseconds. Anybody can send a token with an id that no
/// key has; that must not become as many requests to the issuer.
const PAUSE: i64 = 60 * SECOND;
/// The age at which keys are renewed although nothing asks for it, in microseconds: the issuer may have withdrawn one.
const MAXIMUM_AGE: i64 = 600 * SECOND;

/// The keys of an issuer. They are renewed when a token names one that is not among them, and when they are old; if that
/// fails, the old ones stay in use for a while. A set that was fetched replaces the one before as a whole.
pub(super) struct IssuerKeys {
    source: KeySource,
    /// How long after they were fetched the keys are used if they cannot be renewed, in microseconds.
    trusted_for: i64,
    clock: Arc<dyn Clock>,
    held: RwLock<Held>,
    /// When the last attempt to renew the keys began. Locked while one is under way.
    last_attempt: Arc<Mutex<Option<Timestamp>>>,
}

#[derive(Clone, Default)]
struct Held {
    keys: Arc<Keys>,
    since: Option<Timestamp>,
    /// Whether the last attempt to renew them has failed, so that there may be others.
    is_failing: bool,
}

impl IssuerKeys {
    pub(super) fn new(source: KeySource, trusted_for: Duration, clock: Arc<dyn Clock>) -> Arc<Self> {
        let trusted_for = i64::try_from(trusted_for.as_micros()).unwrap_or(i64::MAX);
        Arc::new(Self { source, trusted_for, clock, held: RwLock::default(), last_attempt: Arc::default() })
    }

    /// The keys to verify a token with this header.
    ///
    /// # Errors
    /// If it is not known which keys the issuer has now.
    pub(super) async fn for_token(self: &Arc<Self>, header: &Header) -> Result<Arc<Keys>, TokenRefused> {
        let has_key = |keys: &KeySet| keys.candidates(header).next().is_some();
        let held = self.renewed_unless(has_key).await;
        let is_known = !held.is_failing || has_key(&held.keys.set);
        if is_known && within(self.trusted_for, held.since, self.clock.now()) {
            Ok(held.keys)
        } else {
            Err(TokenRefused::IssuerUnavailable)
        }
    }

    /// Whether there are keys, after trying to get some.
    pub(super) async fn are_available(self: &Arc<Self>) -> bool {
        !self.renewed_unless(|keys| !keys.is_empty()).await.keys.set.is_empty()
    }

    /// How long ago the keys were fetched that are held, in seconds; none if there are none.
    pub(super) fn age(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "of an age, a second is enough")]
        let seconds = |micros: i64| micros as f64 / 1e6;
        self.held().since.map(|since| seconds(self.clock.now().micros_since(since)))
    }

    /// Fetches the keys, beside those that are held.
    pub(super) async fn fetch(&self) -> Result<KeySet, KeysUnavailable> {
        self.source.fetch().await
    }

    async fn renewed_unless(self: &Arc<Self>, suffice: impl Fn(&KeySet) -> bool) -> Held {
        let held = self.held();
        if !suffice(&held.keys.set) {
            // Whoever waits here while somebody else asks finds that attempt too recent for another.
            let last_attempt = Arc::clone(&self.last_attempt).lock_owned().await;
            self.renew(last_attempt).await;
        } else if !within(MAXIMUM_AGE, held.since, self.clock.now()) {
            // One request waits for newer keys, the others go on with those they have.
            if let Ok(last_attempt) = Arc::clone(&self.last_attempt).try_lock_owned() {
                self.renew(last_attempt).await;
            }
        } else {
            return held;
        }
        self.held()
    }

    async fn renew(self: &Arc<Self>, mut last_attempt: OwnedMutexGuard<Option<Timestamp>>) {
        let now = self.clock.now();
        if within(PAUSE, *last_attempt, now) {
            return;
        }
        *last_attempt = Some(now);
        let this = Arc::clone(self);
        // In a task of its own: a caller who hangs up must not take the attempt along, which would put off the next one.
        let attempt = tokio::spawn(async move {
            match this.source.fetch().await {
                Ok(set) => {
                    // Nothing is remembered from before: one of those keys may have been withdrawn.
                    let keys = Keys { set, verified: VerifiedTokens::default() };
                    this.hold(Held { keys: Arc::new(keys), since: Some(now), is_failing: false });
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the issuer's keys cannot be renewed; those from before stay in use for a while"
                    );
                    this.hold(Held { is_failing: true, ..this.held() });
                }
            }
            drop(last_attempt);
        });
        // Fails only if the program ends, and then there is nobody to tell.
        let _ = attempt.await;
    }

    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, held: Held) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
    }
}

/// Whether `then` is less than `duration` ago. A clock that was put back makes it neither recent nor old for hours, but
/// not recent at once.
fn within(duration: i64, then: Option<Timestamp>, now: Timestamp) -> bool {
    then.is_some_and(|then| (0..duration).contains(&now.micros_since(then)))
}
