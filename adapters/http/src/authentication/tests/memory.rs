//! Tokens that come again: let in without being verified again, and only for as long as otherwise. That none is let in
//! which would not be otherwise, the tests of all tokens show, since each of them asks twice and where good ones came before.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::super::signed_token::SignedToken;
use super::super::token_rules::Verified;
use super::super::verified_tokens::{GENERATION, TokenDigest, VerifiedTokens};
use super::super::{KeySet, TokenRefused};
use super::issuer::{MINUTE, start, token};
use super::{
    MICROS, NOW, Signer, at, bearer, caller, check_again, encode, good_tokens, issued_claims, issuer_key_set,
    issuer_keys, now, rules, self_signed_claims, self_signed_header, with,
};

/// The longest that the memory may become.
const BOUND: usize = 2 * GENERATION;

#[test]
fn what_was_verified_is_not_verified_again() {
    let mut keys = issuer_keys();
    let tokens = good_tokens();
    let answers = |keys: &_| tokens.iter().map(|token| check_again(token, keys, now())).collect::<Vec<_>>();
    let first = answers(&keys);
    assert!(first.iter().all(Result::is_ok));
    // Whoever verified the issuer's tokens now could only refuse them.
    keys.set = KeySet::default();
    assert_eq!(answers(&keys), first);
    assert_eq!(keys.verified.len(), tokens.len());
}

#[test]
fn times_count_as_if_the_token_came_for_the_first_time() {
    let issued =
        |claims: Value| Signer::ed25519(1).token(&json!({"alg": "EdDSA"}), &with(issued_claims(), claims));
    let identity = Signer::ed25519(5);
    let self_signed = |claims: Value| {
        identity.token(&self_signed_header(&identity), &with(self_signed_claims(&identity), claims))
    };
    for token in [
        issued(json!({})),
        issued(json!({"iat": null})),
        issued(json!({"nbf": NOW - 60})),
        issued(json!({"nbf": NOW - 5, "iat": NOW - 60, "exp": 1_796_673_600.25})),
        self_signed(json!({})),
        self_signed(json!({"nbf": NOW + 20, "exp": NOW + 100})),
    ] {
        let keys = issuer_keys();
        assert!(check_again(&token, &keys, now()).is_ok(), "{token}");
        assert_eq!(keys.verified.len(), 1);
        // Forwards, and backwards as well: a clock may be put back.
        let seconds = || (-24..=84).map(|fives| 5 * fives);
        for second in seconds().chain(seconds().rev()) {
            for micros in [-1, 0, 1, 249_999, 250_000] {
                let then = at((NOW + second) * MICROS + micros);
                let answer = rules().check(token.as_bytes(), &issuer_key_set(), then);
                assert_eq!(check_again(&token, &keys, then), answer, "{second} s, {micros} µs");
            }
        }
    }
}

#[test]
fn what_is_refused_is_not_remembered() {
    let keys = issuer_keys();
    let by = |signer: u8, claims: Value| {
        Signer::ed25519(signer).token(&json!({"alg": "EdDSA"}), &with(issued_claims(), claims))
    };
    let good = by(1, json!({}));
    let (signed, _) = good.rsplit_once('.').unwrap();
    for token in [
        by(2, json!({})),
        by(1, json!({"exp": NOW - 31})),
        by(1, json!({"nbf": NOW + 31})),
        by(1, json!({"aud": "https://elsewhere.example"})),
        by(1, json!({"device_id": "DVC"})),
        format!("{signed}.{}", encode([0; 64])),
        format!("{signed}."),
        format!("{good}A"),
    ] {
        for _ in 0..2 {
            assert!(check_again(&token, &keys, now()).is_err(), "{token}");
        }
    }
    assert_eq!(keys.verified.len(), 0);
    assert_eq!(check_again(good, &keys, now()), Ok(caller()));
    assert_eq!(keys.verified.len(), 1);
}

