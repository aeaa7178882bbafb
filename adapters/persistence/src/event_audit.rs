//! Whether the events that are kept are those of the audit entries they tell of.

use std::collections::BTreeMap;

use reprieve_application::StoreError;
use reprieve_application::ports::{ComparedEvents, OwnIdentities};
use reprieve_domain::audit::{Fault, FaultKind, KeyedHash, Proof, SealedEntry};
use reprieve_domain::{Event, EventKind, Status, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};

use crate::Store;
use crate::audit_trail::entry;
use crate::deletion_processes::numbered;
use crate::error::store_error;
use crate::mapping::Row;
use crate::outbox::{StoredProcess, event_id};
use crate::quarantine;

/// How many faults of one kind are looked for.
const MOST: u32 = 100;

/// A page of events, each with the entries of its process up to the one that it tells of. One statement, so that events and
/// entries are seen as they were at one moment.
const EVENTS: &str = "\
WITH page AS (SELECT * FROM outbox WHERE position >= $1 ORDER BY position LIMIT $2)
SELECT page.position, page.process_id, page.revision, page.address, page.event_type, page.occurred_at, page.data,
    page.event_id, page.process, page.logical_time, page.trace_parent, page.trace_state,
    entry.sequence, entry.created_at, entry.old_status, entry.new_status, entry.message_key, entry.additional_data,
    entry.identity_hash, entry.device_hash, entry.hash
FROM page
LEFT JOIN audit_entries AS entry ON entry.process_id = page.process_id AND entry.sequence <= page.revision
ORDER BY page.position, entry.sequence";

/// What contradicts itself: several events of one entry, retries of events of another identity, and events with a place
/// that was never given away.
const CONTRADICTIONS: [&str; 3] = [
    "SELECT process_id, revision FROM outbox WHERE revision >= 0 GROUP BY process_id, revision HAVING count(*) > 1 \
     ORDER BY process_id, revision LIMIT $1",
    "SELECT outbox.process_id, outbox.revision FROM event_retries \
     JOIN outbox ON outbox.sequence = event_retries.sequence \
     WHERE event_retries.address <> outbox.address ORDER BY event_retries.sequence LIMIT $1",
    "SELECT process_id, revision FROM outbox WHERE sequence > (SELECT coalesce(max(last), 0) FROM event_sequence) \
     ORDER BY sequence LIMIT $1",
];

pub(crate) fn events_of_page(backend: DbBackend, from: i64, limit: u32) -> Statement {
    numbered(backend, EVENTS.to_owned(), vec![from.into(), i64::from(limit).into()])
}

impl Store {
    pub(crate) async fn compare_events(
        &self,
        after: Option<i64>,
        limit: u32,
    ) -> Result<ComparedEvents, StoreError> {
        let from = match after {
            None => i64::MIN,
            Some(i64::MAX) => return Ok(ComparedEvents::default()),
            Some(after) => after + 1,
        };
        let statement = events_of_page(self.reader.get_database_backend(), from, limit);
        let rows = self.reader.in_bulk().query_all_raw(statement).await.map_err(store_error)?;
        let mut events: BTreeMap<i64, (&QueryResult, Vec<SealedEntry>)> = BTreeMap::new();
        for result in &rows {
            let row = Row::new(result, "outbox", "process_id")?;
            let (_, entries) = events.entry(row.get("position")?).or_insert_with(|| (result, Vec::new()));
            entries.extend(entry(&row, row.get("process_id")?)?);
        }
        let is_full = u32::try_from(events.len()) == Ok(limit);
        let next = events.keys().next_back().copied().filter(|_| is_full);
        let mut faults = Vec::new();
        for (result, entries) in events.into_values() {
            let row = Row::new(result, "outbox", "process_id")?;
            let (process_id, sequence): (String, i64) = (row.get("process_id")?, row.get("revision")?);
            if !self.is_event(&row, &process_id, sequence, entries)? {
                faults.push(Fault { process_id, sequence, kind: FaultKind::EventDiffers });
            }
        }
        Ok(ComparedEvents { next, faults })
    }

    pub(crate) async fn find_contradictions(&self) -> Result<Vec<Fault>, StoreError> {
        let mut faults = Vec::new();
        for sql in CONTRADICTIONS {
            let statement = self.statement(sql.to_owned(), vec![i64::from(MOST).into()]);
            let rows = self.reader.in_bulk().query_all_raw(statement).await.map_err(store_error)?;
            for result in &rows {
                let row = Row::named(result, "outbox", "unknown");
                let (process_id, sequence) = (row.get("process_id")?, row.get("revision")?);
                faults.push(Fault { process_id, sequence, kind: FaultKind::EventDiffers });
            }
        }
        OwnIdentities::load(self).await?;
        if !self.verify_clock_record().await? {
            let process_id = "clock_record".to_owned();
            faults.push(Fault { process_id, sequence: 0, kind: FaultKind::ClockRecordDiffers });
        }
        if !self.verify_pause_record().await? {
            let process_id = "pause_record".to_owned();
            faults.push(Fault { process_id, sequence: 0, kind: FaultKind::PauseRecordDiffers });
        }
        let damaged = self.damaged_holds().await?.into_iter();
        faults.extend(damaged.map(|identity| Fault {
            process_id: identity,
            sequence: 0,
            kind: FaultKind::HoldDiffers,
        }));
        if !self.verify_adoptions().await? {
            let process_id = "journal_adoptions".to_owned();
            faults.push(Fault { process_id, sequence: 0, kind: FaultKind::JournalAdoptionsDiffer });
        }
        Ok(faults)
    }

