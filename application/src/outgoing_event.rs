//! What is told to others of a step that was taken.

use std::fmt;
use std::str::FromStr;

use reprieve_domain::Event;

use crate::TraceContext;
use crate::facade::ProcessData;

/// An event that is stored, on its way to whoever wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// The same however often it is sent, and no other event's, not even one that took its place after a backup was
    /// restored: letters and digits.
    pub id: String,
    /// Its place among all events, from 1 on. Of two events of one identity, the later one has the greater.
    pub sequence: i64,
    /// What happened.
    pub event: Event,
    /// The process after the step, if the step changed its status.
    pub process: Option<ProcessData>,
    /// The trace that the step was a part of.
    pub trace: Option<TraceContext>,
}

const LONGEST_NAME: usize = 64;

/// Names a sink, for good: by its name it is known which events it has received. 1 to 64 letters, digits and `.-_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SinkName(String);

/// A text that cannot name a sink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to {LONGEST_NAME} letters, digits and `.-_`")]
pub struct InvalidSinkName;

impl SinkName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SinkName {
    type Err = InvalidSinkName;

    fn from_str(text: &str) -> Result<Self, InvalidSinkName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSinkName)
        }
    }
}

impl fmt::Display for SinkName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}
