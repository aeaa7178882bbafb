//! Tokens that were cut, changed or made up: refused, and never a panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{KeySet, MAXIMUM_TOKEN_LENGTH, TokenRefused, TokenRules};
use super::{
    Signer, WITH_GOOD_TOKENS, check, check_again, encode, good_tokens, issued_claims, issuer_key_set,
    key_set_text, now, rules, with,
};

/// Checks tokens with rules and keys that are made once, and that have verified the good ones.
fn checker() -> impl Fn(&[u8]) -> bool {
    let (rules, keys): (TokenRules, KeySet) = (rules(), issuer_key_set());
    move |token| {
        let answer = rules.check(token, &keys, now());
        assert_eq!(check_again(token, &WITH_GOOD_TOKENS, now()), answer);
        answer.is_ok()
    }
}

#[test]
fn the_good_tokens_are_good() {
    for token in good_tokens() {
        assert!(check(&token).is_ok(), "{token}");
    }
}

#[test]
fn a_token_that_is_cut_anywhere_is_refused() {
    let accepted = checker();
    for token in good_tokens() {
        for length in 0..token.len() {
            assert!(!accepted(&token.as_bytes()[..length]), "{length} bytes of {token}");
            assert!(!accepted(&token.as_bytes()[length + 1..]), "all but {length} bytes of {token}");
        }
    }
}

#[test]
fn a_token_with_any_bit_changed_is_refused() {
    let accepted = checker();
    for token in good_tokens() {
        let mut token = token.into_bytes();
        for position in 0..token.len() {
            for bit in 0..8 {
                token[position] ^= 1 << bit;
                assert!(!accepted(&token), "bit {bit} of byte {position}");
                token[position] ^= 1 << bit;
            }
        }
        assert!(accepted(&token));
    }
}

#[test]
fn the_last_letter_of_each_part_has_no_second_form() {
    // The bits of it that are no part of a byte have to be zero.
    let accepted = checker();
    for token in good_tokens() {
        let ends = token.match_indices('.').map(|(dot, _)| dot).chain([token.len()]).map(|end| end - 1);
        for end in ends {
            let others = (b'a'..=b'z').chain(b'A'..=b'Z').chain(b'0'..=b'9').chain(*b"-_");
            for other in others.filter(|other| *other != token.as_bytes()[end]) {
                let mut changed = token.clone().into_bytes();
                changed[end] = other;
                assert!(!accepted(&changed), "{}", String::from_utf8_lossy(&changed));
            }
        }
    }
}

#[test]
fn anything_beside_three_parts_of_base64url_is_refused() {
    for token in good_tokens() {
        let parts: Vec<&str> = token.split('.').collect();
        let (header, claims, signature) = (parts[0], parts[1], parts[2]);
        for malformed in [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            "...".to_owned(),
            format!("{header}{claims}{signature}"),
            format!("{header}.{claims}{signature}"),
            format!("{header}{claims}.{signature}"),
            format!("{header}.{claims}"),
            format!(".{claims}.{signature}"),
            format!("{header}..{signature}.{claims}"),
            format!(".{token}"),
            format!("{token}."),
            format!("{token}.{signature}"),
            format!("{token}="),
            format!("{token}=="),
            format!("{header}=.{claims}.{signature}"),
            format!("{header}.{claims}=.{signature}"),
            format!("{token}\n"),
            format!(" {token}"),
            format!("{header}.{claims}. {signature}"),
            format!("{header}.{claims}.{signature}+"),
            format!("{header}.{claims}.{signature}\u{e9}"),
        ] {
            assert_eq!(check(&malformed), Err(TokenRefused::Malformed), "{malformed}");
        }
        assert!(check(format!("{token}A")).is_err());
        assert!(check(format!("{token}AAAA")).is_err());
    }
    assert_eq!(check(b"\xff\xfe.\xff.\xff"), Err(TokenRefused::Malformed));
}

#[test]
fn parts_that_are_no_json_objects_are_refused() {
    let signer = Signer::ed25519(1);
    let (header, claims) =
        (json!({"alg": "EdDSA", "kid": "ed25519"}).to_string(), issued_claims().to_string());
    assert!(check(signer.token_of(&header, &claims)).is_ok());
    let array = json!([issued_claims()]).to_string();
    for text in ["", "null", "1", "\"EdDSA\"", "[]", "[\"EdDSA\"]", "{", "{}}", &array, &format!("{claims}x")]
    {
        assert_eq!(check(signer.token_of(text, &claims)), Err(TokenRefused::Malformed), "{text}");
        assert_eq!(check(signer.token_of(&header, text)), Err(TokenRefused::Malformed), "{text}");
    }
    assert_eq!(check(signer.token_of("{}", &claims)), Err(TokenRefused::Malformed));
    // A text that is not UTF-8, well signed, in a claim that nobody reads.
    let invalid = [b"{\"x\":\"\xff\",".as_slice(), &claims.as_bytes()[1..]].concat();
    let message = format!("{}.{}", encode(&header), encode(invalid));
    let token = format!("{message}.{}", encode(signer.sign(message.as_bytes())));
    assert_eq!(check(token), Err(TokenRefused::Malformed));
}