    /// Whether an event says what the newest of these entries says.
    fn is_event(
        &self,
        row: &Row<'_>,
        process_id: &str,
        revision: i64,
        entries: Vec<SealedEntry>,
    ) -> Result<bool, StoreError> {
        if revision < 0 {
            return self.is_of_quarantine(row, process_id, revision);
        }
        let (Some(first), Some(newest)) = (entries.first().cloned(), entries.last().cloned()) else {
            return Ok(false);
        };
        let Ok(proof) = self.audit_key.prove_entries(process_id, entries) else { return Ok(false) };
        let (data, event_type): (String, String) = (row.get("data")?, row.get("event_type")?);
        let (Ok(event), Some(kind)) = (serde_json::from_str::<Event>(&data), proof.event_of(&newest)) else {
            return Ok(false);
        };
        let is_of_entry = newest.sequence == revision
            && row.get::<i64>("occurred_at")? == newest.created_at
            && event.occurred_at.unix_micros() == newest.created_at
            && event.process_id.as_str() == process_id
            && event.address.as_str() == row.get::<String>("address")?
            && self.audit_key.pseudonym_of_identity(&event.address).as_bytes() == proof.identity_hash()
            && event_type == kind.name()
            && event.kind == kind;
        if !is_of_entry {
            return Ok(false);
        }
        let event_id_is = row.get::<Option<String>>("event_id")?;
        let process = row.get::<Option<String>>("process")?;
        if event_id_is.as_ref().is_none_or(|id| *id == format!("{process_id}r{revision}")) {
            // Of a version that knew neither such ids, nor what else goes with an event.
            let traces = [row.get::<Option<String>>("trace_parent")?, row.get("trace_state")?];
            let logical_time: Option<i64> = row.get("logical_time")?;
            let position: i64 = row.get("position")?;
            let is_old = logical_time.is_none_or(|time| time == position);
            return Ok(is_old && process.is_none() && traces.iter().all(Option::is_none));
        }
        if event_id_is != Some(event_id(&newest)) {
            return Ok(false);
        }
        let has_changed = newest.old_status.as_ref() != Some(&newest.new_status);
        let Some(process) = process else { return Ok(!has_changed) };
        let stored = serde_json::from_str::<StoredProcess>(&process);
        Ok(has_changed && stored.is_ok_and(|stored| self.is_process(&stored, &proof, &first, &newest)))
    }

    fn is_of_quarantine(&self, row: &Row<'_>, process_id: &str, revision: i64) -> Result<bool, StoreError> {
        let data: String = row.get("data")?;
        let Ok(event) = serde_json::from_str::<Event>(&data) else { return Ok(false) };
        let EventKind::IdentityDeletionProcessQuarantined { reason } = event.kind else { return Ok(false) };
        let id = row.get::<Option<String>>("event_id")?.unwrap_or_default();
        Ok(quarantine::is_told(&self.audit_key, &id, process_id, revision, reason)
            && event.process_id.as_str() == process_id
            && event.address.as_str() == row.get::<String>("address")?
            && event.kind.name() == row.get::<String>("event_type")?
            && event.occurred_at.unix_micros() == row.get::<i64>("occurred_at")?
            && row.get::<Option<String>>("process")?.is_none())
    }

    /// Whether this is how the owner saw the process then.
    fn is_process(
        &self,
        stored: &StoredProcess,
        proof: &Proof,
        first: &SealedEntry,
        newest: &SealedEntry,
    ) -> bool {
        let is_cancelled = proof.status() == Status::Cancelled;
        let device = |device| self.audit_key.pseudonym_of_device(device);
        let is_by = |hash: Option<KeyedHash>, entry: Option<&SealedEntry>| {
            let expected = entry.and_then(|entry| entry.device_hash.as_deref());
            hash.as_ref().map(|hash| hash.as_bytes().as_slice()) == expected
        };
        let cancelled = is_cancelled.then_some(newest);
        stored.status == proof.status()
            && stored.created_at == proof.created_at()
            && is_by(Some(device(&stored.created_by_device)), Some(first))
            && stored.grace_period_ends_at == (!is_cancelled).then(|| proof.grace_period_ends_at())
            && stored.cancelled_at.map(Timestamp::unix_micros)
                == cancelled.and_then(SealedEntry::cancelled_at)
            && is_by(stored.cancelled_by_device.as_ref().map(device), cancelled)
    }
}
