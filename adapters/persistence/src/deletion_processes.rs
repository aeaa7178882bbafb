//! The port `DeletionProcesses`: queries.

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{DeletionProcesses, Figures, Page};
use reprieve_domain::{Address, DeletionProcess, DeletionProcessId, Status, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use crate::Store;
use crate::due_processes::suspended_beyond;
use crate::error::store_error;
use crate::mapping::{Row, process_from_row};

/// The condition of the index `active_processes_by_reminder_and_deadline`, word for word.
pub(crate) const ACTIVE: &str = "status NOT IN ('Cancelled', 'Deleting', 'Deleted')";

/// The number of the reminder that was sent last: the first column of that index, word for word.
pub(crate) const REMINDED: &str = "\
(CASE WHEN reminder3_sent_at IS NOT NULL THEN 3 WHEN reminder2_sent_at IS NOT NULL THEN 2 \
WHEN reminder1_sent_at IS NOT NULL THEN 1 ELSE 0 END)";

/// The condition of the index `other_processes_by_status`, word for word.
pub(crate) const NOT_ACTIVE: &str = "status IN ('Cancelled', 'Deleting', 'Deleted')";

/// Every column of a process, by its name: a newer version may add columns while this one runs, and a statement that stays
/// prepared must not have more of them then.
const COLUMNS: &str = "\
id, address, status, created_at, created_by_device, grace_period_ends_at, reminder1_sent_at, reminder2_sent_at, \
reminder3_sent_at, cancelled_at, cancelled_by_device, deletion_started_at, deletion_completed_at, erasures, revision, \
audit_head, audit_seal";

/// The processes with one status on a page: a range of one of the two indexes. Active ones are in four parts of theirs.
const PAGE_OF_STATUS: &str = "\
SELECT $COLUMNS FROM (
    SELECT $COLUMNS FROM deletion_processes
    WHERE $INDEXED AND $STATUS AND (grace_period_ends_at, id) > ($1, $2) AND grace_period_ends_at < $3
    ORDER BY grace_period_ends_at, id LIMIT $4
) AS page_of_status";

/// Each count is some ranges of an index, or the whole of one.
const FIGURES: &str = "\
SELECT
    (SELECT count(*) FROM deletion_processes WHERE status NOT IN ('Cancelled', 'Deleted')) AS open,
    (SELECT count(*) FROM deletion_processes
        WHERE status IN ('Cancelled', 'Deleting', 'Deleted') AND status = 'Deleting') AS deleting,
    (SELECT count(*) FROM erasure_tasks WHERE stuck_at IS NOT NULL) AS stuck,
    (SELECT count(*) FROM quarantined_processes) AS quarantined,
    (SELECT count(*) FROM deletion_processes
        WHERE $ACTIVE AND $REMINDED IN (0, 1, 2, 3) AND grace_period_ends_at <= $1) - $DUE_LATER AS due,
    (SELECT count(*) FROM deletion_processes
        WHERE $ACTIVE AND $REMINDED IN (0, 1, 2, 3) AND grace_period_ends_at <= $2) - $OVERDUE_LATER AS overdue";

/// Of the own identity as well, which may have no process.
const ADDRESSES: &str = "\
SELECT address FROM (
    SELECT address FROM (
        SELECT DISTINCT address FROM deletion_processes WHERE address > $1 ORDER BY address LIMIT $2
    ) AS of_processes
    UNION
    SELECT address FROM own_identity WHERE address > $1
) AS addresses ORDER BY address LIMIT $2";

#[async_trait]
impl DeletionProcesses for Store {
    async fn find(
        &self,
        owner: &Address,
        id: &DeletionProcessId,
    ) -> Result<Option<DeletionProcess>, StoreError> {
        let sql = with_suspension("SELECT $COLUMNS FROM deletion_processes WHERE id = $1 AND address = $2");
        let statement = self.statement(sql, vec![id.as_str().into(), owner.as_str().into()]);
        let row = self.reader.query_one_raw(statement).await.map_err(store_error)?;
        row.as_ref().map(|row| Ok(process_from_row(row)?.0)).transpose()
    }

    async fn list(&self, owner: &Address) -> Result<Vec<DeletionProcess>, StoreError> {
        let rows = self
            .reader
            .query_all_raw(of_identity(self.reader.get_database_backend(), owner))
            .await
            .map_err(store_error)?;
        rows.iter().map(|row| Ok(process_from_row(row)?.0)).collect()
    }

    async fn page(&self, page: &Page) -> Result<Vec<DeletionProcess>, StoreError> {
        let rows = self
            .reader
            .query_all_raw(page_of(self.reader.get_database_backend(), page))
            .await
            .map_err(store_error)?;
        rows.iter().map(|row| Ok(process_from_row(row)?.0)).collect()
    }

