//! One pass over what waits for one sink.
//!
//! Three things go on at once: events on their way, at most one *turn* with the store, which stores what has become of
//! events and brings the next ones, and nothing else. The window holds all events from the first that is not settled to
//! the last that was read.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use reprieve_domain::{FailureCode, Timestamp};

use super::{Pace, RelayEvents, Relayed, Rest};
use crate::backoff::{after, before};
use crate::ports::{EventSink, Progress, SendError, SetAside, SinkClaim, SinkHealth, WaitingEvent};
use crate::{OutgoingEvent, StoreError};

/// After so many refusals in a row, whatever was refused, the sink is taken to be out of order.
const OUT_OF_ORDER: u32 = 10;

/// An event that is to be told of.
struct Item {
    sequence: i64,
    address: String,
    event: OutgoingEvent,
    attempts: u32,
    failing_since: Option<Timestamp>,
    /// Whether it was set aside before; if not, it is in the window.
    is_again: bool,
}

/// An event in the window.
struct Place {
    sequence: i64,
    is_settled: bool,
}

/// What has happened.
enum Happened {
    Sent(Box<Item>, Result<(), SendError>),
    Turned(Result<Turn, StoreError>),
}

/// What a turn brings.
#[derive(Default)]
struct Turn {
    again: Vec<WaitingEvent>,
    next: Vec<WaitingEvent>,
    /// How many of each were asked for at most.
    page: usize,
}

