//! Identities and an issuer of the tests' own: addresses are derived and tokens signed here by what is documented.

use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

/// Somebody who can prove to be an identity.
pub struct Identity {
    key: SigningKey,
    address: String,
    device: &'static str,
}

/// Somebody who vouches for identities.
pub struct Issuer {
    key: SigningKey,
}

impl Identity {
    /// The identity with this number: the same number, the same identity.
    #[must_use]
    pub fn new(number: u64) -> Self {
        let key = SigningKey::from_bytes(&Sha256::digest(number.to_be_bytes()).into());
        let address = address("localhost", key.verifying_key().as_bytes());
        Self { key, address, device: "DVC0123456789abcdefg" }
    }

    /// The same key pair under an address at another host: as many identities as names are made up.
    #[must_use]
    pub fn at_host(&self, host: &str) -> Self {
        let address = address(host, self.key.verifying_key().as_bytes());
        Self { key: self.key.clone(), address, device: self.device }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The claims of its tokens, valid for five minutes from now.
    #[must_use]
    pub fn claims(&self, audience: &str) -> Value {
        let now = unix_seconds();
        json!({
            "nmshd_address": self.address, "device_id": self.device,
            "aud": audience, "iat": now, "exp": now + 300,
        })
    }

    /// A token with these claims, which carries the key that the address is derived from.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let key = URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes());
        let header = json!({"alg": "EdDSA", "typ": "JWT", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": key}});
        sign(&self.key, &header, claims)
    }

    /// A token for the service that calls itself `audience`.
    #[must_use]
    pub fn token(&self, audience: &str) -> String {
        self.sign(&self.claims(audience))
    }
}

impl Issuer {
    /// One with a key of its own.
    #[must_use]
    pub fn new(number: u8) -> Self {
        Self { key: SigningKey::from_bytes(&[number; 32]) }
    }

    /// Its public key as a JWK set.
    #[must_use]
    pub fn key_set(&self) -> String {
        let key = URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "use": "sig", "x": key}]}).to_string()
    }

    /// A token with these claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        sign(&self.key, &json!({"alg": "EdDSA", "typ": "JWT", "kid": "1"}), claims)
    }
}

/// The digest of an API key, as a configuration has it.
#[must_use]
pub fn sha256_hex(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Now, as tokens count.
#[must_use]
pub fn unix_seconds() -> u64 {
    UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// The compact serialization of RFC 7515.
fn sign(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

/// `did:e:<domain>:dids:`, 20 hexadecimal digits of a hash of the key, and 2 over all that stands before them.
fn address(domain: &str, public_key: &[u8]) -> String {
    let hash = Sha256::digest(Sha512::digest(public_key));
    let body = format!("did:e:{domain}:dids:{}", hex(&hash[..10]));
    let check = hex(&Sha256::digest(&body)[..1]);
    body + &check
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}
