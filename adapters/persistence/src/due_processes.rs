//! The port `DueProcesses`: many steps in one transaction, each decided on a row that is locked.

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{Batch, Decide, Due, DueProcesses, Position};
use reprieve_domain::{Identity, Reminder, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, QueryResult, Statement, Value};

use crate::Store;
use crate::database::begin_to_write;
use crate::deletion_processes::{ACTIVE, REMINDED, numbered};
use crate::error::store_error;
use crate::mapping::{Row, process_from_row};

#[async_trait]
impl DueProcesses for Store {
    async fn step<'a>(
        &self,
        due: Due,
        after: Option<Position>,
        limit: u32,
        decide: &'a Decide<'a>,
    ) -> Result<Batch, StoreError> {
        let backend = self.writer.get_database_backend();
        let range = due_processes(backend, due, after.as_ref(), limit);
        let mut selected = Vec::new();
        let mut batch = Batch::default();
        match self.step_all(range, decide, &mut selected, &mut batch).await {
            Ok(()) => {}
            // The transaction itself could not be begun: nothing is said about any process.
            Err(error) if selected.is_empty() => return Err(error),
            // One of them spoilt it for all: each by itself.
            Err(_) => {
                batch = Batch::default();
                for position in &selected {
                    let one = due_process(backend, due, position);
                    let (mut again, mut found) = (Batch::default(), Vec::new());
                    match self.step_all(one, decide, &mut found, &mut again).await {
                        Ok(()) => {
                            batch.left_alone += u64::from(found.is_empty());
                            batch.add(again);
                        }
                        Err(error) if found.is_empty() => return Err(error),
                        Err(error) => batch.failed.push(error),
                    }
                }
            }
        }
        // A batch that is not full was the last, unless somebody else holds what it passed over; he sees to it.
        if u32::try_from(selected.len()) == Ok(limit) {
            batch.next = selected.pop();
        }
        Ok(batch)
    }
}

/// What [`Batch`] cannot do for itself, because its members are plain.
trait Add {
    fn add(&mut self, other: Batch);
}

impl Add for Batch {
    fn add(&mut self, other: Batch) {
        self.stepped.extend(other.stepped);
        self.left_alone += other.left_alone;
        self.failed.extend(other.failed);
    }
}

impl Store {
    /// Steps what the query selects, in one transaction; `selected` has it even if the transaction fails.
    async fn step_all(
        &self,
        query: Statement,
        decide: &Decide<'_>,
        selected: &mut Vec<Position>,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        let transaction = begin_to_write(&self.writer).await?;
        match self.step_in(&transaction, query, decide, selected, batch).await {
            Ok(()) => transaction.commit().await.map_err(store_error),
            Err(error) => {
                // If this fails as well, the connection is closed and the transaction with it.
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    }

    async fn step_in(
        &self,
        transaction: &DatabaseTransaction,
        query: Statement,
        decide: &Decide<'_>,
        selected: &mut Vec<Position>,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        let rows = transaction.query_all_raw(query).await.map_err(store_error)?;
        for row in &rows {
            selected.push(position(row)?);
        }
        for row in &rows {
            let (process, version) = match process_from_row(row) {
                Ok(read) => read,
                Err(corrupt) => {
                    batch.failed.push(corrupt);
                    continue;
                }
            };
            let id = process.id().clone();
            let step = Identity::with_open_process(process).ok().and_then(|identity| decide(&identity));
            let Some(step) = step else {
                batch.left_alone += 1;
                continue;
            };
            match self.write_step(transaction, &step, version).await {
                Ok(()) => batch.stepped.push(id),
                Err(StoreError::Conflict) => batch.left_alone += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn position(row: &QueryResult) -> Result<Position, StoreError> {
    let row = Row::new(row, "deletion_processes", "id")?;
    Ok(Position(row.get("grace_period_ends_at")?, row.get("id")?))
}

/// The rows of a range of the index `active_processes_by_reminder_and_deadline`, locked. SQLite has one writer, which is
/// who asks.
pub(crate) fn due_processes(backend: DbBackend, due: Due, after: Option<&Position>, limit: u32) -> Statement {
    let Position(ended, id) = after.cloned().unwrap_or(Position(i64::MIN, String::new()));
    let ends_after = due.ends_after.map_or(i64::MIN, Timestamp::unix_micros);
    let values: Vec<Value> = vec![
        ended.into(),
        id.into(),
        ends_after.into(),
        due.ends_by.unix_micros().into(),
        i64::from(limit).into(),
    ];
    let range = "(grace_period_ends_at, id) > ($1, $2) AND grace_period_ends_at > $3 AND grace_period_ends_at <= $4 \
                 ORDER BY grace_period_ends_at, id LIMIT $5";
    select(backend, due, range, values)
}

/// One of those rows, if it is due still.
fn due_process(backend: DbBackend, due: Due, Position(ended, id): &Position) -> Statement {
    select(backend, due, "grace_period_ends_at = $1 AND id = $2", vec![(*ended).into(), id.clone().into()])
}

fn select(backend: DbBackend, due: Due, range: &str, values: Vec<Value>) -> Statement {
    let reminded = due.reminded.map_or(0, Reminder::number);
    let lock = if backend == DbBackend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = format!(
        "SELECT * FROM deletion_processes WHERE {ACTIVE} AND {REMINDED} = {reminded} AND {range}{lock}"
    );
    numbered(backend, sql, values)
}
