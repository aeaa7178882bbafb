//! The relay against a store in memory and a sink that does what it is told: whatever is refused whenever, every event
//! arrives or is parked, and those of one identity arrive in their order.

mod store;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use reprieve_domain::{FailureCode, Timestamp};

use self::store::{Memory, event};
use super::{Pace, RelayEvents, RelaySettings, Relayed, Rest};
use crate::ports::{Clock, EventSink, MockIds, RandomSourceFailed, SendError};
use crate::use_cases::test_data::at;
use crate::{Backoff, OutgoingEvent, SinkName};

const SECOND: i64 = 1_000_000;

/// A clock that is set.
#[derive(Default)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::SeqCst))
    }
}

/// What a sink answers to one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Takes,
    Refuses,
    IsAway,
}

/// Answers by turns what it was told to, and then takes everything.
struct Scripted {
    name: SinkName,
    answers: Mutex<Vec<Answer>>,
    /// What it always refuses.
    poison: BTreeSet<i64>,
    /// What it does not want.
    unwanted: BTreeSet<i64>,
    got: Mutex<Vec<i64>>,
    at_once: Mutex<(BTreeSet<String>, usize)>,
    concurrency: usize,
    /// What does not come to its end before so many others have.
    slow: Option<(i64, usize)>,
}

impl Scripted {
    fn new(concurrency: usize) -> Self {
        Self {
            name: "test".parse().unwrap(),
            answers: Mutex::default(),
            poison: BTreeSet::new(),
            unwanted: BTreeSet::new(),
            got: Mutex::default(),
            at_once: Mutex::default(),
            concurrency,
            slow: None,
        }
    }

    fn got(&self) -> Vec<i64> {
        self.got.lock().unwrap().clone()
    }
}

#[async_trait]
impl EventSink for Scripted {
    fn name(&self) -> &SinkName {
        &self.name
    }

    fn wants(&self, event: &OutgoingEvent) -> bool {
        !self.unwanted.contains(&event.sequence)
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    async fn send(&self, event: &OutgoingEvent) -> Result<(), SendError> {
        let address = event.event.address.to_string();
        {
            let (at_once, most) = &mut *self.at_once.lock().unwrap();
            assert!(at_once.insert(address.clone()), "two events of {address} at once");
            *most = (*most).max(at_once.len());
        }
        // The longer an event takes, the later others overtake it.
        for _ in 0..event.sequence % 5 {
            tokio::task::yield_now().await;
        }
        while self.slow.is_some_and(|(slow, others)| slow == event.sequence && self.got().len() < others) {
            tokio::task::yield_now().await;
        }
        self.at_once.lock().unwrap().0.remove(&address);
        let answer = self.answers.lock().unwrap().pop().unwrap_or(Answer::Takes);
        if self.poison.contains(&event.sequence) {
            return Err(SendError::Refused(FailureCode::http_status(422)));
        }
        match answer {
            Answer::Takes => {
                self.got.lock().unwrap().push(event.sequence);
                Ok(())
            }
            Answer::Refuses => Err(SendError::Refused(FailureCode::http_status(500))),
            Answer::IsAway => Err(SendError::Unreachable(FailureCode::unreachable())),
        }
    }
}

struct World {
    store: Arc<Memory>,
    clock: Arc<SetClock>,
    relay: RelayEvents,
}

impl World {
    /// With the events of these identities, in this order.
    fn new(identities: &[usize]) -> Self {
        let store = Arc::new(Memory::default());
        store.add(identities.iter().enumerate().map(|(index, identity)| {
            let sequence = i64::try_from(index).unwrap() + 1;
            event(sequence, *identity)
        }));
        let clock = Arc::new(SetClock::default());
        let mut ids = MockIds::new();
        ids.expect_random_bytes().returning(|| Ok::<_, RandomSourceFailed>([255; 32]));
        let settings = RelaySettings {
            backoff: Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_mins(1),
                patience: Duration::from_secs(1000),
            },
            lease: Duration::from_secs(30),
        };
        let relay = RelayEvents::new(store.clone(), clock.clone(), Arc::new(ids), settings);
        Self { store, clock, relay }
    }

    async fn pass(&self, sink: &Scripted) -> Relayed {
        self.relay.execute(sink, None, &|| false).await.unwrap()
    }

