//! Events as they are sent: `CloudEvents` 1.0 in the structured JSON form, or the payload of the Connector's webhooks.

use std::collections::BTreeSet;

use reprieve_application::OutgoingEvent;
use reprieve_domain::Timestamp;
use serde::Serialize;

use crate::EventType;
use crate::data::EventData;

/// The media type of an event in the structured form.
pub(crate) const CLOUD_EVENT: &str = "application/cloudevents+json";

/// How the body of a message is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `CloudEvents` 1.0, structured, JSON.
    #[default]
    CloudEvents,
    /// `{"trigger": …, "data": …}`, as the Connector sends it to webhooks.
    Connector,
}

/// What is said of all events that a sink is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Messages {
    source: String,
    types: Option<BTreeSet<EventType>>,
    format: Format,
}

/// One event of one type, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same however often it is sent, and no other's: letters, digits and `-`.
    pub id: String,
    /// What it is about.
    pub event_type: EventType,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>, with the extensions
/// *Distributed Tracing* and *Sequence*.
#[derive(Debug, Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: &'static str,
    subject: &'a str,
    time: Timestamp,
    datacontenttype: &'static str,
    sequence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
    data: EventData<'a>,
}

#[derive(Debug, Serialize)]
struct Trigger<'a> {
    trigger: &'static str,
    data: EventData<'a>,
}

impl Messages {
    /// Messages from this source, a URI reference. Without `types` all types of events are sent.
    #[must_use]
    pub fn new(source: impl Into<String>, types: Option<BTreeSet<EventType>>, format: Format) -> Self {
        Self { source: source.into(), types, format }
    }

    /// The messages about an event, in the order in which they are sent.
    pub fn about<'a>(&'a self, event: &'a OutgoingEvent) -> impl Iterator<Item = Message> + 'a {
        self.types_of(event).map(|event_type| self.message(event, event_type))
    }

    /// How their bodies are laid out.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Whether there are any.
    pub(crate) fn are_any_about(&self, event: &OutgoingEvent) -> bool {
        self.types_of(event).next().is_some()
    }

    fn types_of<'a>(&'a self, event: &'a OutgoingEvent) -> impl Iterator<Item = EventType> + 'a {
        let is_wanted = |wanted: &EventType| self.types.as_ref().is_none_or(|types| types.contains(wanted));
        EventType::all_of(event).filter(is_wanted)
    }

    fn message(&self, event: &OutgoingEvent, event_type: EventType) -> Message {
        let (id, data) = match &event.process {
            // A step that changes the status is told of twice; each has an id of its own.
            Some(process) if event_type == EventType::StatusChanged => {
                (format!("{}-status", event.id), EventData::status_changed(event, process))
            }
            _ => (event.id.clone(), EventData::identity(event)),
        };
        let trace = event.trace.as_ref();
        let (content_type, body) = match self.format {
            Format::CloudEvents => {
                let cloud_event = CloudEvent {
                    specversion: "1.0",
                    id: &id,
                    source: &self.source,
                    r#type: event_type.name(),
                    subject: event.event.process_id.as_str(),
                    time: event.event.occurred_at,
                    datacontenttype: "application/json",
                    // So that comparing them as texts is comparing them as numbers.
                    sequence: format!("{:019}", event.sequence),
                    traceparent: trace.map(|trace| trace.parent.as_str()),
                    tracestate: trace.and_then(|trace| trace.state.as_deref()),
                    data,
                };
                (CLOUD_EVENT, serde_json::to_vec(&cloud_event))
            }
            Format::Connector => {
                ("application/json", serde_json::to_vec(&Trigger { trigger: event_type.name(), data }))
            }
        };
        // Texts and numbers, which always have a form in JSON.
        Message { id, event_type, content_type, body: body.unwrap_or_default() }
    }
}
