//! The names of states.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_domain::Status;

fuzz_target!(|text: &str| {
    match text.parse::<Status>() {
        Ok(status) => assert!(status.as_str() == text || (text == "Approved" && status == Status::Active)),
        Err(_) => assert!(Status::ALL.iter().all(|status| status.as_str() != text)),
    }
});
