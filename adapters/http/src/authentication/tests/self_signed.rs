//! Tokens that identities sign themselves.

use reprieve_application::Caller;
use reprieve_domain::Address;
use serde_json::{Value, json};

use super::super::{AuthenticationSettings, KeySet, KeysLocation, TokenRefused, TokenRules};
use super::{
    AUDIENCE, DEVICE, MICROS, NOW, Signer, at, check, check_at, encode, issuer_key_set, now,
    self_signed_claims, self_signed_header, settings, with,
};

fn signer() -> Signer {
    Signer::ed25519(5)
}

fn caller() -> Caller {
    Caller { address: signer().address(), device: DEVICE.parse().unwrap() }
}

/// The answer to a token with these changes to a good header and good claims.
fn changed(header: Value, claims: Value) -> Result<Caller, TokenRefused> {
    let signer = signer();
    let header = with(self_signed_header(&signer), header);
    check(signer.token(&header, &with(self_signed_claims(&signer), claims)))
}

#[test]
fn an_identity_vouches_for_itself_and_no_issuer_is_needed() {
    let signer = signer();
    let token = signer.token(&self_signed_header(&signer), &self_signed_claims(&signer));
    assert_eq!(check(&token), Ok(caller()));
    let settings = AuthenticationSettings { issuer: None, ..settings(KeysLocation::File("unused".into())) };
    let rules = TokenRules::new(&settings).unwrap();
    assert_eq!(rules.check(token.as_bytes(), &KeySet::default(), now()), Ok(caller()));
}

#[test]
fn a_key_may_have_an_address_on_any_backbone() {
    let address = Address::for_public_key("elsewhere.example", &signer().ed25519_public_key()).unwrap();
    let answer = changed(json!({}), json!({"nmshd_address": address}));
    assert_eq!(answer.map(|caller| caller.address), Ok(address));
}

#[test]
fn nobody_speaks_for_an_address_that_is_not_their_keys() {
    let victim = Signer::ed25519(6);
    for address in
        [victim.address().to_string(), "did:web:example.org".to_owned(), "did:key:z6MkhaXg".to_owned()]
    {
        let answer = changed(json!({}), json!({"nmshd_address": address}));
        assert_eq!(answer, Err(TokenRefused::ForeignAddress), "{address}");
    }
    // With the victim's key in the header, the signature is not that key's.
    let answer = changed(json!({"jwk": victim.jwk()}), json!({"nmshd_address": victim.address()}));
    assert_eq!(answer, Err(TokenRefused::Signature));
}

#[test]
fn they_are_refused_where_they_are_not_enabled() {
    let signer = signer();
    let token = signer.token(&self_signed_header(&signer), &self_signed_claims(&signer));
    let settings =
        AuthenticationSettings { self_signed: None, ..settings(KeysLocation::File("unused".into())) };
    let answer = TokenRules::new(&settings).unwrap().check(token.as_bytes(), &issuer_key_set(), now());
    assert_eq!(answer, Err(TokenRefused::SelfSignedNotAccepted));
}

#[test]
fn claims_that_are_not_as_they_should_be_are_refused() {
    for (claims, refused) in [
        (json!({"aud": null}), TokenRefused::MissingClaim("aud")),
        (json!({"iat": null}), TokenRefused::MissingClaim("iat")),
        (json!({"exp": null}), TokenRefused::MissingClaim("exp")),
        (json!({"nmshd_address": null}), TokenRefused::MissingClaim("nmshd_address")),
        (json!({"device_id": null}), TokenRefused::MissingClaim("device_id")),
        (json!({"device_id": "DVC"}), TokenRefused::Device),
        (json!({"nmshd_address": "somebody"}), TokenRefused::Address),
        (json!({"aud": "https://reprieve.example/"}), TokenRefused::Audience),
        (json!({"aud": "https://REPRIEVE.example"}), TokenRefused::Audience),
        (json!({"aud": "https://reprieve.example.evil.example"}), TokenRefused::Audience),
        // The issuer's audiences are not those of identities.
        (json!({"aud": "https://other.example"}), TokenRefused::Audience),
        (json!({"aud": []}), TokenRefused::Audience),
        // Another service that it is meant for could use it here.
        (json!({"aud": [AUDIENCE, "https://elsewhere.example"]}), TokenRefused::Audience),
        (json!({"aud": ["https://elsewhere.example", AUDIENCE]}), TokenRefused::Audience),
        (json!({"iat": NOW - 331, "exp": NOW - 31}), TokenRefused::Expired),
        (json!({"iat": NOW + 31, "exp": NOW + 331}), TokenRefused::NotYetValid),
        (json!({"nbf": NOW + 31}), TokenRefused::NotYetValid),
        (json!({"exp": NOW + 301}), TokenRefused::Lifetime),
        (json!({"exp": 1_796_673_900.000_001}), TokenRefused::Lifetime),
        (json!({"exp": NOW + 1_000_000_000}), TokenRefused::Lifetime),
        (json!({"iat": NOW - 1}), TokenRefused::Lifetime),
        (json!({"iat": 0}), TokenRefused::Lifetime),
    ] {
        assert_eq!(changed(json!({}), claims.clone()), Err(refused), "{claims}");
    }
    assert_eq!(changed(json!({}), json!({"aud": [AUDIENCE]})), Ok(caller()));
    assert_eq!(
        changed(json!({}), json!({"iat": NOW - 200, "exp": NOW + 100, "iss": "anybody"})),
        Ok(caller())
    );
}