#[test]
fn a_token_is_8_kibibytes_at_most() {
    let signer = Signer::ed25519(1);
    let header = json!({"alg": "EdDSA", "kid": "ed25519"});
    let padded = |length: usize| {
        let claims = with(issued_claims(), json!({"padding": "p".repeat(length)}));
        signer.token(&header, &claims)
    };
    // Three letters of padding make four of the token.
    let about = (MAXIMUM_TOKEN_LENGTH - padded(0).len()) / 4 * 3;
    let longest =
        (about - 6..about + 6).map(padded).find(|token| token.len() == MAXIMUM_TOKEN_LENGTH).unwrap();
    assert!(check(&longest).is_ok());
    assert_eq!(check(format!("{longest}A")), Err(TokenRefused::TooLong));
    assert_eq!(check(vec![b'.'; MAXIMUM_TOKEN_LENGTH + 1]), Err(TokenRefused::TooLong));
    assert_eq!(check(vec![b'.'; 10_000_000]), Err(TokenRefused::TooLong));
}

/// JSON of any shape that has members a reader might look for.
fn json_text() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        proptest::sample::select(vec![
            "alg",
            "typ",
            "kid",
            "jwk",
            "crit",
            "iss",
            "aud",
            "exp",
            "nbf",
            "iat",
            "nmshd_address",
            "address",
            "device_id",
            "kty",
            "crv",
            "x",
            "y",
            "n",
            "e",
            "keys",
            "use",
            "key_ops",
        ])
        .prop_map(str::to_owned),
        ".{0,4}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        proptest::sample::select(vec![
            "EdDSA", "RS256", "ES256", "none", "JWT", "OKP", "EC", "RSA", "P-256", "Ed25519"
        ])
        .prop_map(Value::from),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Value::from(encode(bytes))),
    ];
    leaf.prop_recursive(3, 24, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(name.clone(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .prop_map(|value| value.to_string())
}

proptest! {
    #[test]
    fn no_bytes_make_a_check_panic(token in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(check(&token).is_err());
        let _ = KeySet::parse(&token);
    }

    #[test]
    fn no_text_like_a_token_makes_a_check_panic(token in "[A-Za-z0-9_.=-]{0,100}\\.[A-Za-z0-9_-]{0,100}\\.[A-Za-z0-9_-]{0,90}") {
        prop_assert!(check(token).is_err());
    }

    #[test]
    fn no_header_and_no_claims_make_a_check_panic(header in json_text(), claims in json_text()) {
        let signer = Signer::ed25519(1);
        let good_header = json!({"alg": "EdDSA"}).to_string();
        // Past the signature, so that the claims are looked at.
        prop_assert!(check(signer.token_of(&good_header, &claims)).is_err());
        let _ = check(signer.token_of(&header, &claims));
        let _ = KeySet::parse(header.as_bytes());
        let _ = KeySet::parse(format!(r#"{{"keys":[{header},{claims}]}}"#).as_bytes());
    }

    #[test]
    fn a_good_token_that_is_changed_anywhere_is_refused(
        kind in 0..4_usize,
        position in any::<proptest::sample::Index>(),
        replacement in proptest::collection::vec(any::<u8>(), 0..5),
        removed in 0..5_usize,
    ) {
        let token = &good_tokens()[kind];
        let position = position.index(token.len());
        let mut changed = token.clone().into_bytes();
        let end = (position + removed).min(changed.len());
        changed.splice(position..end, replacement);
        prop_assert!(changed == token.as_bytes() || check(&changed).is_err());
    }

    #[test]
    fn no_changed_set_of_keys_makes_reading_panic(
        position in any::<proptest::sample::Index>(),
        replacement in proptest::collection::vec(any::<u8>(), 0..5),
    ) {
        let mut text = key_set_text(&[("rsa", &Signer::rsa()), ("ed25519", &Signer::ed25519(1))]);
        let position = position.index(text.len());
        text.splice(position..position, replacement);
        let _ = KeySet::parse(&text);
    }
}
