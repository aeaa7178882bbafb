//! Audit keys as text: 64 hexadecimal digits with white space around them, and nothing else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_system::parse_audit_key;

fuzz_target!(|text: &str| {
    let digits = text.trim();
    let bytes: Vec<&str> =
        digits.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok()).collect();
    let is_key = digits.len() == 64
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && bytes.iter().any(|pair| !pair.eq_ignore_ascii_case(bytes[0]));
    assert_eq!(parse_audit_key(text).is_ok(), is_key);
    if let (Ok(key), Ok(same)) = (parse_audit_key(text), parse_audit_key(&digits.to_uppercase())) {
        assert_eq!(key.fingerprint(), same.fingerprint());
    }
});
