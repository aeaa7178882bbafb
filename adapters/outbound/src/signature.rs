//! Signatures of requests as [Standard Webhooks](https://www.standardwebhooks.com) 1.0 has them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

const PREFIX: &str = "whsec_";

/// The secret that whoever is called and we share: `whsec_` and 24 to 64 random bytes in base64.
#[derive(Clone)]
pub struct SigningSecret(SecretSlice<u8>);

/// A text that is no such secret. It does not say what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret for signatures is `whsec_` followed by 24 to 64 bytes in base64")]
pub struct InvalidSigningSecret;

impl FromStr for SigningSecret {
    type Err = InvalidSigningSecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.strip_prefix(PREFIX).and_then(|base64| STANDARD.decode(base64).ok());
        match bytes {
            Some(bytes) if (24..=64).contains(&bytes.len()) => Ok(Self(bytes.into())),
            _ => Err(InvalidSigningSecret),
        }
    }
}

impl SigningSecret {
    /// The value of `webhook-signature`; `seconds` is Unix time. The id must not contain a full stop, or two messages could have one signature.
    #[must_use]
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        // A key of any length is a key of HMAC: this cannot fail. Should that ever change, no signature is one that
        // whoever is called refuses.
        let signature = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).map(|mac| {
            mac.chain_update(format!("{id}.{seconds}.")).chain_update(body).finalize().into_bytes()
        });
        signature.map(|bytes| format!("v1,{}", STANDARD.encode(bytes))).unwrap_or_default()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_secret_is_refused() {
        let secret = |length: usize| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        for length in [24, 32, 64] {
            assert!(secret(length).parse::<SigningSecret>().is_ok(), "{length}");
        }
        for text in [&secret(23), &secret(65), &secret(32)[6..], "", "whsec_", "whsec_ \u{e9}"] {
            assert!(text.parse::<SigningSecret>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_signature_is_that_of_the_published_library(
            key in prop::collection::vec(any::<u8>(), 24..=64), id in "[A-Za-z0-9_~-]{1,90}", seconds: i64,
            body: String,
        ) {
            let text = format!("whsec_{}", STANDARD.encode(key));
            let published = standardwebhooks::Webhook::new(&text).unwrap();
            let ours = text.parse::<SigningSecret>().unwrap().sign(&id, seconds, body.as_bytes());
            prop_assert_eq!(ours, published.sign(&id, seconds, body.as_bytes()).unwrap());
        }
    }
}
