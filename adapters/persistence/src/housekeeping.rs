//! The port `Housekeeping`: forgetting, a batch at a time.

use std::collections::HashSet;

use async_trait::async_trait;
use reprieve_application::ports::{Batch, Housekeeping};
use reprieve_application::{SinkName, StoreError};
use reprieve_domain::Timestamp;
use sea_orm::{ConnectionTrait, DbBackend, Value};

use crate::Store;
use crate::deletion_processes::{AT_ONCE, NOT_ACTIVE, numbered, placeholders};
use crate::erasure_tasks::execute;
use crate::error::store_error;
use crate::mapping::Row;
use crate::outbox::LOGICAL_TIME;
use crate::pool::{Transaction, end};
use crate::quarantine;

#[async_trait]
impl Housekeeping for Store {
    async fn review_quarantine(&self) -> Result<u64, StoreError> {
        let (mut left, mut after) = (0, String::new());
        loop {
            let page = quarantine::list(&self.writer, None, &after, REVIEWED).await?;
            let Some(last) = page.last() else { return Ok(left) };
            after.clone_from(&last.process_id);
            let ids: Vec<String> = page.into_iter().map(|found| found.process_id).collect();
            let transaction = self.writer.in_bulk().begin().await.map_err(store_error)?;
            let reviewed = async {
                let faults = self.faults_of(&transaction, &ids).await?;
                quarantine::note(&transaction, &self.audit_key, &faults).await?;
                let is_sound = |id: &&String| !faults.iter().any(|fault| fault.process_id == **id);
                let sound = ids.iter().filter(is_sound).map(|id| id.as_str().into()).collect();
                let released = quarantine::release(&transaction, sound).await?;
                Ok(ids.len() as u64 - released)
            };
            let reviewed = reviewed.await;
            left += end(transaction, reviewed).await?;
        }
    }

    async fn cancelled_processes(&self, instant: Timestamp, limit: u32) -> Result<Batch, StoreError> {
        // Whose it was is in its audit trail, as a keyed hash.
        let select = format!(
            "SELECT id FROM deletion_processes AS process WHERE {NOT_ACTIVE} AND status = 'Cancelled' \
             AND cancelled_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM quarantined_processes WHERE process_id = process.id) LIMIT $2"
        );
        let forget = [
            "INSERT INTO processes_being_forgotten (process_id) SELECT id FROM deletion_processes WHERE id IN ($IDS)",
            "INSERT INTO closed_processes \
             (process_id, identity_hash, status, revision, audit_head, audit_seal, logical_time) \
             SELECT id, identity_hash, status, revision, audit_head, audit_seal, logical_time FROM deletion_processes \
             JOIN audit_entries ON process_id = id AND sequence = 1 WHERE id IN ($IDS) \
             ON CONFLICT (process_id) DO NOTHING",
            "DELETE FROM deletion_processes WHERE id IN ($IDS)",
            "DELETE FROM processes_being_forgotten WHERE process_id IN ($IDS)",
        ];
        self.forget(&select, "id", "deletion_processes", instant, limit, &forget).await
    }

    async fn audit_trails(&self, instant: Timestamp, limit: u32) -> Result<Batch, StoreError> {
        // The trails of an identity stay while an event of theirs is kept, which without its entry could not be told from one
        // that was made up. Of those that went with an identity, the process in which it was deleted goes last.
        let select = "SELECT process_id FROM closed_processes WHERE identity_deleted_at < $1 \
                      AND identity_hash NOT IN (SELECT identity_hash FROM closed_processes \
                      WHERE process_id IN (SELECT process_id FROM outbox)) \
                      AND NOT EXISTS (SELECT 1 FROM quarantined_processes \
                      WHERE quarantined_processes.process_id = closed_processes.process_id) \
                      ORDER BY identity_deleted_at, status LIMIT $2";
        let forget = [
            "INSERT INTO processes_being_forgotten (process_id) SELECT process_id FROM closed_processes WHERE process_id IN ($IDS)",
            // For the journal, which is to know it as well.
            "INSERT INTO forgotten_processes (process_id) SELECT process_id FROM closed_processes \
             WHERE process_id IN ($IDS) ON CONFLICT (process_id) DO NOTHING",
            "DELETE FROM audit_entries WHERE process_id IN ($IDS)",
            "DELETE FROM closed_processes WHERE process_id IN ($IDS)",
            "DELETE FROM processes_being_forgotten WHERE process_id IN ($IDS)",
        ];
        self.forget(select, "process_id", "closed_processes", instant, limit, &forget).await
    }

