//! When the issuer's keys are asked for again.

use axum::http::StatusCode;
use futures_util::future::join_all;

use super::super::{Authentication, AuthenticationSettings, TokenRefused};
use super::issuer::{MINUTE, start, token};
use super::{Signer, TestClock, bearer, caller, self_signed_claims, self_signed_header};

#[tokio::test]
async fn keys_are_fetched_when_first_needed_and_kept() {
    let (issuer, _clock, authentication) = start().await;
    assert_eq!(issuer.requests(), 0);
    for _ in 0..10 {
        assert_eq!(authentication.identity(&bearer(&token("one", &Signer::ed25519(1)))).await, Ok(caller()));
    }
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn a_new_key_is_known_as_soon_as_a_token_names_it() {
    let (issuer, clock, authentication) = start().await;
    assert!(authentication.is_ready().await);
    issuer.has_keys(&[("one", &Signer::ed25519(1)), ("two", &Signer::ed25519(2))]);
    clock.advance(MINUTE);
    assert_eq!(authentication.identity(&bearer(&token("two", &Signer::ed25519(2)))).await, Ok(caller()));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn unknown_keys_are_asked_for_once_a_minute_at_most() {
    let (issuer, clock, authentication) = start().await;
    let unknown = bearer(&token("unknown", &Signer::ed25519(2)));
    assert_eq!(authentication.identity(&unknown).await, Err(TokenRefused::UnknownKey));
    assert_eq!(issuer.requests(), 1);
    clock.advance(MINUTE - 1);
    for _ in 0..10 {
        assert_eq!(authentication.identity(&unknown).await, Err(TokenRefused::UnknownKey));
    }
    assert_eq!(issuer.requests(), 1);
    clock.advance(1);
    for _ in 0..10 {
        assert_eq!(authentication.identity(&unknown).await, Err(TokenRefused::UnknownKey));
    }
    assert_eq!(issuer.requests(), 2);
    // An issuer that cannot answer is not asked more often either.
    issuer.answers(StatusCode::SERVICE_UNAVAILABLE, "");
    clock.advance(MINUTE);
    for _ in 0..10 {
        // It may be a new one.
        assert_eq!(authentication.identity(&unknown).await, Err(TokenRefused::IssuerUnavailable));
        assert_eq!(authentication.identity(&bearer(&token("one", &Signer::ed25519(1)))).await, Ok(caller()));
    }
    assert_eq!(issuer.requests(), 3);
}

#[tokio::test]
async fn a_clock_that_is_put_back_does_not_put_off_the_next_attempt() {
    let (issuer, clock, authentication) = start().await;
    assert!(authentication.is_ready().await);
    clock.advance(-60 * MINUTE);
    let token = token("two", &Signer::ed25519(2));
    assert_eq!(authentication.identity(&bearer(&token)).await, Err(TokenRefused::UnknownKey));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn many_that_need_keys_at_once_make_one_request() {
    let (issuer, _clock, authentication) = start().await;
    issuer.close();
    let headers = bearer(&token("one", &Signer::ed25519(1)));
    let all = join_all((0..100).map(|_| authentication.identity(&headers)));
    // Joined in this order, all of them have asked before the issuer may answer.
    let (answers, ()) = tokio::join!(all, async { issuer.open() });
    assert!(answers.iter().all(|answer| *answer == Ok(caller())));
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_take_the_attempt_along() {
    let (issuer, _clock, authentication) = start().await;
    issuer.close();
    let headers = bearer(&token("one", &Signer::ed25519(1)));
    tokio::select! {
        _ = authentication.identity(&headers) => panic!("the issuer has not answered"),
        () = issuer.arrived.notified() => {}
    }
    issuer.open();
    assert_eq!(authentication.identity(&headers).await, Ok(caller()));
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn a_withdrawn_key_is_forgotten_after_ten_minutes() {
    let (issuer, clock, authentication) = start().await;
    let headers = bearer(&token("one", &Signer::ed25519(1)));
    assert_eq!(authentication.identity(&headers).await, Ok(caller()));
    issuer.has_keys(&[("two", &Signer::ed25519(2))]);
    clock.advance(10 * MINUTE - 1);
    assert_eq!(authentication.identity(&headers).await, Ok(caller()));
    clock.advance(1);
    assert_eq!(authentication.identity(&headers).await, Err(TokenRefused::UnknownKey));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn keys_that_cannot_be_renewed_are_used_for_an_hour() {
    let (issuer, clock, authentication) = start().await;
    assert_eq!(authentication.issuer_keys_age(), None);
    let headers = bearer(&token("one", &Signer::ed25519(1)));
    assert_eq!(authentication.identity(&headers).await, Ok(caller()));
    for answer in ["", "{\"keys\": [1]}", "not a set of keys"] {
        issuer.answers(StatusCode::OK, answer);
        clock.advance(20 * MINUTE - 1);
        assert_eq!(authentication.identity(&headers).await, Ok(caller()), "{answer}");
    }
    clock.advance(3);
    assert_eq!(authentication.identity(&headers).await, Err(TokenRefused::IssuerUnavailable));
    assert_eq!(authentication.issuer_keys_age(), Some(3600.0));
    // Not a key that it has withdrawn since, either.
    issuer.has_keys(&[("two", &Signer::ed25519(2))]);
    clock.advance(MINUTE);
    assert_eq!(authentication.identity(&headers).await, Err(TokenRefused::UnknownKey));
    assert_eq!(authentication.identity(&bearer(&token("two", &Signer::ed25519(2)))).await, Ok(caller()));
}

#[tokio::test]
async fn an_issuer_that_was_never_reached_refuses_nothing() {
    let (issuer, clock, authentication) = start().await;
    issuer.answers(StatusCode::BAD_GATEWAY, "");
    let headers = bearer(&token("one", &Signer::ed25519(1)));
    assert_eq!(authentication.identity(&headers).await, Err(TokenRefused::IssuerUnavailable));
    issuer.has_keys(&[("one", &Signer::ed25519(1))]);
    clock.advance(MINUTE);
    assert_eq!(authentication.identity(&headers).await, Ok(caller()));
}

#[tokio::test]
async fn while_old_keys_are_renewed_only_one_request_waits() {
    let (issuer, clock, authentication) = start().await;
    let headers = bearer(&token("one", &Signer::ed25519(1)));
    assert_eq!(authentication.identity(&headers).await, Ok(caller()));
    clock.advance(10 * MINUTE);
    issuer.has_keys(&[("one", &Signer::ed25519(1)), ("two", &Signer::ed25519(2))]);
    issuer.close();
    // That of the first request.
    issuer.arrived.notified().await;
    let waiting = async {
        assert_eq!(authentication.identity(&headers).await, Ok(caller()));
    };
    let others = async {
        issuer.arrived.notified().await;
        for _ in 0..10 {
            assert_eq!(authentication.identity(&headers).await, Ok(caller()));
        }
        issuer.open();
    };
    tokio::join!(waiting, others);
    // Had the others waited too, the issuer would have been given up.
    assert_eq!(authentication.identity(&bearer(&token("two", &Signer::ed25519(2)))).await, Ok(caller()));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn an_identity_that_vouches_for_itself_needs_no_issuer() {
    let (issuer, _clock, authentication) = start().await;
    let identity = Signer::ed25519(5);
    let token = identity.token(&self_signed_header(&identity), &self_signed_claims(&identity));
    assert!(authentication.identity(&bearer(&token)).await.is_ok());
    assert_eq!(issuer.requests(), 0);
}

#[tokio::test]
async fn without_settings_nobody_is_let_in() {
    let authentication = Authentication::new(AuthenticationSettings::default(), TestClock::new()).unwrap();
    assert!(!authentication.is_configured());
    assert!(authentication.is_ready().await);
    let answer = authentication.identity(&bearer(&token("one", &Signer::ed25519(1)))).await;
    assert_eq!(answer, Err(TokenRefused::IssuedNotAccepted));
}
