//! The port `DueProcesses`: many steps in one transaction, each decided on a row that is locked.

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{Batch, Decide, Due, DueProcesses, Position};
use reprieve_domain::{Identity, Reminder};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use crate::Store;
use crate::deletion_processes::{ACTIVE, REMINDED, numbered};
use crate::error::store_error;
use crate::mapping::{Row, process_from_row};
use crate::pool::{Transaction, end};

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
        let mut found = Found::default();
        let range = due_processes(backend, due, after.as_ref(), limit);
        let mut batch = match self.step_all(range, decide, &mut found).await {
            Ok(batch) => batch,
            // The transaction itself could not be begun: nothing is said about any process.
            Err(error) if found.rows == 0 => return Err(error),
            // One of them spoilt it for all.
            Err(_) => self.step_each(due, decide, &mut found).await?,
        };
        batch.failed.append(&mut found.nameless);
        // A batch that is not full was the last, unless somebody else holds what it passed over; he sees to it.
        if u32::try_from(found.rows) == Ok(limit) {
            batch.next = found.positions.pop();
        }
        Ok(batch)
    }
}

/// What a query selected. It is known even if its transaction fails.
#[derive(Default)]
struct Found {
    rows: usize,
    positions: Vec<Position>,
    /// Those whose id cannot be read, so that nobody can go on behind them: the next batch meets them again if they were
    /// the last of this one.
    nameless: Vec<StoreError>,
}

impl Store {
    /// Steps what the query selects, in one transaction.
    async fn step_all(
        &self,
        query: Statement,
        decide: &Decide<'_>,
        found: &mut Found,
    ) -> Result<Batch, StoreError> {
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let stepped = self.step_in(&transaction, query, decide, found).await;
        end(transaction, stepped).await
    }

    /// Steps what was found, each in a transaction of its own.
    async fn step_each(&self, due: Due, decide: &Decide<'_>, found: &mut Found) -> Result<Batch, StoreError> {
        let mut batch = Batch::default();
        for position in &found.positions {
            let mut again = Found::default();
            let query = due_process(self.writer.get_database_backend(), due, position);
            match self.step_all(query, decide, &mut again).await {
                Ok(one) => {
                    batch.stepped.extend(one.stepped);
                    batch.left_alone += one.left_alone + u64::from(again.rows == 0);
                    batch.failed.extend(one.failed);
                }
                Err(error) if again.rows == 0 => return Err(error),
                Err(error) => batch.failed.push(error),
            }
        }
        Ok(batch)
    }

    async fn step_in(
        &self,
        transaction: &Transaction,
        query: Statement,
        decide: &Decide<'_>,
        found: &mut Found,
    ) -> Result<Batch, StoreError> {
        let rows = transaction.query_all_raw(query).await.map_err(store_error)?;
        found.rows = rows.len();
        let mut readable = Vec::with_capacity(rows.len());
        for row in &rows {
            match position(row) {
                Ok(position) => {
                    found.positions.push(position);
                    readable.push(row);
                }
                Err(corrupt) => found.nameless.push(corrupt),
            }
        }
        let mut batch = Batch::default();
        for row in readable {
            let (process, version) = match process_from_row(row) {
                Ok(read) => read,
                Err(corrupt) => {
                    batch.failed.push(corrupt);
                    continue;
                }
            };
            let id = process.id().clone();
            let step = Identity::with_open_process(process).ok().and_then(|identity| decide(&identity));
            let is_written = match step {
                Some(step) => self.write_step(transaction, &step, version).await?,
                None => false,
            };
            if is_written {
                batch.stepped.push(id);
            } else {
                batch.left_alone += 1;
            }
        }
        Ok(batch)
    }
}

fn position(row: &QueryResult) -> Result<Position, StoreError> {
    let row = Row::new(row, "deletion_processes", "id")?;
    Ok(Position(row.get("grace_period_ends_at")?, row.get("id")?))
}

/// The rows of a range of the index `active_processes_by_reminder_and_deadline`, locked. SQLite has one writer, which is
/// who asks.
pub(crate) fn due_processes(backend: DbBackend, due: Due, after: Option<&Position>, limit: u32) -> Statement {
    // One lower bound: of two, SQLite may take the one that does not lead to the order that is asked for.
    let first = due.ends_after.map_or(i64::MIN, |after| after.unix_micros() + 1);
    let Position(ended, id) = after.cloned().into_iter().fold(Position(first, String::new()), Position::max);
    let values: Vec<Value> =
        vec![ended.into(), id.into(), due.ends_by.unix_micros().into(), i64::from(limit).into()];
    let range = "(grace_period_ends_at, id) > ($1, $2) AND grace_period_ends_at <= $3 \
                 ORDER BY grace_period_ends_at, id LIMIT $4";
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
