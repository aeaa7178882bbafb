//! What a step writes, and the one way to write it: one text for both databases as far as they agree, on PostgreSQL one
//! statement, so one round trip, and on SQLite several that are handed over together, in one transaction.

use std::fmt::Write as _;

use reprieve_application::StoreError;
use reprieve_application::ports::Version;
use reprieve_domain::{Deadline, Status, Suspension, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

use crate::clocks::{DECIDING, DecidingClock, Limits, NOTED, Needs};
use crate::entities::{answered_request, audit_entry, deletion_process};
use crate::erasure_tasks::TaskRow;
use crate::error::store_error;
use crate::outbox::OutboxRow;

/// The condition of the index `one_open_process_per_identity`, word for word.
const OPEN: &str = "status NOT IN ('Cancelled', 'Deleted')";

/// A process has one suspension.
const REPLACED: &str = "ON CONFLICT (process_id) DO UPDATE SET suspended_until = excluded.suspended_until, \
                        shown_until = excluded.shown_until, is_active = excluded.is_active";

/// When a step is taken, and if that is not later than the step before, a microsecond after that one. So each step of an
/// identity has a greater one than the last, whatever the clocks of the instances say, and events are sequenced by it.
const LOGICAL_TIME: &str = "logical_time";

/// Everything that a step writes, laid out as rows.
pub(crate) struct Write {
    pub(crate) process: deletion_process::Model,
    pub(crate) audit_entry: audit_entry::Model,
    pub(crate) event: Option<OutboxRow>,
    /// What is to be done from now on.
    pub(crate) tasks: Vec<TaskRow>,
    pub(crate) answered: Option<answered_request::Model>,
    /// Until when the process is suspended.
    pub(crate) suspension: Option<Suspension>,
    /// Whether that, or whether the process is Active, may change with the step.
    pub(crate) changes_suspension: bool,
    /// The version that must be stored now; none for a process that must not exist yet.
    pub(crate) expected: Option<Version>,
    /// Whether every column is written, and not only what the step changes.
    pub(crate) is_whole: bool,
    /// What must hold of the stored deadline.
    pub(crate) deadline: Deadline,
    /// What the step needs of the clocks.
    pub(crate) needs: Needs,
}

/// The values that are bound, and the placeholders that stand for them. The same kind of step gives the same text, which
/// a connection has to prepare only once.
struct Parameters(Vec<Value>);

/// Room for a part of the text, in bytes. It is built anew for each step, so that it must not be copied while it grows.
const LENGTH: usize = 512;

impl Parameters {
    fn bind(&mut self, value: impl Into<Value>) -> String {
        let mut placeholder = String::new();
        self.place(value.into(), &mut placeholder);
        placeholder
    }

    fn place(&mut self, value: Value, sql: &mut String) {
        self.0.push(value);
        // Writing to a String cannot fail.
        let _ = write!(sql, "${}", self.0.len());
    }

    fn assignments(&mut self, columns: impl IntoIterator<Item = (&'static str, Value)>) -> String {
        let mut sql = String::with_capacity(LENGTH);
        for (number, (column, value)) in columns.into_iter().enumerate() {
            sql.push_str(if number == 0 { "" } else { ", " });
            sql.push_str(column);
            sql.push_str(" = ");
            self.place(value, &mut sql);
        }
        sql
    }

    fn insert<const N: usize>(&mut self, table: &str, columns: [(&str, Value); N]) -> String {
        self.insert_also(table, columns, &[])
    }

    /// With columns whose values the database finds.
    fn insert_also<const N: usize>(
        &mut self,
        table: &str,
        columns: [(&str, Value); N],
        found: &[(&str, &str)],
    ) -> String {
        let mut sql = String::with_capacity(LENGTH);
        sql.push_str("INSERT INTO ");
        sql.push_str(table);
        let names = columns.iter().map(|(column, _)| *column).chain(found.iter().map(|(column, _)| *column));
        for (number, column) in names.enumerate() {
            sql.push_str(if number == 0 { " (" } else { ", " });
            sql.push_str(column);
        }
        for (number, (_, value)) in columns.into_iter().enumerate() {
            sql.push_str(if number == 0 { ") SELECT " } else { ", " });
            self.place(value, &mut sql);
        }
        for (_, expression) in found {
            sql.push_str(", ");
            sql.push_str(expression);
        }
        sql
    }
}

impl Write {
    /// What it means if the statement writes no row.
    pub(crate) fn not_written(&self) -> StoreError {
        if self.expected.is_some() { StoreError::Conflict } else { StoreError::OpenProcessExists }
    }

    /// Whether it was written.
    ///
    /// # Errors
    /// If the store fails or one of the rows is taken. A transaction is to be rolled back then: on SQLite half of the step may
    /// be in it, and PostgreSQL would do nothing more in it and yet let it be committed, as if all were well.
    pub(crate) async fn execute(
        self,
        connection: &impl ConnectionTrait,
        clock: &DecidingClock,
    ) -> Result<bool, StoreError> {
        let backend = connection.get_database_backend();
        let statement = self.into_statement(backend, clock);
        let is_written = if backend == DbBackend::Postgres {
            return is_written(connection.query_one_raw(statement).await, clock);
        } else {
            // The statements are handed over together, because the thread that a connection has costs more per visit
            // than per statement.
            connection.execute_raw(statement).await.map(|written| written.rows_affected() > 0)
        };
        is_written.map_err(store_error)
    }

    /// Writes the process if the guard finds its row, or if there is none yet, and everything else *from* the row that
    /// was written: where the guard finds no row, nothing else comes to exist.
    pub(crate) fn into_statement(self, backend: DbBackend, clock: &DecidingClock) -> Statement {
        let Self {
            process, audit_entry, event, tasks, answered, expected, is_whole, deadline, needs, ..
        } = self;
        let (suspension, changes_suspension) = (self.suspension, self.changes_suspension);
        let is_active = process.status == Status::Active.as_str();
        let address = process.address.clone();
        let (id, revision) = (process.id.clone(), process.revision);
        let mut parameters = Parameters(Vec::with_capacity(64));
        let from_process = if backend == DbBackend::Postgres {
            "FROM process".to_owned()
        } else {
            // An insertion that comes after one that has written nothing writes nothing either.
            format!("FROM deletion_processes WHERE id = {} AND changes() > 0", parameters.bind(id.clone()))
        };
        let ends = ends_at(backend, &mut parameters, suspension);
        let mut guard =
            guard(backend, &mut parameters, clock, (deadline, &ends), needs, audit_entry.created_at);
        guard.push_str(&unless_held(&mut parameters, &process, expected.is_none(), deadline, suspension));
        let process = match expected {
            None => initiate(backend, &mut parameters, process, audit_entry.identity_hash.clone(), &guard),
            Some(expected) if is_whole => {
                let restored = restored(&mut parameters, &process);
                let step = step(&mut parameters, process, audit_entry.created_at, expected, &guard);
                step.replacen("SET ", &format!("SET {restored}, "), 1)
            }
            Some(expected) => step(&mut parameters, process, audit_entry.created_at, expected, &guard),
        };
        let mut others = vec![insert_audit_entry(&mut parameters, audit_entry)];
        for task in tasks {
            others.push(insert_task(&mut parameters, id.clone(), address.clone(), task));
        }
        others.extend(event.map(|event| insert_event(&mut parameters, id.clone(), revision, event)));
        others.extend(answered.map(|answered| insert_answer(&mut parameters, answered)));
        let suspended =
            changes_suspension.then(|| insert_suspension(&mut parameters, id, suspension, is_active));
        let mut sql = String::with_capacity(6 * LENGTH);
        // Writing to a String cannot fail.
        let _ = if backend == DbBackend::Postgres {
            let _ = write!(sql, "WITH process AS ({process} RETURNING id, {LOGICAL_TIME})");
            for (number, insert) in others.iter().enumerate() {
                let _ = write!(sql, ", other{number} AS ({insert} {from_process})");
            }
            if let Some(insert) = suspended {
                let _ = write!(sql, ", suspended AS ({insert} {from_process} {REPLACED})");
            }
            write!(sql, " SELECT (SELECT id FROM process) AS id{}", clock.columns())
        } else {
            sql.push_str(&process);
            let _ = others.iter().try_for_each(|insert| write!(sql, "; {insert} {from_process}"));
            suspended.iter().try_for_each(|insert| write!(sql, "; {insert} {from_process} {REPLACED}"))
        };
        Statement::from_sql_and_values(backend, sql, parameters.0)
    }
}

/// An open process that is in the way is no error of the database's, which would log it with the address.
///
/// The new process comes after all others of its identity, those that are only remembered as closed included. A statement
/// of PostgreSQL sees what was committed when it began: a process that was open then may be closed by the time the index
/// is asked, at a later logical time than is seen, so that the statement looks for itself; and one that was begun and
/// closed since has taken the number.
fn initiate(
    backend: DbBackend,
    parameters: &mut Parameters,
    process: deletion_process::Model,
    identity_hash: Vec<u8>,
    guard: &str,
) -> String {
    let address = parameters.bind(process.address.clone());
    let (now, identity_hash) = (parameters.bind(process.created_at), parameters.bind(identity_hash));
    let greatest = if backend == DbBackend::Postgres { "greatest" } else { "max" };
    let insert = parameters.insert_also(
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
        &[("number", "next.number"), (LOGICAL_TIME, "next.logical_time")],
    );
    // One look at the identity's processes: each further one costs a step more than all the rest of this does.
    format!(
        "{insert} FROM (\
         SELECT coalesce(max(number), 0) + 1 AS number, \
         {greatest}(CAST({now} AS bigint), coalesce(max({LOGICAL_TIME}) + 1, 0), coalesce((\
         SELECT max({LOGICAL_TIME}) + 1 FROM closed_processes WHERE identity_hash = {identity_hash}), 0)\
         ) AS {LOGICAL_TIME}, count(CASE WHEN {OPEN} THEN 1 END) AS open \
         FROM deletion_processes WHERE address = {address}) AS next \
         WHERE next.open = 0{guard} ON CONFLICT (address) WHERE {OPEN} DO NOTHING"
    )
}

/// What is fixed when a process is created is left alone, so that a change made outside shows.
fn step(
    parameters: &mut Parameters,
    process: deletion_process::Model,
    now: i64,
    expected: Version,
    guard: &str,
) -> String {
    let is_active = process.status == Status::Active.as_str();
    let is_cancelled = process.status == Status::Cancelled.as_str();
    // What the step cannot have changed is left alone as well; that is how the database tells this version from one that does
    // not verify what it acts on, see `m20261129_000008_quarantine`.
    let of_status: &mut dyn Iterator<Item = _> = if is_active {
        &mut [
            ("reminder1_sent_at", process.reminder1_sent_at.into()),
            ("reminder2_sent_at", process.reminder2_sent_at.into()),
            ("reminder3_sent_at", process.reminder3_sent_at.into()),
        ]
        .into_iter()
    } else if is_cancelled {
        &mut [
            ("cancelled_at", process.cancelled_at.into()),
            ("cancelled_by_device", process.cancelled_by_device.into()),
        ]
        .into_iter()
    } else {
        &mut [
            ("deletion_started_at", process.deletion_started_at.into()),
            ("deletion_completed_at", process.deletion_completed_at.into()),
            ("erasures", process.erasures.into()),
        ]
        .into_iter()
    };
    let always: [(_, Value); 4] = [
        ("revision", process.revision.into()),
        ("status", process.status.into()),
        ("audit_head", process.audit_head.into()),
        ("audit_seal", process.audit_seal.into()),
    ];
    let changes = parameters.assignments(always.into_iter().chain(of_status));
    let now = parameters.bind(now);
    format!(
        "UPDATE deletion_processes SET {changes}, \
         logical_time = CASE WHEN logical_time >= {now} AND logical_time < {} THEN logical_time + 1 ELSE {now} END \
         WHERE id = {} AND revision = {} AND audit_head = {}{guard}",
        i64::MAX,
        parameters.bind(process.id),
        parameters.bind(expected.length),
        parameters.bind(expected.hash.as_bytes().to_vec()),
    )
}

/// The end of the process. A suspension changes with steps only, so that the one that was loaded is the one that is stored.
fn ends_at(backend: DbBackend, parameters: &mut Parameters, suspension: Option<Suspension>) -> String {
    let promised = "grace_period_ends_at";
    let Some(Suspension { until, .. }) = suspension else { return promised.to_owned() };
    let greatest = if backend == DbBackend::Postgres { "greatest" } else { "max" };
    format!("{greatest}({promised}, CAST({} AS bigint))", parameters.bind(until.unix_micros()))
}

/// That no hold is in force that the step does not know: what is asked for begins suspended, and what is held does not start.
fn unless_held(
    parameters: &mut Parameters,
    process: &deletion_process::Model,
    is_new: bool,
    deadline: Deadline,
    suspension: Option<Suspension>,
) -> String {
    let known = match deadline {
        Deadline::IsReachedAt(now) => now.unix_micros(),
        _ if is_new => suspension.map_or(process.created_at, |held| held.until.unix_micros()),
        _ => return String::new(),
    };
    format!(
        " AND NOT EXISTS (SELECT 1 FROM holds WHERE holds.address = {} AND holds.ends_at > {})",
        parameters.bind(process.address.clone()),
        parameters.bind(known)
    )
}

/// What must hold of the deadline and of the clocks. The domain has decided by what this instance knew of them; whatever has
/// happened since, to a clock, to the process or on the way, the statement itself sees the clock that decides.
fn guard(
    backend: DbBackend,
    parameters: &mut Parameters,
    clock: &DecidingClock,
    (deadline, ends): (Deadline, &str),
    needs: Needs,
    dated: i64,
) -> String {
    let mut sql = String::new();
    let mut also = |condition: &str| {
        sql.push_str(" AND ");
        sql.push_str(condition);
    };
    match deadline {
        Deadline::IsAfter(now) => also(&format!("{ends} > {}", parameters.bind(now.unix_micros()))),
        Deadline::IsReachedAt(now) => also(&format!("{ends} <= {}", parameters.bind(now.unix_micros()))),
        Deadline::DoesNotMatter => {}
    }
    let Some(Limits { tolerance, greatest_gap }) = clock.limits() else { return sql };
    let postgres = backend == DbBackend::Postgres;
    let is_in_time = matches!(deadline, Deadline::IsAfter(_));
    if needs == Needs::Nothing && !(is_in_time && postgres) {
        return sql;
    }
    // As late as possible, and as it is: what the estimate has set right would never be seen.
    let machine = parameters.bind(clock.machine());
    let machine = format!("CAST({machine} AS bigint)");
    let now = if postgres { DECIDING } else { machine.as_str() };
    if needs != Needs::Nothing && postgres {
        also(&format!("abs({machine} - {now}) <= {tolerance}"));
    }
    match needs {
        Needs::NoGap => also(&format!("{now} - {NOTED} <= {greatest_gap}")),
        Needs::Agreement => also(&format!("{NOTED} - {now} <= {tolerance}")),
        // In time by one clock that counts is in time.
        Needs::Nothing => also(&format!(
            "({ends} > {now} OR (abs({machine} - {now}) > {tolerance} AND {ends} > {machine}) \
             OR ({now} - {NOTED} > {greatest_gap} AND {ends} > {NOTED}))"
        )),
    }
    match deadline {
        Deadline::IsReachedAt(_) => also(&format!("{ends} <= {now}")),
        Deadline::IsAfter(_) if needs != Needs::Nothing => also(&format!("{ends} > {now}")),
        Deadline::IsAfter(_) | Deadline::DoesNotMatter => {}
    }
    if needs != Needs::Nothing {
        // A clock may have been set between the two, and a promise that was dated by the other time would be no promise.
        also(&format!("abs({} - {now}) <= {tolerance}", parameters.bind(dated)));
    }
    sql
}

/// What came of a statement on PostgreSQL.
pub(crate) fn is_written(
    answer: Result<Option<QueryResult>, DbErr>,
    clock: &DecidingClock,
) -> Result<bool, StoreError> {
    let Some(row) = answer.map_err(store_error)? else { return Ok(false) };
    clock.learn(&row)?;
    row.try_get::<Option<String>>("", "id").map(|id| id.is_some()).map_err(store_error)
}

/// What a cancellation leaves alone otherwise.
fn restored(parameters: &mut Parameters, process: &deletion_process::Model) -> String {
    parameters.assignments([
        ("created_at", process.created_at.into()),
        ("created_by_device", process.created_by_device.clone().into()),
        ("grace_period_ends_at", process.grace_period_ends_at.into()),
        ("reminder1_sent_at", process.reminder1_sent_at.into()),
        ("reminder2_sent_at", process.reminder2_sent_at.into()),
        ("reminder3_sent_at", process.reminder3_sent_at.into()),
        ("deletion_started_at", process.deletion_started_at.into()),
        ("deletion_completed_at", process.deletion_completed_at.into()),
        ("erasures", process.erasures.clone().into()),
    ])
}

fn insert_audit_entry(parameters: &mut Parameters, entry: audit_entry::Model) -> String {
    parameters.insert(
        "audit_entries",
        [
            ("process_id", entry.process_id.into()),
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
    )
}

fn insert_task(parameters: &mut Parameters, process_id: String, address: String, task: TaskRow) -> String {
    parameters.insert(
        "erasure_tasks",
        [
            ("process_id", process_id.into()),
            ("eraser", task.eraser.into()),
            ("address", address.into()),
            ("due_at", task.due_at.into()),
            ("fence", 0_i64.into()),
            ("failures", 0_i64.into()),
            ("in_ledger", 0_i64.into()),
        ],
    )
}

/// Empty if it is not suspended any more.
fn insert_suspension(
    parameters: &mut Parameters,
    process_id: String,
    suspension: Option<Suspension>,
    is_active: bool,
) -> String {
    let until = suspension.map(|suspension| suspension.until.unix_micros());
    let shown = suspension.and_then(|suspension| suspension.shown_until).map(Timestamp::unix_micros);
    let columns = [
        ("process_id", process_id.into()),
        ("suspended_until", until.into()),
        ("shown_until", shown.into()),
        ("is_active", i64::from(is_active).into()),
    ];
    parameters.insert("suspensions", columns)
}

fn insert_event(parameters: &mut Parameters, process_id: String, revision: i64, event: OutboxRow) -> String {
    parameters.insert_also(
        "outbox",
        [
            ("process_id", process_id.into()),
            ("revision", revision.into()),
            ("address", event.address.into()),
            ("event_type", event.event_type.into()),
            ("occurred_at", event.occurred_at.into()),
            ("data", event.data.into()),
            ("event_id", event.event_id.into()),
            ("process", event.process.into()),
            ("trace_parent", event.trace_parent.into()),
            ("trace_state", event.trace_state.into()),
        ],
        &[(LOGICAL_TIME, LOGICAL_TIME)],
    )
}

fn insert_answer(parameters: &mut Parameters, answered: answered_request::Model) -> String {
    parameters.insert(
        "answered_requests",
        [
            ("key", answered.key.into()),
            ("fingerprint", answered.fingerprint.into()),
            ("address", answered.address.into()),
            ("received_at", answered.received_at.into()),
            ("status", answered.status.into()),
            ("body", answered.body.into()),
        ],
    )
}
