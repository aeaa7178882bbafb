//! The clocks of a deployment: which of them decides, whether the others agree, and what is remembered of the time.
//!
//! What lives here: the estimate of the deciding clock, the conditions that the statements which write put to it, the record
//! of the newest instant that has certainly passed, and the port [`ClockGuard`]. What does not: what a step needs of the
//! time, which the domain says.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{Clock, ClockDoubt, ClockGuard, ClockReadings};
use reprieve_domain::audit::{ChainHead, ClockConfirmation, ClockRecord, KeyedHash};
use reprieve_domain::{Moment, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use crate::Store;
use crate::erasure_tasks::execute;
use crate::error::store_error;
use crate::mapping::Row;
use crate::pool::{Pool, Transaction, end};

/// What the deciding clock shows, where the database has one.
pub(crate) const DECIDING: &str = "deciding_clock()";
/// The newest instant that has certainly passed. Without the record nothing is known to have passed.
pub(crate) const NOTED: &str = "coalesce((SELECT noted FROM clock_record), 0)";
/// After so long without a step back, a clock that is the only one is believed (microseconds).
const DOUBT_ENDS_AFTER: i64 = 24 * 3_600 * 1_000_000;

const RECORD: &str =
    "SELECT noted, doubted_since, doubted_until, confirmations, confirmed, seal FROM clock_record";

/// The clock of the machine, and how far clocks may be apart.
#[derive(Clone)]
pub struct Clocks {
    machine: Arc<dyn Clock>,
    limits: Option<Limits>,
}

/// In microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) tolerance: i64,
    pub(crate) greatest_gap: i64,
}

impl Clocks {
    /// How far clocks may be apart where nothing else is said.
    pub const TOLERANCE: Duration = Duration::from_secs(5);
    /// How far the deciding clock may be ahead of what was noted where nothing else is said.
    pub const GREATEST_GAP: Duration = Duration::from_hours(48);

    /// Of clocks that differ by no more than `tolerance`, the deciding one is right: the database server's, or the machine's
    /// where the database has none. Further apart, they disagree. And the deciding one is believed while it is no more than
    /// `greatest_gap` ahead of the newest instant that has certainly passed.
    #[must_use]
    pub fn compared(machine: Arc<dyn Clock>, tolerance: Duration, greatest_gap: Duration) -> Self {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4);
        let limits = Limits { tolerance: micros(tolerance), greatest_gap: micros(greatest_gap) };
        Self { machine, limits: Some(limits) }
    }

    /// The clock of the machine decides, whatever it shows. For tests, in which time is what they say.
    #[must_use]
    pub fn believed(machine: Arc<dyn Clock>) -> Self {
        Self { machine, limits: None }
    }
}

impl fmt::Debug for Clocks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Clocks").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The clock that decides, as this instance knows it.
#[derive(Debug)]
pub(crate) struct DecidingClock {
    clocks: Clocks,
    pool: Pool,
    columns: String,
    seen: Mutex<Option<Seen>>,
}

/// What the deciding clock showed and was noted when an answer of the database came.
#[derive(Debug, Clone, Copy)]
struct Seen {
    shown: i64,
    noted: i64,
    at: Instant,
}

impl Seen {
    /// What it shows since, if it goes on.
    fn shown_now(&self) -> i64 {
        let since = i64::try_from(self.at.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.shown.saturating_add(since)
    }
}

impl DecidingClock {
    pub(crate) fn new(clocks: Clocks, pool: Pool) -> Self {
        let is_postgres = pool.get_database_backend() == DbBackend::Postgres;
        let columns = match (clocks.limits.is_some(), is_postgres) {
            (false, _) => String::new(),
            (true, false) => format!(", {NOTED} AS noted_instant"),
            (true, true) => format!(", {NOTED} AS noted_instant, {DECIDING} AS deciding_clock"),
        };
        Self { clocks, pool, columns, seen: Mutex::new(None) }
    }

    /// The same clock, asked over other connections.
    pub(crate) fn over(&self, pool: Pool) -> Self {
        Self::new(self.clocks.clone(), pool)
    }

    /// How far clocks may be apart; none if they are not compared.
    pub(crate) fn limits(&self) -> Option<Limits> {
        self.clocks.limits
    }

    /// Microseconds of Unix time by the clock of this machine, as it is.
    pub(crate) fn machine(&self) -> i64 {
        self.clocks.machine.now().unix_micros()
    }

    /// Whether the database has a clock of its own, which then decides.
    fn is_the_databases(&self) -> bool {
        self.clocks.limits.is_some() && self.pool.get_database_backend() == DbBackend::Postgres
    }

    /// The columns that tell of the clock in a query of the same database; none if the clocks are not compared.
    pub(crate) fn columns(&self) -> &str {
        &self.columns
    }

