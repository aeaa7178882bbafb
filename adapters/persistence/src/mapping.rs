//! Rows and domain values, in both directions. A row that no domain value can represent is reported with table, key
//! and column; it is never a panic.

use std::fmt::Display;
use std::str::FromStr;

use reprieve_application::ports::Version;
use reprieve_application::{
    Answer, AnsweredRequest, Fingerprint, IdempotencyKey, IdempotentRequest, StoreError,
};
use reprieve_domain::audit::{AuditKey, ChainHead, KeyedHash, SealedEntry, StoredErasures};
use reprieve_domain::{
    DeletionProcess, DeletionProcessRecord, Erasure, ErasureRecord, Reminder, Reminders, Suspension,
    Timestamp,
};
use sea_orm::{QueryResult, TryGetable};
use serde::{Deserialize, Serialize};

use crate::entities::{answered_request, audit_entry, deletion_process};

/// Reads the columns of one row, and knows how to name the row when one of them is wrong.
pub(crate) struct Row<'a> {
    result: &'a QueryResult,
    table: &'static str,
    key: String,
}

impl<'a> Row<'a> {
    /// A row of `table` that is named by its column `key`.
    pub(crate) fn new(result: &'a QueryResult, table: &'static str, key: &str) -> Result<Self, StoreError> {
        let mut row = Self { result, table, key: "unknown".to_owned() };
        row.key = row.get(key)?;
        Ok(row)
    }

    /// A row of `table` that needs no column to be named.
    pub(crate) fn named(result: &'a QueryResult, table: &'static str, key: &str) -> Self {
        Self { result, table, key: key.to_owned() }
    }

