//! What requests and answers carry, in the words of enmeshed's interfaces.

use reprieve_application::ports::{Figures, HoldRecord};
use reprieve_application::use_cases::HeldIdentity;
use reprieve_application::{Answer, StoreError};
use reprieve_domain::audit::SealedEntry;
use reprieve_domain::{Cancelled, DeletionProcess, Reminder, State, Status, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::refusal::json;

/// A success, in the form that enmeshed's clients read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Envelope<T> {
    pub(crate) result: T,
}

impl<T: Serialize> Envelope<T> {
    /// The envelope as it is sent.
    pub(crate) fn answer(status: u16, result: T) -> Answer {
        Answer { status, body: json(&Self { result }) }
    }
}

/// A deletion process as the Connector shows it; absent members are left out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectorProcess {
    #[schema(example = "IDP0aB1cD2eF3gH4iJ5k", pattern = "^IDP[A-Za-z0-9]{17}$")]
    id: String,
    #[schema(value_type = ProcessStatus)]
    status: Status,
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T20:03:07.123456Z")]
    created_at: Timestamp,
    #[schema(example = "DVC0aB1cD2eF3gH4iJ5k", pattern = "^DVC[A-Za-z0-9]{17}$")]
    created_by_device: String,
    /// The first instant at which it can no longer be cancelled. Absent once cancelled.
    #[schema(value_type = Option<String>, format = DateTime, nullable = false, example = "2026-12-07T20:03:07.123456Z")]
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_period_ends_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<Timestamp>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_by_device: Option<String>,
    /// Until when the deletion is suspended; absent if it is not. Until then it can be cancelled.
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended_until: Option<Timestamp>,
}

/// The status of a deletion process.
#[derive(ToSchema)]
#[schema(as = Status)]
#[expect(dead_code, reason = "stands for the domain's type in the OpenAPI document")]
pub(crate) enum ProcessStatus {
    Active,
    Cancelled,
    Deleting,
    Deleted,
}

/// A deletion process as a Backbone shows it; absent members are null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackboneProcess {
    #[schema(example = "IDP0aB1cD2eF3gH4iJ5k", pattern = "^IDP[A-Za-z0-9]{17}$")]
    id: String,
    #[schema(value_type = ProcessStatus)]
    status: Status,
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T20:03:07.123456Z")]
    created_at: Timestamp,
    #[schema(example = "DVC0aB1cD2eF3gH4iJ5k", pattern = "^DVC[A-Za-z0-9]{17}$")]
    created_by_device: String,
    /// The same as `createdAt`, for old clients.
    #[schema(value_type = String, format = DateTime, deprecated)]
    approved_at: Timestamp,
    /// The same as `createdByDevice`, for old clients.
    #[schema(deprecated)]
    approved_by_device: String,
    /// The first instant at which it can no longer be cancelled. Null once cancelled.
    #[schema(required, value_type = Option<String>, format = DateTime, example = "2026-12-07T20:03:07.123456Z")]
    grace_period_ends_at: Option<Timestamp>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    grace_period_reminder1_sent_at: Option<Timestamp>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    grace_period_reminder2_sent_at: Option<Timestamp>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    grace_period_reminder3_sent_at: Option<Timestamp>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    cancelled_at: Option<Timestamp>,
    #[schema(required)]
    cancelled_by_device: Option<String>,
    /// Until when the deletion is suspended; absent if it is not. Until then it can be cancelled.
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended_until: Option<Timestamp>,
}

/// Until when the deletion is suspended, as its owner sees it.
fn shown_suspension(process: &DeletionProcess) -> Option<Timestamp> {
    let suspension = process.suspension().filter(|_| process.status().is_open());
    suspension.and_then(|suspension| suspension.shown_until)
}

/// A deletion process with the identity it belongs to, for whoever runs the service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedProcess {
    #[schema(example = "did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f77")]
    address: String,
    #[serde(flatten)]
    process: BackboneProcess,
}

/// A page of the deletion processes of all identities, in the order of their deadlines.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProcessPage {
    pub(crate) deletion_processes: Vec<ListedProcess>,
    /// Asks for the next page; null on the last one.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

/// A deletion process with its audit log, oldest entry first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditedProcess {
    #[serde(flatten)]
    process: BackboneProcess,
    audit_log: Vec<AuditLogEntry>,
}

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditLogEntry {
    #[schema(example = "IDA0aB1cD2eF3gH4iJ5k", pattern = "^IDA[A-Za-z0-9]{17}$")]
    id: String,
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T20:03:07.123456Z")]
    created_at: Timestamp,
    /// Empty for the first entry.
    #[schema(example = "")]
    old_status: String,
    #[schema(example = "Active")]
    new_status: String,
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    additional_data: Box<RawValue>,
    #[schema(example = "StartedByOwner")]
    message_key: String,
}

/// How many processes need something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FiguresData {
    /// Active or Deleting.
    open: u64,
    /// Deleting.
    deleting: u64,
    /// Erasures that have failed for so long that somebody has to look after them.
    stuck: u64,
    /// Processes that were found not to verify, and that nothing is done about.
    quarantined: u64,
    /// Active, and the grace period over.
    due: u64,
    /// Due for more than an hour.
    overdue: u64,
}

