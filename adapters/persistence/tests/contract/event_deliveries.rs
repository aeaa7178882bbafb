//! `EventDeliveries`: every event gets one place, behind those of its identity's earlier steps; each sink is one
//! claimant's at a time, and only the last one's progress is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reprieve_application::facade::ProcessData;
use reprieve_application::ports::{
    EventDeliveries, Housekeeping, Progress, Redelivery, SetAside, SinkClaim, SinkFigures, SinkHealth,
    WaitingEvent,
};
use reprieve_application::{OutgoingEvent, SinkName, StoreError, TraceContext};
use reprieve_domain::{EventKind, Status};
use reprieve_persistence::Store;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{
    DAY, ENDS_AT, Opened, Sql, address, at, cancel, initiate, on_each_database, on_postgres, process_id,
    save, start,
};

on_each_database!(
    every_event_is_handed_out_with_all_that_is_to_be_said_of_it,
    a_sink_is_one_claimants_until_the_lease_is_over_and_only_if_something_waits,
    with_an_old_claim_nothing_can_be_stored,
    of_many_claimants_one_has_the_sink,
    what_is_set_aside_is_handed_out_again_when_it_is_due_and_the_first_of_its_identity_only,
    what_comes_behind_something_set_aside_says_so,
    nobody_is_to_claim_a_sink_for_what_has_to_wait_for_something_that_is_not_due,
    what_is_parked_is_shown_holds_up_nothing_and_can_be_sent_again,
    what_waits_to_be_sent_again_is_due_at_once_when_that_is_asked_for_and_keeps_since_when_it_has_failed,
    a_failing_sink_is_tried_at_once_when_that_is_asked_for,
    whoever_looks_on_sees_every_event_in_its_place_whatever_becomes_of_it,
    each_sink_has_its_own_progress_and_its_own_figures,
    a_sink_that_has_failed_is_not_handed_out_before_its_time,
    an_event_that_cannot_be_read_is_reported_in_its_place,
    an_event_that_an_older_version_writes_meanwhile_has_an_id_as_well,
    an_event_is_kept_for_as_long_as_a_sink_waits_for_it,
    for_a_new_sink_nothing_waits_that_was_forgotten_before,
    a_sink_that_is_not_configured_any_more_is_forgotten_after_a_while,
    more_are_set_aside_and_delivered_at_once_than_a_statement_has_parameters,
    no_more_events_get_a_place_than_are_read,
    whoever_reads_while_somebody_else_gives_places_misses_nothing,
    many_who_step_and_many_who_read_at_once_agree_on_one_order,
);

on_postgres!(
    mod alone,
    an_event_that_is_committed_late_gets_a_place_behind_those_that_were_seen,
    an_event_that_is_forgotten_while_places_are_given_does_not_have_one_given_twice,
    of_two_who_give_places_at_once_the_second_sees_what_the_first_gave,
);

fn sink(name: &str) -> SinkName {
    name.parse().unwrap()
}

/// Half a minute.
const LEASE: i64 = 30_000_000;

async fn claim(store: &Store, name: &str, now: i64) -> Option<SinkClaim> {
    EventDeliveries::claim(store, &sink(name), at(now), at(now + LEASE)).await.unwrap()
}

async fn next(store: &Store, name: &str, after: i64) -> Vec<WaitingEvent> {
    store.next(&sink(name), after, 100).await.unwrap()
}

async fn again(store: &Store, name: &str, now: i64) -> Vec<i64> {
    let again = store.again(&sink(name), at(now), 100).await.unwrap();
    again.iter().map(|waiting| waiting.sequence).collect()
}

fn sequences(waiting: &[WaitingEvent]) -> Vec<i64> {
    waiting.iter().map(|waiting| waiting.sequence).collect()
}

fn events(waiting: Vec<WaitingEvent>) -> Vec<OutgoingEvent> {
    waiting.into_iter().map(|waiting| waiting.event.unwrap()).collect()
}

fn up_to(cursor: i64) -> Progress {
    Progress { cursor, set_aside: Vec::new(), delivered: Vec::new(), health: SinkHealth::default() }
}

fn aside(sequence: i64, identity: usize, due_at: i64) -> SetAside {
    SetAside {
        sequence,
        address: address(identity).to_string(),
        attempts: 1,
        failing_since: Some(at(0)),
        due_at: at(due_at),
        parked_at: None,
        failure: Some("httpStatus500".parse().unwrap()),
    }
}

/// An event of each of these identities, at microseconds from zero on.
async fn initiated(opened: &Opened, identities: impl IntoIterator<Item = usize>) {
    for (now, number) in (0..).zip(identities) {
        opened.step(&address(number), |identity| initiate(identity, number, now)).await;
    }
}

