//! The three reminders of a coming deletion.

use std::fmt;

use crate::Timestamp;

/// One of the reminders that are sent while the grace period runs, the first being the least urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Reminder {
    /// The first, by default 12 days before the end.
    First,
    /// The second, by default 10 days before the end.
    Second,
    /// The third, by default 5 days before the end.
    Third,
}

impl Reminder {
    /// Every reminder, the least urgent first.
    pub const ALL: [Self; 3] = [Self::First, Self::Second, Self::Third];

    /// 1, 2 or 3.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::First => 1,
            Self::Second => 2,
            Self::Third => 3,
        }
    }
}

impl fmt::Display for Reminder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.number())
    }
}

/// When each reminder was sent, if it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reminders {
    first: Option<Timestamp>,
    second: Option<Timestamp>,
    third: Option<Timestamp>,
}

impl Reminders {
    /// From what was stored, the first reminder first.
    #[must_use]
    pub fn new([first, second, third]: [Option<Timestamp>; 3]) -> Self {
        Self { first, second, third }
    }

    /// When this reminder was sent.
    #[must_use]
    pub fn sent_at(&self, reminder: Reminder) -> Option<Timestamp> {
        match reminder {
            Reminder::First => self.first,
            Reminder::Second => self.second,
            Reminder::Third => self.third,
        }
    }

    /// The most urgent reminder that was sent.
    #[must_use]
    pub fn most_urgent(&self) -> Option<Reminder> {
        Reminder::ALL.into_iter().rev().find(|reminder| self.sent_at(*reminder).is_some())
    }

    pub(crate) fn with(mut self, reminder: Reminder, at: Timestamp) -> Self {
        match reminder {
            Reminder::First => self.first = Some(at),
            Reminder::Second => self.second = Some(at),
            Reminder::Third => self.third = Some(at),
        }
        self
    }
}
