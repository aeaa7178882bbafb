//! Events as they are sent: `CloudEvents` 1.0 in the structured JSON form, or the payload of the Connector's webhooks.

use std::collections::BTreeSet;

use reprieve_application::OutgoingEvent;

use crate::json::Object;
use crate::{EventType, data};

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
                (format!("{}-status", event.id), data::status_changed(event, process))
            }
            _ => (event.id.clone(), data::identity(event)),
        };
        let (content_type, envelope) = match self.format {
            Format::CloudEvents => (CLOUD_EVENT, self.cloud_event(event, event_type, &id)),
            Format::Connector => ("application/json", Object::default().text("trigger", &event_type)),
        };
        Message { id, event_type, content_type, body: envelope.object("data", data).into_bytes() }
    }

    /// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>, with the extensions
    /// *Distributed Tracing* and *Sequence*.
    fn cloud_event(&self, event: &OutgoingEvent, event_type: EventType, id: &str) -> Object {
        let trace = event.trace.as_ref();
        Object::default()
            .text("specversion", &"1.0")
            .text("id", &id)
            .text("source", &self.source)
            .text("type", &event_type)
            .text("subject", &event.event.process_id)
            .text("time", &event.event.occurred_at)
            .text("datacontenttype", &"application/json")
            // So that comparing them as texts is comparing them as numbers.
            .text("sequence", &format_args!("{:019}", event.sequence))
            .text_if_any("traceparent", trace.map(|trace| &trace.parent))
            .text_if_any("tracestate", trace.and_then(|trace| trace.state.as_ref()))
    }
}