fn cancelled(process: &DeletionProcess) -> Option<&Cancelled> {
    match process.state() {
        State::Cancelled(cancelled) => Some(cancelled),
        State::Active(_) | State::Deleting(_) | State::Deleted(_) => None,
    }
}

impl From<&DeletionProcess> for ConnectorProcess {
    fn from(process: &DeletionProcess) -> Self {
        let cancelled = cancelled(process);
        Self {
            id: process.id().to_string(),
            status: process.status(),
            created_at: process.created_at(),
            created_by_device: process.created_by_device().to_string(),
            grace_period_ends_at: cancelled.is_none().then(|| process.grace_period_ends_at()),
            cancelled_at: cancelled.map(Cancelled::at),
            cancelled_by_device: cancelled.map(|cancelled| cancelled.by_device().to_string()),
            suspended_until: shown_suspension(process),
        }
    }
}

impl From<&DeletionProcess> for BackboneProcess {
    fn from(process: &DeletionProcess) -> Self {
        let cancelled = cancelled(process);
        let device = process.created_by_device().to_string();
        let sent_at = |reminder| process.reminders().sent_at(reminder);
        Self {
            id: process.id().to_string(),
            status: process.status(),
            created_at: process.created_at(),
            created_by_device: device.clone(),
            approved_at: process.created_at(),
            approved_by_device: device,
            grace_period_ends_at: cancelled.is_none().then(|| process.grace_period_ends_at()),
            grace_period_reminder1_sent_at: sent_at(Reminder::First),
            grace_period_reminder2_sent_at: sent_at(Reminder::Second),
            grace_period_reminder3_sent_at: sent_at(Reminder::Third),
            cancelled_at: cancelled.map(Cancelled::at),
            cancelled_by_device: cancelled.map(|cancelled| cancelled.by_device().to_string()),
            suspended_until: shown_suspension(process),
        }
    }
}

impl From<&DeletionProcess> for ListedProcess {
    fn from(process: &DeletionProcess) -> Self {
        Self { address: process.address().to_string(), process: process.into() }
    }
}

impl AuditedProcess {
    pub(crate) fn new(process: &DeletionProcess, entries: Vec<SealedEntry>) -> Result<Self, StoreError> {
        let audit_log = entries.into_iter().map(AuditLogEntry::try_from).collect::<Result<_, _>>()?;
        Ok(Self { process: process.into(), audit_log })
    }
}

impl TryFrom<SealedEntry> for AuditLogEntry {
    type Error = StoreError;

    /// An entry is shown as it was written; one that cannot be shown was not written by this program.
    fn try_from(entry: SealedEntry) -> Result<Self, StoreError> {
        let corrupt = |column: &str, problem: String| StoreError::Corrupt {
            table: "audit_entries",
            key: format!("{} {}", entry.process_id, entry.sequence),
            column: column.to_owned(),
            problem,
        };
        Ok(Self {
            id: entry_id(&entry.hash),
            created_at: Timestamp::from_unix_micros(entry.created_at)
                .map_err(|error| corrupt("created_at", error.to_string()))?,
            additional_data: RawValue::from_string(entry.additional_data.clone())
                .map_err(|error| corrupt("additional_data", error.to_string()))?,
            old_status: entry.old_status.unwrap_or_default(),
            new_status: entry.new_status,
            message_key: entry.message_key,
        })
    }
}

impl From<Figures> for FiguresData {
    fn from(Figures { open, deleting, stuck, quarantined, due, overdue }: Figures) -> Self {
        Self { open, deleting, stuck, quarantined, due, overdue }
    }
}

/// The id of an entry follows from its hash, which names it already.
fn entry_id(hash: &[u8]) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letters = hash
        .iter()
        .chain(std::iter::repeat(&0))
        .take(17)
        .filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()).copied().map(char::from));
    "IDA".chars().chain(letters).collect()
}

/// A hold that is in force, for whoever runs the service; absent members are left out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HoldData {
    #[schema(example = "did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f77")]
    address: String,
    #[schema(example = "legal")]
    code: String,
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T20:03:07.123456Z")]
    placed_at: Timestamp,
    /// The first instant at which it is not in force any more.
    #[schema(value_type = String, format = DateTime, example = "2026-12-24T12:00:00.000000Z")]
    ends_at: Timestamp,
    /// Whether the identity does not see it.
    silent: bool,
    /// What an operator wrote beside it.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// A hold that was placed or released, and what it means.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeldData {
    #[serde(flatten)]
    hold: HoldData,
    /// Until when the deletion that is under way is suspended; absent if it is not, or if there is none.
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended_until: Option<Timestamp>,
}

impl From<HoldRecord> for HoldData {
    fn from(record: HoldRecord) -> Self {
        let HoldRecord { address, hold, note, .. } = record;
        Self {
            address: address.to_string(),
            code: hold.code.to_string(),
            placed_at: hold.placed_at,
            ends_at: hold.ends_at,
            silent: hold.is_silent,
            note: note.map(|note| note.as_str().to_owned()),
        }
    }
}

impl From<HeldIdentity> for HeldData {
    fn from(held: HeldIdentity) -> Self {
        let suspended_until = held.suspension.map(|suspension| suspension.until);
        Self { hold: held.record.into(), suspended_until }
    }
}
