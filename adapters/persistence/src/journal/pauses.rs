//! Pauses of deletions in the journal: each setting of the switch.

use reprieve_application::StoreError;
use reprieve_application::ports::{JournalError, RememberedPause};
use reprieve_domain::audit::{KeyedHash, PauseChange};

use super::JournalDatabase;
use crate::erasure_tasks::execute;
use crate::mapping::Row;

/// Pauses are rare: more than enough to find the newest setting, also if several programs have written in any order.
const NEWEST: &str =
    "SELECT changed_at, is_paused, reason, seal FROM journal_pauses ORDER BY position DESC LIMIT 100";

const APPEND: &str = "\
INSERT INTO journal_pauses (changed_at, is_paused, reason, seal) VALUES ($1, $2, $3, $4) ON CONFLICT (seal) DO NOTHING";

/// Settings that were made before `$1`, but for the newest.
pub(super) const FORGET: &str = "\
DELETE FROM journal_pauses WHERE changed_at < $1 AND position < (SELECT max(position) FROM journal_pauses)";

impl JournalDatabase {
    pub(super) async fn append_setting(&self, change: &PauseChange) -> Result<(), JournalError> {
        let PauseChange { changed_at, is_paused, reason } = change.clone();
        let seal = self.audit_key.journaled_pause_seal(change).as_bytes().to_vec();
        let values = vec![changed_at.into(), i64::from(is_paused).into(), reason.into(), seal.into()];
        execute(self.connect().await?, APPEND, values).await.map(drop).map_err(self.failed())
    }

    /// The newest by its instant, and whether anything behind it cannot be read: what was decided since has seen the rest.
    pub(super) async fn newest_setting(&self) -> Result<RememberedPause, JournalError> {
        let rows = self.rows(NEWEST.to_owned(), Vec::new()).await?;
        let settings: Vec<Option<PauseChange>> =
            rows.iter().map(|row| self.setting(&Row::named(row, "journal_pauses", "unknown"))).collect();
        let newest = settings.iter().flatten().max_by_key(|change| change.changed_at).cloned();
        let behind = settings.iter().take_while(|setting| **setting != newest || newest.is_none());
        let is_damaged = behind.into_iter().any(Option::is_none);
        Ok(RememberedPause { newest, is_damaged })
    }

    /// A sound setting; none if it cannot be read or is not sealed.
    fn setting(&self, row: &Row<'_>) -> Option<PauseChange> {
        let read = || -> Result<_, StoreError> {
            let is_paused: i64 = row.get("is_paused")?;
            let change = PauseChange {
                changed_at: row.get("changed_at")?,
                is_paused: is_paused != 0,
                reason: row.get("reason")?,
            };
            Ok((change, is_paused, KeyedHash::from(row.bytes::<32>("seal")?)))
        };
        let (change, is_paused, seal) = read().ok()?;
        let is_sound = self.audit_key.journaled_pause_seal(&change) == seal && (0..=1).contains(&is_paused);
        is_sound.then_some(change)
    }
}
