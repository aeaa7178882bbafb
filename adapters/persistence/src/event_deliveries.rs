//! The port `EventDeliveries`.
//!
//! The order of the outbox's positions is not that in which steps are committed, so nobody can say up to which position
//! all events are there. Before an event is told of, it is given its place among those that are there already: by one at
//! a time, in the order of their logical times, which within one identity is that of its steps. Up to the last place that
//! was given away, all events are there, and no other ever comes between them; so all that is kept of a sink is how far it
//! has got, and what was set aside.

use async_trait::async_trait;
use reprieve_application::ports::{
    EventDeliveries, ParkedEvent, Progress, Redelivery, SetAside, SinkClaim, SinkFigures, SinkHealth,
    WaitingEvent,
};
use reprieve_application::{OutgoingEvent, SinkName, StoreError};
use reprieve_domain::audit::{Fault, FaultKind, SealedEntry};
use reprieve_domain::{EventKind, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use crate::Store;
use crate::deletion_processes::numbered;
use crate::erasure_tasks::execute;
use crate::error::store_error;
use crate::mapping::Row;
use crate::outbox::{COLUMNS, EVENT_ID, LOGICAL_TIME, event_from_row, event_id};
use crate::pool::{Transaction, end};
use crate::quarantine;
use crate::wake_ups::Due;

/// How many events are given their places in one go at most.
const AT_ONCE: u32 = 5000;

/// How many rows a statement is about. Neither database allows a statement any number of parameters.
const ROWS: usize = 1000;

/// A sink is noted to be there so often, even if nothing waits for it.
const SEEN_EVERY: i64 = 3_600_000_000;

/// Whether a sink is to be claimed. It is asked first, because claiming locks. Each part is written so that no planner can
/// think of reading a table from its beginning until something is found.
const IS_TO_BE_CLAIMED: &str = "\
SELECT CAST(lease_ends_at <= $1 AND due_at <= $1 AND (
    seen_at <= $2
    OR settled_to < (SELECT last FROM event_sequence)
    OR (SELECT min($LOGICAL_TIME) FROM outbox WHERE sequence IS NULL) IS NOT NULL
    OR (SELECT min(retry.due_at) FROM event_retries AS retry
        WHERE retry.sink = $3 AND retry.parked_at IS NULL AND retry.due_at <= $1 AND NOT EXISTS (
            SELECT 1 FROM event_retries AS earlier
            WHERE earlier.sink = $3 AND earlier.address = retry.address AND earlier.parked_at IS NULL
            AND earlier.sequence < retry.sequence
        )) IS NOT NULL
) AS INTEGER) AS claims FROM event_sinks WHERE name = $3";

const CLAIM: &str = "\
INSERT INTO event_sinks (name, settled_to, fence, lease_ends_at, due_at, failures, seen_at)
VALUES (
    $1, coalesce((SELECT min(sequence) FROM outbox WHERE sequence IS NOT NULL) - 1, (SELECT last FROM event_sequence)),
    1, $3, $2, 0, $2
)
ON CONFLICT (name) DO UPDATE
SET fence = event_sinks.fence + 1, lease_ends_at = excluded.lease_ends_at, seen_at = excluded.seen_at
WHERE event_sinks.lease_ends_at <= $2 AND event_sinks.due_at <= $2
RETURNING fence, settled_to, failures, failing_since";

/// However few are given a place, none of them comes before an earlier one of its identity: that one is committed, and its
/// logical time is less.
const GIVE_PLACES: &str = "\
UPDATE outbox SET sequence = $1 + numbered.number FROM (
    SELECT position, row_number() OVER (ORDER BY logical_time, position) AS number FROM (
        SELECT position, $LOGICAL_TIME AS logical_time FROM outbox WHERE sequence IS NULL
        ORDER BY $LOGICAL_TIME, position LIMIT $LIMIT
    ) AS first_ones
) AS numbered WHERE outbox.position = numbered.position";

const NEXT: &str = "\
SELECT $COLUMNS, CAST(0 AS bigint) AS attempts, CAST(NULL AS bigint) AS failing_since, CAST(EXISTS (
    SELECT 1 FROM event_retries AS earlier
    WHERE earlier.sink = $1 AND earlier.address = outbox.address AND earlier.parked_at IS NULL
    AND earlier.sequence < outbox.sequence
) AS INTEGER) AS is_behind, 0 AS turn
FROM outbox WHERE sequence > $2 AND NOT EXISTS (
    SELECT 1 FROM event_retries AS aside WHERE aside.sink = $1 AND aside.sequence = outbox.sequence AND aside.sequence > $2
)
ORDER BY sequence LIMIT $LIMIT";

