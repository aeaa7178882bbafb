//! Clocks that disagree, run ahead or are set back: what each step does, and what is never done.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reprieve_application::StoreError;
use reprieve_application::ports::{AuditTrail as _, Clock, ClockDoubt, ClockGuard as _, Identities as _};
use reprieve_domain::audit::FaultKind;
use reprieve_domain::{Reminder, Status, Step, Timestamp};
use reprieve_persistence::{Clocks, Store};
use reprieve_tests::TestDatabase;

use crate::support::*;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;

/// The clock of a machine, which stands until it is set.
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::SeqCst))
    }
}

/// A deployment with a clock of the machine and, on PostgreSQL, one of the database.
struct Clockwork {
    opened: Opened,
    machine: Arc<SetClock>,
    store: Store,
}

impl Prepared for Clockwork {
    async fn prepared(database: TestDatabase) -> Self {
        connect(&database, &options()).await.migrate().await.unwrap();
        let sql = Sql::connect(database.url()).await;
        let machine = Arc::new(SetClock(AtomicI64::new(0)));
        set_database_clock(&database, &sql, 0).await;
        let store =
            connect(&database, &options()).await.into_store(audit_key(), clocks_of(&machine)).await.unwrap();
        Self { opened: Opened { store: store.clone(), sql, database }, machine, store }
    }
}

fn clocks_of(machine: &Arc<SetClock>) -> Clocks {
    Clocks::compared(machine.clone(), Duration::from_secs(5), Duration::from_hours(48))
}

async fn set_database_clock(database: &TestDatabase, sql: &Sql, now: i64) {
    if is_postgres(database) {
        let micros = at(now).unix_micros();
        let replace = format!(
            "CREATE OR REPLACE FUNCTION deciding_clock() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT CAST({micros} AS bigint)'"
        );
        sql.run(&replace).await;
    }
}

fn is_postgres(database: &TestDatabase) -> bool {
    database.url().starts_with("postgres")
}

impl Clockwork {
    /// Sets the clock that decides and that of the machine; they are one on SQLite.
    async fn set(&self, deciding: i64, machine: i64) {
        set_database_clock(&self.opened.database, &self.opened.sql, deciding).await;
        self.machine.0.store(machine, Ordering::SeqCst);
    }

    /// A moment at which nothing is doubted, which is noted.
    async fn sound(&self, now: i64) {
        self.set(now, now).await;
        self.store.confirm(at(now)).await.unwrap();
        self.store.check().await.unwrap();
    }

    /// Takes a step by the clock of the deployment, as the use cases do: again after a conflict.
    async fn take(
        &self,
        number: usize,
        decide: impl Fn(&reprieve_domain::Identity, reprieve_domain::Moment) -> Option<Step>,
    ) -> Result<Option<Step>, StoreError> {
        for _ in 0..3 {
            let loaded = self.store.load(&address(number)).await?;
            let Some(step) = decide(&loaded.value, self.store.clock().moment()) else { return Ok(None) };
            match save(&self.store, &step, loaded.version).await {
                Ok(()) => return Ok(Some(step)),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    async fn initiate(&self, number: usize) -> Result<Option<Step>, StoreError> {
        self.take(number, |identity, moment| {
            let now = moment.now().micros_since(at(0));
            // The clock of the database stands while the estimate goes on.
            Some(initiate(identity, number, now - now.rem_euclid(SECOND)))
        })
        .await
    }

    async fn begun(&self, number: usize) {
        assert!(self.initiate(number).await.unwrap().is_some());
    }

    async fn remind(&self, number: usize) -> Result<Option<Step>, StoreError> {
        self.take(number, |identity, moment| {
            identity.remind(&process_id(number), Reminder::First, moment.now()).ok()
        })
        .await
    }

    async fn start(&self, number: usize) -> Result<Option<Step>, StoreError> {
        self.take(number, |identity, moment| {
            identity.start_deletion(&process_id(number), [].into(), moment.now()).ok()
        })
        .await
    }

    async fn cancel(&self, number: usize) -> Result<Option<Step>, StoreError> {
        self.take(number, |identity, moment| identity.cancel(device(), moment).ok()).await
    }
}

fn disagrees<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::ClocksDisagree { .. }))
}

fn is_ahead<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::ClockAhead { .. }))
}

