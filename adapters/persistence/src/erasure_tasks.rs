//! The port `ErasureTasks`: who may do which part of a deletion, and what came of it.
//!
//! A task is a row. While a worker has it, `lease_ends_at` is the instant at which it is due again. Its fence is a number
//! that every claim raises: who claimed it first cannot store anything once somebody else has. A result, the step that says so and the row of the task
//! are written in one transaction.
//!
//! Locks are taken in one order: erasers' tasks, the process, the task that finishes it.

use async_trait::async_trait;
use reprieve_application::ports::{
    ErasureTask, ErasureTasks, Quarantined, RetriedTasks, Settlement, TaskOutcome, TaskStatus, Waiver,
};
use reprieve_application::{Receipt, StoreError};
use reprieve_domain::{DeletionProcessId, EraserName, NewTask, TaskKind, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use crate::Store;
use crate::closing::close_in;
use crate::deletion_processes::numbered;
use crate::error::store_error;
use crate::mapping::Row;
use crate::pool::{Transaction, end};
use crate::quarantine;
use crate::wake_ups::Due;

/// The eraser of the task that finishes a process: no eraser has an empty name.
const FINISH: &str = "";

/// When a task is due that waits for others.
const NEVER: i64 = i64::MAX;

/// The tasks that are due longest. PostgreSQL must not evaluate it twice, or more would be claimed than is asked for.
const CLAIM_POSTGRES: &str = "\
WITH due AS MATERIALIZED (
    SELECT process_id, eraser FROM erasure_tasks WHERE stuck_at IS NULL AND due_at <= $1
    ORDER BY due_at, process_id, eraser LIMIT $LIMIT FOR UPDATE SKIP LOCKED
)
UPDATE erasure_tasks AS task SET due_at = $2, lease_ends_at = $2, fence = task.fence + 2
FROM due WHERE task.process_id = due.process_id AND task.eraser = due.eraser
RETURNING task.process_id, task.eraser, task.address, task.fence, task.failures, task.unfinished_since, task.poll";

const CLAIM_SQLITE: &str = "\
UPDATE erasure_tasks SET due_at = $2, lease_ends_at = $2, fence = fence + 2
WHERE (process_id, eraser) IN (
    SELECT process_id, eraser FROM erasure_tasks WHERE stuck_at IS NULL AND due_at <= $1
    ORDER BY due_at, process_id, eraser LIMIT $LIMIT
)
RETURNING process_id, eraser, address, fence, failures, unfinished_since, poll";

pub(crate) fn claim_of(
    backend: DbBackend,
    now: Timestamp,
    lease_ends_at: Timestamp,
    limit: u32,
) -> Statement {
    let sql = if backend == DbBackend::Postgres { CLAIM_POSTGRES } else { CLAIM_SQLITE };
    // Written out: a planner that does not know how few they are may read the whole table to find them.
    let sql = sql.replace("$LIMIT", &limit.to_string());
    numbered(backend, sql, vec![now.unix_micros().into(), lease_ends_at.unix_micros().into()])
}

/// A task that comes to exist with a step.
pub(crate) struct TaskRow {
    pub(crate) eraser: String,
    pub(crate) due_at: i64,
}

impl From<&NewTask> for TaskRow {
    fn from(task: &NewTask) -> Self {
        Self {
            eraser: eraser_of(&task.kind).to_owned(),
            due_at: task.due_at.map_or(NEVER, Timestamp::unix_micros),
        }
    }
}

#[async_trait]
impl ErasureTasks for Store {
    async fn claim(
        &self,
        now: Timestamp,
        lease_ends_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<Result<ErasureTask, StoreError>>, StoreError> {
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let claimed = async {
            self.ensure_not_paused(&transaction).await?;
            let statement = claim_of(transaction.get_database_backend(), now, lease_ends_at, limit);
            transaction.query_all_raw(statement).await.map_err(store_error)
        };
        let claimed = claimed.await;
        let rows = end(transaction, claimed).await?;
        Ok(rows.iter().map(task).collect())
    }

    async fn settle(
        &self,
        task: &ErasureTask,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let settled = settle_in(&transaction, task, settlement, now).await;
        end(transaction, settled).await
    }

    async fn close(&self, task: &ErasureTask, receipt: &Receipt, signed: &str) -> Result<(), StoreError> {
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let closed = async {
            self.ensure_not_paused(&transaction).await?;
            close_in(&transaction, task, receipt, signed).await
        };
        let closed = closed.await;
        end(transaction, closed).await
    }

    async fn retry<'a>(
        &self,
        process: &DeletionProcessId,
        eraser: Option<&'a EraserName>,
        now: Timestamp,
    ) -> Result<RetriedTasks, StoreError> {
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let retried = retry_in(&transaction, process, eraser, now).await;
        let retried = end(transaction, retried).await?;
        self.wake_ups.due(Due::Erasures);
        Ok(retried)
    }

