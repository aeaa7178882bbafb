//! Keys and signatures: the examples of the RFCs, and what is not to be used.

use serde_json::{Value, json};

use super::super::jwk::PublicKey;
use super::super::signed_token::SignedToken;
use super::super::{KeySet, TokenRefused};
use super::{Signer, encode, now, rules, with};

fn verifies(jwk: &Value, token: &str) -> bool {
    let key = PublicKey::parse(&jwk.to_string()).unwrap();
    let token = SignedToken::parse(token.as_bytes()).unwrap();
    key.verifies(&token)
}

/// Claims of the examples in RFC 7515, appendix A.
const EXAMPLE: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn the_example_of_rs256_in_rfc_7515_appendix_a_2_verifies() {
    let key = json!({
        "kty": "RSA",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-\
              yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-\
              KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_\
              h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "e": "AQAB",
    });
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5\
                     jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb\
                     1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO\
                     YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    assert!(verifies(&key, &format!("eyJhbGciOiJSUzI1NiJ9.{EXAMPLE}.{signature}")));
}

#[test]
fn the_example_of_es256_in_rfc_7515_appendix_a_3_verifies() {
    let key = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert!(verifies(&key, &format!("eyJhbGciOiJFUzI1NiJ9.{EXAMPLE}.{signature}")));
}

#[test]
fn the_example_of_ed25519_in_rfc_8037_appendix_a_verifies() {
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIb\
                 QR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(verifies(&key, token));
    let changed = token.replace(".RXhh", ".RXhi");
    assert!(!verifies(&key, &changed));
}

#[test]
fn a_signature_verifies_with_its_own_key_and_algorithm_only() {
    let signers = [Signer::rsa(), Signer::p256(), Signer::ed25519(1), Signer::ed25519(2)];
    for signer in &signers {
        for alg in ["RS256", "ES256", "EdDSA"] {
            let token = signer.token(&json!({"alg": alg}), &json!({}));
            for other in &signers {
                let right = std::ptr::eq(signer, other) && alg == signer.alg();
                assert_eq!(verifies(&other.jwk(), &token), right, "{} as {alg}", signer.alg());
            }
        }
    }
}

#[test]
fn a_key_says_what_it_is_for() {
    for signer in [Signer::rsa(), Signer::p256(), Signer::ed25519(1)] {
        let usable = |changes: Value| PublicKey::parse(&with(signer.jwk(), changes).to_string()).is_some();
        assert!(usable(json!({})));
        assert!(usable(
            json!({"alg": signer.alg(), "use": "sig", "key_ops": ["verify"], "kid": "a", "x5t": "b"})
        ));
        for alg in
            ["RS256", "ES256", "EdDSA", "RS384", "PS256", "HS256", "ES384", "none", "", "rs256", "Ed25519"]
        {
            assert_eq!(usable(json!({"alg": alg})), alg == signer.alg(), "{} for {alg}", signer.alg());
        }
        for usage in ["enc", "", "SIG"] {
            assert!(!usable(json!({"use": usage})), "{usage}");
        }
        for operations in [json!([]), json!(["sign"]), json!(["encrypt"]), json!("verify")] {
            assert!(!usable(json!({"key_ops": operations})), "{operations}");
        }
    }
}

#[test]
fn malformed_keys_are_not_used() {
    let (rsa, p256, ed25519) = (Signer::rsa().jwk(), Signer::p256().jwk(), Signer::ed25519(1).jwk());
    let rsa_n = rsa["n"].as_str().unwrap();
    for (key, changes) in [
        (&rsa, json!({"kty": "oct", "k": "c2VjcmV0"})),
        (&rsa, json!({"kty": "rsa"})),
        (&rsa, json!({"kty": null})),
        (&rsa, json!({"n": null})),
        (&rsa, json!({"e": null})),
        (&rsa, json!({"n": ""})),
        (&rsa, json!({"n": format!("{rsa_n}=")})),
        (&rsa, json!({"n": rsa_n.replacen(|letter: char| letter.is_ascii_alphanumeric(), "+", 1)})),
        (&p256, json!({"crv": "P-384"})),
        (&p256, json!({"crv": null})),
        (&p256, json!({"crv": "Ed25519"})),
        (&p256, json!({"x": null})),
        (&p256, json!({"y": null})),
        (&p256, json!({"x": encode([1; 31])})),
        (&p256, json!({"y": encode([1; 33])})),
        (&ed25519, json!({"crv": "X25519"})),
        (&ed25519, json!({"crv": "Ed448"})),
        (&ed25519, json!({"kty": "EC"})),
        (&ed25519, json!({"x": null})),
        (&ed25519, json!({"x": encode([1; 31])})),
        // Not the y coordinate of a point.
        (&ed25519, json!({"x": encode([2; 32])})),
    ] {
        let key = with(key.clone(), changes.clone()).to_string();
        assert!(PublicKey::parse(&key).is_none(), "{changes}");
    }
    for key in ["", "null", "[]", r#"["OKP"]"#, r#"{"kty":"OKP","kty":"OKP"}"#] {
        assert!(PublicKey::parse(key).is_none(), "{key}");
    }
}

#[test]
fn a_point_off_the_curve_verifies_nothing() {
    let signer = Signer::p256();
    let token = signer.token(&json!({"alg": "ES256"}), &json!({}));
    let key = with(signer.jwk(), json!({"y": encode([7; 32])}));
    assert!(!verifies(&key, &token));
}

