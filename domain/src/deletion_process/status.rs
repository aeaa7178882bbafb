//! The names of the states.

use std::fmt;
use std::str::FromStr;

use crate::text::serde_as_text;

/// The name of a [`State`](crate::State), for display, storage and codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// The grace period runs, or is over and the deletion has not started.
    Active,
    /// Cancelled within the grace period. Final.
    Cancelled,
    /// The data is being erased. No way back.
    Deleting,
    /// Every eraser has acknowledged. Final.
    Deleted,
}

/// A text that names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a status is one of Active, Cancelled, Deleting and Deleted")]
pub struct UnknownStatus;

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Active, Self::Cancelled, Self::Deleting, Self::Deleted];

    /// Whether a process with this status takes the one place an identity has for an open process.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Active | Self::Deleting => true,
            Self::Cancelled | Self::Deleted => false,
        }
    }

    /// Every name that is read as this status, the stable one first.
    #[must_use]
    pub fn stored_names(self) -> &'static [&'static str] {
        match self {
            // Before version 2 of its API, enmeshed called it Approved.
            Self::Active => &["Active", "Approved"],
            Self::Cancelled => &["Cancelled"],
            Self::Deleting => &["Deleting"],
            Self::Deleted => &["Deleted"],
        }
    }

    /// The stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Cancelled => "Cancelled",
            Self::Deleting => "Deleting",
            Self::Deleted => "Deleted",
        }
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.stored_names().contains(&text)).ok_or(UnknownStatus)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

serde_as_text!(Status);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_status_survives_printing_and_parsing() {
        for status in Status::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
        }
        assert_eq!("Approved".parse(), Ok(Status::Active));
        for text in ["", "active", "ACTIVE", "Active ", "WaitingForApproval"] {
            assert_eq!(text.parse::<Status>(), Err(UnknownStatus));
        }
    }

    proptest! {
        #[test]
        fn no_other_text_is_a_status(text in "(Act|Approv|Cancel|Delet)?(ive|ed|led|ing)?.{0,3}") {
            let names = ["Active", "Approved", "Cancelled", "Deleting", "Deleted"];
            prop_assert_eq!(text.parse::<Status>().is_ok(), names.contains(&text.as_str()));
        }
    }
}