#[test]
fn times_count_to_the_microsecond_give_or_take_the_leeway() {
    let signer = signer();
    let token = signer.token(&self_signed_header(&signer), &self_signed_claims(&signer));
    let at_micros = |micros| check_at(&token, at(micros));
    assert_eq!(at_micros((NOW - 30) * MICROS - 1), Err(TokenRefused::NotYetValid));
    assert_eq!(at_micros((NOW - 30) * MICROS), Ok(caller()));
    assert_eq!(at_micros((NOW + 330) * MICROS - 1), Ok(caller()));
    assert_eq!(at_micros((NOW + 330) * MICROS), Err(TokenRefused::Expired));
}

#[test]
fn headers_that_are_not_as_they_should_be_are_refused() {
    let signer = signer();
    for (header, refused) in [
        (json!({"typ": null}), TokenRefused::Type),
        (json!({"typ": "jwt"}), TokenRefused::Type),
        (json!({"typ": "at+jwt"}), TokenRefused::Type),
        (json!({"typ": 1}), TokenRefused::Malformed),
        (json!({"alg": "none"}), TokenRefused::Algorithm),
        (json!({"alg": "HS256"}), TokenRefused::Algorithm),
        (json!({"alg": "Ed25519"}), TokenRefused::Algorithm),
        (json!({"alg": "RS256"}), TokenRefused::Signature),
        (json!({"alg": "ES256"}), TokenRefused::Signature),
        (json!({"crit": ["jwk"]}), TokenRefused::Critical),
        (json!({"jwk": {}}), TokenRefused::Key),
        (json!({"jwk": []}), TokenRefused::Key),
        (json!({"jwk": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}), TokenRefused::Key),
        (json!({"jwk": ["OKP", "Ed25519"]}), TokenRefused::Key),
        (json!({"jwk": with(signer.jwk(), json!({"alg": "ES256"}))}), TokenRefused::Key),
        (json!({"jwk": with(signer.jwk(), json!({"use": "enc"}))}), TokenRefused::Key),
        (json!({"jwk": with(signer.jwk(), json!({"crv": "X25519"}))}), TokenRefused::Key),
        (json!({"jwk": with(signer.jwk(), json!({"x": encode([1; 31])}))}), TokenRefused::Key),
        (json!({"jwk": Signer::rsa().jwk()}), TokenRefused::Key),
        (json!({"jwk": Signer::p256().jwk()}), TokenRefused::Key),
    ] {
        assert_eq!(changed(header.clone(), json!({})), Err(refused), "{header}");
    }
    // Without a key it is taken for one of the issuer's, and its signature is not by a key of the issuer.
    assert_eq!(changed(json!({"jwk": null}), json!({})), Err(TokenRefused::Signature));
}

#[test]
fn other_kinds_of_keys_have_no_address() {
    for other in [Signer::rsa(), Signer::p256()] {
        let header = json!({"alg": other.alg(), "typ": "JWT", "jwk": other.jwk()});
        let answer = check(other.token(&header, &self_signed_claims(&signer())));
        assert_eq!(answer, Err(TokenRefused::Key), "{}", other.alg());
    }
}

#[test]
fn a_key_that_fits_every_signature_is_refused() {
    // The neutral element as key and as R, and S = 0.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let address = Address::for_public_key("reprieve.example", &neutral).unwrap();
    let header =
        json!({"alg": "EdDSA", "typ": "JWT", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": encode(neutral)}});
    let claims = with(self_signed_claims(&signer()), json!({"nmshd_address": address}));
    let signature = encode([neutral, [0; 32]].concat());
    let token = format!("{}.{}.{signature}", encode(header.to_string()), encode(claims.to_string()));
    assert_eq!(check(token), Err(TokenRefused::Key));
}

#[test]
fn members_given_twice_are_refused() {
    let signer = signer();
    let claims = self_signed_claims(&signer).to_string();
    let (jwk, foreign) = (signer.jwk().to_string(), Signer::ed25519(6).jwk().to_string());
    for (header, refused) in [
        (format!(r#"{{"alg":"EdDSA","typ":"JWT","jwk":{foreign},"jwk":{jwk}}}"#), TokenRefused::Malformed),
        (
            format!(r#"{{"alg":"EdDSA","typ":"JWT","jwk":{}}}"#, jwk.replacen('{', r#"{"x":"AAAA","#, 1)),
            TokenRefused::Key,
        ),
        (r#"{"alg":"EdDSA","typ":"JWT","jwk":null}"#.to_owned(), TokenRefused::Key),
    ] {
        assert_eq!(check(signer.token_of(&header, &claims)), Err(refused), "{header}");
    }
}
