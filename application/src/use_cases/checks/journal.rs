//! Whether the journal can be relied on.

use std::collections::BTreeSet;

use reprieve_domain::DeletionProcessId;
use reprieve_domain::audit::FaultKind;

use super::some_of;
use crate::journal::{Compared, Journaling};
use crate::{Area, ErrorCode, Failure, Finding, StoreError};

/// How many of the newest entries are compared with the database, and how many processes are counted.
const MOST: u32 = 500;
/// A worker writes within seconds. What is not in the journal after so long, in microseconds, is behind.
const BEHIND_AFTER: i64 = 60 * 1_000_000;

/// Checks that the journal is reached, is the one that the database knows, is not behind or damaged, and that the database has
/// what the journal has. Writes into neither.
pub struct CheckJournal {
    journaling: Journaling,
}

/// What is wrong with the newest entries.
#[derive(Default)]
struct Newest {
    older: BTreeSet<DeletionProcessId>,
    is_damaged: bool,
    faulty: usize,
}

impl CheckJournal {
    /// Of this database and this journal.
    #[must_use]
    pub fn new(journaling: Journaling) -> Self {
        Self { journaling }
    }

    /// What was found.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self) -> Result<Vec<Finding>, StoreError> {
        let Journaling { journal, trail, clock, .. } = &self.journaling;
        let failed = |code, message: String| Finding::failed(Area::Journal, Failure::new(code, message));
        let mut findings = Vec::new();
        match self.journaling.check().await {
            Ok(()) => {}
            Err(error @ StoreError::Journal(_)) => {
                return Ok(vec![Finding::failed(Area::Journal, error.into())]);
            }
            Err(error) => return Err(error),
        }
        if trail.known_journal().await?.id.is_none() {
            let message = format!("{} is begun with the first step", journal.place());
            return Ok(vec![Finding::ok(Area::Journal, message)]);
        }
        let mut newest = self.newest().await?;
        newest.older.extend(trail.older(None, MOST).await?);
        if !newest.older.is_empty() {
            let older: Vec<_> = newest.older.iter().collect();
            let message = format!("the database lacks what its journal has of {}", some_of(&older));
            findings.push(failed(ErrorCode::DatabaseOlderThanJournal, message));
        }
        if newest.is_damaged {
            let message = "entries of the journal cannot be read or are not sealed with the audit key";
            findings.push(failed(ErrorCode::JournalCorrupt, message.to_owned()));
        }
        if newest.faulty > 0 {
            let message =
                format!("processes do not verify, so that they are not journaled: {}", newest.faulty);
            findings.push(failed(ErrorCode::AuditTrailBroken, message));
        }
        let now = clock.now();
        let since = now.checked_add_micros(-BEHIND_AFTER).unwrap_or(now);
        let behind = trail.count_unjournaled_before(since, MOST).await?;
        if behind > 0 {
            let message = format!(
                "{} is behind with {behind} steps that were taken over a minute ago",
                journal.place()
            );
            let remedy = "run `reprieve start`, or `reprieve worker run journal`, which writes them";
            findings.push(Finding::wrong(Area::Journal, None, message, remedy));
        }
        // Every adoption is sealed, too.
        trail.adoptions().await?;
        if findings.is_empty() {
            findings
                .push(Finding::ok(Area::Journal, format!("{} is the one of this database", journal.place())));
        }
        Ok(findings)
    }

    /// Compares the newest entries with the database, so that a backup that was just restored is noticed before any worker runs.
    async fn newest(&self) -> Result<Newest, StoreError> {
        let Journaling { journal, trail, .. } = &self.journaling;
        let after = journal.newest().await?.saturating_sub(i64::from(MOST));
        let page = journal.page(after, MOST).await?;
        let mut newest = Newest { is_damaged: !page.damaged.is_empty(), ..Newest::default() };
        let compared = self.journaling.look(&page.processes).await?;
        // What was forgotten meanwhile is not missed.
        let forgotten = trail.forgotten(MOST).await?;
        for (process, compared) in compared {
            match compared {
                Compared::Older(..) if !forgotten.contains(&process) => {
                    newest.older.insert(process);
                }
                Compared::Faulty(fault) if fault.kind == FaultKind::JournalDamaged => {
                    newest.is_damaged = true;
                }
                Compared::Faulty(_) => newest.faulty += 1,
                Compared::Older(..) | Compared::Current(_) => {}
            }
        }
        Ok(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use crate::ports::{JournalError, JournalPage, KnownJournal, MockIds, MockJournal, MockJournaledTrail};
    use crate::use_cases::test_data::{at, clock_at};
    use reprieve_domain::Status;
    use reprieve_domain::audit::{JournalDates, JournalEntry, JournalKind, Remembered};

    const ID: &str = "IDP0123456789abcdefg";

    #[derive(Clone, Copy, Default)]
    struct Case {
        found: Option<&'static str>,
        known: Option<&'static str>,
        has_entry: bool,
        is_forgotten: bool,
        damaged: bool,
        behind: u64,
    }

    fn entry() -> JournalEntry {
        JournalEntry {
            process_id: ID.parse().unwrap(),
            identity_hash: [1; 32].into(),
            kind: JournalKind::Step,
            branch: 0,
            revision: 1,
            entry_hash: [2; 32].into(),
            status: Status::Active,
            dates: JournalDates {
                created_at: at(1),
                grace_period_ends_at: at(2),
                suspended_until: None,
                cancelled_at: None,
                deletion_started_at: None,
                deletion_completed_at: None,
            },
        }
    }

    async fn found(case: Case) -> Vec<Option<ErrorCode>> {
        let Case { found, known, has_entry, is_forgotten, damaged, behind } = case;
        let mut journal = MockJournal::new();
        journal.expect_place().returning(|| "sqlite:/j".to_owned());
        journal.expect_id().returning(move || match found {
            Some("broken") => Err(JournalError::NotNamed),
            found => Ok(found.map(ToOwned::to_owned)),
        });
        journal.expect_begin().never();
        journal.expect_append().never();
        journal.expect_newest().returning(|| Ok(1));
        journal.expect_page().returning(move |_, _| {
            let processes = if has_entry { vec![ID.parse().unwrap()] } else { vec![] };
            Ok(JournalPage { processes, damaged: if damaged { vec![1] } else { vec![] }, last: Some(1) })
        });
        journal.expect_remembered().returning(move |_| {
            let remembered = Remembered { entries: vec![entry()], is_damaged: false };
            Ok(if has_entry { [(ID.parse().unwrap(), remembered)].into() } else { BTreeMap::new() })
        });
        let mut trail = MockJournaledTrail::new();
        trail.expect_known_journal().returning(move || {
            Ok(KnownJournal { id: known.map(ToOwned::to_owned), ..KnownJournal::default() })
        });
        trail.expect_accounts().returning(|_| Ok(BTreeMap::new()));
        trail.expect_older().returning(|_, _| Ok(vec![]));
        trail
            .expect_forgotten()
            .returning(move |_| Ok(if is_forgotten { vec![ID.parse().unwrap()] } else { vec![] }));
        trail.expect_count_unjournaled_before().returning(move |_, _| Ok(behind));
        trail.expect_adoptions().returning(|| Ok(vec![]));
        let (clock, ids) = (clock_at(100_000_000), Arc::new(MockIds::new()));
        let keep = std::time::Duration::from_hours(24);
        let journaling = Journaling::new(Arc::new(journal), Arc::new(trail), clock, ids, keep);
        let findings = CheckJournal::new(journaling).execute().await.unwrap();
        findings.into_iter().map(|finding| finding.code).collect()
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_journal_is_found_and_nothing_is_written() {
        let sound = Case { found: Some("a"), known: Some("a"), ..Case::default() };
        assert_eq!(found(sound).await, [None]);
        assert_eq!(found(Case::default()).await, [None], "begun with the first step");
        for (case, code) in [
            (Case { found: Some("b"), ..sound }, ErrorCode::JournalForeign),
            (Case { found: None, ..sound }, ErrorCode::JournalMissing),
            (Case { found: Some("broken"), ..sound }, ErrorCode::JournalNotNamed),
            (Case { has_entry: true, ..sound }, ErrorCode::DatabaseOlderThanJournal),
            (Case { damaged: true, ..sound }, ErrorCode::JournalCorrupt),
        ] {
            assert_eq!(found(case).await, [Some(code)]);
        }
        assert_eq!(found(Case { has_entry: true, is_forgotten: true, ..sound }).await, [None]);
        let all = Case { has_entry: true, damaged: true, behind: 3, ..sound };
        assert_eq!(found(all).await.len(), 3);
    }
}
