//! Active → Active or Deleting → Deleting, with the deletion suspended or not any more.

use super::{DeletionProcess, Reminders, Status};
use crate::audit::AuditedAction;
use crate::{Deadline, EventKind, Step, Suspension, Timestamp};

impl DeletionProcess {
    /// The step after which the deletion is suspended like this; none if the process is closed.
    pub(crate) fn suspended(
        &self,
        suspension: Option<Suspension>,
        action: AuditedAction,
        now: Timestamp,
    ) -> Option<Step> {
        if !self.status().is_open() {
            return None;
        }
        let shown = |suspension: Option<Suspension>| suspension.and_then(|held| held.shown_until);
        let event = (shown(self.suspension) != shown(suspension))
            .then(|| EventKind::IdentityDeletionSuspensionChanged { suspended_until: shown(suspension) });
        let mut next = Self { suspension, ..self.clone() };
        if self.status() == Status::Active && next.ends_at() != self.ends_at() {
            // What was said of the end is not so any more.
            next.reminders = Reminders::default();
        }
        let state = next.state.clone();
        Some(next.step_to(state, now, None, action, event, Deadline::DoesNotMatter))
    }
}