    /// Learns from a row with those columns. The clock has gone on since, so that this is the lower end of what it can show.
    pub(crate) fn learn(&self, row: &QueryResult) -> Result<(), StoreError> {
        if self.clocks.limits.is_none() {
            return Ok(());
        }
        let row = Row::named(row, "clock_record", "1");
        let noted = row.get("noted_instant")?;
        let shown = if self.is_the_databases() { row.get("deciding_clock")? } else { self.machine() };
        let seen = Seen { shown, noted, at: Instant::now() };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(())
    }

    /// What was seen last, of whichever server.
    fn seen_last(&self) -> Option<Seen> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen of the server that is asked now.
    fn seen(&self) -> Option<Seen> {
        self.seen_last().filter(|seen| self.pool.is_trusted_since(seen.at))
    }

    /// Asks, if nothing is known of the clock; returns whether that was so.
    pub(crate) async fn ensure_seen(&self) -> Result<bool, StoreError> {
        if self.clocks.limits.is_none() || self.seen().is_some() {
            return Ok(false);
        }
        self.look().await.map(|()| true)
    }

    async fn look(&self) -> Result<(), StoreError> {
        self.look_through(&self.pool).await
    }

    async fn look_through(&self, connection: &impl ConnectionTrait) -> Result<(), StoreError> {
        let sql = format!("SELECT 1 AS one{}", self.columns());
        let statement = Statement::from_string(self.pool.get_database_backend(), sql);
        let row = connection.query_one_raw(statement).await.map_err(store_error)?;
        row.as_ref().map_or(Ok(()), |row| self.learn(row))
    }

    /// Asks the clocks within a transaction that forgets.
    ///
    /// # Errors
    /// If they are not believed.
    pub(crate) async fn check_in(&self, transaction: &Transaction) -> Result<(), StoreError> {
        if self.clocks.limits.is_none() {
            return Ok(());
        }
        self.look_through(transaction).await?;
        self.refusal(Needs::NoGap).map_or(Ok(()), Err)
    }

    /// What the clocks show: the deciding one, the machine's and what was noted.
    fn readings(&self) -> (i64, i64, i64) {
        let machine = self.machine();
        match self.seen() {
            Some(seen) if self.is_the_databases() => (seen.shown_now(), machine, seen.noted),
            Some(Seen { noted, .. }) => (machine, machine, noted),
            None => (machine, machine, machine),
        }
    }

    /// Why a step that needs the clocks to be right was not stored, if it was that.
    pub(crate) fn refusal(&self, needs: Needs) -> Option<StoreError> {
        let Limits { tolerance, greatest_gap } = self.clocks.limits?;
        let (deciding, machine, noted) = self.readings();
        let (now, noted_instant) = (instant(deciding), instant(noted));
        match needs {
            Needs::Agreement | Needs::NoGap if (machine - deciding).abs() > tolerance => {
                Some(StoreError::ClocksDisagree { machine: instant(machine), database: now })
            }
            Needs::NoGap if deciding - noted > greatest_gap => {
                Some(StoreError::ClockAhead { now, noted: (noted > 0).then_some(noted_instant) })
            }
            Needs::Agreement if noted - deciding > tolerance => {
                Some(StoreError::ClockBehind { now, noted: noted_instant })
            }
            Needs::Nothing | Needs::Agreement | Needs::NoGap => None,
        }
    }
}

/// What a step needs of the clocks, beyond what it says of the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: it is taken whatever they show.
    Nothing,
    /// They agree, and the present is not before what was noted.
    Agreement,
    /// They agree, and the present is believable.
    NoGap,
}

impl Clock for DecidingClock {
    fn now(&self) -> Timestamp {
        instant(self.readings().0)
    }

    fn moment(&self) -> Moment {
        let Some(Limits { tolerance, greatest_gap }) = self.clocks.limits else {
            return self.clocks.machine.moment();
        };
        let (deciding, machine, noted) = self.readings();
        let mut moment = Moment::from(instant(deciding));
        if (machine - deciding).abs() > tolerance {
            moment = moment.or(instant(machine));
        }
        // Behind it, what was noted has passed all the same: a token that was made since is not from the future.
        if deciding - noted > greatest_gap || noted - deciding > tolerance {
            moment = moment.or(instant(noted));
        }
        // Another server may answer next, or the same one: by what it showed, a token that was accepted just now still is.
        match self.seen_last() {
            Some(seen) if self.seen().is_none() => moment.or(instant(seen.shown_now())),
            Some(_) | None => moment,
        }
    }
}

