//! What the entries of a chain, one after the other, prove of their process.

use std::collections::BTreeMap;

use super::{AuditKey, AuditedAction, KeyedHash, SealedEntry};
use crate::deletion_process::{end, whole_days_until};
use crate::{EraserName, Erasure, Event, EventKind, Reminder, Reminders, Status, Suspension, Timestamp};

/// The state that follows from a chain which is complete and continuous: it begins with the request, and each further
/// entry is a step that the state before it allows. The order of two instants counts only where the deadline decides: a
/// clock may be set back between two steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    pub(super) identity_hash: Vec<u8>,
    status: Status,
    created_at: Timestamp,
    grace_period_ends_at: Timestamp,
    suspension: Option<Suspension>,
    reminders: Reminders,
    /// The place of the entry by which reminders are due anew; 0 if there is none.
    reminders_anew: i64,
    deletion_started_at: Option<Timestamp>,
    deletion_completed_at: Option<Timestamp>,
    states_erasers: bool,
    erasures: BTreeMap<EraserName, Erasure>,
}

impl Proof {
    /// Follows entries whose hashes are sound.
    ///
    /// # Errors
    /// The sequence of the first entry that cannot follow the ones before it.
    pub(super) fn of(entries: &[SealedEntry]) -> Result<Self, i64> {
        let Some((first, others)) = entries.split_first() else { return Err(1) };
        let mut proof = Self::begin(first).ok_or(first.sequence)?;
        for entry in others {
            proof.follow(entry).ok_or(entry.sequence)?;
        }
        Ok(proof)
    }

    fn begin(entry: &SealedEntry) -> Option<Self> {
        let created_at = Timestamp::from_unix_micros(entry.created_at).ok()?;
        let AuditedAction::StartedByOwner { grace_period_ends_at, suspension } = read(entry)? else {
            return None;
        };
        let is_new = entry.old_status.is_none() && status(&entry.new_status)? == Status::Active;
        (is_new && entry.device_hash.is_some()).then(|| Self {
            identity_hash: entry.identity_hash.clone(),
            status: Status::Active,
            created_at,
            grace_period_ends_at,
            suspension,
            reminders: Reminders::default(),
            reminders_anew: 0,
            deletion_started_at: None,
            deletion_completed_at: None,
            states_erasers: false,
            erasures: BTreeMap::new(),
        })
    }

    /// Takes one more step; nothing if the state does not allow it.
    fn follow(&mut self, entry: &SealedEntry) -> Option<()> {
        let at = Timestamp::from_unix_micros(entry.created_at).ok()?;
        let continues =
            entry.identity_hash == self.identity_hash && status(entry.old_status.as_deref()?)? == self.status;
        let is_in_time = at < self.ends_at();
        let (is_allowed, status_after, by_person) = match (read(entry)?, self.status) {
            (AuditedAction::GracePeriodReminderSent(reminder), Status::Active) => {
                let is_next = self.reminders.most_urgent().is_none_or(|sent| sent < reminder);
                self.reminders = self.reminders.with(reminder, at);
                (is_in_time && is_next, Status::Active, false)
            }
            (
                AuditedAction::HoldPlacedBySupport { suspension, .. }
                | AuditedAction::HoldReleasedBySupport { suspension, .. },
                status @ (Status::Active | Status::Deleting),
            ) => {
                let before = self.ends_at();
                self.suspension = suspension;
                if status == Status::Active && self.ends_at() != before {
                    self.reminders = Reminders::default();
                    self.reminders_anew = entry.sequence;
                }
                (true, status, false)
            }
            (AuditedAction::CancelledByOwner { .. }, Status::Active) => (is_in_time, Status::Cancelled, true),
            (AuditedAction::CancellationRestored { cancelled_at }, Status::Active) => {
                (cancelled_at < self.ends_at(), Status::Cancelled, true)
            }
            (AuditedAction::DeletionStarted { erasers }, Status::Active) => {
                self.deletion_started_at = Some(at);
                self.states_erasers = erasers.is_some();
                let pending = |eraser| (eraser, Erasure::Pending { failures: 0 });
                self.erasures = erasers.into_iter().flatten().map(pending).collect();
                (!is_in_time, Status::Deleting, false)
            }
            (AuditedAction::DataDeleted { eraser, count }, Status::Deleting) => {
                self.pending(&eraser)?;
                self.erasures.insert(eraser, Erasure::Acknowledged { at, count });
                (true, Status::Deleting, false)
            }
            (AuditedAction::ErrorDuringDeletion { eraser, .. }, Status::Deleting) => {
                let failures = self.pending(&eraser)?.saturating_add(1);
                self.erasures.insert(eraser, Erasure::Pending { failures });
                (true, Status::Deleting, false)
            }
            (AuditedAction::DataDeletionWaivedBySupport { eraser, code }, Status::Deleting) => {
                self.pending(&eraser)?;
                self.erasures.insert(eraser, Erasure::Waived { at, code });
                (true, Status::Deleting, false)
            }
            (AuditedAction::DeletionCompleted, Status::Deleting) => {
                self.deletion_completed_at = Some(at);
                let is_held = self.suspension.is_some_and(|held| at < held.until);
                let is_complete = self.erasures.values().all(Erasure::is_settled);
                (is_complete && !is_held, Status::Deleted, false)
            }
            (
                AuditedAction::StartedByOwner { .. }
                | AuditedAction::HoldPlacedBySupport { .. }
                | AuditedAction::HoldReleasedBySupport { .. }
                | AuditedAction::GracePeriodReminderSent(_)
                | AuditedAction::CancelledByOwner { .. }
                | AuditedAction::CancellationRestored { .. }
                | AuditedAction::DeletionStarted { .. }
                | AuditedAction::DataDeleted { .. }
                | AuditedAction::ErrorDuringDeletion { .. }
                | AuditedAction::DataDeletionWaivedBySupport { .. }
                | AuditedAction::DeletionCompleted,
                _,
            ) => return None,
        };
        self.status = status_after;
        let leads_there = status(&entry.new_status)? == status_after;
        let is_by = entry.device_hash.is_some() == by_person;
        (continues && is_allowed && leads_there && is_by).then_some(())
    }

