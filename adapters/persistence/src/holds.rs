//! The port `Holds`: one sealed row for each code that an identity was ever held with, until it is gone.

use std::collections::HashMap;

use async_trait::async_trait;
use reprieve_application::ports::{Alongside, HoldRecord, Holds, StoredHolds, Version};
use reprieve_application::{OperatorNote, StoreError};
use reprieve_domain::audit::{KeyedHash, RememberedHold};
use reprieve_domain::{Address, DeletionProcessId, Hold, Step, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Value};

use crate::Store;
use crate::deletion_processes::{numbered, placeholders};
use crate::erasure_tasks::execute;
use crate::error::store_error;
use crate::identities::write_in;
use crate::mapping::Row;
use crate::pool::{Transaction, end};
use crate::wake_ups::Due;

const COLUMNS: &str = "address, code, revision, placed_at, ends_at, is_silent, note, seal";

/// How many identities a statement is about.
const AT_ONCE: usize = 512;

const SAVE: &str = "\
INSERT INTO holds (address, code, revision, placed_at, ends_at, is_silent, note, seal, is_journaled)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)
ON CONFLICT (address, code) DO UPDATE SET revision = excluded.revision, placed_at = excluded.placed_at,
    ends_at = excluded.ends_at, is_silent = excluded.is_silent, note = excluded.note, seal = excluded.seal,
    is_journaled = 0
WHERE $REPLACED";

/// An initiation that began before is waited for, and one that comes later sees the hold. A transaction that has
/// locked a row already goes on.
const ALONE: &str = "LOCK TABLE deletion_processes IN EXCLUSIVE MODE";

const OPEN_PROCESSES: &str = "\
SELECT count(*) AS open FROM deletion_processes WHERE address = $1 AND status NOT IN ('Cancelled', 'Deleted')";

/// Until the end of a suspension nothing is asked, and patience stands still. What is being asked is put off afterwards.
const PUT_OFF: &str = "\
UPDATE erasure_tasks SET due_at = $4, unfinished_since = unfinished_since + ($4 - $2)
WHERE process_id = $1 AND stuck_at IS NULL AND lease_ends_at IS NULL AND due_at < $3";

/// What was put off until the end of a suspension, at which patience was to begin anew.
const DUE_AGAIN: &str = "\
UPDATE erasure_tasks SET due_at = $2, unfinished_since = unfinished_since - (due_at - $2)
WHERE process_id = $1 AND stuck_at IS NULL AND lease_ends_at IS NULL AND due_at > $2 AND due_at < $3
    AND due_at = $4";

impl Store {
    fn seal_hold(&self, record: &HoldRecord) -> KeyedHash {
        self.audit_key.hold_seal(&self.remembered_hold(record))
    }

    fn remembered_hold(&self, record: &HoldRecord) -> RememberedHold {
        RememberedHold {
            identity_hash: self.audit_key.pseudonym_of_identity(&record.address),
            revision: record.revision,
            hold: record.hold.clone(),
        }
    }

    /// A hold that is what was written; none if it is not.
    fn read_hold(&self, result: &QueryResult) -> Option<HoldRecord> {
        let row = Row::named(result, "holds", "unknown");
        let read = || -> Result<_, StoreError> {
            let silent: i64 = row.get("is_silent")?;
            let record = HoldRecord {
                address: row.parse("address")?,
                hold: Hold {
                    code: row.parse("code")?,
                    placed_at: row.instant("placed_at")?,
                    ends_at: row.instant("ends_at")?,
                    is_silent: silent == 1,
                },
                note: row.parse_if_there("note")?,
                revision: row.get("revision")?,
            };
            Ok((record, silent, KeyedHash::from(row.bytes::<32>("seal")?)))
        };
        let (record, silent, seal) = read().ok()?;
        (self.seal_hold(&record) == seal && (0..=1).contains(&silent)).then_some(record)
    }