async fn every_event_is_handed_out_with_all_that_is_to_be_said_of_it(opened: Opened) {
    let owner = address(1);
    let trace = TraceContext { parent: "00-1-2-01".to_owned(), state: Some("a=b".to_owned()) };
    let step = opened.step(&owner, |identity| initiate(identity, 1, 0));
    let process = trace.clone().scope(step).await;
    let reminded = opened
        .step(&owner, |identity| {
            let open = identity.open_process().unwrap();
            identity.remind(open.id(), reprieve_domain::Reminder::First, at(13 * DAY)).unwrap()
        })
        .await;
    let cancelled = opened.step(&owner, |identity| cancel(identity, 13 * DAY + 1)).await;
    let found = events(next(&opened.store, "mail", 0).await);
    assert_eq!(found.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(found[0].trace, Some(trace));
    assert_eq!((&found[1].trace, &found[2].trace), (&None, &None));
    let processes: Vec<_> = found.iter().map(|event| event.process.clone()).collect();
    assert_eq!(processes, [Some(ProcessData::from(&process)), None, Some(ProcessData::from(&cancelled))]);
    assert_eq!(reminded.status(), Status::Active);
    assert!(matches!(found[1].event.kind, EventKind::IdentityDeletionReminderDue { .. }));
    for (event, now) in found.iter().zip([0, 13 * DAY, 13 * DAY + 1]) {
        assert_eq!((&event.event.address, &event.event.process_id), (&owner, &process_id(1)));
        assert_eq!(event.event.occurred_at, at(now));
        assert!(
            event.id.len() == 32 && event.id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{}",
            event.id
        );
    }
    let ids: BTreeSet<_> = found.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), 3);
    // As often as is asked, and by whomever.
    assert_eq!(events(next(&opened.store, "files", 0).await), found);
    assert_eq!(events(next(&opened.store, "mail", 1).await), found[1..]);
}

async fn a_sink_is_one_claimants_until_the_lease_is_over_and_only_if_something_waits(opened: Opened) {
    let store = &opened.store;
    let first = claim(store, "mail", 0).await.unwrap();
    assert_eq!((first.fence, first.cursor, first.health), (1, 0, SinkHealth::default()));
    store.settle(&first, &up_to(0), None).await.unwrap();
    // Nothing waits.
    assert_eq!(claim(store, "mail", 1).await, None);
    initiated(&opened, [1]).await;
    let second = claim(store, "mail", 2).await.unwrap();
    assert_eq!(second.fence, 2);
    assert_eq!(claim(store, "mail", 2 + LEASE - 1).await, None);
    let third = claim(store, "mail", 2 + LEASE).await.unwrap();
    assert_eq!(third.fence, 3);
    assert_eq!(sequences(&next(store, "mail", 0).await), [1]);
    // Once more for as long as that.
    store.settle(&third, &up_to(0), Some(at(100 * LEASE))).await.unwrap();
    assert_eq!(claim(store, "mail", 100 * LEASE - 1).await, None);
    store.settle(&third, &up_to(1), None).await.unwrap();
    assert_eq!(claim(store, "mail", 100 * LEASE).await, None);
    // It is noted from time to time that the sink is there.
    assert_eq!(claim(store, "mail", 2 + LEASE + DAY).await.unwrap().cursor, 1);
}

async fn with_an_old_claim_nothing_can_be_stored(opened: Opened) {
    let store = &opened.store;
    initiated(&opened, [1, 2]).await;
    let old = claim(store, "mail", 0).await.unwrap();
    assert_eq!(sequences(&next(store, "mail", 0).await), [1, 2]);
    let new = claim(store, "mail", LEASE).await.unwrap();
    store.settle(&new, &Progress { set_aside: vec![aside(1, 1, 5)], ..up_to(1) }, None).await.unwrap();
    let before = opened.sql.everything().await;
    for progress in [
        up_to(2),
        Progress { set_aside: vec![aside(2, 2, 0)], ..up_to(2) },
        Progress { delivered: vec![1], ..up_to(2) },
    ] {
        for lease in [None, Some(at(9 * LEASE))] {
            let refused = store.settle(&old, &progress, lease).await.unwrap_err();
            assert!(matches!(refused, StoreError::LeaseLost), "{refused:?}");
        }
    }
    assert_eq!(opened.sql.everything().await, before);
}

async fn of_many_claimants_one_has_the_sink(opened: Opened) {
    initiated(&opened, [1]).await;
    for round in 0..5 {
        let stores = [opened.another_store().await, opened.another_store().await, opened.store.clone()];
        let barrier = Arc::new(Barrier::new(9));
        let mut claimants = JoinSet::new();
        for number in 0..9 {
            let (store, barrier) = (stores[number % 3].clone(), barrier.clone());
            claimants.spawn(async move {
                barrier.wait().await;
                claim(&store, "mail", round * LEASE).await
            });
        }
        let claims: Vec<_> = claimants.join_all().await.into_iter().flatten().collect();
        assert_eq!(claims.iter().map(|claim| claim.fence).collect::<Vec<_>>(), [round + 1]);
    }
}

