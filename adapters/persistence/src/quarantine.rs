//! What was found not to verify, so that it is known, reported once, and holds up nothing.

use reprieve_application::StoreError;
use reprieve_application::ports::Quarantined;
use reprieve_domain::audit::{AuditKey, Fault, FaultKind};
use reprieve_domain::{Address, DeletionProcessId, Event, EventKind};
use sea_orm::{ConnectionTrait, DbBackend, Value};

use crate::deletion_processes::{numbered, placeholders};
use crate::erasure_tasks::execute;
use crate::error::store_error;
use crate::mapping::Row;

/// No row if the same is known already.
const NOTE: &str = "\
INSERT INTO quarantined_processes (process_id, sequence, reason, found_at) VALUES ($1, $2, $3, $NOW)
ON CONFLICT (process_id) DO UPDATE SET sequence = excluded.sequence, reason = excluded.reason, found_at = excluded.found_at
WHERE quarantined_processes.sequence <> excluded.sequence OR quarantined_processes.reason <> excluded.reason
RETURNING found_at, (SELECT address FROM deletion_processes WHERE id = process_id) AS address";

/// What only the journal can find, and only the journal can release.
pub(crate) const RELEASE_DOUBTED: &str =
    "DELETE FROM quarantined_processes WHERE reason IN ('olderThanJournal', 'journalDamaged')";

/// Behind all that has happened to the process. A negative revision: no step has one.
const TELL: &str = "\
INSERT INTO outbox (process_id, revision, address, event_type, occurred_at, data, event_id, logical_time)
SELECT $1, $2, $3, $4, CAST($5 AS bigint), $6, $7, coalesce((
    SELECT logical_time + 1 FROM deletion_processes WHERE id = $1 AND logical_time >= CAST($5 AS bigint)
), CAST($5 AS bigint))";

/// Whether this is the id of the event of such a quarantine.
pub(crate) fn is_told(key: &AuditKey, id: &str, process_id: &str, revision: i64, reason: FaultKind) -> bool {
    revision < 0 && event_id_of(key, process_id, revision_of(revision), reason.reason()) == id
}

/// The revision of the event of a quarantine, or the place in the chain that it is about.
fn revision_of(sequence: i64) -> i64 {
    (-1_i64).saturating_sub(sequence)
}

/// Made with the key, because no audit entry records it: once for each process and fault.
fn event_id_of(key: &AuditKey, process_id: &str, sequence: i64, reason: &str) -> String {
    key.quarantine_id(process_id, sequence, reason).to_string().chars().take(32).collect()
}

/// Notes faults, and adds an event for each that was not known.
pub(crate) async fn note(
    connection: &impl ConnectionTrait,
    key: &AuditKey,
    faults: &[Fault],
) -> Result<(), StoreError> {
    let backend = connection.get_database_backend();
    let now = match backend {
        DbBackend::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
        _ => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
    };
    for Fault { process_id, sequence, kind } in faults {
        let reason = kind.reason();
        let sql = NOTE.replace("$NOW", now);
        let values: Vec<Value> = vec![process_id.as_str().into(), (*sequence).into(), reason.into()];
        let noted = connection.query_one_raw(numbered(backend, sql, values)).await.map_err(store_error)?;
        let Some(noted) = noted else { continue };
        tracing::error!(process = %process_id, entry = sequence, reason, "a process was quarantined");
        let row = Row::named(&noted, "quarantined_processes", process_id);
        let address =
            row.get::<Option<String>>("address")?.and_then(|address| address.parse::<Address>().ok());
        let (Some(address), Ok(process_id)) = (address, process_id.parse::<DeletionProcessId>()) else {
            continue;
        };
        let kind = EventKind::IdentityDeletionProcessQuarantined { reason: *kind };
        let (event_type, occurred_at) = (kind.name(), row.instant("found_at")?);
        let id = event_id_of(key, process_id.as_str(), *sequence, reason);
        let event = Event { process_id, address, occurred_at, kind };
        let data = serde_json::to_string(&event).map_err(|error| StoreError::Unavailable(error.into()))?;
        let values = vec![
            event.process_id.as_str().into(),
            revision_of(*sequence).into(),
            event.address.as_str().into(),
            event_type.into(),
            occurred_at.unix_micros().into(),
            data.into(),
            id.into(),
        ];
        execute(connection, TELL, values).await?;
    }
    Ok(())
}

/// Forgets that these were found not to verify. What the journal does not bear out stays.
///
/// Returns how many it released.
pub(crate) async fn release(connection: &impl ConnectionTrait, ids: Vec<Value>) -> Result<u64, StoreError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let sql = format!(
        "DELETE FROM quarantined_processes WHERE reason NOT IN ('olderThanJournal', 'journalDamaged') \
         AND process_id IN ({})",
        placeholders(ids.len())
    );
    execute(connection, &sql, ids).await
}

/// What is known, in the order of the ids.
pub(crate) async fn list(
    connection: &impl ConnectionTrait,
    process: Option<&DeletionProcessId>,
    after: &str,
    limit: u32,
) -> Result<Vec<Quarantined>, StoreError> {
    let mut values: Vec<Value> = vec![after.into(), i64::from(limit).into()];
    let mut condition = "";
    if let Some(process) = process {
        condition = "AND process_id = $3";
        values.push(process.as_str().into());
    }
    let sql = format!(
        "SELECT process_id, sequence, reason, found_at FROM quarantined_processes WHERE process_id > $1 {condition} \
         ORDER BY process_id LIMIT $2"
    );
    let statement = numbered(connection.get_database_backend(), sql, values);
    let rows = connection.query_all_raw(statement).await.map_err(store_error)?;
    let mut quarantined = Vec::with_capacity(rows.len());
    for row in &rows {
        let row = Row::new(row, "quarantined_processes", "process_id")?;
        quarantined.push(Quarantined {
            process_id: row.get("process_id")?,
            sequence: row.get("sequence")?,
            reason: row.get("reason")?,
            found_at: row.instant("found_at")?,
        });
    }
    Ok(quarantined)
}
