use super::*;
use proptest::prelude::*;
use reprieve_application::{Coded as _, ErrorCode};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
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

fn ledger() -> (TempDir, LedgerFile) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = LedgerFile::new(folder.path().join("ledger.jsonl"));
    (folder, ledger)
}

fn line(number: u8) -> String {
    serde_json::to_string(&Line::from(&entry(number))).unwrap()
}

/// Of a ledger without a damaged line.
async fn entries(ledger: &LedgerFile) -> Vec<ErasureLedgerEntry> {
    let LedgerContent { entries, damaged } = ledger.content().await.unwrap();
    assert_eq!(damaged, [] as [usize; 0]);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

#[tokio::test]
async fn what_is_appended_is_read_back_in_order() {
    let (_folder, ledger) = ledger();
    let error = ledger.content().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::LedgerUnavailable, "none is not the same as an empty one");
    assert!(!ledger.path().exists(), "reading makes no file");
    ledger.append(&[entry(1), entry(2)]).await.unwrap();
    ledger.append(&[]).await.unwrap();
    ledger.append(&[entry(1)]).await.unwrap();
    assert_eq!(entries(&ledger).await, [entry(1), entry(2), entry(1)]);
}

#[tokio::test]
async fn a_line_is_a_json_object_that_anybody_can_read() {
    let (_folder, ledger) = ledger();
    ledger.append(&[entry(1)]).await.unwrap();
    let expected = format!(
        concat!(
            r#"{{"processId":"IDP00000000000000001","identityHash":"{}","#,
            r#""createdAt":"1970-01-01T00:00:00.000005Z","gracePeriodEndsAt":"1970-01-15T00:00:00.000005Z","#,
            r#""deletionStartedAt":"1970-01-16T00:00:00.000005Z","seal":"{}"}}"#,
            "\n"
        ),
        "01".repeat(32),
        "ab".repeat(32)
    );
    assert_eq!(fs::read_to_string(ledger.path()).unwrap(), expected);
}

#[tokio::test]
async fn folder_and_file_are_their_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = LedgerFile::new(folder.path().join("a/b/ledger.jsonl"));
    ledger.append(&[entry(1)]).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(ledger.path()), 0o600);
    assert_eq!(mode(&folder.path().join("a/b")), 0o700);
    assert_eq!(mode(&folder.path().join("a")), 0o700);
}

#[tokio::test]
async fn whatever_a_crash_leaves_is_passed_over_and_then_cut_off() {
    let (_folder, ledger) = ledger();
    ledger.append(&[entry(1), entry(2), entry(3)]).await.unwrap();
    let whole = fs::read(ledger.path()).unwrap();
    let length = whole.len() / 3;
    for cut in 0..=whole.len() {
        fs::write(ledger.path(), &whole[..cut]).unwrap();
        // A line that lacks nothing but its line feed can be kept: an entry too many does no harm.
        let kept: Vec<_> = [1, 2, 3].into_iter().map(entry).take((cut + 1) / length).collect();
        assert_eq!(entries(&ledger).await, kept, "{cut}");
        ledger.append(&[entry(9)]).await.unwrap();
        let expected: Vec<_> = kept.into_iter().chain([entry(9)]).collect();
        assert_eq!(entries(&ledger).await, expected, "{cut}");
    }
    // Nor is it the end of the ledger if what the crash left is no text at all.
    let mut content = line(1).into_bytes();
    content.extend(b"\n\0\0\xff\0");
    fs::write(ledger.path(), content).unwrap();
    assert_eq!(entries(&ledger).await, [entry(1)]);
    ledger.append(&[entry(2)]).await.unwrap();
    assert_eq!(entries(&ledger).await, [entry(1), entry(2)]);
}

#[tokio::test]
async fn a_damaged_line_is_named_and_holds_up_no_other() {
    let (_folder, ledger) = ledger();
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
        let content = format!("{good}\n{damaged}\n{good}\n");
        fs::write(ledger.path(), &content).unwrap();
        let read = ledger.content().await.unwrap();
        assert_eq!(read, LedgerContent { entries: vec![(1, entry(1)), (3, entry(1))], damaged: vec![2] });
        ledger.append(&[entry(2)]).await.unwrap();
        assert_eq!(fs::read_to_string(ledger.path()).unwrap(), format!("{content}{}\n", line(2)));
    }
}

#[tokio::test]
async fn a_ledger_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = LedgerFile::new(folder.path());
    for error in [ledger.append(&[entry(1)]).await.unwrap_err(), ledger.content().await.unwrap_err()] {
        assert_eq!(error.code(), ErrorCode::LedgerUnavailable);
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    }
    fs::write(folder.path().join("file"), "").unwrap();
    let below_a_file = LedgerFile::new(folder.path().join("file/ledger"));
    let error = below_a_file.append(&[entry(1)]).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::LedgerUnavailable);
}

#[test]
fn of_many_that_append_at_once_nobody_loses_a_line() {
    const LINES: u8 = 25;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub/ledger.jsonl");
    let run = |work: &dyn Fn(&tokio::runtime::Runtime, &LedgerFile)| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        work(&runtime, &LedgerFile::new(&path));
    };
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                run(&|runtime, ledger| {
                    for number in 0..LINES {
                        let pair = [entry(thread * LINES + number), entry(thread * LINES + number)];
                        runtime.block_on(ledger.append(&pair)).unwrap();
                        runtime.block_on(entries(ledger));
                    }
                });
            });
        }
    });
    run(&|runtime, ledger| {
        let entries = runtime.block_on(entries(ledger));
        let (pairs, rest) = entries.as_chunks::<2>();
        assert!(
            rest.is_empty() && pairs.iter().all(|[first, second]| first == second),
            "writes are not mixed"
        );
        let mut numbers: Vec<_> = pairs.iter().map(|[first, _]| first.identity_hash.as_bytes()[0]).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..8 * LINES).collect::<Vec<_>>());
    });
}

#[test]
fn who_appends_or_reads_waits_for_whoever_appends() {
    let (_folder, ledger) = ledger();
    ledger.append_text("").unwrap();
    let held = File::open(ledger.path()).unwrap();
    held.lock().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| ledger.append_text(&format!("{}\n", line(1))).unwrap());
        let reader = scope.spawn(|| ledger.read().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(100));
        let waited = !writer.is_finished() && !reader.is_finished();
        held.unlock().unwrap();
        assert!(waited);
        writer.join().unwrap();
        reader.join().unwrap();
    });
    assert_eq!(ledger.read().unwrap().entries, [(1, entry(1))]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_content_makes_reading_or_appending_panic(
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
        let (_folder, ledger) = ledger();
        let content = parts.concat();
        fs::write(ledger.path(), &content).unwrap();
        let before = ledger.read().unwrap();
        ledger.append_text(&format!("{}\n", line(2))).unwrap();
        let after = ledger.read().unwrap();
        let (last, others) = after.entries.split_last().unwrap();
        prop_assert_eq!(&last.1, &entry(2));
        prop_assert_eq!(others, before.entries);
        prop_assert_eq!(after.damaged, before.damaged);
        // What was complete is there still.
        let complete = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        prop_assert!(fs::read(ledger.path()).unwrap().starts_with(&content[..complete]));
    }
}
