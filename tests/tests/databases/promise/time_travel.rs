//! Days pass in microseconds: every reminder, the deadline, month ends, leap seconds' neighbours, and how long things are
//! kept.

use std::collections::BTreeSet;

use reprieve_application::{Coded, ErrorCode, ReminderSettings};
use reprieve_domain::{DeletionProcess, Reminder, Status, Timestamp};
use reprieve_tests::{Random, TestDatabase};

use super::on_each_database;
use super::world::{DAY, END, TestEraser, World, at};

on_each_database!(
    each_reminder_is_sent_once_from_its_instant_on,
    of_several_that_are_due_only_the_most_urgent_is_sent,
    a_short_grace_period_has_only_the_reminders_that_fit,
    nobody_is_reminded_after_cancelling_or_after_the_end,
    the_deadline_belongs_to_the_deletion_to_the_microsecond,
    a_month_is_as_long_as_it_is_and_a_leap_second_is_none,
    a_clock_that_is_put_back_takes_nothing_back,
    a_changed_configuration_moves_no_deadline,
    a_year_of_random_days_reminds_and_deletes_as_promised,
    what_is_kept_is_kept_for_exactly_as_long_as_promised,
);

fn sent(process: &DeletionProcess) -> [Option<Timestamp>; 3] {
    Reminder::ALL.map(|reminder| process.reminders().sent_at(reminder))
}

async fn each_reminder_is_sent_once_from_its_instant_on(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    world.initiate(1).await;
    let mut expected = [None; 3];
    for (number, days) in [12, 10, 5].into_iter().enumerate() {
        let due = END - days * DAY;
        world.set(due - 1);
        assert_eq!(world.remind().await.stepped, 0, "{days} days before, a microsecond early");
        world.set(due);
        assert_eq!(world.remind().await.stepped, 1, "{days} days before");
        assert_eq!(world.remind().await.stepped, 0, "{days} days before, again");
        world.set(due + 1);
        assert_eq!(world.remind().await.stepped, 0, "{days} days before, a microsecond late");
        expected[number] = Some(at(due));
        assert_eq!(sent(&world.open_process(1).await.unwrap()), expected);
    }
    assert_eq!(
        world.audited(1).await,
        [
            "StartedByOwner",
            "GracePeriodReminder1Sent",
            "GracePeriodReminder2Sent",
            "GracePeriodReminder3Sent"
        ]
    );
    let days: Vec<u64> =
        world.events(1).await.iter().filter_map(|event| event["daysUntilDeletion"].as_u64()).collect();
    assert_eq!(days, [12, 10, 5]);
    world.verify().await;
}

async fn of_several_that_are_due_only_the_most_urgent_is_sent(database: TestDatabase) {
    // The job did not run for days.
    let world = World::new(database, &[]).await;
    world.initiate(1).await;
    world.set(END - 4 * DAY - 1);
    assert_eq!(world.remind().await.stepped, 1);
    assert_eq!(sent(&world.open_process(1).await.unwrap()), [None, None, Some(world.now())]);
    // Rounded up: four days and a microsecond.
    assert_eq!(world.events(1).await[1]["daysUntilDeletion"], 5);
    for day in 0..4 {
        world.set(END - day * DAY - 1);
        assert_eq!(world.remind().await.stepped, 0);
    }
}

/// A reminder whose time had come when the deletion was asked for would come in the same breath as the confirmation.
async fn a_short_grace_period_has_only_the_reminders_that_fit(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    // How long it is, and when each reminder is sent, in microseconds from the beginning.
    let cases = [
        (3 * DAY, [None; 3]),
        (5 * DAY, [None; 3]),
        (5 * DAY + 1, [None, None, Some(1)]),
        (7 * DAY + DAY / 2, [None, None, Some(2 * DAY + DAY / 2)]),
        (10 * DAY, [None, None, Some(5 * DAY)]),
        (11 * DAY, [None, Some(DAY), Some(6 * DAY)]),
        (12 * DAY, [None, Some(2 * DAY), Some(7 * DAY)]),
        (12 * DAY + 1, [Some(1), Some(2 * DAY + 1), Some(7 * DAY + 1)]),
    ];
    let begun_at = world.now();
    let after = |micros| begun_at.checked_add_micros(micros).unwrap();
    for (number, (length, _)) in cases.into_iter().enumerate() {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a few days have far fewer microseconds than a float has places"
        )]
        let process = world.initiate_for(number, length as f64 / DAY as f64).await;
        assert_eq!(process.grace_period_ends_at(), after(length));
    }
    assert_eq!(world.remind().await.stepped, 0);
    let instants: Vec<i64> = cases.iter().flat_map(|(_, expected)| expected).flatten().copied().collect();
    for micros in instants.iter().copied().collect::<BTreeSet<_>>() {
        world.set_to(after(micros - 1));
        assert_eq!(world.remind().await.stepped, 0, "{micros}");
        world.set_to(after(micros));
        let expected = instants.iter().filter(|instant| **instant == micros).count() as u64;
        let swept = world.remind().await;
        assert_eq!((swept.stepped, swept.left_alone), (expected, 0), "{micros}");
    }
    for (number, (_, expected)) in cases.into_iter().enumerate() {
        let process = world.open_process(number).await.unwrap();
        assert_eq!(sent(&process), expected.map(|micros| micros.map(after)), "{number}");
    }
}