async fn what_is_set_aside_is_handed_out_again_when_it_is_due_and_the_first_of_its_identity_only(
    opened: Opened,
) {
    let store = &opened.store;
    initiated(&opened, [1, 2, 3]).await;
    opened.step(&address(1), |identity| cancel(identity, 10)).await;
    let claimed = claim(store, "mail", 0).await.unwrap();
    assert_eq!(sequences(&next(store, "mail", 0).await), [1, 2, 3, 4]);
    let set_aside = vec![aside(1, 1, 50), aside(2, 2, 40), SetAside { attempts: 0, ..aside(4, 1, 0) }];
    store.settle(&claimed, &Progress { set_aside, ..up_to(2) }, None).await.unwrap();
    // The fourth has been set aside, though the cursor has not come so far.
    assert_eq!(sequences(&next(store, "mail", 2).await), [3]);
    for (now, due) in [(39, vec![]), (40, vec![2]), (50, vec![2, 1])] {
        assert_eq!(again(store, "mail", now).await, due, "{now}");
    }
    let found = store.again(&sink("mail"), at(50), 1).await.unwrap();
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((found.sequence, found.attempts, found.failing_since), (2, 1, Some(at(0))));
    let claimed = claim(store, "mail", 50).await.unwrap();
    // It was refused once more, and the other one was taken.
    let set_aside = vec![SetAside { attempts: 2, ..aside(2, 2, 90) }];
    let progress = Progress { set_aside, delivered: vec![1], ..up_to(4) };
    store.settle(&claimed, &progress, None).await.unwrap();
    assert_eq!(again(store, "mail", 89).await, [4]);
    let found = store.again(&sink("mail"), at(90), 100).await.unwrap();
    assert_eq!(found.iter().map(|one| (one.sequence, one.attempts)).collect::<Vec<_>>(), [(4, 0), (2, 2)]);
    // It waits for that time.
    let claimed = claim(store, "mail", 90).await.unwrap();
    store.settle(&claimed, &Progress { delivered: vec![4], ..up_to(4) }, None).await.unwrap();
    assert_eq!(claim(store, "mail", 89).await, None);
    assert!(claim(store, "mail", 90).await.is_some());
}

async fn what_comes_behind_something_set_aside_says_so(opened: Opened) {
    let store = &opened.store;
    initiated(&opened, [1, 2]).await;
    let claimed = claim(store, "mail", 0).await.unwrap();
    next(store, "mail", 0).await;
    let progress = Progress { set_aside: vec![aside(1, 1, 50)], ..up_to(2) };
    store.settle(&claimed, &progress, Some(at(LEASE))).await.unwrap();
    opened.step(&address(1), |identity| cancel(identity, 10)).await;
    opened.step(&address(2), |identity| cancel(identity, 11)).await;
    let behind = |waiting: Vec<WaitingEvent>| -> Vec<_> {
        waiting.iter().map(|waiting| (waiting.sequence, waiting.is_behind)).collect()
    };
    assert_eq!(behind(next(store, "mail", 2).await), [(3, true), (4, false)]);
    assert_eq!(behind(next(store, "files", 2).await), [(3, false), (4, false)]);
    let parked = SetAside { parked_at: Some(at(60)), ..aside(1, 1, 50) };
    store.settle(&claimed, &Progress { set_aside: vec![parked], ..up_to(2) }, None).await.unwrap();
    assert_eq!(behind(next(store, "mail", 2).await), [(3, false), (4, false)]);
}

async fn nobody_is_to_claim_a_sink_for_what_has_to_wait_for_something_that_is_not_due(opened: Opened) {
    let store = &opened.store;
    initiated(&opened, [1]).await;
    opened.step(&address(1), |identity| cancel(identity, 1)).await;
    let claimed = claim(store, "mail", 0).await.unwrap();
    next(store, "mail", 0).await;
    // What was never tried is due as soon as its turn comes.
    let progress = Progress { set_aside: vec![aside(1, 1, 50), aside(2, 1, 1)], ..up_to(2) };
    store.settle(&claimed, &progress, None).await.unwrap();
    assert_eq!(claim(store, "mail", 49).await, None);
    let claimed = claim(store, "mail", 50).await.unwrap();
    store.settle(&claimed, &Progress { delivered: vec![1], ..up_to(2) }, None).await.unwrap();
    assert!(claim(store, "mail", 51).await.is_some());
}

