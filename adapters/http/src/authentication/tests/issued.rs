//! Tokens of the issuer.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use reprieve_application::Caller;
use serde_json::{Value, json};

use super::super::{
    Authentication, AuthenticationSettings, InvalidAuthenticationSettings as Invalid, KeysLocation,
    TokenRefused, TokenRules,
};
use super::{
    AUDIENCE, MICROS, NOW, Signer, TestClock, address, at, bearer, caller, check, check_at, issued_claims,
    issuer_key_set, key_set_text, now, settings, with,
};

/// The answer to a token of the issuer with these changes to a good header and good claims.
pub(super) fn changed(header: Value, claims: Value) -> Result<Caller, TokenRefused> {
    let good = json!({"alg": "EdDSA", "kid": "ed25519", "typ": "at+jwt"});
    check(Signer::ed25519(1).token(&with(good, header), &with(issued_claims(), claims)))
}

#[test]
fn a_token_of_the_issuer_tells_who_calls_in_each_algorithm() {
    for (signer, kid) in [(Signer::rsa(), "rsa"), (Signer::p256(), "p256"), (Signer::ed25519(1), "ed25519")] {
        let header = json!({"alg": signer.alg(), "kid": kid, "typ": "at+jwt", "x5t": "passed over"});
        assert_eq!(check(signer.token(&header, &issued_claims())), Ok(caller()), "{kid}");
    }
}

#[test]
fn an_older_issuer_calls_the_address_address() {
    assert_eq!(changed(json!({}), json!({"nmshd_address": null, "address": address()})), Ok(caller()));
    // A postal address and somebody else's address, beside what counts.
    for other in [json!({"street_address": "1 Main Street"}), json!("did:web:example.org"), json!(null)] {
        assert_eq!(changed(json!({}), json!({"address": other})), Ok(caller()));
    }
}

#[test]
fn one_audience_of_several_is_enough() {
    for audience in
        [json!([AUDIENCE]), json!(["https://elsewhere.example", AUDIENCE]), json!("https://other.example")]
    {
        assert_eq!(changed(json!({}), json!({"aud": audience})), Ok(caller()), "{audience}");
    }
}

#[test]
fn claims_that_are_not_as_they_should_be_are_refused() {
    for (claims, refused) in [
        (json!({"iss": null}), TokenRefused::MissingClaim("iss")),
        (json!({"aud": null}), TokenRefused::MissingClaim("aud")),
        (json!({"exp": null}), TokenRefused::MissingClaim("exp")),
        (json!({"nmshd_address": null}), TokenRefused::MissingClaim("nmshd_address")),
        (json!({"device_id": null}), TokenRefused::MissingClaim("device_id")),
        (json!({"iss": "https://issuer.example/"}), TokenRefused::Issuer),
        (json!({"iss": "https://ISSUER.example"}), TokenRefused::Issuer),
        (json!({"iss": ""}), TokenRefused::Issuer),
        (json!({"iss": ["https://issuer.example"]}), TokenRefused::Malformed),
        (json!({"aud": "https://elsewhere.example"}), TokenRefused::Audience),
        (json!({"aud": "https://reprieve.example/"}), TokenRefused::Audience),
        (json!({"aud": "reprieve.example"}), TokenRefused::Audience),
        (json!({"aud": ""}), TokenRefused::Audience),
        (json!({"aud": []}), TokenRefused::Audience),
        (json!({"aud": [[AUDIENCE]]}), TokenRefused::Malformed),
        (json!({"aud": [AUDIENCE, 1]}), TokenRefused::Malformed),
        (json!({"aud": {AUDIENCE: 1}}), TokenRefused::Malformed),
        (json!({"exp": NOW - 31}), TokenRefused::Expired),
        (json!({"exp": 0}), TokenRefused::Expired),
        (json!({"exp": -1}), TokenRefused::Expired),
        (json!({"nbf": NOW + 31}), TokenRefused::NotYetValid),
        (json!({"iat": NOW + 31}), TokenRefused::NotYetValid),
        (json!({"nbf": NOW - 60, "iat": NOW + 31}), TokenRefused::NotYetValid),
        (json!({"exp": (NOW + 300).to_string()}), TokenRefused::Malformed),
        (json!({"exp": true}), TokenRefused::Malformed),
        (json!({"exp": i64::MAX}), TokenRefused::Malformed),
        (json!({"exp": u64::MAX}), TokenRefused::Malformed),
        (json!({"exp": i64::MIN}), TokenRefused::Malformed),
        (json!({"exp": 1e300}), TokenRefused::Malformed),
        (json!({"nbf": -1e300}), TokenRefused::Malformed),
        (json!({"iat": 1e19}), TokenRefused::Malformed),
        (
            json!({"nmshd_address": "did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f78"}),
            TokenRefused::Address,
        ),
        (json!({"nmshd_address": ""}), TokenRefused::Address),
        (json!({"nmshd_address": 1}), TokenRefused::Malformed),
        (
            json!({"nmshd_address": null, "address": {"street_address": "1 Main Street"}}),
            TokenRefused::Address,
        ),
        (json!({"nmshd_address": null, "address": "1 Main Street"}), TokenRefused::Address),
        (json!({"device_id": "DVC0123456789"}), TokenRefused::Device),
        (json!({"device_id": "IDP0123456789abcdefg"}), TokenRefused::Device),
        (json!({"device_id": {}}), TokenRefused::Malformed),
    ] {
        assert_eq!(changed(json!({}), claims.clone()), Err(refused), "{claims}");
    }
}

