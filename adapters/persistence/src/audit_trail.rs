//! The port `AuditTrail`: chains as they are stored, whatever was done to them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use reprieve_application::ports::{AuditTrail, ComparedEvents, Loaded};
use reprieve_application::{Receipt, StoreError};
use reprieve_domain::audit::{
    Chain, ClosedProcess, ErasureLedgerEntry, Fault, InvalidLedgerEntry, KeyedHash, SealedEntry, StoredHead,
    StoredProcess, StoredTask, Subject,
};
use reprieve_domain::{Address, DeletionProcess, DeletionProcessId};
use sea_orm::sea_query::{Expr, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QueryResult, QueryTrait,
    Statement, Value,
};

use crate::Store;
use crate::deletion_processes::numbered;
use crate::entities::audit_entry::{Column, Entity};
use crate::error::store_error;
use crate::mapping::{Row, stored_erasures};
use crate::pool::end;
use crate::quarantine;

/// The ids of a page: of everything that knows of a process. The first page starts at the empty id, which is the least.
const PAGE: &str = "\
SELECT id FROM (SELECT id FROM deletion_processes WHERE id AFTER $1 ORDER BY id LIMIT $2) AS processes
UNION
SELECT id FROM (
    SELECT DISTINCT process_id AS id FROM audit_entries WHERE process_id AFTER $1 ORDER BY process_id LIMIT $2
) AS chains
UNION
SELECT id FROM (
    SELECT process_id AS id FROM closed_processes WHERE process_id AFTER $1 ORDER BY process_id LIMIT $2
) AS closed
UNION
SELECT id FROM (
    SELECT DISTINCT process_id AS id FROM erasure_tasks WHERE process_id AFTER $1 ORDER BY process_id LIMIT $2
) AS tasks
ORDER BY id LIMIT $2";

/// What is stored of some processes: a row for each entry, and behind them one for each task. One statement, so that all of
/// it is seen as it was at one moment. A process whose entries are gone and entries whose process is gone are both found.
const CHAINS: &str = "\
WITH ids AS ($IDS)
SELECT ids.id AS process_id, process.revision, process.audit_head, process.audit_seal, process.address, process.status,
    process.created_at AS process_created_at, process.created_by_device, process.grace_period_ends_at,
    process.reminder1_sent_at, process.reminder2_sent_at, process.reminder3_sent_at, process.cancelled_at,
    process.cancelled_by_device, process.deletion_started_at, process.deletion_completed_at, process.erasures,
    suspension.suspended_until, suspension.shown_until,
    closed.revision AS closed_revision, closed.audit_head AS closed_head, closed.audit_seal AS closed_seal,
    closed.identity_hash AS closed_identity, closed.status AS closed_status, closed.identity_deleted_at, closed.receipt,
    CAST(EXISTS (SELECT 1 FROM closed_processes AS deletion
        WHERE deletion.identity_hash = closed.identity_hash AND deletion.status = 'Deleted'
        AND deletion.logical_time > closed.logical_time) AS INTEGER) AS precedes_deletion,
    CAST(EXISTS (SELECT 1 FROM closed_processes AS deletion
        WHERE deletion.identity_hash = closed.identity_hash AND deletion.status = 'Deleted'
        AND deletion.identity_deleted_at = closed.identity_deleted_at) AS INTEGER) AS is_of_deletion,
    entry.sequence, entry.created_at, entry.old_status, entry.new_status, entry.message_key, entry.additional_data,
    entry.identity_hash, entry.device_hash, entry.hash, NULL AS task_eraser, NULL AS task_address
FROM ids
LEFT JOIN deletion_processes AS process ON process.id = ids.id
LEFT JOIN suspensions AS suspension ON suspension.process_id = ids.id
LEFT JOIN closed_processes AS closed ON closed.process_id = ids.id
LEFT JOIN audit_entries AS entry ON entry.process_id = ids.id$TASKS
ORDER BY process_id, sequence";

/// SQLite takes the tables of a CROSS JOIN in this order; of another join it would read all tasks for each page.
const TASKS: &str = "
UNION ALL
SELECT ids.id, $NOTHING task.eraser, task.address FROM ids CROSS JOIN erasure_tasks AS task
WHERE task.process_id = ids.id";

/// How many columns [`CHAINS`] has between the id and those of tasks.
const OTHER_COLUMNS: usize = 36;

pub(crate) fn chains_of_page(backend: DbBackend, after: Option<String>, limit: u32) -> Statement {
    let page = PAGE.replace("AFTER", if after.is_some() { ">" } else { ">=" });
    let tasks = TASKS.replace("$NOTHING", &"NULL, ".repeat(OTHER_COLUMNS));
    let sql = CHAINS.replace("$TASKS", &tasks).replace("$IDS", &page);
    numbered(backend, sql, vec![after.unwrap_or_default().into(), i64::from(limit).into()])
}

/// How many processes a statement is about. Neither database allows a statement any number of parameters.
pub(crate) const AT_ONCE: usize = 512;

