//! One line of the erasure ledger: that the deletion of an identity has started, for whoever restores a backup.

use super::canonical::Canonical;
use super::{AuditKey, KeyedHash};
use crate::{DeletionProcess, DeletionProcessId, State, Timestamp};

/// That the deletion of an identity has started. It is written down outside the database before anything is erased, so
/// that an identity that comes back with a backup is found. The identity is in it as a keyed hash only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureLedgerEntry {
    /// The process.
    pub process_id: DeletionProcessId,
    /// The identity, as a keyed hash.
    pub identity_hash: KeyedHash,
    /// When the deletion was asked for.
    pub created_at: Timestamp,
    /// When the grace period ended.
    pub grace_period_ends_at: Timestamp,
    /// When the deletion started.
    pub deletion_started_at: Timestamp,
    /// The keyed hash over all of the above: nobody without the audit key can have an identity deleted by writing a line.
    pub seal: KeyedHash,
}

/// A line that nobody with this audit key wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the entry of process {process_id} is not sealed with this audit key")]
pub struct InvalidLedgerEntry {
    /// The process that it names.
    pub process_id: DeletionProcessId,
}

impl AuditKey {
    /// What the ledger says of a process whose deletion has started; nothing if it has not.
    #[must_use]
    pub fn ledger_entry(&self, process: &DeletionProcess) -> Option<ErasureLedgerEntry> {
        let deletion_started_at = match process.state() {
            State::Deleting(deleting) => deleting.started_at(),
            State::Deleted(deleted) => deleted.started_at(),
            State::Active(_) | State::Cancelled(_) => return None,
        };
        let mut entry = ErasureLedgerEntry {
            process_id: process.id().clone(),
            identity_hash: self.pseudonym_of_identity(process.address()),
            created_at: process.created_at(),
            grace_period_ends_at: process.grace_period_ends_at(),
            deletion_started_at,
            seal: KeyedHash::ZERO,
        };
        entry.seal = self.ledger_seal(&entry);
        Some(entry)
    }

    /// Whether an entry was written with this key.
    ///
    /// # Errors
    /// If it was not, or was changed since.
    pub fn verify_ledger_entry(&self, entry: &ErasureLedgerEntry) -> Result<(), InvalidLedgerEntry> {
        if self.ledger_seal(entry) == entry.seal {
            Ok(())
        } else {
            Err(InvalidLedgerEntry { process_id: entry.process_id.clone() })
        }
    }

    fn ledger_seal(&self, entry: &ErasureLedgerEntry) -> KeyedHash {
        self.chain_hash(
            &Canonical::new("ledger")
                .text(entry.process_id.as_str())
                .bytes(entry.identity_hash.as_bytes())
                .number(entry.created_at.unix_micros())
                .number(entry.grace_period_ends_at.unix_micros())
                .number(entry.deletion_started_at.unix_micros()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GracePeriod, GracePeriodBounds, Identity};

    fn key(first: u8) -> AuditKey {
        AuditKey::new(&(first..first + 32).collect::<Vec<u8>>()).unwrap()
    }

    fn at(days: i64) -> Timestamp {
        Timestamp::from_unix_micros(days * 86_400_000_000).unwrap()
    }

    fn active() -> DeletionProcess {
        let length = GracePeriod::from_days(14.0, &GracePeriodBounds::default()).unwrap();
        let id = "IDP0123456789abcdefg".parse().unwrap();
        let device = "DVC0123456789abcdefg".parse().unwrap();
        Identity::new("did:web:example.org".parse().unwrap())
            .initiate(id, device, length, at(0))
            .unwrap()
            .into_process()
    }

    #[test]
    fn only_a_deletion_that_has_started_is_in_the_ledger() {
        let process = active();
        assert_eq!(key(0).ledger_entry(&process), None);
        let cancelled = process.cancel(process.created_by_device().clone(), at(1)).unwrap();
        assert_eq!(key(0).ledger_entry(cancelled.process()), None);
        let deleting = process.start_deletion([].into(), at(14)).unwrap().into_process();
        let entry = key(0).ledger_entry(&deleting).unwrap();
        assert_eq!(entry.deletion_started_at, at(14));
        let deleted = deleting.complete(at(15)).unwrap();
        assert_eq!(key(0).ledger_entry(deleted.process()), Some(entry));
    }

    #[test]
    fn an_entry_that_was_changed_or_written_with_another_key_is_refused() {
        type Change = fn(&mut ErasureLedgerEntry);
        let deleting = active().start_deletion([].into(), at(14)).unwrap().into_process();
        let entry = key(0).ledger_entry(&deleting).unwrap();
        assert_eq!(key(0).verify_ledger_entry(&entry), Ok(()));
        assert!(key(1).verify_ledger_entry(&entry).is_err());
        let changes: [Change; 6] = [
            |entry| entry.process_id = "IDPzzzzzzzzzzzzzzzzz".parse().unwrap(),
            |entry| entry.identity_hash = key(0).pseudonym_of_identity(&"did:web:b.example".parse().unwrap()),
            |entry| entry.created_at = at(1),
            |entry| entry.grace_period_ends_at = at(13),
            |entry| entry.deletion_started_at = at(15),
            |entry| entry.seal = [7; 32].into(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut other = entry.clone();
            change(&mut other);
            assert!(key(0).verify_ledger_entry(&other).is_err(), "change {number}");
        }
    }
}
