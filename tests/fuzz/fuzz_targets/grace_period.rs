//! Lengths and bounds of grace periods, whatever number they are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_application::GracePeriodSettings;
use reprieve_domain::{GracePeriod, GracePeriodBounds};

fuzz_target!(|input: (f64, f64, f64)| {
    let (days, minimum, maximum) = input;
    for bounds in [Ok(GracePeriodBounds::default()), GracePeriodBounds::from_days(minimum, maximum)] {
        let Ok(bounds) = bounds else { continue };
        assert!(bounds.minimum().micros() > 0 && bounds.minimum() <= bounds.maximum());
        match GracePeriod::from_days(days, &bounds) {
            Ok(length) => {
                assert!(bounds.minimum() <= length && length <= bounds.maximum());
                // To the nearest microsecond.
                assert!((length.days() - days).abs() * 86_400_000_000.0 <= 1.0 + days * 1e-4);
            }
            Err(error) => drop(error.to_string()),
        }
    }
    match GracePeriodSettings::from_days(days, minimum, maximum) {
        Ok(settings) => assert_eq!(settings.length(None), settings.length(Some(days))),
        Err(error) => drop(error.to_string()),
    }
});