#[test]
fn another_signature_or_none_below_what_was_verified_is_refused() {
    for good in good_tokens() {
        let keys = issuer_keys();
        assert!(check_again(&good, &keys, now()).is_ok());
        let (signed, _) = good.rsplit_once('.').unwrap();
        let other = good_tokens().into_iter().find(|other| *other != good).unwrap();
        let (_, of_another) = other.rsplit_once('.').unwrap();
        for signature in ["", "AAAA", of_another] {
            let answer = check_again(format!("{signed}.{signature}"), &keys, now());
            assert_eq!(answer, Err(TokenRefused::Signature), "{signature}");
        }
        assert!(check_again(&good, &keys, now()).is_ok());
    }
}

/// What was verified of some token.
fn verified() -> Verified {
    let token = Signer::ed25519(1).token(&json!({"alg": "EdDSA"}), &issued_claims());
    rules().verify(&SignedToken::parse(token.as_bytes()).unwrap(), &issuer_key_set()).unwrap()
}

fn digest(number: usize) -> TokenDigest {
    TokenDigest::of(&number.to_be_bytes())
}

#[test]
fn so_many_are_remembered_and_no_more() {
    let (memory, verified) = (VerifiedTokens::default(), verified());
    for number in 0..3 * BOUND {
        memory.remember(digest(number), verified.clone());
        // Neither does asking make it longer.
        memory.get(digest(number / 2));
        assert!(memory.len() <= BOUND, "{number}");
    }
    assert!(memory.get(digest(3 * BOUND - 1)).is_some());
    assert!(memory.get(digest(0)).is_none());
}

#[test]
fn what_comes_again_and_again_stays() {
    let (memory, verified) = (VerifiedTokens::default(), verified());
    memory.remember(digest(0), verified.clone());
    for number in 1..3 * BOUND {
        memory.remember(digest(number), verified.clone());
        if number % (GENERATION / 2) == 0 {
            assert!(memory.get(digest(0)).is_some(), "{number}");
        }
    }
    assert!(memory.get(digest(1)).is_none());
}

/// What becomes of a token that was let in with the issuer's first keys, before and after it has these others.
async fn after_a_change_of_keys(headers: &HeaderMap, keys: &[(&str, &Signer)]) -> TokenRefused {
    let (issuer, clock, authentication) = start().await;
    for _ in 0..2 {
        assert_eq!(authentication.identity(headers).await, Ok(caller()));
    }
    issuer.has_keys(keys);
    clock.advance(10 * MINUTE - 1);
    assert_eq!(authentication.identity(headers).await, Ok(caller()));
    clock.advance(1);
    let refused = authentication.identity(headers).await.unwrap_err();
    assert_eq!(authentication.identity(headers).await, Err(refused));
    assert_eq!(issuer.requests(), 2);
    refused
}

#[tokio::test]
async fn a_token_holds_no_longer_than_the_key_it_was_verified_with() {
    let (first, second) = (Signer::ed25519(1), Signer::ed25519(2));
    let named = bearer(&token("one", &first));
    assert_eq!(after_a_change_of_keys(&named, &[("two", &second)]).await, TokenRefused::UnknownKey);
    // The id lives on with another key.
    assert_eq!(after_a_change_of_keys(&named, &[("one", &second)]).await, TokenRefused::Signature);
    // The key lives on under another id.
    assert_eq!(after_a_change_of_keys(&named, &[("two", &first)]).await, TokenRefused::UnknownKey);
    let claims = with(issued_claims(), json!({"exp": NOW + 100_000}));
    let nameless = bearer(&first.token(&json!({"alg": "EdDSA"}), &claims));
    assert_eq!(after_a_change_of_keys(&nameless, &[("one", &second)]).await, TokenRefused::Signature);
}

#[tokio::test]
async fn a_token_that_asks_for_newer_keys_ends_what_was_remembered_with_the_old_ones() {
    let (issuer, clock, authentication) = start().await;
    let headers = bearer(&token("one", &Signer::ed25519(1)));
    assert_eq!(authentication.identity(&headers).await, Ok(caller()));
    issuer.has_keys(&[("two", &Signer::ed25519(2))]);
    clock.advance(MINUTE);
    assert_eq!(authentication.identity(&headers).await, Ok(caller()));
    assert_eq!(authentication.identity(&bearer(&token("two", &Signer::ed25519(2)))).await, Ok(caller()));
    assert_eq!(authentication.identity(&headers).await, Err(TokenRefused::UnknownKey));
}
