//! What is stored of a process beside its chain, and whether the chain bears it out.

use std::collections::BTreeMap;

use super::canonical::Canonical;
use super::{AuditKey, KeyedHash, Proof, SealedEntry, Subject};
use crate::{
    DeletionProcess, DeletionProcessRecord, ErasureRecord, Reminder, Reminders, Status, Suspension, Timestamp,
};

/// The members of a process that its audit entries tell of. Plain values, because whoever verifies must be able to hold
/// whatever a database contains; instants are microseconds of Unix time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProcess {
    /// The identity.
    pub address: String,
    /// The status.
    pub status: String,
    /// When it was created.
    pub created_at: i64,
    /// By which device.
    pub created_by_device: String,
    /// When the grace period ends.
    pub grace_period_ends_at: i64,
    /// Until when the deletion is suspended, and until when as its owner sees it.
    pub suspended_until: [Option<i64>; 2],
    /// When each reminder was sent.
    pub reminders_sent_at: [Option<i64>; 3],
    /// When it was cancelled.
    pub cancelled_at: Option<i64>,
    /// By which device.
    pub cancelled_by_device: Option<String>,
    /// When the deletion started.
    pub deletion_started_at: Option<i64>,
    /// When it ended.
    pub deletion_completed_at: Option<i64>,
    /// Every eraser and what is known of it.
    pub erasures: StoredErasures,
}

/// What is stored of the erasers of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredErasures {
    /// Nothing: the deletion has not started.
    Absent,
    /// Each, in any order.
    Known(Vec<ErasureRecord>),
    /// Something that this program cannot have written.
    Unreadable,
}

/// What is kept of a process that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedProcess {
    /// The identity, as a keyed hash.
    pub identity_hash: Vec<u8>,
    /// The status it ended with.
    pub status: String,
    /// When the identity was deleted with which it went; nothing for a process that was forgotten while its identity was
    /// there.
    pub identity_deleted_at: Option<i64>,
    /// Whether a deletion of the identity is kept that came later, by logical time: clocks may differ.
    pub precedes_deletion: bool,
    /// Whether a deletion of the identity is kept that was complete at `identity_deleted_at`.
    pub is_of_deletion: bool,
    /// The signed receipt.
    pub receipt: Option<String>,
}

impl ClosedProcess {
    /// Whether the entries tell of a process that ended like this; if not, the sequence of the entry that contradicts it.
    pub(super) fn compare(&self, entries: &[SealedEntry], proof: &Proof) -> Result<(), i64> {
        if self.identity_hash != proof.identity_hash() {
            return Err(entries.first().map_or(0, |entry| entry.sequence));
        }
        let agrees = self.status.parse() == Ok(proof.status())
            && match proof.status() {
                // Nothing that is still open can be gone.
                Status::Active | Status::Deleting => false,
                Status::Cancelled => self.receipt.is_none() && self.went_with_identity(),
                Status::Deleted => {
                    let completed_at = proof.deletion_completed_at().map(Timestamp::unix_micros);
                    self.receipt.is_some() && self.identity_deleted_at == completed_at
                }
            };
        if agrees { Ok(()) } else { Err(entries.last().map_or(0, |entry| entry.sequence)) }
    }

    /// A process that was cancelled goes with the deletion of its identity, unless it was asked for later.
    fn went_with_identity(&self) -> bool {
        if self.identity_deleted_at.is_some() { self.is_of_deletion } else { !self.precedes_deletion }
    }
}

impl StoredProcess {
    /// The process that this is, if it is one.
    pub(super) fn restore(&self, id: &str) -> Option<DeletionProcess> {
        let instant = |micros: Option<i64>| micros.map(Timestamp::from_unix_micros).transpose().ok();
        let [first_sent, second_sent, third_sent] = self.reminders_sent_at;
        let record = DeletionProcessRecord {
            id: id.parse().ok()?,
            address: self.address.parse().ok()?,
            status: self.status.parse().ok()?,
            created_at: Timestamp::from_unix_micros(self.created_at).ok()?,
            created_by_device: self.created_by_device.parse().ok()?,
            grace_period_ends_at: Timestamp::from_unix_micros(self.grace_period_ends_at).ok()?,
            suspension: self.suspension().ok()?,
            reminders: Reminders::new([instant(first_sent)?, instant(second_sent)?, instant(third_sent)?]),
            cancelled_at: instant(self.cancelled_at)?,
            cancelled_by_device: self.cancelled_by_device.as_deref().map(str::parse).transpose().ok()?,
            deletion_started_at: instant(self.deletion_started_at)?,
            deletion_completed_at: instant(self.deletion_completed_at)?,
            erasures: match &self.erasures {
                StoredErasures::Absent => None,
                StoredErasures::Known(records) => Some(records.clone()),
                StoredErasures::Unreadable => return None,
            },
        };
        DeletionProcess::restore(record).ok()
    }

