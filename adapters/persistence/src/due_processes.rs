//! The port `DueProcesses`: ranges of an index.

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{Due, DueProcesses, Found, Position};
use reprieve_domain::{Reminder, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use crate::Store;
use crate::deletion_processes::{ACTIVE, REMINDED, numbered};
use crate::error::store_error;
use crate::mapping::Row;

#[async_trait]
impl DueProcesses for Store {
    async fn find_due(&self, due: Due, after: Option<Position>, limit: u32) -> Result<Found, StoreError> {
        let query = due_processes(self.reader.get_database_backend(), due, after.as_ref(), limit);
        self.found(query, limit).await
    }

    async fn find_ripe(
        &self,
        ends_by: Timestamp,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Found, StoreError> {
        let query = ripe_processes(self.reader.get_database_backend(), ends_by, after.as_ref(), limit);
        self.found(query, limit).await
    }

    async fn count_ripe(&self, ends_by: Timestamp) -> Result<u64, StoreError> {
        self.counted(count_of_ripe(self.reader.get_database_backend(), ends_by)).await
    }

    async fn count_started_after(&self, instant: Timestamp) -> Result<u64, StoreError> {
        self.counted(count_of_starts(self.reader.get_database_backend(), instant)).await
    }
}

impl Store {
    async fn found(&self, query: Statement, limit: u32) -> Result<Found, StoreError> {
        let rows = self.reader.query_all_raw(query).await.map_err(store_error)?;
        let mut found = Found::default();
        let mut last = None;
        for row in &rows {
            // One whose id cannot be read is not gone on behind: the next batch meets it again if it was the last of this one.
            match position(row) {
                Ok(position) => last = Some(position),
                Err(corrupt) => {
                    found.failed.push(corrupt);
                    continue;
                }
            }
            match Row::new(row, "deletion_processes", "id")?.parse("id") {
                Ok(id) => found.processes.push(id),
                Err(corrupt) => found.failed.push(corrupt),
            }
        }
        // A batch that is not full was the last.
        if u32::try_from(rows.len()) == Ok(limit) {
            found.next = last;
        }
        Ok(found)
    }

    async fn counted(&self, query: Statement) -> Result<u64, StoreError> {
        let row = self.reader.in_bulk().query_one_raw(query).await.map_err(store_error)?;
        let Some(row) = row else { return Ok(0) };
        let row = Row::named(&row, "deletion_processes", "all");
        u64::try_from(row.get::<i64>("counted")?).map_err(|error| row.corrupt("counted", error))
    }
}

fn position(row: &QueryResult) -> Result<Position, StoreError> {
    let row = Row::new(row, "deletion_processes", "id")?;
    Ok(Position(row.get("ends_at")?, row.get("id")?))
}

/// The rows of a range of the index `active_processes_by_reminder_and_deadline`.
pub(crate) fn due_processes(backend: DbBackend, due: Due, after: Option<&Position>, limit: u32) -> Statement {
    // One lower bound: of two, SQLite may take the one that does not lead to the order that is asked for.
    let first = due.ends_after.map_or(i64::MIN, |after| after.unix_micros() + 1);
    let Position(ended, id) = after.cloned().into_iter().fold(Position(first, String::new()), Position::max);
    let values: Vec<Value> =
        vec![ended.into(), id.into(), due.ends_by.unix_micros().into(), i64::from(limit).into()];
    let reminded = due.reminded.map_or(0, Reminder::number);
    let longer = due.longer_than.map_or_else(String::new, |length| {
        let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        format!("AND grace_period_ends_at - created_at > {micros} ")
    });
    let reminded = format!("{REMINDED} = {reminded} {longer}");
    numbered(backend, in_order(&[range(&reminded), suspended(&reminded)]), values)
}

/// The first of each range of that index, in one order.
pub(crate) fn ripe_processes(
    backend: DbBackend,
    ends_by: Timestamp,
    after: Option<&Position>,
    limit: u32,
) -> Statement {
    let Position(ended, id) = after.cloned().unwrap_or(Position(i64::MIN, String::new()));
    let values: Vec<Value> =
        vec![ended.into(), id.into(), ends_by.unix_micros().into(), i64::from(limit).into()];
    let ranges = (0..=3).map(|reminded| range(&format!("{REMINDED} = {reminded} ")));
    let ranges: Vec<String> = ranges.chain([suspended("1 = 1 ")]).collect();
    numbered(backend, in_order(&ranges), values)
}

/// A range of that index, which knows the promised dates, without those whose end is later.
fn range(condition: &str) -> String {
    format!(
        "SELECT id, grace_period_ends_at AS ends_at FROM deletion_processes WHERE {ACTIVE} AND {condition}\
         AND (grace_period_ends_at, id) > ($1, $2) AND grace_period_ends_at <= $3 \
         AND NOT EXISTS (SELECT 1 FROM suspensions WHERE process_id = id AND {LATER}) \
         ORDER BY grace_period_ends_at, id LIMIT $4"
    )
}

/// That a suspension moves the end.
const LATER: &str = "suspended_until > grace_period_ends_at";

/// A range of the index `suspensions_by_end`. SQLite takes the tables of a CROSS JOIN in this order.
fn suspended(condition: &str) -> String {
    format!(
        "SELECT id, suspended_until AS ends_at FROM suspensions CROSS JOIN deletion_processes \
         WHERE id = process_id AND is_active = 1 AND {ACTIVE} AND {condition}\
         AND (suspended_until, process_id) > ($1, $2) AND suspended_until <= $3 AND {LATER} \
         ORDER BY suspended_until, process_id LIMIT $4"
    )
}

fn in_order(ranges: &[String]) -> String {
    let ranges: Vec<String> =
        ranges.iter().map(|range| format!("SELECT id, ends_at FROM ({range}) AS part")).collect();
    format!("SELECT id, ends_at FROM ({}) AS parts ORDER BY ends_at, id LIMIT $4", ranges.join(" UNION ALL "))
}

fn count_of_ripe(backend: DbBackend, ends_by: Timestamp) -> Statement {
    let sql = format!(
        "SELECT (SELECT count(*) FROM deletion_processes \
         WHERE {ACTIVE} AND {REMINDED} IN (0, 1, 2, 3) AND grace_period_ends_at <= $1) - {} AS counted",
        suspended_beyond("$1")
    );
    numbered(backend, sql, vec![ends_by.unix_micros().into()])
}

/// How many are suspended beyond this instant that would be ripe then.
pub(crate) fn suspended_beyond(instant: &str) -> String {
    format!(
        "(SELECT count(*) FROM suspensions CROSS JOIN deletion_processes WHERE id = process_id AND is_active = 1 AND {ACTIVE} \
         AND suspended_until > {instant} AND grace_period_ends_at <= {instant})"
    )
}

/// A range of the index `deletion_starts_by_instant`, whose condition is written out word for word. The audit trail has every
/// start, of older versions and of what is closed as well.
pub(crate) fn count_of_starts(backend: DbBackend, instant: Timestamp) -> Statement {
    let sql = "SELECT count(*) AS counted FROM audit_entries \
               WHERE message_key = 'DeletionStarted' AND created_at > $1";
    numbered(backend, sql.to_owned(), vec![instant.unix_micros().into()])
}
