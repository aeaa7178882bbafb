//! Public keys as JSON (RFC 7517, RFC 7518, RFC 8037), and verifying with them.
//!
//! Signatures are verified by ring and ed25519-dalek without a JWT library between. `jsonwebtoken` without its own back
//! ends would want the same three calls from a provider that is installed for the whole process, and would leave to us
//! everything else that is decided here: which algorithm a key is for, `crit`, members given twice, and our clock.

use ed25519_dalek::{Signature, VerifyingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;

use super::json;
use super::signed_token::{Algorithm, SignedToken, decode};

/// The smallest RSA modulus, in bits. ring rounds up to whole bytes, so it alone would let seven bits less through.
const MINIMUM_RSA_BITS: usize = 2048;

/// A key that may verify tokens of one algorithm.
#[derive(Debug, Clone)]
pub(super) struct PublicKey {
    pub(super) id: Option<String>,
    material: Material,
}

#[derive(Debug, Clone)]
enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// An uncompressed point.
    P256(Vec<u8>),
    Ed25519(VerifyingKey),
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    #[serde(default, deserialize_with = "json::given")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "json::given")]
    alg: Option<String>,
    #[serde(default, deserialize_with = "json::given", rename = "use")]
    usage: Option<String>,
    #[serde(default, deserialize_with = "json::given")]
    key_ops: Option<Vec<String>>,
    #[serde(default, deserialize_with = "json::given")]
    crv: Option<String>,
    #[serde(default, deserialize_with = "json::given")]
    x: Option<String>,
    #[serde(default, deserialize_with = "json::given")]
    y: Option<String>,
    #[serde(default, deserialize_with = "json::given")]
    n: Option<String>,
    #[serde(default, deserialize_with = "json::given")]
    e: Option<String>,
}

impl PublicKey {
    /// The key, or nothing if it is malformed, too weak, or meant for something else than verifying one of the
    /// algorithms.
    pub(super) fn parse(jwk: &str) -> Option<Self> {
        let raw: RawKey = json::object(jwk.as_bytes())?;
        let material = Material::parse(&raw)?;
        let meant = raw.alg.is_none_or(|alg| Algorithm::parse(&alg) == Some(material.algorithm()))
            && raw.usage.is_none_or(|usage| usage == "sig")
            && raw.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        meant.then_some(Self { id: raw.kid, material })
    }

    /// The one algorithm that this key may verify, whatever a token says.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.material.algorithm()
    }

    /// The raw bytes of an Ed25519 key.
    pub(super) fn ed25519(&self) -> Option<&[u8; 32]> {
        match &self.material {
            Material::Ed25519(key) => Some(key.as_bytes()),
            Material::Rsa(_) | Material::P256(_) => None,
        }
    }

    /// Whether this key made the token's signature, by the token's algorithm.
    pub(super) fn verifies(&self, token: &SignedToken<'_>) -> bool {
        if token.header.algorithm != self.algorithm() {
            return false;
        }
        match &self.material {
            Material::Rsa(key) => {
                key.verify(&RSA_PKCS1_2048_8192_SHA256, token.signed, &token.signature).is_ok()
            }
            Material::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(token.signed, &token.signature)
                .is_ok(),
            Material::Ed25519(key) => Signature::from_slice(&token.signature)
                .is_ok_and(|signature| key.verify_strict(token.signed, &signature).is_ok()),
        }
    }
}

impl Material {
    fn parse(raw: &RawKey) -> Option<Self> {
        match (raw.kty.as_str(), raw.crv.as_deref()) {
            ("RSA", _) => rsa(raw),
            ("EC", Some("P-256")) => {
                let (x, y) = (coordinate(raw.x.as_deref())?, coordinate(raw.y.as_deref())?);
                Some(Self::P256([&[4], x.as_slice(), y.as_slice()].concat()))
            }
            ("OKP", Some("Ed25519")) => ed25519(&coordinate(raw.x.as_deref())?),
            _ => None,
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }
}

fn rsa(raw: &RawKey) -> Option<Material> {
    let (n, e) = (decode(raw.n.as_deref()?)?, decode(raw.e.as_deref()?)?);
    let leading_zeros = usize::try_from(n.first()?.leading_zeros()).ok()?;
    (n.len() * 8 - leading_zeros >= MINIMUM_RSA_BITS)
        .then_some(Material::Rsa(RsaPublicKeyComponents { n, e }))
}

/// With a key of small order, one signature would fit any message. What is not the canonical encoding of a point would be
/// a second name for the same key.
fn ed25519(bytes: &[u8; 32]) -> Option<Material> {
    let key = VerifyingKey::from_bytes(bytes).ok()?;
    (is_reduced(bytes) && !key.is_weak()).then_some(Material::Ed25519(key))
}

/// Whether the coordinate that encodes a point, little-endian and without the sign in its highest bit, is less than
/// 2^255 - 19. Only the two points with x = 0, which are of small order, have a second encoding besides.
fn is_reduced([lowest, middle @ .., highest]: &[u8; 32]) -> bool {
    *lowest < 0xed || highest & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}

fn coordinate(text: Option<&str>) -> Option<[u8; 32]> {
    decode(text?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_canonical(key: &VerifyingKey, bytes: &[u8; 32]) -> bool {
        key.to_edwards().compress().as_bytes() == bytes
    }

    #[test]
    fn every_coordinate_that_is_not_reduced_is_refused() {
        for lowest in 0xed..=0xff {
            for highest in [0x7f, 0xff] {
                let mut bytes = [0xff; 32];
                (bytes[0], bytes[31]) = (lowest, highest);
                assert!(ed25519(&bytes).is_none(), "{bytes:?}");
            }
        }
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xec, 0x7f);
        assert!(is_reduced(&bytes));
        (bytes[0], bytes[31]) = (0xff, 0x7e);
        assert!(is_reduced(&bytes));
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_the_canonical_encoding(
            mut bytes: [u8; 32],
            near in proptest::bool::ANY,
        ) {
            if near {
                bytes[1..31].fill(0xff);
                bytes[31] |= 0x7f;
            }
            if let Ok(key) = VerifyingKey::from_bytes(&bytes) {
                let accepted = ed25519(&bytes).is_some();
                prop_assert_eq!(accepted, is_canonical(&key, &bytes) && !key.is_weak());
            }
        }
    }
}