async fn what_is_parked_is_shown_holds_up_nothing_and_can_be_sent_again(opened: Opened) {
    let store = &opened.store;
    initiated(&opened, [1, 2]).await;
    opened.step(&address(1), |identity| cancel(identity, 10)).await;
    let found = events(next(store, "mail", 0).await);
    for name in ["mail", "files"] {
        let claimed = claim(store, name, 0).await.unwrap();
        let parked = SetAside { parked_at: Some(at(60)), ..aside(1, 1, 50) };
        let set_aside = vec![parked, aside(3, 1, 70)];
        store.settle(&claimed, &Progress { set_aside, ..up_to(3) }, None).await.unwrap();
    }
    assert_eq!(again(store, "mail", 69).await, Vec::<i64>::new());
    assert_eq!(again(store, "mail", 70).await, [3]);
    assert_eq!(claim(store, "mail", 69).await, None);
    let claimed = claim(store, "mail", 70).await.unwrap();
    store.settle(&claimed, &up_to(3), None).await.unwrap();
    let parked = store.parked(Some(&sink("files")), 100).await.unwrap();
    let [one] = parked.as_slice() else { panic!("{parked:?}") };
    assert_eq!((one.event.as_ref().unwrap(), one.sequence), (&found[0], 1));
    assert_eq!((one.attempts, one.failing_since, one.parked_at), (1, Some(at(0)), at(60)));
    assert_eq!((one.sink.as_str(), one.failure.as_ref().unwrap().as_str()), ("files", "httpStatus500"));
    assert_eq!(store.parked(None, 100).await.unwrap().len(), 2);
    assert_eq!(store.parked(None, 1).await.unwrap().len(), 1);
    let redeliver = async |name: &str, id: &str| {
        store.redeliver(Some(&sink(name)), Some(id), at(100)).await.unwrap().events
    };
    assert_eq!(redeliver("mail", &found[1].id).await, 0);
    assert_eq!(redeliver("other", &found[0].id).await, 0);
    assert_eq!(redeliver("mail", &found[0].id).await, 1);
    let sent_again = store.again(&sink("mail"), at(100), 100).await.unwrap();
    let fresh: Vec<_> =
        sent_again.iter().map(|one| (one.sequence, one.attempts, one.failing_since)).collect();
    // Before what comes behind it.
    assert_eq!(fresh, [(1, 0, None)]);
    assert_eq!(store.redeliver(Some(&sink("files")), None, at(100)).await.unwrap().events, 2);
    assert!(store.parked(None, 100).await.unwrap().is_empty());
    assert!(claim(store, "files", 100).await.is_some());
}

async fn what_waits_to_be_sent_again_is_due_at_once_when_that_is_asked_for_and_keeps_since_when_it_has_failed(
    opened: Opened,
) {
    let store = &opened.store;
    initiated(&opened, [1, 2]).await;
    opened.step(&address(1), |identity| cancel(identity, 10)).await;
    next(store, "mail", 0).await;
    initiated(&opened, [3]).await;
    let found = events(next(store, "mail", 0).await);
    for name in ["mail", "files"] {
        let claimed = claim(store, name, 0).await.unwrap();
        let set_aside =
            [(1, 1), (2, 2), (3, 1)].map(|(sequence, number)| aside(sequence, number, 500)).into();
        store.settle(&claimed, &Progress { set_aside, ..up_to(4) }, None).await.unwrap();
    }
    let redeliver = async |name: Option<&str>, id: Option<&str>, now| {
        let name = name.map(sink);
        store.redeliver(name.as_ref(), id, at(now)).await.unwrap()
    };
    let due = |events| Redelivery { events, sinks: 0 };
    assert_eq!(redeliver(None, Some("nothing"), 100).await, due(0));
    assert_eq!(redeliver(Some("mail"), Some(&found[3].id), 100).await, due(0));
    assert_eq!(redeliver(Some("other"), None, 100).await, due(0));
    // The first of the identity has to go before it.
    assert_eq!(redeliver(Some("mail"), Some(&found[2].id), 100).await, due(2));
    assert_eq!((again(store, "mail", 99).await, again(store, "mail", 100).await), (vec![], vec![1]));
    let waiting = store.again(&sink("mail"), at(100), 9).await.unwrap();
    assert_eq!((waiting[0].attempts, waiting[0].failing_since), (1, Some(at(0))));
    assert!(claim(store, "files", 499).await.is_none());
    assert!(claim(store, "mail", 100).await.is_some());
    assert_eq!(redeliver(None, None, 200).await, due(6));
    // It does not get behind what has become due since.
    assert_eq!((again(store, "mail", 100).await, again(store, "files", 199).await), (vec![1], vec![]));
    assert_eq!(again(store, "files", 200).await, [1, 2]);
}

