//! Database URLs: what is accepted can be shown, and what is shown is the same whatever the password is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_persistence::DatabaseUrl;

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (before, after, password, other) = (line(), line(), line(), line());
    let read = |text: String| text.parse::<DatabaseUrl>();
    if let Ok(url) = read(format!("{before}{after}")) {
        let shown = url.to_string();
        assert_eq!(shown.parse::<DatabaseUrl>().unwrap().to_string(), shown);
        assert_eq!(format!("{url:?}"), shown);
    }
    // Nothing in a password, so that it ends where it is meant to end.
    let is_password = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_password(password) && is_password(other) {
        let in_authority = |password| read(format!("postgres://ada:{password}@{after}"));
        let in_query = |password| read(format!("postgres://{before}?password={password}&{after}"));
        for (one, two) in
            [(in_authority(password), in_authority(other)), (in_query(password), in_query(other))]
        {
            if let (Ok(one), Ok(two)) = (one, two) {
                assert_eq!(one.to_string(), two.to_string());
            }
        }
    }
});
