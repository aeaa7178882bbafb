//! Instants, as text and as a number of microseconds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_domain::Timestamp;

fuzz_target!(|text: &str| {
    let parsed = text.parse::<Timestamp>().ok();
    // The same bytes as numbers.
    let numbers: Vec<i64> = text.as_bytes().as_chunks().0.iter().copied().map(i64::from_le_bytes).collect();
    let [micros, more] = numbers.first_chunk().copied().unwrap_or_default();
    for instant in [parsed, Timestamp::from_unix_micros(micros).ok()].into_iter().flatten() {
        let printed = instant.to_string();
        assert_eq!(printed.len(), "2026-12-07T20:03:07.123456Z".len());
        assert_eq!(printed.parse::<Timestamp>(), Ok(instant));
        assert_eq!(Timestamp::from_unix_micros(instant.unix_micros()), Ok(instant));
        if let Some(later) = instant.checked_add_micros(more) {
            assert_eq!(later.micros_since(instant), more);
            assert_eq!(later.to_string().cmp(&printed), later.cmp(&instant));
        }
    }
});
