//! The deployment's audit key, and the hashes made with it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::canonical::Canonical;

/// The secret that ties an audit trail to a deployment: 32 bytes.
///
/// Three keys are derived from it, one a purpose, so that a hash made for one can never stand for another.
#[derive(Clone)]
pub struct AuditKey {
    pseudonyms: [u8; 32],
    chain: [u8; 32],
    fingerprint: KeyedHash,
}

/// Not 32 bytes, or all of them the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an audit key is 32 random bytes")]
pub struct InvalidAuditKey;

/// HMAC-SHA-256 under a key derived from the audit key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyedHash([u8; 32]);

impl AuditKey {
    /// The length of a key in bytes.
    pub const LENGTH: usize = 32;

    /// The key that these bytes are.
    ///
    /// # Errors
    /// Unless there are 32 bytes that are not all the same.
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidAuditKey> {
        if bytes.len() != Self::LENGTH || bytes.iter().all(|byte| Some(byte) == bytes.first()) {
            return Err(InvalidAuditKey);
        }
        let derive = |purpose: &str| mac(bytes, &Canonical::new(purpose));
        Ok(Self {
            pseudonyms: derive("reprieve.audit.pseudonyms.v1").0,
            chain: derive("reprieve.audit.chain.v1").0,
            fingerprint: derive("reprieve.audit.fingerprint.v1"),
        })
    }

    /// Tells this key from any other without giving it away. Kept beside the data, it shows at once when a deployment
    /// is started with the wrong key.
    #[must_use]
    pub fn fingerprint(&self) -> KeyedHash {
        self.fingerprint
    }

    /// What the audit trail says instead of an address.
    #[must_use]
    pub fn pseudonym_of_identity(&self, address: &crate::Address) -> KeyedHash {
        self.pseudonym(&Canonical::new("identity").text(address.as_str()))
    }

    /// What the audit trail says instead of a device.
    #[must_use]
    pub fn pseudonym_of_device(&self, device: &crate::DeviceId) -> KeyedHash {
        self.pseudonym(&Canonical::new("device").text(device.as_str()))
    }

    pub(super) fn pseudonym(&self, content: &Canonical) -> KeyedHash {
        mac(&self.pseudonyms, content)
    }

    pub(super) fn chain_hash(&self, content: &Canonical) -> KeyedHash {
        mac(&self.chain, content)
    }
}

fn mac(key: &[u8], content: &Canonical) -> KeyedHash {
    // A key of any length is a key of HMAC: this cannot fail. Should that ever change, a hash that matches nothing is
    // noticed by every check, where a panic would stop the step.
    Hmac::<Sha256>::new_from_slice(key).map_or(KeyedHash([0; 32]), |mut mac| {
        mac.update(content.as_bytes());
        KeyedHash(mac.finalize().into_bytes().into())
    })
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("AuditKey").field(&self.fingerprint).finish()
    }
}

impl KeyedHash {
    pub(super) const ZERO: Self = Self([0; 32]);

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for KeyedHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for KeyedHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
