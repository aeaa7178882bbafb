//! The keys of an issuer, kept and renewed.

use std::sync::{Arc, PoisonError, RwLock};

use reprieve_application::ports::Clock;
use reprieve_domain::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::KeySet;
use super::key_source::{KeySource, KeysUnavailable};
use super::signed_token::Header;
use super::token_rules::Keys;
use super::verified_tokens::VerifiedTokens;

const SECOND: i64 = 1_000_000;
/// The least time between two attempts to renew the keys, in microseconds. Anybody can send a token with an id that no
/// key has; that must not become as many requests to the issuer.
const PAUSE: i64 = 60 * SECOND;
/// The age at which keys are renewed although nothing asks for it, in microseconds: the issuer may have withdrawn one.
const MAXIMUM_AGE: i64 = 600 * SECOND;

/// The keys of an issuer. They are renewed when a token names one that is not among them, and when they are old; if that
/// fails, the old ones stay in use.
pub(super) struct IssuerKeys {
    source: KeySource,
    clock: Arc<dyn Clock>,
    held: RwLock<Held>,
    /// When the last attempt to renew the keys began. Locked while one is under way.
    last_attempt: Arc<Mutex<Option<Timestamp>>>,
}

#[derive(Clone, Default)]
struct Held {
    keys: Arc<Keys>,
    since: Option<Timestamp>,
}

impl IssuerKeys {
    pub(super) fn new(source: KeySource, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { source, clock, held: RwLock::default(), last_attempt: Arc::default() })
    }

    /// The keys to verify a token with this header.
    pub(super) async fn for_token(self: &Arc<Self>, header: &Header) -> Arc<Keys> {
        self.renewed_unless(|keys| keys.candidates(header).next().is_some()).await
    }

    /// Whether there are keys, after trying to get some.
    pub(super) async fn are_available(self: &Arc<Self>) -> bool {
        !self.renewed_unless(|keys| !keys.is_empty()).await.set.is_empty()
    }

    /// Fetches the keys, beside those that are held.
    pub(super) async fn fetch(&self) -> Result<KeySet, KeysUnavailable> {
        self.source.fetch().await
    }

    async fn renewed_unless(self: &Arc<Self>, suffice: impl Fn(&KeySet) -> bool) -> Arc<Keys> {
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
            return held.keys;
        }
        self.held().keys
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
                    this.hold(Held { keys: Arc::new(keys), since: Some(now) });
                }
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the issuer's keys cannot be renewed; those from before stay in use"
                ),
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
