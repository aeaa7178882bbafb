//! Where the issuer's keys come from, and where not.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::net::TcpListener;

use super::super::{Authentication, InvalidAuthenticationSettings, KeysLocation, TokenRefused};
use super::issuer::{Issuer, MINUTE, start, token};
use super::{Signer, TestClock, bearer, caller, key_set_text, settings};

#[tokio::test]
async fn what_is_no_set_of_keys_leaves_the_old_ones_in_use() {
    let (issuer, clock, authentication) = start().await;
    let headers = bearer(&token("one", &Signer::ed25519(1)));
    assert_eq!(authentication.identity(&headers).await, Ok(caller()));
    let elsewhere = Issuer::start("two", &Signer::ed25519(2)).await;
    let too_long = [key_set_text(&[("two", &Signer::ed25519(2))]), vec![b' '; 1024 * 1024]].concat();
    for (status, body) in [
        (StatusCode::INTERNAL_SERVER_ERROR, key_set_text(&[("two", &Signer::ed25519(2))])),
        (StatusCode::NO_CONTENT, Vec::new()),
        (StatusCode::OK, Vec::new()),
        (StatusCode::OK, b"<html>".to_vec()),
        (StatusCode::OK, b"{\"keys\":[]}".to_vec()),
        (StatusCode::OK, too_long),
        (StatusCode::FOUND, elsewhere.url.to_string().into_bytes()),
        (StatusCode::PERMANENT_REDIRECT, elsewhere.url.to_string().into_bytes()),
    ] {
        issuer.answers(status, body);
        clock.advance(5 * MINUTE);
        let requests = issuer.requests();
        let other = bearer(&token("two", &Signer::ed25519(2)));
        assert_eq!(authentication.identity(&other).await, Err(TokenRefused::IssuerUnavailable), "{status}");
        assert_eq!(authentication.identity(&headers).await, Ok(caller()), "{status}");
        assert_eq!(issuer.requests(), requests + 1, "{status}");
    }
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn an_issuer_that_never_answers_is_given_up() {
    let (issuer, _clock, authentication) = start().await;
    issuer.close();
    let headers = bearer(&token("one", &Signer::ed25519(1)));
    let caller = async { authentication.identity(&headers).await };
    let time = async {
        issuer.arrived.notified().await;
        // From here on, time passes whenever everybody waits.
        tokio::time::pause();
    };
    let within_a_minute = tokio::time::timeout(Duration::from_mins(1), async { tokio::join!(caller, time) });
    assert_eq!(within_a_minute.await.map(|(answer, ())| answer), Ok(Err(TokenRefused::IssuerUnavailable)));
}

#[tokio::test]
async fn an_issuer_that_is_not_there_or_speaks_no_tls_is_no_disaster() {
    let (issuer, clock, authentication) = start().await;
    assert!(authentication.is_ready().await);
    let mut url = issuer.url.clone();
    url.set_scheme("https").unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for url in [url, format!("http://{nobody}/").parse().unwrap()] {
        let authentication = Authentication::new(settings(KeysLocation::Url(url)), clock.clone()).unwrap();
        assert!(!authentication.is_ready().await);
        let token = bearer(&token("one", &Signer::ed25519(1)));
        assert_eq!(authentication.identity(&token).await, Err(TokenRefused::IssuerUnavailable));
    }
}

#[tokio::test]
async fn a_file_is_read_again_like_any_other_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let clock = TestClock::new();
    let authentication =
        Authentication::new(settings(KeysLocation::File(file.clone())), clock.clone()).unwrap();
    assert!(authentication.is_configured());
    assert!(!authentication.is_ready().await);
    std::fs::write(&file, key_set_text(&[("one", &Signer::ed25519(1))])).unwrap();
    let one = bearer(&token("one", &Signer::ed25519(1)));
    assert_eq!(authentication.identity(&one).await, Err(TokenRefused::IssuerUnavailable));
    clock.advance(MINUTE);
    assert!(authentication.is_ready().await);
    assert_eq!(authentication.identity(&one).await, Ok(caller()));
    let too_long = [key_set_text(&[("two", &Signer::ed25519(2))]), vec![b' '; 1024 * 1024]].concat();
    for content in [&b""[..], b"not JSON", b"\xff\xfe", &too_long] {
        std::fs::write(&file, content).unwrap();
        clock.advance(10 * MINUTE);
        assert_eq!(authentication.identity(&one).await, Ok(caller()));
        let two = bearer(&token("two", &Signer::ed25519(2)));
        assert_eq!(authentication.identity(&two).await, Err(TokenRefused::IssuerUnavailable));
    }
    std::fs::remove_file(&file).unwrap();
    clock.advance(10 * MINUTE);
    assert_eq!(authentication.identity(&one).await, Ok(caller()));
    std::fs::write(&file, key_set_text(&[("two", &Signer::ed25519(2))])).unwrap();
    clock.advance(MINUTE);
    assert_eq!(authentication.identity(&bearer(&token("two", &Signer::ed25519(2)))).await, Ok(caller()));
    assert_eq!(authentication.identity(&one).await, Err(TokenRefused::UnknownKey));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_without_an_end_is_not_read_to_it() {
    for file in ["/dev/zero", "/"] {
        let settings = settings(KeysLocation::File(file.into()));
        let authentication = Authentication::new(settings, TestClock::new()).unwrap();
        assert!(!authentication.is_ready().await);
    }
}

#[test]
fn keys_come_through_https_or_from_this_machine() {
    for (url, accepted) in [
        ("https://issuer.example/keys", true),
        ("https://127.0.0.1/keys", true),
        ("http://localhost/keys", true),
        ("http://127.0.0.1:8080/keys", true),
        ("http://127.1.2.3/keys", true),
        ("http://[::1]/keys", true),
        ("http://issuer.example/keys", false),
        ("http://localhost.issuer.example/keys", false),
        ("http://127.0.0.1.issuer.example/keys", false),
        ("http://127.0.0.1@issuer.example/keys", false),
        ("http://10.0.0.1/keys", false),
        ("http://0.0.0.0/keys", false),
        ("http://[::ffff:10.0.0.1]/keys", false),
        ("ftp://localhost/keys", false),
        ("file:///etc/keys", false),
        ("data:application/json,{}", false),
    ] {
        let answer = Authentication::new(settings(KeysLocation::Url(url.parse().unwrap())), TestClock::new());
        match answer {
            Ok(_) => assert!(accepted, "{url}"),
            Err(InvalidAuthenticationSettings::InsecureKeysUrl) => assert!(!accepted, "{url}"),
            Err(error) => panic!("{url}: {error}"),
        }
    }
}