const SINCE: &str = "\
SELECT $COLUMNS, CAST(0 AS bigint) AS attempts, CAST(NULL AS bigint) AS failing_since, 0 AS is_behind, 0 AS turn
FROM outbox WHERE sequence > $1 ORDER BY sequence LIMIT $LIMIT";

const AGAIN: &str = "\
SELECT $COLUMNS, retry.attempts, retry.failing_since, 0 AS is_behind, retry.due_at AS turn
FROM event_retries AS retry JOIN outbox ON outbox.sequence = retry.sequence
WHERE retry.sink = $1 AND retry.parked_at IS NULL AND retry.due_at <= $2 AND NOT EXISTS (
    SELECT 1 FROM event_retries AS earlier
    WHERE earlier.sink = $1 AND earlier.address = retry.address AND earlier.parked_at IS NULL
    AND earlier.sequence < retry.sequence
)
ORDER BY retry.due_at, retry.sequence LIMIT $LIMIT";

const FIGURES: &str = "\
SELECT name, (SELECT last FROM event_sequence) - settled_to AS waiting,
    (SELECT count(*) FROM (SELECT 1 FROM outbox WHERE sequence IS NULL LIMIT 1000000) AS without_place) AS without_place,
    (SELECT count(*) FROM event_retries WHERE sink = name AND parked_at IS NULL) AS retrying,
    (SELECT count(*) FROM event_retries WHERE sink = name AND parked_at IS NOT NULL) AS parked
FROM event_sinks ORDER BY name";

/// Events with the audit entry of each, and the hash of the one before: with the events in the same statement, because
/// another one would cost a round trip for each page.
const WITH_ENTRIES: &str = "\
SELECT waiting.*, entry.created_at AS entry_at, entry.old_status, entry.new_status, entry.message_key,
    entry.additional_data, entry.identity_hash, entry.device_hash, entry.hash, preceding.hash AS hash_before
FROM ($WAITING) AS waiting
LEFT JOIN audit_entries AS entry ON entry.process_id = waiting.process_id AND entry.sequence = waiting.revision
LEFT JOIN audit_entries AS preceding
    ON preceding.process_id = waiting.process_id AND preceding.sequence = waiting.revision - 1
ORDER BY waiting.turn, waiting.sequence";

fn with_entries(sql: &str, limit: u32) -> String {
    WITH_ENTRIES.replace("$WAITING", &limited(sql, limit))
}

/// Written out: a planner that does not know how few they are may read the whole table to find them.
fn limited(sql: &str, limit: u32) -> String {
    let sql = sql.replace("$COLUMNS", COLUMNS).replace("$LOGICAL_TIME", LOGICAL_TIME);
    sql.replace("$EVENT_ID", EVENT_ID).replace("$LIMIT", &limit.to_string())
}

pub(crate) fn is_to_be_claimed(backend: DbBackend, sink: &SinkName, now: Timestamp) -> Statement {
    let now = now.unix_micros();
    let values = vec![now.into(), (now - SEEN_EVERY).into(), sink.as_str().into()];
    numbered(backend, IS_TO_BE_CLAIMED.replace("$LOGICAL_TIME", LOGICAL_TIME), values)
}

pub(crate) fn next_of(backend: DbBackend, sink: &SinkName, after: i64, limit: u32) -> Statement {
    numbered(backend, with_entries(NEXT, limit), vec![sink.as_str().into(), after.into()])
}

pub(crate) fn again_of(backend: DbBackend, sink: &SinkName, now: Timestamp, limit: u32) -> Statement {
    numbered(backend, with_entries(AGAIN, limit), vec![sink.as_str().into(), now.unix_micros().into()])
}

/// Gives places behind this one to so many of those that have none, the oldest first.
pub(crate) fn places_of(backend: DbBackend, last: i64, most: u32) -> Statement {
    numbered(backend, limited(GIVE_PLACES, most), vec![last.into()])
}