/// The processes among these that are stored, without their tasks.
pub(crate) fn chains_of(backend: DbBackend, processes: &[DeletionProcessId]) -> Statement {
    chains_in(backend, STORED, processes.iter().map(|id| id.as_str().into()).collect())
}

/// Those of some processes that are stored, and those that are closed.
pub(crate) const STORED: &str = "SELECT id FROM deletion_processes WHERE id IN ($SOME)";
pub(crate) const CLOSED: &str = "SELECT process_id AS id FROM closed_processes WHERE process_id IN ($SOME)";

pub(crate) fn chains_in(backend: DbBackend, ids: &str, mut values: Vec<Value>) -> Statement {
    // As many placeholders as a power of two, so that a connection prepares few statements.
    let count = values.len().next_power_of_two();
    if let Some(last) = values.last().cloned() {
        values.resize(count, last);
    }
    let placeholders: Vec<String> = (1..=values.len()).map(|number| format!("${number}")).collect();
    let ids = ids.replace("$SOME", &placeholders.join(", "));
    numbered(backend, CHAINS.replace("$TASKS", "").replace("$IDS", &ids), values)
}

/// The open process of an identity, which the index finds that allows but one; see there for the condition.
pub(crate) fn chains_of_open_process(backend: DbBackend, address: &Address) -> Statement {
    let ids =
        "SELECT id FROM deletion_processes WHERE address = $1 AND status NOT IN ('Cancelled', 'Deleted')";
    numbered(backend, CHAINS.replace("$TASKS", "").replace("$IDS", ids), vec![address.as_str().into()])
}

#[async_trait]
impl AuditTrail for Store {
    async fn chains(&self, after: Option<String>, limit: u32) -> Result<Vec<Chain>, StoreError> {
        let statement = chains_of_page(self.reader.get_database_backend(), after, limit);
        chains_from(&self.reader.in_bulk().query_all_raw(statement).await.map_err(store_error)?, true)
    }

    async fn entries<'a>(
        &self,
        owner: &Address,
        process: Option<&'a DeletionProcessId>,
    ) -> Result<Vec<SealedEntry>, StoreError> {
        let hash = self.audit_key.pseudonym_of_identity(owner).as_bytes().to_vec();
        let rows = self.reader.query_all(&entries_of(hash, process)).await.map_err(store_error)?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            let row = Row::new(row, "audit_entries", "process_id")?;
            entries.extend(entry(&row, row.get("process_id")?)?);
        }
        Ok(entries)
    }

    fn identity_hash(&self, address: &Address) -> KeyedHash {
        self.audit_key.pseudonym_of_identity(address)
    }

    fn verify_ledger_entry(&self, entry: &ErasureLedgerEntry) -> Result<(), InvalidLedgerEntry> {
        self.audit_key.verify_ledger_entry(entry)
    }

    fn verify(&self, chain: &Chain) -> Result<Option<Receipt>, Fault> {
        self.audit_key.prove(chain).map(|proof| Receipt::proven(chain, &proof))
    }

    async fn verified(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Result<Loaded<DeletionProcess>, Fault>>, StoreError> {
        // Not through the readers: on SQLite they may see less than what a worker has just stored.
        let verified = self.verified_through(&self.writer, processes).await?;
        let faults: Vec<Fault> =
            verified.values().filter_map(|found| found.as_ref().err().cloned()).collect();
        if !faults.is_empty() {
            let transaction = self.writer.begin().await.map_err(store_error)?;
            let noted = quarantine::note(&transaction, &self.audit_key, &faults).await;
            end(transaction, noted).await?;
        }
        Ok(verified)
    }

    async fn compared_events(&self, after: Option<i64>, limit: u32) -> Result<ComparedEvents, StoreError> {
        self.compare_events(after, limit).await
    }

    async fn contradictions(&self) -> Result<Vec<Fault>, StoreError> {
        self.find_contradictions().await
    }
}

impl Store {
    /// What is wrong with each of these processes, stored or closed; nothing is of those that are not in the answer.
    pub(crate) async fn faults_of(
        &self,
        connection: &impl ConnectionTrait,
        ids: &[String],
    ) -> Result<Vec<Fault>, StoreError> {
        let mut faults = Vec::new();
        for some in ids.chunks(AT_ONCE) {
            for of in [STORED, CLOSED] {
                let values = some.iter().map(|id| id.as_str().into()).collect();
                let statement = chains_in(connection.get_database_backend(), of, values);
                let rows = connection.query_all_raw(statement).await.map_err(store_error)?;
                faults.extend(
                    chains_from(&rows, false)?.iter().filter_map(|chain| self.audit_key.verify(chain).err()),
                );
            }
        }
        Ok(faults)
    }