#[test]
fn a_null_is_not_the_same_as_nothing() {
    for claim in ["nbf", "iat", "exp", "iss", "aud", "device_id"] {
        let mut claims = issued_claims();
        claims[claim] = Value::Null;
        let token = Signer::ed25519(1).token(&json!({"alg": "EdDSA"}), &claims);
        assert_eq!(check(token), Err(TokenRefused::Malformed), "{claim}");
    }
}

#[test]
fn times_count_to_the_microsecond_give_or_take_the_leeway() {
    let leeway = 30 * MICROS;
    let token = |claims| {
        Signer::ed25519(1).token(&json!({"alg": "EdDSA", "kid": "ed25519"}), &with(issued_claims(), claims))
    };
    let at_micros = |token: &str, micros| check_at(token, at(micros));
    let until = token(json!({"exp": NOW + 300}));
    let end = (NOW + 300) * MICROS + leeway;
    assert_eq!(at_micros(&until, end - 1), Ok(caller()));
    assert_eq!(at_micros(&until, end), Err(TokenRefused::Expired));
    for claim in ["nbf", "iat"] {
        let from = token(json!({claim: NOW + 100}));
        let start = (NOW + 100) * MICROS - leeway;
        assert_eq!(at_micros(&from, start - 1), Err(TokenRefused::NotYetValid), "{claim}");
        assert_eq!(at_micros(&from, start), Ok(caller()), "{claim}");
    }
    // 1796673900.25
    let fraction = token(json!({"exp": 1_796_673_900.25}));
    assert_eq!(at_micros(&fraction, end + 249_999), Ok(caller()));
    assert_eq!(at_micros(&fraction, end + 250_000), Err(TokenRefused::Expired));
}

#[test]
fn the_leeway_can_be_none() {
    let settings =
        AuthenticationSettings { leeway: Duration::ZERO, ..settings(KeysLocation::File("unused".into())) };
    let rules = TokenRules::new(&settings).unwrap();
    let token =
        Signer::ed25519(1).token(&json!({"alg": "EdDSA"}), &with(issued_claims(), json!({"iat": NOW})));
    let at_micros = |micros| rules.check(token.as_bytes(), &issuer_key_set(), at(micros));
    assert_eq!(at_micros(NOW * MICROS - 1), Err(TokenRefused::NotYetValid));
    assert_eq!(at_micros(NOW * MICROS), Ok(caller()));
    assert_eq!(at_micros((NOW + 300) * MICROS - 1), Ok(caller()));
    assert_eq!(at_micros((NOW + 300) * MICROS), Err(TokenRefused::Expired));
}

