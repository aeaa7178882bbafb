//! The port `Housekeeping`: forgetting, a batch at a time.

use async_trait::async_trait;
use reprieve_application::ports::Housekeeping;
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

#[async_trait]
impl Housekeeping for Store {
    async fn cancelled_processes(&self, instant: Timestamp, limit: u32) -> Result<u64, StoreError> {
        // Whose it was is in its audit trail, as a keyed hash.
        let select = format!(
            "SELECT id FROM deletion_processes AS process WHERE {NOT_ACTIVE} AND status = 'Cancelled' \
             AND cancelled_at < $1 \
             AND EXISTS (SELECT 1 FROM audit_entries WHERE process_id = process.id AND sequence = 1) LIMIT $2"
        );
        let forget = [
            "INSERT INTO closed_processes \
             (process_id, identity_hash, status, revision, audit_head, audit_seal, logical_time) \
             SELECT id, identity_hash, status, revision, audit_head, audit_seal, logical_time FROM deletion_processes \
             JOIN audit_entries ON process_id = id AND sequence = 1 WHERE id IN ($IDS)",
            "DELETE FROM deletion_processes WHERE id IN ($IDS)",
        ];
        self.forget(&select, "id", "deletion_processes", instant, limit, &forget).await
    }

    async fn audit_trails(&self, instant: Timestamp, limit: u32) -> Result<u64, StoreError> {
        // The trails of an identity stay while an event of theirs is kept, which without its entry could not be told from one
        // that was made up. Of those that went with an identity, the process in which it was deleted goes last.
        let select = "SELECT process_id FROM closed_processes WHERE identity_deleted_at < $1 \
                      AND identity_hash NOT IN (SELECT identity_hash FROM closed_processes \
                      WHERE process_id IN (SELECT process_id FROM outbox)) \
                      ORDER BY identity_deleted_at, status LIMIT $2";
        let forget = [
            "DELETE FROM audit_entries WHERE process_id IN ($IDS)",
            "DELETE FROM closed_processes WHERE process_id IN ($IDS)",
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
    /// Selects ids and does something about each, in one transaction.
    async fn forget(
        &self,
        select: &str,
        key: &str,
        table: &'static str,
        instant: Timestamp,
        limit: u32,
        statements: &[&str],
    ) -> Result<u64, StoreError> {
        let transaction = self.writer.in_bulk().begin().await.map_err(store_error)?;
        let forgotten = async {
            self.clock.check_in(&transaction).await?;
            forget_in(&transaction, select, key, table, (instant, limit), statements).await
        };
        let forgotten = forgotten.await;
        end(transaction, forgotten).await
    }
}

/// Binds the names behind the values that are there, and returns their placeholders.
fn named(values: &mut Vec<Value>, names: &[SinkName]) -> String {
    let first = values.len() + 1;
    values.extend(names.iter().map(|name| Value::from(name.as_str())));
    let placeholders: Vec<String> = (first..=values.len()).map(|number| format!("${number}")).collect();
    placeholders.join(", ")
}

async fn forget_in(
    transaction: &Transaction,
    select: &str,
    key: &str,
    table: &'static str,
    (instant, limit): (Timestamp, u32),
    statements: &[&str],
) -> Result<u64, StoreError> {
    let backend = transaction.get_database_backend();
    // Somebody else who forgets at the same time forgets others.
    let lock = if backend == DbBackend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let values = vec![instant.unix_micros().into(), i64::from(limit).into()];
    let rows = transaction.query_all_raw(numbered(backend, format!("{select}{lock}"), values)).await;
    let rows = rows.map_err(store_error)?;
    let mut ids: Vec<Value> = Vec::with_capacity(rows.len());
    for row in &rows {
        ids.push(Row::named(row, table, "unknown").get::<String>(key)?.into());
    }
    for ids in ids.chunks(AT_ONCE) {
        let placeholders = placeholders(ids.len());
        for sql in statements {
            let statement = numbered(backend, sql.replace("$IDS", &placeholders), ids.to_vec());
            transaction.execute_raw(statement).await.map_err(store_error)?;
        }
    }
    Ok(rows.len() as u64)
}
