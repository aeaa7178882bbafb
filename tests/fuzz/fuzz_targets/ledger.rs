//! A ledger as somebody may have left it: it is read, or reported as damaged, and an entry that is appended is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_application::ports::ErasureLedger;
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
        let before = ledger.content().await.unwrap();
        ledger.append(&[entry.clone()]).await.unwrap();
        let after = ledger.content().await.unwrap();
        assert!(after.entries.starts_with(&before.entries));
        assert_eq!(after.damaged, before.damaged);
        assert_eq!(after.entries.last().map(|(_, last)| last), Some(&entry));
    });
});
