//! API keys.

use axum::http::{HeaderMap, HeaderValue};

use super::super::{
    API_KEY_HEADER, ApiKey, ApiKeyDigest, ApiKeyRefused, Authentication, AuthenticationSettings,
    InvalidAuthenticationSettings, Scope,
};
use super::{MICROS, NOW, TestClock, at};

fn key(name: &str, secret: &str, scopes: &[Scope]) -> ApiKey {
    ApiKey {
        name: name.to_owned(),
        digest: ApiKeyDigest::of(secret),
        scopes: scopes.iter().copied().collect(),
        expires_at: None,
    }
}

fn authentication(api_keys: Vec<ApiKey>) -> Result<Authentication, InvalidAuthenticationSettings> {
    Authentication::new(AuthenticationSettings { api_keys, ..Default::default() }, TestClock::new())
}

fn presenting(values: &[&str]) -> HeaderMap {
    values.iter().map(|value| (API_KEY_HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
}

/// The name of the key that opens the scope.
fn name_of(authentication: &Authentication, secret: &str, scope: Scope) -> Result<String, ApiKeyRefused> {
    authentication.api_key(&presenting(&[secret]), scope).map(|key| key.name.clone())
}

#[test]
fn a_key_opens_its_scopes_and_no_others() {
    let authentication = authentication(vec![
        key("first", "secret 1", &[Scope::Core]),
        key("second", "secret 2", &[Scope::Admin]),
        key("third", "secret 3", &[Scope::Core, Scope::Admin]),
        key("fourth", "secret 4", &[]),
    ])
    .unwrap();
    assert!(authentication.is_configured());
    for (secret, core, admin) in [
        ("secret 1", Ok("first"), Err(ApiKeyRefused::LacksScope)),
        ("secret 2", Err(ApiKeyRefused::LacksScope), Ok("second")),
        ("secret 3", Ok("third"), Ok("third")),
        ("secret 4", Err(ApiKeyRefused::LacksScope), Err(ApiKeyRefused::LacksScope)),
        ("secret 5", Err(ApiKeyRefused::Unknown), Err(ApiKeyRefused::Unknown)),
        ("secret", Err(ApiKeyRefused::Unknown), Err(ApiKeyRefused::Unknown)),
        ("Secret 1", Err(ApiKeyRefused::Unknown), Err(ApiKeyRefused::Unknown)),
        ("", Err(ApiKeyRefused::Unknown), Err(ApiKeyRefused::Unknown)),
    ] {
        assert_eq!(name_of(&authentication, secret, Scope::Core), core.map(str::to_owned), "{secret}");
        assert_eq!(name_of(&authentication, secret, Scope::Admin), admin.map(str::to_owned), "{secret}");
    }
}

#[test]
fn the_digest_of_a_key_is_no_key() {
    let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    let authentication =
        authentication(vec![ApiKey { digest: digest.parse().unwrap(), ..key("only", "", &[Scope::Core]) }])
            .unwrap();
    assert_eq!(name_of(&authentication, "secret", Scope::Core), Ok("only".to_owned()));
    assert_eq!(name_of(&authentication, digest, Scope::Core), Err(ApiKeyRefused::Unknown));
    let upper: ApiKeyDigest = digest.to_uppercase().parse().unwrap();
    assert!(bool::from(subtle::ConstantTimeEq::ct_eq(&upper, &ApiKeyDigest::of("secret"))));
    for text in
        ["", "2b", &digest[1..], &format!("{digest}00"), &digest.replace('b', "g"), &format!("{digest} ")]
    {
        assert!(text.parse::<ApiKeyDigest>().is_err(), "{text}");
    }
}

#[test]
fn an_expired_key_is_as_unknown_as_any_other() {
    let until = |micros| ApiKey { expires_at: Some(at(micros)), ..key("only", "secret", &[Scope::Core]) };
    for (end, answer) in [
        (NOW * MICROS + 1, Ok("only".to_owned())),
        (NOW * MICROS, Err(ApiKeyRefused::Unknown)),
        (NOW * MICROS - 1, Err(ApiKeyRefused::Unknown)),
    ] {
        let authentication = authentication(vec![until(end)]).unwrap();
        assert_eq!(name_of(&authentication, "secret", Scope::Core), answer);
        if answer.is_err() {
            assert_eq!(name_of(&authentication, "secret", Scope::Admin), Err(ApiKeyRefused::Unknown));
        }
    }
}

#[test]
fn one_header_is_looked_at_and_only_if_it_is_the_only_one() {
    let authentication = authentication(vec![key("only", "secret", &[Scope::Core])]).unwrap();
    for values in [
        vec![],
        vec!["secret", "secret"],
        vec!["secret", ""],
        vec!["s\u{e9}cret"],
        vec!["secret\t"],
        vec![" secret"],
    ] {
        let answer = authentication.api_key(&presenting(&values), Scope::Core);
        assert_eq!(answer.map(|key| &key.name), Err(ApiKeyRefused::Unknown), "{values:?}");
    }
    assert!(authentication.api_key(&presenting(&["secret"]), Scope::Core).is_ok());
}

#[test]
fn nothing_is_no_key_even_if_its_digest_is_configured() {
    let authentication = authentication(vec![key("only", "", &[Scope::Core])]).unwrap();
    assert_eq!(name_of(&authentication, "", Scope::Core), Err(ApiKeyRefused::Unknown));
}

#[test]
fn keys_that_cannot_be_told_apart_are_refused() {
    let answer = authentication(vec![key("a", "1", &[]), key("b", "2", &[]), key("a", "3", &[])]);
    assert!(matches!(answer, Err(InvalidAuthenticationSettings::ApiKeyName(name)) if name == "a"));
    let answer = authentication(vec![key("a", "1", &[]), key("b", "2", &[]), key("c", "2", &[])]);
    assert!(
        matches!(answer, Err(InvalidAuthenticationSettings::SameApiKey(b, c)) if (b.as_str(), c.as_str()) == ("b", "c"))
    );
}
