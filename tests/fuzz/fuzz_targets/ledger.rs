//! A ledger as somebody may have left it: it is read, or reported as damaged, and an entry that is appended is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_application::ports::{ErasureLedger, LedgerError};
use reprieve_domain::audit::ErasureLedgerEntry;
use reprieve_domain::Timestamp;
use reprieve_system::LedgerFile;

fuzz_target!(|content: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    std::fs::write(&path, content).unwrap();
    let ledger = LedgerFile::new(&path);
    let instant = |micros| Timestamp::from_unix_micros(micros).unwrap();
    let entry = ErasureLedgerEntry {
        process_id: "IDP0123456789abcdefg".parse().unwrap(),
        identity_hash: [1; 32].into(),
        created_at: instant(0),
        grace_period_ends_at: instant(1),
        deletion_started_at: instant(2),
        seal: [2; 32].into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let before = ledger.entries().await;
        ledger.append(&[entry.clone()]).await.unwrap();
        match (before, ledger.entries().await) {
            (Ok(before), Ok(after)) => {
                assert!(after.starts_with(&before));
                assert_eq!(after.last(), Some(&entry));
            }
            (Err(LedgerError::Corrupt { line: one, .. }), Err(LedgerError::Corrupt { line: other, .. })) => {
                assert_eq!(one, other);
            }
            other => panic!("{other:?}"),
        }
    });
});
