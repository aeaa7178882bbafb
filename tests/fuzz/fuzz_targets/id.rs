//! Ids of processes and devices.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_domain::{DeletionProcessId, DeviceId};

fuzz_target!(|text: &str| {
    let is_id = |prefix| {
        text.len() == 20 && text.starts_with(prefix) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    assert_eq!(
        text.parse::<DeletionProcessId>().map(|id| id.to_string()).ok().as_deref(),
        is_id("IDP").then_some(text)
    );
    assert_eq!(
        text.parse::<DeviceId>().map(|id| id.to_string()).ok().as_deref(),
        is_id("DVC").then_some(text)
    );
});
