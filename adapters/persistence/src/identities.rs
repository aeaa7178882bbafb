//! The port `Identities`: loading an identity, and storing a step if nobody was faster.

use std::collections::HashSet;

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{Alongside, Decided, Holds, Identities, Loaded, TaskOutcome, Version};
use reprieve_domain::audit::{AuditedAction, ChainHead, DoubtedProcess};
use reprieve_domain::{Address, Deadline, Identity, Status, Step};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use crate::audit_trail::{chains_from, chains_of_open_process};
use crate::clocks::{DecidingClock, Needs};
use crate::deletion_processes::placeholders;
use crate::erasure_tasks::{self, TaskRow};
use crate::error::store_error;
use crate::mapping::{Row, answered_to_row, entry_to_row, process_from_row, process_to_row};
use crate::outbox::outbox_row;
use crate::pool::{Transaction, end};
use crate::write::{Write, is_written};
use crate::{Store, answered_requests};

/// The open process of an address. Written out, because building it anew costs every step more than reading the row.
///
/// The condition is that of the index `one_open_process_per_identity`, word for word: bound values would hide it from
/// the planners.
const OPEN_PROCESS: &str = "\
SELECT id, address, status, created_at, created_by_device, grace_period_ends_at, reminder1_sent_at, reminder2_sent_at, \
    reminder3_sent_at, cancelled_at, cancelled_by_device, deletion_started_at, deletion_completed_at, erasures, \
    revision, audit_head, suspended_until, shown_until$CLOCK \
FROM deletion_processes LEFT JOIN suspensions ON process_id = id WHERE address = $1 AND status NOT IN ('Cancelled', 'Deleted')";

#[async_trait]
impl Identities for Store {
    async fn load(&self, address: &Address) -> Result<Loaded<Identity>, StoreError> {
        let statement = open_process_of(self.reader.get_database_backend(), address, self.clock.columns());
        let Some(row) = self.reader.query_one_raw(statement).await.map_err(store_error)? else {
            // Only what it initiates depends on its holds, and those of an open process are part of that.
            let stored =
                Holds::of(self, std::slice::from_ref(address)).await?.remove(address).unwrap_or_default();
            let holds = stored.records.into_iter().map(|record| record.hold).collect();
            let value = Identity::new(address.clone()).with_holds(holds);
            return Ok(Loaded { value, version: ChainHead::EMPTY });
        };
        self.clock.learn(&row)?;
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

    async fn load_doubted(&self, address: &Address) -> Result<Option<DoubtedProcess>, StoreError> {
        let statement = chains_of_open_process(self.writer.get_database_backend(), address);
        let rows = self.writer.query_all_raw(statement).await.map_err(store_error)?;
        let chain = chains_from(&rows, false)?.into_iter().next();
        Ok(chain.and_then(|chain| self.audit_key.doubt(address, &chain)))
    }

    async fn save<'a>(
        &self,
        step: &Step,
        version: Version,
        alongside: Alongside<'a>,
    ) -> Result<(), StoreError> {
        if names_fault(step) {
            let transaction = self.writer.begin().await.map_err(store_error)?;
            let saved = self.save_doubted(&transaction, step, version, alongside).await;
            end(transaction, saved).await?;
        } else {
            let write = self.write_of(step, version, alongside)?;
            let (needs, not_written) = (write.needs, write.not_written());
            // A step that was dated by nothing but the clock of this machine is dated anew.
            if self.clock.ensure_seen().await? && needs != Needs::Nothing {
                return Err(not_written);
            }
            if !self.write(write, alongside).await? {
                return Err(self.clock.refusal(needs).unwrap_or(not_written));
            }
        }
        self.wake_ups.committed(step, alongside);
        Ok(())
    }

    async fn save_all(&self, steps: &[Decided]) -> Result<Vec<Result<bool, StoreError>>, StoreError> {
        let saved = match self.save_together(steps).await {
            Ok(saved) => saved,
            // The transaction itself could not be begun, so that nothing is known of any step.
            Err(NotSaved::Any(error)) => return Err(error),
            // One of them has spoilt it for all.
            Err(NotSaved::One) => {
                let mut saved = Vec::with_capacity(steps.len());
                for (step, version) in steps {
                    let write = self.write_of(step, *version, Alongside::Nothing)?;
                    saved.push(self.write(write, Alongside::Nothing).await);
                }
                saved
            }
        };
        // Of one that was not saved after all, a worker is woken for nothing.
        for (step, _) in steps {
            self.wake_ups.committed(step, Alongside::Nothing);
        }
        Ok(saved)
    }
}