    /// The suspension; none where there is an end that its owner sees and no other.
    fn suspension(&self) -> Result<Option<Suspension>, ()> {
        let instant = |micros| Timestamp::from_unix_micros(micros).map_err(drop);
        match self.suspended_until {
            [None, None] => Ok(None),
            [None, Some(_)] => Err(()),
            [Some(until), shown] => {
                let (until, shown_until) = (instant(until)?, shown.map(instant).transpose()?);
                Ok(Some(Suspension { until, shown_until }))
            }
        }
    }

    /// Whether the erasers, and what is known of each, are what the chain says.
    fn has_proven_erasures(&self, proof: &Proof) -> bool {
        match &self.erasures {
            StoredErasures::Absent => proof.allows(None),
            StoredErasures::Known(records) => {
                let by_name = records
                    .iter()
                    .map(|record| (record.eraser.clone(), record.erasure.clone()))
                    .collect::<BTreeMap<_, _>>();
                by_name.len() == records.len() && proof.allows(Some(&by_name))
            }
            StoredErasures::Unreadable => false,
        }
    }
}

impl From<&DeletionProcess> for StoredProcess {
    fn from(process: &DeletionProcess) -> Self {
        let record = process.to_record();
        let micros = |at: Option<Timestamp>| at.map(Timestamp::unix_micros);
        Self {
            address: record.address.to_string(),
            status: record.status.to_string(),
            created_at: record.created_at.unix_micros(),
            created_by_device: record.created_by_device.to_string(),
            grace_period_ends_at: record.grace_period_ends_at.unix_micros(),
            suspended_until: [
                micros(record.suspension.map(|held| held.until)),
                micros(record.suspension.and_then(|held| held.shown_until)),
            ],
            reminders_sent_at: Reminder::ALL.map(|reminder| micros(record.reminders.sent_at(reminder))),
            cancelled_at: micros(record.cancelled_at),
            cancelled_by_device: record.cancelled_by_device.map(|device| device.to_string()),
            deletion_started_at: micros(record.deletion_started_at),
            deletion_completed_at: micros(record.deletion_completed_at),
            erasures: record.erasures.map_or(StoredErasures::Absent, StoredErasures::Known),
        }
    }
}

impl From<&DeletionProcess> for Subject {
    fn from(process: &DeletionProcess) -> Self {
        Self::Process(process.into())
    }
}

impl AuditKey {
    /// Whether a process is what its sound and complete entries say; if not, the sequence of the entry that contradicts
    /// it, or of the newest where none speaks of what is stored.
    pub(super) fn compare(
        &self,
        process: &StoredProcess,
        entries: &[SealedEntry],
        proof: &Proof,
    ) -> Result<(), i64> {
        let identity = self.pseudonym_of("identity", &process.address);
        let [first_sent, second_sent, third_sent] = process.reminders_sent_at;
        let is_device = |entry: &SealedEntry, device: Option<&str>| {
            let hash = device.map(|device| self.pseudonym_of("device", device).as_bytes().to_vec());
            entry.device_hash == hash
        };
        // What happens at most once, and the instant that the process keeps of it.
        let once = [
            ("GracePeriodReminder1Sent", first_sent),
            ("GracePeriodReminder2Sent", second_sent),
            ("GracePeriodReminder3Sent", third_sent),
            ("DeletionStarted", process.deletion_started_at),
            ("DeletionCompleted", process.deletion_completed_at),
        ];
        // What an end has moved behind is not kept.
        let counts = |entry: &SealedEntry| {
            entry.sequence > proof.reminders_anew() || !entry.message_key.starts_with("GracePeriodReminder")
        };
        for entry in entries {
            let agrees = match entry.message_key.as_str() {
                "StartedByOwner" => {
                    process.created_at == entry.created_at
                        && is_device(entry, Some(&process.created_by_device))
                        && process.grace_period_ends_at == proof.grace_period_ends_at().unix_micros()
                }
                "CancelledByOwner" | "CancellationRestored" => {
                    process.cancelled_at == entry.cancelled_at()
                        && is_device(entry, process.cancelled_by_device.as_deref())
                }
                _ => true,
            };
            let kept = once.iter().find(|(key, _)| *key == entry.message_key && counts(entry));
            let is_kept = kept.is_none_or(|(_, at)| *at == Some(entry.created_at));
            if !agrees || !is_kept || entry.identity_hash != identity.as_bytes() {
                return Err(entry.sequence);
            }
        }
        let newest = entries.last().map_or(0, |entry| entry.sequence);
        let told = |key: &str| entries.iter().any(|entry| entry.message_key == key && counts(entry));
        let invented = once.iter().any(|(key, at)| at.is_some() && !told(key))
            || (process.cancelled_at.is_some() || process.cancelled_by_device.is_some())
                && !told("CancelledByOwner")
                && !told("CancellationRestored");
        let is_proven = process.suspension() == Ok(proof.suspension())
            && process.status.parse() == Ok(proof.status())
            && process.has_proven_erasures(proof);
        if invented || !is_proven { Err(newest) } else { Ok(()) }
    }