#[async_trait]
impl EventDeliveries for Store {
    async fn claim(
        &self,
        sink: &SinkName,
        now: Timestamp,
        lease_ends_at: Timestamp,
    ) -> Result<Option<SinkClaim>, StoreError> {
        let is_to_be = is_to_be_claimed(self.reader.get_database_backend(), sink, now);
        let known = self.reader.query_one_raw(is_to_be).await;
        if let Some(known) = known.map_err(store_error)?
            && Row::named(&known, "event_sinks", sink.as_str()).get::<i32>("claims")? == 0
        {
            return Ok(None);
        }
        let values = vec![sink.as_str().into(), now.unix_micros().into(), lease_ends_at.unix_micros().into()];
        let statement = numbered(self.writer.get_database_backend(), CLAIM.to_owned(), values);
        let claimed = self.writer.query_one_raw(statement).await.map_err(store_error)?;
        claimed.map(|row| claim_from_row(sink, &row)).transpose()
    }

    async fn next(&self, sink: &SinkName, after: i64, limit: u32) -> Result<Vec<WaitingEvent>, StoreError> {
        let backend = self.writer.get_database_backend();
        self.read(after, limit, |after, limit| next_of(backend, sink, after, limit)).await
    }

    async fn since(&self, after: i64, limit: u32) -> Result<Vec<WaitingEvent>, StoreError> {
        let backend = self.writer.get_database_backend();
        let since = |after: i64, limit| numbered(backend, with_entries(SINCE, limit), vec![after.into()]);
        self.read(after, limit, since).await
    }

    async fn again(
        &self,
        sink: &SinkName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<WaitingEvent>, StoreError> {
        self.waiting(again_of(self.writer.get_database_backend(), sink, now, limit)).await
    }

    async fn settle(
        &self,
        claim: &SinkClaim,
        progress: &Progress,
        lease_ends_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        if progress.set_aside.is_empty() && progress.delivered.is_empty() {
            return settle_sink(&self.writer, claim, progress, lease_ends_at).await;
        }
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let settled = settle_in(&transaction, claim, progress, lease_ends_at).await;
        end(transaction, settled).await
    }

    async fn parked<'a>(
        &self,
        sink: Option<&'a SinkName>,
        limit: u32,
    ) -> Result<Vec<ParkedEvent>, StoreError> {
        let mut values: Vec<Value> = Vec::new();
        let mut of_sink = "";
        if let Some(sink) = sink {
            of_sink = "AND sink = $1";
            values.push(sink.as_str().into());
        }
        let sql = format!(
            "SELECT $COLUMNS, retry.sink, retry.attempts, retry.failing_since, retry.parked_at, retry.failure \
             FROM event_retries AS retry JOIN outbox ON outbox.sequence = retry.sequence \
             WHERE retry.parked_at IS NOT NULL {of_sink} ORDER BY retry.sequence, retry.sink LIMIT $LIMIT"
        );
        let rows = self.reader.query_all_raw(self.statement(limited(&sql, limit), values)).await;
        rows.map_err(store_error)?.iter().map(parked_from_row).collect()
    }

    async fn redeliver<'a>(
        &self,
        sink: Option<&'a SinkName>,
        event_id: Option<&'a str>,
        now: Timestamp,
    ) -> Result<Redelivery, StoreError> {
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let redelivery = redeliver_in(&transaction, sink, event_id, now).await;
        let redelivery = end(transaction, redelivery).await?;
        self.wake_ups.due(Due::Events);
        Ok(redelivery)
    }

    async fn figures(&self) -> Result<Vec<SinkFigures>, StoreError> {
        let rows = self.reader.in_bulk().query_all_raw(self.statement(FIGURES.to_owned(), Vec::new())).await;
        rows.map_err(store_error)?.iter().map(figures_from_row).collect()
    }

    async fn end(&self) -> Result<i64, StoreError> {
        while self.give_places(AT_ONCE).await? == u64::from(AT_ONCE) {}
        let statement = self.statement("SELECT last FROM event_sequence".to_owned(), Vec::new());
        let row = self.writer.query_one_raw(statement).await.map_err(store_error)?;
        row.map_or(Ok(0), |row| Row::named(&row, "event_sequence", "1").get("last"))
    }
}

impl Store {
    async fn waiting(&self, statement: Statement) -> Result<Vec<WaitingEvent>, StoreError> {
        // Not through the readers: on SQLite they may see less than what has just been stored.
        let rows = self.writer.query_all_raw(statement).await.map_err(store_error)?;
        rows.iter().map(|row| self.waiting_from_row(row)).collect()
    }

