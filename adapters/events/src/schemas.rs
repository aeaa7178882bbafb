//! What messages look like, for machines: one JSON Schema (2020-12) a type of events, of the whole envelope.
//!
//! Members may be added to data later, never removed, so no schema forbids what it does not know.

use crate::EventType;

macro_rules! schema {
    ($name:literal) => {
        include_str!(concat!("../schemas/", $name, ".json"))
    };
}

/// The JSON Schema of the messages of this type in the form of `CloudEvents`. It stands for itself and refers to no other.
#[must_use]
pub fn schema(event_type: EventType) -> &'static str {
    match event_type {
        EventType::StatusChanged => schema!("transport.identityDeletionProcessStatusChanged"),
        EventType::ToBeDeleted => schema!("reprieve.identityToBeDeleted"),
        EventType::DeletionCancelled => schema!("reprieve.identityDeletionCancelled"),
        EventType::DeletionReminderDue => schema!("reprieve.identityDeletionReminderDue"),
        EventType::DeletionSuspensionChanged => schema!("reprieve.identityDeletionSuspensionChanged"),
        EventType::DeletionStarted => schema!("reprieve.identityDeletionStarted"),
        EventType::ErasureStuck => schema!("reprieve.identityErasureStuck"),
        EventType::ErasureWaived => schema!("reprieve.identityErasureWaived"),
        EventType::ProcessQuarantined => schema!("reprieve.identityDeletionProcessQuarantined"),
        EventType::Deleted => schema!("reprieve.identityDeleted"),
    }
}

/// Every schema in one JSON object, by the name of its type.
#[must_use]
pub fn schemas() -> String {
    // A name has nothing in it that JSON would escape.
    let members = EventType::ALL.map(|event_type| format!("{:?}: {}", event_type.name(), schema(event_type)));
    format!("{{\n{}}}\n", members.join(",\n"))
}