    /// How often an eraser that has yet to acknowledge has failed. Any eraser may be one of those in force where the chain
    /// does not state them.
    fn pending(&self, eraser: &EraserName) -> Option<u32> {
        match self.erasures.get(eraser) {
            Some(Erasure::Pending { failures }) => Some(*failures),
            Some(Erasure::Acknowledged { .. } | Erasure::Waived { .. }) => None,
            None => (!self.states_erasers).then_some(0),
        }
    }

    /// Whether these can be the erasers of the process with what is known of each: all that the chain states, and each as
    /// it says. A chain that does not state the erasers leaves room for more that have done nothing yet.
    pub(super) fn allows(&self, stored: Option<&BTreeMap<EraserName, Erasure>>) -> bool {
        let Some(stored) = stored else { return self.deletion_started_at.is_none() };
        self.deletion_started_at.is_some()
            && self.erasures.iter().all(|(eraser, erasure)| stored.get(eraser) == Some(erasure))
            && stored.iter().all(|(eraser, erasure)| {
                let is_untouched = *erasure == Erasure::Pending { failures: 0 };
                let may_be_more = !self.states_erasers && self.status == Status::Deleting;
                self.erasures.contains_key(eraser) || may_be_more && is_untouched
            })
    }

    /// The event that goes with the newest entry, which is this one; nothing where none can.
    #[must_use]
    pub fn event_of(&self, newest: &SealedEntry) -> Option<EventKind> {
        let grace_period_ends_at = self.grace_period_ends_at;
        Some(match read(newest)? {
            AuditedAction::StartedByOwner { .. } => EventKind::IdentityToBeDeleted { grace_period_ends_at },
            AuditedAction::HoldPlacedBySupport { suspension, .. }
            | AuditedAction::HoldReleasedBySupport { suspension, .. } => suspension_changed(suspension),
            AuditedAction::CancelledByOwner { .. } | AuditedAction::CancellationRestored { .. } => {
                EventKind::IdentityDeletionCancelled
            }
            AuditedAction::GracePeriodReminderSent(reminder) => {
                let sent_at = Timestamp::from_unix_micros(newest.created_at).ok()?;
                let days_until_deletion = whole_days_until(self.ends_at(), sent_at);
                EventKind::IdentityDeletionReminderDue { reminder, days_until_deletion, grace_period_ends_at }
            }
            AuditedAction::DeletionStarted { .. } => EventKind::IdentityDeletionStarted,
            AuditedAction::DataDeleted { .. } => return None,
            AuditedAction::DataDeletionWaivedBySupport { eraser, code } => {
                EventKind::IdentityErasureWaived { eraser, code }
            }
            AuditedAction::ErrorDuringDeletion { eraser, .. } => {
                let failures = match self.erasures.get(&eraser) {
                    Some(Erasure::Pending { failures }) => *failures,
                    Some(Erasure::Acknowledged { .. } | Erasure::Waived { .. }) | None => return None,
                };
                EventKind::IdentityErasureStuck { eraser, failures }
            }
            AuditedAction::DeletionCompleted => EventKind::IdentityDeleted,
        })
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The identity, as a keyed hash.
    #[must_use]
    pub fn identity_hash(&self) -> &[u8] {
        &self.identity_hash
    }

    /// When the deletion was asked for.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// The end of the grace period that was promised.
    #[must_use]
    pub fn grace_period_ends_at(&self) -> Timestamp {
        self.grace_period_ends_at
    }

    /// Until when the deletion is suspended.
    #[must_use]
    pub fn suspension(&self) -> Option<Suspension> {
        self.suspension
    }

    /// The first instant at which it can no longer be cancelled.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        end(self.grace_period_ends_at, self.suspension)
    }

