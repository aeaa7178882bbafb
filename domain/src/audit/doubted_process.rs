//! A process that its audit chain does not bear out, and what its owner can still do about it.

use super::{
    AuditKey, AuditedAction, Chain, ChainHead, Fault, KeyedHash, SealedEntry, StoredProcess, Subject,
};
use crate::{
    Address, CancelError, DeletionProcess, DeletionProcessId, DeletionProcessRecord, DeviceId, Moment,
    Reminder, Reminders, Status, Step, Suspension, Timestamp,
};

/// A process of an identity that does not verify, made by [`AuditKey::doubt`]. Its columns decide nothing: what is proven
/// of it decides, and where nothing is, doubt favours the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubtedProcess {
    id: DeletionProcessId,
    owner: Address,
    stored: StoredProcess,
    head: ChainHead,
    fault: Fault,
    proven: Option<Promise>,
    device: Option<DeviceId>,
    reminders: [Option<Timestamp>; 3],
    has_started: bool,
}

/// What a sound first entry says, and those of holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Promise {
    created_at: Timestamp,
    /// The end of the grace period.
    promised: Timestamp,
    /// The end, which is later if the identity was held.
    ends_at: Timestamp,
}

impl AuditKey {
    /// What can be said of a stored process of this identity that does not verify; nothing of one that does, or that is not
    /// stored as a whole.
    #[must_use]
    pub fn doubt(&self, owner: &Address, chain: &Chain) -> Option<DoubtedProcess> {
        let fault = self.verify_process(chain).err()?;
        let head = chain.head.as_ref()?;
        let Subject::Process(stored) = &head.subject else { return None };
        let id: DeletionProcessId = chain.process_id.parse().ok()?;
        let first = chain.entries.iter().find(|entry| entry.sequence == 1);
        let proven = self.proven_end(&id, owner, &chain.entries).and_then(|ends_at| {
            let first = first?;
            let created_at = Timestamp::from_unix_micros(first.created_at).ok()?;
            let AuditedAction::StartedByOwner { grace_period_ends_at: promised, .. } =
                AuditedAction::read(&first.message_key, &first.additional_data)?
            else {
                return None;
            };
            Some(Promise { created_at, promised, ends_at })
        });
        let hash = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).ok().map(KeyedHash::from);
        let head = ChainHead { length: head.length, hash: hash(&head.hash)? };
        let sent_at = |reminder| {
            let key = AuditedAction::GracePeriodReminderSent(reminder).message_key();
            let sent = chain.entries.iter().find(|entry| entry.message_key == key)?;
            Timestamp::from_unix_micros(sent.created_at).ok()
        };
        Some(DoubtedProcess {
            reminders: Reminder::ALL.map(sent_at),
            has_started: self.has_started(chain, proven),
            device: stored.created_by_device.parse().ok(),
            stored: stored.clone(),
            owner: owner.clone(),
            id,
            head,
            fault,
            proven,
        })
    }

    /// Whether an entry that nobody without the key can have written says that the deletion started, and not before the
    /// promised end.
    fn has_started(&self, chain: &Chain, proven: Option<Promise>) -> bool {
        let is_start = |(before, entry): (&SealedEntry, &SealedEntry)| {
            entry.process_id == chain.process_id
                && self.hash(entry, &before.hash).as_bytes() == entry.hash.as_slice()
                && entry.message_key == "DeletionStarted"
                && proven.is_none_or(|proven| entry.created_at >= proven.promised.unix_micros())
        };
        chain.entries.iter().zip(chain.entries.iter().skip(1)).any(is_start)
    }
}

impl DoubtedProcess {
    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &DeletionProcessId {
        &self.id
    }

    /// What is stored with the process: a step must find just that.
    #[must_use]
    pub fn head(&self) -> ChainHead {
        self.head
    }

    /// Cancels the deletion on behalf of a device of the identity, until the end that the chain proves, or at any time if
    /// none is proven. The process that is to be stored is, as far as that is proven, what the chain says, and the entry
    /// names the fault.
    ///
    /// # Errors
    /// From the proven end on, and if the deletion has provably started.
    pub fn cancel(&self, by: DeviceId, at: impl Into<Moment>) -> Result<Step, CancelError> {
        let at = at.into();
        if self.has_started {
            return Err(CancelError::NotActive { status: Status::Deleting });
        }
        if let Some(Promise { ends_at, .. }) = self.proven
            && at.earliest() >= ends_at
        {
            return Err(CancelError::GracePeriodHasExpired { ended_at: ends_at });
        }
        let process = self.restore(&by, at.now()).ok_or(CancelError::NoOpenProcess)?;
        Ok(process.cancel_doubted(by, at, self.fault.kind))
    }

    /// The Active process that this is, or might be if nothing is proven.
    fn restore(&self, by: &DeviceId, now: Timestamp) -> Option<DeletionProcess> {
        let promise = if let Some(promise) = self.proven {
            promise
        } else {
            let instant = |micros| Timestamp::from_unix_micros(micros).ok();
            let created_at = instant(self.stored.created_at).filter(|at| *at <= now).unwrap_or(now);
            let ends_at = instant(self.stored.grace_period_ends_at).filter(|at| *at > now);
            let ends_at = ends_at.or_else(|| now.checked_add_micros(1))?;
            Promise { created_at, promised: ends_at, ends_at }
        };
        let Promise { created_at, promised, ends_at } = promise;
        DeletionProcess::restore(DeletionProcessRecord {
            id: self.id.clone(),
            address: self.owner.clone(),
            status: Status::Active,
            created_at,
            created_by_device: self.device.clone().unwrap_or_else(|| by.clone()),
            grace_period_ends_at: promised,
            suspension: (ends_at > promised).then_some(Suspension { until: ends_at, shown_until: None }),
            reminders: Reminders::new(self.reminders.map(|sent| sent.filter(|at| *at < ends_at))),
            cancelled_at: None,
            cancelled_by_device: None,
            deletion_started_at: None,
            deletion_completed_at: None,
            erasures: None,
        })
        .ok()
    }
}
