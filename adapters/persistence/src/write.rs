//! Everything that a step writes: as rows, and as the parameters of the statements that write them.

use sea_orm::{DbBackend, Statement, Value};

use crate::entities::{audit_entry, deletion_process};
use crate::outbox::OutboxRow;

/// Everything that a step writes, laid out as rows.
pub(crate) struct Write {
    pub(crate) process: deletion_process::Model,
    pub(crate) audit_entry: audit_entry::Model,
    pub(crate) event: Option<OutboxRow>,
    /// The revision that must be stored now; none for a process that must not exist yet.
    pub(crate) expected_revision: Option<i64>,
    /// The stored deadline must lie after the first instant and not after the second (microseconds of Unix time).
    pub(crate) deadline: (i64, i64),
}

/// What writes a process, with parameters from $15: the same in both databases.
///
/// Parameters $1 to $14 are the audit entry and the event, of which $1 (the id) and $2 (the revision) are the process's
/// as well.
macro_rules! initiate_process {
    () => {
        "INSERT INTO deletion_processes (id, revision, address, status, created_at, created_by_device, \
         grace_period_ends_at, audit_head, audit_seal) VALUES ($1, $2, $15, $16, $17, $18, $19, $20, $21)"
    };
}

/// What is fixed when a process is created is left alone, so that a change made outside shows.
macro_rules! step_process {
    () => {
        "UPDATE deletion_processes SET revision = $2, status = $15, reminder1_sent_at = $16, reminder2_sent_at = $17, \
         reminder3_sent_at = $18, cancelled_at = $19, cancelled_by_device = $20, deletion_started_at = $21, \
         deletion_completed_at = $22, erasures = $23, audit_head = $24, audit_seal = $25 \
         WHERE id = $1 AND revision = $26 AND grace_period_ends_at > $27 AND grace_period_ends_at <= $28"
    };
}

pub(crate) use {initiate_process, step_process};

impl Write {
    /// The text for a new process or the one for every other step, with its parameters.
    pub(crate) fn into_statement(self, backend: DbBackend, initiate: &str, step: &str) -> Statement {
        let Self { process, audit_entry: entry, event, expected_revision, deadline: (after, not_after) } =
            self;
        let (address, event_type, occurred_at, data) = match event {
            Some(event) => (
                Some(event.address),
                Some(event.event_type.to_owned()),
                Some(event.occurred_at),
                Some(event.data),
            ),
            None => (None, None, None, None),
        };
        let mut values: Vec<Value> = vec![
            process.id.into(),
            process.revision.into(),
            entry.created_at.into(),
            entry.old_status.into(),
            entry.new_status.into(),
            entry.message_key.into(),
            entry.additional_data.into(),
            entry.identity_hash.into(),
            entry.device_hash.into(),
            entry.hash.into(),
            address.into(),
            event_type.into(),
            occurred_at.into(),
            data.into(),
        ];
        let sql = match expected_revision {
            None => {
                values.extend([
                    process.address.into(),
                    process.status.into(),
                    process.created_at.into(),
                    process.created_by_device.into(),
                    process.grace_period_ends_at.into(),
                    process.audit_head.into(),
                    process.audit_seal.into(),
                ]);
                initiate
            }
            Some(expected) => {
                values.extend([
                    process.status.into(),
                    process.reminder1_sent_at.into(),
                    process.reminder2_sent_at.into(),
                    process.reminder3_sent_at.into(),
                    process.cancelled_at.into(),
                    process.cancelled_by_device.into(),
                    process.deletion_started_at.into(),
                    process.deletion_completed_at.into(),
                    process.erasures.into(),
                    process.audit_head.into(),
                    process.audit_seal.into(),
                    expected.into(),
                    after.into(),
                    not_after.into(),
                ]);
                step
            }
        };
        Statement::from_sql_and_values(backend, sql, values)
    }
}