    fn pseudonym_of(&self, kind: &str, name: &str) -> KeyedHash {
        self.pseudonym(&Canonical::new(kind).text(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Chain, ChainHead, StoredHead};
    use crate::{
        DeletionProcessId, DeviceId, EraserName, GracePeriod, GracePeriodBounds, Identity, Step, Timestamp,
    };

    const DAY: i64 = 86_400_000_000;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_unix_micros(micros).unwrap()
    }

    struct Story {
        key: AuditKey,
        entries: Vec<SealedEntry>,
        head: ChainHead,
    }

    impl Story {
        /// Writes a step down, and sees that what is stored verifies.
        fn tell(&mut self, step: Step) -> DeletionProcess {
            let (sealed, head) = self.key.seal(step.audit_entry(), self.head);
            self.entries.push(sealed);
            self.head = head;
            let process = step.into_process();
            let stored = StoredHead {
                length: head.length,
                hash: head.hash.as_bytes().to_vec(),
                seal: self.key.seal_head(process.id(), head).as_bytes().to_vec(),
                subject: Subject::from(&process),
            };
            let (process_id, entries) = (process.id().to_string(), self.entries.clone());
            assert_eq!(
                self.key.verify(&Chain { process_id, entries, head: Some(stored), tasks: None }),
                Ok(())
            );
            process
        }
    }

    fn hold(process: &DeletionProcess, until: i64, now: i64) -> Step {
        let identity = Identity::with_open_process(process.clone()).unwrap();
        let change = identity.place_hold("legal".parse().unwrap(), at(until), false, at(now)).unwrap();
        change.step.unwrap()
    }

    #[test]
    fn whatever_the_state_machine_does_its_trail_bears_out() {
        let bytes: Vec<u8> = (0..32).collect();
        let mut story =
            Story { key: AuditKey::new(&bytes).unwrap(), entries: Vec::new(), head: ChainHead::EMPTY };
        let id: DeletionProcessId = "IDP0123456789abcdefg".parse().unwrap();
        let device: DeviceId = "DVC0123456789abcdefg".parse().unwrap();
        let files: EraserName = "files".parse().unwrap();
        let length = GracePeriod::from_days(14.0, &GracePeriodBounds::default()).unwrap();
        let identity = Identity::new("did:web:example.org".parse().unwrap());
        let mut process = story.tell(identity.initiate(id, device.clone(), length, at(0)).unwrap());
        let cancelled = process.cancel(device.clone(), at(1)).unwrap();
        for (day, reminder) in [2, 4, 9].into_iter().zip(Reminder::ALL) {
            process = story.tell(process.remind(reminder, at(day * DAY)).unwrap());
        }
        for (until, now) in [(12, 10), (20, 10), (30, 21)] {
            // The last two move the end, so that reminders are due anew.
            process = story.tell(hold(&process, until * DAY, now * DAY));
            let sent = process.reminders().sent_at(Reminder::Third).is_some();
            assert_eq!(sent, until == 12);
        }
        process = story.tell(process.remind(Reminder::Third, at(29 * DAY)).unwrap());
        let held_cancelled = process.cancel(device.clone(), at(29 * DAY)).unwrap();
        let (held_entries, held_head) = (story.entries.clone(), story.head);
        process = story.tell(process.start_deletion([files.clone()].into(), at(30 * DAY)).unwrap());
        process = story.tell(hold(&process, 31 * DAY, 30 * DAY));
        let failure = "unreachable".parse().unwrap();
        process = story.tell(process.record_erasure_failure(&files, failure, at(30 * DAY + 1)).unwrap());
        process = story.tell(process.record_erasure(&files, 3, at(30 * DAY + 2)).unwrap());
        story.tell(process.complete(at(31 * DAY)).unwrap());

        (story.entries, story.head) = (held_entries, held_head);
        story.tell(held_cancelled);
        story.entries.truncate(1);
        story.head = ChainHead {
            length: 1,
            hash: <[u8; 32]>::try_from(story.entries[0].hash.as_slice()).unwrap().into(),
        };
        story.tell(cancelled);
    }
}