#[test]
fn without_an_issuer_its_tokens_are_refused() {
    let settings = AuthenticationSettings { issuer: None, ..settings(KeysLocation::File("unused".into())) };
    let token = Signer::ed25519(1).token(&json!({"alg": "EdDSA", "kid": "ed25519"}), &issued_claims());
    let answer = TokenRules::new(&settings).unwrap().check(token.as_bytes(), &issuer_key_set(), now());
    assert_eq!(answer, Err(TokenRefused::IssuedNotAccepted));
}

#[test]
fn what_is_no_access_token_is_refused() {
    for typ in [json!(null), json!("JWT"), json!("jwt"), json!("at+jwt"), json!("application/at+jwt")] {
        assert_eq!(changed(json!({"typ": typ}), json!({})), Ok(caller()), "{typ}");
    }
    for typ in ["", "logout+jwt", "dpop+jwt", "secevent+jwt", "application/", "JOSE", "jwt "] {
        assert_eq!(changed(json!({"typ": typ}), json!({})), Err(TokenRefused::Type), "{typ}");
    }
}

#[test]
fn members_given_twice_are_refused() {
    let claims = issued_claims().to_string();
    let signer = Signer::ed25519(1);
    for header in [
        r#"{"alg":"EdDSA","alg":"EdDSA"}"#,
        r#"{"alg":"none","alg":"EdDSA"}"#,
        r#"{"alg":"EdDSA","\u0061lg":"none"}"#,
        r#"{"alg":"EdDSA","kid":"ed25519","kid":"ed25519"}"#,
        r#"{"alg":"EdDSA","typ":"JWT","typ":"JWT"}"#,
    ] {
        assert_eq!(check(signer.token_of(header, &claims)), Err(TokenRefused::Malformed), "{header}");
    }
    for (name, value) in issued_claims().as_object().unwrap() {
        if !["sub", "client_id"].contains(&name.as_str()) {
            let twice = claims.replacen('{', &format!("{{\"{name}\":{value},"), 1);
            assert_eq!(
                check(signer.token_of(r#"{"alg":"EdDSA"}"#, &twice)),
                Err(TokenRefused::Malformed),
                "{twice}"
            );
        }
    }
}

#[tokio::test]
async fn the_token_is_taken_from_the_authorization_header() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, key_set_text(&[("ed25519", &Signer::ed25519(1))])).unwrap();
    let authentication = Authentication::new(settings(KeysLocation::File(file)), TestClock::new()).unwrap();
    let token = Signer::ed25519(1).token(&json!({"alg": "EdDSA", "kid": "ed25519"}), &issued_claims());
    assert_eq!(authentication.identity(&bearer(&token)).await, Ok(caller()));
    assert_eq!(authentication.identity(&bearer(&format!(" {token}"))).await, Ok(caller()));
    assert_eq!(authentication.identity(&bearer(&format!("{token} "))).await, Err(TokenRefused::Malformed));
    assert_eq!(authentication.identity(&bearer("")).await, Err(TokenRefused::Malformed));
    let mut twice = bearer(&token);
    twice.append(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    assert_eq!(authentication.identity(&twice).await, Err(TokenRefused::NotBearer));
    assert_eq!(authentication.identity(&HeaderMap::new()).await, Err(TokenRefused::NoToken));
}

#[test]
fn settings_that_would_let_in_the_wrong_ones_are_refused() {
    let refused = |change: fn(&mut AuthenticationSettings)| {
        let mut settings = settings(KeysLocation::File("unused".into()));
        change(&mut settings);
        TokenRules::new(&settings).unwrap_err()
    };
    assert!(matches!(refused(|s| s.issuer.as_mut().unwrap().issuer.clear()), Invalid::Issuer));
    assert!(matches!(refused(|s| s.issuer.as_mut().unwrap().audiences.clear()), Invalid::Audience));
    assert!(matches!(
        refused(|s| s.issuer.as_mut().unwrap().audiences.push(String::new())),
        Invalid::Audience
    ));
    assert!(matches!(refused(|s| s.self_signed.as_mut().unwrap().audiences.clear()), Invalid::Audience));
    assert!(matches!(refused(|s| s.leeway = Duration::from_secs(301)), Invalid::Leeway));
}