    fn waiting_from_row(&self, row: &QueryResult) -> Result<WaitingEvent, StoreError> {
        let mut waiting = waiting_from_row(row)?;
        if let Ok(event) = &waiting.event {
            let key = waiting.sequence.to_string();
            let row = Row::named(row, "outbox", &key);
            // Doubt never holds up that a deletion was cancelled.
            if event.event.kind != EventKind::IdentityDeletionCancelled && !self.is_borne_out(event, &row)? {
                waiting.event = Err(StoreError::Quarantined(Fault {
                    process_id: row.get("process_id")?,
                    sequence: row.get("revision")?,
                    kind: FaultKind::EventDiffers,
                }));
            }
        }
        Ok(waiting)
    }

    /// Whether the entry that an event tells of says so; no entry tells of a quarantine, and its id is enough.
    fn is_borne_out(&self, outgoing: &OutgoingEvent, row: &Row<'_>) -> Result<bool, StoreError> {
        let OutgoingEvent { id, event, process, .. } = outgoing;
        let (process_id, sequence): (String, i64) = (row.get("process_id")?, row.get("revision")?);
        if let EventKind::IdentityDeletionProcessQuarantined { reason } = event.kind {
            return Ok(quarantine::is_told(&self.audit_key, id, &process_id, sequence, reason));
        }
        let Some(hash) = row.get::<Option<Vec<u8>>>("hash")? else { return Ok(false) };
        let old_id = format!("{process_id}r{sequence}");
        let entry = SealedEntry {
            process_id,
            sequence,
            created_at: row.get("entry_at")?,
            old_status: row.get("old_status")?,
            new_status: row.get("new_status")?,
            message_key: row.get("message_key")?,
            additional_data: row.get("additional_data")?,
            identity_hash: row.get("identity_hash")?,
            device_hash: row.get("device_hash")?,
            hash,
        };
        let before: Option<Vec<u8>> = row.get("hash_before")?;
        let is_of_status = process.as_ref().is_none_or(|process| process.status.as_str() == entry.new_status);
        Ok(is_of_status
            && (*id == event_id(&entry) || *id == old_id)
            && self.audit_key.bears_out(event, &entry, before.as_deref()))
    }

    /// So many events behind a place, if there are so many: whoever gets fewer knows that these were all when he asked. No more
    /// get a place than are read.
    async fn read(
        &self,
        after: i64,
        limit: u32,
        statement: impl Fn(i64, u32) -> Statement + Send,
    ) -> Result<Vec<WaitingEvent>, StoreError> {
        let mut read = self.waiting(statement(after, limit)).await?;
        loop {
            let missing = limit.saturating_sub(u32::try_from(read.len()).unwrap_or(u32::MAX));
            if missing == 0 {
                break;
            }
            let asked = missing.min(AT_ONCE);
            let given = self.give_places(asked).await?;
            // Also if there were none to give: somebody else may have given them after the first look.
            let after = read.last().map_or(after, |last: &WaitingEvent| last.sequence);
            read.extend(self.waiting(statement(after, missing)).await?);
            // Where steps are taken all the time there are always some more.
            if given < u64::from(asked) {
                break;
            }
        }
        Ok(read)
    }

    /// Gives so many events that have none their places, or as many as there are; says how many. Then all that were there before
    /// have theirs, whoever gave them.
    async fn give_places(&self, most: u32) -> Result<u64, StoreError> {
        let first = format!("SELECT min({LOGICAL_TIME}) AS first FROM outbox WHERE sequence IS NULL");
        let first =
            self.reader.query_one_raw(self.statement(first, Vec::new())).await.map_err(store_error)?;
        let first = first.map(|row| Row::named(&row, "outbox", "first").get::<Option<i64>>("first"));
        if first.transpose()?.flatten().is_none() {
            return Ok(0);
        }
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let given = give_places_in(&transaction, most).await;
        end(transaction, given).await
    }
}

/// One at a time gives places: he holds the counter. What he sees of the outbox he sees afterwards, in another statement,
/// so that what others gave before is given.
async fn give_places_in(transaction: &Transaction, most: u32) -> Result<u64, StoreError> {
    let backend = transaction.get_database_backend();
    let lock = if backend == DbBackend::Postgres { " FOR UPDATE" } else { "" };
    let counter = numbered(backend, format!("SELECT last FROM event_sequence{lock}"), Vec::new());
    let Some(row) = transaction.query_one_raw(counter).await.map_err(store_error)? else {
        return Ok(0);
    };
    let last_before: i64 = Row::named(&row, "event_sequence", "1").get("last")?;
    let given = transaction.execute_raw(places_of(backend, last_before, most)).await.map_err(store_error)?;
    if given.rows_affected() == 0 {
        return Ok(0);
    }
    // Not as many more as there were: an event that was forgotten at the same time leaves a gap, behind which others have
    // theirs, and no place may be given away twice.
    let last = "UPDATE event_sequence SET last = (SELECT max(sequence) FROM outbox WHERE sequence > $1)";
    execute(transaction, last, vec![last_before.into()]).await?;
    Ok(given.rows_affected())
}

