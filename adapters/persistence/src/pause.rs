//! The port `DeletionsSwitch`: one sealed row, and the chain of its settings.
//!
//! Transactions that start, claim, complete or close ask for the switch first, and keep it from being set until they have
//! come to their end: on PostgreSQL by an advisory lock that they share, on SQLite because one transaction writes at a time.
//! So once a pause is stored, nothing that has not seen it can be stored any more.

use async_trait::async_trait;
use reprieve_application::ports::{DeletionsSwitch, Pause, SwitchSetting};
use reprieve_application::{PauseReason, StoreError};
use reprieve_domain::Timestamp;
use reprieve_domain::audit::{ChainHead, KeyedHash, PauseChange, PauseRecord};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};

use crate::Store;
use crate::erasure_tasks::execute;
use crate::error::store_error;
use crate::mapping::Row;
use crate::pool::{Transaction, end};
use crate::wake_ups::Due;

/// Locks that mean nothing to PostgreSQL: "deletion" in ASCII.
const SHARED_LOCK: &str = "SELECT pg_advisory_xact_lock_shared(7234309801470324590)";
const LOCK: &str = "SELECT pg_advisory_xact_lock(7234309801470324590)";

/// One row in any case, so that a record that was removed shows beside the changes that there were.
const RECORD: &str = "\
SELECT (SELECT max(sequence) FROM pause_changes) AS last_change,
    record.is_paused, record.changed_at, record.reason, record.changes, record.head, record.seal
FROM (SELECT 1 AS one) AS always LEFT JOIN pause_record AS record ON record.id = 1";

/// What has been unfinished since before a pause of `$1` microseconds that ends at `$2` has been so for that much less.
const STAND_STILL: &str = "\
UPDATE erasure_tasks SET unfinished_since = CASE WHEN unfinished_since + $1 < $2 THEN unfinished_since + $1 ELSE $2 END
WHERE unfinished_since < $2";

/// What is stored of the switch.
enum Stored {
    /// It was never set.
    Nothing,
    Record(PauseRecord),
    /// Not what was written.
    Unverified,
}

impl Stored {
    fn pause(&self) -> Option<Pause> {
        let PauseChange { changed_at, is_paused, reason } = match self {
            Self::Nothing => return None,
            Self::Unverified => return Some(Pause::Unverified),
            Self::Record(record) => &record.newest,
        };
        let reason = reason.as_deref().map(str::parse::<PauseReason>);
        is_paused.then(|| match (Timestamp::from_unix_micros(*changed_at), reason) {
            (Ok(since), Some(Ok(reason))) => Pause::Ordered { since, reason },
            _ => Pause::Unverified,
        })
    }
}

fn newest_of(stored: &Stored) -> Option<&PauseChange> {
    match stored {
        Stored::Record(record) => Some(&record.newest),
        Stored::Nothing | Stored::Unverified => None,
    }
}

impl Store {
    /// Keeps the switch as it is until this transaction has come to its end, of which it is the first statement.
    ///
    /// # Errors
    /// [`StoreError::Paused`], and if the store fails.
    pub(crate) async fn ensure_not_paused(&self, transaction: &Transaction) -> Result<(), StoreError> {
        if transaction.get_database_backend() == DbBackend::Postgres {
            execute(transaction, SHARED_LOCK, Vec::new()).await?;
        }
        // By another statement, which sees what was stored before the lock was there.
        self.stored_pause(transaction).await?.pause().map_or(Ok(()), |pause| Err(StoreError::Paused(pause)))
    }

    async fn stored_pause(&self, connection: &impl ConnectionTrait) -> Result<Stored, StoreError> {
        let statement = Statement::from_string(connection.get_database_backend(), RECORD);
        let row = connection.query_one_raw(statement).await.map_err(store_error)?;
        // What cannot be read is no record either.
        Ok(row.and_then(|row| self.read_pause(&row).ok()).unwrap_or(Stored::Unverified))
    }

    fn read_pause(&self, row: &QueryResult) -> Result<Stored, StoreError> {
        let row = Row::named(row, "pause_record", "1");
        let last_change: Option<i64> = row.get("last_change")?;
        let Some(is_paused) = row.get::<Option<i64>>("is_paused")? else {
            return Ok(if last_change.is_none() { Stored::Nothing } else { Stored::Unverified });
        };
        let newest = PauseChange {
            changed_at: row.get("changed_at")?,
            is_paused: is_paused != 0,
            reason: row.get("reason")?,
        };
        let changes = ChainHead { length: row.get("changes")?, hash: row.bytes::<32>("head")?.into() };
        let record = PauseRecord { newest, changes };
        let is_sealed =
            self.audit_key.seal_pause_record(&record) == KeyedHash::from(row.bytes::<32>("seal")?);
        let is_sound = is_sealed && (0..=1).contains(&is_paused) && last_change == Some(changes.length);
        Ok(if is_sound { Stored::Record(record) } else { Stored::Unverified })
    }

