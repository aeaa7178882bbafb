use proptest::prelude::*;

use super::*;
use crate::audit::JournalDates;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros).unwrap()
}

/// The step with this revision; what follows from another history has another hash.
fn step(history: u8, revision: i64, status: Status) -> JournalEntry {
    let mut hash = [history; 32];
    hash[0] = u8::try_from(revision).unwrap();
    JournalEntry {
        process_id: "IDP0123456789abcdefg".parse().unwrap(),
        identity_hash: [7; 32].into(),
        kind: JournalKind::Step,
        branch: 0,
        revision,
        entry_hash: hash.into(),
        status,
        dates: JournalDates {
            cancelled_at: (status == Status::Cancelled).then(|| at(5)),
            deletion_started_at: matches!(status, Status::Deleting | Status::Deleted).then(|| at(14)),
            deletion_completed_at: (status == Status::Deleted).then(|| at(15)),
            ..JournalDates::of(at(0), at(14))
        },
    }
}

fn active(history: u8, length: i64) -> Account {
    let entries = (1..=length).map(|revision| step(history, revision, Status::Active)).collect();
    Account { entries, is_partial: false }
}

fn ending(history: u8, length: i64, status: Status) -> Account {
    let mut account = active(history, length - 1);
    account.entries.push(step(history, length, status));
    account
}

fn remembered(entries: Vec<JournalEntry>) -> Remembered {
    Remembered { entries, is_damaged: false }
}

fn ledger_line() -> JournalEntry {
    JournalEntry {
        kind: JournalKind::Ledger,
        revision: 0,
        entry_hash: KeyedHash::ZERO,
        ..step(0, 1, Status::Deleting)
    }
}

/// What the journal has after this account was compared with it, and what was found.
fn written(account: &Account, journal: &mut Remembered) -> Recognition {
    let found = recognise(account, journal);
    if let Recognition::Current { missing } = &found {
        journal.entries.extend(missing.iter().cloned());
    }
    found
}

#[test]
fn a_process_that_was_put_back_or_is_gone_is_older_than_its_journal() {
    let cancelled = ending(0, 2, Status::Cancelled);
    let journal = remembered(cancelled.entries.clone());
    let older = Recognition::Older { newest: cancelled.entries[1].clone() };
    assert_eq!(recognise(&active(0, 1), &journal), older, "put back");
    assert_eq!(recognise(&ending(1, 2, Status::Cancelled), &journal), older, "another history");
    assert_eq!(recognise(&Account::default(), &journal), older, "gone");
    assert_eq!(recognise(&cancelled, &journal), Recognition::Current { missing: Vec::new() });
    assert!(journal.ends_at(2, cancelled.entries[1].entry_hash));
    assert!(!journal.ends_at(2, step(1, 2, Status::Cancelled).entry_hash));
    assert!(!journal.ends_at(1, cancelled.entries[0].entry_hash));
}

#[test]
fn a_journal_that_is_damaged_leaves_it_unknown() {
    let account = active(0, 1);
    let damaged = Remembered { is_damaged: true, ..remembered(account.entries.clone()) };
    assert_eq!(recognise(&account, &damaged), Recognition::Unknown);
    assert!(!damaged.ends_at(1, account.entries[0].entry_hash));
}

#[test]
fn what_was_forgotten_need_not_be_there_and_must_not_be_another() {
    let account = ending(0, 3, Status::Deleted);
    let mut entries = account.entries.clone();
    entries.push(JournalEntry { kind: JournalKind::Forgotten, ..account.entries[2].clone() });
    let journal = remembered(entries);
    assert_eq!(journal.newest().unwrap().kind, JournalKind::Forgotten);
    let current = Recognition::Current { missing: Vec::new() };
    assert_eq!(recognise(&Account::default(), &journal), current);
    assert_eq!(recognise(&account, &journal), current, "a crash came before it was forgotten");
    assert!(matches!(recognise(&active(0, 1), &journal), Recognition::Older { .. }));
}

#[test]
fn a_line_of_an_old_ledger_is_borne_out_by_the_start_that_it_tells_of() {
    let journal = remembered(vec![ledger_line()]);
    let deleting = ending(0, 2, Status::Deleting);
    let found = recognise(&deleting, &journal);
    assert_eq!(found, Recognition::Current { missing: deleting.entries.clone() });
    let mut later = deleting.clone();
    later.entries[1].dates.deletion_started_at = Some(at(16));
    for older in [active(0, 1), later, Account::default()] {
        assert!(matches!(recognise(&older, &journal), Recognition::Older { .. }), "{older:?}");
    }
}

#[test]
fn a_decision_ends_what_was_older_and_begins_anew() {
    let mut journal = remembered(ending(0, 3, Status::Cancelled).entries);
    let put_back = active(0, 1);
    let newest = journal.newest().unwrap().clone();
    let restored = ending(1, 2, Status::Cancelled);
    let mut account = put_back.clone();
    account.entries.push(restored.entries[1].clone());
    let decision = account.decision(&newest);
    assert_eq!((decision.branch, decision.revision), (1, 2));
    journal.entries.push(decision);
    assert_eq!(recognise(&account, &journal), Recognition::Current { missing: Vec::new() });
    assert!(journal.ends_at(2, account.entries[1].entry_hash));
    assert!(matches!(recognise(&put_back, &journal), Recognition::Older { .. }));
    // Restored once more, to where it was cancelled first.
    let first = ending(0, 3, Status::Cancelled);
    assert!(matches!(recognise(&first, &journal), Recognition::Older { .. }));
    let gone = Account::default().decision(journal.newest().unwrap());
    assert_eq!((gone.branch, gone.revision), (2, 0));
    journal.entries.push(gone);
    assert_eq!(recognise(&Account::default(), &journal), Recognition::Current { missing: Vec::new() });
    assert!(matches!(recognise(&account, &journal), Recognition::Older { .. }));
}