    async fn addresses(&self, after: Option<String>, limit: u32) -> Result<Vec<String>, StoreError> {
        let values = vec![after.unwrap_or_default().into(), i64::from(limit).into()];
        let rows = self.reader.query_all_raw(self.statement(ADDRESSES.to_owned(), values)).await;
        let rows = rows.map_err(store_error)?;
        rows.iter().map(|row| Row::named(row, "deletion_processes", "all").get("address")).collect()
    }

    async fn figures(&self, now: Timestamp, overdue_since: Timestamp) -> Result<Figures, StoreError> {
        let statement = figures_at(self.reader.get_database_backend(), now, overdue_since);
        let row = self.reader.in_bulk().query_one_raw(statement).await;
        let Some(row) = row.map_err(store_error)? else { return Ok(Figures::default()) };
        let row = Row::named(&row, "deletion_processes", "all");
        let count = |column| -> Result<u64, StoreError> {
            u64::try_from(row.get::<i64>(column)?).map_err(|error| row.corrupt(column, error))
        };
        Ok(Figures {
            open: count("open")?,
            deleting: count("deleting")?,
            stuck: count("stuck")?,
            quarantined: count("quarantined")?,
            due: count("due")?,
            overdue: count("overdue")?,
        })
    }
}

impl Store {
    /// A statement with numbered parameters, `$1` and so on, which SQLite writes `?1`.
    pub(crate) fn statement(&self, sql: String, values: Vec<Value>) -> Statement {
        numbered(self.reader.get_database_backend(), sql, values)
    }
}

pub(crate) fn numbered(backend: DbBackend, sql: String, values: Vec<Value>) -> Statement {
    let sql = if backend == DbBackend::Postgres { sql } else { sql.replace('$', "?") };
    Statement::from_sql_and_values(backend, sql, values)
}

/// How many ids a statement is about. Neither database allows a statement any number of parameters.
pub(crate) const AT_ONCE: usize = 1000;

/// `$1` and so on, for this many values.
pub(crate) fn placeholders(count: usize) -> String {
    let placeholders: Vec<String> = (1..=count).map(|number| format!("${number}")).collect();
    placeholders.join(", ")
}

pub(crate) fn figures_at(backend: DbBackend, now: Timestamp, overdue_since: Timestamp) -> Statement {
    let sql = FIGURES
        .replace("$DUE_LATER", &suspended_beyond("$1"))
        .replace("$OVERDUE_LATER", &suspended_beyond("$2"))
        .replace("$ACTIVE", ACTIVE)
        .replace("$REMINDED", REMINDED);
    numbered(backend, sql, vec![now.unix_micros().into(), overdue_since.unix_micros().into()])
}

pub(crate) fn page_of(backend: DbBackend, page: &Page) -> Statement {
    let Page { status, ends_before, after, limit } = page;
    let (ended, id) = after
        .as_ref()
        // Written out, the lowest of all numbers would be one of another type for PostgreSQL.
        .map_or((i64::MIN + 1, String::new()), |(ends_at, id)| (ends_at.unix_micros(), id.to_string()));
    let before = ends_before.map_or(i64::MAX, Timestamp::unix_micros);
    let mut values: Vec<Value> = vec![ended.into(), id.into(), before.into(), i64::from(*limit).into()];
    let mut parts = Vec::new();
    for wanted in Status::ALL.into_iter().filter(|known| status.is_none_or(|status| status == *known)) {
        let indexed = if wanted == Status::Active {
            (0..4).map(|reminder| format!("{ACTIVE} AND {REMINDED} = {reminder}")).collect()
        } else {
            vec![NOT_ACTIVE.to_owned()]
        };
        // All names in one part: whoever looked for an old one by itself would read everything that has the new one.
        let mut names = Vec::new();
        for name in wanted.stored_names() {
            values.push((*name).into());
            names.push(format!("${}", values.len()));
        }
        let is_wanted = match names.as_slice() {
            [name] => format!("status = {name}"),
            names => format!("status IN ({})", names.join(", ")),
        };
        let part = PAGE_OF_STATUS.replace("$COLUMNS", COLUMNS).replace("$STATUS", &is_wanted);
        parts.extend(indexed.iter().map(|indexed| part.replace("$INDEXED", indexed)));
    }
    let page = parts.join(" UNION ALL ");
    let sql = with_suspension(&page);
    numbered(backend, format!("{sql} ORDER BY grace_period_ends_at, id LIMIT $4"), values)
}

pub(crate) fn of_identity(backend: DbBackend, owner: &Address) -> Statement {
    let sql = with_suspension("SELECT $COLUMNS FROM deletion_processes WHERE address = $1");
    numbered(backend, format!("{sql} ORDER BY created_at, id"), vec![owner.as_str().into()])
}

/// What this finds, and until when each is suspended.
fn with_suspension(processes: &str) -> String {
    format!(
        "SELECT {COLUMNS}, suspended_until, shown_until FROM ({processes}) AS processes \
         LEFT JOIN suspensions ON process_id = id"
    )
    .replace("$COLUMNS", COLUMNS)
}
