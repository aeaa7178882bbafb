//! What has to be erased before an identity counts as deleted, and what has been.
//!
//! An *eraser* deletes one kind of data of one identity. The erasers in force when a deletion starts are written down
//! as the process's [`Erasure`]s; the process is complete when each is acknowledged or waived. When and how often an eraser is
//! called is not known here.

use std::collections::BTreeMap;

use crate::Timestamp;
use crate::text::checked_text;

const MAX_LENGTH: usize = 64;

/// A text that cannot name an eraser or a failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to {MAX_LENGTH} letters, digits and `.-_`")]
pub struct InvalidName;

pub(crate) fn check_name(text: &str) -> Result<(), InvalidName> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidName)
    }
}

/// Names an eraser: 1 to 64 letters, digits and `.-_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EraserName(String);

impl EraserName {
    fn check(text: &str) -> Result<(), InvalidName> {
        check_name(text)
    }
}

checked_text!(EraserName, InvalidName);

/// Why an eraser failed, as a code: 1 to 64 letters, digits and `.-_`.
///
/// It goes into the audit trail, which outlives the identity. A code cannot carry the e-mail address that a free text
/// would sooner or later carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FailureCode(String);

impl FailureCode {
    fn check(text: &str) -> Result<(), InvalidName> {
        check_name(text)
    }
}

checked_text!(FailureCode, InvalidName);

impl FailureCode {
    /// The eraser is not configured any more.
    #[must_use]
    pub fn not_configured() -> Self {
        Self("eraserNotConfigured".to_owned())
    }

    /// The eraser has worked on it for longer than anybody waits.
    #[must_use]
    pub fn still_working() -> Self {
        Self("stillWorking".to_owned())
    }

    /// The eraser did not answer in time.
    #[must_use]
    pub fn timed_out() -> Self {
        Self("timedOut".to_owned())
    }

    /// The eraser was not reached.
    #[must_use]
    pub fn unreachable() -> Self {
        Self("unreachable".to_owned())
    }

    /// The eraser answered something that means nothing.
    #[must_use]
    pub fn unexpected_answer() -> Self {
        Self("unexpectedAnswer".to_owned())
    }

    /// Whoever was to be called is in a private network, and nobody has allowed that.
    #[must_use]
    pub fn private_target() -> Self {
        Self("privateTarget".to_owned())
    }

    /// The eraser is a function of this program, and panicked.
    #[must_use]
    pub fn panicked() -> Self {
        Self("panicked".to_owned())
    }

    /// The eraser answered with this HTTP status.
    #[must_use]
    pub fn http_status(status: u16) -> Self {
        Self(format!("httpStatus{status}"))
    }
}

/// Why an erasure was waived, as a code: 1 to 64 letters, digits and `.-_`. It goes into the audit trail and the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WaiverCode(String);

impl WaiverCode {
    fn check(text: &str) -> Result<(), InvalidName> {
        check_name(text)
    }
}

checked_text!(WaiverCode, InvalidName);

/// What is known of one eraser of a process in deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erasure {
    /// It has not acknowledged yet.
    Pending {
        /// How often it has failed.
        failures: u32,
    },
    /// It has acknowledged that the data is gone.
    Acknowledged {
        /// When it acknowledged.
        at: Timestamp,
        /// How many things it says it erased.
        count: u64,
    },
    /// It is not asked any more, although it has not acknowledged: an operator answers for that.
    Waived {
        /// When it was waived.
        at: Timestamp,
        /// Why.
        code: WaiverCode,
    },
}

impl Erasure {
    /// Whether the deletion waits for nothing more from the eraser: it has acknowledged, or was waived.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Pending { .. } => false,
            Self::Acknowledged { .. } | Self::Waived { .. } => true,
        }
    }
}

/// One eraser and what is known of it: the form in which [`DeletionProcessRecord`](crate::DeletionProcessRecord)
/// carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureRecord {
    /// The eraser.
    pub eraser: EraserName,
    /// What is known of it.
    pub erasure: Erasure,
}

/// Every eraser of a process, by name.
pub(crate) type Erasures = BTreeMap<EraserName, Erasure>;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_cannot_carry_an_address_or_a_sentence() {
        assert!("files.v2_blobs-eu".parse::<EraserName>().is_ok());
        for text in ["", "a b", "ada@example.org", "did:web:ada", &"a".repeat(65), "\u{e9}"] {
            assert!(text.parse::<EraserName>().is_err(), "{text}");
            assert!(text.parse::<FailureCode>().is_err(), "{text}");
            assert!(text.parse::<WaiverCode>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_code_that_is_made_here_is_one() {
        for code in [
            FailureCode::not_configured(),
            FailureCode::still_working(),
            FailureCode::timed_out(),
            FailureCode::unreachable(),
            FailureCode::unexpected_answer(),
            FailureCode::private_target(),
            FailureCode::panicked(),
            FailureCode::http_status(u16::MAX),
        ] {
            assert_eq!(code.to_string().parse(), Ok(code));
        }
    }

    proptest! {
        #[test]
        fn every_well_formed_name_survives_printing_and_parsing(text in "[A-Za-z0-9._-]{1,64}") {
            prop_assert_eq!(text.parse::<EraserName>().unwrap().to_string(), text.clone());
            prop_assert_eq!(text.parse::<FailureCode>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in ".*") {
            prop_assert_eq!(text.parse::<EraserName>().is_ok(), text.parse::<FailureCode>().is_ok());
        }
    }
}
