//! A signed token: the compact serialization of RFC 7515, section 3.1.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{MAXIMUM_TOKEN_LENGTH, TokenRefused, json};

/// How tokens may be signed. There is no fourth way: neither without a key, nor with a shared secret, for which an
/// attacker could pass off a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSA, PKCS #1 1.5, SHA-256.
    Rs256,
    /// ECDSA on P-256, SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A token whose signature is not verified yet.
#[derive(Debug)]
pub(super) struct SignedToken<'a> {
    pub(super) header: Header,
    /// All of it.
    pub(super) text: &'a [u8],
    /// What the signature is over.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    /// Not to be read before the signature is verified.
    pub(super) claims: Vec<u8>,
}

/// What a token says about its own signature: claims of a stranger.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    /// What kind of token it is.
    pub(super) typ: Option<String>,
    /// Which of the issuer's keys signed it.
    pub(super) kid: Option<String>,
    /// The key that signed it, as JSON.
    pub(super) jwk: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    #[serde(default, deserialize_with = "json::given")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "json::given")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "json::given")]
    jwk: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "json::given")]
    crit: Option<IgnoredAny>,
}

impl<'a> SignedToken<'a> {
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, TokenRefused> {
        if token.len() > MAXIMUM_TOKEN_LENGTH {
            return Err(TokenRefused::TooLong);
        }
        // A further dot, as an encrypted token has, is no letter of base64url.
        let (signed, signature, header, claims) = std::str::from_utf8(token)
            .ok()
            .and_then(|text| text.rsplit_once('.'))
            .and_then(|(signed, signature)| {
                let (header, claims) = signed.split_once('.')?;
                Some((signed, decode(signature)?, decode(header)?, decode(claims)?))
            })
            .ok_or(TokenRefused::Malformed)?;
        let header = Header::parse(&header)?;
        Ok(Self { header, text: token, signed: signed.as_bytes(), signature, claims })
    }
}

impl Header {
    fn parse(header: &[u8]) -> Result<Self, TokenRefused> {
        let RawHeader { alg, typ, kid, jwk, crit } = json::object(header).ok_or(TokenRefused::Malformed)?;
        let algorithm = Algorithm::parse(&alg).ok_or(TokenRefused::Algorithm)?;
        if crit.is_some() {
            return Err(TokenRefused::Critical);
        }
        Ok(Self { algorithm, typ, kid, jwk })
    }
}

/// Decodes base64url in its one canonical form: no padding, no white space, and no bits that do not matter.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}
