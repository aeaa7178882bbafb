//! What a deployment remembers of the time, sealed: the newest instant that has certainly passed, and what operators have
//! confirmed.

use super::canonical::Canonical;
use super::{AuditKey, ChainHead, KeyedHash};

/// What is remembered, in microseconds of Unix time. It is compared with the clock before anything irreversible is done, so
/// that it counts only with its seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockRecord {
    /// An instant that has certainly passed.
    pub noted: i64,
    /// While the clock is further ahead of it than is believed: the first and the newest instant that it showed since.
    pub doubted: Option<(i64, i64)>,
    /// How many confirmations there are, and the hash of the newest.
    pub confirmations: ChainHead,
}

/// That an operator has said what the present is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockConfirmation {
    /// What the deciding clock showed then.
    pub clock: i64,
    /// What was noted before; none if that could not be trusted.
    pub noted_before: Option<i64>,
    /// What the operator said.
    pub noted: i64,
}

impl AuditKey {
    /// The keyed hash over a record.
    #[must_use]
    pub fn seal_clock_record(&self, record: &ClockRecord) -> KeyedHash {
        let ClockRecord { noted, doubted, confirmations } = record;
        let mut content = Canonical::new("clock").number(*noted);
        content = content.number(i64::from(doubted.is_some()));
        if let Some((first, newest)) = doubted {
            content = content.number(*first).number(*newest);
        }
        self.chain_hash(&content.number(confirmations.length).bytes(confirmations.hash.as_bytes()))
    }

    /// The end of the chain of confirmations that ended at `before` until now.
    #[must_use]
    pub fn confirm(&self, before: ChainHead, confirmation: &ClockConfirmation) -> ChainHead {
        let ClockConfirmation { clock, noted_before, noted } = confirmation;
        let length = before.length + 1;
        let mut content = Canonical::new("clock confirmation").number(length).bytes(before.hash.as_bytes());
        content = content.number(*clock).number(i64::from(noted_before.is_some()));
        content = content.number(noted_before.unwrap_or_default()).number(*noted);
        ChainHead { length, hash: self.chain_hash(&content) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn whatever_is_changed_changes_the_seal() {
        let key = AuditKey::new(&(0..32).collect::<Vec<u8>>()).unwrap();
        let head = ChainHead { length: 1, hash: [1; 32].into() };
        let record = ClockRecord { noted: 1, doubted: None, confirmations: ChainHead::EMPTY };
        let records = [
            record,
            ClockRecord { noted: 2, ..record },
            ClockRecord { doubted: Some((0, 0)), ..record },
            ClockRecord { doubted: Some((0, 1)), ..record },
            ClockRecord { doubted: Some((1, 1)), ..record },
            ClockRecord { confirmations: head, ..record },
            ClockRecord { confirmations: ChainHead { length: 2, ..head }, ..record },
        ];
        let seals: BTreeSet<_> = records.map(|record| key.seal_clock_record(&record).to_string()).into();
        assert_eq!(seals.len(), records.len());
        let confirmation = ClockConfirmation { clock: 1, noted_before: None, noted: 2 };
        let heads = [
            key.confirm(ChainHead::EMPTY, &confirmation),
            key.confirm(head, &confirmation),
            key.confirm(head, &ClockConfirmation { clock: 2, ..confirmation }),
            key.confirm(head, &ClockConfirmation { noted_before: Some(0), ..confirmation }),
            key.confirm(head, &ClockConfirmation { noted: 3, ..confirmation }),
        ];
        let hashes: BTreeSet<_> = heads.map(|head| head.hash.to_string()).into();
        assert_eq!(hashes.len(), heads.len());
    }
}