async fn settle_sink(
    connection: &impl ConnectionTrait,
    claim: &SinkClaim,
    progress: &Progress,
    lease_ends_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let SinkHealth { failures, failing_since, due_at } = progress.health;
    let sql = "UPDATE event_sinks SET settled_to = $3, lease_ends_at = $4, due_at = $5, failures = $6, \
               failing_since = $7 WHERE name = $1 AND fence = $2";
    let values = vec![
        claim.sink.as_str().into(),
        claim.fence.into(),
        progress.cursor.into(),
        micros_or_never(lease_ends_at),
        micros_or_never(due_at),
        i64::from(failures).into(),
        failing_since.map(Timestamp::unix_micros).into(),
    ];
    match execute(connection, sql, values).await? {
        0 => Err(StoreError::LeaseLost),
        _ => Ok(()),
    }
}

/// An instant that may be over already.
fn micros_or_never(instant: Option<Timestamp>) -> Value {
    instant.map_or(0, Timestamp::unix_micros).into()
}

async fn settle_in(
    transaction: &Transaction,
    claim: &SinkClaim,
    progress: &Progress,
    lease_ends_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    // The row of the sink first: whoever has it now is the only one to have written it.
    settle_sink(transaction, claim, progress, lease_ends_at).await?;
    for rows in progress.set_aside.chunks(ROWS) {
        let statement = set_aside(transaction.get_database_backend(), &claim.sink, rows);
        transaction.execute_raw(statement).await.map_err(store_error)?;
    }
    for sequences in progress.delivered.chunks(ROWS) {
        let mut values: Vec<Value> = vec![claim.sink.as_str().into()];
        let placeholders: Vec<String> =
            (2..=sequences.len() + 1).map(|number| format!("${number}")).collect();
        values.extend(sequences.iter().map(|sequence| Value::from(*sequence)));
        let sql = format!(
            "DELETE FROM event_retries WHERE sink = $1 AND sequence IN ({})",
            placeholders.join(", ")
        );
        execute(transaction, &sql, values).await?;
    }
    Ok(())
}

/// What a failing sink has yet to receive: set aside, or not even tried.
const SINKS: &str = "\
UPDATE event_sinks SET due_at = $1 WHERE due_at > $1 AND (CAST($2 AS text) IS NULL OR name = $2) AND (CAST($3 AS text) IS NULL OR EXISTS (
    SELECT 1 FROM outbox WHERE $EVENT_ID = $3 AND (sequence IS NULL OR sequence > settled_to OR EXISTS (
        SELECT 1 FROM event_retries WHERE event_retries.sink = name AND event_retries.sequence = outbox.sequence
    ))
))";

/// The event, and what waits of its identity and has to go before it.
const RETRIES: &str = "\
UPDATE event_retries SET parked_at = NULL, attempts = CASE WHEN parked_at IS NULL THEN attempts ELSE 0 END,
    failing_since = CASE WHEN parked_at IS NULL THEN failing_since END,
    due_at = CASE WHEN parked_at IS NULL AND due_at < $1 THEN due_at ELSE $1 END
WHERE (CAST($2 AS text) IS NULL OR sink = $2) AND (CAST($3 AS text) IS NULL OR EXISTS (
    SELECT 1 FROM event_retries AS asked JOIN outbox ON outbox.sequence = asked.sequence
    WHERE $EVENT_ID = $3 AND asked.sink = event_retries.sink AND asked.address = event_retries.address
    AND (asked.sequence = event_retries.sequence
        OR asked.sequence > event_retries.sequence AND event_retries.parked_at IS NULL)
))";

