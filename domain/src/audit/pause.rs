//! The switch that stops deletions, sealed: whether it is set, since when and why, and every change of it.

use super::canonical::Canonical;
use super::{AuditKey, ChainHead, KeyedHash};

/// One setting of the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseChange {
    /// When it was set, in microseconds of Unix time.
    pub changed_at: i64,
    /// Whether deletions are paused from then on.
    pub is_paused: bool,
    /// What the operator gave as the reason.
    pub reason: Option<String>,
}

/// How the switch is set now. It counts only with its seal: deletions go on by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseRecord {
    /// The newest setting.
    pub newest: PauseChange,
    /// How many settings there were, and the hash of the newest.
    pub changes: ChainHead,
}

impl PauseChange {
    fn written(&self, content: Canonical) -> Canonical {
        let Self { changed_at, is_paused, reason } = self;
        let content = content.number(*changed_at).number(i64::from(*is_paused));
        content.optional(reason.as_ref().map(String::as_bytes))
    }
}

impl AuditKey {
    /// The keyed hash over a record.
    #[must_use]
    pub fn seal_pause_record(&self, record: &PauseRecord) -> KeyedHash {
        let PauseRecord { newest, changes } = record;
        let content = newest.written(Canonical::new("pause"));
        self.chain_hash(&content.number(changes.length).bytes(changes.hash.as_bytes()))
    }

    /// The seal of a setting as the journal has it, which has no chain.
    #[must_use]
    pub fn journaled_pause_seal(&self, change: &PauseChange) -> KeyedHash {
        self.chain_hash(&change.written(Canonical::new("journaled pause")))
    }

    /// The end of the chain of changes that ended at `before` until now.
    #[must_use]
    pub fn change_pause(&self, before: ChainHead, change: &PauseChange) -> ChainHead {
        let length = before.length + 1;
        let content = Canonical::new("pause change").number(length).bytes(before.hash.as_bytes());
        ChainHead { length, hash: self.chain_hash(&change.written(content)) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn any_difference_changes_the_seal_and_the_chain() {
        let key = AuditKey::new(&(0..32).collect::<Vec<u8>>()).unwrap();
        let head = ChainHead { length: 1, hash: [1; 32].into() };
        let change = PauseChange { changed_at: 1, is_paused: true, reason: Some("a".to_owned()) };
        let changes = [
            change.clone(),
            PauseChange { changed_at: 2, ..change.clone() },
            PauseChange { is_paused: false, ..change.clone() },
            PauseChange { reason: Some("b".to_owned()), ..change.clone() },
            PauseChange { reason: Some(String::new()), ..change.clone() },
            PauseChange { reason: None, ..change.clone() },
        ];
        let mut hashes = BTreeSet::new();
        let mut expected = changes.len();
        hashes.extend(changes.iter().map(|change| key.journaled_pause_seal(change).to_string()));
        for newest in changes {
            for before in [ChainHead::EMPTY, head, ChainHead { length: 2, ..head }] {
                hashes.insert(key.change_pause(before, &newest).hash.to_string());
                let record = PauseRecord { newest: newest.clone(), changes: before };
                hashes.insert(key.seal_pause_record(&record).to_string());
                expected += 2;
            }
        }
        assert_eq!(hashes.len(), expected);
    }
}