on_postgres!(
    mod two_clocks,
    while_the_clocks_disagree_only_cancelling_works,
    within_the_tolerance_the_database_decides_both_sides_of_the_end,
    a_clock_that_jumps_between_the_decision_and_the_statement_is_noticed,
    what_another_servers_clock_showed_decides_nothing_and_lets_a_token_in,
);
on_each_database!(
    a_step_that_was_dated_before_the_clock_was_set_is_dated_anew,
    a_clock_that_is_far_ahead_starts_nothing_until_the_time_is_confirmed,
    a_clock_that_is_behind_what_was_noted_lets_nobody_ask,
    a_record_that_was_changed_stops_deletions_and_never_cancellations,
);
on_sqlite!(mod one_clock, a_clock_that_is_the_only_one_is_believed_after_a_day_without_a_step_back);
on_postgres!(mod asked, a_clock_that_is_not_the_only_one_is_not_believed_after_a_day);

async fn while_the_clocks_disagree_only_cancelling_works(clockwork: Clockwork) {
    for (number, wrong) in
        [6 * SECOND, -6 * SECOND, HOUR, -HOUR, 370 * DAY, -370 * DAY, 100_000 * DAY].into_iter().enumerate()
    {
        clockwork.sound(0).await;
        clockwork.begun(number).await;
        // Shortly before the end, by the clock that is right.
        clockwork.sound(ENDS_AT - SECOND).await;
        clockwork.set(ENDS_AT - SECOND, ENDS_AT - SECOND + wrong).await;
        assert!(disagrees(&clockwork.store.check().await), "{wrong}");
        assert!(disagrees(&clockwork.initiate(number + 100).await), "{wrong}");
        assert!(disagrees(&clockwork.remind(number).await), "{wrong}");
        assert!(clockwork.start(number).await.unwrap().is_none(), "{wrong}");
        // After the end by the clock that decides; the other one may show anything.
        clockwork.set(ENDS_AT, ENDS_AT + wrong).await;
        assert!(disagrees(&clockwork.start(number).await), "{wrong}");
        assert_eq!(clockwork.store.compare().await.unwrap().doubt, Some(ClockDoubt::Disagree));
        let cancelled = clockwork.cancel(number).await.unwrap();
        assert_eq!(cancelled.is_some(), wrong < 0, "{wrong}: in time by the other clock");
        // And the other way about.
        clockwork.set(ENDS_AT - SECOND, ENDS_AT + wrong.abs()).await;
        let cancelled = cancelled.or(clockwork.cancel(number).await.unwrap()).unwrap();
        let at_end = cancelled.process().grace_period_ends_at();
        assert!(cancelled.audit_entry().created_at < at_end, "{wrong}");
        assert!(
            cancelled.audit_entry().created_at >= at(ENDS_AT - SECOND),
            "{wrong}: dated by the clock that decides"
        );
        clockwork.set(ENDS_AT, ENDS_AT).await;
        assert!(clockwork.start(number).await.unwrap().is_none(), "{wrong}");
    }
    // With the clocks right, everybody who is due is deleted.
    clockwork.sound(ENDS_AT).await;
    clockwork.begun(50).await;
    clockwork.set(2 * ENDS_AT, 2 * ENDS_AT + HOUR).await;
    assert!(disagrees(&clockwork.start(50).await));
    clockwork.sound(2 * ENDS_AT).await;
    assert_eq!(clockwork.start(50).await.unwrap().unwrap().process().status(), Status::Deleting);
}

async fn within_the_tolerance_the_database_decides_both_sides_of_the_end(clockwork: Clockwork) {
    for (number, wrong) in [4 * SECOND, -4 * SECOND, 0].into_iter().enumerate() {
        clockwork.sound(0).await;
        clockwork.set(0, wrong).await;
        let step = clockwork.initiate(number).await.unwrap().unwrap();
        let shown = step.process().created_at().micros_since(at(0));
        assert!((0..SECOND).contains(&shown), "{wrong}: dated by the clock that decides, not {shown}");
        let ends_at = step.process().grace_period_ends_at().micros_since(at(0));
        clockwork.sound(ends_at - HOUR).await;
        clockwork.set(ends_at - SECOND, ends_at - SECOND + wrong).await;
        assert!(clockwork.start(number).await.unwrap().is_none(), "{wrong}");
        clockwork.set(ends_at, ends_at + wrong).await;
        assert!(clockwork.cancel(number).await.unwrap().is_none(), "{wrong}");
        assert!(clockwork.start(number).await.unwrap().is_some(), "{wrong}");
    }
}

