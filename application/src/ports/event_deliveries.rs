//! Which events each sink has received, and which it has yet to.

use async_trait::async_trait;
use reprieve_domain::{FailureCode, Timestamp};

use crate::{OutgoingEvent, SinkName, StoreError};

/// A sink that was claimed: until the lease is over nobody else tells it anything. Whoever claims it later gets another
/// fence, and with the old one nothing can be stored any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkClaim {
    /// The sink.
    pub sink: SinkName,
    /// Which claim this is.
    pub fence: i64,
    /// Up to this place nothing is left to be seen to, but for what was set aside.
    pub cursor: i64,
    /// What is known of the sink as a whole.
    pub health: SinkHealth,
}

/// How a sink as a whole has fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SinkHealth {
    /// How often in a row nothing could be delivered.
    pub failures: u32,
    /// Since when.
    pub failing_since: Option<Timestamp>,
    /// When it may be tried again.
    pub due_at: Option<Timestamp>,
}

/// An event that waits for a sink.
#[derive(Debug)]
pub struct WaitingEvent {
    /// Its place among all events.
    pub sequence: i64,
    /// Whose it is, whatever else is known of it.
    pub address: String,
    /// The event, or what is wrong with its row.
    pub event: Result<OutgoingEvent, StoreError>,
    /// How often it was tried; only what was set aside has been.
    pub attempts: u32,
    /// Since when.
    pub failing_since: Option<Timestamp>,
    /// Whether an earlier event of the same identity was set aside and has to go first.
    pub is_behind: bool,
}

/// An event that is set aside, so that others can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Its place among all events.
    pub sequence: i64,
    /// Whose it is.
    pub address: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when.
    pub failing_since: Option<Timestamp>,
    /// When it is tried again, unless it is parked.
    pub due_at: Timestamp,
    /// Since when it waits for somebody to look after it. It is not tried again by itself, and holds up nothing.
    pub parked_at: Option<Timestamp>,
    /// Why it was not delivered.
    pub failure: Option<FailureCode>,
}

/// What has become of events since the sink was claimed, or since this was last stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Up to this place nothing is left to be seen to, but for what was set aside.
    pub cursor: i64,
    /// What is set aside from now on, or still is.
    pub set_aside: Vec<SetAside>,
    /// What was set aside and is delivered now.
    pub delivered: Vec<i64>,
    /// How the sink as a whole fares.
    pub health: SinkHealth,
}

/// An event that waits for somebody to look after it.
#[derive(Debug)]
pub struct ParkedEvent {
    /// The sink that does not have it.
    pub sink: SinkName,
    /// The event, or what is wrong with its row.
    pub event: Result<OutgoingEvent, StoreError>,
    /// Its place among all events.
    pub sequence: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried first; none if its turn never came.
    pub failing_since: Option<Timestamp>,
    /// Since when it is parked.
    pub parked_at: Timestamp,
    /// Why it was not delivered when it was last tried.
    pub failure: Option<FailureCode>,
}

/// How a sink is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkFigures {
    /// The sink.
    pub sink: SinkName,
    /// How many events there are that it has not been told of, but for those that were set aside. Those that it does not
    /// want count until their turn comes.
    pub waiting: u64,
    /// How many were set aside to be tried again.
    pub retrying: u64,
    /// How many wait for somebody to look after them.
    pub parked: u64,
}

/// What is tried again at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Redelivery {
    /// How many events are due now, each counted once for each sink.
    pub events: u64,
    /// How many failing sinks may be tried now, before their time.
    pub sinks: u64,
}

/// Keeps count of what each sink has received.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait EventDeliveries: Send + Sync {
    /// Claims a sink until `lease_ends_at`, if something waits for it, it may be tried at `now`, and nobody else has it.
    /// One that was never seen begins with the oldest event that is kept.
    ///
    /// # Errors
    /// If the store fails.
    async fn claim(
        &self,
        sink: &SinkName,
        now: Timestamp,
        lease_ends_at: Timestamp,
    ) -> Result<Option<SinkClaim>, StoreError>;

    /// At most `limit` events behind the place `after`, in their order, without those that were set aside. An event has its
    /// place once its step is committed, and none gets one before it later.
    ///
    /// # Errors
    /// If the store fails. What is wrong with a single row is said in its place.
    async fn next(&self, sink: &SinkName, after: i64, limit: u32) -> Result<Vec<WaitingEvent>, StoreError>;

    /// At most `limit` events behind the place `after`, in their order, whatever sinks there are and whatever they have set
    /// aside. Each has its place as in [`Self::next`]; of what only a sink knows of it, nothing is said.
    ///
    /// # Errors
    /// If the store fails. What is wrong with a single row is said in its place.
    async fn since(&self, after: i64, limit: u32) -> Result<Vec<WaitingEvent>, StoreError>;

    /// At most `limit` of the events that were set aside and may be tried at `now`: of each identity only the first.
    ///
    /// # Errors
    /// If the store fails. What is wrong with a single row is said in its place.
    async fn again(
        &self,
        sink: &SinkName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<WaitingEvent>, StoreError>;

    /// Stores what has become of events, if the claim still holds, and makes it hold until `lease_ends_at`; with none, it
    /// ends.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if somebody else has claimed the sink since; then, as when the store fails, nothing is
    /// stored.
    async fn settle(
        &self,
        claim: &SinkClaim,
        progress: &Progress,
        lease_ends_at: Option<Timestamp>,
    ) -> Result<(), StoreError>;

    /// At most `limit` events that wait for somebody to look after them, of one sink or of all, the oldest first.
    ///
    /// # Errors
    /// If the store fails. What is wrong with a single row is said in its place.
    async fn parked<'a>(
        &self,
        sink: Option<&'a SinkName>,
        limit: u32,
    ) -> Result<Vec<ParkedEvent>, StoreError>;

    /// Makes events due at `now`, of one sink or of all, and all or the one with this id. A parked one starts anew; one that
    /// waits to be tried again keeps its attempts and since when it has been tried, and those of the same identity that have
    /// to go before it are due as well. A failing sink that has yet to receive any of these events may be tried at `now`.
    ///
    /// # Errors
    /// If the store fails.
    async fn redeliver<'a>(
        &self,
        sink: Option<&'a SinkName>,
        event_id: Option<&'a str>,
        now: Timestamp,
    ) -> Result<Redelivery, StoreError>;

    /// How each sink is doing that was ever seen.
    ///
    /// # Errors
    /// If the store fails or its content is corrupt.
    async fn figures(&self) -> Result<Vec<SinkFigures>, StoreError>;

    /// The place behind which all events are yet to come.
    ///
    /// # Errors
    /// If the store fails.
    async fn end(&self) -> Result<i64, StoreError>;
}