    async fn waivers<'a>(
        &self,
        process: Option<&'a DeletionProcessId>,
        limit: u32,
    ) -> Result<Vec<Waiver>, StoreError> {
        let mut values: Vec<Value> = vec![i64::from(limit).into()];
        let mut condition = "";
        if let Some(process) = process {
            condition = "WHERE process_id = $2";
            values.push(process.as_str().into());
        }
        let sql = format!(
            "SELECT process_id, eraser, address, waived_at, code, note FROM erasure_waivers {condition} \
             ORDER BY process_id, eraser LIMIT $1"
        );
        let rows = self.reader.query_all_raw(self.statement(sql, values)).await.map_err(store_error)?;
        rows.iter().map(waiver).collect()
    }

    async fn quarantined<'a>(
        &self,
        process: Option<&'a DeletionProcessId>,
        limit: u32,
    ) -> Result<Vec<Quarantined>, StoreError> {
        quarantine::list(&self.reader, process, "", limit).await
    }

    async fn list<'a>(
        &self,
        process: Option<&'a DeletionProcessId>,
        limit: u32,
    ) -> Result<Vec<TaskStatus>, StoreError> {
        let mut values: Vec<Value> = vec![i64::from(limit).into()];
        let mut condition = "";
        if let Some(process) = process {
            condition = "WHERE process_id = $2";
            values.push(process.as_str().into());
        }
        let sql = format!(
            "SELECT process_id, eraser, address, failures, unfinished_since, stuck_at, due_at FROM erasure_tasks {condition} \
             ORDER BY stuck_at IS NULL, process_id, eraser LIMIT $1"
        );
        let rows = self.reader.query_all_raw(self.statement(sql, values)).await.map_err(store_error)?;
        rows.iter().map(task_status).collect()
    }
}

/// What a step says of its task. What the last acknowledgement makes due is not touched yet: see the order of locks.
pub(crate) async fn note_outcome(
    transaction: &Transaction,
    task: &ErasureTask,
    outcome: &TaskOutcome,
    now: Timestamp,
) -> Result<(), StoreError> {
    match outcome {
        TaskOutcome::Acknowledged => fenced(transaction, task, "DELETE FROM erasure_tasks", Vec::new()).await,
        TaskOutcome::Failed { since, again_at } => {
            let stuck_at = again_at.is_none().then(|| now.unix_micros());
            let changes = "UPDATE erasure_tasks SET failures = failures + 1, poll = NULL, unfinished_since = $4, \
                           stuck_at = $5, due_at = $6, lease_ends_at = NULL";
            let values = vec![
                since.unix_micros().into(),
                stuck_at.into(),
                again_at.map_or(NEVER, Timestamp::unix_micros).into(),
            ];
            fenced(transaction, task, changes, values).await
        }
    }
}

/// What an operator says who waives an erasure. A worker that has the task finds its claim gone.
pub(crate) async fn note_waiver(transaction: &Transaction, waiver: &Waiver) -> Result<(), StoreError> {
    let Waiver { process_id, address, eraser, waived_at, code, note } = waiver;
    let sql = "DELETE FROM erasure_tasks WHERE process_id = $1 AND eraser = $2";
    execute(transaction, sql, vec![process_id.as_str().into(), eraser.as_str().into()]).await?;
    let sql = "INSERT INTO erasure_waivers (process_id, eraser, address, waived_at, code, note) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let values = vec![
        process_id.as_str().into(),
        eraser.as_str().into(),
        address.as_str().into(),
        waived_at.unix_micros().into(),
        code.as_str().into(),
        note.as_ref().map(|note| note.as_str().to_owned()).into(),
    ];
    execute(transaction, sql, values).await.map(drop)
}

async fn settle_in(
    transaction: &Transaction,
    task: &ErasureTask,
    settlement: Settlement,
    now: Timestamp,
) -> Result<(), StoreError> {
    match settlement {
        Settlement::Known => {
            fenced(transaction, task, "DELETE FROM erasure_tasks", Vec::new()).await?;
            wake_finish(transaction, &task.process_id, now).await
        }
        Settlement::Later { at, since, poll } => {
            let changes = "UPDATE erasure_tasks SET unfinished_since = $4, poll = $5, due_at = $6, lease_ends_at = NULL";
            let values = vec![
                since.unix_micros().into(),
                poll.into(),
                at.map_or(NEVER, Timestamp::unix_micros).into(),
            ];
            fenced(transaction, task, changes, values).await
        }
        Settlement::GivenBack { again_at } => {
            let changes = "UPDATE erasure_tasks SET due_at = $4, lease_ends_at = NULL";
            fenced(transaction, task, changes, vec![again_at.unix_micros().into()]).await
        }
    }
}