    /// The place of the entry behind which reminders count; 0 if all do.
    pub(super) fn reminders_anew(&self) -> i64 {
        self.reminders_anew
    }

    /// When a reminder was sent.
    #[must_use]
    pub fn reminder_sent_at(&self, reminder: Reminder) -> Option<Timestamp> {
        self.reminders.sent_at(reminder)
    }

    /// When the deletion started.
    #[must_use]
    pub fn deletion_started_at(&self) -> Option<Timestamp> {
        self.deletion_started_at
    }

    /// When it ended.
    #[must_use]
    pub fn deletion_completed_at(&self) -> Option<Timestamp> {
        self.deletion_completed_at
    }

    /// Whether the chain states which erasers were in force when the deletion started.
    #[must_use]
    pub fn states_erasers(&self) -> bool {
        self.states_erasers
    }

    /// Every eraser that the chain names, and what it says of it.
    pub fn erasures(&self) -> impl Iterator<Item = (&EraserName, &Erasure)> {
        self.erasures.iter()
    }
}

impl AuditKey {
    /// Whether an event is that of this entry, which is sound behind the entry with the hash `before`. Nothing else of the
    /// chain is looked at.
    #[must_use]
    pub fn bears_out(&self, event: &Event, entry: &SealedEntry, before: Option<&[u8]>) -> bool {
        let before = if entry.sequence == 1 { Some(KeyedHash::ZERO.as_bytes().as_slice()) } else { before };
        let is_sound =
            before.is_some_and(|before| self.hash(entry, before).as_bytes() == entry.hash.as_slice());
        is_sound
            && event.process_id.as_str() == entry.process_id
            && event.occurred_at.unix_micros() == entry.created_at
            && self.pseudonym_of_identity(&event.address).as_bytes() == entry.identity_hash.as_slice()
            && read(entry).is_some_and(|action| is_of(&event.kind, &action))
    }
}

fn is_of(kind: &EventKind, action: &AuditedAction) -> bool {
    match (kind, action) {
        (
            EventKind::IdentityToBeDeleted { grace_period_ends_at: told },
            AuditedAction::StartedByOwner { grace_period_ends_at, .. },
        ) => told == grace_period_ends_at,
        (
            kind @ EventKind::IdentityDeletionSuspensionChanged { .. },
            AuditedAction::HoldPlacedBySupport { suspension, .. }
            | AuditedAction::HoldReleasedBySupport { suspension, .. },
        ) => *kind == suspension_changed(*suspension),
        (
            EventKind::IdentityDeletionReminderDue { reminder: told, .. },
            AuditedAction::GracePeriodReminderSent(reminder),
        ) => told == reminder,
        (
            EventKind::IdentityErasureStuck { eraser: told, .. },
            AuditedAction::ErrorDuringDeletion { eraser, .. },
        ) => told == eraser,
        (
            EventKind::IdentityErasureWaived { eraser, code },
            AuditedAction::DataDeletionWaivedBySupport { eraser: of, code: why },
        ) => eraser == of && code == why,
        (EventKind::IdentityDeletionCancelled, AuditedAction::CancelledByOwner { .. })
        | (EventKind::IdentityDeletionStarted, AuditedAction::DeletionStarted { .. })
        | (EventKind::IdentityDeleted, AuditedAction::DeletionCompleted) => true,
        _ => false,
    }
}

fn suspension_changed(suspension: Option<Suspension>) -> EventKind {
    let suspended_until = suspension.and_then(|suspension| suspension.shown_until);
    EventKind::IdentityDeletionSuspensionChanged { suspended_until }
}

fn read(entry: &SealedEntry) -> Option<AuditedAction> {
    AuditedAction::read(&entry.message_key, &entry.additional_data)
}

fn status(text: &str) -> Option<Status> {
    text.parse().ok()
}

#[cfg(test)]
mod tests;