async fn a_failing_sink_is_tried_at_once_when_that_is_asked_for(opened: Opened) {
    let store = &opened.store;
    initiated(&opened, [1]).await;
    let found = events(next(store, "mail", 0).await);
    initiated(&opened, [2]).await;
    let health = SinkHealth { failures: 7, failing_since: Some(at(3)), due_at: Some(at(500)) };
    let fail = async |name: &str, cursor, now| {
        let claimed = claim(store, name, now).await.unwrap();
        let progress = Progress { health, ..up_to(cursor) };
        store.settle(&claimed, &progress, None).await.unwrap();
    };
    for (name, cursor) in [("mail", 0), ("files", 1)] {
        fail(name, cursor, 0).await;
    }
    let redeliver = async |name: Option<&str>, id: Option<&str>, now| {
        let name = name.map(sink);
        store.redeliver(name.as_ref(), id, at(now)).await.unwrap()
    };
    let sinks = |sinks| Redelivery { events: 0, sinks };
    assert_eq!(redeliver(None, Some("nothing"), 100).await, sinks(0));
    assert_eq!(redeliver(Some("files"), Some(&found[0].id), 100).await, sinks(0));
    assert_eq!(redeliver(None, Some(&found[0].id), 100).await, sinks(1));
    assert_eq!((claim(store, "mail", 99).await, claim(store, "files", 499).await), (None, None));
    let claimed = claim(store, "mail", 100).await.unwrap();
    assert_eq!((claimed.health.failures, claimed.health.failing_since), (7, Some(at(3))));
    store.settle(&claimed, &Progress { health, ..up_to(0) }, None).await.unwrap();
    // An event without a place waits for every sink.
    let last = events(next(store, "mail", 1).await);
    assert_eq!(redeliver(Some("files"), Some(&last[0].id), 100).await, sinks(1));
    assert_eq!(redeliver(None, None, 100).await, sinks(1));
    assert_eq!(redeliver(None, None, 100).await, sinks(0));
    assert!(claim(store, "mail", 100).await.is_some() && claim(store, "files", 100).await.is_some());
}

async fn whoever_looks_on_sees_every_event_in_its_place_whatever_becomes_of_it(opened: Opened) {
    let store = &opened.store;
    let since = async |after, limit| store.since(after, limit).await.unwrap();
    assert_eq!(sequences(&since(0, 10).await), [0; 0]);
    initiated(&opened, [1, 2]).await;
    // Nobody has asked for them before, so that they have had no place.
    assert_eq!(sequences(&since(0, 10).await), [1, 2]);
    let claimed = claim(store, "mail", 1).await.unwrap();
    let parked = SetAside { parked_at: Some(at(2)), ..aside(2, 2, 2) };
    let progress = Progress { set_aside: vec![aside(1, 1, 2), parked], ..up_to(2) };
    store.settle(&claimed, &progress, None).await.unwrap();
    initiated(&opened, [3, 4]).await;
    let seen = since(0, 10).await;
    assert_eq!(sequences(&seen), [1, 2, 3, 4]);
    for waiting in &seen {
        let known = (waiting.attempts, waiting.failing_since, waiting.is_behind);
        assert_eq!(known, (0, None, false), "{waiting:?}");
    }
    assert_eq!(sequences(&since(0, 3).await), [1, 2, 3]);
    assert_eq!(sequences(&since(2, 3).await), [3, 4]);
    assert_eq!(sequences(&since(store.end().await.unwrap(), 3).await), [0; 0]);
    assert_eq!(events(seen), events(next(store, "files", 0).await));
}

async fn each_sink_has_its_own_progress_and_its_own_figures(opened: Opened) {
    let store = &opened.store;
    initiated(&opened, [1, 2, 3]).await;
    let (mail, files) = (claim(store, "mail", 0).await.unwrap(), claim(store, "files", 0).await.unwrap());
    next(store, "mail", 0).await;
    let parked = SetAside { parked_at: Some(at(60)), ..aside(2, 2, 50) };
    let progress = Progress { set_aside: vec![aside(1, 1, 50), parked], ..up_to(2) };
    store.settle(&mail, &progress, None).await.unwrap();
    store.settle(&files, &up_to(3), None).await.unwrap();
    // It has no place yet.
    initiated(&opened, [4]).await;
    let figures = |sink: &str, waiting, retrying, parked| SinkFigures {
        sink: sink.parse().unwrap(),
        waiting,
        retrying,
        parked,
    };
    let expected = [figures("files", 1, 0, 0), figures("mail", 2, 1, 1)];
    assert_eq!(store.figures().await.unwrap(), expected);
    assert_eq!(store.end().await.unwrap(), 4);
    assert_eq!(store.figures().await.unwrap(), expected);
    assert_eq!(claim(store, "files", 100).await.unwrap().cursor, 3);
    assert_eq!(claim(store, "mail", 100).await.unwrap().cursor, 2);
}

async fn a_sink_that_has_failed_is_not_handed_out_before_its_time(opened: Opened) {
    let store = &opened.store;
    initiated(&opened, [1]).await;
    let claimed = claim(store, "mail", 0).await.unwrap();
    let health = SinkHealth { failures: 3, failing_since: Some(at(7)), due_at: Some(at(900)) };
    store.settle(&claimed, &Progress { health, ..up_to(0) }, None).await.unwrap();
    assert_eq!(claim(store, "mail", 899).await, None);
    let claimed = claim(store, "mail", 900).await.unwrap();
    assert_eq!(claimed.health, SinkHealth { due_at: None, ..health });
}