/// Whether it leads to what cannot be undone: the deletion starts, or is complete.
fn may_be_paused(write: &Write) -> bool {
    let (before, after) = (&write.audit_entry.old_status, &write.audit_entry.new_status);
    [Status::Deleting, Status::Deleted].map(Status::as_str).contains(&after.as_str())
        && before.as_ref() != Some(after)
}

fn changes_suspension(step: &Step) -> bool {
    let action = &step.audit_entry().action;
    step.process().suspension().is_some() || matches!(action, AuditedAction::HoldReleasedBySupport { .. })
}

/// Whether a process is cancelled that does not verify.
fn names_fault(step: &Step) -> bool {
    matches!(step.audit_entry().action, AuditedAction::CancelledByOwner { fault: Some(_) })
}

const NEWEST_ENTRY: &str =
    "SELECT sequence, hash FROM audit_entries WHERE process_id = $1 ORDER BY sequence DESC LIMIT 1";

/// Why steps were not saved together.
enum NotSaved {
    Any(StoreError),
    One,
}

impl Store {
    /// Stores the cancellation of a process that does not verify. Its entry comes behind the newest that there is, whatever
    /// the row says of it, and what tasks were made of it are gone.
    async fn save_doubted(
        &self,
        transaction: &Transaction,
        step: &Step,
        version: Version,
        alongside: Alongside<'_>,
    ) -> Result<(), StoreError> {
        let id = step.process().id().as_str();
        let newest = self.statement(NEWEST_ENTRY.to_owned(), vec![id.into()]);
        let newest = transaction.query_one_raw(newest).await.map_err(store_error)?;
        let mut head = version;
        if let Some(newest) = newest {
            let row = Row::named(&newest, "audit_entries", id);
            head = ChainHead { length: row.get("sequence")?, hash: row.bytes::<32>("hash")?.into() };
        }
        let mut write = self.write_of(step, head, alongside)?;
        write.expected = Some(version);
        write.is_whole = true;
        write.changes_suspension = true;
        erasure_tasks::execute(
            transaction,
            "DELETE FROM erasure_tasks WHERE process_id = $1",
            vec![id.into()],
        )
        .await?;
        if write_in(transaction, write, alongside, &self.clock).await? {
            Ok(())
        } else {
            Err(StoreError::Conflict)
        }
    }

    /// Everything that storing a step writes.
    pub(crate) fn write_of(
        &self,
        step: &Step,
        version: Version,
        alongside: Alongside<'_>,
    ) -> Result<Write, StoreError> {
        let is_new = step.audit_entry().old_status.is_none();
        let head_before = if is_new { ChainHead::EMPTY } else { version };
        let (sealed, head) = self.audit_key.seal(step.audit_entry(), head_before);
        let event = outbox_row(step, &sealed)?;
        let answered = match alongside {
            Alongside::Answer(answered) => Some(answered_to_row(answered)),
            Alongside::Nothing | Alongside::Task(..) | Alongside::Waiver(_) => None,
        };
        Ok(Write {
            process: process_to_row(step.process(), head, &self.audit_key)?,
            audit_entry: entry_to_row(sealed),
            event,
            tasks: step.tasks().iter().map(TaskRow::from).collect(),
            answered,
            suspension: step.process().suspension(),
            changes_suspension: changes_suspension(step),
            expected: (!is_new).then_some(version),
            is_whole: false,
            deadline: step.deadline(),
            needs: match (step.deadline(), step.process().status()) {
                (Deadline::DoesNotMatter, _) if is_new => Needs::Agreement,
                (Deadline::IsReachedAt(_), _) | (Deadline::IsAfter(_), Status::Active) => Needs::NoGap,
                (Deadline::IsAfter(_) | Deadline::DoesNotMatter, _) => Needs::Nothing,
            },
        })
    }

