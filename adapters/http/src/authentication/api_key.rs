//! API keys, for who does not call as an identity.

use std::collections::HashSet;
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName};
use reprieve_domain::Timestamp;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::{ApiKeyRefused, InvalidAuthenticationSettings};

/// The header that carries an API key.
pub const API_KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// An API key: what is known about it here, which is not the key.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// What it is called in logs.
    pub name: String,
    /// By what it is recognized.
    pub digest: ApiKeyDigest,
    /// What it opens.
    pub scopes: HashSet<Scope>,
    /// When it ends to open anything.
    pub expires_at: Option<Timestamp>,
}

/// What an API key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The own identity, as with a Connector.
    Core,
    /// All identities, for reading, as with a Backbone's administration.
    Admin,
    /// What operators do to the deletions of all identities.
    Operate,
}

/// The SHA-256 digest of an API key. Keys are drawn at random, so that one round without salt tells nothing about them.
///
/// Digests cannot be compared with `==`, which stops at the first difference and so tells where it is:
///
/// ```compile_fail,E0369
/// # use reprieve_http::authentication::ApiKeyDigest;
/// ApiKeyDigest::of("a") == ApiKeyDigest::of("a")
/// # ;
/// ```
#[derive(Debug, Clone)]
pub struct ApiKeyDigest([u8; 32]);

/// A text that is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the digest of an API key is 64 hexadecimal digits")]
pub struct InvalidApiKeyDigest;

impl ApiKeyDigest {
    /// The digest of this key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self::of_bytes(key.as_bytes())
    }

    fn of_bytes(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }
}

impl ConstantTimeEq for ApiKeyDigest {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl FromStr for ApiKeyDigest {
    type Err = InvalidApiKeyDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        pairs
            .iter()
            .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
            .collect::<Option<Vec<u8>>>()
            .filter(|_| rest.is_empty())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(InvalidApiKeyDigest)
    }
}

/// The API keys that are known.
#[derive(Debug, Clone)]
pub(super) struct ApiKeys(Vec<ApiKey>);

impl ApiKeys {
    pub(super) fn new(keys: Vec<ApiKey>) -> Result<Self, InvalidAuthenticationSettings> {
        for (position, key) in keys.iter().enumerate() {
            for other in keys.iter().skip(position + 1) {
                if key.name == other.name {
                    return Err(InvalidAuthenticationSettings::ApiKeyName(key.name.clone()));
                }
                if key.digest.ct_eq(&other.digest).into() {
                    let names = (key.name.clone(), other.name.clone());
                    return Err(InvalidAuthenticationSettings::SameApiKey(names.0, names.1));
                }
            }
        }
        Ok(Self(keys))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key in the headers, if it is known, has not expired and has the scope.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        scope: Scope,
        now: Timestamp,
    ) -> Result<&ApiKey, ApiKeyRefused> {
        let mut values = headers.get_all(API_KEY_HEADER).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(ApiKeyRefused::Unknown) };
        // Nothing has a digest too, and somebody may have configured it by mistake.
        if value.is_empty() {
            return Err(ApiKeyRefused::Unknown);
        }
        let key = self.find(&ApiKeyDigest::of_bytes(value.as_bytes())).ok_or(ApiKeyRefused::Unknown)?;
        if key.expires_at.is_some_and(|end| now >= end) {
            return Err(ApiKeyRefused::Unknown);
        }
        if key.scopes.contains(&scope) { Ok(key) } else { Err(ApiKeyRefused::LacksScope) }
    }

    /// Compares with every key and in constant time, so that how long it takes says nothing about any of them.
    fn find(&self, digest: &ApiKeyDigest) -> Option<&ApiKey> {
        let mut found = u64::MAX;
        for (position, key) in (0_u64..).zip(&self.0) {
            found.conditional_assign(&position, key.digest.ct_eq(digest));
        }
        self.0.get(usize::try_from(found).ok()?)
    }
}