async fn retry_in(
    transaction: &Transaction,
    process: &DeletionProcessId,
    eraser: Option<&EraserName>,
    now: Timestamp,
) -> Result<RetriedTasks, StoreError> {
    let mut of = "process_id = $1 AND eraser <> ''".to_owned();
    let mut values: Vec<Value> = vec![process.as_str().into(), now.unix_micros().into()];
    if let Some(eraser) = eraser {
        of.push_str(" AND eraser = $3");
        values.push(eraser.as_str().into());
    }
    let retry = format!(
        "UPDATE erasure_tasks SET stuck_at = NULL, due_at = CASE WHEN due_at < $2 THEN due_at ELSE $2 END, \
         failures = CASE WHEN stuck_at IS NULL THEN failures ELSE 0 END, \
         unfinished_since = CASE WHEN stuck_at IS NULL THEN unfinished_since END \
         WHERE {of} AND coalesce(lease_ends_at, 0) <= $2"
    );
    let due = execute(transaction, &retry, values.clone()).await?;
    // What was just made due is locked until this transaction ends, and cannot be claimed before.
    let leased = format!("SELECT count(*) AS leased FROM erasure_tasks WHERE {of} AND lease_ends_at > $2");
    let leased = numbered(transaction.get_database_backend(), leased, values);
    let leased = transaction.query_one_raw(leased).await.map_err(store_error)?;
    let leased = leased
        .map_or(Ok(0), |row| Row::named(&row, "erasure_tasks", process.as_str()).get::<i64>("leased"))?;
    Ok(RetriedTasks { due, being_performed: u64::try_from(leased).unwrap_or(0) })
}

pub(crate) async fn execute(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: Vec<Value>,
) -> Result<u64, StoreError> {
    let statement = numbered(connection.get_database_backend(), sql.to_owned(), values);
    Ok(connection.execute_raw(statement).await.map_err(store_error)?.rows_affected())
}

/// Changes the row of a task, if this claim is still the last one. The values are those from `$4` on.
pub(crate) async fn fenced(
    transaction: &Transaction,
    task: &ErasureTask,
    change: &str,
    values: Vec<Value>,
) -> Result<(), StoreError> {
    let sql = format!("{change} WHERE process_id = $1 AND eraser = $2 AND fence = $3");
    let mut all: Vec<Value> =
        vec![task.process_id.as_str().into(), eraser_of(&task.kind).into(), task.fence.into()];
    all.extend(values);
    match execute(transaction, &sql, all).await? {
        0 => Err(StoreError::LeaseLost),
        _ => Ok(()),
    }
}

/// The process may be complete now. The fence is raised as well, or a worker that has just found it incomplete would put it
/// off again.
pub(crate) async fn wake_finish(
    transaction: &Transaction,
    process: &DeletionProcessId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE erasure_tasks SET due_at = $1, lease_ends_at = NULL, fence = fence + 2 \
               WHERE process_id = $2 AND eraser = ''";
    execute(transaction, sql, vec![now.unix_micros().into(), process.as_str().into()]).await?;
    Ok(())
}

pub(crate) fn eraser_of(kind: &TaskKind) -> &str {
    match kind {
        TaskKind::Erase(eraser) => eraser.as_str(),
        TaskKind::Finish => FINISH,
    }
}

fn kind(row: &Row<'_>) -> Result<TaskKind, StoreError> {
    if row.get::<String>("eraser")? == FINISH {
        Ok(TaskKind::Finish)
    } else {
        row.parse("eraser").map(TaskKind::Erase)
    }
}

fn count(row: &Row<'_>, column: &str) -> Result<u32, StoreError> {
    u32::try_from(row.get::<i64>(column)?).map_err(|error| row.corrupt(column, error))
}

fn task(result: &QueryResult) -> Result<ErasureTask, StoreError> {
    let row = Row::new(result, "erasure_tasks", "process_id")?;
    Ok(ErasureTask {
        process_id: row.parse("process_id")?,
        address: row.parse("address")?,
        kind: kind(&row)?,
        fence: row.get("fence")?,
        failures: count(&row, "failures")?,
        unfinished_since: row.instant_if_there("unfinished_since")?,
        poll: row.get("poll")?,
    })
}

fn waiver(result: &QueryResult) -> Result<Waiver, StoreError> {
    let row = Row::new(result, "erasure_waivers", "process_id")?;
    Ok(Waiver {
        process_id: row.parse("process_id")?,
        address: row.parse("address")?,
        eraser: row.parse("eraser")?,
        waived_at: row.instant("waived_at")?,
        code: row.parse("code")?,
        note: row.parse_if_there("note")?,
    })
}

fn task_status(result: &QueryResult) -> Result<TaskStatus, StoreError> {
    let row = Row::new(result, "erasure_tasks", "process_id")?;
    let due_at: i64 = row.get("due_at")?;
    Ok(TaskStatus {
        process_id: row.parse("process_id")?,
        address: row.parse("address")?,
        kind: kind(&row)?,
        failures: count(&row, "failures")?,
        unfinished_since: row.instant_if_there("unfinished_since")?,
        stuck_since: row.instant_if_there("stuck_at")?,
        due_at: if due_at == NEVER { None } else { Some(row.instant("due_at")?) },
    })
}
