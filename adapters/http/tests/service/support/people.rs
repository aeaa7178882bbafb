//! Identities, and the tokens they sign themselves.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use reprieve_application::ports::Ids as _;
use reprieve_application::{Caller, OwnIdentity};
use reprieve_domain::{Address, Timestamp};
use reprieve_system::SystemIds;
use serde_json::{Value, json};

use super::SECOND;

/// What the service is called in tokens.
pub(crate) const AUDIENCE: &str = "https://reprieve.example.org";

/// An identity with one of its devices.
#[derive(Clone)]
pub(crate) struct Person {
    keys: SigningKey,
    pub(crate) address: Address,
    pub(crate) device: String,
}

/// A token before it is signed.
pub(crate) struct Token {
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

impl Person {
    /// Somebody new.
    pub(crate) fn new() -> Self {
        let keys = SystemIds.key_pair().unwrap();
        let address = Address::for_public_key("prod.enmeshed.eu", &keys.public).unwrap();
        Self::of(address, SystemIds.device_id().unwrap().to_string(), keys.secret.expose())
    }

    pub(crate) fn own(identity: &OwnIdentity) -> Self {
        Self::of(identity.address.clone(), identity.device.to_string(), identity.keys.secret.expose())
    }

    fn of(address: Address, device: String, secret: &[u8; 32]) -> Self {
        Self { keys: SigningKey::from_bytes(secret), address, device }
    }

    /// The same identity at another of its devices.
    pub(crate) fn with_another_device(&self) -> Self {
        Self { device: SystemIds.device_id().unwrap().to_string(), ..self.clone() }
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller { address: self.address.clone(), device: self.device.parse().unwrap() }
    }

    /// A token that is good for five minutes from `now`.
    pub(crate) fn token(&self, now: Timestamp) -> Token {
        let seconds = now.unix_micros().div_euclid(SECOND);
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.keys.verifying_key().as_bytes());
        Token {
            header: json!({
                "alg": "EdDSA", "typ": "JWT", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x},
            }),
            claims: json!({
                "nmshd_address": self.address.as_str(), "device_id": self.device,
                "aud": AUDIENCE, "iat": seconds, "exp": seconds + 300,
            }),
        }
    }

    /// The token as it is sent.
    pub(crate) fn sign(&self, token: &Token) -> String {
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&token.header), encode(&token.claims));
        let signature = self.keys.sign(signed.as_bytes()).to_bytes();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a request of this identity carries in the header `Authorization`.
    pub(crate) fn authorization(&self, now: Timestamp) -> String {
        format!("Bearer {}", self.sign(&self.token(now)))
    }
}
