//! A store in memory that does what the port says, and nothing else.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use reprieve_domain::{Event, EventKind, Timestamp};

use crate::ports::{
    EventDeliveries, ParkedEvent, Progress, Redelivery, SetAside, SinkClaim, SinkFigures, SinkHealth,
    WaitingEvent,
};
use crate::use_cases::test_data::at;
use crate::{OutgoingEvent, SinkName, StoreError};

#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    events: BTreeMap<i64, (OutgoingEvent, bool)>,
    cursor: i64,
    fence: i64,
    lease_ends_at: Option<Timestamp>,
    health: SinkHealth,
    aside: BTreeMap<i64, SetAside>,
    overtaken_after: Option<usize>,
    turns: usize,
}

/// An event of an identity, at the beginning of time.
pub(super) fn event(sequence: i64, identity: usize) -> OutgoingEvent {
    OutgoingEvent {
        id: format!("e{sequence}"),
        sequence,
        event: Event {
            process_id: "IDP0123456789abcdefg".parse().unwrap(),
            address: format!("did:web:{identity}").parse().unwrap(),
            occurred_at: at(0),
            kind: EventKind::IdentityDeletionStarted,
        },
        process: None,
        trace: None,
    }
}

impl State {
    fn is_behind(&self, sequence: i64, address: &str) -> bool {
        let mut earlier = self.aside.range(..sequence);
        earlier.any(|(_, aside)| aside.parked_at.is_none() && aside.address == address)
    }

    fn waiting(&self, sequence: i64, aside: Option<&SetAside>) -> WaitingEvent {
        let (event, is_spoilt) = &self.events[&sequence];
        let address = event.event.address.to_string();
        WaitingEvent {
            sequence,
            is_behind: aside.is_none() && self.is_behind(sequence, &address),
            address,
            event: if *is_spoilt { Err(StoreError::Conflict) } else { Ok(event.clone()) },
            attempts: aside.map_or(0, |aside| aside.attempts),
            failing_since: aside.and_then(|aside| aside.failing_since),
        }
    }

    fn is_due(&self, aside: &SetAside, now: Timestamp) -> bool {
        aside.parked_at.is_none() && aside.due_at <= now && !self.is_behind(aside.sequence, &aside.address)
    }
}

impl Memory {
    pub(super) fn add(&self, events: impl IntoIterator<Item = OutgoingEvent>) {
        let events = events.into_iter().map(|event| (event.sequence, (event, false)));
        self.0.lock().unwrap().events.extend(events);
    }

    pub(super) fn spoil(&self, sequence: i64) {
        self.0.lock().unwrap().events.get_mut(&sequence).unwrap().1 = true;
    }

    /// Somebody else claims the sink after so many settlements.
    pub(super) fn overtake_after(&self, settlements: usize) {
        self.0.lock().unwrap().overtaken_after = Some(settlements);
    }

    /// Whether all has been seen to, but for what is parked.
    pub(super) fn is_settled(&self) -> bool {
        let state = self.0.lock().unwrap();
        state.events.range(state.cursor + 1..).all(|(sequence, _)| state.aside.contains_key(sequence))
            && state.aside.values().all(|aside| aside.parked_at.is_some())
    }

    pub(super) fn parked_sequences(&self) -> Vec<i64> {
        let state = self.0.lock().unwrap();
        let parked = state.aside.values().filter(|aside| aside.parked_at.is_some());
        parked.map(|aside| aside.sequence).collect()
    }

    pub(super) fn attempts(&self, sequence: i64) -> u32 {
        self.0.lock().unwrap().aside[&sequence].attempts
    }

    /// How often somebody asked what is next.
    pub(super) fn turns(&self) -> usize {
        self.0.lock().unwrap().turns
    }

    pub(super) fn lease_ends_at(&self) -> Option<Timestamp> {
        self.0.lock().unwrap().lease_ends_at
    }

