//! What all tests of authentication share: keys, and tokens made with them.

mod api_keys;
mod issued;
mod issuer;
mod key_renewal;
mod key_sources;
mod keys;
mod mangled;
mod memory;
mod self_signed;
mod signatures;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use reprieve_application::Caller;
use reprieve_application::ports::Clock;
use reprieve_domain::{Address, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use serde_json::{Value, json};

use super::signed_token::SignedToken;
use super::token_rules::Keys;
use super::verified_tokens::VerifiedTokens;
use super::{
    AuthenticationSettings, IssuerSettings, KeySet, KeysLocation, SelfSignedSettings, TokenRefused,
    TokenRules,
};

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://reprieve.example";
const DEVICE: &str = "DVC0123456789abcdefg";
/// 2026-12-07T20:00:00Z, in seconds of Unix time.
const NOW: i64 = 1_796_673_600;
const MICROS: i64 = 1_000_000;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros).unwrap()
}

fn now() -> Timestamp {
    at(NOW * MICROS)
}

/// A clock that stands still until it is put somewhere else.
struct TestClock(AtomicI64);

impl TestClock {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(NOW * MICROS)))
    }

    fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::SeqCst))
    }
}

/// Somebody who signs tokens. The RSA and P-256 keys were made for these tests with OpenSSL.
enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(SigningKey),
}

impl Signer {
    fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::from_pkcs8(include_bytes!("keys/rsa.pk8")).unwrap())
    }

    fn p256() -> Self {
        let key = include_bytes!("keys/p256.pk8");
        let random = SystemRandom::new();
        Self::P256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &random).unwrap())
    }

    fn ed25519(seed: u8) -> Self {
        Self::Ed25519(SigningKey::from_bytes(&[seed; 32]))
    }

    fn alg(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// The public key, without an id.
    fn jwk(&self) -> Value {
        match self {
            Self::Rsa(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "n": encode(&public.n), "e": encode(&public.e)})
            }
            Self::P256(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])})
            }
            Self::Ed25519(_) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(self.ed25519_public_key())})
            }
        }
    }

    fn ed25519_public_key(&self) -> [u8; 32] {
        match self {
            Self::Ed25519(key) => key.verifying_key().to_bytes(),
            Self::Rsa(_) | Self::P256(_) => panic!("not an Ed25519 key"),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        }
    }

    /// A token with these texts as its parts, well signed.
    fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }

    fn address(&self) -> Address {
        Address::for_public_key("reprieve.example", &self.ed25519_public_key()).unwrap()
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// `value` with the members of `changes` in place of its own; a null takes one away.
fn with(mut value: Value, changes: Value) -> Value {
    let (Value::Object(members), Value::Object(changes)) = (&mut value, changes) else {
        panic!("not two objects")
    };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(&name);
        } else {
            members.insert(name, change);
        }
    }
    value
}

/// The address in tokens of the issuer.
fn address() -> Address {
    Address::for_public_key("prod.enmeshed.eu", b"somebody's public key").unwrap()
}

fn caller() -> Caller {
    Caller { address: address(), device: DEVICE.parse().unwrap() }
}

/// The claims of a good token of the issuer.
fn issued_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "somebody", "client_id": "app",
        "iat": NOW - 10, "exp": NOW + 300, "nmshd_address": address(), "device_id": DEVICE,
    })
}

/// The header of a good token that an identity signs.
fn self_signed_header(signer: &Signer) -> Value {
    json!({"alg": "EdDSA", "typ": "JWT", "jwk": signer.jwk()})
}

/// The claims of a good token that an identity signs.
fn self_signed_claims(signer: &Signer) -> Value {
    json!({
        "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300, "nmshd_address": signer.address(), "device_id": DEVICE,
    })
}

fn settings(keys: KeysLocation) -> AuthenticationSettings {
    AuthenticationSettings {
        issuer: Some(IssuerSettings {
            issuer: ISSUER.to_owned(),
            audiences: vec!["https://other.example".to_owned(), AUDIENCE.to_owned()],
            keys,
            keys_trusted_for: IssuerSettings::KEYS_TRUSTED_FOR,
        }),
        self_signed: Some(SelfSignedSettings { audiences: vec![AUDIENCE.to_owned()] }),
        ..AuthenticationSettings::default()
    }
}

fn rules() -> TokenRules {
    TokenRules::new(&settings(KeysLocation::File("unused".into()))).unwrap()
}

fn key_set(keys: &[(&str, &Signer)]) -> KeySet {
    KeySet::parse(&key_set_text(keys)).unwrap()
}

fn key_set_text(keys: &[(&str, &Signer)]) -> Vec<u8> {
    let keys: Vec<Value> = keys.iter().map(|(id, signer)| with(signer.jwk(), json!({"kid": id}))).collect();
    json!({"keys": keys}).to_string().into_bytes()
}

/// The keys of the issuer in most tests: one of each kind.
fn issuer_key_set() -> KeySet {
    key_set(&[("rsa", &Signer::rsa()), ("p256", &Signer::p256()), ("ed25519", &Signer::ed25519(1))])
}

/// A good token of each kind.
fn good_tokens() -> Vec<String> {
    let identity = Signer::ed25519(5);
    [(Signer::rsa(), "rsa"), (Signer::p256(), "p256"), (Signer::ed25519(1), "ed25519")]
        .iter()
        .map(|(signer, kid)| signer.token(&json!({"alg": signer.alg(), "kid": kid}), &issued_claims()))
        .chain([identity.token(&self_signed_header(&identity), &self_signed_claims(&identity))])
        .collect()
}

fn check(token: impl AsRef<[u8]>) -> Result<Caller, TokenRefused> {
    check_at(token, now())
}

/// What becomes of a token, which is the same where it comes again and where others have come before: that is seen here
/// for every token of every test.
fn check_at(token: impl AsRef<[u8]>, now: Timestamp) -> Result<Caller, TokenRefused> {
    let answer = rules().check(token.as_ref(), &issuer_key_set(), now);
    for _ in 0..2 {
        assert_eq!(check_again(token.as_ref(), &WITH_GOOD_TOKENS, now), answer, "with memory");
    }
    answer
}

/// Keys that have verified the good tokens.
static WITH_GOOD_TOKENS: LazyLock<Keys> = LazyLock::new(|| {
    let keys = issuer_keys();
    for token in good_tokens() {
        assert!(check_again(token, &keys, now()).is_ok());
    }
    keys
});

/// Keys that have verified nothing yet.
fn issuer_keys() -> Keys {
    Keys { set: issuer_key_set(), verified: VerifiedTokens::default() }
}

fn check_again(token: impl AsRef<[u8]>, keys: &Keys, now: Timestamp) -> Result<Caller, TokenRefused> {
    static RULES: LazyLock<TokenRules> = LazyLock::new(rules);
    RULES.check_again(&SignedToken::parse(token.as_ref())?, keys, now.into())
}

fn bearer(token: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}
