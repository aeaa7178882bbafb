//! The deployment's audit key, and the hashes made with it.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::canonical::Canonical;
use crate::text::serde_as_text;

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

/// A text that is no keyed hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a keyed hash is 64 hexadecimal digits in lower case")]
pub struct InvalidKeyedHash;

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

impl FromStr for KeyedHash {
    type Err = InvalidKeyedHash;

    /// Reads the one form that `Display` writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(InvalidKeyedHash);
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

fn digit(digit: u8) -> Result<u8, InvalidKeyedHash> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(InvalidKeyedHash),
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

serde_as_text!(KeyedHash);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hash_is_read_in_its_one_form_only() {
        let good = "00ff".repeat(16);
        assert_eq!(good.parse::<KeyedHash>().unwrap().to_string(), good);
        for text in ["", "00", &good[1..], &format!("{good}0"), &format!("{good}00"), &good.to_uppercase()] {
            assert_eq!(text.parse::<KeyedHash>(), Err(InvalidKeyedHash), "{text}");
        }
        assert!("g0".repeat(32).parse::<KeyedHash>().is_err());
        assert!("\u{e9}".repeat(32).parse::<KeyedHash>().is_err());
    }

    proptest! {
        #[test]
        fn every_hash_survives_printing_and_parsing(bytes: [u8; 32]) {
            let hash = KeyedHash::from(bytes);
            prop_assert_eq!(hash.to_string().parse(), Ok(hash));
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "[0-9a-f]{0,64}.{0,4}") {
            let _ = text.parse::<KeyedHash>();
        }
    }
}
