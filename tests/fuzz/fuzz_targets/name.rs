//! Names of erasers and codes of failures: they cannot carry an address or a sentence.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_domain::{EraserName, FailureCode};

fuzz_target!(|text: &str| {
    let is_name = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    assert_eq!(text.parse::<EraserName>().is_ok(), is_name);
    assert_eq!(text.parse::<FailureCode>().is_ok(), is_name);
});
