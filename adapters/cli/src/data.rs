//! What commands show, in the form of the Connector's data objects.

use std::fmt::Write as _;

use reprieve_domain::{
    Address, DeletionProcess, DeletionProcessId, DeviceId, Identity, IdentityStatus, State, Status, Timestamp,
};
use serde::Serialize;

use crate::duration::in_words;

/// A deletion process: members in the Connector's order, absent ones left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProcessData {
    id: DeletionProcessId,
    pub(crate) status: Status,
    created_at: Timestamp,
    created_by_device: DeviceId,
    /// Absent once cancelled: there is no date of deletion any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grace_period_ends_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_by_device: Option<DeviceId>,
}

impl From<&DeletionProcess> for ProcessData {
    fn from(process: &DeletionProcess) -> Self {
        let cancelled = match process.state() {
            State::Cancelled(cancelled) => Some(cancelled),
            State::Active(_) | State::Deleting(_) | State::Deleted(_) => None,
        };
        Self {
            id: process.id().clone(),
            status: process.status(),
            created_at: process.created_at(),
            created_by_device: process.created_by_device().clone(),
            grace_period_ends_at: cancelled.is_none().then(|| process.grace_period_ends_at()),
            cancelled_at: cancelled.map(reprieve_domain::Cancelled::at),
            cancelled_by_device: cancelled.map(|cancelled| cancelled.by_device().clone()),
        }
    }
}

impl ProcessData {
    /// `End of grace period: …`, with what is left.
    pub(crate) fn end_of_grace_period(&self, now: Timestamp) -> Option<String> {
        let ends_at = self.grace_period_ends_at?;
        let left = ends_at.micros_since(now);
        let words = if left > 0 {
            format!("in {}", in_words(left))
        } else if self.status == Status::Active {
            "it is over: the deletion can no longer be cancelled".to_owned()
        } else {
            "it is over".to_owned()
        };
        Some(format!("End of grace period: {ends_at} ({words})"))
    }

    /// One line a member.
    pub(crate) fn lines(&self, now: Timestamp) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Id: {}", self.id);
        let _ = writeln!(text, "Status: {}", styled(self.status, 0));
        let _ = writeln!(text, "Created at: {}", self.created_at);
        let _ = writeln!(text, "Created by device: {}", self.created_by_device);
        if let Some(line) = self.end_of_grace_period(now) {
            let _ = writeln!(text, "{line}");
        }
        if let Some(at) = self.cancelled_at {
            let _ = writeln!(text, "Cancelled at: {at}");
        }
        if let Some(device) = &self.cancelled_by_device {
            let _ = writeln!(text, "Cancelled by device: {device}");
        }
        text
    }

    /// One line of a table.
    fn row(&self) -> String {
        let end = self.grace_period_ends_at.or(self.cancelled_at);
        format!(
            "{:<20}  {}  {:<27}  {}",
            self.id,
            styled(self.status, 9),
            self.created_at,
            end.map(|end| end.to_string()).unwrap_or_default()
        )
    }
}

/// The status in its colour, at least `width` wide. Where colours are not wanted, the output takes them away.
pub(crate) fn styled(status: Status, width: usize) -> String {
    use anstyle::AnsiColor::{Green, Red, Yellow};
    let colour = match status {
        Status::Active => Yellow,
        Status::Cancelled => Green,
        Status::Deleting | Status::Deleted => Red,
    };
    let style = colour.on_default();
    format!("{style}{status:<width$}{style:#}")
}

/// A table of processes.
pub(crate) fn table(processes: &[ProcessData]) -> String {
    if processes.is_empty() {
        return "No deletion processes\n".to_owned();
    }
    let mut text =
        format!("{:<20}  {:<9}  {:<27}  {}\n", "Id", "Status", "Created at", "Ends or cancelled at");
    for process in processes {
        text.push_str(&process.row());
        text.push('\n');
    }
    text
}

/// The own identity and its open process.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IdentityData {
    pub(crate) address: Address,
    device: DeviceId,
    status: IdentityStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity_deletion_process: Option<ProcessData>,
}

impl IdentityData {
    pub(crate) fn new(identity: &Identity, device: DeviceId) -> Self {
        Self {
            address: identity.address().clone(),
            device,
            status: identity.status(),
            identity_deletion_process: identity.open_process().map(ProcessData::from),
        }
    }
}