    /// Whether it was written, by itself.
    async fn write(&self, write: Write, alongside: Alongside<'_>) -> Result<bool, StoreError> {
        let may_be_paused = may_be_paused(&write);
        if self.writer.get_database_backend() == DbBackend::Postgres
            && matches!(alongside, Alongside::Nothing | Alongside::Answer(_))
            && !may_be_paused
        {
            // One statement, so one round trip.
            let clock = &self.clock;
            let written =
                self.writer.query_at_once(|| write.into_statement(DbBackend::Postgres, clock)).await;
            let is_written = is_written(written, clock)?;
            if is_written {
                self.writer.note_stored();
            }
            return Ok(is_written);
        }
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let written = async {
            if may_be_paused {
                self.ensure_not_paused(&transaction).await?;
            }
            write_in(&transaction, write, alongside, &self.clock).await
        };
        match written.await {
            Ok(true) => transaction.commit().await.map(|()| true).map_err(store_error),
            // Whatever else was done for it is undone with it.
            not_written => {
                transaction.rollback().await;
                not_written
            }
        }
    }

    /// All in one transaction. A process that another worker has locked is left alone, rather than waited for.
    async fn save_together(&self, steps: &[Decided]) -> Result<Vec<Result<bool, StoreError>>, NotSaved> {
        let any = |error| NotSaved::Any(store_error(error));
        let transaction = self.writer.begin().await.map_err(any)?;
        let written = async {
            let writes =
                steps.iter().map(|(step, version)| self.write_of(step, *version, Alongside::Nothing));
            let writes: Vec<Write> = writes.collect::<Result<_, _>>()?;
            if writes.iter().any(may_be_paused) {
                self.ensure_not_paused(&transaction).await?;
            }
            let free = self.lock_free(&transaction, steps).await?;
            let mut written = Vec::with_capacity(steps.len());
            for ((step, _), write) in steps.iter().zip(writes) {
                let is_free = free.as_ref().is_none_or(|free| free.contains(step.process().id().as_str()));
                written.push(Ok(is_free && write.execute(&transaction, &self.clock).await?));
            }
            Ok(written)
        };
        let written = written.await;
        end(transaction, written).await.map_err(|error| match error {
            StoreError::Paused(_) => NotSaved::Any(error),
            _ => NotSaved::One,
        })
    }

    /// Those of the processes that nothing else has locked; SQLite has one writer, which is who asks.
    async fn lock_free(
        &self,
        transaction: &Transaction,
        steps: &[Decided],
    ) -> Result<Option<HashSet<String>>, StoreError> {
        if transaction.get_database_backend() != DbBackend::Postgres {
            return Ok(None);
        }
        let ids: Vec<Value> = steps.iter().map(|(step, _)| step.process().id().as_str().into()).collect();
        let sql = format!(
            "SELECT id FROM deletion_processes WHERE id IN ({}) ORDER BY id FOR UPDATE SKIP LOCKED",
            placeholders(ids.len())
        );
        let rows = transaction.query_all_raw(self.statement(sql, ids)).await.map_err(store_error)?;
        let ids = rows.iter().map(|row| Row::named(row, "deletion_processes", "unknown").get("id"));
        ids.collect::<Result<_, _>>().map(Some)
    }
}

/// Whether it was written, in a transaction that is to be rolled back if it was not: half of it may be in it.
pub(crate) async fn write_in(
    transaction: &Transaction,
    mut write: Write,
    alongside: Alongside<'_>,
    clock: &DecidingClock,
) -> Result<bool, StoreError> {
    // By itself: SQLite does not say which key it was that was taken.
    if transaction.get_database_backend() == DbBackend::Sqlite
        && let Some(answered) = write.answered.take()
    {
        answered_requests::insert(transaction, answered).await?;
    }
    // The row of the task first: the worker that has it now is the only one to have written it.
    let finish = match alongside {
        Alongside::Nothing | Alongside::Answer(_) => None,
        Alongside::Task(task, outcome, now) => {
            erasure_tasks::note_outcome(transaction, task, outcome, now).await?;
            (*outcome == TaskOutcome::Acknowledged).then_some((&task.process_id, now))
        }
        Alongside::Waiver(waiver) => {
            erasure_tasks::note_waiver(transaction, waiver).await?;
            Some((&waiver.process_id, waiver.waived_at))
        }
    };
    let is_written = write.execute(transaction, clock).await?;
    if let Some((process, now)) = finish {
        erasure_tasks::wake_finish(transaction, process, now).await?;
    }
    Ok(is_written)
}

pub(crate) fn open_process_of(backend: DbBackend, address: &Address, clock: &str) -> Statement {
    let sql = OPEN_PROCESS.replace("$CLOCK", clock);
    Statement::from_sql_and_values(backend, sql, [address.as_str().into()])
}
