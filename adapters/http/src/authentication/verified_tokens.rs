//! Tokens that were verified, so that one which comes again need not be.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::token_rules::Verified;

/// How many tokens are remembered in one generation; there are two.
pub(super) const GENERATION: usize = 2_000;

/// What was verified with one set of keys, and for how long it holds. The time is not decided here: whoever asks has to
/// look at it each time.
///
/// Somebody who signs many tokens can push others out, which then are verified again and lose nothing else. Only who is
/// let in is remembered, so that tokens which are made up push out nobody.
#[derive(Default)]
pub(super) struct VerifiedTokens(Mutex<Generations>);

/// Of the tokens that come again, those that did so lately are the ones to keep. What is asked for moves into the young
/// generation; when that is full, the old one is forgotten and its memory used for the next.
#[derive(Default)]
struct Generations {
    young: HashMap<TokenDigest, Verified>,
    old: HashMap<TokenDigest, Verified>,
}

/// The SHA-256 digest of all of a token, the signature included. Nobody finds two tokens with the same, nor a token for
/// a digest whose first bytes are known, so that the time a comparison takes tells nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(super) fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl VerifiedTokens {
    /// What was verified of this token.
    pub(super) fn get(&self, token: TokenDigest) -> Option<Verified> {
        let mut generations = self.lock();
        if let Some(verified) = generations.young.get(&token) {
            return Some(verified.clone());
        }
        let verified = generations.old.remove(&token)?;
        generations.insert(token, verified.clone());
        Some(verified)
    }

    /// Remembers what was verified of this token.
    pub(super) fn remember(&self, token: TokenDigest, verified: Verified) {
        self.lock().insert(token, verified);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let generations = self.lock();
        generations.young.len() + generations.old.len()
    }
}

impl Generations {
    fn insert(&mut self, token: TokenDigest, verified: Verified) {
        if self.young.len() >= GENERATION {
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(token, verified);
    }
}
