//! Tokens and key sets: whatever is sent, nobody is let in who has not signed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_domain::Timestamp;
use reprieve_http::authentication::{
    AuthenticationSettings, IssuerSettings, KeySet, KeysLocation, SelfSignedSettings, TokenRules,
};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (token, keys) = input;
    let audiences = vec!["https://reprieve.example".to_owned()];
    let settings = AuthenticationSettings {
        issuer: Some(IssuerSettings {
            keys_trusted_for: IssuerSettings::KEYS_TRUSTED_FOR,
            issuer: "https://id.example".to_owned(),
            audiences: audiences.clone(),
            keys: KeysLocation::File("keys.json".into()),
        }),
        self_signed: Some(SelfSignedSettings { audiences }),
        ..AuthenticationSettings::default()
    };
    let rules = TokenRules::new(&settings).unwrap();
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let keys = KeySet::parse(keys).unwrap_or_default();
    let refused = rules.check(token, &keys, now).expect_err("a token that nobody has signed");
    assert!(!refused.to_string().is_empty());
});