    /// Whether it was stored: it is not if what is there must not be replaced.
    async fn save_hold(
        &self,
        connection: &impl ConnectionTrait,
        record: &HoldRecord,
        replaced: &str,
    ) -> Result<bool, StoreError> {
        let HoldRecord { address, hold, note, revision } = record;
        let values: Vec<Value> = vec![
            address.as_str().into(),
            hold.code.as_str().into(),
            (*revision).into(),
            hold.placed_at.unix_micros().into(),
            hold.ends_at.unix_micros().into(),
            i64::from(hold.is_silent).into(),
            note.as_ref().map(OperatorNote::as_str).map(ToOwned::to_owned).into(),
            self.seal_hold(record).as_bytes().to_vec().into(),
        ];
        Ok(execute(connection, &SAVE.replace("$REPLACED", replaced), values).await? > 0)
    }

    async fn save_hold_in(
        &self,
        transaction: &Transaction,
        record: &HoldRecord,
        replaced: Option<i64>,
        (step, now): (Option<(&Step, Version)>, Timestamp),
    ) -> Result<(), StoreError> {
        let backend = transaction.get_database_backend();
        if step.is_none() {
            if backend == DbBackend::Postgres {
                execute(transaction, ALONE, Vec::new()).await?;
            }
            let values = vec![record.address.as_str().into()];
            let open = transaction.query_one_raw(numbered(backend, OPEN_PROCESSES.to_owned(), values)).await;
            let open = open.map_err(store_error)?;
            let count = |row| Row::named(&row, "deletion_processes", "all").get::<i64>("open");
            if open.map_or(Ok(0), count)? > 0 {
                return Err(StoreError::Conflict);
            }
        }
        let may_replace = match replaced {
            Some(revision) => format!("holds.revision = {revision}"),
            None if self.is_damaged_hold(transaction, record).await? => "1 = 1".to_owned(),
            None => "1 = 0".to_owned(),
        };
        if !self.save_hold(transaction, record, &may_replace).await? {
            return Err(StoreError::Conflict);
        }
        let Some((step, version)) = step else { return Ok(()) };
        let process = step.process();
        let before = self.suspended_until_through(transaction, process.id()).await?;
        let write = self.write_of(step, version, Alongside::Nothing)?;
        if !write_in(transaction, write, Alongside::Nothing, &self.clock).await? {
            return Err(StoreError::Conflict);
        }
        let after = process.suspension().map(|suspension| suspension.until);
        for (change, until) in [(DUE_AGAIN, before), (PUT_OFF, after)] {
            let Some(until) = until else { continue };
            let instants = [now.unix_micros(), i64::MAX, until.unix_micros()].map(Value::from);
            let values = [process.id().as_str().into()].into_iter().chain(instants);
            execute(transaction, change, values.collect()).await?;
        }
        Ok(())
    }

    async fn suspended_until_through(
        &self,
        connection: &impl ConnectionTrait,
        process: &DeletionProcessId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT suspended_until FROM suspensions WHERE process_id = $1".to_owned();
        let row = connection.query_one_raw(self.statement(sql, vec![process.as_str().into()])).await;
        let until =
            |row| Row::named(&row, "suspensions", process.as_str()).instant_if_there("suspended_until");
        row.map_err(store_error)?.map_or(Ok(None), until)
    }

    /// Whether something else is stored in the place of this hold than what was written.
    async fn is_damaged_hold(
        &self,
        transaction: &Transaction,
        record: &HoldRecord,
    ) -> Result<bool, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM holds WHERE address = $1 AND code = $2");
        let values = vec![record.address.as_str().into(), record.hold.code.as_str().into()];
        let row = transaction.query_one_raw(self.statement(sql, values)).await.map_err(store_error)?;
        Ok(row.is_some_and(|row| self.read_hold(&row).is_none()))
    }

    /// The identities of holds that are not what this deployment has written, as their rows say; empty where that is no address.
    pub(crate) async fn damaged_holds(&self) -> Result<Vec<String>, StoreError> {
        let (mut after, mut damaged) = ((String::new(), String::new()), Vec::new());
        loop {
            let sql = format!(
                "SELECT {COLUMNS} FROM holds WHERE (address, code) > ($1, $2) ORDER BY address, code LIMIT 1000"
            );
            let values = vec![after.0.clone().into(), after.1.clone().into()];
            let rows = self.reader.in_bulk().query_all_raw(self.statement(sql, values)).await;
            let rows = rows.map_err(store_error)?;
            let Some(last) = rows.last() else { return Ok(damaged) };
            for row in rows.iter().filter(|row| self.read_hold(row).is_none()) {
                let address = Row::named(row, "holds", "unknown").parse::<Address>("address");
                damaged.push(address.map(|address| address.to_string()).unwrap_or_default());
            }
            let row = Row::named(last, "holds", "unknown");
            after = (row.get("address")?, row.get("code")?);
        }
    }

    pub(crate) async fn holds_to_journal(&self, limit: u32) -> Result<Vec<RememberedHold>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM holds WHERE is_journaled = 0 ORDER BY address LIMIT $1");
        let rows = self.writer.query_all_raw(self.statement(sql, vec![i64::from(limit).into()])).await;
        let rows = rows.map_err(store_error)?;
        let sound = rows.iter().filter_map(|row| self.read_hold(row));
        Ok(sound.map(|record| self.remembered_hold(&record)).collect())
    }

    pub(crate) async fn note_journaled_holds(&self, holds: &[RememberedHold]) -> Result<(), StoreError> {
        // Sealed with revision and identity, so that a seal names one.
        for some in holds.chunks(AT_ONCE) {
            let seals =
                some.iter().map(|hold| self.audit_key.hold_seal(hold).as_bytes().to_vec().into()).collect();
            let sql =
                format!("UPDATE holds SET is_journaled = 1 WHERE seal IN ({})", placeholders(some.len()));
            execute(&self.writer, &sql, seals).await?;
        }
        Ok(())
    }
}