    fn wait(&self, micros: i64) {
        self.clock.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Passes until nothing is left but what is parked, or for so long.
    async fn passes(&self, sink: &Scripted, most: usize) {
        for _ in 0..most {
            self.pass(sink).await;
            if self.store.is_settled() {
                return;
            }
            self.wait(61 * SECOND);
        }
        panic!("still waiting after {most} passes: {:?}", self.store);
    }
}

/// Of each identity, what arrived, each event where it arrived first.
fn first_arrivals(identities: &[usize], got: &[i64]) -> BTreeMap<usize, Vec<i64>> {
    let mut arrivals: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for sequence in got {
        if seen.insert(*sequence) {
            let identity = identities[usize::try_from(*sequence).unwrap() - 1];
            arrivals.entry(identity).or_default().push(*sequence);
        }
    }
    arrivals
}

fn expected(identities: &[usize], without: &BTreeSet<i64>) -> BTreeMap<usize, Vec<i64>> {
    let mut expected: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    for (sequence, identity) in (1..).zip(identities) {
        if !without.contains(&sequence) {
            expected.entry(*identity).or_default().push(sequence);
        }
    }
    expected
}

#[tokio::test]
async fn everything_is_told_in_one_pass_many_at_once_and_settled() {
    let identities: Vec<usize> = (0..500).map(|number| number % 50).collect();
    let world = World::new(&identities);
    let sink = Scripted::new(20);
    let relayed = world.pass(&sink).await;
    assert_eq!(relayed, Relayed { delivered: 500, ..Relayed::default() });
    assert_eq!(sink.got().len(), 500);
    assert_eq!(first_arrivals(&identities, &sink.got()), expected(&identities, &BTreeSet::new()));
    assert_eq!(sink.at_once.lock().unwrap().1, 20);
    assert!(world.store.is_settled());
    assert_eq!(world.pass(&sink).await, Relayed::default());
}

#[tokio::test]
async fn what_takes_long_holds_up_its_own_identity_and_no_other() {
    let identities: Vec<usize> = (0..100).map(|number| number % 10).collect();
    let world = World::new(&identities);
    let mut sink = Scripted::new(3);
    // Everything but what is of its own identity.
    sink.slow = Some((1, 90));
    assert_eq!(world.pass(&sink).await.delivered, 100);
    let got = sink.got();
    let own: Vec<i64> = (1..=100).filter(|sequence| sequence % 10 == 1).collect();
    assert_eq!(got[90..], own);
}

#[tokio::test]
async fn what_is_refused_holds_up_its_own_identity_and_no_other() {
    let identities = [0, 1, 0, 2, 1, 0, 2];
    let world = World::new(&identities);
    let mut sink = Scripted::new(4);
    sink.poison.insert(1);
    let relayed = world.pass(&sink).await;
    assert_eq!((relayed.delivered, relayed.refused, relayed.parked), (4, 1, 0));
    assert_eq!(BTreeSet::from_iter(sink.got()), BTreeSet::from([2, 4, 5, 7]));
    // Not before its time.
    assert_eq!(world.pass(&sink).await, Relayed::default());
    sink.poison.clear();
    world.wait(SECOND);
    world.pass(&sink).await;
    assert_eq!(sink.got()[4..], [1, 3, 6]);
    assert!(world.store.is_settled());
}

#[tokio::test]
async fn what_is_refused_for_too_long_is_parked_and_the_later_ones_go_on() {
    let world = World::new(&[0, 0, 1]);
    let mut sink = Scripted::new(4);
    sink.poison.insert(1);
    world.passes(&sink, 100).await;
    assert_eq!(BTreeSet::from_iter(sink.got()), BTreeSet::from([2, 3]));
    let parked = world.store.parked_sequences();
    assert_eq!(parked, [1]);
    let since = world.store.attempts(1);
    assert!(since > 10, "{since}");
    // Somebody has looked after it.
    sink.poison.clear();
    world.store.redeliver_all(world.clock.now());
    world.pass(&sink).await;
    assert_eq!(sink.got().last(), Some(&1));
    assert!(world.store.is_settled() && world.store.parked_sequences().is_empty());
}

#[tokio::test]
async fn a_sink_that_is_away_is_left_alone_for_longer_and_longer_and_nothing_moves() {
    let identities: Vec<usize> = (0..100).collect();
    let world = World::new(&identities);
    let sink = Scripted::new(8);
    *sink.answers.lock().unwrap() = vec![Answer::IsAway; 11];
    let relayed = world.pass(&sink).await;
    assert!(relayed.is_failing && relayed.delivered == 0);
    // All that were on their way, and from then on one finds out.
    assert_eq!(sink.answers.lock().unwrap().len(), 3);
    for (wait, left) in [(SECOND - 1, 3), (1, 2), (2 * SECOND - 1, 2), (1, 1), (4 * SECOND, 0)] {
        world.wait(wait);
        world.pass(&sink).await;
        assert_eq!(sink.answers.lock().unwrap().len(), left, "{wait}");
    }
    world.wait(8 * SECOND);
    assert_eq!(world.pass(&sink).await, Relayed { delivered: 100, ..Relayed::default() });
}

#[tokio::test]
async fn what_waits_for_too_long_for_a_sink_that_is_away_is_parked_although_it_was_never_tried() {
    let world = World::new(&[0, 1, 2, 0]);
    let sink = Scripted::new(2);
    *sink.answers.lock().unwrap() = vec![Answer::IsAway; 1000];
    world.passes(&sink, 40).await;
    assert_eq!(world.store.parked_sequences(), [1, 2, 3, 4]);
    // It is as new when it is back.
    sink.answers.lock().unwrap().clear();
    world.store.add([event(5, 1)]);
    world.wait(61 * SECOND);
    world.pass(&sink).await;
    assert_eq!(sink.got(), [5]);
}

#[tokio::test]
async fn a_sink_that_refuses_everything_is_taken_to_be_out_of_order() {
    let identities: Vec<usize> = (0..1000).collect();
    let world = World::new(&identities);
    let sink = Scripted::new(1);
    *sink.answers.lock().unwrap() = vec![Answer::Refuses; 10];
    let relayed = world.pass(&sink).await;
    assert_eq!((relayed.refused, relayed.is_failing), (10, true));
    assert_eq!(world.pass(&sink).await, Relayed::default());
    world.wait(2 * SECOND);
    assert_eq!(world.pass(&sink).await.delivered, 1000);
}

#[tokio::test]
async fn many_that_are_always_refused_do_not_keep_others_from_a_sink_that_takes_them() {
    let identities: Vec<usize> = (0..60).collect();
    let world = World::new(&identities);
    let mut sink = Scripted::new(4);
    sink.poison = (1..=30).collect();
    // Before any is parked.
    for _ in 0..10 {
        world.pass(&sink).await;
        world.wait(61 * SECOND);
    }
    assert_eq!(BTreeSet::from_iter(sink.got()), (31..=60).collect());
}

#[tokio::test]
async fn what_a_sink_does_not_want_is_passed_over() {
    let world = World::new(&[0, 0, 0]);
    let mut sink = Scripted::new(2);
    sink.unwanted = BTreeSet::from([1, 3]);
    assert_eq!(world.pass(&sink).await, Relayed { delivered: 1, ..Relayed::default() });
    assert_eq!(sink.got(), [2]);
    assert!(world.store.is_settled());
}

#[tokio::test]
async fn what_cannot_be_read_is_parked_and_holds_up_nothing() {
    let world = World::new(&[0, 0, 1]);
    world.store.spoil(1);
    let sink = Scripted::new(2);
    let relayed = world.pass(&sink).await;
    assert_eq!((relayed.delivered, relayed.parked), (2, 1));
    assert_eq!(world.store.parked_sequences(), [1]);
}

#[tokio::test]
async fn whoever_was_overtaken_stores_nothing_more_and_says_so() {
    let world = World::new(&[0, 1, 2]);
    let sink = Scripted::new(1);
    world.store.overtake_after(0);
    let relayed = world.pass(&sink).await;
    assert!(relayed.is_overtaken);
    assert!(!world.store.is_settled());
}

#[tokio::test]
async fn what_is_told_to_end_gives_the_sink_back_with_the_rest_untold() {
    let identities: Vec<usize> = (0..100).collect();
    let world = World::new(&identities);
    let sink = Scripted::new(1);
    let relayed = world.relay.execute(&sink, None, &|| sink.got().len() >= 10).await.unwrap();
    assert_eq!(relayed.delivered, 10);
    // At once, by whoever comes next.
    assert_eq!(world.pass(&sink).await.delivered, 90);
    assert!(sink.got().into_iter().eq(1..=100));
}

#[tokio::test]
async fn while_it_goes_on_the_lease_is_renewed() {
    let identities: Vec<usize> = (0..50).collect();
    let world = World::new(&identities);
    let sink = Scripted::new(1);
    let clock = &world.clock;
    // Each event takes a fifth of the lease.
    let relayed = world
        .relay
        .execute(&sink, None, &|| {
            clock.0.fetch_add(6 * SECOND, Ordering::SeqCst);
            assert!(world.store.lease_ends_at().is_none_or(|end| end > clock.now()));
            false
        })
        .await
        .unwrap();
    assert_eq!(relayed.delivered, 50);
}

/// For each event that it gets there is another one.
struct Endless<'a> {
    scripted: Scripted,
    last: AtomicI64,
    world: &'a World,
}

