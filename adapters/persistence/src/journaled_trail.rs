//! The port `JournaledTrail`: what the journal is to have, and what the database knows of the journal.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{Adoption, JournaledTrail, KnownJournal};
use reprieve_domain::audit::{Account, ChainHead, Fault, FaultKind, PauseChange, RememberedHold};
use reprieve_domain::{DeletionProcessId, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use crate::Store;
use crate::audit_trail::{AT_ONCE, CLOSED, STORED, chains_from, chains_in};
use crate::deletion_processes::{numbered, placeholders};
use crate::erasure_tasks::execute;
use crate::error::store_error;
use crate::holds::journal_anew;
use crate::mapping::Row;
use crate::pool::{Transaction, end};
use crate::quarantine;

/// The rows of the table `deployment` that are about the journal.
const JOURNAL: &str = "journal";
const POSITION: &str = "journal_position";
const REFILL: &str = "journal_refill_after";
const LEDGER: &str = "ledger_taken_over";
const PAUSE: &str = "journal_pause";

const KNOWN: &str = "SELECT name, value FROM deployment WHERE name IN ($1, $2, $3, $4, $5)";

/// What a journal that is new, or was put back, is to get again.
const FORGET_PAUSE: &str = "DELETE FROM deployment WHERE name = 'journal_pause'";

const SET: &str = "INSERT INTO deployment (name, value) VALUES ($1, $2) \
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// A process whose trail is gone cannot be behind.
const UNJOURNALED_BEFORE: &str = "\
SELECT count(*) AS steps FROM (\
    SELECT 1 AS one FROM unjournaled_steps AS step JOIN audit_entries AS entry \
    ON entry.process_id = step.process_id AND entry.sequence = step.revision \
    WHERE entry.created_at < $1 LIMIT $2\
) AS behind";

/// Nearly empty at all times.
const UNJOURNALED: &str = "SELECT DISTINCT process_id AS id FROM unjournaled_steps WHERE process_id > $1 ORDER BY process_id LIMIT $2";

/// Everything that is stored has an entry or a process.
const PROCESSES: &str = "\
SELECT id FROM (SELECT id FROM deletion_processes WHERE id > $1 ORDER BY id LIMIT $2) AS processes
UNION
SELECT id FROM (
    SELECT process_id AS id FROM closed_processes WHERE process_id > $1 ORDER BY process_id LIMIT $2
) AS closed
ORDER BY id LIMIT $2";

const OLDER: &str =
    "SELECT process_id AS id FROM older_processes WHERE process_id > $1 ORDER BY process_id LIMIT $2";

const DOUBTED: &str = "\
SELECT process_id AS id FROM older_processes WHERE process_id > $1
UNION
SELECT process_id AS id FROM quarantined_processes WHERE process_id > $1 AND reason = 'journalDamaged'
ORDER BY id LIMIT $2";

const FORGOTTEN: &str = "SELECT process_id AS id FROM forgotten_processes ORDER BY process_id LIMIT $1";

/// How many processes are noted as journaled with one statement, which has two parameters for each.
const NOTED_AT_ONCE: usize = 200;

pub(crate) fn unjournaled_of(backend: DbBackend, after: Option<String>, limit: u32) -> Statement {
    let values = vec![after.unwrap_or_default().into(), i64::from(limit).into()];
    numbered(backend, UNJOURNALED.to_owned(), values)
}

/// What was taken since is left.
fn note_journaled_of(backend: DbBackend, processes: &[(DeletionProcessId, i64)]) -> Statement {
    let mut values: Vec<Value> = Vec::with_capacity(2 * processes.len());
    let mut conditions = Vec::with_capacity(processes.len());
    for (id, revision) in processes {
        values.push(id.as_str().into());
        values.push((*revision).into());
        conditions.push(format!("(process_id = ${} AND revision <= ${})", values.len() - 1, values.len()));
    }
    let sql = format!("DELETE FROM unjournaled_steps WHERE {}", conditions.join(" OR "));
    numbered(backend, sql, values)
}

#[async_trait]
impl JournaledTrail for Store {
    async fn known_journal(&self) -> Result<KnownJournal, StoreError> {
        let names = [JOURNAL, POSITION, REFILL, LEDGER, PAUSE].map(Value::from).to_vec();
        let rows = self.writer.query_all_raw(self.statement(KNOWN.to_owned(), names)).await;
        let mut known = KnownJournal::default();
        for result in rows.map_err(store_error)? {
            let row = Row::new(&result, "deployment", "name")?;
            match row.get::<String>("name")?.as_str() {
                JOURNAL => known.id = Some(row.get("value")?),
                POSITION => known.position = row.parse("value")?,
                REFILL => known.refill_after = Some(row.get("value")?),
                PAUSE => known.pause_changed_at = Some(row.parse("value")?),
                _ => known.ledger_length = Some(row.parse("value")?),
            }
        }
        Ok(known)
    }

    async fn remember_journal(&self, id: &str) -> Result<String, StoreError> {
        let known = self.remember(JOURNAL, id).await?;
        if known == id {
            self.remember(REFILL, "").await?;
            journal_anew(&self.writer).await?;
            execute(&self.writer, FORGET_PAUSE, Vec::new()).await?;
        }
        Ok(known)
    }

    async fn adopt_journal(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let adopted = self.adopt_in(&transaction, id, at).await;
        end(transaction, adopted).await
    }

    async fn adoptions(&self) -> Result<Vec<Adoption>, StoreError> {
        Ok(self.adoptions_in(&self.writer).await?.0)
    }

    async fn note_position(&self, position: i64) -> Result<(), StoreError> {
        self.set(POSITION, position.to_string()).await
    }

    async fn note_refill(&self, after: Option<String>) -> Result<(), StoreError> {
        if let Some(after) = after {
            if after.is_empty() {
                journal_anew(&self.writer).await?;
                execute(&self.writer, FORGET_PAUSE, Vec::new()).await?;
            }
            return self.set(REFILL, after).await;
        }
        let sql = "DELETE FROM deployment WHERE name = $1";
        execute(&self.writer, sql, vec![REFILL.into()]).await.map(drop)
    }

    async fn note_ledger(&self, length: u64) -> Result<(), StoreError> {
        self.set(LEDGER, length.to_string()).await
    }

    async fn accounts(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Result<Account, Fault>>, StoreError> {
        let mut accounts = BTreeMap::new();
        for some in processes.chunks(AT_ONCE) {
            // Those that are stored first: what is closed meanwhile is found by the second statement. As one statement PostgreSQL
            // takes it for so expensive that it compiles it each time, which takes a hundred times as long as running it.
            for of in [STORED, CLOSED] {
                let values = some.iter().map(|id| id.as_str().into()).collect();
                let statement = chains_in(self.writer.get_database_backend(), of, values);
                // Not through the readers: on SQLite they may see less than what has just been stored.
                let rows = self.writer.query_all_raw(statement).await.map_err(store_error)?;
                for chain in chains_from(&rows, false)? {
                    let id = some.iter().find(|id| id.as_str() == chain.process_id);
                    accounts.extend(id.map(|id| (id.clone(), self.audit_key.account(&chain))));
                }
            }
        }
        Ok(accounts)
    }

    async fn unjournaled(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<DeletionProcessId>, StoreError> {
        self.ids(unjournaled_of(self.writer.get_database_backend(), after, limit)).await
    }

    async fn count_unjournaled_before(&self, instant: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let values = vec![instant.unix_micros().into(), i64::from(limit).into()];
        let row = self.writer.query_one_raw(self.statement(UNJOURNALED_BEFORE.to_owned(), values)).await;
        let Some(row) = row.map_err(store_error)? else { return Ok(0) };
        let steps: i64 = Row::named(&row, "unjournaled_steps", "unknown").get("steps")?;
        Ok(u64::try_from(steps).unwrap_or(0))
    }

    async fn processes_after(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<DeletionProcessId>, StoreError> {
        let values = vec![after.unwrap_or_default().into(), i64::from(limit).into()];
        self.ids(self.statement(PROCESSES.to_owned(), values)).await
    }

    async fn note_journaled(&self, processes: &[(DeletionProcessId, i64)]) -> Result<(), StoreError> {
        for some in processes.chunks(NOTED_AT_ONCE) {
            let statement = note_journaled_of(self.writer.get_database_backend(), some);
            self.writer.execute_raw(statement).await.map_err(store_error)?;
        }
        Ok(())
    }

    async fn unjournaled_holds(&self, limit: u32) -> Result<Vec<RememberedHold>, StoreError> {
        self.holds_to_journal(limit).await
    }

    async fn note_holds_journaled(&self, holds: &[RememberedHold]) -> Result<(), StoreError> {
        self.note_journaled_holds(holds).await
    }

    async fn pause_setting(&self) -> Result<Option<PauseChange>, StoreError> {
        self.newest_pause_setting().await
    }

    async fn note_pause_journaled(&self, changed_at: i64) -> Result<(), StoreError> {
        self.set(PAUSE, changed_at.to_string()).await
    }

    async fn restore_pause(&self, change: &PauseChange) -> Result<(), StoreError> {
        self.restore_pause_setting(change).await
    }

    async fn forgotten(&self, limit: u32) -> Result<Vec<DeletionProcessId>, StoreError> {
        self.ids(self.statement(FORGOTTEN.to_owned(), vec![i64::from(limit).into()])).await
    }

    async fn note_forgotten(&self, processes: &[DeletionProcessId]) -> Result<(), StoreError> {
        self.remove_from("forgotten_processes", processes).await
    }

    async fn quarantine(&self, faults: &[Fault]) -> Result<(), StoreError> {
        // In one order, so that instances that find the same wait for each other and not in a circle.
        let mut faults = faults.to_vec();
        faults.sort_by(|one, other| one.process_id.cmp(&other.process_id));
        for some in faults.chunks(AT_ONCE) {
            let new = self.not_quarantined(some).await?;
            if !new.is_empty() {
                let transaction = self.writer.begin().await.map_err(store_error)?;
                let noted = self.quarantine_in(&transaction, &new).await;
                end(transaction, noted).await?;
            }
        }
        Ok(())
    }

    async fn older(&self, after: Option<String>, limit: u32) -> Result<Vec<DeletionProcessId>, StoreError> {
        let values = vec![after.unwrap_or_default().into(), i64::from(limit).into()];
        self.ids(self.statement(OLDER.to_owned(), values)).await
    }

    async fn doubted(&self, after: Option<String>, limit: u32) -> Result<Vec<DeletionProcessId>, StoreError> {
        let values = vec![after.unwrap_or_default().into(), i64::from(limit).into()];
        self.ids(self.statement(DOUBTED.to_owned(), values)).await
    }

    async fn note_current(&self, processes: &[DeletionProcessId]) -> Result<(), StoreError> {
        self.remove_from("older_processes", processes).await?;
        for some in processes.chunks(AT_ONCE) {
            let ids = placeholders(some.len());
            let sql = format!("{} AND process_id IN ({ids})", quarantine::RELEASE_DOUBTED);
            execute(&self.writer, &sql, some.iter().map(|id| id.as_str().into()).collect()).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Those of which the same is not known yet.
    async fn not_quarantined(&self, faults: &[Fault]) -> Result<Vec<Fault>, StoreError> {
        let sql = format!(
            "SELECT quarantined_processes.process_id, sequence, reason FROM quarantined_processes \
             LEFT JOIN older_processes ON older_processes.process_id = quarantined_processes.process_id \
             WHERE quarantined_processes.process_id IN ({}) \
             AND (reason <> 'olderThanJournal' OR older_processes.process_id IS NOT NULL)",
            placeholders(faults.len())
        );
        let values = faults.iter().map(|fault| fault.process_id.as_str().into()).collect();
        let rows = self.writer.query_all_raw(self.statement(sql, values)).await.map_err(store_error)?;
        let mut known = HashSet::with_capacity(rows.len());
        for row in &rows {
            let row = Row::named(row, "quarantined_processes", "unknown");
            let of: (String, i64, String) =
                (row.get("process_id")?, row.get("sequence")?, row.get("reason")?);
            known.insert(of);
        }
        let is_new = |fault: &&Fault| {
            let Fault { process_id, sequence, kind } = fault;
            !known.contains(&(process_id.clone(), *sequence, kind.reason().to_owned()))
        };
        Ok(faults.iter().filter(is_new).cloned().collect())
    }

    async fn quarantine_in(&self, transaction: &Transaction, faults: &[Fault]) -> Result<(), StoreError> {
        quarantine::note(transaction, &self.audit_key, faults).await?;
        let older = faults.iter().filter(|fault| fault.kind == FaultKind::OlderThanJournal);
        let values: Vec<Value> = older.map(|fault| fault.process_id.as_str().into()).collect();
        if values.is_empty() {
            return Ok(());
        }
        let rows: Vec<String> = (1..=values.len()).map(|number| format!("(${number})")).collect();
        let sql = format!(
            "INSERT INTO older_processes (process_id) VALUES {} ON CONFLICT (process_id) DO NOTHING",
            rows.join(", ")
        );
        execute(transaction, &sql, values).await.map(drop)
    }

    /// Whether the adoptions are what was written, and the newest is of the journal that is known.
    pub(crate) async fn verify_adoptions(&self) -> Result<bool, StoreError> {
        match self.adoptions_in(&self.writer).await {
            Ok((adoptions, _)) => {
                let known = self.known_journal().await?.id;
                Ok(adoptions.last().is_none_or(|newest| known.as_ref() == Some(&newest.adopted)))
            }
            Err(StoreError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn set(&self, name: &str, value: String) -> Result<(), StoreError> {
        execute(&self.writer, SET, vec![name.into(), value.into()]).await.map(drop)
    }

    /// An id that is not valid was written by other means, and no journal has it.
    async fn ids(&self, statement: Statement) -> Result<Vec<DeletionProcessId>, StoreError> {
        let rows = self.writer.query_all_raw(statement).await.map_err(store_error)?;
        let id = |row| Row::named(row, "deletion_processes", "unknown").get::<String>("id");
        let ids: Vec<String> = rows.iter().map(id).collect::<Result<_, _>>()?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    async fn remove_from(&self, table: &str, processes: &[DeletionProcessId]) -> Result<(), StoreError> {
        for some in processes.chunks(AT_ONCE) {
            let sql = format!("DELETE FROM {table} WHERE process_id IN ({})", placeholders(some.len()));
            execute(&self.writer, &sql, some.iter().map(|id| id.as_str().into()).collect()).await?;
        }
        Ok(())
    }

    async fn adopt_in(&self, transaction: &Transaction, id: &str, at: Timestamp) -> Result<(), StoreError> {
        let (_, head) = self.adoptions_in(transaction).await?;
        let sql = "SELECT value FROM deployment WHERE name = $1";
        let known = transaction.query_one_raw(self.statement(sql.to_owned(), vec![JOURNAL.into()])).await;
        let known: Option<String> = known
            .map_err(store_error)?
            .map(|row| Row::named(&row, "deployment", JOURNAL).get("value"))
            .transpose()?;
        let adopted = self.audit_key.adoption(head, known.as_deref(), id, at.unix_micros());
        let add = "INSERT INTO journal_adoptions (sequence, known, adopted, adopted_at, hash) \
                   VALUES ($1, $2, $3, $4, $5)";
        let hash = adopted.hash.as_bytes().to_vec();
        let values =
            vec![adopted.length.into(), known.into(), id.into(), at.unix_micros().into(), hash.into()];
        execute(transaction, add, values).await?;
        for (name, value) in [(JOURNAL, id), (POSITION, "0"), (REFILL, "")] {
            execute(transaction, SET, vec![name.into(), value.into()]).await?;
        }
        journal_anew(transaction).await?;
        // What the last one had is of no meaning for this one.
        for sql in [
            "DELETE FROM older_processes",
            quarantine::RELEASE_DOUBTED,
            "DELETE FROM deployment WHERE name = 'ledger_taken_over'",
            FORGET_PAUSE,
        ] {
            execute(transaction, sql, Vec::new()).await?;
        }
        Ok(())
    }

    /// Every adoption, and where their chain ends.
    async fn adoptions_in(
        &self,
        connection: &impl ConnectionTrait,
    ) -> Result<(Vec<Adoption>, ChainHead), StoreError> {
        let sql =
            "SELECT sequence, known, adopted, adopted_at, hash FROM journal_adoptions ORDER BY sequence";
        let rows = connection.query_all_raw(self.statement(sql.to_owned(), Vec::new())).await;
        let (mut adoptions, mut head) = (Vec::new(), ChainHead::EMPTY);
        for result in &rows.map_err(store_error)? {
            let row = Row::named(result, "journal_adoptions", &(head.length + 1).to_string());
            let (known, adopted): (Option<String>, String) = (row.get("known")?, row.get("adopted")?);
            head = self.audit_key.adoption(head, known.as_deref(), &adopted, row.get("adopted_at")?);
            if row.get::<i64>("sequence")? != head.length || row.bytes::<32>("hash")? != *head.hash.as_bytes()
            {
                return Err(row.corrupt("hash", "is not that of the adoption"));
            }
            adoptions.push(Adoption { known, adopted, adopted_at: row.instant("adopted_at")? });
        }
        Ok((adoptions, head))
    }
}
