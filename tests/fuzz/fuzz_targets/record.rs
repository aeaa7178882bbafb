//! Processes laid out flat: a record that is accepted is given back as it was.

#![no_main]

use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use reprieve_domain::{DeletionProcess, Identity};
use reprieve_fuzz::record;

fuzz_target!(|data: &[u8]| {
    let Ok(mut record) = record(&mut Unstructured::new(data)) else { return };
    match DeletionProcess::restore(record.clone()) {
        Ok(process) => {
            if let Some(erasures) = &mut record.erasures {
                erasures.sort_by(|a, b| a.eraser.cmp(&b.eraser));
            }
            assert_eq!(process.to_record(), record);
            assert!(process.created_at() < process.grace_period_ends_at());
            let is_open = process.status().is_open();
            assert_eq!(Identity::with_open_process(process).is_ok(), is_open);
        }
        Err(invalid) => drop(invalid.to_string()),
    }
});