    pub(super) fn redeliver_all(&self, now: Timestamp) {
        for aside in self.0.lock().unwrap().aside.values_mut() {
            (aside.parked_at, aside.attempts, aside.failing_since, aside.due_at) = (None, 0, None, now);
        }
    }
}

#[async_trait]
impl EventDeliveries for Memory {
    async fn claim(
        &self,
        sink: &SinkName,
        now: Timestamp,
        lease_ends_at: Timestamp,
    ) -> Result<Option<SinkClaim>, StoreError> {
        tokio::task::yield_now().await;
        let mut state = self.0.lock().unwrap();
        let is_free = state.lease_ends_at.is_none_or(|end| end <= now);
        let is_due = state.health.due_at.is_none_or(|due| due <= now);
        let any = state.events.range(state.cursor + 1..).next().is_some()
            || state.aside.values().any(|aside| state.is_due(aside, now));
        if !(is_free && is_due && any) {
            return Ok(None);
        }
        state.fence += 1;
        state.lease_ends_at = Some(lease_ends_at);
        let health = SinkHealth { due_at: None, ..state.health };
        Ok(Some(SinkClaim { sink: sink.clone(), fence: state.fence, cursor: state.cursor, health }))
    }

    async fn next(&self, _: &SinkName, after: i64, limit: u32) -> Result<Vec<WaitingEvent>, StoreError> {
        let next = {
            let mut state = self.0.lock().unwrap();
            state.turns += 1;
            let state = &*state;
            let waiting = state.events.keys().filter(|key| **key > after && !state.aside.contains_key(*key));
            let waiting = waiting.take(usize::try_from(limit).unwrap());
            waiting.map(|sequence| state.waiting(*sequence, None)).collect()
        };
        // Much happens between the answer of a store and whoever gets it.
        for _ in 0..after % 7 {
            tokio::task::yield_now().await;
        }
        Ok(next)
    }

    async fn since(&self, _: i64, _: u32) -> Result<Vec<WaitingEvent>, StoreError> {
        unreachable!("the relay does not ask")
    }

    async fn again(&self, _: &SinkName, now: Timestamp, limit: u32) -> Result<Vec<WaitingEvent>, StoreError> {
        tokio::task::yield_now().await;
        let state = self.0.lock().unwrap();
        let due = state.aside.values().filter(|aside| state.is_due(aside, now));
        let due = due.take(usize::try_from(limit).unwrap());
        Ok(due.map(|aside| state.waiting(aside.sequence, Some(aside))).collect())
    }

    async fn settle(
        &self,
        claim: &SinkClaim,
        progress: &Progress,
        lease_ends_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        let mut state = self.0.lock().unwrap();
        match &mut state.overtaken_after {
            Some(0) => state.fence += 1,
            Some(left) => *left -= 1,
            None => {}
        }
        if state.fence != claim.fence {
            return Err(StoreError::LeaseLost);
        }
        assert!(progress.cursor >= state.cursor);
        (state.cursor, state.health, state.lease_ends_at) = (progress.cursor, progress.health, lease_ends_at);
        for aside in &progress.set_aside {
            state.aside.insert(aside.sequence, aside.clone());
        }
        for sequence in &progress.delivered {
            assert!(state.aside.remove(sequence).is_some());
        }
        Ok(())
    }

    async fn parked<'a>(&self, _: Option<&'a SinkName>, _: u32) -> Result<Vec<ParkedEvent>, StoreError> {
        unreachable!("the relay does not ask")
    }

    async fn redeliver<'a>(
        &self,
        _: Option<&'a SinkName>,
        _: Option<&'a str>,
        _: Timestamp,
    ) -> Result<Redelivery, StoreError> {
        unreachable!("the relay does not ask")
    }

    async fn figures(&self) -> Result<Vec<SinkFigures>, StoreError> {
        unreachable!("the relay does not ask")
    }

    async fn end(&self) -> Result<i64, StoreError> {
        unreachable!("the relay does not ask")
    }
}