pub(super) struct Pass<'a> {
    relay: &'a RelayEvents,
    sink: &'a dyn EventSink,
    claim: SinkClaim,
    health: SinkHealth,
    window: VecDeque<Place>,
    /// Everything up to here was read.
    read_to: i64,
    /// Everything up to here is settled.
    cursor: i64,
    /// What can be sent as soon as there is room.
    ready: VecDeque<Box<Item>>,
    /// Of each identity with an event that is ready or on its way, the later ones.
    behind: HashMap<String, VecDeque<Box<Item>>>,
    /// Identities of which something was set aside in this pass: what was read later did not know.
    aside: HashSet<String>,
    /// What the store does not know yet.
    set_aside: Vec<SetAside>,
    delivered: Vec<i64>,
    refused_in_a_row: u32,
    /// Nothing more is sent.
    is_stopping: bool,
    may_be_more: bool,
    on_the_way: usize,
    pace: Option<Pace>,
    /// How many events may still be read; any number if there is nothing here.
    allowance: Option<u64>,
    began_at: Timestamp,
    /// What was set aside before and is about to be sent, or is on its way.
    again: HashSet<i64>,
    stored_at: Timestamp,
    stored_cursor: i64,
    relayed: Relayed,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        relay: &'a RelayEvents,
        sink: &'a dyn EventSink,
        claim: SinkClaim,
        pace: Option<Pace>,
        now: Timestamp,
    ) -> Self {
        Self {
            relay,
            sink,
            health: claim.health,
            window: VecDeque::new(),
            read_to: claim.cursor,
            cursor: claim.cursor,
            ready: VecDeque::new(),
            behind: HashMap::new(),
            aside: HashSet::new(),
            set_aside: Vec::new(),
            delivered: Vec::new(),
            refused_in_a_row: 0,
            is_stopping: false,
            may_be_more: true,
            on_the_way: 0,
            pace,
            allowance: pace.map(|pace| pace.at_once),
            began_at: now,
            again: HashSet::new(),
            stored_at: now,
            stored_cursor: claim.cursor,
            relayed: Relayed::default(),
            claim,
        }
    }

    pub(super) async fn run(mut self, is_to_end: &(dyn Fn() -> bool + Sync)) -> Result<Relayed, StoreError> {
        let mut going_on: FuturesUnordered<BoxFuture<'a, Happened>> = FuturesUnordered::new();
        let mut is_turning = false;
        let mut failure = None;
        loop {
            self.is_stopping |= is_to_end();
            while !self.is_stopping
                && self.on_the_way < self.room()
                && let Some(item) = self.ready.pop_front()
            {
                self.on_the_way += 1;
                let sink = self.sink;
                going_on.push(Box::pin(async move {
                    let sent = sink.send(&item.event).await;
                    Happened::Sent(item, sent)
                }));
            }
            if !is_turning && failure.is_none() && self.is_time_to_turn() {
                is_turning = true;
                going_on.push(self.turn());
            }
            match going_on.next().await {
                Some(Happened::Sent(item, sent)) => {
                    self.on_the_way -= 1;
                    self.sent(item, sent);
                }
                Some(Happened::Turned(turned)) => {
                    is_turning = false;
                    match turned {
                        Ok(turn) => self.take_in(turn),
                        // What is on its way comes to its end, and nothing more is begun.
                        Err(error) => {
                            self.is_stopping = true;
                            failure = Some(error);
                        }
                    }
                }
                None => break,
            }
        }
        self.relayed.rest = match self.allowance {
            _ if self.is_stopping || !self.may_be_more => Rest::Nothing,
            Some(0) => Rest::Recent,
            _ => Rest::More,
        };
        let ended = match failure {
            None => self.end().await,
            Some(error) => Err(error),
        };
        match ended {
            Err(StoreError::LeaseLost) => self.relayed.is_overtaken = true,
            other => other?,
        }
        Ok(self.relayed)
    }

    /// How many events may be on their way: of a sink that has failed, one finds out whether it is back.
    fn room(&self) -> usize {
        if self.health.failures > 0 { 1 } else { self.sink.concurrency().max(1) }
    }

    /// How many events are read ahead, so that room does not stay empty while the store is asked, or because the next few
    /// events are all of one identity.
    fn window_size(&self) -> usize {
        match self.room() {
            1 => 64,
            room => 2 * room + 1024,
        }
    }

    fn is_time_to_turn(&self) -> bool {
        if self.is_stopping {
            return false;
        }
        let is_late = self.relay.clock.now() >= after(self.stored_at, self.relay.settings.lease / 3);
        let waiting = self.window.len() + self.again.len();
        is_late || (self.asks_for_more() && waiting <= self.window_size() / 2)
    }

    fn asks_for_more(&self) -> bool {
        self.may_be_more && !self.has_gone_on_for_long() && self.allowance != Some(0)
    }

    /// Whether no more is asked for: what is told of a pass is told at its end, and so is who was refused forgotten.
    fn has_gone_on_for_long(&self) -> bool {
        self.relay.clock.now() >= after(self.began_at, self.relay.settings.lease)
    }

    /// Stores what has become of events so far, and asks for more if there is room.
    fn turn(&mut self) -> BoxFuture<'a, Happened> {
        let now = self.relay.clock.now();
        let progress = (self.cursor > self.stored_cursor
            || !self.set_aside.is_empty()
            || !self.delivered.is_empty()
            || now >= after(self.stored_at, self.relay.settings.lease / 3))
        .then(|| self.progress());
        if progress.is_some() {
            (self.stored_at, self.stored_cursor) = (now, self.cursor);
        }
        let room = self.window_size().saturating_sub(self.window.len() + self.again.len());
        let allowed = self.allowance.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX);
        let asks = self.asks_for_more();
        let page = if asks { room.min(allowed) } else { 0 };
        // Not before all of the last ones are through, or some would be on their way twice.
        let asks_again = page > 0 && self.again.is_empty();
        self.may_be_more &= !asks;
        let (relay, sink, claim, read_to) = (self.relay, self.sink, self.claim.clone(), self.read_to);
        Box::pin(async move {
            let turn = async {
                if let Some(progress) = progress {
                    let lease_ends_at = after(now, relay.settings.lease);
                    relay.deliveries.settle(&claim, &progress, Some(lease_ends_at)).await?;
                }
                let mut turn = Turn { page, ..Turn::default() };
                let page = u32::try_from(page).unwrap_or(u32::MAX);
                if asks_again {
                    turn.again = relay.deliveries.again(sink.name(), now, page).await?;
                }
                if page > 0 {
                    turn.next = relay.deliveries.next(sink.name(), read_to, page).await?;
                }
                Ok(turn)
            };
            Happened::Turned(turn.await)
        })
    }

    fn progress(&mut self) -> Progress {
        Progress {
            cursor: self.cursor,
            set_aside: mem::take(&mut self.set_aside),
            delivered: mem::take(&mut self.delivered),
            health: self.health,
        }
    }

    fn take_in(&mut self, turn: Turn) {
        // What has happened since is for the next pass: asking costs as much for one event as for many.
        self.may_be_more |= turn.page > 0 && turn.again.len().max(turn.next.len()) >= turn.page;
        self.keep_pace(&turn.next);
        let (mut again, mut next) = (turn.again.into_iter(), turn.next.into_iter());
        // In turns: if all that were refused before are refused again, others show whether the sink takes any.
        loop {
            let (retried, new) = (again.next(), next.next());
            if retried.is_none() && new.is_none() {
                break;
            }
            if let Some(waiting) = retried {
                self.again.insert(waiting.sequence);
                self.take_in_one(waiting, true);
            }
            if let Some(waiting) = new {
                self.read_to = self.read_to.max(waiting.sequence);
                self.window.push_back(Place { sequence: waiting.sequence, is_settled: false });
                self.take_in_one(waiting, false);
            }
        }
        self.advance();
    }

    /// Once the events are so old that they must not wait any longer, all are read until they are not.
    fn keep_pace(&mut self, read: &[WaitingEvent]) {
        let Some(pace) = self.pace else { return };
        let Some(last) = read.iter().rev().find_map(|waiting| waiting.event.as_ref().ok()) else { return };
        let hurries = last.event.occurred_at <= before(self.relay.clock.now(), pace.hurry_after);
        let read = u64::try_from(read.len()).unwrap_or(u64::MAX);
        self.allowance = (!hurries).then(|| self.allowance.unwrap_or(0).saturating_sub(read));
    }

    fn take_in_one(&mut self, waiting: WaitingEvent, is_again: bool) {
        let WaitingEvent { sequence, address, event, attempts, failing_since, is_behind } = waiting;
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    sequence,
                    "an event cannot be published"
                );
                let reason = match &error {
                    StoreError::Quarantined(fault) => fault.kind.reason(),
                    _ => "unreadable",
                };
                let mut aside = self.untried(sequence, address);
                aside.parked_at = Some(aside.due_at);
                aside.failure = reason.parse().ok();
                return self.put_aside(aside, is_again);
            }
        };
        let item = Box::new(Item { sequence, address, event, attempts, failing_since, is_again });
        if !self.sink.wants(&item.event) {
            return self.settle(&item);
        }
        // What was set aside is the first of its identity that was; what is in the window comes behind all of those.
        if !is_again && (is_behind || self.aside.contains(&item.address)) {
            let aside = self.untried(item.sequence, item.address);
            // What it waits for may have been delivered meanwhile.
            self.may_be_more = true;
            return self.put_aside(aside, false);
        }
        match self.behind.entry(item.address.clone()) {
            Entry::Occupied(mut entry) => entry.get_mut().push_back(item),
            Entry::Vacant(entry) => {
                entry.insert(VecDeque::new());
                self.ready.push_back(item);
            }
        }
    }

    fn sent(&mut self, item: Box<Item>, sent: Result<(), SendError>) {
        let now = self.relay.clock.now();
        match sent {
            Ok(()) => {
                self.refused_in_a_row = 0;
                self.health = SinkHealth::default();
                self.relayed.delivered += 1;
                self.settle(&item);
                self.next_of(&item.address);
            }
            Err(SendError::Refused(failure)) => {
                self.relayed.refused += 1;
                self.refused_in_a_row += 1;
                if self.refused_in_a_row >= OUT_OF_ORDER {
                    self.out_of_order(now, &failure);
                }
                self.refused(*item, failure, now);
            }
            Err(SendError::Unreachable(failure)) => {
                self.out_of_order(now, &failure);
                // It is not the event's fault, but there is an end to patience.
                if self.is_overdue(item.failing_since, now) {
                    self.refused(*item, failure, now);
                }
            }
        }
        self.advance();
    }

    fn is_overdue(&self, failing_since: Option<Timestamp>, now: Timestamp) -> bool {
        failing_since.is_some_and(|since| now >= after(since, self.relay.settings.backoff.patience))
    }

    fn refused(&mut self, item: Item, failure: FailureCode, now: Timestamp) {
        let attempts = item.attempts.saturating_add(1);
        let since = item.failing_since.unwrap_or(now);
        let is_parked = self.is_overdue(Some(since), now);
        let aside = SetAside {
            sequence: item.sequence,
            address: item.address.clone(),
            attempts,
            failing_since: Some(since),
            due_at: after(now, self.delay(attempts)),
            parked_at: is_parked.then_some(now),
            failure: Some(failure),
        };
        self.put_aside(aside, item.is_again);
        if is_parked {
            return self.next_of(&item.address);
        }
        // In their order, behind this one.
        for later in self.behind.remove(&item.address).unwrap_or_default() {
            if later.is_again {
                // It still is set aside.
                self.again.remove(&later.sequence);
            } else {
                let aside = self.untried(later.sequence, later.address);
                self.put_aside(aside, false);
            }
        }
        self.aside.insert(item.address);
    }

    /// The sink as a whole has failed. Only the first of those that were on their way at once counts.
    fn out_of_order(&mut self, now: Timestamp, failure: &FailureCode) {
        if self.is_stopping {
            return;
        }
        self.is_stopping = true;
        self.relayed.is_failing = true;
        self.health.failures = self.health.failures.saturating_add(1);
        self.health.failing_since.get_or_insert(now);
        self.health.due_at = Some(after(now, self.delay(self.health.failures)));
        tracing::warn!(sink = %self.sink.name(), %failure, failures = self.health.failures, "a sink is out of order");
    }

    fn delay(&self, attempts: u32) -> Duration {
        let chance = self.relay.ids.random_bytes().map_or(0, |bytes| bytes[0]);
        self.relay.settings.backoff.delay(attempts, chance)
    }

    /// What was never tried and has to wait for another one.
    fn untried(&self, sequence: i64, address: String) -> SetAside {
        SetAside {
            sequence,
            address,
            attempts: 0,
            failing_since: None,
            due_at: self.relay.clock.now(),
            parked_at: None,
            failure: None,
        }
    }

    fn put_aside(&mut self, aside: SetAside, is_again: bool) {
        self.relayed.parked += u64::from(aside.parked_at.is_some());
        if is_again {
            self.again.remove(&aside.sequence);
        } else {
            self.settled(aside.sequence);
        }
        self.set_aside.push(aside);
    }

    /// Nothing is left to be done about an event.
    fn settle(&mut self, item: &Item) {
        if item.is_again {
            self.again.remove(&item.sequence);
            self.delivered.push(item.sequence);
            // Those that it held up can go now.
            self.may_be_more = true;
        } else {
            self.settled(item.sequence);
        }
    }

    fn settled(&mut self, sequence: i64) {
        if let Ok(index) = self.window.binary_search_by_key(&sequence, |place| place.sequence)
            && let Some(place) = self.window.get_mut(index)
        {
            place.is_settled = true;
        }
    }

    /// The next event of an identity can go.
    fn next_of(&mut self, address: &str) {
        let Some(behind) = self.behind.get_mut(address) else { return };
        match behind.pop_front() {
            Some(next) => self.ready.push_back(next),
            None => {
                self.behind.remove(address);
            }
        }
    }

    fn advance(&mut self) {
        while let Some(place) = self.window.front().filter(|place| place.is_settled) {
            self.cursor = place.sequence;
            self.window.pop_front();
        }
    }

    /// Stores the last of it and gives the sink back.
    async fn end(&mut self) -> Result<(), StoreError> {
        let now = self.relay.clock.now();
        if self.relayed.is_failing && self.is_overdue(self.health.failing_since, now) {
            self.park_overdue(now).await?;
        }
        let progress = self.progress();
        self.relay.deliveries.settle(&self.claim, &progress, None).await
    }

    /// Nothing could be delivered for so long that events have to be parked although they were never tried: those that
    /// have waited for as long as anybody does.
    async fn park_overdue(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let limit = before(now, self.relay.settings.backoff.patience);
        self.window.clear();
        loop {
            let progress = self.progress();
            let lease_ends_at = after(now, self.relay.settings.lease);
            self.relay.deliveries.settle(&self.claim, &progress, Some(lease_ends_at)).await?;
            let page = self.relay.deliveries.next(self.sink.name(), self.cursor, 1000).await?;
            let size = page.len();
            for waiting in page {
                let WaitingEvent { sequence, address, event, .. } = waiting;
                let is_wanted = match &event {
                    Ok(event) if event.event.occurred_at > limit => return Ok(()),
                    Ok(event) => self.sink.wants(event),
                    Err(_) => true,
                };
                self.cursor = sequence;
                if is_wanted {
                    let mut aside = self.untried(sequence, address);
                    aside.parked_at = Some(now);
                    aside.failing_since = self.health.failing_since;
                    aside.failure = Some(FailureCode::unreachable());
                    self.put_aside(aside, true);
                }
            }
            if size == 0 {
                return Ok(());
            }
        }
    }
}
