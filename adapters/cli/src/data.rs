//! What commands show, in the form of the Connector's data objects.

use std::fmt::Write as _;

use reprieve_application::facade::{IdentityData, ProcessData};
use reprieve_application::ports::DeletedOwnIdentity;
use reprieve_domain::{Address, DeletionProcessId, DeviceId, IdentityStatus, Status, Timestamp};
use serde::Serialize;

use crate::duration::in_words;

/// A deletion process: members in the Connector's order, absent ones left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProcessJson<'a> {
    id: &'a DeletionProcessId,
    status: Status,
    created_at: Timestamp,
    created_by_device: &'a DeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_period_ends_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_by_device: Option<&'a DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended_until: Option<Timestamp>,
}

impl<'a> From<&'a ProcessData> for ProcessJson<'a> {
    fn from(process: &'a ProcessData) -> Self {
        Self {
            id: &process.id,
            status: process.status,
            created_at: process.created_at,
            created_by_device: &process.created_by_device,
            grace_period_ends_at: process.grace_period_ends_at,
            cancelled_at: process.cancelled_at,
            cancelled_by_device: process.cancelled_by_device.as_ref(),
            suspended_until: process.suspended_until,
        }
    }
}

/// In which process the own identity before this one was deleted, and the proof.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeletionJson<'a> {
    process_id: &'a DeletionProcessId,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<&'a str>,
}

/// The own identity and its open process.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IdentityJson<'a> {
    address: &'a Address,
    device: &'a DeviceId,
    status: IdentityStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_deletion_process: Option<ProcessJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_deletion: Option<DeletionJson<'a>>,
}

impl<'a> IdentityJson<'a> {
    pub(crate) fn new(identity: &'a IdentityData, deleted: Option<&'a DeletedOwnIdentity>) -> Self {
        Self {
            address: &identity.address,
            device: &identity.device,
            status: identity.status(),
            identity_deletion_process: identity.open_process.as_ref().map(ProcessJson::from),
            previous_deletion: deleted.map(|deleted| DeletionJson {
                process_id: &deleted.process_id,
                receipt: deleted.receipt.as_deref(),
            }),
        }
    }
}

/// `End of grace period: …`, with what is left.
pub(crate) fn end_of_grace_period(process: &ProcessData, now: Timestamp) -> Option<String> {
    let ends_at = process.grace_period_ends_at?;
    let left = ends_at.micros_since(now);
    let words = if left > 0 {
        format!("in {}", in_words(left))
    } else if process.status == Status::Active && !is_suspended(process, now) {
        "it is over: the deletion can no longer be cancelled".to_owned()
    } else {
        "it is over".to_owned()
    };
    Some(format!("End of grace period: {ends_at} ({words})"))
}

fn is_suspended(process: &ProcessData, now: Timestamp) -> bool {
    process.suspended_until.is_some_and(|until| now < until)
}

/// `Deletion suspended until: …`, with what is left.
pub(crate) fn suspension(process: &ProcessData, now: Timestamp) -> Option<String> {
    let until = process.suspended_until?;
    let left = until.micros_since(now);
    let words = match process.status {
        _ if left <= 0 => "that is over".to_owned(),
        Status::Active => format!("in {}; it can be cancelled until then", in_words(left)),
        _ => format!("in {}", in_words(left)),
    };
    Some(format!("Deletion suspended until: {until} ({words})"))
}

/// One line a member.
pub(crate) fn lines(process: &ProcessData, now: Timestamp) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "Id: {}", process.id);
    let _ = writeln!(text, "Status: {}", styled(process.status, 0));
    let _ = writeln!(text, "Created at: {}", process.created_at);
    let _ = writeln!(text, "Created by device: {}", process.created_by_device);
    if let Some(line) = end_of_grace_period(process, now) {
        let _ = writeln!(text, "{line}");
    }
    if let Some(line) = suspension(process, now) {
        let _ = writeln!(text, "{line}");
    }
    if let Some(at) = process.cancelled_at {
        let _ = writeln!(text, "Cancelled at: {at}");
    }
    if let Some(device) = &process.cancelled_by_device {
        let _ = writeln!(text, "Cancelled by device: {device}");
    }
    text
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
        text.push_str(&row(process));
        text.push('\n');
    }
    text
}

fn row(process: &ProcessData) -> String {
    let end = process.grace_period_ends_at.or(process.cancelled_at);
    format!(
        "{:<20}  {}  {:<27}  {}",
        process.id,
        styled(process.status, 9),
        process.created_at,
        end.map(|end| end.to_string()).unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_deletion_of_the_identity_before_is_a_member_while_there_is_something_to_say() {
        let identity = IdentityData {
            address: "did:web:example.org".parse().unwrap(),
            device: "DVC0123456789abcdefg".parse().unwrap(),
            open_process: None,
        };
        let process_id = "IDP0123456789abcdefg".parse().unwrap();
        let mut deleted = DeletedOwnIdentity { process_id, receipt: Some("signed".to_owned()) };
        let shown = |deleted: Option<&DeletedOwnIdentity>| {
            serde_json::to_value(IdentityJson::new(&identity, deleted))
                .unwrap()
                .get("previousDeletion")
                .cloned()
        };
        assert_eq!(shown(None), None);
        let expected = json!({"processId": "IDP0123456789abcdefg", "receipt": "signed"});
        assert_eq!(shown(Some(&deleted)), Some(expected));
        deleted.receipt = None;
        assert_eq!(shown(Some(&deleted)), Some(json!({"processId": "IDP0123456789abcdefg"})));
    }
}
