//! A ledger of an older version as it may have been left: it is read, or its damaged lines are named, and a line behind it is
//! read all the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_application::ports::ErasureLedger;
use reprieve_system::LedgerFile;

fuzz_target!(|content: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let line = format!(
        "\n{{\"processId\":\"IDP0123456789abcdefg\",\"identityHash\":\"{hash}\",\"createdAt\":\"1970-01-01T00:00:00Z\",\
         \"gracePeriodEndsAt\":\"1970-01-02T00:00:00Z\",\"deletionStartedAt\":\"1970-01-03T00:00:00Z\",\"seal\":\"{hash}\"}}\n",
        hash = "01".repeat(32)
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let read = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        runtime.block_on(LedgerFile::new(&path).content()).unwrap()
    };
    let before = read(content);
    let after = read(&[content, line.as_bytes()].concat());
    assert!(after.entries.starts_with(&before.entries));
    assert_eq!(after.entries.len(), before.entries.len() + 1);
});
