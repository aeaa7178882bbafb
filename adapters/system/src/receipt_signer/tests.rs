use super::*;
use proptest::prelude::*;
use reprieve_domain::audit::ChainHead;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

const SEED: [u8; 32] = [7; 32];

fn signer(seed: u8) -> JwsReceiptSigner {
    JwsReceiptSigner::new(SecretKey::new([seed; 32]))
}

fn receipt() -> Receipt {
    Receipt {
        process_id: "IDP0123456789abcdefg".parse().unwrap(),
        identity_hash: [0xab; 32].into(),
        created_at: "2026-11-23T20:03:07.123456Z".parse().unwrap(),
        grace_period_ends_at: "2026-12-07T20:03:07.123456Z".parse().unwrap(),
        deletion_started_at: "2026-12-07T20:04:00Z".parse().unwrap(),
        deletion_completed_at: "2026-12-07T20:05:00Z".parse().unwrap(),
        erasures: vec![
            SettledErasure::Acknowledged {
                eraser: "files.v2".parse().unwrap(),
                at: "2026-12-07T20:04:30Z".parse().unwrap(),
                count: u64::MAX,
            },
            SettledErasure::Waived {
                eraser: "mail".parse().unwrap(),
                at: "2026-12-07T20:04:40Z".parse().unwrap(),
                code: "retired".parse().unwrap(),
            },
        ],
        audit_head: ChainHead { length: 5, hash: [0xcd; 32].into() },
    }
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Signs with ring.
fn signed_elsewhere(header: &str, payload: &str) -> (String, String) {
    let key = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap();
    let content = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(content.as_bytes()));
    let x = URL_SAFE_NO_PAD.encode(key.public_key());
    (format!("{content}.{signature}"), format!(r#"{{"x":"{x}","crv":"Ed25519","kty":"OKP","kid":3}}"#))
}

#[test]
fn another_implementation_verifies_a_receipt_and_finds_everything_in_it() {
    let ours = signer(7);
    let signed = ours.sign(&receipt());
    let jwk: Value = serde_json::from_str(&ours.public_key_jwk()).unwrap();
    let (content, signature) = signed.rsplit_once('.').unwrap();
    let (header, payload) = content.split_once('.').unwrap();
    UnparsedPublicKey::new(&ED25519, decode(jwk["x"].as_str().unwrap()))
        .verify(content.as_bytes(), &decode(signature))
        .unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!(header, json!({"alg": "EdDSA", "typ": "reprieve-receipt+jwt", "kid": jwk["kid"]}));
    let payload: Value = serde_json::from_slice(&decode(payload)).unwrap();
    assert_eq!(
        payload,
        json!({
            "processId": "IDP0123456789abcdefg",
            "identityHash": "ab".repeat(32),
            "createdAt": "2026-11-23T20:03:07.123456Z",
            "gracePeriodEndsAt": "2026-12-07T20:03:07.123456Z",
            "deletionStartedAt": "2026-12-07T20:04:00.000000Z",
            "deletionCompletedAt": "2026-12-07T20:05:00.000000Z",
            "erasures": [
                {"eraser": "files.v2", "acknowledgedAt": "2026-12-07T20:04:30.000000Z", "count": u64::MAX},
                {"eraser": "mail", "waivedAt": "2026-12-07T20:04:40.000000Z", "code": "retired"},
            ],
            "auditTrail": {"entries": 5, "head": "cd".repeat(32)},
        })
    );
    assert_eq!(verify_receipt(&format!(" {signed}\n"), &ours.public_key_jwk()), Ok(payload));
}

#[test]
fn a_receipt_that_another_implementation_signed_is_accepted() {
    let (signed, jwk) = signed_elsewhere(r#"{"typ":"reprieve-receipt+jwt","alg":"EdDSA"}"#, r#"{"a":1}"#);
    assert_eq!(verify_receipt(&signed, &jwk), Ok(json!({"a": 1})));
}

#[test]
fn no_character_of_a_receipt_can_be_changed() {
    let ours = signer(7);
    let signed = ours.sign(&receipt());
    for position in 0..signed.len() {
        for other in ["A", "B", "_", ".", "=", "", "AA"] {
            let mut changed = signed.clone();
            changed.replace_range(position..=position, other);
            if changed != signed {
                let error = verify_receipt(&changed, &ours.public_key_jwk()).unwrap_err();
                assert_eq!(error.code(), ErrorCode::ReceiptInvalid);
            }
        }
    }
    // The last character carries two bits only; the others must be zero, or one receipt would have four forms.
    let last = signed.len() - 1;
    let forms: Vec<_> = (b'A'..=b'z')
        .map(|byte| format!("{}{}", &signed[..last], char::from(byte)))
        .filter(|form| verify_receipt(form, &ours.public_key_jwk()).is_ok())
        .collect();
    assert_eq!(forms, [signed.as_str()]);
}

#[test]
fn a_receipt_of_another_deployment_proves_nothing_here() {
    let signed = signer(8).sign(&receipt());
    assert_eq!(verify_receipt(&signed, &signer(7).public_key_jwk()), Err(ReceiptError::OtherKey));
    // Nor if it says that it is signed with ours.
    let ours = signer(7).sign(&receipt());
    let (ours, _) = ours.rsplit_once('.').unwrap();
    let (_, theirs) = signed.rsplit_once('.').unwrap();
    let forged = format!("{ours}.{theirs}");
    assert_eq!(verify_receipt(&forged, &signer(7).public_key_jwk()), Err(ReceiptError::WrongSignature));
}

#[test]
fn only_a_receipt_counts_however_well_it_is_signed() {
    for (header, problem) in [
        (r#"{"alg":"none","typ":"reprieve-receipt+jwt"}"#, "its algorithm is not EdDSA"),
        (r#"{"alg":"HS256","typ":"reprieve-receipt+jwt"}"#, "its algorithm is not EdDSA"),
        (r#"{"typ":"reprieve-receipt+jwt"}"#, "its algorithm is not EdDSA"),
        (r#"{"alg":"EdDSA","typ":"JWT"}"#, "it was signed as something else"),
        (r#"{"alg":"EdDSA"}"#, "it was signed as something else"),
        (
            r#"{"alg":"EdDSA","typ":"reprieve-receipt+jwt","crit":["b64"],"b64":false}"#,
            "its header demands what is not understood here",
        ),
        ("[]", "its header is not a JSON object in base64url"),
        ("", "its header is not a JSON object in base64url"),
    ] {
        let (signed, jwk) = signed_elsewhere(header, "{}");
        assert_eq!(verify_receipt(&signed, &jwk), Err(ReceiptError::NotAReceipt(problem)), "{header}");
    }
    let (signed, jwk) = signed_elsewhere(r#"{"alg":"EdDSA","typ":"reprieve-receipt+jwt"}"#, "[]");
    assert!(matches!(verify_receipt(&signed, &jwk), Err(ReceiptError::NotAReceipt(_))));
    for text in ["", ".", "..", "a.b", "a.b.c.d", "..a"] {
        assert!(matches!(verify_receipt(text, &jwk), Err(ReceiptError::NotAReceipt(_))), "{text}");
    }
}

#[test]
fn what_is_no_ed25519_key_is_refused() {
    let signed = signer(7).sign(&receipt());
    let good = signer(7).public_key_jwk();
    let zero = URL_SAFE_NO_PAD.encode([0; 32]);
    for jwk in [
        "",
        "[]",
        "{}",
        &good.replace("OKP", "EC"),
        &good.replace("Ed25519", "X25519"),
        r#"{"kty":"OKP","crv":"Ed25519"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":1}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#,
    ] {
        assert!(matches!(verify_receipt(&signed, jwk), Err(ReceiptError::NotAKey(_))), "{jwk}");
    }
    // A key of low order, which many signatures would match.
    let weak = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{zero}"}}"#);
    assert!(verify_receipt(&signed, &weak).is_err());
}

#[test]
fn the_secret_key_is_not_shown() {
    let ours = JwsReceiptSigner::new(SecretKey::new(*b"0123456789abcdef0123456789abcdef"));
    let debug = format!("{ours:?}");
    assert!(debug.contains("key: SecretKey,"), "{debug}");
    let jwk: Value = serde_json::from_str(&ours.public_key_jwk()).unwrap();
    let members: Vec<_> = jwk.as_object().unwrap().keys().collect();
    assert_eq!(members, ["kty", "crv", "x", "kid", "alg", "use"]);
}

proptest! {
    #[test]
    fn no_text_makes_verifying_panic(signed in ".{0,200}", jwk in ".{0,100}", header in ".{0,60}", payload: Vec<u8>) {
        let key = signer(7).public_key_jwk();
        let dressed = format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload), signed);
        for text in [&signed, &dressed] {
            prop_assert!(verify_receipt(text, &key).is_err());
            let _ = verify_receipt(text, &jwk);
        }
    }

    #[test]
    fn no_key_makes_verifying_panic(x: [u8; 32]) {
        let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(x));
        prop_assert!(verify_receipt(&signer(7).sign(&receipt()), &jwk).is_err());
    }
}

#[test]
fn a_receipt_is_what_the_trail_says_and_signed_with_the_key_if_that_is_at_hand() {
    type Change = fn(&mut Receipt);
    let (ours, theirs) = (signer(7), signer(8));
    let (with_key, without) = (JwsReceiptChecker::new(Some(&ours)), JwsReceiptChecker::new(None));
    let both = |signed: &str, expected: &Receipt| {
        (with_key.is_receipt(signed, expected), without.is_receipt(signed, expected))
    };
    let signed = ours.sign(&receipt());
    assert_eq!(both(&signed, &receipt()), (true, true));
    assert_eq!(both(&theirs.sign(&receipt()), &receipt()), (false, true));
    let changes: [Change; 9] = [
        |receipt| receipt.process_id = "IDPzzzzzzzzzzzzzzzzz".parse().unwrap(),
        |receipt| receipt.identity_hash = [0; 32].into(),
        |receipt| receipt.created_at = receipt.deletion_started_at,
        |receipt| receipt.grace_period_ends_at = receipt.created_at,
        |receipt| receipt.deletion_started_at = receipt.created_at,
        |receipt| receipt.deletion_completed_at = receipt.created_at,
        |receipt| {
            let SettledErasure::Acknowledged { count, .. } = &mut receipt.erasures[0] else { panic!() };
            *count = 4711;
        },
        |receipt| receipt.erasures.clear(),
        |receipt| receipt.audit_head.length = 4,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut other = receipt();
        change(&mut other);
        assert_eq!(both(&signed, &other), (false, false), "change {number}");
    }
    for text in ["", "signed", "a.b.c", &signed[1..], &format!("{signed}x")] {
        assert!(!with_key.is_receipt(text, &receipt()), "{text}");
    }
}