/// A journal that is new, or was put back, is to get all of them.
pub(crate) async fn journal_anew(connection: &impl ConnectionTrait) -> Result<(), StoreError> {
    execute(connection, "UPDATE holds SET is_journaled = 0", Vec::new()).await.map(drop)
}

#[async_trait]
impl Holds for Store {
    async fn of(&self, addresses: &[Address]) -> Result<HashMap<Address, StoredHolds>, StoreError> {
        let mut stored: HashMap<Address, StoredHolds> = HashMap::new();
        for some in addresses.chunks(AT_ONCE) {
            let sql = format!("SELECT {COLUMNS} FROM holds WHERE address IN ({})", placeholders(some.len()));
            let values = some.iter().map(|address| address.as_str().into()).collect();
            // Not through the readers: on SQLite they may see less than what was just stored.
            let rows = self.writer.query_all_raw(self.statement(sql, values)).await.map_err(store_error)?;
            for result in &rows {
                let address = Row::named(result, "holds", "unknown").parse("address")?;
                let of_identity = stored.entry(address).or_default();
                match self.read_hold(result) {
                    Some(record) => of_identity.records.push(record),
                    None => of_identity.is_damaged = true,
                }
            }
        }
        Ok(stored)
    }

    async fn list<'a>(
        &self,
        address: Option<&'a Address>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<HoldRecord>, StoreError> {
        let mut values: Vec<Value> = vec![now.unix_micros().into(), i64::from(limit).into()];
        let mut condition = "";
        if let Some(address) = address {
            condition = "AND address = $3";
            values.push(address.as_str().into());
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM holds WHERE ends_at > $1 {condition} ORDER BY address, code LIMIT $2"
        );
        let rows = self.reader.query_all_raw(self.statement(sql, values)).await.map_err(store_error)?;
        let record = |result: &QueryResult| {
            let damaged =
                || Row::named(result, "holds", "unknown").corrupt("seal", "is not that of the hold");
            self.read_hold(result).ok_or_else(damaged)
        };
        rows.iter().map(record).collect()
    }

    async fn suspended_until(&self, process: &DeletionProcessId) -> Result<Option<Timestamp>, StoreError> {
        self.suspended_until_through(&self.writer, process).await
    }

    async fn save<'a>(
        &self,
        record: &HoldRecord,
        replaced: Option<i64>,
        step: Option<(&'a Step, Version)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let saved = self.save_hold_in(&transaction, record, replaced, (step, now)).await;
        end(transaction, saved).await?;
        if let Some((step, _)) = step {
            self.wake_ups.committed(step, Alongside::Nothing);
            self.wake_ups.due(Due::Erasures);
        }
        Ok(())
    }

    async fn restore(&self, records: &[HoldRecord]) -> Result<(), StoreError> {
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let restored = async {
            for record in records {
                self.save_hold(&transaction, record, "holds.revision < excluded.revision").await?;
            }
            Ok(())
        };
        let restored = restored.await;
        end(transaction, restored).await
    }
}