/// Made with OpenSSL and a key of 2047 bits, the most that ring alone lets through as 2048.
const SHORT_RSA_KEY: &str = "ZQkJuvk5GpLSaCUiGEpJhD-kI6tIrww7PtaO1bM1mIFmWboNeGLc8YD9mzFcZZ8oHHSKp4j5cpw4DKdEZwT-78Qg\
    ch2WPRPr0086uo4Uj1C411x1qRTiQKRInhZQNP5FxnzfOb50M8oSL2WOQ22xlq_lVgx4q6Xz-Yw80ENMeD0zLdG4gUCmQ4cEWdIosHwO6HHrDxaj\
    bPdpGUEJUppQacbqhe83Z-hazSJ-CctpYXxsZsqchUL1vpG6FRBl2pOYd8b_3aQdc724BgoDFr3Y80ghawmGIVl0PA5t0hfb-CQTRykSVvMEf5ir\
    L-pgDTyBgtKeB6tXplxE4A6R6djPqw";
const SHORT_RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InNtYWxsIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXV\
    kIjoiaHR0cHM6Ly9yZXByaWV2ZS5leGFtcGxlIiwiZXhwIjoxNzk2NjczOTAwLCJubXNoZF9hZGRyZXNzIjoiZGlkOndlYjpleGFtcGxlLm9yZyI\
    sImRldmljZV9pZCI6IkRWQzAxMjM0NTY3ODlhYmNkZWZnIn0.CsKjetdIqrKJnlhynAYiBuJUHXM5-GQP5oNEJ0gBgmz0R6qLlWeHX9xtWe9TNyN\
    eWh2V8dzEDts0FeH_Ii0uf2w0MpeUUfaP52huCnDvzz4M7q3Bz1SvqPEuEO63pGW6aoAAuxMdD6paSrOYHhbVJ0PWUlD-yAOPr6rrxjMbi2u3mXf\
    0SCMZPrlTexQDLHk9nqOnuTrs6wX-ckEtCIiqB88rIMoTdsJ0FcWMAy_t-q-72UQlaWBcRYVG-GhFYzBrNzphtjHqMtMsJUvtHWZJPRnAthCedtY\
    k76r1OFNsgc3QScHBbpT0AdwAf5_7WoHGpLqdx6mNHH3Y-dn1u3k6jg";

#[test]
fn an_rsa_key_below_2048_bits_is_not_used() {
    let short = json!({"kty": "RSA", "kid": "small", "n": SHORT_RSA_KEY, "e": "AQAB"});
    assert!(KeySet::parse(json!({"keys": [short]}).to_string().as_bytes()).is_err());
    // Beside a good key it is as if it were not there.
    let keys = json!({"keys": [short, with(Signer::rsa().jwk(), json!({"kid": "rsa"}))]}).to_string();
    let keys = KeySet::parse(keys.as_bytes()).unwrap();
    let answer = rules().check(SHORT_RSA_TOKEN.as_bytes(), &keys, now());
    assert_eq!(answer, Err(TokenRefused::UnknownKey));
}

#[test]
fn ed25519_keys_of_small_order_are_not_used() {
    // The neutral element: with it, R = the neutral element and S = 0 satisfy the equation for every message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut order_2 = [0xff; 32];
    (order_2[0], order_2[31]) = (0xec, 0x7f);
    for key in [neutral, order_2, [0; 32]] {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key)}).to_string();
        assert!(PublicKey::parse(&key).is_none(), "{key}");
    }
}

#[test]
fn an_ed25519_key_has_one_encoding() {
    // y = p + 3, which is the point with y = 3.
    let mut bytes = [0xff; 32];
    (bytes[0], bytes[31]) = (0xf0, 0x7f);
    let mut canonical = [0; 32];
    canonical[0] = 3;
    let parse =
        |bytes| PublicKey::parse(&json!({"kty": "OKP", "crv": "Ed25519", "x": encode(bytes)}).to_string());
    assert!(parse(canonical).is_some());
    assert!(parse(bytes).is_none());
}

#[test]
fn an_ed25519_signature_has_one_encoding() {
    let signer = Signer::ed25519(1);
    let message = format!("{}.{}", encode(r#"{"alg":"EdDSA"}"#), encode("{}"));
    let mut signature = signer.sign(message.as_bytes());
    assert!(verifies(&signer.jwk(), &format!("{message}.{}", encode(&signature))));
    // The group's order added to S leaves the equation as it was.
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (digit, added) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*digit) + added + carry;
        *digit = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    assert!(!verifies(&signer.jwk(), &format!("{message}.{}", encode(&signature))));
}

#[test]
fn a_set_of_keys_is_one_with_a_key_that_can_be_used() {
    let key = Signer::ed25519(1).jwk();
    for (text, usable) in [
        (json!({"keys": [key]}), true),
        (json!({"keys": [{"kty": "AKP"}, {}, 1, null, key], "more": 1}), true),
        (json!({"keys": []}), false),
        (json!({"keys": [{"kty": "AKP"}]}), false),
        (json!({"keys": {"a": key}}), false),
        (json!({"keys": null}), false),
        (json!({}), false),
        (json!([[key]]), false),
        (key.clone(), false),
    ] {
        assert_eq!(KeySet::parse(text.to_string().as_bytes()).is_ok(), usable, "{text}");
    }
    for text in [&b""[..], b"{", b"\xff", br#"{"keys": [], "keys": []}"#] {
        assert!(KeySet::parse(text).is_err());
    }
}