/// Until the next answer it is unknown which server that will be of.
async fn what_another_servers_clock_showed_decides_nothing_and_lets_a_token_in(clockwork: Clockwork) {
    for (number, wrong) in [HOUR, -HOUR].into_iter().enumerate() {
        clockwork.sound(0).await;
        clockwork.begun(number).await;
        clockwork.set(0, wrong).await;
        let clock = clockwork.store.clock();
        clockwork.store.load(&address(number)).await.unwrap();
        assert!((0..SECOND).contains(&clock.now().micros_since(at(0))), "{wrong}");
        // A connection that was idle for long is asked first, and replaced without anything having failed.
        while clockwork.store.load(&address(number)).await.is_ok() {
            crate::outages::cut(&clockwork.opened.sql).await;
        }
        assert_eq!(clock.now(), at(wrong), "the machine's, for want of another");
        let moment = clock.moment();
        let (shown, other) = if wrong > 0 {
            (moment.earliest(), moment.latest())
        } else {
            (moment.latest(), moment.earliest())
        };
        assert!((0..5 * SECOND).contains(&shown.micros_since(at(0))), "{wrong}: {moment:?}");
        assert_eq!(other, at(wrong));
        while clockwork.store.load(&address(number)).await.is_err() {}
        assert!((0..SECOND).contains(&clock.now().micros_since(at(0))), "{wrong}");
    }
}

async fn a_clock_that_jumps_between_the_decision_and_the_statement_is_noticed(clockwork: Clockwork) {
    clockwork.sound(0).await;
    for number in [1, 2, 3] {
        clockwork.begun(number).await;
    }
    clockwork.sound(ENDS_AT).await;
    let decided = async |number: usize| {
        let loaded = clockwork.store.load(&address(number)).await.unwrap();
        let now = clockwork.store.clock().now();
        (loaded.value.start_deletion(&process_id(number), [].into(), now).unwrap(), loaded.version)
    };
    // The clock of the database is set back to before the end, that of the machine jumps, and both agree on something that
    // cannot be.
    let cases = [
        (1, ENDS_AT - SECOND, ENDS_AT - SECOND),
        (2, ENDS_AT, ENDS_AT + HOUR),
        (3, ENDS_AT + 49 * HOUR, ENDS_AT + 49 * HOUR),
    ];
    for (number, deciding, machine) in cases {
        let (step, version) = decided(number).await;
        clockwork.set(deciding, machine).await;
        save(&clockwork.store, &step, version).await.unwrap_err();
        assert!(!clockwork.store.save_all(&[(step, version)]).await.unwrap().remove(0).unwrap());
        clockwork.set(ENDS_AT, ENDS_AT).await;
    }
}

async fn a_step_that_was_dated_before_the_clock_was_set_is_dated_anew(clockwork: Clockwork) {
    clockwork.sound(0).await;
    for before in [-HOUR, HOUR] {
        clockwork.set(before, before).await;
        let loaded = clockwork.store.load(&address(1)).await.unwrap();
        let step = initiate(&loaded.value, 1, before);
        clockwork.set(0, 0).await;
        let refused = save(&clockwork.store, &step, loaded.version).await.unwrap_err();
        assert!(matches!(refused, StoreError::OpenProcessExists), "{before}: {refused}");
    }
    assert!(clockwork.initiate(1).await.unwrap().is_some());
}

async fn a_clock_that_is_far_ahead_starts_nothing_until_the_time_is_confirmed(clockwork: Clockwork) {
    clockwork.sound(0).await;
    for number in [1, 2] {
        clockwork.begun(number).await;
    }
    let ahead = ENDS_AT + 370 * DAY;
    clockwork.set(ahead, ahead).await;
    assert!(is_ahead(&clockwork.store.check().await));
    assert!(is_ahead(&clockwork.start(1).await));
    assert_eq!(clockwork.store.compare().await.unwrap().doubt, Some(ClockDoubt::Ahead));
    // What was noted counts as a clock: by it, it is in time.
    let cancelled = clockwork.cancel(1).await.unwrap().unwrap();
    assert!(cancelled.audit_entry().created_at < cancelled.process().grace_period_ends_at());
    clockwork.store.confirm(at(ahead)).await.unwrap();
    clockwork.store.check().await.unwrap();
    assert!(clockwork.cancel(2).await.unwrap().is_none());
    assert_eq!(clockwork.start(2).await.unwrap().unwrap().process().status(), Status::Deleting);
    assert_eq!(clockwork.store.contradictions().await.unwrap(), []);
}

