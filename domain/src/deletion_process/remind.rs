//! Active → Active, with one more reminder sent.

use super::{DeletionProcess, Reminder, State};
use crate::audit::AuditedAction;
use crate::{Deadline, EventKind, Status, Step, Timestamp};

/// Why no reminder can be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemindError {
    /// The identity has no such open process.
    #[error("the identity has no such open deletion process")]
    NoOpenProcess,
    /// The process is not Active.
    #[error("the deletion process has the status {status}")]
    NotActive {
        /// The status it has.
        status: Status,
    },
    /// The grace period is over: there is nothing left to decide for the person reminded.
    #[error("the grace period has ended at {ended_at}")]
    GracePeriodHasExpired {
        /// When it ended.
        ended_at: Timestamp,
    },
    /// This reminder, or a more urgent one, was sent.
    #[error("reminder {sent} was sent at {at}")]
    AlreadySent {
        /// The most urgent reminder that was sent.
        sent: Reminder,
        /// When it was sent.
        at: Timestamp,
    },
}

impl DeletionProcess {
    /// Records that a reminder is sent: each at most once, and none after a more urgent one.
    ///
    /// # Errors
    /// If it was sent or superseded, after the grace period, and in any state but Active.
    pub(crate) fn remind(&self, reminder: Reminder, now: Timestamp) -> Result<Step, RemindError> {
        match &self.state {
            State::Active(_) if self.is_over(now) => {
                Err(RemindError::GracePeriodHasExpired { ended_at: self.ends_at() })
            }
            State::Active(active) => {
                if let Some((sent, at)) = self
                    .reminders
                    .most_urgent()
                    .filter(|sent| *sent >= reminder)
                    .and_then(|sent| Some((sent, self.reminders.sent_at(sent)?)))
                {
                    return Err(RemindError::AlreadySent { sent, at });
                }
                let next = Self { reminders: self.reminders.with(reminder, now), ..self.clone() };
                Ok(next.step_to(
                    State::Active(active.clone()),
                    now,
                    None,
                    AuditedAction::GracePeriodReminderSent(reminder),
                    Some(EventKind::IdentityDeletionReminderDue {
                        reminder,
                        days_until_deletion: whole_days_until(self.ends_at(), now),
                        grace_period_ends_at: self.grace_period_ends_at,
                    }),
                    Deadline::IsAfter(now),
                ))
            }
            State::Cancelled(_) | State::Deleting(_) | State::Deleted(_) => {
                Err(RemindError::NotActive { status: self.status() })
            }
        }
    }
}

/// Days from `now` to `end`, rounded up.
pub(crate) fn whole_days_until(end: Timestamp, now: Timestamp) -> u32 {
    const DAY: i64 = 86_400_000_000;
    let micros = end.micros_since(now).max(0);
    u32::try_from(micros / DAY + i64::from(micros % DAY != 0)).unwrap_or(u32::MAX)
}