async fn an_event_that_cannot_be_read_is_reported_in_its_place(opened: Opened) {
    let store = &opened.store;
    let spoilt = ["data = 'x'", "data = replace(data, 'users:2', 'users:9')", "process = '{}'"];
    initiated(&opened, 1..5).await;
    for (number, change) in (2..).zip(spoilt) {
        opened
            .sql
            .run(&format!("UPDATE outbox SET {change} WHERE process_id = '{}'", process_id(number)))
            .await;
    }
    let change = "UPDATE outbox SET data = replace(data, 'users:3', 'users:9') WHERE position = 3";
    opened.sql.run(change).await;
    let found = next(store, "mail", 0).await;
    assert_eq!(sequences(&found), [1, 2, 3, 4]);
    assert!(found[0].event.is_ok());
    for (number, waiting) in (2..).zip(&found[1..]) {
        let error = waiting.event.as_ref().unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { table: "outbox", .. }), "{error:?}");
        assert_eq!(waiting.address, address(number).as_str());
    }
    let claimed = claim(store, "mail", 0).await.unwrap();
    let parked = SetAside { parked_at: Some(at(60)), ..aside(2, 2, 50) };
    store.settle(&claimed, &Progress { set_aside: vec![parked], ..up_to(4) }, None).await.unwrap();
    assert!(store.parked(None, 9).await.unwrap()[0].event.is_err());
}

/// It does not know of the columns that came later.
async fn an_event_that_an_older_version_writes_meanwhile_has_an_id_as_well(opened: Opened) {
    let store = &opened.store;
    initiated(&opened, [1]).await;
    opened.sql.run("UPDATE outbox SET event_id = NULL, process = NULL").await;
    let id = format!("{}r1", process_id(1));
    let claimed = claim(store, "mail", 0).await.unwrap();
    let found = events(next(store, "mail", 0).await);
    assert_eq!((&found[0].id, &found[0].process), (&id, &None));
    let parked = SetAside { parked_at: Some(at(60)), ..aside(1, 1, 50) };
    store.settle(&claimed, &Progress { set_aside: vec![parked], ..up_to(1) }, None).await.unwrap();
    assert_eq!(store.parked(None, 9).await.unwrap()[0].event.as_ref().unwrap().id, id);
    assert_eq!(store.redeliver(None, Some(&id), at(70)).await.unwrap().events, 1);
}

async fn an_event_is_kept_for_as_long_as_a_sink_waits_for_it(opened: Opened) {
    let store = &opened.store;
    initiated(&opened, 1..6).await;
    let (mail, files) = (claim(store, "mail", 0).await.unwrap(), claim(store, "files", 0).await.unwrap());
    let known = [sink("files")];
    let forget = async || store.events(&known, at(DAY), 100).await.unwrap();
    let other = [sink("files"), sink("other")];
    // They have no place yet.
    assert_eq!(forget().await, 0);
    next(store, "mail", 0).await;
    assert_eq!(forget().await, 0);
    store.settle(&mail, &Progress { set_aside: vec![aside(2, 2, 50)], ..up_to(4) }, None).await.unwrap();
    store.settle(&files, &up_to(3), None).await.unwrap();
    assert_eq!(store.events(&known, at(0), 100).await.unwrap(), 0);
    // It is configured, and has not been told anything yet.
    assert_eq!(store.events(&other, at(DAY), 100).await.unwrap(), 0);
    assert_eq!(forget().await, 2);
    assert_eq!(again(store, "mail", 50).await, [2]);
    assert_eq!(sequences(&next(store, "files", 3).await), [4, 5]);
    // Places are not given away twice, whatever was forgotten.
    let mail = claim(store, "mail", 100).await.unwrap();
    store.settle(&mail, &Progress { delivered: vec![2], ..up_to(5) }, None).await.unwrap();
    let files = claim(store, "files", 100).await.unwrap();
    store.settle(&files, &up_to(5), None).await.unwrap();
    assert_eq!(forget().await, 3);
    initiated(&opened, [7]).await;
    assert_eq!(sequences(&next(store, "mail", 5).await), [6]);
}

async fn for_a_new_sink_nothing_waits_that_was_forgotten_before(opened: Opened) {
    let store = &opened.store;
    let waiting = async |name: &str| {
        let figures = store.figures().await.unwrap();
        figures.into_iter().find(|figures| figures.sink == sink(name)).unwrap().waiting
    };
    initiated(&opened, [1, 2, 3]).await;
    let mail = claim(store, "mail", 0).await.unwrap();
    next(store, "mail", 0).await;
    store.settle(&mail, &up_to(2), None).await.unwrap();
    assert_eq!(store.events(&[sink("mail")], at(DAY), 100).await.unwrap(), 2);
    assert_eq!(claim(store, "files", 0).await.unwrap().cursor, 2);
    assert_eq!(waiting("files").await, 1);
    let mail = claim(store, "mail", LEASE).await.unwrap();
    store.settle(&mail, &up_to(3), None).await.unwrap();
    let files = claim(store, "files", LEASE).await.unwrap();
    store.settle(&files, &up_to(3), None).await.unwrap();
    assert_eq!(store.events(&[], at(DAY), 100).await.unwrap(), 1);
    initiated(&opened, [4]).await;
    assert_eq!(claim(store, "other", LEASE).await.unwrap().cursor, 3);
    assert_eq!((waiting("other").await, sequences(&next(store, "other", 3).await)), (1, vec![4]));
}

