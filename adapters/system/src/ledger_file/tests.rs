use super::*;
use proptest::prelude::*;
use reprieve_application::{Coded as _, ErrorCode};
use std::fs;
use tempfile::TempDir;

fn entry(number: u8) -> ErasureLedgerEntry {
    let at = |days: i64| Timestamp::from_unix_micros(days * 86_400_000_000 + 5).unwrap();
    ErasureLedgerEntry {
        process_id: format!("IDP{number:017}").parse().unwrap(),
        identity_hash: [number; 32].into(),
        created_at: at(0),
        grace_period_ends_at: at(14),
        deletion_started_at: at(15),
        seal: [0xab; 32].into(),
    }
}

/// As older versions write it.
fn line(number: u8) -> String {
    format!(
        concat!(
            r#"{{"processId":"IDP{:017}","identityHash":"{}","#,
            r#""createdAt":"1970-01-01T00:00:00.000005Z","gracePeriodEndsAt":"1970-01-15T00:00:00.000005Z","#,
            r#""deletionStartedAt":"1970-01-16T00:00:00.000005Z","seal":"{}"}}"#
        ),
        number,
        format!("{number:02x}").repeat(32),
        "ab".repeat(32)
    )
}

fn ledger(content: impl AsRef<[u8]>) -> (TempDir, LedgerFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    fs::write(&path, content).unwrap();
    (folder, LedgerFile::new(path))
}

/// Of a ledger without a damaged line.
fn entries(ledger: &LedgerFile) -> Vec<ErasureLedgerEntry> {
    let LedgerContent { entries, damaged } = ledger.read().unwrap();
    assert_eq!(damaged, [] as [usize; 0]);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

#[tokio::test]
async fn what_older_versions_have_written_is_read_in_order() {
    let (_folder, ledger) = ledger(format!("{}\n{}\n{}\n", line(1), line(2), line(1)));
    assert_eq!(ledger.length().await.unwrap(), Some(3 * (line(1).len() as u64 + 1)));
    assert_eq!(ledger.content().await.unwrap().entries, [(1, entry(1)), (2, entry(2)), (3, entry(1))]);
}

#[tokio::test]
async fn a_ledger_that_is_not_there_is_no_empty_one_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/ledger.jsonl");
    let ledger = LedgerFile::new(&path);
    assert_eq!(ledger.length().await.unwrap(), None);
    assert_eq!(ledger.content().await.unwrap_err().code(), ErrorCode::LedgerUnavailable);
    assert!(!folder.path().join("a").exists());
}

#[test]
fn whatever_a_crash_leaves_is_passed_over() {
    let whole = format!("{}\n{}\n{}\n", line(1), line(2), line(3));
    let length = whole.len() / 3;
    for cut in 0..=whole.len() {
        let (_folder, ledger) = ledger(&whole[..cut]);
        // A line that lacks nothing but its line feed can be kept: an entry too many does no harm.
        let kept: Vec<_> = [1, 2, 3].into_iter().map(entry).take((cut + 1) / length).collect();
        assert_eq!(entries(&ledger), kept, "{cut}");
    }
    // Nor is it the end of the ledger if what the crash left is no text at all.
    let mut content = line(1).into_bytes();
    content.extend(b"\n\0\0\xff\0");
    assert_eq!(entries(&ledger(content).1), [entry(1)]);
}

#[tokio::test]
async fn a_damaged_line_is_named_and_holds_up_no_other() {
    let good = line(1);
    let values: serde_json::Value = serde_json::from_str(&good).unwrap();
    let in_order = serde_json::to_string(&values.as_object().unwrap().values().collect::<Vec<_>>()).unwrap();
    let twice = good.replace(r#","seal""#, r#","seal":"00","seal""#);
    for damaged in [
        &good[1..],
        &good[..good.len() - 1],
        "",
        "{}",
        &in_order,
        &good.replace("IDP", "DVC"),
        &good.replace("abab", "ABAB"),
        &good.replace("1970-01-16", "1970-01-99"),
        &good.replace(r#"{"proc"#, r#"{"note":"","proc"#),
        &twice,
        &format!("{good}{good}"),
    ] {
        let (_folder, ledger) = ledger(format!("{good}\n{damaged}\n{good}\n"));
        let read = ledger.content().await.unwrap();
        assert_eq!(read, LedgerContent { entries: vec![(1, entry(1)), (3, entry(1))], damaged: vec![2] });
    }
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = LedgerFile::new(folder.path()).content().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::LedgerUnavailable);
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
}

#[test]
fn reading_waits_for_an_older_version_that_appends() {
    let (_folder, ledger) = ledger("");
    let mut held = File::options().append(true).open(&ledger.path).unwrap();
    held.lock().unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| ledger.read().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(100));
        let waited = !reader.is_finished();
        std::io::Write::write_all(&mut held, format!("{}\n", line(1)).as_bytes()).unwrap();
        held.unlock().unwrap();
        assert!(waited);
        assert_eq!(reader.join().unwrap().entries, [(1, entry(1))]);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_content_makes_reading_panic(
        parts in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..30),
                Just(b"\n".to_vec()),
                Just(line(1).into_bytes()),
                (0..300_usize).prop_map(|length| line(1).into_bytes()[..length.min(line(1).len())].to_vec()),
            ],
            0..6,
        ),
    ) {
        let content = parts.concat();
        let (_folder, before) = ledger(&content);
        let (_folder, after) = ledger([&content, format!("\n{}\n", line(2)).as_bytes()].concat());
        let (before, after) = (before.read().unwrap(), after.read().unwrap());
        let (last, others) = after.entries.split_last().unwrap();
        prop_assert_eq!(&last.1, &entry(2));
        prop_assert_eq!(others, before.entries);
    }
}