async fn a_clock_that_is_behind_what_was_noted_lets_nobody_ask(clockwork: Clockwork) {
    clockwork.sound(DAY).await;
    clockwork.set(DAY - 6 * SECOND, DAY - 6 * SECOND).await;
    let refused = clockwork.initiate(1).await;
    assert!(matches!(refused, Err(StoreError::ClockBehind { .. })), "{refused:?}");
    assert_eq!(clockwork.store.compare().await.unwrap().doubt, Some(ClockDoubt::Behind));
    clockwork.set(DAY - 4 * SECOND, DAY - 4 * SECOND).await;
    clockwork.begun(1).await;
    // The confirmation lowers what is noted.
    clockwork.set(DAY - HOUR, DAY - HOUR).await;
    assert!(clockwork.initiate(2).await.is_err());
    clockwork.store.confirm(at(DAY - HOUR)).await.unwrap();
    clockwork.begun(2).await;
    assert_eq!(clockwork.store.contradictions().await.unwrap(), []);
}

async fn a_record_that_was_changed_stops_deletions_and_never_cancellations(clockwork: Clockwork) {
    let changes = [
        "UPDATE clock_record SET noted = noted + 1",
        "UPDATE clock_record SET noted = 9000000000000000",
        "UPDATE clock_record SET doubted_since = 0, doubted_until = 0",
        "UPDATE clock_record SET confirmations = confirmations + 1",
        "UPDATE clock_record SET seal = confirmed",
        "DELETE FROM clock_record",
    ];
    for (number, change) in changes.into_iter().enumerate() {
        clockwork.sound(0).await;
        for id in [2 * number, 2 * number + 1] {
            clockwork.begun(id).await;
        }
        clockwork.sound(DAY).await;
        assert_eq!(clockwork.store.contradictions().await.unwrap(), []);
        clockwork.opened.sql.run(change).await;
        assert!(is_ahead(&clockwork.store.check().await), "{change}");
        assert!(clockwork.cancel(2 * number).await.unwrap().is_some(), "{change}");
        let faults = clockwork.store.contradictions().await.unwrap();
        assert_eq!(
            faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(),
            [FaultKind::ClockRecordDiffers],
            "{change}"
        );
        clockwork.sound(ENDS_AT).await;
        assert_eq!(clockwork.store.contradictions().await.unwrap(), [], "{change}");
        assert!(clockwork.start(2 * number + 1).await.unwrap().is_some(), "{change}");
    }
    for change in [
        "UPDATE clock_confirmations SET noted = noted + 1 WHERE sequence = 1",
        "DELETE FROM clock_confirmations",
    ] {
        clockwork.opened.sql.run(change).await;
        assert_eq!(clockwork.store.contradictions().await.unwrap().len(), 1, "{change}");
    }
}

async fn a_clock_that_is_the_only_one_is_believed_after_a_day_without_a_step_back(clockwork: Clockwork) {
    clockwork.sound(0).await;
    clockwork.begun(1).await;
    // The machine slept for a month; and once its clock is set back meanwhile.
    let awake = 30 * DAY;
    for (now, is_believed) in [
        (awake, false),
        (awake + 23 * HOUR, false),
        (awake + 22 * HOUR, false),
        (awake + 45 * HOUR, false),
        (awake + 46 * HOUR, true),
    ] {
        clockwork.set(now, now).await;
        assert_eq!(clockwork.store.check().await.is_ok(), is_believed, "{now}");
        assert_eq!(clockwork.start(1).await.is_ok(), is_believed, "{now}");
    }
}

async fn a_clock_that_is_not_the_only_one_is_not_believed_after_a_day(clockwork: Clockwork) {
    clockwork.sound(0).await;
    for now in [30 * DAY, 31 * DAY, 40 * DAY, 41 * DAY] {
        clockwork.set(now, now).await;
        assert!(is_ahead(&clockwork.store.check().await), "{now}");
    }
    clockwork.set(DAY, DAY).await;
    clockwork.store.check().await.unwrap();
}
