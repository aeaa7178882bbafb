//! Events as JSON: what is read is written so that it reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_domain::Event;

fuzz_target!(|json: &[u8]| {
    if let Ok(event) = serde_json::from_slice::<Event>(json) {
        let written = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&written).unwrap(), event);
        assert!(written.contains(event.kind.name()));
    }
});
