//! The port `Identities`: loading an identity, and storing a step if nobody was faster.

use async_trait::async_trait;
use reprieve_application::ports::{Identities, Loaded, Version};
use reprieve_application::{AnsweredRequest, StoreError};
use reprieve_domain::audit::ChainHead;
use reprieve_domain::{Address, Deadline, Identity, Step};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::Store;
use crate::erasure_tasks::tasks_of;
use crate::error::store_error;
use crate::mapping::{answered_to_row, entry_to_row, process_from_row, process_to_row};
use crate::outbox::outbox_row;
use crate::pool::Transaction;
use crate::write::Write;

/// The open process of an address. Written out, because building it anew costs every step more than reading the row.
///
/// The condition is that of the index `one_open_process_per_identity`, word for word: bound values would hide it from
/// the planners.
const OPEN_PROCESS: &str = "\
SELECT id, address, status, created_at, created_by_device, grace_period_ends_at, reminder1_sent_at, reminder2_sent_at, \
    reminder3_sent_at, cancelled_at, cancelled_by_device, deletion_started_at, deletion_completed_at, erasures, \
    revision, audit_head \
FROM deletion_processes WHERE address = $1 AND status NOT IN ('Cancelled', 'Deleted')";

#[async_trait]
impl Identities for Store {
    async fn load(&self, address: &Address) -> Result<Loaded<Identity>, StoreError> {
        let statement = open_process_of(self.reader.get_database_backend(), address);
        let Some(row) = self.reader.query_one_raw(statement).await.map_err(store_error)? else {
            return Ok(Loaded { value: Identity::new(address.clone()), version: ChainHead::EMPTY });
        };
        let (process, version) = process_from_row(&row)?;
        let key = process.id().to_string();
        let value = Identity::with_open_process(process).map_err(|not_open| StoreError::Corrupt {
            table: "deletion_processes",
            key,
            column: "status".to_owned(),
            problem: not_open.to_string(),
        })?;
        Ok(Loaded { value, version })
    }

    async fn save<'a>(
        &self,
        step: &Step,
        version: Version,
        answered: Option<&'a AnsweredRequest>,
    ) -> Result<(), StoreError> {
        let write = self.write_of(step, version, answered)?;
        match self.writer.get_database_backend() {
            #[cfg(feature = "postgres")]
            sea_orm::DbBackend::Postgres => crate::save_postgres::save(&self.writer, write).await,
            _ => crate::save_sqlite::save(&self.writer, write).await,
        }
    }
}

impl Store {
    /// Everything that storing a step writes.
    fn write_of(
        &self,
        step: &Step,
        version: Version,
        answered: Option<&AnsweredRequest>,
    ) -> Result<Write, StoreError> {
        let is_new = step.audit_entry().old_status.is_none();
        let head_before = if is_new { ChainHead::EMPTY } else { version };
        let (sealed, head) = self.audit_key.seal(step.audit_entry(), head_before);
        let event = outbox_row(step, &sealed)?;
        Ok(Write {
            process: process_to_row(step.process(), head, &self.audit_key)?,
            audit_entry: entry_to_row(sealed),
            event,
            tasks: tasks_of(step),
            answered: answered.map(answered_to_row),
            expected_revision: (!is_new).then_some(version.length),
            deadline: match step.deadline() {
                Deadline::IsAfter(now) => (now.unix_micros(), i64::MAX),
                Deadline::IsReachedAt(now) => (i64::MIN, now.unix_micros()),
                Deadline::DoesNotMatter => (i64::MIN, i64::MAX),
            },
        })
    }

    /// Stores a step in a transaction that stores other things as well; tells whether it did, which it does not if the
    /// process is not in the version that the step was decided on.
    ///
    /// # Errors
    /// If the store fails or one of the rows is taken. The transaction is to be rolled back then: on SQLite half of the
    /// step may be in it, and PostgreSQL would do nothing more in it and yet let it be committed, as if all were well.
    pub(crate) async fn write_step(
        &self,
        transaction: &Transaction,
        step: &Step,
        version: Version,
    ) -> Result<bool, StoreError> {
        let write = self.write_of(step, version, None)?;
        match transaction.get_database_backend() {
            #[cfg(feature = "postgres")]
            DbBackend::Postgres => crate::save_postgres::write_all(transaction, write).await,
            _ => crate::save_sqlite::write_all(transaction, write).await,
        }
    }
}

pub(crate) fn open_process_of(backend: DbBackend, address: &Address) -> Statement {
    Statement::from_sql_and_values(backend, OPEN_PROCESS, [address.as_str().into()])
}