#[test]
fn steps_after_a_decision_belong_to_its_branch() {
    let mut journal = remembered(active(0, 3).entries);
    let mut account = active(0, 1);
    journal.entries.push(account.decision(journal.newest().unwrap()));
    account.entries.push(step(1, 2, Status::Cancelled));
    let Recognition::Current { missing } = written(&account, &mut journal) else { panic!() };
    assert_eq!(missing, [JournalEntry { branch: 1, ..account.entries[1].clone() }]);
    assert!(journal.ends_at(2, account.entries[1].entry_hash));
    assert!(matches!(recognise(&active(0, 1), &journal), Recognition::Older { .. }));
}

#[test]
fn a_cancellation_is_remembered_although_nothing_else_of_the_process_verifies() {
    let mut journal = remembered(active(0, 2).entries);
    let cancelled = step(1, 3, Status::Cancelled);
    let account = Account { entries: vec![cancelled.clone()], is_partial: true };
    assert_eq!(written(&account, &mut journal), Recognition::Current { missing: vec![cancelled] });
    assert_eq!(written(&account, &mut journal), Recognition::Current { missing: Vec::new() });
    assert!(matches!(recognise(&active(0, 2), &journal), Recognition::Older { .. }));
}

#[test]
fn every_pair_of_what_the_journal_and_the_database_have_has_an_answer_in_favour_of_the_person() {
    use Restoration as R;
    use Status as S;
    let account = |status| ending(1, 2, status);
    let newest = |status| step(0, 3, status);
    for (journal, stored, expected) in [
        (S::Active, None, R::RequestLost),
        (S::Active, Some(S::Active), R::Accept),
        (S::Active, Some(S::Cancelled), R::Accept),
        (S::Active, Some(S::Deleting), R::Accept),
        (S::Active, Some(S::Deleted), R::Accept),
        (S::Cancelled, None, R::Accept),
        (S::Cancelled, Some(S::Active), R::CancelAgain(at(5))),
        (S::Cancelled, Some(S::Cancelled), R::Accept),
        (S::Cancelled, Some(S::Deleting), R::Contradiction),
        (S::Cancelled, Some(S::Deleted), R::Contradiction),
        (S::Deleting, None, R::DeleteAgain),
        (S::Deleting, Some(S::Active), R::DeleteAgain),
        (S::Deleting, Some(S::Cancelled), R::Accept),
        (S::Deleting, Some(S::Deleting), R::Accept),
        (S::Deleting, Some(S::Deleted), R::Accept),
        (S::Deleted, None, R::DeleteAgain),
        (S::Deleted, Some(S::Active), R::DeleteAgain),
        (S::Deleted, Some(S::Cancelled), R::Accept),
        (S::Deleted, Some(S::Deleting), R::Accept),
        (S::Deleted, Some(S::Deleted), R::Accept),
    ] {
        let stored_account = stored.map(account).unwrap_or_default();
        assert_eq!(restoration(&stored_account, &newest(journal)), expected, "{journal:?} {stored:?}");
    }
}

proptest! {
    /// However often and however late the journal is written, and whatever part of it is lost: a database that goes on is
    /// never taken for an older one, and one that was put back behind what the journal has always is.
    #[test]
    fn only_what_was_put_back_is_older(
        writes in prop::collection::vec(1..12_i64, 1..6),
        lost in prop::collection::vec(any::<bool>(), 12),
        back_to in 0..12_i64,
        goes_on in 0..4_i64,
    ) {
        let mut journal = Remembered::default();
        let mut length = 0;
        for written_at in writes {
            length = length.max(written_at);
            let found = written(&active(0, length), &mut journal);
            prop_assert!(matches!(found, Recognition::Current { .. }), "{found:?}");
            prop_assert!(journal.ends_at(length, step(0, length, Status::Active).entry_hash));
        }
        journal.entries.retain(|entry| !lost[usize::try_from(entry.revision).unwrap() % 12]);
        let is_current = matches!(recognise(&active(0, length), &journal), Recognition::Current { .. });
        prop_assert!(is_current, "a journal that was put back is refilled");
        let newest = journal.newest().map_or(0, |entry| entry.revision);
        // Put back, and other steps were taken since.
        let mut account = active(0, back_to.min(length));
        let common = i64::try_from(account.entries.len()).unwrap();
        account.entries.extend((1..=goes_on).map(|more| step(1, common + more, Status::Active)));
        let is_older = matches!(recognise(&account, &journal), Recognition::Older { .. });
        prop_assert_eq!(is_older, newest > common);
        if is_older {
            let decision = account.decision(journal.newest().unwrap());
            journal.entries.push(decision);
            let after = recognise(&account, &journal);
            prop_assert_eq!(after, Recognition::Current { missing: Vec::new() });
        }
    }
}