#[async_trait]
impl EventSink for Endless<'_> {
    fn name(&self) -> &SinkName {
        self.scripted.name()
    }

    fn wants(&self, event: &OutgoingEvent) -> bool {
        self.scripted.wants(event)
    }

    fn concurrency(&self) -> usize {
        self.scripted.concurrency()
    }

    async fn send(&self, told: &OutgoingEvent) -> Result<(), SendError> {
        self.world.wait(SECOND);
        let sequence = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(sequence < 10_000, "it never ends");
        self.world.store.add([event(sequence, usize::try_from(sequence).unwrap())]);
        self.scripted.send(told).await
    }
}

#[tokio::test]
async fn a_pass_ends_although_events_never_cease() {
    let identities: Vec<usize> = (0..3000).collect();
    let world = World::new(&identities);
    let sink = Endless { scripted: Scripted::new(2), last: AtomicI64::new(3000), world: &world };
    let mut delivered = 0;
    for _ in 0..3 {
        let relayed = world.relay.execute(&sink, None, &|| false).await.unwrap();
        assert!(relayed.rest == Rest::More && relayed.delivered >= 29, "{relayed:?}");
        delivered += relayed.delivered;
    }
    let got = sink.scripted.got();
    assert_eq!(BTreeSet::from_iter(&got).len(), got.len());
    assert_eq!(u64::try_from(got.len()).unwrap(), delivered);
}