/// A number that is beyond the calendar is the end of it that is nearer.
fn instant(micros: i64) -> Timestamp {
    let last = || Timestamp::from_unix_micros(253_402_300_799_999_999);
    Timestamp::from_unix_micros(micros.max(0))
        .or_else(|_| last())
        .unwrap_or_else(|_| unreachable!("it is within"))
}

impl Store {
    /// The clock of the deployment.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Whether any instant was noted yet.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn has_noted(&self) -> Result<bool, StoreError> {
        self.clock.look().await?;
        Ok(self.clock.readings().2 > 0)
    }

    /// Notes the present, where nothing was noted yet: the database is new, or was written by an older version.
    pub(crate) async fn begin_to_note(&self) -> Result<(), StoreError> {
        if self.clock.limits().is_none() {
            return Ok(());
        }
        self.clock.look().await?;
        let (deciding, _, noted) = self.clock.readings();
        if noted == 0 {
            let record = ClockRecord { noted: deciding, doubted: None, confirmations: ChainHead::EMPTY };
            let values = self.record_values(&record);
            let insert = "INSERT INTO clock_record \
                          (id, noted, doubted_since, doubted_until, confirmations, confirmed, seal) \
                          VALUES (1, $1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
            match execute(&self.writer, insert, values).await {
                // Whatever cannot be written to starts no deletions either.
                Ok(_) | Err(StoreError::ReadOnly(_) | StoreError::Full(_)) => {}
                Err(error) => return Err(error),
            }
            self.clock.look().await?;
        }
        Ok(())
    }

    fn record_values(&self, record: &ClockRecord) -> Vec<Value> {
        let (since, until) = record.doubted.unzip();
        vec![
            record.noted.into(),
            since.into(),
            until.into(),
            record.confirmations.length.into(),
            record.confirmations.hash.as_bytes().to_vec().into(),
            self.audit_key.seal_clock_record(record).as_bytes().to_vec().into(),
        ]
    }

    /// What is remembered of the time; nothing if there is no record that this deployment has written.
    pub(crate) async fn clock_record(
        &self,
        connection: &impl ConnectionTrait,
    ) -> Result<Option<ClockRecord>, StoreError> {
        let statement = Statement::from_string(connection.get_database_backend(), RECORD);
        let row = connection.query_one_raw(statement).await.map_err(store_error)?;
        Ok(row.and_then(|row| self.sealed_record(&row).ok().flatten()))
    }

    fn sealed_record(&self, row: &QueryResult) -> Result<Option<ClockRecord>, StoreError> {
        let row = Row::named(row, "clock_record", "1");
        let doubted = match (row.get("doubted_since")?, row.get("doubted_until")?) {
            (None, None) => None,
            (Some(since), Some(until)) => Some((since, until)),
            (Some(_), None) | (None, Some(_)) => return Ok(None),
        };
        let confirmations =
            ChainHead { length: row.get("confirmations")?, hash: row.bytes::<32>("confirmed")?.into() };
        let record = ClockRecord { noted: row.get("noted")?, doubted, confirmations };
        let seal = KeyedHash::from(row.bytes::<32>("seal")?);
        Ok((self.audit_key.seal_clock_record(&record) == seal).then_some(record))
    }

    /// Replaces the record, if it is still that.
    async fn replace_record(
        &self,
        connection: &impl ConnectionTrait,
        before: &ClockRecord,
        after: &ClockRecord,
    ) -> Result<bool, StoreError> {
        let mut values = self.record_values(after);
        values.push(self.audit_key.seal_clock_record(before).as_bytes().to_vec().into());
        let update = "UPDATE clock_record SET noted = $1, doubted_since = $2, doubted_until = $3, \
                      confirmations = $4, confirmed = $5, seal = $6 WHERE seal = $7";
        execute(connection, update, values).await.map(|updated| updated > 0)
    }

    /// Whether the record and every confirmation are what this deployment has written.
    pub(crate) async fn verify_clock_record(&self) -> Result<bool, StoreError> {
        let backend = self.reader.get_database_backend();
        let all = "SELECT sequence, clock, noted_before, noted FROM clock_confirmations ORDER BY sequence";
        let rows =
            self.reader.query_all_raw(Statement::from_string(backend, all)).await.map_err(store_error)?;
        let record = Statement::from_string(backend, RECORD);
        let Some(row) = self.reader.query_one_raw(record).await.map_err(store_error)? else {
            // Where clocks are not compared there is none.
            return Ok(self.clock.limits().is_none() && rows.is_empty());
        };
        let Some(record) = self.sealed_record(&row).ok().flatten() else { return Ok(false) };
        let mut head = ChainHead::EMPTY;
        for row in &rows {
            let row = Row::named(row, "clock_confirmations", "unknown");
            let (clock, noted_before, noted) =
                (row.get("clock")?, row.get("noted_before")?, row.get("noted")?);
            head = self.audit_key.confirm(head, &ClockConfirmation { clock, noted_before, noted });
            if row.get::<i64>("sequence")? != head.length {
                return Ok(false);
            }
        }
        Ok(head == record.confirmations)
    }
}