async fn nobody_is_reminded_after_cancelling_or_after_the_end(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    world.initiate(1).await;
    world.initiate(2).await;
    world.cancel(1).await.unwrap();
    world.set(END);
    assert_eq!(world.remind().await.stepped, 0);
    assert_eq!(world.audited(1).await, ["StartedByOwner", "CancelledByOwner"]);
    assert_eq!(world.audited(2).await, ["StartedByOwner"]);
}

async fn the_deadline_belongs_to_the_deletion_to_the_microsecond(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    for number in 1..=3 {
        world.initiate(number).await;
    }
    world.set(END - 1);
    assert_eq!(world.start_deletions().await.stepped, 0);
    world.cancel(1).await.unwrap();
    world.set(END);
    let error = world.cancel(2).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::GracePeriodHasAlreadyExpired);
    assert_eq!(world.start_deletions().await.stepped, 2);
    world.set(END + 1);
    assert_eq!(world.start_deletions().await.stepped, 0);
    assert_eq!(world.cancel(3).await.unwrap_err().code(), ErrorCode::NoActiveIdentityDeletionProcess);
    assert_eq!(world.open_process(3).await.unwrap().status(), Status::Deleting);
}

async fn a_month_is_as_long_as_it_is_and_a_leap_second_is_none(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    for (number, (start, end)) in [
        ("2027-01-31T23:59:59.999999Z", "2027-02-14T23:59:59.999999Z"),
        ("2027-02-15T00:00:00Z", "2027-03-01T00:00:00Z"),
        // 2028 has a 29 February, 2100 has none.
        ("2028-02-15T12:00:00Z", "2028-02-29T12:00:00Z"),
        ("2028-02-16T12:00:00Z", "2028-03-01T12:00:00Z"),
        ("2100-02-15T00:00:00.000001Z", "2100-03-01T00:00:00.000001Z"),
        ("2026-12-18T00:00:00Z", "2027-01-01T00:00:00Z"),
        // A leap second was inserted at the end of 2016: Unix time does not know it.
        ("2016-12-17T23:59:59.999999Z", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-18T00:00:00Z", "2017-01-01T00:00:00Z"),
        // Clocks in Europe are put forward and back: UTC is not.
        ("2027-03-20T01:30:00Z", "2027-04-03T01:30:00Z"),
        ("2027-10-25T01:30:00Z", "2027-11-08T01:30:00Z"),
    ]
    .into_iter()
    .enumerate()
    {
        let end: Timestamp = end.parse().unwrap();
        world.set_to(start.parse().unwrap());
        let process = world.initiate(number).await;
        assert_eq!(process.grace_period_ends_at(), end);
        world.set_to(end.checked_add_micros(-1).unwrap());
        assert_eq!(world.start_deletions().await.stepped, 0, "{end}");
        world.set_to(end);
        assert_eq!(world.start_deletions().await.stepped, 1, "{end}");
        world.erase().await;
    }
    assert!(
        "2016-12-31T23:59:60Z".parse::<Timestamp>().is_err_and(|error| !error.to_string().is_empty())
            || "2016-12-31T23:59:60Z"
                .parse::<Timestamp>()
                .is_ok_and(|leap| leap <= "2017-01-01T00:00:00Z".parse().unwrap())
    );
    world.verify().await;
}

async fn a_clock_that_is_put_back_takes_nothing_back(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.initiate(2).await;
    world.set(END - 5 * DAY);
    assert_eq!(world.remind().await.stepped, 2);
    world.set(END - 11 * DAY);
    assert_eq!(world.remind().await.stepped, 0, "a less urgent one is not sent after a more urgent one");
    world.cancel(2).await.unwrap();
    world.set(END);
    assert_eq!(world.start_deletions().await.stepped, 1);
    world.set(END - 1);
    assert!(world.cancel(1).await.is_err());
    assert_eq!(world.remind().await.stepped + world.start_deletions().await.stepped, 0);
    world.set(END);
    assert_eq!(world.erase().await.completed, 1);
    world.verify().await;
}

async fn a_changed_configuration_moves_no_deadline(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let process = world.initiate(1).await;
    let settings = ReminderSettings::from_days(&[13.0]).unwrap();
    world.set(DAY);
    assert_eq!(world.remind_by(settings).await.stepped, 1);
    assert_eq!(world.remind().await.stepped, 0, "it is the first one, which was sent");
    let now = world.open_process(1).await.unwrap();
    assert_eq!(now.grace_period_ends_at(), process.grace_period_ends_at());
    world.set(END - 1);
    assert_eq!(world.start_deletions().await.stepped, 0);
}

/// Every pass runs at random times, sometimes not for weeks; what was sent and when is compared with what the dates say.
async fn a_year_of_random_days_reminds_and_deletes_as_promised(database: TestDatabase) {
    const LEADS: [i64; 3] = [12 * DAY, 10 * DAY, 5 * DAY];
    let world = World::new(database, &[]).await;
    let mut random = Random::new();
    let mut expected: Vec<(i64, i64, [Option<Timestamp>; 3])> = Vec::new();
    let mut now = 0;
    while now < 365 * DAY {
        now += i64::try_from(random.below(6 * u64::try_from(DAY).unwrap())).unwrap();
        world.set(now);
        let days = 1 + random.below(30);
        let length = i64::try_from(days).unwrap() * DAY;
        let ends_at = now + length;
        #[expect(clippy::cast_precision_loss, reason = "a small number of days")]
        world.initiate_for(expected.len(), days as f64).await;
        expected.push((ends_at, length, [None; 3]));
        if random.below(3) > 0 {
            world.remind().await;
            for (ends_at, length, sent) in &mut expected {
                let left = *ends_at - now;
                let urgent = LEADS.iter().rposition(|lead| left > 0 && left <= *lead);
                let is_new = |reminder: &usize| {
                    sent[*reminder..].iter().all(Option::is_none) && LEADS[*reminder] < *length
                };
                if let Some(reminder) = urgent.filter(is_new) {
                    sent[reminder] = Some(at(now));
                }
            }
        }
        world.start_deletions().await;
        for (number, (ends_at, _, reminded)) in expected.iter().enumerate() {
            let process = world.open_process(number).await.unwrap();
            assert_eq!(sent(&process), *reminded, "{number} at {now}");
            assert_eq!(process.status() == Status::Deleting, *ends_at <= now, "{number} at {now}");
        }
    }
    world.verify().await;
}

async fn what_is_kept_is_kept_for_exactly_as_long_as_promised(database: TestDatabase) {
    let world = World::new(database, &[TestEraser::new("files")]).await;
    world.initiate(1).await;
    world.cancel(1).await.unwrap();
    world.set(30 * DAY);
    assert_eq!(world.keep_house().await.cancelled_processes, 0);
    world.set(30 * DAY + 1);
    assert_eq!(world.keep_house().await.cancelled_processes, 1);
    assert_eq!(world.processes(1).await, []);
    assert_eq!(world.audited(1).await, ["StartedByOwner", "CancelledByOwner"]);
    world.verify().await;

    world.set(100 * DAY);
    world.initiate(1).await;
    world.set(114 * DAY);
    world.start_deletions().await;
    assert_eq!(world.erase().await.completed, 1);
    world.set(114 * DAY + 731 * DAY);
    assert_eq!(world.keep_house().await.audit_trails, 0);
    assert_eq!(world.audited(1).await.len(), 6);
    world.set(114 * DAY + 731 * DAY + 1);
    assert_eq!(world.keep_house().await.audit_trails, 2, "of both processes");
    assert_eq!(world.audited(1).await, [] as [String; 0]);
    world.verify().await;
}