async fn redeliver_in(
    transaction: &Transaction,
    sink: Option<&SinkName>,
    event_id: Option<&str>,
    now: Timestamp,
) -> Result<Redelivery, StoreError> {
    let values: Vec<Value> = vec![
        now.unix_micros().into(),
        sink.map(|sink| sink.as_str().to_owned()).into(),
        event_id.map(ToOwned::to_owned).into(),
    ];
    if transaction.get_database_backend() == DbBackend::Postgres {
        // The rows of the sinks first, as when a pass settles.
        let lock = "SELECT name FROM event_sinks ORDER BY name FOR UPDATE";
        execute(transaction, lock, Vec::new()).await?;
    }
    let sinks = execute(transaction, &SINKS.replace("$EVENT_ID", EVENT_ID), values.clone()).await?;
    let events = execute(transaction, &RETRIES.replace("$EVENT_ID", EVENT_ID), values).await?;
    Ok(Redelivery { events, sinks })
}

fn set_aside(backend: DbBackend, sink: &SinkName, rows: &[SetAside]) -> Statement {
    let mut values: Vec<Value> = vec![sink.as_str().into()];
    let mut placeholders = Vec::with_capacity(rows.len());
    for row in rows {
        let first = values.len() + 1;
        let numbers: Vec<String> = (first..first + 7).map(|number| format!("${number}")).collect();
        placeholders.push(format!("($1, {})", numbers.join(", ")));
        values.extend([
            row.sequence.into(),
            row.address.as_str().into(),
            i64::from(row.attempts).into(),
            row.failing_since.map(Timestamp::unix_micros).into(),
            row.due_at.unix_micros().into(),
            row.parked_at.map(Timestamp::unix_micros).into(),
            row.failure.as_ref().map(|failure| failure.as_str().to_owned()).into(),
        ]);
    }
    let sql = format!(
        "INSERT INTO event_retries (sink, sequence, address, attempts, failing_since, due_at, parked_at, failure) \
         VALUES {} ON CONFLICT (sink, sequence) DO UPDATE SET attempts = excluded.attempts, \
         failing_since = excluded.failing_since, due_at = excluded.due_at, parked_at = excluded.parked_at, \
         failure = excluded.failure",
        placeholders.join(", ")
    );
    numbered(backend, sql, values)
}

fn claim_from_row(sink: &SinkName, row: &QueryResult) -> Result<SinkClaim, StoreError> {
    let row = Row::named(row, "event_sinks", sink.as_str());
    Ok(SinkClaim {
        sink: sink.clone(),
        fence: row.get("fence")?,
        cursor: row.get("settled_to")?,
        health: SinkHealth {
            failures: count(&row, "failures")?,
            failing_since: row.instant_if_there("failing_since")?,
            due_at: None,
        },
    })
}

fn waiting_from_row(row: &QueryResult) -> Result<WaitingEvent, StoreError> {
    // Without a place nothing could be said about it; the database itself sees to it that there is one.
    let sequence: i64 = Row::named(row, "outbox", "unknown").get("sequence")?;
    let key = sequence.to_string();
    let row = Row::named(row, "outbox", &key);
    Ok(WaitingEvent {
        sequence,
        address: row.get("address")?,
        event: event_from_row(&row),
        attempts: count(&row, "attempts")?,
        failing_since: row.instant_if_there("failing_since")?,
        is_behind: row.get::<i32>("is_behind")? != 0,
    })
}

fn parked_from_row(row: &QueryResult) -> Result<ParkedEvent, StoreError> {
    let sequence: i64 = Row::named(row, "outbox", "unknown").get("sequence")?;
    let key = sequence.to_string();
    let (event, retry) = (Row::named(row, "outbox", &key), Row::named(row, "event_retries", &key));
    let failure: Option<String> = retry.get("failure")?;
    Ok(ParkedEvent {
        sink: retry.parse("sink")?,
        event: event_from_row(&event),
        sequence,
        attempts: count(&retry, "attempts")?,
        failing_since: retry.instant_if_there("failing_since")?,
        parked_at: retry.instant("parked_at")?,
        failure: failure
            .map(|failure| failure.parse())
            .transpose()
            .map_err(|error| retry.corrupt("failure", error))?,
    })
}

fn figures_from_row(row: &QueryResult) -> Result<SinkFigures, StoreError> {
    let row = Row::new(row, "event_sinks", "name")?;
    let number = |column: &str| Ok::<u64, StoreError>(u64::try_from(row.get::<i64>(column)?).unwrap_or(0));
    Ok(SinkFigures {
        sink: row.parse("name")?,
        waiting: number("waiting")? + number("without_place")?,
        retrying: number("retrying")?,
        parked: number("parked")?,
    })
}

fn count(row: &Row<'_>, column: &str) -> Result<u32, StoreError> {
    u32::try_from(row.get::<i64>(column)?).map_err(|error| row.corrupt(column, error))
}