#[async_trait]
impl ClockGuard for Store {
    async fn check(&self) -> Result<(), StoreError> {
        let Some(Limits { tolerance, greatest_gap }) = self.clock.limits() else { return Ok(()) };
        self.clock.look().await?;
        let record = self.clock_record(&self.writer).await?;
        let (deciding, machine, _) = self.clock.readings();
        let now = instant(deciding);
        if (machine - deciding).abs() > tolerance {
            return Err(StoreError::ClocksDisagree { machine: instant(machine), database: now });
        }
        let Some(record) = record else { return Err(StoreError::ClockAhead { now, noted: None }) };
        let mut after = ClockRecord { doubted: None, noted: record.noted.max(deciding), ..record };
        if deciding - record.noted > greatest_gap {
            // Two clocks that agree are still one if the database runs on the same machine; a single one may be believed in
            // time, because a machine that was off for a month may have no operator.
            let doubted = match record.doubted {
                Some((since, until)) if deciding >= until - tolerance => (since, until.max(deciding)),
                Some(_) | None => (deciding, deciding),
            };
            let is_over = deciding - doubted.0 >= DOUBT_ENDS_AFTER;
            if self.writer.get_database_backend() == DbBackend::Postgres || !is_over {
                after = ClockRecord { doubted: Some(doubted), ..record };
            }
        }
        let is_doubted = after.doubted.is_some();
        if after != record {
            // Another instance that has just noted something has noted as much.
            self.replace_record(&self.writer, &record, &after).await?;
        }
        if is_doubted {
            return Err(StoreError::ClockAhead { now, noted: Some(instant(record.noted)) });
        }
        self.clock.look().await
    }

    async fn compare(&self) -> Result<ClockReadings, StoreError> {
        self.clock.look().await?;
        let record = self.clock_record(&self.reader).await?;
        let (deciding, machine, _) = self.clock.readings();
        let noted = record.map(|record| record.noted);
        let doubt = self.clock.limits().and_then(|Limits { tolerance, greatest_gap }| {
            if (machine - deciding).abs() > tolerance {
                Some(ClockDoubt::Disagree)
            } else if noted.is_none_or(|noted| deciding - noted > greatest_gap) {
                Some(ClockDoubt::Ahead)
            } else {
                noted.is_some_and(|noted| noted - deciding > tolerance).then_some(ClockDoubt::Behind)
            }
        });
        Ok(ClockReadings {
            deciding: instant(deciding),
            machine: instant(machine),
            noted: noted.map(instant),
            doubt,
        })
    }

    async fn confirm(&self, instant: Timestamp) -> Result<(), StoreError> {
        self.clock.look().await?;
        let transaction = self.writer.begin().await.map_err(store_error)?;
        let confirmed = async {
            if transaction.get_database_backend() == DbBackend::Postgres {
                execute(&transaction, "LOCK TABLE clock_record IN EXCLUSIVE MODE", Vec::new()).await?;
            }
            let record = self.clock_record(&transaction).await?;
            let before = if let Some(record) = record {
                record.confirmations
            } else {
                // What was there is not to be trusted: all that is still there begins anew.
                execute(&transaction, "DELETE FROM clock_confirmations", Vec::new()).await?;
                ChainHead::EMPTY
            };
            let confirmation = ClockConfirmation {
                clock: self.clock.readings().0,
                noted_before: record.map(|record| record.noted),
                noted: instant.unix_micros(),
            };
            let confirmations = self.audit_key.confirm(before, &confirmation);
            let ClockConfirmation { clock, noted_before, noted } = confirmation;
            let values = vec![confirmations.length.into(), clock.into(), noted_before.into(), noted.into()];
            let insert = "INSERT INTO clock_confirmations (sequence, clock, noted_before, noted) \
                          VALUES ($1, $2, $3, $4)";
            execute(&transaction, insert, values).await?;
            execute(&transaction, "DELETE FROM clock_record", Vec::new()).await?;
            let record = self.record_values(&ClockRecord { noted, doubted: None, confirmations });
            let insert = "INSERT INTO clock_record \
                          (id, noted, doubted_since, doubted_until, confirmations, confirmed, seal) \
                          VALUES (1, $1, $2, $3, $4, $5, $6)";
            execute(&transaction, insert, record).await.map(drop)
        };
        let confirmed = confirmed.await;
        end(transaction, confirmed).await?;
        self.clock.look().await
    }
}
