//! Which key and which algorithm verify a token of the issuer.

use ring::hmac;
use serde_json::{Value, json};

use super::super::{AuthenticationSettings, KeySet, KeysLocation, TokenRefused, TokenRules};
use super::issued::changed;
use super::{
    NOW, Signer, caller, check, encode, issued_claims, issuer_key_set, key_set, now, rules, settings, with,
};

#[test]
fn no_other_algorithm_is_accepted() {
    for alg in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        " ",
        "HS256",
        "HS384",
        "HS512",
        "RS384",
        "RS512",
        "PS256",
        "ES384",
        "ES256K",
        "ES512",
        "Ed25519",
        "Ed448",
        "ML-DSA-44",
        "rs256",
        "RS256 ",
        "eddsa",
        "RS256\0",
    ] {
        assert_eq!(changed(json!({"alg": alg}), json!({})), Err(TokenRefused::Algorithm), "{alg}");
    }
    for alg in [json!(null), json!(["EdDSA"]), json!(1), json!({"EdDSA": null})] {
        assert_eq!(changed(json!({"alg": alg}), json!({})), Err(TokenRefused::Malformed), "{alg}");
    }
}

#[test]
fn a_token_without_a_signature_is_refused() {
    for alg in ["none", "EdDSA", "RS256", "ES256"] {
        let token =
            format!("{}.{}.", encode(json!({"alg": alg}).to_string()), encode(issued_claims().to_string()));
        let refused = if alg == "none" { TokenRefused::Algorithm } else { TokenRefused::Signature };
        assert_eq!(check(token), Err(refused), "{alg}");
    }
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let pem = include_bytes!("keys/rsa.pem");
    let jwk = Signer::ed25519(1).jwk().to_string();
    let raw = Signer::ed25519(1).ed25519_public_key();
    for secret in [&pem[..], pem.trim_ascii_end(), jwk.as_bytes(), &raw] {
        for kid in ["rsa", "ed25519"] {
            let header = json!({"alg": "HS256", "kid": kid}).to_string();
            let signed = format!("{}.{}", encode(header), encode(issued_claims().to_string()));
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
            assert_eq!(check(format!("{signed}.{}", encode(mac))), Err(TokenRefused::Algorithm));
        }
    }
}

#[test]
fn the_key_decides_the_algorithm_and_not_the_token() {
    // Signed well, by a key of the issuer, in an algorithm that is accepted, but not the one that the header names.
    for (alg, kid) in [("RS256", "ed25519"), ("ES256", "ed25519"), ("EdDSA", "rsa"), ("EdDSA", "p256")] {
        assert_eq!(
            changed(json!({"alg": alg, "kid": kid}), json!({})),
            Err(TokenRefused::UnknownKey),
            "{alg} {kid}"
        );
    }
    for alg in ["RS256", "ES256"] {
        assert_eq!(
            changed(json!({"alg": alg, "kid": null}), json!({})),
            Err(TokenRefused::Signature),
            "{alg}"
        );
    }
}

#[test]
fn the_key_that_a_token_names_is_the_one_that_counts() {
    let keys = key_set(&[("one", &Signer::ed25519(1)), ("two", &Signer::ed25519(2))]);
    let by = |signer: u8, header: Value| {
        let token = Signer::ed25519(signer).token(&with(json!({"alg": "EdDSA"}), header), &issued_claims());
        rules().check(token.as_bytes(), &keys, now())
    };
    assert_eq!(by(1, json!({"kid": "one"})), Ok(caller()));
    assert_eq!(by(2, json!({"kid": "two"})), Ok(caller()));
    assert_eq!(by(1, json!({"kid": "two"})), Err(TokenRefused::Signature));
    assert_eq!(by(1, json!({"kid": "three"})), Err(TokenRefused::UnknownKey));
    assert_eq!(by(1, json!({"kid": ""})), Err(TokenRefused::UnknownKey));
    assert_eq!(by(1, json!({"kid": 1})), Err(TokenRefused::Malformed));
    // One that names none was signed by any of them, or by none.
    assert_eq!(by(1, json!({})), Ok(caller()));
    assert_eq!(by(2, json!({})), Ok(caller()));
    assert_eq!(by(3, json!({})), Err(TokenRefused::Signature));
    assert_eq!(
        rules().check(
            Signer::ed25519(1).token(&json!({"alg": "EdDSA"}), &issued_claims()).as_bytes(),
            &KeySet::default(),
            now()
        ),
        Err(TokenRefused::UnknownKey)
    );
}

#[test]
fn a_token_of_the_issuer_does_not_bring_its_own_key() {
    let attacker = Signer::ed25519(9);
    for kid in [json!("ed25519"), json!(null)] {
        let header = with(json!({"alg": "EdDSA", "typ": "JWT", "jwk": attacker.jwk()}), json!({"kid": kid}));
        // Where identities may sign tokens, it is taken as one of those, and the address is not the key's.
        let claims = with(issued_claims(), json!({"iat": NOW}));
        assert_eq!(check(attacker.token(&header, &claims)), Err(TokenRefused::ForeignAddress));
        // Where they may not, it is refused for the key.
        let settings =
            AuthenticationSettings { self_signed: None, ..settings(KeysLocation::File("unused".into())) };
        let rules = TokenRules::new(&settings).unwrap();
        let token = attacker.token(&header, &issued_claims());
        assert_eq!(
            rules.check(token.as_bytes(), &issuer_key_set(), now()),
            Err(TokenRefused::SelfSignedNotAccepted)
        );
    }
    // The issuer's own key beside a good signature makes no difference.
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": "ed25519", "jwk": Signer::ed25519(1).jwk()});
    let claims = with(issued_claims(), json!({"iat": NOW}));
    assert_eq!(check(Signer::ed25519(1).token(&header, &claims)), Err(TokenRefused::ForeignAddress));
}

#[test]
fn critical_extensions_are_refused_whatever_they_are() {
    for critical in [json!([]), json!(["exp"]), json!(["b64"]), json!("exp"), json!(0)] {
        assert_eq!(
            changed(json!({"crit": critical, "b64": false}), json!({})),
            Err(TokenRefused::Critical),
            "{critical}"
        );
    }
    let token = Signer::ed25519(1).token_of(r#"{"alg":"EdDSA","crit":null}"#, &issued_claims().to_string());
    assert_eq!(check(token), Err(TokenRefused::Critical));
}
