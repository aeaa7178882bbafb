//! A step on PostgreSQL: one statement, so one round trip, which writes all tables or nothing.
//!
//! Audit entry, event and answer are selected *from* the row of the process that was written: where the guard finds no
//! row, they do not come to exist.

use reprieve_application::StoreError;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};

use crate::error::store_error;
use crate::identities::Write;

pub(crate) async fn save(connection: &DatabaseConnection, write: Write) -> Result<(), StoreError> {
    let (sql, values) = statement(write);
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    match connection.query_one_raw(statement).await.map_err(store_error)? {
        Some(_) => Ok(()),
        None => Err(StoreError::Conflict),
    }
}

/// The values that are bound, and the placeholders that stand for them. The same kind of step gives the same text, which
/// the server has to prepare only once a connection.
#[derive(Default)]
struct Parameters(Vec<Value>);

impl Parameters {
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.0.push(value.into());
        format!("${}", self.0.len())
    }

    fn assignments<const N: usize>(&mut self, columns: [(&str, Value); N]) -> String {
        columns.map(|(column, value)| format!("{column} = {}", self.bind(value))).join(", ")
    }

    fn insert<const N: usize>(&mut self, table: &str, columns: [(&str, Value); N]) -> String {
        let names = columns.each_ref().map(|(column, _)| *column).join(", ");
        let values = columns.map(|(_, value)| self.bind(value)).join(", ");
        format!("INSERT INTO {table} ({names}) SELECT {values}")
    }

    /// Inserts a row if the process was written.
    fn insert_with_process<const N: usize>(&mut self, table: &str, columns: [(&str, Value); N]) -> String {
        format!("{} FROM process", self.insert(table, columns))
    }
}

fn statement(write: Write) -> (String, Vec<Value>) {
    let Write { process, audit_entry: entry, event, answered, expected_revision, deadline } = write;
    let (id, revision) = (process.id.clone(), process.revision);
    let mut parameters = Parameters::default();
    let write_process = match expected_revision {
        None => parameters.insert(
            "deletion_processes",
            [
                ("id", process.id.into()),
                ("revision", process.revision.into()),
                ("address", process.address.into()),
                ("status", process.status.into()),
                ("created_at", process.created_at.into()),
                ("created_by_device", process.created_by_device.into()),
                ("grace_period_ends_at", process.grace_period_ends_at.into()),
                ("audit_head", process.audit_head.into()),
                ("audit_seal", process.audit_seal.into()),
            ],
        ),
        Some(expected) => {
            let changes = parameters.assignments([
                ("revision", process.revision.into()),
                ("status", process.status.into()),
                ("reminder1_sent_at", process.reminder1_sent_at.into()),
                ("reminder2_sent_at", process.reminder2_sent_at.into()),
                ("reminder3_sent_at", process.reminder3_sent_at.into()),
                ("cancelled_at", process.cancelled_at.into()),
                ("cancelled_by_device", process.cancelled_by_device.into()),
                ("deletion_started_at", process.deletion_started_at.into()),
                ("deletion_completed_at", process.deletion_completed_at.into()),
                ("erasures", process.erasures.into()),
                ("audit_head", process.audit_head.into()),
                ("audit_seal", process.audit_seal.into()),
            ]);
            let (after, not_after) = deadline;
            format!(
                "UPDATE deletion_processes SET {changes} WHERE id = {} AND revision = {} \
                 AND grace_period_ends_at > {} AND grace_period_ends_at <= {}",
                parameters.bind(process.id),
                parameters.bind(expected),
                parameters.bind(after),
                parameters.bind(not_after),
            )
        }
    };
    let audit_entry = parameters.insert_with_process(
        "audit_entries",
        [
            ("process_id", id.clone().into()),
            ("sequence", entry.sequence.into()),
            ("created_at", entry.created_at.into()),
            ("old_status", entry.old_status.into()),
            ("new_status", entry.new_status.into()),
            ("message_key", entry.message_key.into()),
            ("additional_data", entry.additional_data.into()),
            ("identity_hash", entry.identity_hash.into()),
            ("device_hash", entry.device_hash.into()),
            ("hash", entry.hash.into()),
        ],
    );
    let mut parts =
        vec![format!("process AS ({write_process} RETURNING id)"), format!("audit_entry AS ({audit_entry})")];
    if let Some(event) = event {
        let event = parameters.insert_with_process(
            "outbox",
            [
                ("process_id", id.into()),
                ("revision", revision.into()),
                ("address", event.address.into()),
                ("event_type", event.event_type.into()),
                ("occurred_at", event.occurred_at.into()),
                ("data", event.data.into()),
            ],
        );
        parts.push(format!("event AS ({event})"));
    }
    if let Some(answered) = answered {
        let answer = parameters.insert_with_process(
            "answered_requests",
            [
                ("key", answered.key.into()),
                ("fingerprint", answered.fingerprint.into()),
                ("address", answered.address.into()),
                ("received_at", answered.received_at.into()),
                ("status", answered.status.into()),
                ("body", answered.body.into()),
            ],
        );
        parts.push(format!("answer AS ({answer})"));
    }
    (format!("WITH {} SELECT id FROM process", parts.join(", ")), parameters.0)
}
