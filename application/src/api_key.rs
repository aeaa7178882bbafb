//! A key for who calls a service without being an identity.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// An API key. Whoever has it is let in, so it is never printed by accident; a service keeps only its digest.
#[derive(Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// What every key starts with, so that one that was left lying about can be recognized.
    pub const PREFIX: &'static str = "rpv_";

    /// The key that 32 random bytes make: the prefix, and the bytes in base64url without padding.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let mut text = Self::PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        Self(text.into())
    }

    /// The key, for whoever was asked to print it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The SHA-256 digest of the whole key as text, in hexadecimal digits. The key is random, so that a plain digest
    /// tells nothing about it.
    #[must_use]
    pub fn sha256(&self) -> String {
        Sha256::digest(self.expose()).iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_prefix_and_43_characters_and_its_digest_is_that_of_the_text() {
        let key = ApiKey::from_random([0; 32]);
        assert_eq!(key.expose(), format!("rpv_{}", "A".repeat(43)));
        // printf %s rpv_AAA… | sha256sum
        assert_eq!(key.sha256(), "802133f03f75600849aa418688d01657cbfa747cb335f5327ade9d412c467ad5");
        assert!(!format!("{key:?}").contains("AAA"), "a key must not be printed by accident");
    }
}