async fn a_sink_that_is_not_configured_any_more_is_forgotten_after_a_while(opened: Opened) {
    let store = &opened.store;
    initiated(&opened, [1, 2]).await;
    for name in ["mail", "files"] {
        let claimed = claim(store, name, 0).await.unwrap();
        next(store, name, 0).await;
        let set_aside = vec![aside(1, 1, 50)];
        store.settle(&claimed, &Progress { set_aside, ..up_to(1) }, None).await.unwrap();
    }
    let known = [sink("mail"), sink("other")];
    assert_eq!(store.sinks(&known, at(0)).await.unwrap(), 0);
    assert_eq!(store.sinks(&known, at(1)).await.unwrap(), 1);
    assert_eq!(again(store, "files", 50).await, Vec::<i64>::new());
    assert_eq!(again(store, "mail", 50).await, [1]);
    assert_eq!(store.sinks(&[], at(1)).await.unwrap(), 1);
    assert!(store.figures().await.unwrap().is_empty());
    assert_eq!(store.events(&[], at(DAY), 100).await.unwrap(), 2);
}

async fn more_are_set_aside_and_delivered_at_once_than_a_statement_has_parameters(opened: Opened) {
    let store = &opened.store;
    let many: i64 = 33_000;
    let claimed = claim(store, "mail", 0).await.unwrap();
    let set_aside = (1..=many).map(|sequence| aside(sequence, 1, 50)).collect();
    store.settle(&claimed, &Progress { set_aside, ..up_to(many) }, Some(at(LEASE))).await.unwrap();
    let count = async || store.figures().await.unwrap()[0].retrying;
    assert_eq!(count().await, u64::try_from(many).unwrap());
    let delivered = (1..=many).collect();
    store.settle(&claimed, &Progress { delivered, ..up_to(many) }, None).await.unwrap();
    assert_eq!(count().await, 0);
}

/// A place costs an update; what a burst of steps leaves behind gets its places when it is told.
async fn no_more_events_get_a_place_than_are_read(opened: Opened) {
    initiated(&opened, 0..10).await;
    let places = || opened.sql.value::<i64>("SELECT count(sequence) FROM outbox");
    for (after, limit, expected, given) in [
        (0, 3, vec![1, 2, 3], 3),
        (0, 2, vec![1, 2], 3),
        (2, 4, vec![3, 4, 5, 6], 6),
        (6, 100, vec![7, 8, 9, 10], 10),
    ] {
        let read = opened.store.next(&sink("mail"), after, limit).await.unwrap();
        assert_eq!((sequences(&read), places().await), (expected, given));
    }
}

async fn whoever_reads_while_somebody_else_gives_places_misses_nothing(opened: Opened) {
    for round in 1..=5 {
        initiated(&opened, (round * 100)..(round * 100 + 20)).await;
        let barrier = Arc::new(Barrier::new(8));
        let mut reading = JoinSet::new();
        for number in 0..8 {
            let (store, barrier) = (opened.store.clone(), barrier.clone());
            reading.spawn(async move {
                barrier.wait().await;
                sequences(&next(&store, &format!("sink{number}"), 0).await).len()
            });
        }
        assert_eq!(reading.join_all().await, [round * 20; 8]);
    }
}

/// Steps are taken and events are read at the same time, by several, and each reader goes on behind the last that he saw.
async fn many_who_step_and_many_who_read_at_once_agree_on_one_order(opened: Opened) {
    const IDENTITIES: usize = 20;
    const ROUNDS: usize = 10;
    let mut stepping = JoinSet::new();
    for number in 0..IDENTITIES {
        let store = opened.another_store().await;
        stepping.spawn(async move {
            for round in 0..ROUNDS {
                let (owner, now) = (address(number), i64::try_from(round * 2).unwrap());
                let identities = || reprieve_application::ports::Identities::load(&store, &owner);
                let loaded = identities().await.unwrap();
                let step = initiate(&loaded.value, number * ROUNDS + round, now);
                save(&store, &step, loaded.version).await.unwrap();
                let loaded = identities().await.unwrap();
                save(&store, &cancel(&loaded.value, now + 1), loaded.version).await.unwrap();
            }
        });
        if number % 5 == 4 {
            // So many connections at once are enough.
            while stepping.len() > 4 {
                stepping.join_next().await.unwrap().unwrap();
            }
        }
    }
    let mut reading = JoinSet::new();
    for name in ["mail", "files", "other"] {
        let store = opened.another_store().await;
        reading.spawn(async move {
            let mut read: Vec<(i64, String, i64)> = Vec::new();
            while read.len() < IDENTITIES * ROUNDS * 2 {
                let after = read.last().map_or(0, |(sequence, ..)| *sequence);
                for waiting in store.next(&sink(name), after, 7).await.unwrap() {
                    let event = waiting.event.unwrap();
                    let occurred_at = event.event.occurred_at.unix_micros();
                    read.push((waiting.sequence, event.event.address.to_string(), occurred_at));
                }
            }
            read
        });
    }
    while let Some(stepped) = stepping.join_next().await {
        stepped.unwrap();
    }
    let read = reading.join_all().await;
    for one in &read {
        assert!(one == &read[0], "two have read different orders");
        let mut latest: BTreeMap<&str, i64> = BTreeMap::new();
        for (_, address, occurred_at) in one {
            let before = latest.insert(address, *occurred_at);
            assert!(before.is_none_or(|before| before < *occurred_at), "{address}: {before:?} {occurred_at}");
        }
    }
    assert!(read[0].iter().map(|(sequence, ..)| *sequence).eq(1..=400));
}