    pub(crate) fn get<T: TryGetable>(&self, column: &str) -> Result<T, StoreError> {
        self.result.try_get("", column).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn parse<T: FromStr<Err: Display>>(&self, column: &str) -> Result<T, StoreError> {
        self.get::<String>(column)?.parse().map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn parse_if_there<T: FromStr<Err: Display>>(
        &self,
        column: &str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.get::<Option<String>>(column)?;
        text.map(|text| text.parse()).transpose().map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn instant(&self, column: &str) -> Result<Timestamp, StoreError> {
        Timestamp::from_unix_micros(self.get(column)?).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn instant_if_there(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        let micros = self.get::<Option<i64>>(column)?;
        micros.map(Timestamp::from_unix_micros).transpose().map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn bytes<const N: usize>(&self, column: &str) -> Result<[u8; N], StoreError> {
        let bytes = self.get::<Vec<u8>>(column)?;
        <[u8; N]>::try_from(bytes)
            .map_err(|bytes| self.corrupt(column, format_args!("{} bytes instead of {N}", bytes.len())))
    }

    pub(crate) fn corrupt(&self, column: &str, problem: impl Display) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            key: self.key.clone(),
            column: column.to_owned(),
            problem: problem.to_string(),
        }
    }
}

/// One eraser in the column `erasures`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredErasure {
    eraser: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waived_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn erasures_to_json(erasures: &[ErasureRecord]) -> Result<String, StoreError> {
    let stored: Vec<StoredErasure> = erasures
        .iter()
        .map(|ErasureRecord { eraser, erasure }| {
            let mut stored = StoredErasure {
                eraser: eraser.to_string(),
                failures: 0,
                acknowledged_at: None,
                count: None,
                waived_at: None,
                code: None,
            };
            match erasure {
                Erasure::Pending { failures } => stored.failures = *failures,
                Erasure::Acknowledged { at, count } => {
                    (stored.acknowledged_at, stored.count) = (Some(at.unix_micros()), Some(*count));
                }
                Erasure::Waived { at, code } => {
                    (stored.waived_at, stored.code) = (Some(at.unix_micros()), Some(code.to_string()));
                }
            }
            stored
        })
        .collect();
    serde_json::to_string(&stored).map_err(|error| StoreError::Unavailable(error.into()))
}

fn erasures_from_json(json: &str) -> Result<Vec<ErasureRecord>, String> {
    let stored: Vec<StoredErasure> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    stored
        .into_iter()
        .map(|stored| {
            let instant = |at| Timestamp::from_unix_micros(at).map_err(|error| error.to_string());
            let StoredErasure { eraser: _, failures, acknowledged_at, count, waived_at, code } = &stored;
            let erasure = match (failures, *acknowledged_at, *count, *waived_at, code) {
                (failures, None, None, None, None) => Erasure::Pending { failures: *failures },
                (0, Some(at), Some(count), None, None) => Erasure::Acknowledged { at: instant(at)?, count },
                (0, None, None, Some(at), Some(code)) => Erasure::Waived {
                    at: instant(at)?,
                    code: code.parse().map_err(|error| format!("{error}"))?,
                },
                _ => return Err("an eraser is neither pending nor acknowledged nor waived".to_owned()),
            };
            Ok(ErasureRecord { eraser: stored.eraser.parse().map_err(|error| format!("{error}"))?, erasure })
        })
        .collect()
}

/// The column `erasures`, whatever stands in it.
pub(crate) fn stored_erasures(json: Option<String>) -> StoredErasures {
    match json.map(|json| erasures_from_json(&json)) {
        None => StoredErasures::Absent,
        Some(Ok(records)) => StoredErasures::Known(records),
        Some(Err(_)) => StoredErasures::Unreadable,
    }
}

/// What the table `deletion_processes` says.
pub(crate) fn process_from_row(result: &QueryResult) -> Result<(DeletionProcess, Version), StoreError> {
    let row = Row::new(result, "deletion_processes", "id")?;
    let erasures = row.get::<Option<String>>("erasures")?;
    let record = DeletionProcessRecord {
        id: row.parse("id")?,
        address: row.parse("address")?,
        status: row.parse("status")?,
        created_at: row.instant("created_at")?,
        created_by_device: row.parse("created_by_device")?,
        grace_period_ends_at: row.instant("grace_period_ends_at")?,
        suspension: suspension(&row)?,
        reminders: Reminders::new([
            row.instant_if_there("reminder1_sent_at")?,
            row.instant_if_there("reminder2_sent_at")?,
            row.instant_if_there("reminder3_sent_at")?,
        ]),
        cancelled_at: row.instant_if_there("cancelled_at")?,
        cancelled_by_device: row.parse_if_there("cancelled_by_device")?,
        deletion_started_at: row.instant_if_there("deletion_started_at")?,
        deletion_completed_at: row.instant_if_there("deletion_completed_at")?,
        erasures: erasures
            .map(|json| erasures_from_json(&json))
            .transpose()
            .map_err(|problem| row.corrupt("erasures", problem))?,
    };
    let process =
        DeletionProcess::restore(record).map_err(|invalid| row.corrupt(invalid.member, invalid.problem))?;
    let revision: i64 = row.get("revision")?;
    if revision < 1 {
        return Err(row.corrupt("revision", "a stored process has at least one audit entry"));
    }
    Ok((process, ChainHead { length: revision, hash: row.bytes::<32>("audit_head")?.into() }))
}

fn suspension(row: &Row<'_>) -> Result<Option<Suspension>, StoreError> {
    let Some(until) = row.instant_if_there("suspended_until")? else { return Ok(None) };
    Ok(Some(Suspension { until, shown_until: row.instant_if_there("shown_until")? }))
}

/// The row of a process whose audit chain ends at `head`.
pub(crate) fn process_to_row(
    process: &DeletionProcess,
    head: ChainHead,
    key: &AuditKey,
) -> Result<deletion_process::Model, StoreError> {
    let record = process.to_record();
    let sent_at = |reminder| record.reminders.sent_at(reminder).map(Timestamp::unix_micros);
    Ok(deletion_process::Model {
        audit_seal: key.seal_head(&record.id, head).as_bytes().to_vec(),
        id: record.id.to_string(),
        address: record.address.to_string(),
        status: record.status.to_string(),
        created_at: record.created_at.unix_micros(),
        created_by_device: record.created_by_device.to_string(),
        grace_period_ends_at: record.grace_period_ends_at.unix_micros(),
        reminder1_sent_at: sent_at(Reminder::First),
        reminder2_sent_at: sent_at(Reminder::Second),
        reminder3_sent_at: sent_at(Reminder::Third),
        cancelled_at: record.cancelled_at.map(Timestamp::unix_micros),
        cancelled_by_device: record.cancelled_by_device.map(|device| device.to_string()),
        deletion_started_at: record.deletion_started_at.map(Timestamp::unix_micros),
        deletion_completed_at: record.deletion_completed_at.map(Timestamp::unix_micros),
        erasures: record.erasures.as_deref().map(erasures_to_json).transpose()?,
        revision: head.length,
        audit_head: head.hash.as_bytes().to_vec(),
    })
}

/// The row of a sealed audit entry.
pub(crate) fn entry_to_row(entry: SealedEntry) -> audit_entry::Model {
    let SealedEntry {
        process_id,
        sequence,
        created_at,
        old_status,
        new_status,
        message_key,
        additional_data,
        identity_hash,
        device_hash,
        hash,
    } = entry;
    audit_entry::Model {
        process_id,
        sequence,
        created_at,
        old_status,
        new_status,
        message_key,
        additional_data,
        identity_hash,
        device_hash,
        hash,
    }
}

/// The row of an answer that is kept.
pub(crate) fn answered_to_row(answered: &AnsweredRequest) -> answered_request::Model {
    let AnsweredRequest { request, answer } = answered;
    answered_request::Model {
        key: request.key.0.to_vec(),
        fingerprint: request.fingerprint.0.to_vec(),
        address: request.address.to_string(),
        received_at: request.received_at.unix_micros(),
        status: answer.status.into(),
        body: answer.body.clone(),
    }
}

/// What the table `answered_requests` says.
pub(crate) fn answered_from_row(result: &QueryResult) -> Result<AnsweredRequest, StoreError> {
    let unnamed = Row::named(result, "answered_requests", "unknown");
    let row = Row::named(result, "answered_requests", &KeyedHash::from(unnamed.bytes("key")?).to_string());
    let status: i64 = row.get("status")?;
    Ok(AnsweredRequest {
        request: IdempotentRequest {
            key: IdempotencyKey(row.bytes("key")?),
            fingerprint: Fingerprint(row.bytes("fingerprint")?),
            address: row.parse("address")?,
            received_at: row.instant("received_at")?,
        },
        answer: Answer {
            status: u16::try_from(status).map_err(|error| row.corrupt("status", error))?,
            body: row.get("body")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn erasures_survive_being_stored() {
        let records = vec![
            ErasureRecord { eraser: "files".parse().unwrap(), erasure: Erasure::Pending { failures: 0 } },
            ErasureRecord { eraser: "mail".parse().unwrap(), erasure: Erasure::Pending { failures: 7 } },
            ErasureRecord {
                eraser: "posts".parse().unwrap(),
                erasure: Erasure::Acknowledged {
                    at: Timestamp::from_unix_micros(5).unwrap(),
                    count: u64::MAX,
                },
            },
            ErasureRecord {
                eraser: "archive".parse().unwrap(),
                erasure: Erasure::Waived {
                    at: Timestamp::from_unix_micros(6).unwrap(),
                    code: "retired".parse().unwrap(),
                },
            },
        ];
        let json = erasures_to_json(&records).unwrap();
        assert_eq!(
            json,
            r#"[{"eraser":"files"},{"eraser":"mail","failures":7},{"eraser":"posts","acknowledgedAt":5,"count":18446744073709551615},{"eraser":"archive","waivedAt":6,"code":"retired"}]"#
        );
        assert_eq!(erasures_from_json(&json).unwrap(), records);
    }

    #[test]
    fn erasures_that_nobody_wrote_are_refused() {
        for json in [
            "",
            "{}",
            "[{}]",
            r#"[{"eraser":"a b"}]"#,
            r#"[{"eraser":"a","count":1}]"#,
            r#"[{"eraser":"a","acknowledgedAt":1}]"#,
            r#"[{"eraser":"a","acknowledgedAt":1,"count":1,"failures":1}]"#,
            r#"[{"eraser":"a","acknowledgedAt":9223372036854775807,"count":1}]"#,
            r#"[{"eraser":"a","waivedAt":1}]"#,
            r#"[{"eraser":"a","code":"b"}]"#,
            r#"[{"eraser":"a","waivedAt":1,"code":"two words"}]"#,
            r#"[{"eraser":"a","waivedAt":1,"code":"b","failures":1}]"#,
            r#"[{"eraser":"a","waivedAt":1,"code":"b","acknowledgedAt":1,"count":1}]"#,
            r#"[{"eraser":"a","other":1}]"#,
        ] {
            assert!(erasures_from_json(json).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_erasures_panic(text in ".*") {
            let _ = erasures_from_json(&text);
        }
    }
}