/// What happens while it goes on is left to the next pass, or there would be one turn with the store for each event.
#[tokio::test]
async fn a_pass_is_over_when_less_has_happened_than_it_asks_for_at_once() {
    let world = World::new(&[0, 1]);
    let sink = Endless { scripted: Scripted::new(2), last: AtomicI64::new(2), world: &world };
    let relayed = world.relay.execute(&sink, None, &|| false).await.unwrap();
    assert_eq!((relayed.delivered, relayed.rest), (2, Rest::Nothing));
    assert_eq!(world.store.turns(), 1);
}

const PACE: Pace = Pace { at_once: 10, hurry_after: Duration::from_mins(1) };

#[tokio::test]
async fn with_a_pace_a_pass_reads_so_many_of_what_has_just_happened() {
    let identities: Vec<usize> = (0..25).collect();
    let world = World::new(&identities);
    let sink = Scripted::new(4);
    // One second before they would have to hurry.
    world.wait(59 * SECOND);
    for expected in [
        Relayed { delivered: 10, rest: Rest::Recent, ..Relayed::default() },
        Relayed { delivered: 10, rest: Rest::Recent, ..Relayed::default() },
        Relayed { delivered: 5, ..Relayed::default() },
    ] {
        assert_eq!(world.relay.execute(&sink, Some(PACE), &|| false).await.unwrap(), expected);
    }
    assert!(world.store.is_settled());
}

#[tokio::test]
async fn what_has_waited_for_long_is_told_as_fast_as_it_can_be() {
    let identities: Vec<usize> = (0..5000).collect();
    let world = World::new(&identities);
    let sink = Scripted::new(4);
    world.wait(60 * SECOND + 1);
    let relayed = world.relay.execute(&sink, Some(PACE), &|| false).await.unwrap();
    assert_eq!(relayed, Relayed { delivered: 5000, ..Relayed::default() });
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let answer = prop_oneof![4 => Just(Answer::Takes), 2 => Just(Answer::Refuses), 1 => Just(Answer::IsAway)];
    prop::collection::vec(answer, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_refused_everything_arrives_in_order_or_is_parked(
        identities in prop::collection::vec(0_usize..40, 1..300),
        answers in answers(),
        poison in prop::collection::btree_set(1_i64..300, 0..6),
        concurrency in 1_usize..12,
        crashes in prop::collection::vec(0_usize..100, 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new(&identities);
            let mut sink = Scripted::new(concurrency);
            sink.poison = poison.clone();
            *sink.answers.lock().unwrap() = answers;
            for after in crashes {
                // What it has stored until then is what is stored.
                let until = sink.got().len() + after;
                let stop = || sink.got().len() >= until;
                let crash = async { while !stop() { tokio::task::yield_now().await; } };
                tokio::select! {
                    biased;
                    () = crash => {}
                    relayed = world.relay.execute(&sink, None, &|| false) => { relayed.unwrap(); }
                }
                sink.at_once.lock().unwrap().0.clear();
                world.wait(31 * SECOND);
            }
            world.passes(&sink, 200).await;
            let parked: BTreeSet<i64> = world.store.parked_sequences().into_iter().collect();
            let got = sink.got();
            // Poison never arrives; whatever else is parked was refused again and again, and nothing is both.
            let never: BTreeSet<i64> =
                poison.into_iter().filter(|sequence| usize::try_from(*sequence).unwrap() <= identities.len()).collect();
            assert!(never.is_subset(&parked), "{never:?} {parked:?}");
            let mut times: HashMap<i64, usize> = HashMap::new();
            for sequence in &got {
                *times.entry(*sequence).or_default() += 1;
            }
            let arrived: BTreeSet<i64> = times.keys().copied().collect();
            let all: BTreeSet<i64> = (1..=i64::try_from(identities.len()).unwrap()).collect();
            assert_eq!(&arrived | &parked, all);
            assert_eq!(first_arrivals(&identities, &got), expected(&identities, &(&all - &arrived)));
        });
    }
}