/// A transaction that was there first and is committed last.
async fn an_event_that_is_committed_late_gets_a_place_behind_those_that_were_seen(opened: Opened) {
    initiated(&opened, [1, 2]).await;
    let late = "INSERT INTO outbox (process_id, revision, address, event_type, occurred_at, data, event_id) \
                SELECT process_id, revision, address, event_type, occurred_at, data, process_id || 'r1' FROM outbox \
                WHERE position = 1";
    opened.sql.run(&format!("BEGIN; {late}")).await;
    opened.step(&address(3), |identity| initiate(identity, 3, 5)).await;
    assert_eq!(sequences(&next(&opened.store, "mail", 0).await), [1, 2, 3]);
    opened.sql.run("COMMIT").await;
    let late = events(next(&opened.store, "mail", 3).await);
    assert_eq!(
        late.iter().map(|event| (event.sequence, event.id.as_str())).collect::<Vec<_>>(),
        [(4, "IDP00000000000000001r1")]
    );
    opened.step(&address(1), |identity| start(identity, &[], ENDS_AT)).await;
    assert_eq!(sequences(&next(&opened.store, "mail", 4).await), [5]);
}

/// The second has seen an event between those that the first gives places to.
async fn of_two_who_give_places_at_once_the_second_sees_what_the_first_gave(opened: Opened) {
    initiated(&opened, [1]).await;
    let late = "INSERT INTO outbox (process_id, revision, address, event_type, occurred_at, data, event_id) \
                SELECT process_id, 9, address, event_type, occurred_at, data, 'late' FROM outbox WHERE position = 1";
    opened.sql.run(&format!("BEGIN; {late}")).await;
    initiated(&opened, [3]).await;
    let in_the_way = Sql::connect(opened.database.url()).await;
    in_the_way.run("BEGIN; UPDATE outbox SET revision = revision WHERE position = 1").await;
    let read = |store: Store| tokio::spawn(async move { sequences(&next(&store, "mail", 0).await) });
    let first = read(opened.another_store().await);
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid";
    while in_the_way.value::<i64>(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
    opened.sql.run("COMMIT").await;
    let second = read(opened.another_store().await);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event_type = 'Lock'";
    while opened.sql.value::<i64>(waiting).await < 2 {
        tokio::task::yield_now().await;
    }
    in_the_way.run("COMMIT").await;
    assert_eq!(sequences(&next(&opened.store, "mail", 0).await), [1, 2, 3]);
    // Each of them has seen all that were there, but the first not what came later.
    assert!(first.await.unwrap().starts_with(&[1, 2]));
    assert_eq!(second.await.unwrap(), [1, 2, 3]);
    let places: Vec<i64> = opened.sql.column("SELECT sequence FROM outbox ORDER BY position").await;
    assert_eq!(places, [1, 3, 2]);
}

/// Whoever gives places has seen the event, and waits for whoever forgets it.
async fn an_event_that_is_forgotten_while_places_are_given_does_not_have_one_given_twice(opened: Opened) {
    initiated(&opened, [1, 2, 3]).await;
    opened.sql.run("BEGIN; DELETE FROM outbox WHERE position = 1").await;
    let store = opened.store.clone();
    let reading = tokio::spawn(async move { sequences(&next(&store, "mail", 0).await) });
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid";
    while opened.sql.value::<i64>(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
    opened.sql.run("COMMIT").await;
    let seen = reading.await.unwrap();
    assert_eq!(seen.len(), 2);
    initiated(&opened, [4]).await;
    let later = sequences(&next(&opened.store, "mail", *seen.last().unwrap()).await);
    assert_eq!(later.len(), 1, "{seen:?}");
    assert_eq!(opened.store.end().await.unwrap(), later[0]);
}
