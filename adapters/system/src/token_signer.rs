//! The port `TokenSigner`: JSON Web Tokens (RFC 7519) signed with Ed25519 (RFC 8037).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reprieve_application::ports::TokenSigner;
use reprieve_application::{IdentityTokenClaims, KeyPair};
use reprieve_domain::Timestamp;
use serde_json::json;

use crate::jws::{compact, public_jwk};

/// Writes a token as a JWT whose header carries the public key. An address is derived from that key, so that nobody has
/// to vouch for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct JwtSigner;

impl TokenSigner for JwtSigner {
    fn sign(&self, claims: &IdentityTokenClaims, keys: &KeyPair) -> String {
        let header = json!({
            "alg": "EdDSA",
            "typ": "JWT",
            "jwk": public_jwk(&keys.public),
        });
        let payload = json!({
            "nmshd_address": claims.address.as_str(),
            "device_id": claims.device.as_str(),
            "aud": claims.audience,
            "iat": seconds(claims.issued_at),
            "exp": seconds(claims.expires_at),
            "jti": URL_SAFE_NO_PAD.encode(claims.id),
        });
        compact(&header.to_string(), &payload.to_string(), &keys.secret)
    }
}

/// Unix time, as RFC 7519 counts.
fn seconds(instant: Timestamp) -> i64 {
    instant.unix_micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemIds;
    use reprieve_application::ports::Ids;
    use reprieve_domain::Address;
    use ring::signature::{ED25519, UnparsedPublicKey};
    use serde_json::Value;

    #[test]
    fn another_implementation_verifies_the_signature_with_the_key_that_the_token_carries() {
        let keys = SystemIds.key_pair().unwrap();
        let claims = IdentityTokenClaims {
            address: Address::for_public_key("example.org", &keys.public).unwrap(),
            device: "DVC0123456789abcdefg".parse().unwrap(),
            audience: "https://reprieve.example/\"quoted\"".to_owned(),
            issued_at: "2026-12-07T20:03:07.999999Z".parse().unwrap(),
            expires_at: "2026-12-07T20:08:07.999999Z".parse().unwrap(),
            id: [0xfb; 32],
        };
        let token = JwtSigner.sign(&claims, &keys);

        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        let header: Value = serde_json::from_slice(&decode(header)).unwrap();
        let x = decode(header["jwk"]["x"].as_str().unwrap());
        assert_eq!(x, keys.public);
        UnparsedPublicKey::new(&ED25519, x).verify(signed.as_bytes(), &decode(signature)).unwrap();
        assert_eq!(
            header,
            json!({"alg": "EdDSA", "typ": "JWT", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": header["jwk"]["x"]}})
        );
        let payload: Value = serde_json::from_slice(&decode(payload)).unwrap();
        assert_eq!(
            payload,
            json!({
                "nmshd_address": claims.address.as_str(), "device_id": "DVC0123456789abcdefg",
                "aud": claims.audience, "iat": 1_796_673_787, "exp": 1_796_674_087,
                "jti": "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s",
            })
        );
    }

    fn decode(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }
}
