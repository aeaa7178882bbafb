//! The public keys of an issuer (RFC 7517, section 5).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json;
use super::jwk::PublicKey;
use super::signed_token::Header;

/// The keys of an issuer that can verify its tokens.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

/// A text that is no set of keys, or one without a key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no JWK set with an RSA (from 2048 bits), P-256 or Ed25519 key for signatures")]
pub struct InvalidKeySet;

#[derive(Deserialize)]
struct RawKeySet {
    keys: Vec<Box<RawValue>>,
}

impl KeySet {
    /// Reads a JWK set. Keys that cannot verify tokens here are passed over: an issuer may have others as well.
    ///
    /// # Errors
    /// If the text is no JWK set, or has no key that can be used.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidKeySet> {
        let raw: RawKeySet = json::object(text).ok_or(InvalidKeySet)?;
        let keys: Vec<_> = raw.keys.iter().filter_map(|key| PublicKey::parse(key.get())).collect();
        if keys.is_empty() { Err(InvalidKeySet) } else { Ok(Self { keys }) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that may have signed a token with this header: those for its algorithm that have the id it names, or
    /// any id if it names none.
    pub(super) fn candidates(&self, header: &Header) -> impl Iterator<Item = &PublicKey> {
        self.keys
            .iter()
            .filter(|key| key.algorithm() == header.algorithm)
            .filter(|key| header.kid.is_none() || key.id == header.kid)
    }
}