    async fn set_pause(
        &self,
        transaction: &Transaction,
        setting: &SwitchSetting,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if transaction.get_database_backend() == DbBackend::Postgres {
            execute(transaction, LOCK, Vec::new()).await?;
        }
        let stored = self.stored_pause(transaction).await?;
        if let (SwitchSetting::Resumed(_), Some(Pause::Ordered { since, .. })) = (setting, stored.pause()) {
            // Patience with erasers has stood still.
            let values = vec![now.micros_since(since).max(0).into(), now.unix_micros().into()];
            execute(transaction, STAND_STILL, values).await?;
        }
        let (is_paused, reason) = match setting {
            SwitchSetting::Paused(reason) => (true, Some(reason.to_string())),
            SwitchSetting::Resumed(_) if stored.pause().is_none() => return Ok(false),
            SwitchSetting::Resumed(reason) => (false, reason.as_ref().map(PauseReason::to_string)),
        };
        // Each is later than the one before, whatever the clock says, so that a journal knows which is the newest.
        let earliest = newest_of(&stored).map_or(i64::MIN, |newest| newest.changed_at.saturating_add(1));
        let newest = PauseChange { changed_at: now.unix_micros().max(earliest), is_paused, reason };
        self.write_pause(transaction, stored, newest).await.map(|()| true)
    }

    /// Stores a setting behind those that there are.
    async fn write_pause(
        &self,
        transaction: &Transaction,
        stored: Stored,
        newest: PauseChange,
    ) -> Result<(), StoreError> {
        let before = match stored {
            Stored::Record(record) => record.changes,
            Stored::Nothing => ChainHead::EMPTY,
            Stored::Unverified => {
                // What was there is not to be trusted: all that is still there begins anew.
                execute(transaction, "DELETE FROM pause_changes", Vec::new()).await?;
                ChainHead::EMPTY
            }
        };
        let changes = self.audit_key.change_pause(before, &newest);
        let record = PauseRecord { newest, changes };
        let PauseChange { changed_at, is_paused, reason } = record.newest.clone();
        let is_paused = i64::from(is_paused);
        let insert =
            "INSERT INTO pause_changes (sequence, changed_at, is_paused, reason) VALUES ($1, $2, $3, $4)";
        let values = vec![changes.length.into(), changed_at.into(), is_paused.into(), reason.clone().into()];
        execute(transaction, insert, values).await?;
        execute(transaction, "DELETE FROM pause_record", Vec::new()).await?;
        let insert = "INSERT INTO pause_record (id, is_paused, changed_at, reason, changes, head, seal) \
                      VALUES (1, $1, $2, $3, $4, $5, $6)";
        let values = vec![
            is_paused.into(),
            changed_at.into(),
            reason.into(),
            changes.length.into(),
            changes.hash.as_bytes().to_vec().into(),
            self.audit_key.seal_pause_record(&record).as_bytes().to_vec().into(),
        ];
        execute(transaction, insert, values).await.map(drop)
    }

    /// The newest setting that is stored, if it verifies.
    pub(crate) async fn newest_pause_setting(&self) -> Result<Option<PauseChange>, StoreError> {
        // Not through the readers: on SQLite they may see less than what was just stored.
        Ok(newest_of(&self.stored_pause(&self.writer).await?).cloned())
    }

    /// Stores a setting again, unless a later one is stored. What does not verify is a pause already.
    pub(crate) async fn restore_pause_setting(&self, change: &PauseChange) -> Result<(), StoreError> {
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let restored = async {
            if transaction.get_database_backend() == DbBackend::Postgres {
                execute(&transaction, LOCK, Vec::new()).await?;
            }
            let stored = self.stored_pause(&transaction).await?;
            let is_lacking = match &stored {
                Stored::Nothing => true,
                Stored::Record(record) => record.newest.changed_at < change.changed_at,
                Stored::Unverified => false,
            };
            if is_lacking {
                self.write_pause(&transaction, stored, change.clone()).await?;
            }
            Ok(())
        };
        let restored = restored.await;
        end(transaction, restored).await
    }

    /// Whether the record and every change are what this deployment has written.
    pub(crate) async fn verify_pause_record(&self) -> Result<bool, StoreError> {
        // The changes first: what is appended meanwhile is left to the next time.
        let all = "SELECT sequence, changed_at, is_paused, reason FROM pause_changes ORDER BY sequence";
        let all = Statement::from_string(self.reader.get_database_backend(), all);
        let rows = self.reader.query_all_raw(all).await.map_err(store_error)?;
        let record = match self.stored_pause(&self.reader).await? {
            Stored::Nothing => return Ok(rows.is_empty()),
            Stored::Unverified => return Ok(false),
            Stored::Record(record) => record,
        };
        let mut head = ChainHead::EMPTY;
        let mut newest = None;
        for row in &rows {
            let row = Row::named(row, "pause_changes", "unknown");
            let is_paused: i64 = row.get("is_paused")?;
            let change = PauseChange {
                changed_at: row.get("changed_at")?,
                is_paused: is_paused != 0,
                reason: row.get("reason")?,
            };
            head = self.audit_key.change_pause(head, &change);
            if !(0..=1).contains(&is_paused) || row.get::<i64>("sequence")? != head.length {
                return Ok(false);
            }
            newest = Some(change);
        }
        Ok(head == record.changes && newest.as_ref() == Some(&record.newest))
    }
}

#[async_trait]
impl DeletionsSwitch for Store {
    async fn pause_in_force(&self) -> Result<Option<Pause>, StoreError> {
        Ok(self.stored_pause(&self.reader).await?.pause())
    }

    async fn set(&self, setting: &SwitchSetting, now: Timestamp) -> Result<bool, StoreError> {
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let set = self.set_pause(&transaction, setting, now).await;
        let is_changed = end(transaction, set).await?;
        if matches!(setting, SwitchSetting::Resumed(_)) && is_changed {
            self.wake_ups.due(Due::Erasures);
        }
        Ok(is_changed)
    }
}