    /// Verifies processes as this connection sees them, which may be a transaction that has locked them.
    pub(crate) async fn verified_through(
        &self,
        connection: &impl ConnectionTrait,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Result<Loaded<DeletionProcess>, Fault>>, StoreError> {
        let mut verified = BTreeMap::new();
        for some in processes.chunks(AT_ONCE) {
            let statement = chains_of(connection.get_database_backend(), some);
            let rows = connection.query_all_raw(statement).await.map_err(store_error)?;
            for chain in chains_from(&rows, false)? {
                let id = some.iter().find(|id| id.as_str() == chain.process_id);
                let process = self.audit_key.verify_process(&chain).map(|verified| {
                    let version = verified.head();
                    Loaded { value: verified.into_process(), version }
                });
                verified.extend(id.map(|id| (id.clone(), process)));
            }
        }
        Ok(verified)
    }
}

/// The condition on the first entries is that of the index `audit_trails_of_identity`, word for word.
pub(crate) fn entries_of(identity_hash: Vec<u8>, process: Option<&DeletionProcessId>) -> SelectStatement {
    let of_identity = Column::IdentityHash.eq(identity_hash);
    let query = if let Some(id) = process {
        Entity::find().filter(Column::ProcessId.eq(id.as_str()))
    } else {
        let first = Query::select()
            .column(Column::ProcessId)
            .from(Entity)
            .and_where(of_identity.clone())
            .and_where(Expr::cust("sequence = 1"))
            .take();
        Entity::find()
            .filter(Column::ProcessId.in_subquery(first))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::ProcessId)
    };
    query.filter(of_identity).order_by_asc(Column::Sequence).into_query()
}

/// The rows of [`CHAINS`].
pub(crate) fn chains_from(rows: &[QueryResult], with_tasks: bool) -> Result<Vec<Chain>, StoreError> {
    let mut chains: Vec<Chain> = Vec::new();
    for result in rows {
        let row = Row::new(result, "audit_entries", "process_id")?;
        let process_id: String = row.get("process_id")?;
        let task = task(&Row::named(result, "erasure_tasks", &process_id))?;
        if chains.last().is_none_or(|chain| chain.process_id != process_id) {
            let (process_id, entries) = (process_id.clone(), Vec::new());
            chains.push(Chain { process_id, entries, head: None, tasks: with_tasks.then(Vec::new) });
        }
        let Some(chain) = chains.last_mut() else { continue };
        if let Some(task) = task {
            chain.tasks.get_or_insert_default().push(task);
            continue;
        }
        if chain.head.is_none() {
            chain.head = head(&Row::named(result, "deletion_processes", &process_id))?;
        }
        chain.entries.extend(entry(&row, process_id)?);
    }
    Ok(chains)
}

fn task(row: &Row<'_>) -> Result<Option<StoredTask>, StoreError> {
    let Some(eraser) = row.get("task_eraser")? else { return Ok(None) };
    Ok(Some(StoredTask { eraser, address: row.get("task_address")? }))
}

fn head(row: &Row<'_>) -> Result<Option<StoredHead>, StoreError> {
    let Some(length) = row.get::<Option<i64>>("revision")? else { return closed(row) };
    Ok(Some(StoredHead {
        length,
        hash: row.get("audit_head")?,
        seal: row.get("audit_seal")?,
        subject: Subject::Process(StoredProcess {
            address: row.get("address")?,
            status: row.get("status")?,
            created_at: row.get("process_created_at")?,
            created_by_device: row.get("created_by_device")?,
            grace_period_ends_at: row.get("grace_period_ends_at")?,
            suspended_until: [row.get("suspended_until")?, row.get("shown_until")?],
            reminders_sent_at: [
                row.get("reminder1_sent_at")?,
                row.get("reminder2_sent_at")?,
                row.get("reminder3_sent_at")?,
            ],
            cancelled_at: row.get("cancelled_at")?,
            cancelled_by_device: row.get("cancelled_by_device")?,
            deletion_started_at: row.get("deletion_started_at")?,
            deletion_completed_at: row.get("deletion_completed_at")?,
            erasures: stored_erasures(row.get("erasures")?),
        }),
    }))
}

/// What is kept of a process that is gone.
fn closed(row: &Row<'_>) -> Result<Option<StoredHead>, StoreError> {
    let Some(length) = row.get::<Option<i64>>("closed_revision")? else { return Ok(None) };
    Ok(Some(StoredHead {
        length,
        hash: row.get("closed_head")?,
        seal: row.get("closed_seal")?,
        subject: Subject::Closed(ClosedProcess {
            identity_hash: row.get("closed_identity")?,
            status: row.get("closed_status")?,
            identity_deleted_at: row.get("identity_deleted_at")?,
            precedes_deletion: row.get::<i32>("precedes_deletion")? == 1,
            is_of_deletion: row.get::<i32>("is_of_deletion")? == 1,
            receipt: row.get("receipt")?,
        }),
    }))
}

pub(crate) fn entry(row: &Row<'_>, process_id: String) -> Result<Option<SealedEntry>, StoreError> {
    let Some(sequence) = row.get::<Option<i64>>("sequence")? else { return Ok(None) };
    Ok(Some(SealedEntry {
        process_id,
        sequence,
        created_at: row.get("created_at")?,
        old_status: row.get("old_status")?,
        new_status: row.get("new_status")?,
        message_key: row.get("message_key")?,
        additional_data: row.get("additional_data")?,
        identity_hash: row.get("identity_hash")?,
        device_hash: row.get("device_hash")?,
        hash: row.get("hash")?,
    }))
}