    async fn events(&self, known: &[SinkName], instant: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut values: Vec<Value> = vec![instant.unix_micros().into(), i64::from(limit).into()];
        let mut are_all_seen = "true".to_owned();
        if !known.is_empty() {
            let names = named(&mut values, known);
            let number = known.len();
            are_all_seen = format!("(SELECT count(*) FROM event_sinks WHERE name IN ({names})) = {number}");
        }
        // The oldest have the lowest places, or the lowest logical times where nobody gives places, so that this reads no more
        // than it forgets, and what sinks wait for.
        let sql = format!(
            "DELETE FROM outbox WHERE position IN (SELECT position FROM (\
                 SELECT position, occurred_at FROM (\
                     SELECT position, occurred_at FROM outbox WHERE sequence IS NOT NULL AND {are_all_seen} AND (\
                         NOT EXISTS (SELECT 1 FROM event_sinks) \
                         OR sequence <= (SELECT min(settled_to) FROM event_sinks)) \
                     AND NOT EXISTS (SELECT 1 FROM event_retries WHERE event_retries.sequence = outbox.sequence) \
                     ORDER BY sequence LIMIT $2) AS with_place \
                 UNION ALL \
                 SELECT position, occurred_at FROM (\
                     SELECT position, occurred_at FROM outbox WHERE sequence IS NULL AND {are_all_seen} \
                     AND NOT EXISTS (SELECT 1 FROM event_sinks) \
                     ORDER BY {LOGICAL_TIME}, position LIMIT $2) AS without_place\
             ) AS oldest WHERE occurred_at < $1 LIMIT $2)"
        );
        let deleted = self.writer.in_bulk().execute_raw(self.statement(sql, values)).await;
        Ok(deleted.map_err(store_error)?.rows_affected())
    }

    async fn sinks(&self, known: &[SinkName], instant: Timestamp) -> Result<u64, StoreError> {
        let mut values: Vec<Value> = vec![instant.unix_micros().into()];
        let mut is_old = "seen_at < $1".to_owned();
        if !known.is_empty() {
            is_old = format!("{is_old} AND name NOT IN ({})", named(&mut values, known));
        }
        let transaction = self.writer.in_bulk().begin().await.map_err(store_error)?;
        let forgotten = async {
            // A sink that is told something at the same time is not old: whoever claims it waits for this, or this for him.
            let sinks = format!("DELETE FROM event_sinks WHERE {is_old}");
            let sinks = execute(&transaction, &sinks, values).await?;
            let retries = "DELETE FROM event_retries WHERE sink NOT IN (SELECT name FROM event_sinks)";
            execute(&transaction, retries, Vec::new()).await?;
            Ok(sinks)
        };
        let forgotten = forgotten.await;
        end(transaction, forgotten).await
    }
}

impl Store {
    /// Selects ids and does something about each that verifies, in one transaction.
    async fn forget(
        &self,
        select: &str,
        key: &str,
        table: &'static str,
        instant: Timestamp,
        limit: u32,
        statements: &[&str],
    ) -> Result<Batch, StoreError> {
        let transaction = self.writer.in_bulk().begin().await.map_err(store_error)?;
        let forgotten = async {
            self.clock.check_in(&transaction).await?;
            self.forget_in(&transaction, select, key, table, (instant, limit), statements).await
        };
        let forgotten = forgotten.await;
        end(transaction, forgotten).await
    }

    async fn forget_in(
        &self,
        transaction: &Transaction,
        select: &str,
        key: &str,
        table: &'static str,
        (instant, limit): (Timestamp, u32),
        statements: &[&str],
    ) -> Result<Batch, StoreError> {
        let backend = transaction.get_database_backend();
        // What another instance forgets at the same time is passed over.
        let lock = if backend == DbBackend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
        let values = vec![instant.unix_micros().into(), i64::from(limit).into()];
        let rows = transaction.query_all_raw(numbered(backend, format!("{select}{lock}"), values)).await;
        let rows = rows.map_err(store_error)?;
        let mut ids: Vec<String> = Vec::with_capacity(rows.len());
        for row in &rows {
            ids.push(Row::named(row, table, "unknown").get(key)?);
        }
        let faults = self.faults_of(transaction, &ids).await?;
        quarantine::note(transaction, &self.audit_key, &faults).await?;
        let quarantined: HashSet<&str> = faults.iter().map(|fault| fault.process_id.as_str()).collect();
        let sound = ids.iter().map(String::as_str).filter(|id| !quarantined.contains(id));
        let ids: Vec<Value> = sound.map(Value::from).collect();
        for ids in ids.chunks(AT_ONCE) {
            let placeholders = placeholders(ids.len());
            for sql in statements {
                let statement = numbered(backend, sql.replace("$IDS", &placeholders), ids.to_vec());
                transaction.execute_raw(statement).await.map_err(store_error)?;
            }
        }
        Ok(Batch { forgotten: ids.len() as u64, quarantined: quarantined.len() as u64 })
    }
}

/// How many are verified again at once.
const REVIEWED: u32 = 100;

/// Binds the names behind the values that are there, and returns their placeholders.
fn named(values: &mut Vec<Value>, names: &[SinkName]) -> String {
    let first = values.len() + 1;
    values.extend(names.iter().map(|name| Value::from(name.as_str())));
    let placeholders: Vec<String> = (first..=values.len()).map(|number| format!("${number}")).collect();
    placeholders.join(", ")
}
