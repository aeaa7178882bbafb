//! The end of a deletion: what stays of an identity, and what goes.

use reprieve_application::ports::{ErasureTask, Version};
use reprieve_application::{Receipt, StoreError};
use sea_orm::{ConnectionTrait, DbBackend, Value};

use crate::deletion_processes::numbered;
use crate::erasure_tasks::{eraser_of, execute, fenced};
use crate::error::store_error;
use crate::own_identities::DELETED_IN;
use crate::pool::Transaction;

/// The processes that go with an identity: the one in which it was deleted, and those that it cancelled before. What it
/// asked for since is somebody else's matter, and another deletion has a task of its own.
const GOING: &str = "address = $1 AND (id = $2 OR status = 'Cancelled' AND created_at <= $3)";

/// What was answered since is somebody else's matter as well.
pub(crate) const ANSWERS: &str = "DELETE FROM answered_requests WHERE address = $1 AND received_at <= $2";

/// What is stored of an identity goes, except receipt, heads of the audit trails, and the events that others are to be
/// told.
pub(crate) async fn close_in(
    transaction: &Transaction,
    task: &ErasureTask,
    receipt: &Receipt,
    signed: &str,
) -> Result<(), StoreError> {
    let id: Value = task.process_id.as_str().into();
    let address: Value = task.address.as_str().into();
    let hash: Value = receipt.identity_hash.as_bytes().to_vec().into();
    let completed_at: Value = receipt.deletion_completed_at.unix_micros().into();
    let going = vec![address.clone(), id.clone(), completed_at.clone()];
    // None is left over, unless a process was changed by other means than its tasks.
    let left_over = "DELETE FROM erasure_tasks WHERE process_id = $1 AND eraser <> ''";
    execute(transaction, left_over, vec![id.clone()]).await?;
    let waivers = "DELETE FROM erasure_waivers WHERE process_id = $1";
    execute(transaction, waivers, vec![id.clone()]).await?;
    // None is in force, or nothing would have been completed.
    let holds = "DELETE FROM holds WHERE address = $1 AND ends_at <= $2";
    execute(transaction, holds, vec![address.clone(), completed_at.clone()]).await?;
    let Version { length, hash: head } = receipt.audit_head;
    // Locks it, too.
    let is_deleted = "UPDATE deletion_processes SET status = 'Deleted' \
                      WHERE id = $1 AND status = 'Deleted' AND revision = $2 AND address = $3 \
                      AND audit_head = $4";
    let verified = vec![id.clone(), length.into(), address.clone(), head.as_bytes().to_vec().into()];
    if execute(transaction, is_deleted, verified).await? == 0 {
        let is_claimed = is_claimed(transaction, task).await?;
        return Err(if is_claimed { StoreError::Conflict } else { StoreError::LeaseLost });
    }
    if transaction.get_database_backend() == DbBackend::Postgres {
        // Whoever is forgetting one of them has then either kept its head, or leaves it to this.
        let lock = format!("SELECT id FROM deletion_processes WHERE {GOING} ORDER BY id FOR UPDATE");
        execute(transaction, &lock, going.clone()).await?;
    }
    let keep = format!(
        "INSERT INTO closed_processes \
         (process_id, identity_hash, status, revision, audit_head, audit_seal, logical_time, identity_deleted_at, \
          receipt) \
         SELECT id, $4, status, revision, audit_head, audit_seal, logical_time, $3, CASE WHEN id = $2 THEN $5 END \
         FROM deletion_processes WHERE {GOING}"
    );
    let mut values = going.clone();
    values.extend([hash.clone(), signed.into()]);
    execute(transaction, &keep, values).await?;
    let mark = "UPDATE closed_processes SET identity_deleted_at = $1 \
                WHERE identity_hash = $2 AND identity_deleted_at IS NULL";
    execute(transaction, mark, vec![completed_at.clone(), hash]).await?;
    // No process goes whose head is not kept.
    let verified = format!(
        "INSERT INTO processes_being_forgotten (process_id) SELECT id FROM deletion_processes WHERE {GOING}"
    );
    execute(transaction, &verified, going.clone()).await?;
    let remove = format!(
        "DELETE FROM deletion_processes WHERE {GOING} AND id IN (SELECT process_id FROM closed_processes)"
    );
    execute(transaction, &remove, going).await?;
    execute(transaction, "DELETE FROM processes_being_forgotten", Vec::new()).await?;
    execute(transaction, ANSWERS, vec![address.clone(), completed_at]).await?;
    // Whoever has asked again since needs the keys to cancel.
    let keys = "DELETE FROM own_identity WHERE address = $1 AND NOT EXISTS (\
                SELECT 1 FROM deletion_processes WHERE address = $1 AND status NOT IN ('Cancelled', 'Deleted'))";
    if execute(transaction, keys, vec![address]).await? > 0 {
        let say = "INSERT INTO deployment (name, value) VALUES ($1, $2) \
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        execute(transaction, say, vec![DELETED_IN.into(), id]).await?;
    }
    fenced(transaction, task, "DELETE FROM erasure_tasks", Vec::new()).await
}

/// Whether this claim of the task is still the last one.
async fn is_claimed(transaction: &Transaction, task: &ErasureTask) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM erasure_tasks WHERE process_id = $1 AND eraser = $2 AND fence = $3";
    let values = vec![task.process_id.as_str().into(), eraser_of(&task.kind).into(), task.fence.into()];
    let statement = numbered(transaction.get_database_backend(), sql.to_owned(), values);
    Ok(transaction.query_one_raw(statement).await.map_err(store_error)?.is_some())
}
